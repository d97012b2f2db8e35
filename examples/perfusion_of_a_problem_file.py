"""What perfusion does to the lethal zone: one problem file, read with other constants."""

from __future__ import annotations

from pathlib import Path

from irplan.ablation import simulate
from irplan.ablation.simulated_case import SimulatedCase
from irplan.files.problem_file import ProblemFile, example_problem, problem_from_text


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


if __name__ == "__main__":
    for perfusion in (0.0005, 0.0036, 0.015):
        zones = run(setup(perfusion))
        print(f"{perfusion:.4f} /s: ice {zones['ice']:5.1f} ml, lethal {zones['lethal']:5.1f} ml")
