"""Drive the real window by the mouse, from open to draft report; prints one JSON line at the end.

    xvfb-run -a -s "-screen 0 1600x900x24" python -m tests.planner.drive_workflow [OPTIONS]

``--open`` what to open, ``--centre`` and ``--diameter`` where the tumour lies (what a reader would
see), ``--shots`` a folder that gets a screenshot of each step.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_API", "pyside6")

from irplan_planner.widgets.app import dark
from irplan_planner.widgets.window import PlannerWindow
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

LEFT = Qt.MouseButton.LeftButton


class Driver:
    """A hand on the mouse."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.app = QApplication.instance() or QApplication([sys.argv[0]])
        self.app.setStyle("Fusion")
        dark(self.app)
        self.started = time.perf_counter()
        self.window = PlannerWindow()
        self.window.fit_to_screen()
        size = self.app.primaryScreen().size()
        self.window.resize(size)
        self.window.move(0, 0)
        self.window.show()
        self.window.view3d.start()
        self.clicks = 0
        self.shots = 0
        self.longest_gap_s = 0.0

    def wait(self, until: Callable[[], bool], seconds: float = 300.0) -> None:
        end = time.monotonic() + seconds
        before = time.perf_counter()
        while not until():
            self.app.processEvents()
            now = time.perf_counter()
            self.longest_gap_s = max(self.longest_gap_s, now - before)
            before = now
            time.sleep(0.004)
            if time.monotonic() > end:
                errors = [m for m in self.window.desk.messages if m.tone == "error"]
                raise SystemExit(f"waited {seconds:g} s in vain; messages: {errors}")
        self.app.processEvents()

    def idle(self) -> None:
        """Wait for what was asked for, not for what is worked out beside it (probabilities)."""
        jobs = self.window.desk.jobs
        self.wait(lambda: all(j.lane == "background" for j in jobs.active()))

    def shot(self, name: str) -> None:
        self.shots += 1
        if self.options.shots is None:
            return
        for _ in range(30):
            self.app.processEvents()
            time.sleep(0.005)
        picture = self.app.primaryScreen().grabWindow(0)
        picture.save(str(self.options.shots / f"{self.shots:02d}-{name}.png"))

    def press(self, action: str) -> None:
        found = [
            b
            for b in self.window.findChildren(QPushButton)
            if b.property("action") == action and b.isVisible() and b.isEnabled()
        ]
        if not found:
            raise SystemExit(f"no button '{action}' that can be pressed")
        self.clicks += 1
        QTest.mouseClick(found[0], LEFT)

    def wheel_to(self, view: Any, point: Any) -> None:
        """Scroll a view by the wheel until its slice goes through a point (no click)."""
        for _ in range(600):
            frame = self.window.scene.frame(view.name)
            _, off = frame.to_picture(point)
            if abs(float(off)) <= 0.51 * self.window.desk.state.grid.spacing_mm[frame.axis]:
                return
            step = 120 if off > 0 else -120
            middle = QPointF(view.width() / 2, view.height() / 2)
            event = QWheelEvent(
                middle, view.mapToGlobal(middle), QPoint(), QPoint(0, step),
                Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase, False,
            )  # fmt: skip
            self.app.sendEvent(view, event)
        raise SystemExit("the wheel never reached the tumour's slice")

    def stroke(self, view: Any, a: Any, b: Any) -> None:
        p, q = view.screen_of(a).toPoint(), view.screen_of(b).toPoint()
        self.clicks += 1
        QTest.mousePress(view, LEFT, pos=p)
        for t in (0.3, 0.7, 1.0):
            QTest.mouseMove(view, p + (q - p) * t)
        self.app.processEvents()
        QTest.mouseRelease(view, LEFT, pos=q)

    def run(self) -> dict[str, Any]:
        w, options = self.window, self.options
        centre, half = options.centre, 0.5 * options.diameter
        self.shot("start")
        if options.open.startswith("sample:"):
            self.press(options.open.replace(":", "-"))
        else:
            w.open(options.open)  # a folder dropped on the window, or given on the command line
            self.clicks += 1
        view = w.views["axial"]
        self.wait(lambda: w.desk.state.volume is not None and view.painted > 0)
        opened_s = time.perf_counter() - self.started
        self.shot("load")
        self.press("segment")
        self.wait(lambda: w.desk.state.labels is not None)
        self.idle()
        self.shot("segment")
        self.wheel_to(view, centre)
        x, y, z = centre
        self.stroke(view, (x - half, y, z), (x + half, y, z))
        self.wait(lambda: w.desk.state.target is not None)
        self.idle()
        self.shot("target")
        self.press("plan")
        self.wait(lambda: w.desk.state.plan is not None)
        self.idle()
        if w.view3d.plotter is None and os.environ.get("DISPLAY"):
            self.wait(lambda: "checking" not in w.view3d._words.text(), 60)
        self.shot("plan")
        self.press("step-report")
        self.press("draft")
        self.wait(lambda: w.desk.state.report is not None)
        self.shot("report")
        state = w.desk.state
        result = {
            "clicks": self.clicks,
            "opened_s": round(opened_s, 2),
            "total_s": round(time.perf_counter() - self.started, 1),
            "longest_gap_s": round(self.longest_gap_s, 3),
            "needles": len(state.plan.placements),
            "margin_mm": round(state.simulation.minimal_margin_mm, 2),
            "target_ml": round(state.target.volume_ml(state.grid), 2),
            "shown": "DRAFT" in w.results.report.toPlainText(),
            "steps": {v.name: v.status for v in w.planner.steps()},
            "3d": w.view3d.plotter is not None,
            "3d_painted": w.view3d.painted,
            "errors": [m.text for m in w.desk.messages if m.tone == "error"],
        }
        w._end(keep=False)
        w.close()
        self.app.processEvents()
        alive = [t.name for t in threading.enumerate() if t.name.startswith("irplan")]
        return result | {"threads_left": alive}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--open", default="sample:demo")
    parser.add_argument("--centre", default="-96.2,-11.6,-70.2")
    parser.add_argument("--diameter", type=float, default=18.0)
    parser.add_argument("--shots", type=Path)
    options = parser.parse_args()
    options.centre = tuple(float(v) for v in options.centre.split(","))
    if options.shots is not None:
        options.shots.mkdir(parents=True, exist_ok=True)
    print(json.dumps(Driver(options).run()))


if __name__ == "__main__":
    main()
