"""The rejected path that came nearest: which rule, which structure, where, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irplan.geometry import Needle, Point3, as_point
from irplan.planning.checks import UNKNOWN_RULE, PathChecks, check_paths
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.entry_paths import EntryPaths
from irplan.planning.obstacles import ObstacleRaster


@dataclass(frozen=True)
class Shortfall:
    """One rule that the path breaks: ``measured`` against ``limit``, ``short_by`` in ``unit``."""

    rule: str
    structure: str
    """Obstacle or organ; empty for a rule on the needle alone."""
    measured: float
    limit: float
    unit: str
    short_by: float
    at_mm: Point3
    """Where: the obstacle's nearest voxel, else the entry."""
    words: str


@dataclass(frozen=True)
class NearestMiss:
    """The path that breaks the rules by least, and all that it breaks."""

    entry_mm: Point3
    tip_mm: Point3
    length_mm: float
    shortfalls: tuple[Shortfall, ...]

    @property
    def rule(self) -> str:
        """The first rule it breaks; empty where none is named."""
        return self.shortfalls[0].rule if self.shortfalls else ""

    @property
    def words(self) -> str:
        """One sentence for errors and reports."""
        return (
            f"the best path, {self.length_mm:.0f} mm from entry {_place(self.entry_mm)}: "
            + "; ".join(s.words for s in self.shortfalls)
        )


def miss_of(raster: ObstacleRaster, meter: ClearanceMeter, found: EntryPaths) -> NearestMiss | None:
    """The nearest miss of a search; None where no path was rejected (or none was tried)."""
    at = found.nearest()
    if at is None:
        return None
    entry, tip = found.entries_mm[at[0]], found.tips_mm[at[1]]
    checks = check_paths(raster, entry[None], tip[None])
    needle = Needle(as_point(tip, field="tip"), as_point(entry, field="entry"))
    shortfalls = (*_obstacles(raster, meter, checks, needle), *_geometry(raster, checks, needle))
    return NearestMiss(needle.entry_mm, needle.tip_mm, needle.depth_mm, shortfalls)


def _obstacles(
    raster: ObstacleRaster, meter: ClearanceMeter, checks: PathChecks, needle: Needle
) -> list[Shortfall]:
    from irplan.compute.cpu import rays

    k = len(raster.obstacles)
    stuck = [number for number in range(k) if checks.broken[0, number]]
    names = [raster.obstacles[n].name for n in stuck]
    if checks.broken[0, k]:
        names.append("the outside of the body")
    if not names:
        return []
    along = f"{_amount(float(checks.blocked_mm[0]))} mm of it too close to {' and '.join(names)}"
    (clear,) = meter.measure([needle])
    index = np.rint(raster.grid.lps_to_index(needle.tip_mm)).astype(int)
    tip_word = int(raster.words[tuple(index)]) if np.all(index >= 0) and np.all(
        index < raster.words.shape) else rays.OUTSIDE_BIT  # fmt: skip
    out = []
    for number in stuck:
        o = raster.obstacles[number]
        gap = min(clear.distance_mm[o.name], o.hard_mm)
        at = clear.at_mm.get(o.name, needle.entry_mm)
        words = f"{o.name} {gap:.1f} mm away at {_place(at)}, {_amount(o.hard_mm - gap)} mm short"
        if tip_word & (1 << number):
            words += (
                f"; the tip itself lies in or within {o.hard_mm:g} mm of {o.name}: no direction "
                "helps, only another tip"
            )
        out.append(Shortfall(checks.rule_names[number], o.name, gap, o.hard_mm, "mm",
                             o.hard_mm - gap, at, words))  # fmt: skip
    if checks.broken[0, k]:
        out.append(Shortfall(checks.rule_names[k], "outside of the body",
                             float(checks.blocked_mm[0]), 0.0, "mm", float(checks.blocked_mm[0]),
                             needle.entry_mm, "it leaves the body or the image"))  # fmt: skip
    first = out[0]
    out[0] = Shortfall(first.rule, first.structure, first.measured, first.limit, first.unit,
                       first.short_by, first.at_mm, f"{along}; {first.words}")  # fmt: skip
    return out


def _geometry(raster: ObstacleRaster, checks: PathChecks, needle: Needle) -> list[Shortfall]:
    k, r = len(raster.obstacles), raster.rules
    organ = raster.organ_name or ""
    rows = (
        (k + 1, "", checks.length_mm[0], r.max_length.value, 1.0, "mm", "mm too long"),
        (k + 2, "", abs(checks.tilt_deg[0]), r.max_tilt.value, 1.0, "deg", "deg too tilted"),
        (k + 3, "", checks.below_horizontal_deg[0], r.max_below_horizontal.value, 1.0, "deg",
         "deg too far below the horizontal"),
        (k + 4, organ, checks.organ_path_mm[0], r.min_organ_path.value, -1.0, "mm",
         "mm of healthy organ missing before the target"),
        (k + 5, organ, checks.capsule_deg[0], r.min_capsule_angle.value, -1.0, "deg",
         "deg too flat to the capsule"),
    )  # fmt: skip
    out = []
    for rule, structure, measured, limit, sign, unit, what in rows:
        if checks.broken[0, rule]:
            short = sign * (float(measured) - limit)
            out.append(Shortfall(checks.rule_names[rule], structure, float(measured), limit, unit,
                                 short, needle.entry_mm, f"{_amount(short)} {what}"))  # fmt: skip
    if checks.broken[0, k + 6]:
        out.append(Shortfall(UNKNOWN_RULE, "unknown", 0.0, 0.0, "mm", 0.0, needle.entry_mm,
                             "part of it runs through what nobody has seen"))  # fmt: skip
    return out


def _place(point: Point3) -> str:
    return "(" + ", ".join(f"{v:.0f}" for v in point) + ")"


def _amount(value: float) -> str:
    """One decimal; what would round to nothing is "less than 0.1"."""
    return f"{value:.1f}" if value >= 0.05 else "less than 0.1"
