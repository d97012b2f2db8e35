"""Small problems for the bioheat tests, and the slow oracles on the path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from irplan.ablation import (
    TISSUES,
    AblationProblem,
    Applicator,
    Phase,
    Placement,
    Schedule,
    TissueProperties,
)
from irplan.geometry import Grid, Needle

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))

ProblemMaker = Callable[..., AblationProblem]


def probe(
    length_mm: float = 30.0, *, temperature_c: float = -140.0, ramp_s: float = 60.0
) -> Applicator:
    return Applicator(
        "test probe", "cryo", 1.5, length_mm, 0.0, temperature_c, ramp_s, 200.0, "test [X]"
    )


def placed(centre: Sequence[float], axis: Sequence[float], applicator: Applicator) -> Placement:
    """The applicator with the middle of its active zone at ``centre`` (LPS mm)."""
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    tip = np.asarray(centre, float) - d * applicator.active_length_mm / 2
    return Placement(Needle(tuple(tip), tuple(tip + 150.0 * d)), applicator)


def _make(
    *,
    shape: Sequence[int] = (72, 72, 72),
    spacing_mm: float = 1.0,
    minutes: float = 10.0,
    schedule: Schedule | None = None,
    placements: Sequence[Placement] | None = None,
    tissues: Sequence[TissueProperties] | None = None,
    index: np.ndarray | None = None,
) -> AblationProblem:
    """A problem on a grid centred on the origin, by default one 30 mm probe along z in liver."""
    centre = [-(n - 1) * spacing_mm / 2 for n in reversed(shape)]
    grid = Grid.from_spacing(shape, (spacing_mm,) * 3, centre)
    return AblationProblem(
        grid=grid,
        tissue_index=np.zeros(grid.shape, np.uint8) if index is None else index,
        tissues=tuple(tissues or (TISSUES["liver"].properties(),)),
        placements=tuple(placements or (placed((0, 0, 0), (0, 0, 1), probe()),)),
        schedule=schedule or Schedule((Phase("freeze", 60.0 * minutes),)),
    )


@pytest.fixture(scope="session")
def make_problem() -> ProblemMaker:
    return _make


@pytest.fixture(scope="session")
def make_placed() -> Callable[..., Placement]:
    return placed


@pytest.fixture(scope="session")
def make_probe() -> Callable[..., Applicator]:
    return probe
