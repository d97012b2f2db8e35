"""A tumour from one stroke: graph cut against the liver's own statistics, or an ellipsoid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.special import erfinv

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid, Point3, as_point
from irplan.image.volume import Volume
from irplan.segmentation.graph_cut import minimum_cut
from irplan.segmentation.interpolate import field_on, mask_on
from irplan.segmentation.morphology import Mask, filled, parts
from irplan.segmentation.target import DIAMETER_MM, require_inside
from irplan.segmentation.working import WorkingImage, working_image

Edge = Literal["visible", "outer"]
TumourMethod = Literal["auto", "cut", "ellipsoid"]

#: A stroke longer than this is a slip of the hand, mm.
LONGEST_STROKE_MM = 150.0
#: "outer": manual references (3D-IRCADb) are drawn this far outside the visible edge, mm [spec].
OUTER_MM = 2.0
#: Range of the editable margin, mm.
MARGIN_MM = (-10.0, 15.0)
#: A lesion must differ from the liver round it by this, HU, and by this many SD of the smoothed
#: parenchyma, or its edge cannot be seen.
LEAST_CONTRAST_HU, LEAST_CONTRAST_SD = 10.0, 1.5
#: Uncertainty of the stroke: SD of the true radius over the stroke's (15 % and a shifted click).
RADIUS_SPREAD = 0.2
#: Certain tumour inside, certain background outside these shares of the stroke's radius.
CORE_SHARE, REACH_SHARE = 0.3, 1.5
#: Fat and gas are never tumour, HU.
FAT_HU = -30.0
#: Weight of the edge term per voxel face against one unit of log-likelihood.
SMOOTHNESS = 1.0
#: Largest log-likelihood ratio of one voxel: outliers may be noise.
STRONGEST = 4.0
#: Softening of a mask that tells where its surface lies between voxels, voxels: the least that
#: keeps a staircase smooth (its first harmonic falls to exp(-2 pi^2 0.6^2) < 0.1 %).
SOFTENING = 0.6


@dataclass(frozen=True)
class Stroke:
    """The diameter a user drew: both ends in LPS mm; ``axes_mm`` instead of a ball if given.

    ``axes_mm``: three full diameters (left-right, front-back, foot-head) of an ellipsoid.
    Raises `InputError` for a length of 0 or over 150 mm.
    """

    start_mm: Point3
    end_mm: Point3
    axes_mm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_mm", as_point(self.start_mm, field="stroke start"))
        object.__setattr__(self, "end_mm", as_point(self.end_mm, field="stroke end"))
        for name, length in (
            ("stroke", self.diameter_mm),
            *(("ellipsoid axis", float(a)) for a in self.axes_mm or ()),
        ):
            if not DIAMETER_MM[0] <= length <= LONGEST_STROKE_MM:
                raise InputError(
                    name,
                    got=f"a length of {length:.1f} mm",
                    expected=f"{DIAMETER_MM[0]:.0f} to {LONGEST_STROKE_MM:.0f} mm",
                    remedy="Draw from one edge of the lesion to the opposite one.",
                )

    @classmethod
    def from_point(
        cls,
        point_mm: Sequence[float] | NDArray[np.floating],
        diameter_mm: float,
        axes_mm: tuple[float, float, float] | None = None,
    ) -> Stroke:
        """A stroke of ``diameter_mm`` along x about ``point_mm``."""
        x, y, z = as_point(point_mm, field="tumour point")
        half = 0.5 * float(diameter_mm)
        if not np.isfinite(half):
            raise InputError(
                "tumour diameter",
                got=repr(diameter_mm),
                expected=f"{DIAMETER_MM[0]:.0f} to {LONGEST_STROKE_MM:.0f} mm",
                remedy="Give the lesion's largest diameter in mm.",
            )
        return cls((x - half, y, z), (x + half, y, z), axes_mm)

    @property
    def centre_mm(self) -> Point3:
        """Its middle, LPS mm."""
        a, b = np.asarray(self.start_mm), np.asarray(self.end_mm)
        x, y, z = (float(v) for v in 0.5 * (a + b))
        return (x, y, z)

    @property
    def diameter_mm(self) -> float:
        """Its length, mm."""
        return float(np.linalg.norm(np.asarray(self.end_mm) - np.asarray(self.start_mm)))


@dataclass(frozen=True, eq=False)
class TumourFinding:
    """``mask`` bool on the volume's grid and how it came about.

    ``method`` "cut" (follows the image) or "ellipsoid" (does not); ``edge`` the convention the
    mask keeps ("visible": half way between lesion and liver; "outer": 2 mm outside of that);
    ``contrast_hu`` lesion minus liver; ``notes`` in words.
    """

    mask: Mask
    method: Literal["cut", "ellipsoid"]
    edge: Edge
    margin_mm: float
    contrast_hu: float
    volume_ml: float
    notes: tuple[str, ...]


def segment_tumour(
    volume: Volume,
    stroke: Stroke,
    *,
    liver: Mask | None = None,
    edge: Edge = "visible",
    margin_mm: float = 0.0,
    method: TumourMethod = "auto",
) -> TumourFinding:
    """The lesion that ``stroke`` spans, hypo- or hyperdense to the tissue round it.

    The stroke is taken to reach from edge to edge of the convention ``edge``.  Lesion statistics
    come from the inner half of the stroke's ball, background statistics from the liver in a shell
    outside of it.  Energy: Gaussian log-likelihood ratio + a prior on the radius (SD 20 %) +
    contrast-weighted faces; minimum cut on cubic voxels of 1/25 of the diameter (0.8-3 mm); the
    part that holds the centre, holes filled, is brought back to the scan's grid and moved by
    ``margin_mm`` (grown > 0, shrunk < 0) plus 2 mm for ``edge="outer"``.  Growth stays inside the
    liver where a liver mask is given.  Cost: about 0.3 s.

    Parameters
    ----------
    liver : optional organ mask (with its lesions) on the volume's grid.
    margin_mm : -10 to 15.
    method : "auto" takes the ellipsoid where the lesion cannot be told from the liver; "ellipsoid"
        forces it (``stroke.axes_mm`` or a ball), "cut" forces the graph cut.

    Raises
    ------
    InputError : centre outside the image, in air or (with ``liver``) over 10 mm from the liver;
        margin out of range; unknown edge or method; margin that leaves nothing.
    GridMismatchError : a liver mask of another shape.

    Known failures: a lesion beside a vessel or cyst of its own intensity takes it in part; rims
    that fade over more than 5 mm end half way.
    """
    _check(volume, liver, edge, margin_mm, method)
    centre = np.asarray(stroke.centre_mm)
    require_inside(volume, centre, field="tumour centre")
    outer = OUTER_MM if edge == "outer" else 0.0
    radius = max(0.5 * stroke.diameter_mm - outer, 0.5 * DIAMETER_MM[0])
    notes = []
    reach = REACH_SHARE * radius + 12.0
    start, shape = volume.grid.box_around(centre, reach)
    crop = volume.crop(start, shape)
    part = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
    organ = None if liver is None else liver[part]
    _require_liver(organ, crop.grid, centre)
    image = working_image(crop, float(np.clip(2.0 * radius / 25.0, 0.8, 3.0)))
    smooth = ndi.gaussian_filter(image.hu, image.voxels(max(0.8, 0.04 * radius)))
    away = np.linalg.norm(_positions(image.grid) - centre, axis=-1)
    inside = None if organ is None else mask_on(organ, crop.grid, image.grid)
    models = _models(smooth, away, radius, inside, image.covered)
    visible = abs(models.contrast) >= max(LEAST_CONTRAST_HU, LEAST_CONTRAST_SD * models.sd)
    cut = method == "cut" or (method == "auto" and visible)
    if cut:
        lesion = _cut(smooth, away, radius, models, inside, image)
        if method == "cut" and not visible:
            notes.append("The lesion hardly differs from the liver: its edge is mostly the prior.")
    else:
        axes = np.asarray(stroke.axes_mm or (2.0 * (radius + outer),) * 3) - 2.0 * outer
        lesion = _ellipsoid(image.grid, centre, np.maximum(axes, DIAMETER_MM[0]))
        why = (
            "asked for"
            if method == "ellipsoid"
            else (f"the lesion differs from the liver by {models.contrast:.0f} HU only")
        )
        notes.append(f"An ellipsoid as drawn, not the lesion's own edge ({why}).")
    grown = _moved(lesion, outer + margin_mm, image)
    found: Mask = field_on(grown, image.grid, crop.grid, 1e3) < 0.0
    if organ is not None and outer + margin_mm > 0.0:
        own = field_on(_moved(lesion, 0.0, image), image.grid, crop.grid, 1e3) < 0.0
        found &= organ | own
    if not found.any():
        raise InputError(
            "tumour margin",
            got=f"{margin_mm:g} mm, which leaves nothing of the lesion",
            expected="a margin above minus its radius",
            remedy="Shrink it less.",
        )
    if any(
        found.take(end, axis=a).any() and (s.start == 0 if end == 0 else s.stop == n)
        for a, (s, n) in enumerate(zip(part, volume.grid.shape, strict=True))
        for end in (0, -1)
    ):
        notes.append("The lesion touches the edge of the scan: what lies beyond is not in it.")
    mask = np.zeros(volume.grid.shape, dtype=bool)
    mask[part] = found
    ml = float(np.count_nonzero(found)) * volume.grid.voxel_volume_mm3 / 1000.0
    return TumourFinding(
        mask,
        "cut" if cut else "ellipsoid",
        edge,
        float(margin_mm),
        models.contrast,
        ml,
        tuple(notes),
    )


@dataclass(frozen=True)
class _Models:
    lesion: float
    liver: float
    sd: float
    lesion_sd: float

    @property
    def contrast(self) -> float:
        return self.lesion - self.liver


def check_tumour_settings(edge: str, margin_mm: float, method: str) -> None:
    """Raise `InputError` for an unknown edge or method, or a margin out of range."""
    if edge not in ("visible", "outer") or method not in ("auto", "cut", "ellipsoid"):
        raise InputError(
            "tumour edge or method",
            got=f"edge {edge!r}, method {method!r}",
            expected="edge 'visible' or 'outer'; method 'auto', 'cut' or 'ellipsoid'",
            remedy="Use one of these words.",
        )
    if not MARGIN_MM[0] <= float(margin_mm) <= MARGIN_MM[1]:
        raise InputError(
            "tumour margin",
            got=f"{margin_mm} mm",
            expected=f"{MARGIN_MM[0]:g} to {MARGIN_MM[1]:g} mm",
            remedy="Give how far to grow (positive) or shrink (negative) the lesion.",
        )


def _check(volume: Volume, liver: Mask | None, edge: str, margin_mm: float, method: str) -> None:
    check_tumour_settings(edge, margin_mm, method)
    if liver is not None and liver.shape != volume.grid.shape:
        raise GridMismatchError(
            "liver mask",
            got=f"shape {liver.shape}",
            expected=f"the volume's shape {volume.grid.shape}",
            remedy="Resample the mask onto the CT's grid explicitly.",
        )


def _require_liver(organ: Mask | None, grid: Grid, centre: NDArray[np.float64]) -> None:
    if organ is None:
        return
    points = grid.index_to_lps(np.argwhere(organ)) if organ.any() else np.empty((0, 3))
    gap = float(np.linalg.norm(points - centre, axis=1).min()) if len(points) else np.inf
    if gap > 10.0:
        raise InputError(
            "tumour centre",
            got=f"a point {gap:.0f} mm from the liver" if np.isfinite(gap) else "no liver near it",
            expected="a point in the liver or within 10 mm of it",
            remedy="Check that it is LPS mm, not RAS; else correct the liver, or leave it out.",
        )


def _positions(grid: Grid) -> NDArray[np.float64]:
    return grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))


def _models(
    smooth: NDArray[np.float32],
    away: NDArray[np.float64],
    radius: float,
    inside: Mask | None,
    covered: Mask,
) -> _Models:
    shell = (away > 1.25 * radius + 1.0) & (away < 1.25 * radius + 10.0) & covered
    tissue = shell & (smooth > FAT_HU) & (smooth < 250.0)
    if inside is not None and np.count_nonzero(tissue & inside) >= 50:
        tissue &= inside
    values = smooth[tissue] if np.count_nonzero(tissue) >= 20 else smooth[away < 2.0 * radius]
    liver = float(np.median(values))
    near = values[np.abs(values - liver) < 40.0]
    sd = max(1.4826 * float(np.median(np.abs(near - np.median(near)))), 2.0) if near.size else 5.0
    middle = smooth[(away <= max(0.5 * radius, 1.5)) & covered]
    lesion = float(np.median(middle)) if middle.size else liver
    spread = 1.4826 * float(np.median(np.abs(middle - lesion))) if middle.size else sd
    return _Models(lesion, liver, sd, max(spread, sd))


def _cut(
    smooth: NDArray[np.float32],
    away: NDArray[np.float64],
    radius: float,
    models: _Models,
    inside: Mask | None,
    image: WorkingImage,
) -> Mask:
    sign = np.sign(models.contrast) or 1.0
    # Half way is undecided; beyond the lesion's own level all is lesion (necrosis, calcium).
    level = 0.5 * (models.lesion + models.liver)
    scale = 0.5 * (models.sd + models.lesion_sd)
    evidence = sign * (smooth - level) * abs(models.contrast) / scale**2
    evidence = np.clip(evidence, -STRONGEST, STRONGEST)
    # Log-odds of "within the true radius" for a radius known to RADIUS_SPREAD.
    prior = np.clip((radius - away) / (RADIUS_SPREAD * radius), -3.0, 3.0)
    want = evidence + prior
    outside = smooth < FAT_HU if sign < 0 else smooth < min(FAT_HU, models.liver - 60.0)
    if inside is not None:
        want -= np.where(inside, 0.0, 2.0)
    hard = 1e3
    want[outside] = -hard
    want[away > REACH_SHARE * radius] = -hard
    want[away < max(CORE_SHARE * radius, image.spacing_mm)] = hard
    near = away <= REACH_SHARE * radius + 2.0 * image.spacing_mm
    number = np.full(smooth.shape, -1)
    number[near] = np.arange(np.count_nonzero(near))
    edges, weights = [], []
    for axis in range(3):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = near[low] & near[high]
        edges.append(np.stack([number[low][both], number[high][both]], axis=1))
        step = (smooth[low][both] - smooth[high][both]) / scale
        weights.append(SMOOTHNESS * (0.1 + np.exp(-0.5 * step.astype(np.float64) ** 2)))
    drive = want[near]
    chosen = minimum_cut(
        np.maximum(-drive, 0.0),
        np.maximum(drive, 0.0),
        np.concatenate(edges),
        np.concatenate(weights),
    )
    mask = np.zeros(smooth.shape, dtype=bool)
    mask[near] = chosen
    labels, _ = parts(mask)
    own = labels[np.unravel_index(int(np.argmin(away)), away.shape)]
    return filled(labels == own) if own else mask


def _ellipsoid(grid: Grid, centre: NDArray[np.float64], axes_mm: NDArray[np.float64]) -> Mask:
    out: Mask = (((_positions(grid) - centre) / (0.5 * axes_mm)) ** 2).sum(axis=-1) <= 1.0
    return out


def _moved(mask: Mask, by_mm: float, image: WorkingImage) -> NDArray[np.float32]:
    """Signed distance to the surface, negative inside, after moving it outwards by ``by_mm``.

    Near the surface the mask softened by a Gaussian tells it (a plane's profile is the error
    function); further off it is the distance to the nearest voxel of the other side and that
    voxel's own: distances to voxel centres alone would be biased by the staircase.
    """
    spacing = image.grid.spacing_mm
    soft = ndi.gaussian_filter(mask.astype(np.float32), SOFTENING)
    profile = erfinv(1.0 - 2.0 * np.clip(soft.astype(np.float64), 1e-4, 1.0 - 1e-4))
    near = (np.sqrt(2.0) * SOFTENING * image.spacing_mm * profile).astype(np.float32)
    signed = near.copy()
    if by_mm != 0.0 and mask.any() and not mask.all():
        for side, sign in ((mask, -1.0), (~mask, 1.0)):
            gap, at = ndi.distance_transform_edt(side, sampling=spacing, return_indices=True)
            far = side & (gap > 1.5 * image.spacing_mm)
            signed[far] = sign * gap[far] + near[tuple(axis[far] for axis in at)]
    moved: NDArray[np.float32] = signed - np.float32(by_mm)
    return moved
