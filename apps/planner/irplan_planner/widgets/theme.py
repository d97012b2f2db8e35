"""How the window looks: dark for a dark room, large enough for the screen it is on."""

from __future__ import annotations

from typing import Final

#: Colours by use.
BACK, PANEL, RAISED, LINE = "#0d1117", "#151b23", "#222b36", "#323d4a"
INK, MUTED, ACCENT, WARN, BAD, GOOD = (
    "#e8eef4", "#9fb0c0", "#4cc2ff", "#ffc857", "#ff7a6b", "#6fd3a8",
)  # fmt: skip
NEEDLE, NEEDLE_ACTIVE, ACHIEVED = "#ffe14d", "#ff9a2e", "#58e0ff"
#: Status of a step -> colour and mark: never the colour alone.
STATUS: Final = {
    "missing": ("#6b7887", "–"),
    "open": (ACCENT, "○"),
    "stale": (WARN, "!"),
    "done": (GOOD, "✓"),
}
#: Screen that sizes are meant for, pixels.
_WIDE, _TALL = 1500.0, 880.0


def scale_for(width_px: int, height_px: int) -> float:
    """How much larger (or smaller) than usual everything is drawn on a screen of this size."""
    return max(0.82, min(2.6, min(width_px / _WIDE, height_px / _TALL)))


def style_sheet(scale: float) -> str:
    """The window's style at a scale."""

    def px(n: float) -> str:
        return f"{max(1, round(n * scale))}px"

    return f"""
* {{ font-family: 'DejaVu Sans', 'Noto Sans', sans-serif; font-size: {px(13)}; color: {INK}; }}
QWidget {{ background: {BACK}; }}
QWidget#panel, QWidget#panel QWidget {{ background: {PANEL}; }}
QLabel, QWidget#panel QLabel {{ background: transparent; }}
QLabel#muted {{ color: {MUTED}; }}
QLabel#title {{ font-size: {px(16)}; font-weight: bold; }}
QLabel#banner {{ background: #5c1d1d; color: white; font-weight: bold; padding: {px(3)}; }}
QPushButton, QToolButton {{ background: {RAISED}; border: 1px solid {LINE};
  border-radius: {px(5)}; padding: {px(5)} {px(8)}; min-height: {px(20)}; }}
QPushButton:hover, QToolButton:hover {{ border-color: {ACCENT}; }}
QPushButton:focus, QToolButton:focus, QComboBox:focus,
QLineEdit:focus {{ border: 2px solid {ACCENT}; }}
QPushButton:checked, QToolButton:checked {{ background: #14506e; border-color: {ACCENT}; }}
QPushButton:disabled, QToolButton:disabled {{ color: #5d6975; background: {PANEL}; }}
QPushButton#primary {{ background: #0f6aa0; border-color: {ACCENT}; font-size: {px(16)};
  font-weight: bold; min-height: {px(34)}; }}
QPushButton#primary:hover {{ background: #1580be; }}
QPushButton#primary:disabled {{ background: {RAISED}; border-color: {LINE}; }}
QPushButton#step {{ text-align: left; padding: {px(5)} {px(8)}; min-height: {px(26)};
  border: 1px solid transparent; background: {PANEL}; font-size: {px(15)}; }}
QPushButton#step:hover {{ border-color: {LINE}; }}
QPushButton#step:checked {{ background: {RAISED}; border: 1px solid {ACCENT}; }}
QComboBox, QLineEdit, QPlainTextEdit {{ background: {RAISED};
  border: 1px solid {LINE}; border-radius: {px(4)}; padding: {px(3)} {px(5)};
  min-height: {px(20)}; }}
QComboBox QAbstractItemView {{ background: {RAISED}; selection-background-color: #14506e; }}
QDoubleSpinBox {{ min-height: {px(26)}; }}
QTextBrowser, QTableWidget, QListWidget {{ background: {PANEL}; border: 1px solid {LINE};
  gridline-color: {LINE}; }}
QTableWidget::item {{ padding: {px(2)}; }}
QTableWidget::item:selected, QListWidget::item:selected {{ background: #14506e; }}
QHeaderView::section {{ background: {RAISED}; border: none; padding: {px(4)}; }}
QTabBar::tab {{ background: {PANEL}; padding: {px(5)} {px(11)}; border: 1px solid {LINE}; }}
QTabBar::tab:selected {{ background: {RAISED}; border-bottom: 2px solid {ACCENT}; }}
QTabWidget::pane {{ border: 1px solid {LINE}; }}
QProgressBar {{ background: {RAISED}; border: none; text-align: center; min-height: {px(16)};
  max-height: {px(18)}; border-radius: {px(4)}; }}
QProgressBar::chunk {{ background: #0f6aa0; border-radius: {px(4)}; }}
QSlider::groove:horizontal {{ height: {px(5)}; background: {LINE}; border-radius: {px(2)}; }}
QSlider::handle:horizontal {{ background: {ACCENT}; width: {px(15)}; margin: -{px(6)} 0;
  border-radius: {px(7)}; }}
QScrollBar:vertical {{ width: {px(11)}; background: {PANEL}; }}
QScrollBar:horizontal {{ height: {px(11)}; background: {PANEL}; }}
QScrollBar::handle:vertical {{ background: {LINE}; min-height: {px(24)};
  border-radius: {px(4)}; }}
QScrollBar::handle:horizontal {{ background: {LINE}; min-width: {px(24)};
  border-radius: {px(4)}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
QScrollArea {{ border: none; }}
QToolTip {{ background: {RAISED}; color: {INK}; border: 1px solid {LINE}; }}
QSplitter::handle {{ background: {LINE}; }}
"""
