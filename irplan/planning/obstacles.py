"""What a needle may meet: the label map turned into a packed raster for the path kernel.

The raster is a cubic, cropped image of about 1.5 mm; each word says which hard rules a needle
*axis* breaks there (obstacles already grown by their hard distance), whether the voxel is organ or
target, and how deep it lies in the soft zone of an obstacle.  It finds paths fast; what is
reported about a path is measured again on the original labels (`clearance`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress
from irplan.geometry import Grid
from irplan.image import LabelMap
from irplan.planning.distance import bounding_box, capped_distance_mm, grown_box
from irplan.planning.rules import Obstacle, PathRules

#: Finest voxel of the raster, mm, and the number of voxels above which it is made coarser.
RASTER_MM = 1.5
RASTER_VOXELS = 9_000_000
#: Distance between neighbouring entry points on the skin, mm.
ENTRY_SPACING_MM = 3.0
#: Gaps in the organ up to twice this wide (its vessels) count as organ, mm.
ORGAN_CLOSING_MM = 6.0
#: Organs that can hold a target; the first with most voxels round the target is taken.
TARGET_ORGANS = ("liver", "kidney_left", "kidney_right", "spleen", "pancreas", "lung")


@dataclass(frozen=True, eq=False)
class ObstacleRaster:
    """The packed raster and what belongs to it (layout: `irplan.compute.cpu.rays`).

    ``words`` uint32 on ``grid`` (cubic voxels); ``organ`` float32, the organ's occupancy smoothed
    for the capsule's normal; ``entries_mm`` (n, 3) points on the skin, LPS; ``labels`` the
    cropped label map on its own voxels with vessels below the diameter rule turned into organ;
    ``obstacles`` the groups that were looked for, in the order of the bits; ``not_checked`` the
    names of groups of which no structure was looked for.
    """

    words: NDArray[np.uint32]
    grid: Grid
    organ: NDArray[np.float32]
    organ_name: str | None
    entries_mm: NDArray[np.float64]
    labels: LabelMap
    obstacles: tuple[Obstacle, ...]
    not_checked: tuple[Obstacle, ...]
    rules: PathRules

    @property
    def spacing_mm(self) -> float:
        """Edge of a raster voxel, mm."""
        return self.grid.spacing_mm[0]


def target_organ(labels: LabelMap, target: NDArray[np.bool_]) -> str | None:
    """Name of the organ that surrounds the target (most voxels within 6 mm), None if none does."""
    box = bounding_box(target)
    if box is None:
        return None
    part = grown_box(box, 6.0, labels.grid.spacing_mm, target.shape)
    ring = capped_distance_mm(target[part], labels.grid.spacing_mm, 6.0) < np.inf
    counts = np.bincount(labels.array[part][ring], minlength=256)
    best, most = None, 0
    for name in TARGET_ORGANS:
        if labels.checked(name) and counts[labels.label(name).value] > most:
            best, most = name, int(counts[labels.label(name).value])
    return best


def organ_mask(labels: LabelMap, target: NDArray[np.bool_], organ: str) -> NDArray[np.bool_]:
    """Organ with its tumours, the target and the vessels inside it (closing of 6 mm)."""
    solid = labels.mask(organ, "tumour") | target
    box = bounding_box(solid)
    if box is None:
        return solid
    grid = labels.grid
    part = grown_box(box, ORGAN_CLOSING_MM + 2.0, grid.spacing_mm, grid.shape)
    near = capped_distance_mm(solid[part], grid.spacing_mm, ORGAN_CLOSING_MM) < np.inf
    closed = ~(capped_distance_mm(~near, grid.spacing_mm, ORGAN_CLOSING_MM) < np.inf)
    fill = labels.mask("portal_vein", "hepatic_vein", "vessel", "artery", "bile_duct")[part]
    solid[part] |= closed & fill
    return solid


def large_vessels(mask: NDArray[np.bool_], grid: Grid, diameter_mm: float) -> NDArray[np.bool_]:
    """The part of a vessel mask that is at least ``diameter_mm`` wide (opening with a ball).

    A ball is kept when its centre is farther than half the diameter from the nearest voxel
    *centre* outside: vessels up to one voxel thinner than the rule are kept too, on the safe side.
    """
    out = np.zeros_like(mask)
    box = bounding_box(mask)
    if box is None:
        return out
    part = grown_box(box, diameter_mm, grid.spacing_mm, grid.shape)
    inside = mask[part]
    radius = diameter_mm / 2.0
    depth = capped_distance_mm(~inside, grid.spacing_mm, radius)
    core = inside & ~(depth < radius)
    out[part] = inside & (capped_distance_mm(core, grid.spacing_mm, radius) < np.inf)
    return out


def build_raster(
    labels: LabelMap,
    target: NDArray[np.bool_],
    rules: PathRules,
    *,
    progress: Progress = no_progress,
) -> ObstacleRaster:
    """Make the raster round the target: all that a needle of the longest length can meet.

    ``target`` bool on the labels' grid, not empty.
    """
    from irplan.compute.cpu import rays

    progress(0.0, "finding what needles must avoid")
    organ = target_organ(labels, target)
    part_labels, part_target = _reachable(labels, target, rules, organ)
    native = part_labels.grid
    volume = float(np.prod(np.asarray(native.shape) * np.asarray(native.spacing_mm)))
    spacing = max(RASTER_MM, float(np.cbrt(volume / RASTER_VOXELS)))
    grid = native.resized(spacing)
    pick = np.ix_(*(_nearest_index(native, grid, axis) for axis in range(3)))
    coarse = LabelMap(part_labels.array[pick], grid, part_labels.labels)
    coarse_target = part_target[pick]

    checked, missing = _split(labels, rules, organ)
    words = np.zeros(grid.shape, dtype=np.uint32)
    worst = np.zeros(grid.shape, dtype=np.uint8)
    nearest = np.zeros(grid.shape, dtype=np.uint32)
    for number, obstacle in enumerate(checked):
        progress(0.2 + 0.6 * number / len(checked), f"distance to {obstacle.name}")
        _add_obstacle(words, worst, nearest, coarse, obstacle, number)
    words |= nearest << np.uint32(rays.GROUP_SHIFT)
    words |= worst.astype(np.uint32) << np.uint32(rays.SOFT_SHIFT)
    words[coarse.array == 0] |= np.uint32(rays.OUTSIDE_BIT)
    smooth = np.zeros(grid.shape, dtype=np.float32)
    if organ is not None:
        whole = organ_mask(coarse, coarse_target, organ)
        words[whole] |= np.uint32(rays.ORGAN_BIT)
        smooth = _smoothed(whole, spacing)
    words[coarse_target] |= np.uint32(rays.TARGET_BIT)
    progress(0.9, "points on the skin")
    entries = _skin_points(coarse)
    progress(1.0, "needle map ready")
    return ObstacleRaster(
        words, grid, smooth, organ, entries, part_labels, tuple(checked), tuple(missing), rules
    )


def _nearest_index(native: Grid, grid: Grid, axis: int) -> NDArray[np.int64]:
    """Native index nearest to each raster layer; the far rim repeats the last layer."""
    ratio = grid.spacing_mm[axis] / native.spacing_mm[axis]
    at = np.rint((np.arange(grid.shape[axis]) + 0.5) * ratio - 0.5).astype(np.int64)
    return np.asarray(np.clip(at, 0, native.shape[axis] - 1))


def _reachable(
    labels: LabelMap, target: NDArray[np.bool_], rules: PathRules, organ: str | None
) -> tuple[LabelMap, NDArray[np.bool_]]:
    """Labels and target within the longest needle's reach; vessels below the rule become organ."""
    box = bounding_box(target)
    if box is None:
        raise ValueError("an empty target reached the raster")  # checked by every public door
    part = grown_box(box, rules.max_length.value + 10.0, labels.grid.spacing_mm, labels.grid.shape)
    start = [s.start for s in part]
    grid = labels.grid.crop(start, [s.stop - s.start for s in part])
    array = labels.array[part].copy()
    filler = organ if organ is not None else "body"
    names = next((o.structures for o in rules.obstacles if o.name == "vessel"), ())
    # Where the filler has no label vessels keep theirs: an obstacle too many, never too few.
    if labels.checked(filler):
        lut = np.zeros(256, dtype=bool)
        lut[[x.value for x in labels.labels if x.name in names]] = True
        vessels = lut[array]
        small = vessels & ~large_vessels(vessels, grid, rules.min_vessel_diameter.value)
        array[small] = labels.label(filler).value
    return LabelMap(array, grid, labels.labels), target[part]


def _split(
    labels: LabelMap, rules: PathRules, organ: str | None
) -> tuple[list[Obstacle], list[Obstacle]]:
    """Groups of which a structure was looked for, and groups of which none was."""
    checked: list[Obstacle] = []
    missing: list[Obstacle] = []
    for o in rules.obstacles:
        names = tuple(n for n in o.structures if n != organ)
        if not names:
            continue
        rest = Obstacle(o.name, names, o.hard_mm, o.soft_mm, o.needed, o.source)
        (checked if any(labels.checked(n) for n in names) else missing).append(rest)
    return checked, missing


def _add_obstacle(
    words: NDArray[np.uint32],
    worst: NDArray[np.uint8],
    nearest: NDArray[np.uint32],
    coarse: LabelMap,
    obstacle: Obstacle,
    number: int,
) -> None:
    mask = coarse.mask(*obstacle.structures)
    box = bounding_box(mask)
    if box is None:
        return
    h = coarse.grid.spacing_mm[0]
    cap = obstacle.soft_mm + 0.5 * h
    part = grown_box(box, cap, coarse.grid.spacing_mm, mask.shape)
    gap = capped_distance_mm(mask[part], coarse.grid.spacing_mm, cap) - np.float32(0.5 * h)
    hard = (gap < obstacle.hard_mm) | mask[part]
    words[part][hard] |= np.uint32(1 << number)
    width = max(1e-6, obstacle.soft_mm - obstacle.hard_mm)
    deficit = np.clip((obstacle.soft_mm - gap) / width, 0.0, 1.0)
    level = np.ceil(255.0 * deficit).astype(np.uint8)
    more = level > worst[part]
    worst[part][more] = level[more]
    nearest[part][more] = number


def _smoothed(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.float32]:
    """Occupancy blurred by 5 mm, wider than the voxels' terraces: its gradient is the normal."""
    from scipy.ndimage import gaussian_filter

    out = np.zeros(mask.shape, dtype=np.float32)
    box = bounding_box(mask)
    if box is not None:
        part = grown_box(box, 16.0, (spacing_mm,) * 3, mask.shape)
        out[part] = gaussian_filter(mask[part].astype(np.float32), 5.0 / spacing_mm, truncate=3.0)
    return out


def _skin_points(coarse: LabelMap) -> NDArray[np.float64]:
    """Body voxels with the outside beside them, thinned to one in each cube of 3 mm.

    Voxels at the raster's faces are no skin: there the image or the crop ends, not the body.
    """
    body = coarse.array != 0
    inner = (slice(1, -1),) * 3
    open_to_air = np.zeros_like(body[inner])
    for axis in range(3):
        for step in (0, 2):
            view = tuple(
                slice(step, step - 2 if step < 2 else None) if a == axis else slice(1, -1)
                for a in range(3)
            )
            open_to_air |= ~body[view]
    index = np.argwhere(open_to_air & body[inner]) + 1
    cell = np.floor(index * (coarse.grid.spacing_mm[0] / ENTRY_SPACING_MM)).astype(np.int64)
    _, first = np.unique(cell, axis=0, return_index=True)
    return coarse.grid.index_to_lps(index[np.sort(first)])
