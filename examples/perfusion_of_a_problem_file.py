"""What perfusion does to the lethal zone: one problem file, read with other constants."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from irplan.ablation import simulate
from irplan.ablation.simulated_case import SimulatedCase
from irplan.files.problem_file import ProblemFile, example_problem, problem_from_text
from irplan.viz import style


def setup(perfusion_per_s: float = 0.0036, spacing_mm: float = 2.0) -> ProblemFile:
    """The cryo example with another perfusion of the liver, on coarse voxels."""
    text = example_problem("cryo")
    text = text.replace("perfusion_per_s = 0.0036", f"perfusion_per_s = {perfusion_per_s}")
    text = text.replace("spacing_mm = 1.0", f"spacing_mm = {spacing_mm}")
    return problem_from_text(text, name="cryo.toml", folder=Path())


def run(asked: ProblemFile) -> dict[str, float]:
    """Volume in ml of every zone."""
    result = simulate(asked.problem)
    case = SimulatedCase.of(asked.name, asked.problem, result, lethal=asked.lethal)
    return {m.name: m.volume_ml for m in case.measures}


def draw(zones_ml: dict[float, dict[str, float]]) -> Figure:
    """Ice and lethal zone over perfusion."""
    flows = list(zones_ml)
    with style.styled():
        figure = style.new_figure(6.0, 3.4)
        axis = figure.subplots()
        for name, mark in (("ice", "o-"), ("lethal", "s--")):
            axis.plot(flows, [zones_ml[p][name] for p in flows], mark, label=name)
        axis.set(
            title="Two cryoprobes in liver", xlabel="perfusion (1/s)", ylabel="volume (ml)",
            xscale="log", ylim=(0, None),
        )  # fmt: skip
        axis.legend()
    return figure


if __name__ == "__main__":
    found = {perfusion: run(setup(perfusion)) for perfusion in (0.0005, 0.0036, 0.015)}
    for perfusion, zones in found.items():
        print(f"{perfusion:.4f} /s: ice {zones['ice']:5.1f} ml, lethal {zones['lethal']:5.1f} ml")
    draw(found).savefig("perfusion_of_a_problem_file.png")
