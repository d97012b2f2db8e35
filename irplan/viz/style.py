"""How every figure looks: colours safe for colour-blind eyes, sizes, and a canvas of its own.

Figures are made without pyplot, so no global state is touched and no display is needed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from irplan.planning.evaluation import Status

DPI: Final = 130
INK: Final = "#1c2733"
MUTED: Final = "#5b6b7a"
GRID: Final = "#d5dde4"

#: Isotherms in degC -> colour; the colder the deeper.
ISOTHERMS: Final[Mapping[float, str]] = MappingProxyType(
    {0.0: "#c8f4ff", -20.0: "#3fb6ff", -40.0: "#5b6bff"}
)
LETHAL: Final = "#ffffff"
TARGET: Final = "#ff5fae"
NEEDLE: Final = "#ffe14d"
LIVER: Final = "#f0a030"
VESSEL: Final = "#ff6b57"
GALLBLADDER: Final = "#86d45c"

#: Status -> (colour, symbol, word): never the colour alone.
STATUS: Final[Mapping[Status, tuple[str, str, str]]] = MappingProxyType(
    {
        "ok": ("#006b54", "✓", "OK"),
        "warning": ("#8a5a00", "!", "Warning"),
        "error": ("#b3261e", "✗", "Failed"),
        "not_checked": ("#4a5661", "?", "Not checked"),
    }
)

_RC: Final = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}


def styled() -> AbstractContextManager[None]:
    """Context in which a figure must be built and saved; leaves matplotlib's defaults alone."""
    return rc_context(_RC)


def new_figure(width_in: float, height_in: float, *, arranged: bool = True) -> Figure:
    """An empty white figure (inches) on its own Agg canvas.

    ``arranged`` lets matplotlib lay it out without overlaps; otherwise see `add_axes`.
    """
    figure = Figure(figsize=(width_in, height_in), dpi=DPI,
                    layout="constrained" if arranged else None)  # fmt: skip
    FigureCanvasAgg(figure)
    figure.set_facecolor("white")
    return figure


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches: for figures of known shape, four times faster."""
    wide, tall = figure.get_size_inches()
    return figure.add_axes((left / wide, bottom / tall, width / wide, height / tall))


def png_bytes(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as PNG; the same figure gives the same bytes (no date or version inside)."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(
            buffer,
            format="png",
            dpi=dpi,
            metadata={"Software": None},
            pil_kwargs={"compress_level": 4},
        )
    return buffer.getvalue()
