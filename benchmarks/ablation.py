"""The ablation solvers: how fast, with which error in time, and how right.

    python -m benchmarks.ablation [--json FILE] [--threads N] [--only WORD ...] [--no-reference]
                                  [--no-evidence]

Each row is one public call on 128^3 voxels of 1 mm, warm, repeated: the median is judged, minimum
and maximum are printed, and so is the load of the machine, because its other work counts.  The
error in time is the mean shift of the zone's surface (0 degC, or 54 degC, or the field's
threshold) against the same problem with ``time_error_mm=0.005``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.ablation_evidence import evidence
from benchmarks.ablation_problems import (
    FREEZE,
    heat_problem,
    ire_problem,
    placed,
    problem,
    surface_shift_mm,
    three_probes,
)
from benchmarks.measure import Timing, arguments, load, repeated, report, row
from irplan.ablation import (
    AblationProblem,
    AblationResult,
    CryoResult,
    EditSession,
    FieldResult,
    HeatResult,
    Phase,
    Schedule,
    simulate,
    simulate_many,
)
from irplan.errors import IrplanError
from irplan.geometry import Needle

REFERENCE_ERROR_MM = 0.005
TIME_ERROR_LIMIT_MM = 0.06
BATCH = 16
CENTRE = (0.0, 0.0, 0.0)
#: What a simulation of each kind must return.
RESULT_OF: dict[str, type[AblationResult]] = {
    "cryo": CryoResult,
    "rfa": HeatResult,
    "mwa": HeatResult,
    "ire": FieldResult,
}


@dataclass(frozen=True)
class Case:
    """A problem with the longest time it may take, s, and the limit of its error in time, mm."""

    name: str
    make: Callable[[], AblationProblem]
    limit_s: float | None
    time_error_limit_mm: float | None = None


CASES = (
    Case(
        "600 s, one probe, uniform",
        lambda: problem(128, (placed(CENTRE),)),
        0.1,
        TIME_ERROR_LIMIT_MM,
    ),
    Case(
        "600 s, one probe, vessels",
        lambda: problem(128, (placed(CENTRE),), mixed=True),
        0.25,
        TIME_ERROR_LIMIT_MM,
    ),
    Case(
        "10-8-10 min, three probes, vessels",
        lambda: problem(128, three_probes(), Schedule.freeze_thaw_freeze(), mixed=True),
        1.0,
        TIME_ERROR_LIMIT_MM,
    ),
    Case(
        "10-8-10 min, three probes, vessels, 2 mm, 50^3",
        lambda: problem(50, three_probes(), Schedule.freeze_thaw_freeze(), h=2.0, mixed=True),
        None,
    ),
    Case("RFA, cooled 3 cm, 12 min", lambda: heat_problem("rfa-17g-cooled-3cm", 100, 12), 8.0),
    Case(
        "MWA, cooled 2450 MHz, 60 W, 10 min",
        lambda: heat_problem("mwa-14g-cooled-2450", 60, 10),
        1.0,
    ),
    Case("IRE, two needles, 90 s", ire_problem, 1.5),
)


def case_rows(case: Case, threads: int | None, reference: bool) -> list[dict[str, Any]]:
    """Time, error in time and energy balance of one case."""
    before = load()
    try:
        p = case.make()
        results = [simulate(p, threads=threads)]  # warm
        kind = p.placements[0].applicator.kind
        if not isinstance(results[0], RESULT_OF[kind]):  # a time of another physics is no time
            words = f"a {type(results[0]).__name__} for an applicator of kind '{kind}'"
            return [row(f"{case.name}: {words}", "not run", "", case.limit_s)]
        timing = repeated(lambda: results.append(simulate(p, threads=threads)))
    except IrplanError as error:
        reason = str(error).splitlines()[0]
        return [row(f"{case.name}: {reason}", "not run", "", case.limit_s)]
    rows = [timed_row(case.name, timing, case.limit_s, before)]
    result = results[-1]
    if reference:
        rows.append(reference_row(case, p, result, threads))
    residual = 100 * result.energy.residual_fraction
    rows.append(row("   its energy balance", residual, "%", 0.1, residual <= 0.1))
    return rows


def timed_row(name: str, timing: Timing, limit_s: float | None, before: str) -> dict[str, Any]:
    """The median against its limit, with the spread and the load in which it was taken."""
    median = timing.median_s
    met = None if limit_s is None else median <= limit_s
    low, high = min(timing.walls_s), max(timing.walls_s)
    shown = f"{name} ({low:.3f} to {high:.3f} s)"
    return {
        **row(shown, median, "s", limit_s, met),
        "walls_s": timing.walls_s,
        "load_average_before": before,
    }


def reference_row(
    case: Case, p: AblationProblem, result: AblationResult, threads: int | None
) -> dict[str, Any]:
    fine = simulate(p, threads=threads, time_error_mm=REFERENCE_ERROR_MM)
    shift = surface_shift_mm(result, fine)
    limit = case.time_error_limit_mm
    met = None if limit is None else shift <= limit
    return row("   its error in time (surface shift)", shift, "mm", limit, met)


def edit_rows(threads: int | None) -> list[dict[str, Any]]:
    """A probe moved by 2 mm in a solved plan against a fresh solve of the moved plan."""
    rows = []
    for words, probes, schedule, limit in (
        ("one probe, 600 s", (placed(CENTRE),), FREEZE, 0.1),
        ("three probes, vessels, 10-8-10 min", three_probes(), Schedule.freeze_thaw_freeze(), 0.2),
    ):
        base = problem(128, probes, schedule, mixed=len(probes) > 1)
        session = EditSession(base, threads=threads)
        tip, entry = (np.array(p) for p in (probes[0].needle.tip_mm, probes[0].needle.entry_mm))
        way = np.array([1.4, 1.4, 0.0])
        needle = Needle(tuple(tip + way), tuple(entry + way))
        moved = (replace(probes[0], needle=needle), *probes[1:])
        before, results = load(), [session.edited(moved)]
        timing = repeated(lambda s=session, m=moved, r=results: r.append(s.edited(m)))
        fresh = simulate(replace(base, placements=moved), threads=threads)
        shift = surface_shift_mm(results[-1], fresh)
        rows += [
            timed_row(f"edit: one probe moved 2 mm, {words}", timing, limit, before),
            row("   against a fresh solve (surface shift)", shift, "mm", 0.3, shift <= 0.3),
        ]
    return rows


def batch_rows(threads: int | None) -> list[dict[str, Any]]:
    """Full 600 s plans a second where many are asked for at once."""
    name, least = f"batch of {BATCH} plans, 600 s, one probe", 10.0
    angles = np.arange(BATCH) * 2 * np.pi / BATCH
    problems = [
        problem(128, (placed((3.0 * np.cos(a), 3.0 * np.sin(a), 0.0)),), FREEZE) for a in angles
    ]
    before = load()
    list(simulate_many(problems, workers=threads))
    timing = repeated(lambda: list(simulate_many(problems, workers=threads)), most=5)
    rate = BATCH / timing.median_s
    one = row(f"{name} ({timing})", rate, "/s", f">= {least:g}", rate >= least)
    return [{**one, "walls_s": timing.walls_s, "load_average_before": before}]


def first_call_row(threads: int | None) -> dict[str, Any]:
    started = time.perf_counter()
    short = problem(40, (placed(CENTRE),), Schedule((Phase("freeze", 20.0),)))
    simulate(short, threads=threads)
    return row("first call (compiles, or loads the cache)", time.perf_counter() - started, "s")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", nargs="*", default=None, help="rows whose name holds a word")
    parser.add_argument("--no-reference", action="store_true", help="times only, no fine steps")
    parser.add_argument("--no-evidence", action="store_true", help="leave the 2-D oracle out")
    options = parser.parse_args()

    def wanted(name: str) -> bool:
        words = options.only
        return words is None or any(w.lower() in name.lower() for w in words)

    rows = [first_call_row(options.threads)]
    for case in CASES:
        if wanted(case.name):
            rows += case_rows(case, options.threads, not options.no_reference)
    rows += edit_rows(options.threads) if wanted("edit") else []
    rows += batch_rows(options.threads) if wanted("batch") else []
    if not options.no_evidence and wanted("evidence"):
        rows += evidence()
    report("Ablation solvers", rows, json_file=options.json)


if __name__ == "__main__":
    main()
