"""Start the window."""

from __future__ import annotations

import os
import signal
import sys

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QWidget

from irplan_planner.widgets import theme


def run(what: str | None = None) -> int:
    """Show the planner with a case, CT or ``sample:NAME`` and wait for its end; the exit code."""
    app = _application("irplan planner")
    from irplan_planner.widgets.window import PlannerWindow

    window = PlannerWindow()
    if what is not None:
        window.open(what)  # read while the window is being drawn
    window.fit_to_screen()
    window.show()
    QTimer.singleShot(0, window.view3d.start)
    return _until_closed(app, window)


def run_fluoro(what: str | None = None) -> int:
    """Show the fluoroscopy bench, with a DICOM run or a simulated one; the exit code."""
    app = _application("irplan fluoroscopy bench")
    from irplan_planner.widgets.fluoro_window import FluoroWindow

    window = FluoroWindow()
    window.fit_to_screen()
    window.show()
    if what is None:
        window.simulate.click()
    else:
        window.open(what)
    return _until_closed(app, window)


def _application(name: str) -> QApplication:
    os.environ.setdefault("QT_API", "pyside6")
    app = QApplication.instance() or QApplication([sys.argv[0]])
    app.setApplicationName(name)
    app.setStyle("Fusion")
    dark(app)
    return app


def _until_closed(app: QApplication, window: QWidget) -> int:
    # Ctrl-C in the terminal closes the window; Python only sees it while it runs now and then.
    signal.signal(signal.SIGINT, lambda *_: window.close())
    code: int = app.exec()
    sys.stdout.flush()
    # Everything is closed; Qt and VTK may abort while the interpreter takes them apart.
    os._exit(code)


def dark(app: QApplication) -> None:
    """A dark palette for what the style sheet does not reach."""
    palette = QPalette()
    for role, colour in (
        (QPalette.ColorRole.Window, theme.BACK), (QPalette.ColorRole.Base, theme.PANEL),
        (QPalette.ColorRole.AlternateBase, theme.RAISED), (QPalette.ColorRole.Button, theme.RAISED),
        (QPalette.ColorRole.WindowText, theme.INK), (QPalette.ColorRole.Text, theme.INK),
        (QPalette.ColorRole.ButtonText, theme.INK), (QPalette.ColorRole.Highlight, theme.ACCENT),
        (QPalette.ColorRole.PlaceholderText, theme.MUTED),
    ):  # fmt: skip
        palette.setColor(role, colour)
    app.setPalette(palette)
