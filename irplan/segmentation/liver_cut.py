"""Seeds, intensity models, location priors and the cut on the supervoxel graph (steps 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.graph_cut import minimum_cut
from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.liver_models import WALL_REACH_MM, Muscle
from irplan.segmentation.liver_voi import LiverVoi
from irplan.segmentation.lumen import FAR_MM
from irplan.segmentation.morphology import Mask, box_of, dilate, erode, short_distance_mm
from irplan.segmentation.supervoxels import Supervoxels
from irplan.segmentation.working import WorkingImage

#: Side of a supervoxel, mm (S of SLIC) [spec: 6-8 mm].
SUPERVOXEL_MM = 8.0
#: Weight of the boundary term against the regional term (the result hardly depends on it [spec]).
BOUNDARY_WEIGHT = 1.0
#: No voxel says more than this for or against liver by its intensity, nats.
LARGEST_EVIDENCE = 3.0
#: Cost of a voxel that must not be liver, nats.
FORBIDDEN = 50.0
#: The vena cava behind the liver: its middle right of the spine's, in front of the vertebral
#: bodies at the liver's top and .6 half widths below it, and its radius, mm (calibre 20 to 30).
CAVA_RIGHT_MM = 25.0
CAVA_FRONT_MM = (34.0, 22.0)
CAVA_RADIUS_MM = 12.0
#: Radius of curvature of the right dome, and how near the scan's end a liver ends that it cuts, mm.
DOME_RADIUS_MM, CUT_MM = 70.0, 3.0
#: Fluid (ascites, bile) is below, lesions are above, HU [spec note 6].
SOFT_LESION_HU = 28.0
#: Fat and gas, HU (smoothed): never liver.
FAT_HU = -20.0


@dataclass(frozen=True, eq=False)
class LiverSeeds:
    """``slice_index`` of the largest liver slice; seed voxels inside and outside the liver."""

    slice_index: int
    inside: Mask
    outside: Mask


@dataclass(frozen=True, eq=False)
class LiverCut:
    """The cut: ``evidence`` per voxel (nats, > 0 for liver), ``forbidden`` voxels (never liver),
    ``mask`` of the chosen supervoxels.
    """

    evidence: NDArray[np.float32]
    forbidden: Mask
    mask: Mask


def seeds_on_largest_slice(image: WorkingImage, voi: LiverVoi) -> LiverSeeds:
    """Seeds on the slice with the largest core: its eroded core, and what is clear of it.

    Wu 2016, step 4.
    """
    spacing = image.grid.spacing_mm
    k = int(np.argmax(voi.core.sum(axis=(1, 2))))
    here = np.zeros_like(voi.core)
    here[k] = True
    inside = erode(voi.core, 6.0, spacing) & here
    outside = voi.voi & ~dilate(voi.core, 4.0, spacing) & here
    return LiverSeeds(k, inside, outside)


def seeds_in_core(
    image: WorkingImage,
    voi: LiverVoi,
    prior: NDArray[np.float32],
    muscle: Muscle | None,
    wall: NDArray[np.float32],
) -> LiverSeeds:
    """As `seeds_on_largest_slice`, but from all slices and only where the location agrees.

    Near the trunk's wall what is nearer to muscle than to liver is no seed.
    """
    spacing = image.grid.spacing_mm
    k = int(np.argmax(voi.core.sum(axis=(1, 2))))
    likely = voi.core & (prior > -1.0)
    if muscle is not None:
        middle = 0.5 * (muscle.mean_hu + voi.mean_hu)
        alien = (voi.smooth - middle) * np.sign(voi.mean_hu - muscle.mean_hu) < 0.0
        likely &= ~(alien & (wall < WALL_REACH_MM))
    inside = erode(likely, 8.0, spacing)
    outside = voi.voi & ~dilate(voi.core, 4.0, spacing)
    return LiverSeeds(k, inside, outside)


def intensity_evidence(smooth: NDArray[np.float32], seeds: LiverSeeds) -> NDArray[np.float32]:
    """ln Pr(I | inside) - ln Pr(I | outside) per voxel, from the seeds' histograms.

    Bins of 4 HU from -200 to 400 HU, Gaussian of 1.5 bins, one count of 1000 spread evenly so
    that no bin is empty; clipped to +-3.  Wu 2016, step 5: R = -ln Pr.
    """
    edges = np.arange(-200.0, 404.0, 4.0)
    bins = edges.size - 1
    index = np.clip(((smooth - edges[0]) / 4.0).astype(np.int32), 0, bins - 1)

    def log_density(mask: Mask) -> NDArray[np.float64]:
        counts = np.bincount(index[mask], minlength=bins).astype(float)
        counts = ndi.gaussian_filter1d(counts, 1.5, mode="nearest")
        share = counts / max(counts.sum(), 1.0)
        out: NDArray[np.float64] = np.log(0.999 * share + 0.001 / bins)
        return out

    ratio = log_density(seeds.inside) - log_density(seeds.outside)
    table = np.clip(ratio, -LARGEST_EVIDENCE, LARGEST_EVIDENCE).astype(np.float32)
    out: NDArray[np.float32] = table[index]
    return out


def location_prior(
    image: WorkingImage,
    marks: Landmarks,
    core: Mask,
    wall: NDArray[np.float32],
    gut: NDArray[np.float32],
    smooth: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Log odds of liver at a place, from landmarks.

    Lengths scale with the half width of the cavity w (about 130 mm): u = right of the spine / w,
    v = in front of the spine / w, h = below the top of the liver / w
    (which lies above a scan that ends in the liver: `cut_above_mm`).

    - below h > .6 + u (u > 0) or .6 + .4 u (u < 0), + .4 v: duodenum, pancreas, bowel, kidney (less
      in the right flank, u > .4 and v < .5, where a right lobe may reach far down: Riedel's);
    - within 28 mm in front of the spine and 35 mm of its midline: aorta, crura; within 12 mm of
      where the vena cava usually runs (the liver is taken without it);
    - left of the spine and near the back: spleen, left kidney; less so up to v = .45: stomach;
    - above the diaphragm; outside the inner wall of the trunk: muscle;
    - in the lumen of stomach and bowel and within its wall (``gut``: mm beyond the wall).

    These lower the odds; high under the right dome (.35 above that lower limit, right of the
    spine) soft tissue of any density is most likely liver, which raises them: it holds lesions at
    the capsule.  Without a known dome height the raise is left out; where the scan ends in the
    liver it holds for tissue darker than the liver.

    Anatomy, not an atlas: round numbers that were not fitted to a set of livers.
    """
    shape = core.shape
    width = _half_width(image, marks, core)
    # Single precision: eight exponentials a voxel are most of the cost.
    right = (marks.right_of_spine(shape) * image.spacing_mm).astype(np.float32)
    front = (marks.before_spine(shape) * image.spacing_mm).astype(np.float32)
    top = int(np.flatnonzero(core.any(axis=(1, 2)))[-1])
    below = (top - np.arange(shape[0], dtype=np.float32))[:, None, None] * image.spacing_mm
    cut = cut_above_mm(image, core)
    below += cut
    u, v, h = right / width, front / width, below / width
    prior: NDArray[np.float32]
    lowest = 0.6 + np.where(u > 0.0, u, 0.4 * u) + 0.4 * np.clip(v, 0.0, 1.0)
    flank = _step((u - 0.4) / 0.06) * _step((0.5 - v) / 0.08)
    prior = -1.6 * (1.0 - 0.3 * flank) * _step((h - lowest) / 0.08)
    prior = prior - 5.0 * _step((28.0 - front) / 5.0) * _step((35.0 - np.abs(right)) / 4.0)
    ahead = CAVA_FRONT_MM[0] + (CAVA_FRONT_MM[1] - CAVA_FRONT_MM[0]) * np.clip(h / 0.6, 0.0, 1.0)
    from_cava = np.sqrt((right - CAVA_RIGHT_MM) ** 2 + (front - ahead) ** 2)
    prior = prior - 5.0 * _step((CAVA_RADIUS_MM - from_cava) / 1.5)
    prior = prior - 5.0 * _step((-right - 45.0) / 8.0) * _step((45.0 - front) / 8.0)
    prior = prior - 2.5 * _step((-right - 30.0) / 8.0) * _step((0.45 - v) / 0.08)
    prior = prior - 4.0 * _step((-right - 0.75 * width) / 8.0)
    above: NDArray[np.float32] | None = None
    if marks.dome_z is not None:
        dome = np.where(np.isfinite(marks.dome_z), marks.dome_z, np.inf).astype(np.float32)
        above = np.arange(shape[0], dtype=np.float32)[:, None, None] - dome
        above = above * np.float32(image.spacing_mm)
        prior = prior - 5.0 * _step((above - 4.0) / 3.0)
    elif cut > 0.0:
        above = -below  # the dome is above the scan
    if above is not None:
        # In front no rib guides the wall: it may lie 8 mm deeper.
        guard = 8.0 + 8.0 * _step((v - 0.5) / 0.05)
        high = _step((lowest - 0.35 - h) / 0.05) * _step((right - 25.0) / 5.0)
        soft = _step((smooth - SOFT_LESION_HU) / 3.0)
        if cut > 0.0:  # how high is a guess then: the kidney, brighter than liver, may be near
            soft = soft * _step((float(smooth[core].mean()) - smooth) / 3.0)
        prior = (
            prior + 4.0 * high * _step((wall - guard) / 1.5) * _step((-above - 4.0) / 2.0) * soft
        )
    prior = prior - 4.0 * _step((1.0 - wall) / 1.5)
    near = box_of(gut < FAR_MM)
    prior[near] -= 5.0 * _step(-gut[near] / 0.7)
    return prior


def cut_above_mm(image: WorkingImage, core: Mask) -> float:
    """How much of the liver lies above a scan that ends in it, mm; 0 where it does not.

    The dome as a paraboloid with a radius of curvature of 70 mm: the area A of its cut lies
    A / (2 pi 70 mm) below its top.
    """
    covered = np.flatnonzero(image.covered.any(axis=(1, 2)))
    top = int(np.flatnonzero(core.any(axis=(1, 2)))[-1])
    if (int(covered[-1]) - top) * image.spacing_mm > CUT_MM:
        return 0.0
    area = float(core[top].sum()) * image.spacing_mm**2
    return min(area / (2.0 * np.pi * DOME_RADIUS_MM), DOME_RADIUS_MM)


def wall_depth_mm(image: WorkingImage, marks: Landmarks) -> NDArray[np.float32]:
    """Signed in-plane distance inside the trunk's inner wall, mm (negative in the wall)."""
    # The steps that look at it are flat to single precision beyond 32 mm.
    depth = short_distance_mm(~marks.cavity, 32.0, image.spacing_mm, axes=(1, 2))
    depth -= short_distance_mm(marks.cavity, 32.0, image.spacing_mm, axes=(1, 2))
    return depth


def _half_width(image: WorkingImage, marks: Landmarks, core: Mask) -> float:
    """Half the width of the cavity in the liver's slices, mm, kept within 80..190."""
    slices = core.any(axis=(1, 2))
    widths = marks.cavity[slices].any(axis=1).sum(axis=1) * image.spacing_mm / 2.0
    return float(np.clip(np.median(widths), 80.0, 190.0))


def _step(x: NDArray[np.floating]) -> NDArray[np.float32]:
    """Logistic step from 0 to 1."""
    out: NDArray[np.float32] = np.clip(x, -40.0, 40.0).astype(np.float32, copy=False)
    np.negative(out, out=out)
    np.exp(out, out=out)
    out += 1.0
    np.reciprocal(out, out=out)
    return out


def forbidden_tissue(smooth: NDArray[np.float32], lung: Mask, bone: Mask, body: Mask) -> Mask:
    """Hard background: lung, fat and gas, bone, outside the body."""
    out: Mask = lung | bone | ~body | (smooth < FAT_HU)
    return out


def cut_supervoxels(
    parts: Supervoxels,
    evidence: NDArray[np.float32],
    seeds: LiverSeeds,
    sd_hu: float,
    forbidden: Mask,
) -> LiverCut:
    """Minimum cut: regional term summed over voxels, boundary term by contact and contrast.

    E = sum_i -x_i sum_(v in i) evidence + lambda sum_(i,j) faces_ij exp(-(mu_i - mu_j)^2 /
    (2 (1.5 sd)^2)) [x_i != x_j]; supervoxels mostly inside a seed or forbidden are fixed.
    """
    gain = parts.total(evidence)
    hard_in = parts.fraction(seeds.inside) > 0.5
    hard_out = (parts.fraction(forbidden) > 0.5) & ~hard_in
    bound = FORBIDDEN * parts.voxels
    gain = np.where(hard_in, bound, np.where(hard_out, -bound, gain))
    a, b = parts.edges.T
    contrast = (parts.mean[a] - parts.mean[b]) / (1.5 * sd_hu)
    weights = BOUNDARY_WEIGHT * parts.faces * np.exp(-0.5 * contrast**2)
    inside = minimum_cut(-gain, np.zeros_like(gain), parts.edges, weights)
    return LiverCut(evidence, forbidden, parts.paint(inside))
