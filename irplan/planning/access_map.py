"""The access map: how much of the target needles from each entry point may reach, and how well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.compute.backend import resolve_backend
from irplan.compute.device import open_device
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import LabelMap
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.entry_paths import EntryPaths, paths_of_entries
from irplan.planning.nearest_miss import NearestMiss, miss_of
from irplan.planning.obstacles import ObstacleRaster, as_unknown, build_raster
from irplan.planning.paths import PathCandidate, PathWeights
from irplan.planning.rules import PathRules
from irplan.planning.target import as_target_mask, check_target
from irplan.planning.trajectories import shortlist

#: Voxel of the map's raster, distance between entries and between targets, mm.
MAP_MM = 1.0
ENTRY_MM = 3.0
TARGET_MM = 3.0
#: Target points at most; of a larger target they are farther apart.
MOST_TARGETS = 400

#: What `AccessMap.status` holds.
CLEAR, NOT_CHECKED, BLOCKED = 0, 1, 2
STATUS_WORDS = ("clear", "not checked", "blocked")


@dataclass(frozen=True, eq=False)
class AccessMap:
    """What needles from each entry point may reach; n entries, m target points, LPS mm.

    ``on_skin`` (n,) False where an entry is no skin but the end of what was seen.  ``status`` (n,)
    `CLEAR`: a path to at least one target keeps every rule, every needed group was looked for and
    all of the path was seen; `NOT_CHECKED`: a path keeps every rule that could be checked, not
    more; `BLOCKED`.  ``clear_share`` and ``unchecked_share`` (n,) of the targets, 0..1 (their sum
    is what breaks no known rule).  ``best_cost`` (n,) smallest score of those paths (0 = ideal,
    +inf where there is none), to target ``best_target`` (-1), ``best_length_mm`` NaN where there
    is none.  ``limiting`` (n,) index into ``limits`` (obstacles, then ``rule_names``): of an entry
    with a path the structure whose soft distance that path goes deepest into (-1: none), of a
    blocked one the rule that blocks most of its targets.  ``miss_mm`` (n,) how far the nearest
    rejected path is from the rules.
    """

    entries_mm: NDArray[np.float64]
    on_skin: NDArray[np.bool_]
    targets_mm: NDArray[np.float64]
    status: NDArray[np.uint8]
    clear_share: NDArray[np.float64]
    unchecked_share: NDArray[np.float64]
    best_cost: NDArray[np.float64]
    best_target: NDArray[np.int64]
    best_length_mm: NDArray[np.float64]
    limiting: NDArray[np.int64]
    limits: tuple[str, ...]
    rule_names: tuple[str, ...]
    miss_mm: NDArray[np.float64]
    candidates: tuple[PathCandidate, ...]
    """Ranked and de-clustered, each checked on the labels; what was not looked at is in each."""
    unchecked_candidates: tuple[PathCandidate, ...]
    """The same for paths through the unknown: never clear."""
    nearest_miss: NearestMiss | None
    blocked_by: tuple[tuple[str, int], ...]
    paths: int
    admissible: int
    unchecked: int
    not_checked: tuple[str, ...]
    """Groups of structures nobody looked for."""
    not_checked_needed: tuple[str, ...]
    """Those of them without which no path is called clear."""
    organ: str | None
    rules: PathRules
    weights: PathWeights
    raster_mm: float
    entry_spacing_mm: float
    target_spacing_mm: float
    backend: str
    messages: tuple[str, ...]

    def share(self) -> NDArray[np.float64]:
        """(n,) share of the targets reached without breaking a known rule, 0..1."""
        out: NDArray[np.float64] = self.clear_share + self.unchecked_share
        return out


def access_map(
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    rules: PathRules | None = None,
    weights: PathWeights | None = None,
    unknown: NDArray[Any] | None = None,
    raster_mm: float = MAP_MM,
    entry_spacing_mm: float = ENTRY_MM,
    target_spacing_mm: float = TARGET_MM,
    backend: str = "auto",
    progress: Progress = no_progress,
) -> AccessMap:
    """Every straight path from the skin to every point of the target, under the hard rules, scored.

    Parameters
    ----------
    labels : structures on the image's grid; what is not listed was not looked for.
    target_mask : bool on the same grid.
    rules, weights : limits and weights of the soft terms; the defaults are sourced there.
    unknown : bool on the same grid, where nothing was seen (outside a truncated field of view,
        metal); a path through it is never clear.
    raster_mm : voxel of the raster on which every path is walked, 0.5 to 3 mm.
    entry_spacing_mm, target_spacing_mm : one entry and one target point a cube of this edge, 1 to
        20 mm; a target with more than 400 points gets fewer.
    backend : "auto", "cpu" or "cuda".

    Raises
    ------
    InputError, GridMismatchError : bad target or mask, a setting out of range.
    BackendError, MissingExtraError : "cuda" where there is none.

    A target that nothing reaches is no error: the map says why, entry by entry, and
    ``nearest_miss`` what is missing.  Cost: about 2 s for an abdomen on 2 cores.
    Known limits: straight, rigid needles; patient supine; obstacles on the raster, candidates
    measured on the labels.
    """
    rules = PathRules() if rules is None else rules
    weights = PathWeights() if weights is None else weights
    _check("raster_mm", raster_mm, 0.5, 3.0)
    _check("entry_spacing_mm", entry_spacing_mm, 1.0, 20.0)
    _check("target_spacing_mm", target_spacing_mm, 1.0, 20.0)
    chosen = resolve_backend(backend)
    target = as_target_mask(target_mask, labels.grid)
    if not labels.checked("body"):
        raise InputError(
            "labels",
            got="no structure 'body'",
            expected="labels in which every voxel of the patient is body or another structure",
            remedy="What has no label counts as air: segment the body too.",
        )
    messages = list(check_target(labels, target))
    dark = None if unknown is None else as_unknown(unknown, labels.grid)
    raster = build_raster(
        labels, target, rules, spacing_mm=raster_mm, entry_spacing_mm=entry_spacing_mm,
        unknown=dark, progress=portion(progress, 0.0, 0.4),
    )  # fmt: skip
    meter = ClearanceMeter.from_raster(raster)
    tips, step = target_points(target, labels.grid, target_spacing_mm)
    entries = np.concatenate([raster.entries_mm, raster.edge_mm])
    on_skin = np.arange(len(entries)) < len(raster.entries_mm)
    found = paths_of_entries(
        raster, entries, tips, weights,
        device=open_device() if chosen.name == "cuda" else None,
        progress=portion(progress, 0.45, 0.9),
    )  # fmt: skip
    needed = tuple(o.name for o in raster.not_checked if o.needed)
    if needed:
        messages.append(
            f"Not looked for, or found only in part: {', '.join(needed)}. No path is called clear."
        )
    if raster.organ_name is None:
        messages.append(
            "No segmented organ surrounds the target: the rules on the capsule and on healthy "
            "tissue could not be checked."
        )
    if not on_skin.any():
        messages.append("No skin within reach: the body is cut off by the image on every side.")
    progress(0.92, "measuring the best paths")
    sure = on_skin & (found.clear > 0)
    candidates, refused = _candidates(raster, meter, found, sure, 0, weights, unsure=False)
    open_ends = ~on_skin & (found.clear > 0)
    through = found.unsure > 0
    maybe = [
        *_candidates(raster, meter, found, open_ends, 0, weights, unsure=True)[0],
        *_candidates(raster, meter, found, through, 1, weights, unsure=True)[0],
    ]
    if sure.any() and not candidates:
        messages.append(f"Admissible on the raster, not on the labels: {refused}.")
    progress(1.0, "access map ready")
    return AccessMap(
        entries_mm=entries,
        on_skin=on_skin,
        targets_mm=tips,
        **_per_entry(raster, found, on_skin, bool(needed)),
        candidates=tuple(candidates),
        unchecked_candidates=tuple(sorted(maybe, key=lambda c: c.cost)),
        nearest_miss=miss_of(raster, meter, found),
        blocked_by=found.blocked_by,
        paths=len(entries) * len(tips),
        admissible=int(found.clear[on_skin].sum()),
        unchecked=int(found.unsure.sum() + found.clear[~on_skin].sum()),
        not_checked=tuple(o.name for o in raster.not_checked),
        not_checked_needed=needed,
        organ=raster.organ_name,
        rules=raster.rules,
        weights=weights,
        raster_mm=raster.spacing_mm,
        entry_spacing_mm=entry_spacing_mm,
        target_spacing_mm=step,
        backend=f"{chosen.name}: {chosen.reason}",
        messages=tuple(messages),
    )


def target_points(
    target: NDArray[np.bool_], grid: Grid, spacing_mm: float
) -> tuple[NDArray[np.float64], float]:
    """(m, 3) LPS points of the target, the voxel nearest the middle of each cube; and the edge.

    The cubes have ``spacing_mm`` or, where there would be more than 400, a larger edge.
    """
    index = np.argwhere(target)
    volume = len(index) * grid.voxel_volume_mm3
    edge = max(spacing_mm, float(np.cbrt(volume / MOST_TARGETS)))
    place = (index - index.min(axis=0) + 0.5) * np.asarray(grid.spacing_mm) / edge
    cell = np.floor(place).astype(np.int64)
    off = np.linalg.norm(place - cell - 0.5, axis=1)
    number = np.ravel_multi_index(tuple(cell.T), tuple(cell.max(axis=0) + 1))
    order = np.lexsort((off, number))
    _, first = np.unique(number[order], return_index=True)
    return grid.index_to_lps(index[order[first]]), edge


def _candidates(
    raster: ObstacleRaster,
    meter: ClearanceMeter,
    found: EntryPaths,
    rows: NDArray[np.bool_],
    column: int,
    weights: PathWeights,
    *,
    unsure: bool,
) -> tuple[list[PathCandidate], str]:
    at = np.flatnonzero(rows)
    tips = found.tips_mm[found.best_tip[at, column]]
    return shortlist(
        raster, meter, found.entries_mm[at], tips, found.cost[at, column], weights, unsure=unsure
    )


def _per_entry(
    raster: ObstacleRaster, found: EntryPaths, on_skin: NDArray[np.bool_], needed: bool
) -> dict[str, Any]:
    """The fields of `AccessMap` with one value an entry."""
    n, m = len(found.entries_mm), max(1, len(found.tips_mm))
    sure = on_skin & (not needed)
    clear = np.where(sure, found.clear, 0)
    unchecked = found.unsure + found.clear - clear
    status = np.where(clear > 0, CLEAR, np.where(unchecked > 0, NOT_CHECKED, BLOCKED))
    # Of an entry with a path that is seen all along that one is the best, else the unsure one.
    column = np.where(found.clear > 0, 0, 1)
    rows = np.arange(n)
    best = found.best_tip[rows, column]
    length = np.full(n, np.nan)
    has = best >= 0
    length[has] = np.linalg.norm(found.entries_mm[has] - found.tips_mm[best[has]], axis=1)
    names = (*(o.name for o in raster.obstacles), *found.rule_names)
    limiting = np.where(found.soft[rows, column] > 0, found.soft_group[rows, column], -1)
    k = len(raster.obstacles)
    if n:
        rule = np.argmax(found.broken, axis=1)
        rule[found.broken.sum(axis=1) == 0] = k + 1  # nothing tested: all paths far too long
        limiting = np.where(status == BLOCKED, k + rule, limiting)
    return {
        "status": status.astype(np.uint8),
        "clear_share": clear / m,
        "unchecked_share": unchecked / m,
        "best_cost": found.cost[rows, column],
        "best_target": best,
        "best_length_mm": length,
        "limiting": limiting.astype(np.int64),
        "limits": names,
        "rule_names": found.rule_names,
        "miss_mm": found.miss,
    }


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(
            name,
            got=f"{value:g} mm",
            expected=f"{low:g} to {high:g} mm",
            remedy="Leave it out for the default.",
        )
