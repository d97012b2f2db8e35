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
    "scroll axial": ("1/s", ">=", 30.0),
    "scroll all four slices": ("1/s", ">=", 30.0),
    "3-D": ("1/s", ">=", 15.0),
    "drag to zone and margins": ("s", "<=", 0.2),
    "drag, slowest": ("s", "", None),
    "drop to full resolution": ("s", "<=", 1.0),
    "drop to all rows of the verdict": ("s", "", None),
    "memory": ("GB", "<=", 4.0),
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
    _until(app, lambda: window.desk.state.volume is not None and view.painted > 0)
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
    for name, views in (
        ("axial", [window.views["axial"]]),
        ("all four slices", [*window.views.values()]),
    ):
        start = time.perf_counter()
        for k in range(60):
            window.views["axial"].step(1 if (k // 10) % 2 else -1)
            for view in views:
                view.repaint()
            app.processEvents()
        out[f"scroll {name}"] = 60.0 / (time.perf_counter() - start)
    plotter = window.view3d.plotter
    window.view3d.draw()
    start = time.perf_counter()
    for _ in range(40):
        plotter.camera.azimuth += 4.0
        plotter.renderer.ResetCameraClippingRange()
        plotter.render()
    out["3-D"] = 40.0 / (time.perf_counter() - start)
    edits = []
    for k in range(14):
        before = desk.live
        began = time.perf_counter()
        window.planner.edit.drag(1, "tip", (0.5 * k, 0.3 * k, 0.0))
        _until(app, lambda b=before: desk.live is not b and desk.live.simulation is not None
               and (b is None or desk.live.simulation is not b.simulation))  # fmt: skip
        edits.append(time.perf_counter() - began)
    edits.sort()
    out["drag to zone and margins"] = edits[len(edits) // 2]
    out["drag, slowest"] = edits[-1]
    began = time.perf_counter()
    window.planner.edit.drop()
    _until(app, lambda: desk.live is None and desk.state.simulation is not None
           and desk.state.simulation.exact)  # fmt: skip
    out["drop to full resolution"] = time.perf_counter() - began
    _until(app, lambda: desk.state.simulation.evaluation is not None)
    out["drop to all rows of the verdict"] = time.perf_counter() - began
    out["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    window._end(keep=False)
    window.close()
    return out


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
    rows = []
    for name, value in found.items():
        unit, sign, limit = KINDS[name]
        met = None if limit is None else (value <= limit) if sign == "<=" else (value >= limit)
        words = None if limit is None else f"{sign} {limit:g}"
        rows.append(row(name, value, unit, words, met))
    report(f"Planner ({given.open})", rows, json_file=given.json)


if __name__ == "__main__":
    main()
