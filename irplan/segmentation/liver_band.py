"""The liver's edge on the scan's own voxels: a two-label cut in a band round the coarse surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.geometry import Grid, Point3
from irplan.image.volume import Volume
from irplan.segmentation.interpolate import mask_on
from irplan.segmentation.lumen import Lumen
from irplan.segmentation.morphology import Mask, box_of, short_distance_mm
from irplan.segmentation.working import WorkingImage

#: Half width of the band, mm: the coarse surface lies on 2 mm voxels.
REACH_MM = 3.0
#: Price of surface, mm: gaps thinner than twice this, and balls of less than three times this
#: radius, cost more than their voxels gain.
SMOOTH_MM = 0.6
#: In-plane blur of the scan before the cut, mm (SD); noise of neighbouring voxels is correlated.
BLUR_MM = 0.7
#: Reach of the means on both sides of the edge, mm (SD).
LOCAL_MM = 4.0
#: Nothing outside counts as darker than this: towards lung the edge is that of soft tissue, HU.
DARKEST_HU = -120.0
#: The inside may differ from the liver's mean by this many SD (vessels, lesions at the capsule).
INSIDE_SD = 2.5
#: Contrast at which the intensity counts half, in SD of the blurred noise.
HALF_CONTRAST_SD = 2.0
#: Pull towards the coarse surface, per mm: it decides where there is no contrast.
ANCHOR_PER_MM = 0.06
#: More of it where there is none, per mm.
BLIND_ANCHOR_PER_MM = 0.2
#: Between lung and liver lie at least pleura and diaphragm (2 to 5 mm; half of it is used), mm.
DIAPHRAGM_MM = 1.5
#: Least noise of the blurred scan that is believed, HU.
LEAST_NOISE_HU = 3.0
#: Iterations; the edge moves by less than 0.02 mm when they are doubled (phantoms).
ROUNDS = 50
#: Gain that holds a voxel, per mm^3.
HELD = 1000.0


#: LPS mm of a ball's centre, its radius in mm, whether it is inside the liver.
Ball = tuple[Point3, float, bool]


@dataclass(frozen=True, eq=False)
class Held:
    """What a cut must keep on the scan's voxels.

    ``mask`` bool, the whole scan, as it was; ``changing`` bool on the working grid: only there
    may voxels change; ``balls`` of the user's clicks, which have the last word.
    """

    mask: Mask
    changing: Mask
    balls: tuple[Ball, ...]


@dataclass(frozen=True, eq=False)
class EdgeModel:
    """What the edge is looked for with, on a box of the working grid.

    ``box`` slices of the working grid; ``fields`` float32 (5, box): signed depth (mm, negative
    inside), mean intensity inside and outside near that place (HU), distance to lung and to the
    outer surface of the gut's wall (mm).
    """

    box: tuple[slice, slice, slice]
    fields: NDArray[np.float32]


def edge_model(
    mask: Mask,
    image: WorkingImage,
    body: Mask,
    lung: Mask,
    lumen: Lumen,
    mean_hu: float,
    sd_hu: float,
    part: tuple[slice, slice, slice] | None = None,
) -> EdgeModel:
    """Depth and local means on both sides of a working-grid mask's surface.

    Means are Gaussian-weighted (4 mm) over voxels 2 to 14 mm inside and 2 to 10 mm outside, clear
    of the edge itself, whose voxels are mixtures.  ``part``: only this box of the working grid
    (16 mm around it are looked at).
    """
    margin = round(image.voxels(16.0))
    box = box_of(mask, (margin,) * 3) if part is None else _wider(part, margin, mask.shape)
    inner, tissue = mask[box], body[box]
    hu = np.clip(image.hu[box], DARKEST_HU, mean_hu + 120.0)
    voxel = image.spacing_mm
    depth = short_distance_mm(inner, 16.0, voxel) - short_distance_mm(~inner, 16.0, voxel)
    depth -= np.copysign(np.float32(0.5 * voxel), depth)
    deep = (depth < -2.0) & (depth > -14.0)
    clear = (depth > 2.0) & (depth < 10.0) & tissue
    # The liver's neighbour is the gut's wall, not what the gut holds.
    gut = lumen.beyond_wall_mm(voxel, box)
    clear &= ~lumen.mask[box]
    spread = INSIDE_SD * sd_hu
    sigma = LOCAL_MM / voxel
    within = _local_mean(np.clip(hu, mean_hu - spread, mean_hu + spread), deep, sigma, mean_hu)
    beyond = _local_mean(hu, clear, sigma, DARKEST_HU)
    soft = ndi.gaussian_filter(depth, 0.7)
    air = short_distance_mm(lung[box], 8.0, voxel) - np.float32(0.5 * voxel)
    return EdgeModel(box, np.stack([soft, within, beyond, air, gut]).astype(np.float32))


def _wider(
    part: tuple[slice, slice, slice], margin: int, shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    a, b, c = (
        slice(max(0, s.start - margin), min(n, s.stop + margin))
        for s, n in zip(part, shape, strict=True)
    )
    return a, b, c


def _local_mean(
    hu: NDArray[np.float32], where: Mask, sigma: float, fallback: float
) -> NDArray[np.float32]:
    weight = ndi.gaussian_filter(where.astype(np.float32), sigma, truncate=3.0)
    total = ndi.gaussian_filter(np.where(where, hu, np.float32(0.0)), sigma, truncate=3.0)
    # A trace of the fallback keeps places without any such voxel defined.
    out: NDArray[np.float32] = (total + 1e-4 * np.float32(fallback)) / (weight + 1e-4)
    return out


def refine_native(
    volume: Volume, image: WorkingImage, model: EdgeModel, held: Held | None = None
) -> tuple[tuple[slice, slice, slice], Mask]:
    """Cut the band anew on the voxels of ``volume``.

    Energy: integral of -gain u + 0.6 mm |grad u|.  The gain is the blurred intensity's place
    between the means outside (-1) and inside (+1) of the edge there (localised Chan-Vese [1]_),
    weighted by contrast^2 / (contrast^2 + (2 noise)^2), plus a pull of 0.06 a mm towards the
    coarse surface.  Solved by the convex relaxation [2]_, cut at one half: the global minimum,
    without the preference for the grid's axes of a graph cut.  Returns the box of the volume
    and the mask in it.

    .. [1] Lankton & Tannenbaum, IEEE Trans Image Process 17 (2008) 2029, equations 6 and 11.
    .. [2] Chan, Esedoglu & Nikolova, SIAM J Appl Math 66 (2006) 1632, theorem 2.
    """
    from irplan.compute.cpu.band_cut import (
        seg_band,
        seg_convex_cut,
        seg_outward,
        seg_sample,
    )

    coarse = image.grid.crop([s.start for s in model.box], model.fields.shape[1:])
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in coarse.shape])).reshape(3, -1).T
    start, shape = volume.grid.box_around(coarse.index_to_lps(ends), 0.0)
    crop = volume.crop(start, shape)
    matrix = (coarse.inverse @ crop.grid.affine)[:3]
    spacing = np.asarray(crop.grid.spacing_mm)
    ring = REACH_MM + float(spacing.max())
    number, where, depth = seg_band(
        model.fields[0], matrix, np.asarray(shape, dtype=np.int64), ring
    )
    hu = np.ascontiguousarray(crop.array, dtype=np.float32)
    fields = model.fields[1:]
    found, within, beyond, lung, gut = seg_sample(hu, where, _blur(spacing), fields, matrix)
    half = 0.5 * (within - beyond)
    middle = 0.5 * (within + beyond)
    contrast = 4.0 * half**2
    trust = contrast / (contrast + (HALF_CONTRAST_SD * _noise_hu(found, within, depth)) ** 2)
    size = np.maximum(np.abs(half), 1.0)
    score = np.clip(np.sign(half) * (found - middle) / size, -1.0, 1.0).astype(np.float32)
    seg_outward(number, where, np.argsort(depth, kind="stable"), depth, score)
    gain = trust * score
    gain -= (ANCHOR_PER_MM + BLIND_ANCHOR_PER_MM * (1.0 - trust)) * depth
    gain -= 2.0 / (1.0 + np.exp(np.clip((lung - DIAPHRAGM_MM) / 0.4, -20.0, 20.0)))
    gain -= 2.0 / (1.0 + np.exp(np.clip(gut / 0.4, -20.0, 20.0)))
    gain = np.where(np.abs(depth) > REACH_MM, -np.copysign(np.float32(HELD), depth), gain)
    first = (depth < 0.0).astype(np.float32)
    a, b, c = (slice(s, s + n) for s, n in zip(start, shape, strict=True))
    part = (a, b, c)
    at = tuple(where.T)
    kept_parts: tuple[Mask, NDArray[np.int8], Mask] | None = None
    if held is not None:
        changing = mask_on(held.changing[model.box], coarse, crop.grid)
        balls = _balls(held.balls, crop.grid)
        before = held.mask[part]
        kept_parts = changing, balls, before
        kept = ~changing[at] | (balls[at] != 0)
        side = np.where(balls[at] != 0, balls[at] > 0, before[at])
        first = np.where(kept, side, first).astype(np.float32)
        gain = np.where(kept, np.where(side, HELD, -HELD), gain)
    u = seg_convex_cut(number, where, gain.astype(np.float32), first, spacing, SMOOTH_MM, ROUNDS)
    mask = number == -2
    mask[tuple(where[u > 0.5].T)] = True
    if kept_parts is not None:
        changing, balls, before = kept_parts
        mask = np.where(changing, mask, before)
        mask = (mask | (balls > 0)) & (balls >= 0)
    return part, mask


def _balls(balls: tuple[Ball, ...], grid: Grid) -> NDArray[np.int8]:
    """+1 in balls that are inside, -1 in those that are outside, 0 elsewhere, on ``grid``.

    A ball holds at least the voxel its centre lies in.
    """
    out = np.zeros(grid.shape, dtype=np.int8)
    for centre, radius_mm, inside in balls:
        middle = grid.lps_to_index(centre)
        reach = radius_mm / np.asarray(grid.spacing_mm)
        nearest = np.rint(middle)
        low = np.maximum(np.floor(np.minimum(middle - reach, nearest)), 0).astype(int)
        high = np.minimum(np.ceil(np.maximum(middle + reach, nearest)) + 1, grid.shape).astype(int)
        if np.any(high <= low):
            continue
        box = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
        index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
        near = np.linalg.norm((index - middle) * grid.spacing_mm, axis=-1) <= radius_mm
        near |= np.all(index == nearest, axis=-1)
        out[box][near] = 1 if inside else -1
    return out


def _noise_hu(
    found: NDArray[np.float32], within: NDArray[np.float32], depth: NDArray[np.float32]
) -> float:
    """Spread of the blurred scan just inside the edge, HU (median deviation: robust)."""
    off = np.abs(found - within)[depth < -0.5 * REACH_MM]
    return max(LEAST_NOISE_HU, 1.4826 * float(np.median(off)) if off.size else 0.0)


def _blur(spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights of a Gaussian of 0.7 mm along each axis, cut at 2 SD, at most 3 voxels."""
    reach = 3
    offset = np.arange(-reach, reach + 1)[None] * spacing[:, None]
    weight = np.exp(-0.5 * (offset / BLUR_MM) ** 2)
    weight[np.abs(offset) > 2.0 * BLUR_MM] = 0.0
    out: NDArray[np.float32] = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return out
