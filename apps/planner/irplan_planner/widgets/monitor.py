"""Sizes of a window for the monitor it is on, and the window inside that monitor."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QRect, QTimer
from PySide6.QtGui import QGuiApplication, QScreen, QWindow
from PySide6.QtWidgets import QMainWindow

from irplan_planner.widgets import theme

#: A window's size at scale 1, pixels.
_WIDE, _HIGH = 1500, 880


class OnMonitor(QObject):
    """Follows ``window`` from monitor to monitor; ``scaled`` sets its sizes for a scale."""

    def __init__(self, window: QMainWindow, scaled: Callable[[float], None]) -> None:
        super().__init__(window)
        self._window, self._scaled = window, scaled
        self._handle: QWindow | None = None
        self._now: float | None = None
        window.installEventFilter(self)

    def fit(self) -> None:
        """The window's first size, on the monitor that it will be shown on."""
        screen = self._window.screen()
        if screen is None:
            return
        scale = self._scale(screen)
        size = screen.availableGeometry()
        self._window.resize(
            min(size.width(), round(_WIDE * scale)), min(size.height(), round(_HIGH * scale))
        )

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Shown, or its native window made anew (by OpenGL): its monitor is told by another."""
        if event.type() in (QEvent.Type.Show, QEvent.Type.WinIdChange):
            handle = self._window.windowHandle()
            if handle is not None and handle is not self._handle:
                self._handle = handle
                handle.screenChanged.connect(self._moved)
        return False

    def next(self) -> bool:
        """To the next monitor, filling it; False where there is one."""
        screens = QGuiApplication.screens()
        if len(screens) < 2:
            return False
        screen = screens[(screens.index(self._window.screen()) + 1) % len(screens)]
        self._window.showNormal()
        self._scale(screen)
        self._window.setGeometry(screen.availableGeometry())
        # Widgets made for a large monitor hold the window open until they are laid out anew.
        QTimer.singleShot(0, lambda: self._window.setGeometry(screen.availableGeometry()))
        return True

    def _scale(self, screen: QScreen) -> float:
        size = screen.availableGeometry()
        scale = theme.scale_for(size.width(), size.height())
        if scale != self._now:
            self._now = scale
            self._window.setStyleSheet(theme.style_sheet(scale))
            self._scaled(scale)
        return scale

    def _moved(self, screen: QScreen) -> None:
        self._scale(screen)
        for ms in (0, 60):  # widgets made for a large monitor are laid out anew in between
            QTimer.singleShot(ms, self._keep)

    def _keep(self) -> None:
        """Not larger than the monitor, and on one; where on it is the hand's that moves it."""
        window, screen = self._window, self._window.screen()
        if screen is None or window.isFullScreen() or window.isMaximized():
            return
        most, now = screen.availableGeometry(), window.geometry()
        size = now.size().boundedTo(most.size())
        seen = any(s.availableGeometry().contains(now.center()) for s in QGuiApplication.screens())
        if size != now.size() or not seen:
            window.setGeometry(QRect(now.topLeft() if seen else most.topLeft(), size))
