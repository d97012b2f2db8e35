"""Why a path was chosen: every term of its score."""

from __future__ import annotations

from textwrap import fill

from matplotlib.figure import Figure

from irplan.planning.case import PlannedAblation
from irplan.viz import style

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def path_terms(case: PlannedAblation) -> Figure:
    """Cost of each term as bars (dimensionless, 0 = ideal), the measured value written beside.

    One colour and hatch a placement; terms are in the order of the score.  Terms that cost
    nothing for every placement are named below the bars.
    """
    known = list(dict.fromkeys(t.name for path in case.paths for t in path.terms))
    names = [
        n for n in known if any(t.cost > 0 for p in case.paths for t in p.terms if t.name == n)
    ]
    free = [n.replace("_", " ") for n in known if n not in names]
    count = max(1, len(case.paths))
    hatches = ("", "///", "...", "xx", "\\\\\\", "++")
    with style.styled():
        height = 1.9 + max(1, len(names)) * (0.20 + 0.26 * count)
        figure = style.new_figure(9.6, height)
        axes = figure.subplots()
        bar = 0.8 / count
        for k, path in enumerate(case.paths):
            terms = {t.name: t for t in path.terms}
            rows = [i for i, name in enumerate(names) if name in terms]
            cost = [terms[names[i]].cost for i in rows]
            place = [i - 0.4 + (k + 0.5) * bar for i in rows]
            axes.barh(
                place, cost, height=0.9 * bar, color=_COLOURS[k % len(_COLOURS)],
                hatch=hatches[k % len(hatches)], edgecolor="white", linewidth=0.0,
                label=f"needle {k + 1}: total {path.cost:.3g}, limited by "
                f"{path.limiting_structure.replace('_', ' ')}",
            )  # fmt: skip
            for i, y, x in zip(rows, place, cost, strict=True):
                term = terms[names[i]]
                unit = f" {term.unit}" if term.unit else ""
                axes.annotate(
                    f"{term.value:.3g}{unit}  (weight {term.weight:g})", (max(x, 0.0), y),
                    xytext=(5, 0), textcoords="offset points", va="center", fontsize=9,
                )  # fmt: skip
        axes.set_yticks(range(len(names)), [n.replace("_", " ") for n in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        largest = max((t.cost for p in case.paths for t in p.terms), default=0.0)
        axes.set_xlim(0.0, 1.45 * largest if largest > 0 else 1.0)
        words = "cost added to the path's score (dimensionless, 0 = ideal)"
        if free:
            words += "\n" + fill("No cost for any needle: " + ", ".join(free) + ".", 100)
        axes.set_xlabel(words)
        axes.set_ylabel("term of the score (–)")
        axes.set_title("Terms of each path's score, with the measured values")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return figure
