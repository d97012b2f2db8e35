"""One cryo problem solved by irplan and by its peers at equal error of the 0 degC radius.

    python -m benchmarks.ablation_peers [--quick] [--env DIR] [--only NAME ...] [--json FILE]

A 1.5 x 30 mm probe at -140 degC after a 60 s ramp in uniform liver, 600 s, 64^3 voxels of 1 mm;
perfusion stops where tissue freezes.  Every program solves the same enthalpy equation on the same
voxels with the same distributed line source (for scikit-fem's stencil its strength is worked out
anew, so that the probe has the same radius).  Each runs alone in a process of its own, the peers
in an environment made from benchmarks/peers-requirements.txt (`benchmarks.peer_environment`).

Error is held against a 2-D axisymmetric solution of the true probe (tests/reference).  A peer
counts as solved at equal error when its radius lies within 0.06 mm of irplan's.  Explicit peers
take the longest stable step, FiPy the longest implicit one within that error: none of them is
made slower than it need be.  Build is import, assembly and compilation; solve starts from rest
and ends with temperatures.  ``--quick`` takes 32^3 voxels of 2 mm: 32 times less work; its ratios
are no evidence for the limits, because overheads weigh more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation_problems import mid_plane_radius_mm, oracle_radii_mm
from benchmarks.measure import arguments, load, report, row
from benchmarks.peer_environment import interpreter, make_environment
from benchmarks.peers import common
from irplan.ablation import TISSUES
from irplan.ablation.tissue_table import BLOOD_DENSITY, BLOOD_HEAT_CAPACITY

HERE = Path(__file__).resolve().parent
BODY_C = 37.0
TIME_ERROR_MM = 0.06
EQUAL_WITHIN_MM = 0.06
LEVELS_C = (0.0, -20.0, -40.0)
LONGEST_S = 1800.0


@dataclass(frozen=True)
class Peer:
    """A program: its script in benchmarks/peers, what it must import, irplan's least ratio."""

    name: str
    script: str
    module: str
    at_least: float | None
    threads: int | None = None  # None: all


PEERS = (
    Peer("irplan", "with_irplan", "irplan", None),
    Peer("Devito", "with_devito", "devito", 5.0),
    Peer("NumPy", "plain_numpy", "numpy", None),
    Peer("py-pde, all threads", "with_pypde", "pde", 100.0),
    Peer("py-pde, 1 thread", "with_pypde", "pde", 100.0, threads=1),
    Peer("FiPy", "with_fipy", "fipy", 100.0),
    Peer("scikit-fem", "with_skfem", "skfem", 100.0),
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a peer returned, or why it did not."""

    peer: Peer
    not_run: str = ""
    build_s: float = 0.0
    walls_s: tuple[float, ...] = ()
    radii_mm: tuple[float, ...] = ()
    facts: dict[str, Any] | None = None
    load: str = ""

    @property
    def solve_s(self) -> float:
        return float(np.median(self.walls_s))


def peer_problem(quick: bool, threads: int) -> common.Problem:
    """The problem in the units of benchmarks/peers/common.py."""
    t = TISSUES["liver"].properties()
    blood = BLOOD_DENSITY.value * BLOOD_HEAT_CAPACITY.value
    return common.Problem(
        n=32 if quick else 64,
        h_mm=2.0 if quick else 1.0,
        duration_s=600.0,
        ramp_s=60.0,
        capacity=tuple(c * 1e-6 for c in t.heat_capacity_j_per_m3k),
        conductivity=tuple(t.conductivity_w_per_mk),
        perfusion=t.perfusion_per_s * blood * 1e-6,
        tau_liquidus=t.liquidus_c - BODY_C,
        tau_solidus=t.solidus_c - BODY_C,
        tau_probe=-140.0 - BODY_C,
        probe_radius_mm=0.75,
        active_length_mm=30.0,
        time_error_mm=TIME_ERROR_MM,
        threads=threads,
    )


def solve(peer: Peer, problem: common.Problem, python: Path | None, work: Path) -> Outcome:
    """Run one peer in its own process."""
    own = peer.module in ("irplan", "numpy") and (python is None or peer.module == "irplan")
    runner = Path(sys.executable) if own else python
    if runner is None:
        return Outcome(peer, "no environment: give --env or --make-env")
    if not runner.exists():
        return Outcome(peer, "no such environment: python -m benchmarks --make-peers makes it")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONWARNINGS": "ignore"}
    threads = str(peer.threads or problem.threads)
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment[name] = threads
    found = subprocess.run(
        [str(runner), "-c", f"import {peer.module}"], env=environment, capture_output=True
    )
    if found.returncode:
        return Outcome(peer, f"'{peer.module}' cannot be imported by {runner}")
    given, answer = work / "problem.json", work / f"{peer.script}.npz"
    replace(problem, threads=int(threads)).save(given)
    before = load()
    try:
        done = subprocess.run(
            [str(runner), str(HERE / "peers" / f"{peer.script}.py"), given, answer],
            env=environment, cwd=work, capture_output=True, text=True, timeout=LONGEST_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(peer, f"gave up after {LONGEST_S:.0f} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Outcome(peer, f"failed: {last}")
    with np.load(answer) as result:
        c: NDArray[np.float64] = result["tau"].astype(np.float64) + BODY_C
        return Outcome(
            peer,
            build_s=float(result["build_s"]),
            walls_s=tuple(float(w) for w in result["solve_s"]),
            radii_mm=tuple(mid_plane_radius_mm(c, problem.h_mm, v) for v in LEVELS_C),
            facts=json.loads(str(result["facts"])),
            load=before,
        )


def rows_of(
    outcomes: list[Outcome], truth: tuple[float, ...], *, judge: bool = True
) -> list[dict[str, Any]]:
    """Per peer: times, radius and error, ratio to irplan at equal error."""
    ours = next((o for o in outcomes if o.peer.module == "irplan" and not o.not_run), None)
    fastest: dict[str, float] = {}
    for o in outcomes:
        if not o.not_run:
            fastest[o.peer.module] = min(o.solve_s, fastest.get(o.peer.module, np.inf))
    rows = [
        row(f"oracle: {v:g} degC radius", r, "mm") for v, r in zip(LEVELS_C, truth, strict=True)
    ]
    for o in outcomes:
        name = o.peer.name
        if o.not_run:
            rows.append(row(f"{name}: {o.not_run}", "not run"))
            continue
        facts = o.facts or {}
        rows.append(row(f"{name} {facts['version']}: build", o.build_s, "s"))
        rows.append(row(f"  {facts['steps']} steps, {facts['scheme']}", "", ""))
        span = f"  solve: median of {len(o.walls_s)} ({min(o.walls_s):.3f} to "
        rows.append(row(f"{span}{max(o.walls_s):.3f} s)", o.solve_s, "s"))
        error = o.radii_mm[0] - truth[0]
        limit = 0.3 if judge else None
        met = abs(error) <= 0.3 if judge else None
        rows.append(row("  0 degC radius: error", error, "mm", limit, met))
        for level, r, t in list(zip(LEVELS_C, o.radii_mm, truth, strict=True))[1:]:
            rows.append(row(f"  {level:g} degC radius: error", r - t, "mm"))
        if ours is not None and o is not ours:
            apart = abs(o.radii_mm[0] - ours.radii_mm[0])
            equal = apart <= EQUAL_WITHIN_MM
            ratio = o.solve_s / ours.solve_s
            words = "at equal error" if equal else f"NOT at equal error ({apart:.2f} mm apart)"
            judged = judge and o.peer.at_least is not None and o.solve_s == fastest[o.peer.module]
            least = f">= {o.peer.at_least:g}" if judged else ""
            fast = bool(equal and ratio >= (o.peer.at_least or 0.0)) if judged else None
            rows.append(row(f"  time over irplan's, {words}", ratio, "x", least, fast))
        rows[-1]["load_average_before"] = o.load
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="32^3 voxels of 2 mm")
    parser.add_argument("--env", type=Path, default=None, help="environment that has the peers")
    parser.add_argument("--make-env", type=Path, default=None, help="create that environment")
    parser.add_argument("--only", nargs="*", default=None, help="peers whose name holds a word")
    options = parser.parse_args()
    folder = options.make_env or options.env
    if options.make_env is not None:
        make_environment(options.make_env)
    python = None if folder is None else interpreter(folder)
    problem = peer_problem(options.quick, len(os.sched_getaffinity(0)))
    words = options.only
    chosen = [p for p in PEERS if words is None or any(w.lower() in p.name.lower() for w in words)]
    outcomes = []
    with tempfile.TemporaryDirectory() as work:
        for peer in chosen:
            print(f"{peer.name} ... (load average {load()})", file=sys.stderr, flush=True)
            outcomes.append(solve(peer, problem, python, Path(work)))
            last = outcomes[-1]
            said = last.not_run or f"build {last.build_s:.2f} s, solve {last.solve_s:.3f} s"
            print(f"   {said}", file=sys.stderr, flush=True)
    left_out = [Outcome(p, "left out by --only") for p in PEERS if p not in chosen]
    truth = oracle_radii_mm(LEVELS_C, step_mm=0.375 if options.quick else 0.25)
    title = f"Peers, {problem.n}^3 voxels of {problem.h_mm:g} mm" + (
        " (--quick: no evidence for the limits)" if options.quick else ""
    )
    rows = rows_of([*outcomes, *left_out], truth, judge=not options.quick)
    report(title, rows, json_file=options.json)


if __name__ == "__main__":
    main()
