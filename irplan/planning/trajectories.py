"""Needle paths from the skin to the target under the hard rules, ranked and explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError, NoAdmissiblePathError
from irplan.geometry import Grid, Needle, Point3, as_point
from irplan.image import LabelMap
from irplan.planning.checks import PathChecks, check_paths, nearest_miss, rule_names
from irplan.planning.clearance import Clearance, ClearanceMeter
from irplan.planning.obstacles import ObstacleRaster, build_raster
from irplan.planning.paths import PathCandidate, PathSearch, PathTerm
from irplan.planning.rules import PathRules
from irplan.planning.target import as_target_mask, check_target

#: Paths checked between two progress calls.
CHUNK = 100_000
#: Entries of two candidates are at least this far apart, mm.
DECLUSTER_MM = 12.0
#: Candidates kept, and clusters looked at to find them.
KEEP = 12
CLUSTERS = 60
#: Organ path above which more is no safer, mm [S].
COMFORTABLE_ORGAN_PATH_MM = 15.0


@dataclass(frozen=True)
class PathWeights:
    """Weights of the soft terms [S]; each term runs from 0 (ideal) to 1 (at its hard limit)."""

    length: float = 1.0
    obstacle: float = 1.0
    tilt: float = 0.5
    capsule_angle: float = 0.5
    organ_path: float = 0.3


def find_paths(
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    tip_points_mm: ArrayLike | None = None,
    rules: PathRules | None = None,
    weights: PathWeights | None = None,
    progress: Progress = no_progress,
) -> PathSearch:
    """Test every skin entry point against every tip point and rank what is admissible.

    Parameters
    ----------
    labels : structures on the image's grid (any orientation and spacing).
    target_mask : bool on the same grid.
    tip_points_mm : (n, 3) LPS mm, where the tip may be; by default the target's centroid and up to
        six more points spread inside it.
    rules, weights : limits and weights; the defaults are sourced in `rules`.

    Raises
    ------
    NoAdmissiblePathError : names the rule that blocked most, counts per rule, and how close the
        best path came.  A path can break several rules and counts for each.
    InputError, GridMismatchError : bad target, tip points outside the image.

    Cost: about 1 microsecond a path.  Known limit: straight, rigid needles; patient supine.
    """
    rules = PathRules() if rules is None else rules
    target = as_target_mask(target_mask, labels.grid)
    check_target(labels, target)
    if tip_points_mm is None:
        tips = spread_points(target, labels.grid, 7)
    else:
        tips = np.atleast_2d(np.asarray(tip_points_mm, dtype=np.float64))
        if tips.ndim != 2 or tips.shape[1] != 3 or not bool(np.all(labels.grid.contains(tips))):
            raise InputError(
                "tip_points_mm",
                got=f"an array of shape {tips.shape}, not all inside the image",
                expected="(n, 3) points in LPS mm inside the image",
                remedy="Give the points as x, y, z in LPS mm.",
            )
    raster = build_raster(labels, target, rules, progress=portion(progress, 0.0, 0.5))
    meter = ClearanceMeter.from_raster(raster)
    return search_paths(raster, meter, tips, weights, progress=portion(progress, 0.5, 1.0))


def search_paths(
    raster: ObstacleRaster,
    meter: ClearanceMeter,
    tips_mm: NDArray[np.float64],
    weights: PathWeights | None = None,
    *,
    progress: Progress = no_progress,
) -> PathSearch:
    """`find_paths` on a raster and meter that exist already."""
    weights = PathWeights() if weights is None else weights
    names = rule_names(raster)
    blocked = np.zeros(len(names), dtype=np.int64)
    tested = 0
    good: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []
    closest: PathChecks | None = None
    per_chunk = max(1, CHUNK // max(1, len(tips_mm)))
    entries = raster.entries_mm
    for first in range(0, len(entries), per_chunk):
        progress(first / len(entries), "testing needle paths")
        part = entries[first : first + per_chunk]
        a = np.repeat(part, len(tips_mm), axis=0)
        b = np.tile(tips_mm, (len(part), 1))
        # What is too long by half again tells nothing about the rules that matter.
        near = np.linalg.norm(b - a, axis=1) <= 1.5 * raster.rules.max_length.value
        checks = check_paths(raster, a[near], b[near])
        tested += len(checks.length_mm)
        blocked += checks.broken.sum(axis=0)
        ok = checks.admissible
        good.append((a[near][ok], b[near][ok], _coarse_cost(checks, raster, weights)[ok]))
        closest = _closer(closest, checks)
    miss = "" if closest is None else nearest_miss(raster, closest)
    by_rule = tuple(
        (names[i], int(blocked[i])) for i in np.argsort(-blocked, kind="stable") if blocked[i]
    )
    entry = np.concatenate([g[0] for g in good]) if good else np.empty((0, 3))
    tip = np.concatenate([g[1] for g in good]) if good else np.empty((0, 3))
    cost = np.concatenate([g[2] for g in good]) if good else np.empty(0)
    admissible = len(cost)
    candidates, refused = _shortlist(raster, meter, entry, tip, cost, weights)
    progress(1.0, f"{admissible} of {tested} paths admissible")
    if candidates:
        return PathSearch(tuple(candidates), tested, admissible, by_rule, miss)
    if admissible:  # admissible on the raster, not on the labels themselves
        miss = refused
    worst = by_rule[0][0] if by_rule else "no skin within the needle's reach"
    count = by_rule[0][1] if by_rule else 0
    raise NoAdmissiblePathError(
        "needle path",
        got=f"no admissible path among {tested}; most are blocked by '{worst}' ({count})",
        expected="at least one path from the skin to the target under the hard rules",
        remedy=f"Nearest miss: {miss}. Check the labels there, or relax that rule knowingly.",
        blocked_by=by_rule,
        nearest_miss=miss,
    )


def spread_points(target: NDArray[np.bool_], grid: Grid, count: int) -> NDArray[np.float64]:
    """(n, 3) LPS points inside the target: the voxel nearest the centroid, then farthest points."""
    points = grid.index_to_lps(np.argwhere(target))
    centre = points.mean(axis=0)
    chosen = [int(np.argmin(np.linalg.norm(points - centre, axis=1)))]
    # Half-way in from the edge: a tip at the very edge would ablate beside the target.
    inner = centre + 0.6 * (points - centre)
    gap = np.linalg.norm(inner - inner[chosen[0]], axis=1)
    while len(chosen) < count and gap.max() > 3.0:
        chosen.append(int(np.argmax(gap)))
        gap = np.minimum(gap, np.linalg.norm(inner - inner[chosen[-1]], axis=1))
    return np.concatenate([points[chosen[:1]], inner[chosen[1:]]])


def describe_path(
    raster: ObstacleRaster,
    checks: PathChecks,
    number: int,
    needle: Needle,
    clearance: Clearance,
    weights: PathWeights | None = None,
) -> PathCandidate:
    """The path ``number`` of ``checks`` with every term of its score, measured on the labels."""
    w = PathWeights() if weights is None else weights
    rules = raster.rules
    terms = [
        PathTerm("length", needle.depth_mm, "mm", w.length,
                 w.length * needle.depth_mm / rules.max_length.value),
        PathTerm("tilt out of the axial plane", needle.craniocaudal_tilt_deg, "deg", w.tilt,
                 w.tilt * abs(needle.craniocaudal_tilt_deg) / max(1e-6, rules.max_tilt.value)),
    ]  # fmt: skip
    if raster.organ_name is not None:
        angle = float(checks.capsule_deg[number])
        if np.isfinite(angle):
            part = (90.0 - angle) / max(1e-6, 90.0 - rules.min_capsule_angle.value)
            terms.append(
                PathTerm("angle to the capsule", angle, "deg", w.capsule_angle,
                         w.capsule_angle * part**2, f"where it enters the {raster.organ_name}")
            )  # fmt: skip
        inside = float(checks.organ_path_mm[number])
        terms.append(
            PathTerm("healthy organ before the target", inside, "mm", w.organ_path,
                     w.organ_path * float(_organ_shortage(np.array(inside), raster)))
        )  # fmt: skip
    limiting, least, at = "none within the soft distances", np.inf, needle.entry_mm
    for o in raster.obstacles:
        distance = clearance.distance_mm[o.name]
        width = max(1e-6, o.soft_mm - o.hard_mm)
        deficit = float(np.clip((o.soft_mm - distance) / width, 0.0, 1.0))
        if np.isfinite(distance):
            terms.append(
                PathTerm(f"distance to {o.name}", distance, "mm", w.obstacle,
                         w.obstacle * deficit**2, f"hard {o.hard_mm:g}, soft {o.soft_mm:g} mm")
            )  # fmt: skip
        if distance - o.hard_mm < least:
            least, limiting = distance - o.hard_mm, o.name
            at = clearance.at_mm.get(o.name, at)
    return PathCandidate(
        needle,
        float(sum(t.cost for t in terms)),
        tuple(terms),
        {k: v for k, v in clearance.distance_mm.items() if np.isfinite(v)},
        limiting,
        at,
    )


def describe_needles(
    raster: ObstacleRaster, meter: ClearanceMeter, needles: Sequence[Needle]
) -> tuple[PathCandidate, ...]:
    """The terms of any needles, admissible or not."""
    entry = np.array([n.entry_mm for n in needles])
    tip = np.array([n.tip_mm for n in needles])
    checks = check_paths(raster, entry, tip)
    return tuple(
        describe_path(raster, checks, i, needle, clear)
        for i, (needle, clear) in enumerate(zip(needles, meter.measure(list(needles)), strict=True))
    )


def keeps_clear(raster: ObstacleRaster, clearance: Clearance) -> bool:
    """True when every obstacle's hard distance is kept on the original labels."""
    return all(clearance.distance_mm[o.name] >= o.hard_mm for o in raster.obstacles)


def _organ_shortage(inside_mm: NDArray[Any], raster: ObstacleRaster) -> NDArray[np.float64]:
    low = raster.rules.min_organ_path.value
    width = max(1e-6, COMFORTABLE_ORGAN_PATH_MM - low)
    out: NDArray[np.float64] = np.clip((COMFORTABLE_ORGAN_PATH_MM - inside_mm) / width, 0.0, 1.0)
    return out


def _coarse_cost(checks: PathChecks, raster: ObstacleRaster, w: PathWeights) -> NDArray[np.float64]:
    rules = raster.rules
    cost = w.length * checks.length_mm / rules.max_length.value
    cost += w.tilt * np.abs(checks.tilt_deg) / max(1e-6, rules.max_tilt.value)
    cost += w.obstacle * checks.soft**2
    if raster.organ_name is not None:
        width = max(1e-6, 90.0 - rules.min_capsule_angle.value)
        flat = np.nan_to_num((90.0 - checks.capsule_deg) / width)
        cost += w.capsule_angle * flat**2 + w.organ_path * _organ_shortage(
            checks.organ_path_mm, raster
        )
    return cost


def _closer(best: PathChecks | None, new: PathChecks) -> PathChecks | None:
    """Of two sets, one path each at most: the one that breaks fewest rules, by shortest way."""
    count = new.broken.sum(axis=1)
    bad = np.flatnonzero(count > 0)
    if not len(bad):
        return best
    i = int(bad[np.lexsort((new.length_mm[bad], new.blocked_mm[bad], count[bad]))[0]])
    one = _one(new, i)
    if best is None:
        return one
    key = [
        (int(c.broken.sum()), float(c.blocked_mm[0]), float(c.length_mm[0])) for c in (best, one)
    ]
    return one if key[1] < key[0] else best


def _one(c: PathChecks, i: int) -> PathChecks:
    s = slice(i, i + 1)
    return PathChecks(
        c.entry_mm[s], c.tip_mm[s], c.rule_names, c.broken[s], c.length_mm[s], c.tilt_deg[s],
        c.below_horizontal_deg[s], c.blocked_mm[s], c.organ_path_mm[s], c.capsule_deg[s],
        c.target_at_mm[s], c.soft[s], c.soft_group[s],
    )  # fmt: skip


def _shortlist(
    raster: ObstacleRaster,
    meter: ClearanceMeter,
    entry: NDArray[np.float64],
    tip: NDArray[np.float64],
    cost: NDArray[np.float64],
    weights: PathWeights,
) -> tuple[list[PathCandidate], str]:
    """De-clustered candidates, cheapest first, each checked on the labels; and the last refusal."""
    order = np.argsort(cost, kind="stable")
    entry, tip = entry[order], tip[order]
    free = np.ones(len(order), dtype=bool)
    picks: list[int] = []
    while len(picks) < CLUSTERS and free.any():
        i = int(np.argmax(free))
        picks.append(i)
        free &= np.linalg.norm(entry - entry[i], axis=1) > DECLUSTER_MM
    needles = [meter.entry_on_skin(Needle(_point(tip[i]), _point(entry[i]))) for i in picks]
    candidates, refused = confirm_paths(raster, meter, needles, weights)
    ranked = sorted((c for c in candidates if c is not None), key=lambda c: c.cost)
    return ranked[:KEEP], refused


def confirm_paths(
    raster: ObstacleRaster,
    meter: ClearanceMeter,
    needles: Sequence[Needle],
    weights: PathWeights | None = None,
) -> tuple[list[PathCandidate | None], str]:
    """Check needles on the raster and on the labels; None for one that breaks a rule.

    The second value says in words why the best of the refused was refused.
    """
    if not needles:
        return [], ""
    entry = np.array([n.entry_mm for n in needles])
    tip = np.array([n.tip_mm for n in needles])
    checks = check_paths(raster, entry, tip)
    ok = checks.admissible
    out: list[PathCandidate | None] = []
    refused, least = "", np.inf
    for i, (needle, clear) in enumerate(zip(needles, meter.measure(list(needles)), strict=True)):
        if ok[i] and keeps_clear(raster, clear):
            out.append(describe_path(raster, checks, i, needle, clear, weights))
            continue
        out.append(None)
        for o in raster.obstacles:
            lack = o.hard_mm - clear.distance_mm[o.name]
            if 0.0 < lack < least:
                least = lack
                refused = (
                    f"the best path comes {clear.distance_mm[o.name]:.1f} mm close to {o.name} "
                    f"(rule: {o.hard_mm:g} mm)"
                )
    return out, refused


def _point(values: NDArray[np.float64]) -> Point3:
    return as_point(values, field="path")
