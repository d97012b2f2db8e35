"""Draw docs/pictures/coordinates.png: patient axes, index axes, a needle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from irplan.viz import style


def draw() -> Figure:
    with style.styled():
        figure = style.new_figure(9.6, 4.2)
        left, right = figure.subplots(1, 2)
        left.set_title("LPS millimetres, seen from the feet (as an axial CT)")
        angle = np.linspace(0, 2 * np.pi, 200)
        left.fill(150 * np.cos(angle), 100 * np.sin(angle), color="#e8eef3")
        left.fill(-62 + 70 * np.cos(angle), 8 + 55 * np.sin(angle), color=style.LIVER, alpha=0.5)
        left.text(-100, 45, "liver", color=style.INK)
        left.plot([-155, -80], [-40, 5], color="#6a5a00", linewidth=3)
        left.plot([-80], [5], "o", color=style.TARGET, markersize=9)
        left.annotate("entry", (-155, -40), (-172, -66))
        left.annotate("tip", (-80, 5), (-72, -8))
        arrow = {"arrowstyle": "->", "color": "#0072b2", "lw": 1.8}
        for (dx, dy), words in (((60, 0), "x: left"), ((0, 60), "y: back")):
            left.annotate("", (dx, dy), (0, 0), arrowprops=arrow)
            left.text(dx + 4, dy + 4, words, color="#0072b2")
        left.text(8, -14, "z: to the head, away from you", color="#0072b2", fontsize=8.5)
        left.set_xlim(-190, 170)
        left.set_ylim(115, -115)
        left.set_aspect("equal")
        left.set_xlabel("x (mm): right of the patient - left of the patient")
        left.set_ylabel("y (mm): front - back")
        right.set_title("An array: (slice, row, column)")
        for k in range(4):
            x, y = 0.9 * k, 0.55 * k
            right.fill(
                [x, x + 4, x + 4, x], [y, y, y + 3, y + 3], facecolor="#e8eef3",
                edgecolor=style.MUTED, zorder=10 - k,
            )  # fmt: skip
        colour = "#0072b2"
        right.annotate("", (3.6, 3.25), (0.1, 3.25), arrowprops=arrow, zorder=20)
        right.text(0.7, 3.45, "column (axis 2)", color=colour, zorder=20)
        right.annotate("", (-0.3, 0.2), (-0.3, 2.9), arrowprops=arrow, zorder=20)
        right.text(-0.75, 0.7, "row (axis 1)", color=colour, rotation=90, zorder=20)
        right.annotate("", (6.9, 1.75), (4.2, 0.05), arrowprops=arrow, zorder=20)
        right.text(5.3, 0.45, "slice (axis 0)", color=colour, zorder=20)
        right.plot([0.2], [2.8], "s", color=style.TARGET, zorder=30)
        right.text(0.35, 2.62, "(0, 0, 0): the origin\nis its centre", zorder=30, fontsize=8.5)
        right.set_xlim(-1.2, 8.2)
        right.set_ylim(-0.4, 5.2)
        right.axis("off")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).parent / "pictures" / "coordinates.png", dpi=110)
