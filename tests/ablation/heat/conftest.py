"""Small heating problems: an antenna of any pose in one tissue, or no needle at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from irplan.ablation import (
    TISSUES,
    AblationProblem,
    Applicator,
    MwaDevice,
    Placement,
    Schedule,
    TissueProperties,
)
from irplan.geometry import Grid, Needle

#: 0.5 W/mK, 4 MJ/m3K, no perfusion, constant conductivity: closed forms hold exactly.
PLAIN = TissueProperties(
    "plain", 0.5, 1.25, 2.0, 1000.0, 4000.0, 3000.0, 1900.0, k_per_k=0.0, water_fraction=0.7
)


def antenna(**device: float) -> Applicator:
    return Applicator(
        "test antenna", "mwa", 1.9, 15.0, 0.0, 20.0, 0.0, 200.0, "test [X]",
        device=MwaDevice(**{"slot_offset_mm": 11.0, **device}),
    )  # fmt: skip


def placed(
    slot_mm: Sequence[float], axis: Sequence[float], applicator: Applicator | None = None
) -> Placement:
    """The antenna with its slot (11 mm behind the tip) at ``slot_mm``."""
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    tip = np.asarray(slot_mm, float) - 11.0 * d
    return Placement(Needle(tuple(tip), tuple(tip + 150.0 * d)), applicator or antenna())


def make(
    *,
    shape: Sequence[int] = (64, 64, 64),
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
    tissues: Sequence[TissueProperties] | None = None,
    index: np.ndarray | None = None,
    placements: Sequence[Placement] | None = None,
    schedule: Schedule | Sequence[Schedule] | None = None,
) -> AblationProblem:
    """Centred on the origin; liver and one antenna along z by default."""
    centre = [-(n - 1) * h / 2 for n, h in zip(reversed(shape), reversed(spacing_mm), strict=True)]
    grid = Grid.from_spacing(shape, spacing_mm, centre)
    return AblationProblem(
        grid=grid,
        tissue_index=np.zeros(grid.shape, np.uint8) if index is None else index,
        tissues=tuple(tissues or (TISSUES["liver"].properties(),)),
        placements=tuple(placements or (placed((0, 0, 0), (0, 0, 1)),)),
        schedule=schedule or Schedule.constant_power(40.0, 3.0),
    )


@pytest.fixture(scope="session")
def plain() -> TissueProperties:
    return PLAIN


@pytest.fixture(scope="session")
def perfused() -> TissueProperties:
    """``plain`` with 0.01 /s of blood: diffusion length 3.6 mm."""
    return dataclasses.replace(PLAIN, name="perfused", perfusion_per_s=0.01)


@pytest.fixture(scope="session")
def make_heat() -> Callable[..., AblationProblem]:
    return make


@pytest.fixture(scope="session")
def put_antenna() -> Callable[..., Placement]:
    return placed


@pytest.fixture(scope="session")
def make_antenna() -> Callable[..., Applicator]:
    return antenna
