"""What a needle may meet: the label map turned into a packed raster for the path kernel.

The raster is a cubic, cropped image of about 1.5 mm; each word says which hard rules a needle
*axis* breaks there (obstacles already grown by their hard distance), whether the voxel is organ or
target, and how deep it lies in the soft zone of an obstacle.  It finds paths fast; what is
reported about a path is measured again on the original labels (`clearance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.compute.parts import in_parts
from irplan.compute.progress import Progress, no_progress
from irplan.errors import GridMismatchError
from irplan.geometry import Grid
from irplan.image import LabelMap
from irplan.planning.distance import bounding_box, capped_distance_mm, grown_box
from irplan.planning.rules import Obstacle, PathRules, looked_for
from irplan.planning.skin import skin_points

#: Voxel of the raster where nothing else is asked for, mm, and the number of voxels above which it
#: is made coarser.
RASTER_MM = 1.5
RASTER_VOXELS = 40_000_000
#: Voxel of the blurred organ at most, mm: it is smooth over 5 mm.
ORGAN_FIELD_MM = 2.0
#: Distance between neighbouring entry points on the skin, mm.
ENTRY_SPACING_MM = 3.0
#: The skin is looked for this far away where the longest needle does not reach it, mm.
NEAR_SKIN_MM = 300.0
#: Gaps in the organ up to twice this wide (its vessels) count as organ, mm.
ORGAN_CLOSING_MM = 6.0
#: Organs that can hold a target; the first with most voxels round the target is taken.
TARGET_ORGANS = ("liver", "kidney_left", "kidney_right", "spleen", "pancreas", "lung")


@dataclass(frozen=True, eq=False)
class ObstacleRaster:
    """The packed raster and what belongs to it (layout: `irplan.compute.cpu.rays`).

    ``words`` uint32 on ``grid`` (cubic voxels); ``organ`` float32, the organ's occupancy smoothed
    for the capsule's normal, in voxels ``organ_step`` as wide that begin where the grid begins;
    ``entries_mm`` (n, 3) points on the skin, LPS; ``edge_mm`` (m, 3) points inside the body where
    what was seen ends (the image's faces, the unknown): whether skin follows nobody knows;
    ``beyond`` bool on ``grid``, or None: the unknown from which "skin" is taken to begin, since no
    path is seen all along (`build_raster` with ``end_at_unknown``);
    ``labels`` the cropped label map on its own voxels with vessels below the diameter rule turned
    into organ; ``obstacles`` the groups that were looked for, in the order of the bits;
    ``not_checked`` the groups that were not looked for, or only in part (`looked_for`).
    """

    words: NDArray[np.uint32]
    grid: Grid
    organ: NDArray[np.float32]
    organ_step: int
    organ_name: str | None
    entries_mm: NDArray[np.float64]
    edge_mm: NDArray[np.float64]
    labels: LabelMap
    obstacles: tuple[Obstacle, ...]
    not_checked: tuple[Obstacle, ...]
    rules: PathRules
    beyond: NDArray[np.bool_] | None = None

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
    fill = labels.mask(
        "portal_vein", "hepatic_vein", "vessel", "vessel_in_part", "artery", "bile_duct"
    )[part]
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
    spacing_mm: float = RASTER_MM,
    entry_spacing_mm: float = ENTRY_SPACING_MM,
    unknown: NDArray[np.bool_] | None = None,
    end_at_unknown: bool = False,
    progress: Progress = no_progress,
) -> ObstacleRaster:
    """Make the raster round the target: all that a needle of the longest length can meet.

    ``target`` bool on the labels' grid, not empty.  ``unknown`` bool on the same grid: where
    nothing was seen (outside the field of view), whatever the labels say there.  With
    ``end_at_unknown`` the unknown that reaches the image's edge counts as outside of the body, so
    that paths can begin where what was seen ends; such paths are never clear (`describe_path`).
    The raster's ``rules`` are the given ones as they hold in the target's organ.
    """
    from scipy.ndimage import find_objects

    from irplan.compute.cpu import rays

    progress(0.0, "finding what needles must avoid")
    organ = target_organ(labels, target)
    rules = rules.for_organ(organ)
    beyond = None
    if end_at_unknown and unknown is not None:
        beyond = _reaching_edge(unknown)
        labels = LabelMap(np.where(beyond, np.uint8(0), labels.array), labels.grid, labels.labels)
        unknown = unknown & ~beyond
    box = _reach(labels, target, rules)
    part_labels, part_target = _reachable(labels, target, rules, organ, box)
    native = part_labels.grid
    volume = float(np.prod(np.asarray(native.shape) * np.asarray(native.spacing_mm)))
    spacing = max(spacing_mm, float(np.cbrt(volume / RASTER_VOXELS)))
    grid = native.resized(spacing)
    pick = np.ix_(*(_nearest_index(native, grid, axis) for axis in range(3)))
    coarse = LabelMap(part_labels.array[pick], grid, part_labels.labels)
    coarse_target = part_target[pick]
    dark = None if unknown is None else _grown(unknown[box][pick])

    checked, missing = _split(labels, rules, organ)
    words = np.zeros(grid.shape, dtype=np.uint32)
    boxes = find_objects(coarse.array)
    for number, obstacle in enumerate(checked):
        progress(0.2 + 0.6 * number / len(checked), f"distance to {obstacle.name}")
        _add_obstacle(words, coarse, boxes, obstacle, number)
    outside = coarse.array == 0
    if dark is not None:
        outside &= ~dark
        words[dark] |= np.uint32(rays.UNKNOWN_BIT)
    words[outside] |= np.uint32(rays.OUTSIDE_BIT)
    step = max(1, int(ORGAN_FIELD_MM / spacing + 1e-6))
    smooth = np.zeros(tuple(-(-n // step) for n in grid.shape), dtype=np.float32)
    if organ is not None:
        whole = organ_mask(coarse, coarse_target, organ)
        words[whole] |= np.uint32(rays.ORGAN_BIT)
        smooth = _smoothed(_averaged(whole, step), spacing * step)
    words[coarse_target] |= np.uint32(rays.TARGET_BIT)
    progress(0.9, "points on the skin")
    faces = [(b.start == 0, b.stop == n) for b, n in zip(box, labels.grid.shape, strict=True)]
    entries, edge = skin_points(grid, outside, dark, faces, entry_spacing_mm)
    progress(1.0, "needle map ready")
    return ObstacleRaster(
        words, grid, smooth, step, organ, entries, edge, part_labels, tuple(checked),
        tuple(missing), rules, None if beyond is None else beyond[box][pick],
    )  # fmt: skip


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One voxel more on each side: the raster rounds, and what is not seen must not be grazed."""
    from scipy.ndimage import binary_dilation

    out: NDArray[np.bool_] = binary_dilation(mask, np.ones((3, 3, 3), bool)) if mask.any() else mask
    return out


def _reaching_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of a mask that touch the array's faces."""
    from scipy.ndimage import label

    parts, count = label(mask)
    keep = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        for end in (0, -1):
            keep[np.unique(parts.take(end, axis=axis))] = True
    keep[0] = False
    out: NDArray[np.bool_] = keep[parts]
    return out


def as_unknown(mask: NDArray[Any], grid: Grid) -> NDArray[np.bool_]:
    """What nobody has seen as bool on ``grid``; `GridMismatchError` for another shape."""
    array = np.asarray(mask)
    if array.shape != grid.shape:
        raise GridMismatchError(
            "unknown mask",
            got=f"{array.shape} voxels",
            expected=f"the labels' {grid.shape} voxels (slice, row, column)",
            remedy="Make the mask on the grid of the labels.",
        )
    return array.astype(bool, copy=False)


def _averaged(mask: NDArray[np.bool_], step: int) -> NDArray[np.float32]:
    """Share of the mask in cubes of ``step`` voxels; the last ones may reach out of it."""
    if step == 1:
        return mask.astype(np.float32)
    shape = tuple(-(-n // step) for n in mask.shape)
    out = np.zeros(shape, dtype=np.float32)
    box = bounding_box(mask)
    if box is None:
        return out
    low = [b.start // step for b in box]
    high = [-(-b.stop // step) for b in box]
    whole = np.zeros(tuple((h - a) * step for a, h in zip(low, high, strict=True)), np.uint8)
    source = tuple(slice(a * step, min(h * step, n)) for a, h, n in zip(low, high, mask.shape,
                                                                       strict=True))  # fmt: skip
    whole[tuple(slice(0, s.stop - s.start) for s in source)] = mask[source]
    blocks = whole.reshape(*(v for a, h in zip(low, high, strict=True) for v in (h - a, step)))
    part = tuple(slice(a, h) for a, h in zip(low, high, strict=True))
    out[part] = blocks.sum(axis=(1, 3, 5), dtype=np.float32) / np.float32(step**3)
    return out


def _nearest_index(native: Grid, grid: Grid, axis: int) -> NDArray[np.int64]:
    """Native index nearest to each raster layer; the far rim repeats the last layer."""
    ratio = grid.spacing_mm[axis] / native.spacing_mm[axis]
    at = np.rint((np.arange(grid.shape[axis]) + 0.5) * ratio - 0.5).astype(np.int64)
    return np.asarray(np.clip(at, 0, native.shape[axis] - 1))


def _reach(
    labels: LabelMap, target: NDArray[np.bool_], rules: PathRules
) -> tuple[slice, slice, slice]:
    """The box a needle can need: the longest length round the target, or as far as the skin is.

    Where the rule on length is shorter than the way to the skin the skin must still be in the box:
    else nobody could say how much too short it is.
    """
    box = bounding_box(target)
    if box is None:
        raise ValueError("an empty target reached the raster")  # checked by every public door
    grid = labels.grid
    reach = rules.max_length.value + 10.0
    part = grown_box(box, reach, grid.spacing_mm, grid.shape)
    if reach < NEAR_SKIN_MM:
        wide = grown_box(box, NEAR_SKIN_MM, grid.spacing_mm, grid.shape)
        thin = tuple(max(1, round(3.0 / s)) for s in grid.spacing_mm)
        every = tuple(slice(s.start, s.stop, n) for s, n in zip(wide, thin, strict=True))
        air = grid.index_to_lps(
            np.argwhere(labels.array[every] == 0) * thin + [s.start for s in wide]
        )
        if len(air):
            middle = grid.index_to_lps([(b.start + b.stop - 1) / 2.0 for b in box])
            gap = float(np.linalg.norm(air - middle, axis=1).min()) + 15.0
            part = grown_box(box, max(reach, gap), grid.spacing_mm, grid.shape)
    return part


def _reachable(
    labels: LabelMap,
    target: NDArray[np.bool_],
    rules: PathRules,
    organ: str | None,
    part: tuple[slice, slice, slice],
) -> tuple[LabelMap, NDArray[np.bool_]]:
    """Labels and target in the box ``part``; vessels below the rule's diameter become organ."""
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
    """Groups of which a structure was looked for, and groups not (wholly) looked for.

    Vessels that were seen in part are in both: avoided, and never clear (`looked_for`).
    """
    checked: list[Obstacle] = []
    missing: list[Obstacle] = []
    for o in rules.obstacles:
        names = tuple(n for n in o.structures if n != organ)
        if not names:
            continue
        rest = Obstacle(o.name, names, o.hard_mm, o.soft_mm, o.needed, o.source)
        if any(labels.checked(n) for n in names):
            checked.append(rest)
        if not looked_for(rest, labels):
            missing.append(rest)
    return checked, missing


def _add_obstacle(
    words: NDArray[np.uint32],
    coarse: LabelMap,
    boxes: Sequence[tuple[slice, ...] | None],
    obstacle: Obstacle,
    number: int,
) -> None:
    """Paint one group into the words; ``boxes`` of the labels' values as of `find_objects`."""
    from irplan.compute.cpu import distance_field as kernels

    values = [coarse.label(n).value for n in obstacle.structures if coarse.checked(n)]
    found = [b for v in values if v <= len(boxes) and (b := boxes[v - 1]) is not None]
    if not found:
        return
    box = tuple(slice(min(b[a].start for b in found), max(b[a].stop for b in found))
                for a in range(3))  # fmt: skip
    h = coarse.grid.spacing_mm[0]
    cap = obstacle.soft_mm + 0.5 * h
    part = grown_box((box[0], box[1], box[2]), cap, coarse.grid.spacing_mm, coarse.grid.shape)
    table = np.zeros(256, dtype=bool)
    table[values] = True
    distance = capped_distance_mm(table[coarse.array[part]], coarse.grid.spacing_mm, cap)
    at = np.array([s.start for s in part], dtype=np.int64)
    sizes = tuple(np.float32(v) for v in (obstacle.hard_mm, obstacle.soft_mm, 0.5 * h))
    in_parts(
        distance.shape[0],
        lambda a, b: kernels.add_obstacle(words, at, distance, number, *sizes, a, b),
    )


def _smoothed(share: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float32]:
    """Occupancy blurred by 5 mm, wider than the voxels' terraces: its gradient is the normal."""
    from scipy.ndimage import gaussian_filter

    out = np.zeros(share.shape, dtype=np.float32)
    box = bounding_box(share > 0.0)
    if box is not None:
        part = grown_box(box, 16.0, (spacing_mm,) * 3, share.shape)
        out[part] = gaussian_filter(share[part], 5.0 / spacing_mm, truncate=3.0)
    return out
