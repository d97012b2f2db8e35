"""A study from Python: perfusion and vessel distance against the margin of one cryoprobe."""

from __future__ import annotations

import csv
import tempfile
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from irplan.studies import Design, Study, read_study, run_study
from irplan.viz import style

STUDY = Path(__file__).with_name("perfusion_and_vessel.toml")


def setup(runs: int = 32) -> Study:
    """The study file next to this script with another number of base points."""
    study = read_study(STUDY)
    return replace(study, design=Design("sensitivity", runs, seed=1))


def run(study: Study, folder: Path) -> dict[str, tuple[float, float]]:
    """Factor -> its first-order and total share of the margin's variance."""
    run_study(study, folder)
    with (folder / "sensitivity.csv").open(encoding="utf-8") as file:
        return {
            row["factor"]: (float(row["first_order"]), float(row["total"]))
            for row in csv.DictReader(file)
            if row["output"] == "minimal_margin_mm"
        }


def draw(shares: dict[str, tuple[float, float]]) -> Figure:
    """Bars of the first-order and total share of each factor."""
    with style.styled():
        figure = style.new_figure(6.0, 2.8)
        axis = figure.subplots()
        for n, (name, (first, total)) in enumerate(shares.items()):
            axis.barh(n - 0.2, 100 * first, 0.36, color="#0072b2", label="" if n else "alone")
            axis.barh(n + 0.2, 100 * total, 0.36, color="#d55e00", label="" if n else "in all")
            axis.text(2, n + 0.48, name, va="center", color=style.INK, fontsize=9)
        axis.set(
            title="What decides the minimal margin", yticks=[], ylim=(len(shares) - 0.3, -0.5),
            xlabel="share of its variance (%)", xlim=(0, 105),
        )  # fmt: skip
        axis.legend(loc="lower right")
    return figure


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = run(setup(), Path(folder))
    for name, (first, total) in found.items():
        print(f"{name:<20} alone {100 * first:4.0f} %, with others {100 * total:4.0f} %")
    draw(found).savefig("study_perfusion_and_vessel.png")
