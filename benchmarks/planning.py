"""Placement of applicators: real and generated targets, two baselines, an exhaustive search.

    python -m benchmarks.planning [--ircad 02 ...] [--kits 00003 ...] [--liver SEED ...]
                                  [--exhaustive] [--edits] [--data DIR] [--json FILE]

For each case: wall time of the whole optimisation (`plan_ablation`, structures given), applicators,
covered share of the target and of target + 5 mm in the fine simulation, minimal margin, and the
same for integer set cover (Ren 2014) and greedy sphere packing, which place on the same admissible
needles and are judged by the same simulation (the best of all cryoprobes).  A case
without any admissible plan prints the reason.  Kidneys are planned with the patient prone, as
renal cryoablation is done: the table's side is free.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import arguments, report, row
from benchmarks.planning_cases import (
    IRCAD,
    KITS,
    Case,
    describe,
    ircad_cases,
    kits_cases,
    liver_cases,
)
from irplan.errors import IrplanError
from irplan.planning import PathRules, PlanOptions, TargetGeometry
from irplan.planning.baselines import BaselinePlan, exhaustive, set_cover, sphere_packing
from irplan.planning.case import paint_target, plan_ablation
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.margins import counted_points
from irplan.planning.obstacles import build_raster
from irplan.planning.optimise_score import Confirmed
from irplan.planning.probes import ProbePlanner
from irplan.planning.replan import PlanEditor
from irplan.planning.trajectories import search_paths, spread_points

#: A plan is worse than a baseline's when it leaves this much more uncovered, or needs more needles.
TIE = 0.002


def planner_of(case: Case, options: PlanOptions) -> ProbePlanner:
    """The planner that `plan_ablation` would use for a case."""
    way = options.way
    rules = way.rules(options.rules)
    raster = build_raster(case.labels, case.target, rules)
    meter = ClearanceMeter.from_raster(raster)
    geometry = TargetGeometry.from_mask(case.target, case.labels, raster.organ_name)
    return ProbePlanner(
        raster=raster,
        meter=meter,
        labels=paint_target(case.labels, case.target, raster.organ_name),
        target=geometry,
        counted=counted_points(geometry, rules.subcapsular_depth.value),
        paths=search_paths(raster, meter, spread_points(case.target, case.labels.grid, 7)),
        rules=rules,
        modality=way,
        margin_goal_mm=options.margin_mm,
    )


def best_baseline(planner: ProbePlanner, name: str, most: int) -> Confirmed | None:
    """The best of one baseline over cryoprobes, in the best direction, on the fine grid."""
    found: list[BaselinePlan] = []
    for tool, direction in planner.pairs():
        problem = planner.problem(tool, direction)
        if direction > 0 or not len(problem.pivots.points_mm):
            continue
        try:
            found.append(
                set_cover(planner, problem, direction)
                if name == "set cover"
                else sphere_packing(planner, problem, direction, most)
            )
        except IrplanError:
            continue
    if not found:
        return None
    best = min(found, key=lambda b: (not b.layout.covered, b.layout.count if b.layout.covered
                                     else b.layout.shortfall, b.layout.shortfall))  # fmt: skip
    return planner.confirm(best.layout)


def case_rows(case: Case, options: PlanOptions) -> list[dict[str, Any]]:
    """Our plan and both baselines on one case."""
    print(f"{case.name}: {describe(case)}", flush=True)
    started = time.perf_counter()
    try:
        plan = plan_ablation(case.volume, case.labels, case.target, options=options)
    except IrplanError as error:
        print(f"  no plan after {time.perf_counter() - started:.1f} s: {error}")
        return [row(f"{case.name}: no admissible plan", str(error)[:90])]
    wall = time.perf_counter() - started
    e = plan.evaluation
    count = len(plan.plan.placements)
    covered = e.target_coverage >= 0.9995 and e.margin_coverage >= 0.99
    rows = [
        row(f"{case.name}: whole optimisation", wall, "s", 60, wall <= 60.0),
        row(f"{case.name}: {plan.plan.placements[0].applicator.name}", count),
        row(f"{case.name}: target", 100 * e.target_coverage, "%", 100, e.target_coverage >= 0.9995),
        row(f"{case.name}: target + {options.margin_mm:g} mm", 100 * e.margin_coverage, "%",
            ">= 99", e.margin_coverage >= 0.99),
        row(f"{case.name}: minimal margin", e.minimal_margin_mm, "mm"),
    ]  # fmt: skip
    if not covered:
        for message in plan.messages:
            if "not met" in message:
                print("  " + message)
    ours = 4.0 * (1.0 - e.target_coverage) + 1.0 - e.margin_coverage
    planner = planner_of(case, options)
    for name in ("set cover", "sphere packing"):
        other = best_baseline(planner, name, int(planner.rules.max_probes.value))
        if other is None:
            rows.append(row(f"{case.name}: {name}", "no admissible set"))
            continue
        good = ours <= other.shortfall + TIE
        if covered and other.covered:
            good = count <= other.layout.count
        elif covered:
            good = True
        words = (
            f"{other.layout.count} needles, {100 * other.target_share:.2f} / "
            f"{100 * other.margin_share:.2f} %, margin {other.margin_mm:.1f} mm"
        )
        rows.append(row(f"{case.name}: {name}", words, "", "not better", good))
    return rows


def exhaustive_rows(case: Case) -> list[dict[str, Any]]:
    """One cryoprobe: the optimiser against every tenth of the admissible places, simulated."""
    options = PlanOptions(probes=1)
    planner = planner_of(case, options)
    every = []
    for tool, direction in planner.pairs():
        problem = planner.problem(tool, direction)
        if len(problem.pivots.points_mm):
            every += exhaustive(planner, problem, direction, 1, 12)
    tried = len(every)
    best = min(every, key=lambda k: (k.shortfall, k.healthy_ml))
    own = planner_of(case, options).find(1).confirmed.layout
    near = own.margin_share >= 0.95 * best.margin_share
    return [
        row(f"{case.name}: exhaustive, {tried} places", 100 * best.margin_share, "%"),
        row(f"{case.name}: optimiser, one probe", 100 * own.margin_share, "%", "within 5 %", near),
    ]


def edit_rows(case: Case) -> list[dict[str, Any]]:
    """How long one edit takes: a tip moved by half a millimetre, margins measured."""
    plan = plan_ablation(case.volume, case.labels, case.target)
    planner = planner_of(case, PlanOptions())
    editor = PlanEditor(plan.plan, plan.labels, planner.target, result=plan.result)
    tip = np.array(plan.plan.placements[0].needle.tip_mm)
    took = []
    for step in range(1, 8):
        started = time.perf_counter()
        moved = tip + np.array([0.5 * step, 0.0, 0.0])
        editor.move_tip(1, (float(moved[0]), float(moved[1]), float(moved[2])))
        took.append(time.perf_counter() - started)
    middle = float(np.median(took))
    name = f"{case.name}: edit of {len(plan.plan.placements)} probes, median of 7"
    return [row(name, middle, "s", 0.2, middle <= 0.2)]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--ircad", nargs="*", default=[], help=f"of {' '.join(IRCAD)}, or all")
    parser.add_argument("--kits", nargs="*", default=[], help=f"of {' '.join(KITS)}, or all")
    parser.add_argument("--liver", nargs="*", type=int, default=[], help="seeds of phantoms")
    parser.add_argument("--diameter", type=float, default=22.0, help="of their tumours, mm")
    parser.add_argument("--exhaustive", action="store_true", help="a small phantom, one probe")
    parser.add_argument("--edits", action="store_true", help="time of an edit on a phantom")
    default = Path(os.environ.get("IRPLAN_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=default)
    options = parser.parse_args()

    def cases() -> Iterator[tuple[Case, PlanOptions]]:
        prone = PathRules().with_values(max_below_horizontal=90.0, min_organ_path=0.0)
        for case in liver_cases(tuple(options.liver), options.diameter):
            yield case, PlanOptions()
        if options.ircad:
            names = IRCAD if options.ircad == ["all"] else tuple(options.ircad)
            for case in ircad_cases(options.data, names):
                yield case, PlanOptions()
        if options.kits:
            names = KITS if options.kits == ["all"] else tuple(options.kits)
            for case in kits_cases(options.data, names):
                yield case, PlanOptions(rules=prone)

    rows: list[dict[str, Any]] = []
    for case, how in cases():
        rows += case_rows(case, how)
    if options.exhaustive:
        for case in liver_cases((11,), 9.0):
            rows += exhaustive_rows(case)
    if options.edits:
        for case in liver_cases((12,), 12.0):
            rows += edit_rows(case)
    report("Placement of applicators", rows, json_file=options.json)


if __name__ == "__main__":
    main()
