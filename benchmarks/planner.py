"""The planner's window in figures: first picture, scrolling, 3-D, drag, memory.

    python -m benchmarks.planner                         # plan the demo, then measure on it
    python -m benchmarks.planner --prepare CASE          # the demo's plan as a saved case
    python -m benchmarks.planner --prepare CASE --open CT --centre x,y,z --diameter MM
    python -m benchmarks.planner CASE [--open CT]        # measure (needs Xvfb or a display)

Measured in the real window on an X server (Xvfb is started where there is no display), drawn in
software.  "First picture" is from the start of the process to the first slice painted.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments, report, row

#: Figure -> unit, sign and limit (None: for information).
KINDS: dict[str, tuple[str, str, float | None]] = {
    "first picture": ("s", "<=", 3.0),
    "scroll axial, all views following": ("1/s", ">=", 30.0),
    "scroll axial, slowest frame": ("s", "", None),
    "3-D": ("1/s", ">=", 15.0),
    "drag to zone and margins (carried along)": ("s", "<=", 0.2),
    "drag, slowest": ("s", "", None),
    "drag to computed zone (two levels, 50 ms of them rest)": ("s", "<=", 1.0),
    "drop in mid-move to zone and margins on the full grid (two levels)": ("s", "<=", 1.0),
    "drop in mid-move to all rows of the verdict on it": ("s", "<=", 1.0),
    "drop in mid-move to the plan simulated anew": ("s", "", None),
    "two levels against simulated anew: smallest margin": ("mm", "", None),
    "drop after 3 s at rest to simulated anew and judged": ("s", "<=", 1.0),
    "smallest margin, carried less computed": ("mm", "", None),
    "memory": ("GB", "<=", 4.0),
    "fluoroscopy bench, frames shown of 15/s": ("1/s", ">=", 14.5),
}


def prepare(folder: Path, what: str, centre: tuple[float, ...], diameter: float) -> None:
    """Segment, cut out the tumour, plan, save."""
    from irplan_planner.model.planner import Planner

    planner = Planner(background=False)
    if what.startswith("sample:"):
        planner.files.sample(what.removeprefix("sample:"))
    else:
        planner.files.open(what)
    planner.wait()
    planner.segment.automatic()
    planner.wait()
    x, y, z = centre
    planner.segment.stroke((x - diameter / 2, y, z), (x + diameter / 2, y, z))
    planner.wait()
    planner.plans.search()
    planner.wait()
    shutil.rmtree(folder, ignore_errors=True)
    planner.files.save(folder)
    planner.wait()
    print([m.text for m in planner.desk.messages])
    planner.close()


def first_picture(what: str) -> float:
    """Seconds from the start of a process to its first slice."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.planner", "--child-first", what],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1])["painted"]) - began


def _window(what: str) -> tuple[Any, Any]:
    os.environ.setdefault("QT_API", "pyside6")
    from irplan_planner.widgets.app import dark
    from irplan_planner.widgets.window import PlannerWindow
    from PySide6.QtWidgets import QApplication

    app = QApplication([sys.argv[0]])
    app.setStyle("Fusion")
    dark(app)
    window = PlannerWindow()
    window.open(what)
    window.fit_to_screen()
    window.resize(app.primaryScreen().size())
    window.show()
    return app, window


def _until(app: Any, condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        app.processEvents()
        time.sleep(0.002)
        if time.monotonic() > end:
            raise SystemExit("waited in vain")


def child_first(what: str) -> None:
    """Print when the first slice was painted."""
    app, window = _window(what)
    view = window.views["axial"]
    _until(app, lambda: window.desk.state.volume is not None or window.desk.glance is not None)
    view.repaint()
    print(json.dumps({"painted": time.time()}), flush=True)
    window._end(keep=False)
    window.close()


def measure(case: str) -> dict[str, float]:
    """All but the first picture, on a saved case with a plan."""
    app, window = _window(case)
    window.view3d.start()
    desk = window.desk
    _until(app, lambda: desk.state.simulation is not None and desk.state.simulation.exact)
    _until(app, lambda: window.view3d.plotter is not None and desk.jobs.idle)
    window._rest.stop()
    out: dict[str, float] = {}
    window.zoom_to_target()
    axial, frames = window.views["axial"], []
    for k in range(120):
        before, began = axial.painted, time.perf_counter()
        axial.step(1 if (k // 10) % 2 else -1)
        app.processEvents()
        assert axial.painted > before
        frames.append(time.perf_counter() - began)
    out["scroll axial, all views following"] = len(frames) / sum(frames)
    out["scroll axial, slowest frame"] = max(frames)
    plotter = window.view3d.plotter
    window.view3d.draw()
    start = time.perf_counter()
    for _ in range(40):
        plotter.camera.azimuth += 4.0
        plotter.renderer.ResetCameraClippingRange()
        plotter.render()
    out["3-D"] = 40.0 / (time.perf_counter() - start)
    carried, computed, gaps = [], [], []
    for k in range(12):
        at = (0.5 * k, 0.3 * k, 0.0)
        before, began = desk.live, time.perf_counter()
        window.planner.edit.drag(1, "tip", at)
        old = None if before is None else before.simulation
        _until(app, lambda o=old: _zone_is_new(desk, o))
        app.processEvents()  # drawn
        carried.append(time.perf_counter() - began)
        first = desk.live.simulation.minimal_margin_mm
        _until(app, lambda: _computed(desk))
        computed.append(time.perf_counter() - began)
        gaps.append(abs(first - desk.live.simulation.minimal_margin_mm))
    out["drag to zone and margins (carried along)"] = sorted(carried)[len(carried) // 2]
    out["drag, slowest"] = max(carried)
    words = "drag to computed zone (two levels, 50 ms of them rest)"
    out[words] = sorted(computed)[len(computed) // 2]
    out["smallest margin, carried less computed"] = max(gaps)
    drops = []
    for k in range(5):  # each from where the last one was dropped
        window.planner.edit.drag(1, "tip", (1.0, -0.5 * k, 1.0))
        _until(app, lambda: desk.live is not None and desk.live.simulation.grade == "carried")
        drops.append(_dropped(app, window))
        end = time.monotonic() + 1.0
        _until(app, lambda e=end: time.monotonic() > e and desk.jobs.idle)
    middle = [sorted(d[n] for d in drops)[len(drops) // 2] for n in range(3)]
    out["drop in mid-move to zone and margins on the full grid (two levels)"] = middle[0]
    out["drop in mid-move to all rows of the verdict on it"] = middle[1]
    out["drop in mid-move to the plan simulated anew"] = middle[2]
    out["two levels against simulated anew: smallest margin"] = max(d[3] for d in drops)
    window.planner.edit.drag(1, "tip", (-2.0, 1.0, 0.0))
    end = time.monotonic() + 3.0
    _until(app, lambda: time.monotonic() > end)
    out["drop after 3 s at rest to simulated anew and judged"] = _dropped(app, window)[2]
    out["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    window._end(keep=False)
    window.close()
    return out


def playback() -> float:
    """Frames shown a second of a simulated run at 15/s, source and filtered side by side."""
    from irplan_planner.widgets.app import dark
    from irplan_planner.widgets.fluoro_window import FluoroWindow
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication([sys.argv[0]])
    dark(app)
    window = FluoroWindow()
    window.resize(app.primaryScreen().size())
    window.show()
    window.simulate.click()
    bench = window.bench
    _until(app, lambda: bench.run is not None and bench.ready == len(bench.run))
    _until(app, lambda: bench.jobs.idle)
    window.play.setChecked(True)
    shown, began = window.view.shown, time.perf_counter()
    _until(app, lambda: time.perf_counter() - began > 4.0)
    rate = (window.view.shown - shown) / (time.perf_counter() - began)
    window.close()
    return rate


def _zone_is_new(desk: Any, old: Any) -> bool:
    live = desk.live
    if live is None or live.simulation is None:
        return False
    return old is None or live.simulation.result is not old.result


def _computed(desk: Any) -> bool:
    """The zone shown is of the needles shown, and computed."""
    found = desk.simulation
    return (
        found is not None and found.grade != "carried" and found.placements == desk.placements
    )  # fmt: skip


def _dropped(app: Any, window: Any) -> tuple[float, float, float, float]:
    """Seconds from letting go to the computed zone, to all rows of it, to the full simulation
    with its rows; mm between the smallest margins of the two."""
    desk, began = window.desk, time.perf_counter()
    window.planner.edit.drop()
    _until(app, lambda: _computed(desk))
    app.processEvents()
    zone = time.perf_counter() - began
    first = desk.simulation.minimal_margin_mm
    _until(app, lambda: desk.simulation.evaluation is not None)
    app.processEvents()
    rows = time.perf_counter() - began
    _until(app, lambda: desk.simulation.exact and desk.simulation.evaluation is not None)
    last = desk.simulation.minimal_margin_mm
    return zone, rows, time.perf_counter() - began, abs(last - first)


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("case", nargs="?")
    options.add_argument("--prepare", type=Path)
    options.add_argument("--open", default="sample:demo")
    options.add_argument("--centre", default="-96.2,-11.6,-70.2")
    options.add_argument("--diameter", type=float, default=18.0)
    options.add_argument("--child-first")
    given = options.parse_args()
    centre = tuple(float(v) for v in given.centre.split(","))
    if given.prepare is not None:
        prepare(given.prepare, given.open, centre, given.diameter)
        return
    if not os.environ.get("DISPLAY"):
        screen = ["xvfb-run", "-a", "-s", "-screen 0 1600x900x24"]
        again = [sys.executable, "-m", "benchmarks.planner", *sys.argv[1:]]
        sys.exit(subprocess.call([*screen, *again]))
    if given.child_first:
        child_first(given.child_first)
        return
    with tempfile.TemporaryDirectory() as scratch:
        case = given.case
        if case is None:
            case = str(Path(scratch) / "case")
            prepare(Path(case), given.open, centre, given.diameter)
        found = {"first picture": first_picture(given.open)} | measure(case)
        found["fluoroscopy bench, frames shown of 15/s"] = playback()
    rows = []
    for name, value in found.items():
        unit, sign, limit = KINDS[name]
        met = None if limit is None else (value <= limit) if sign == "<=" else (value >= limit)
        words = None if limit is None else f"{sign} {limit:g}"
        rows.append(row(name, value, unit, words, met))
    report(f"Planner ({given.open})", rows, json_file=given.json)


if __name__ == "__main__":
    main()
