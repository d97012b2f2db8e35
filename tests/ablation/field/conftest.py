"""Solvers and problems for the tests of potentials."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from irplan.ablation.applicator import Applicator
from irplan.ablation.device import IreDevice, RfaDevice
from irplan.ablation.field.electrode import Wire, sample_wires
from irplan.ablation.field.mesh import FieldMesh
from irplan.ablation.field.solver import PotentialSolver
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.schedule import Schedule
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import TISSUES
from irplan.geometry import Grid, Needle

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))


def _solver(
    lines: Sequence[tuple[Sequence[float], Sequence[float], float, float]],
    *,
    shape: Sequence[int] = (64, 64, 64),
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    boundary: str = "monopole",
    sigma: float = 0.33,
    core: float = 8.0,
    reach: float = 100.0,
) -> PotentialSolver:
    """Wires (middle relative to the grid's centre mm, axis, length mm, radius mm), one a metal."""
    grid = Grid.from_spacing(shape, spacing)
    centre = (np.array(shape) - 1) / 2 * np.array(spacing)
    wires = []
    for middle, axis, length, radius in lines:
        d = np.array(axis, float) / np.linalg.norm(axis)
        c = centre + np.array(middle)
        wires.append([Wire(c - 0.5 * length * d, c + 0.5 * length * d, radius)])
    samples = sample_wires(wires, grid)
    mesh = FieldMesh.around(
        grid.shape, grid.spacing_mm, samples.box_mm, core_mm=core, reach_mm=reach
    )
    solver = PotentialSolver(mesh, samples, boundary, 1)
    solver.sigma[1:-1, 1:-1, 1:-1] = sigma
    return solver


def _tissue(**changes: float) -> TissueProperties:
    """Liver with the constants of the specification's field section."""
    wanted = {
        "sigma_s_per_m": 0.33,
        "sigma_per_k": 0.015,
        "k_unfrozen_w_per_mk": 0.5,
        "perfusion_per_s": 0.0036,
        **changes,
    }
    return dataclasses.replace(TISSUES["liver"].properties(), **wanted)


def _problem(
    kind: str,
    lines: Sequence[tuple[Sequence[float], Sequence[float]]] = (((0, 0, 0), (0, 0, 1)),),
    *,
    shape: Sequence[int] = (48, 48, 48),
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    length_mm: float = 15.0,
    diameter_mm: float = 1.5,
    schedule: Schedule | Sequence[Schedule] | None = None,
    device: RfaDevice | IreDevice | None = None,
    tissues: Sequence[TissueProperties] | None = None,
    index: np.ndarray | None = None,
) -> AblationProblem:
    """Electrodes (middle LPS mm, axis) in liver on a grid centred on the origin."""
    origin = [-(n - 1) * h / 2 for n, h in zip(reversed(shape), reversed(spacing), strict=True)]
    grid = Grid.from_spacing(shape, spacing, origin)
    applicator = Applicator(
        "test electrode", kind, diameter_mm, length_mm, 0.0, 10.0, 0.0, 300.0, "test [X]",
        device=device or (RfaDevice() if kind == "rfa" else IreDevice()),
    )  # fmt: skip
    placements = []
    for middle, axis in lines:
        d = np.array(axis, float) / np.linalg.norm(axis)
        tip = np.array(middle, float) - 0.5 * length_mm * d
        needle = Needle(tuple(tip), tuple(tip + 150.0 * d))
        placements.append(Placement(needle, applicator))
    return AblationProblem(
        grid=grid,
        tissue_index=np.zeros(grid.shape, np.uint8) if index is None else index,
        tissues=tuple(tissues or (_tissue(),)),
        placements=tuple(placements),
        schedule=schedule or Schedule.constant_power(8.0, 0.75),
    )


@pytest.fixture(scope="session")
def make_solver() -> Callable[..., PotentialSolver]:
    return _solver


@pytest.fixture(scope="session")
def make_tissue() -> Callable[..., TissueProperties]:
    return _tissue


@pytest.fixture(scope="session")
def make_field_problem() -> Callable[..., AblationProblem]:
    return _problem
