"""What the marches of a cryoablation share on any processor: probes over time, reach of heat."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import CryoDevice
from irplan.ablation.discretisation import Discretisation
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.schedule import Phase

#: The active region grows where temperature departs from rest by more than this share of the
#: largest departure that the problem asks for (a cryoprobe: 0.035 K).  Radii differ by less than
#: 1e-4 mm from those of half of it; the heat balance (0.1 % asked) stays below 0.07 % with little
#: perfusion and 28 min, its worst case.
_WINDOW_SHARE = 2.0e-4
#: It grows by this many diffusion lengths sqrt(a dt) of the fastest unfrozen tissue a step.
_REACH_LENGTHS = 2.6


def working_tau(
    phase: Phase | None,
    placement: Placement,
    body_c: float,
    start_tau: float,
    since_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """A cryoprobe's temperature relative to the body ``since_s`` into ``phase``, K; NaN when off.

    Shaped as ``since_s``.

    It falls from ``start_tau`` at the rate that takes it from body to working temperature in the
    applicator's ``ramp_s``; active thaw heats at once (a slow ramp would go on freezing).
    """
    if phase is None or phase.kind not in ("freeze", "active_thaw"):
        return np.full(since_s.shape, math.nan)
    applicator = placement.applicator
    if phase.kind == "active_thaw":
        device = applicator.device
        thaw = device if isinstance(device, CryoDevice) else CryoDevice()
        return np.full(since_s.shape, thaw.thaw_temperature_c - body_c)
    end = applicator.working_temperature_c - body_c
    if applicator.ramp_s == 0.0:
        return np.full(since_s.shape, end)
    way = np.minimum(since_s * (abs(end) / applicator.ramp_s), abs(end - start_tau))
    out: NDArray[np.float64] = start_tau + np.copysign(way, end - start_tau)
    return out


def reach_voxels(mesh: Discretisation, dt_s: float) -> NDArray[np.int64]:
    """Voxels (z, y, x) by which the disturbed region may grow in ``dt_s``."""
    k, c = mesh.tissues[:, 3], mesh.tissues[:, 0]
    a = float((k / np.where(c > 0, c, np.inf)).max())
    spacing = np.asarray(mesh.grid.spacing_mm)
    way = max(3.0 * float(spacing.max()), _REACH_LENGTHS * math.sqrt(a * dt_s))
    out: NDArray[np.int64] = np.ceil(way / spacing).astype(np.int64)
    return out


def window_tolerance_k(problem: AblationProblem) -> float:
    """Departure from rest beyond which a voxel belongs to the active region, K."""
    body = problem.body_temperature_c
    asked = [abs(p.applicator.working_temperature_c - body) for p in problem.placements]
    asked += [
        abs(t.fixed_temperature_c - body)
        for t in problem.tissues
        if t.fixed_temperature_c is not None
    ]
    return _WINDOW_SHARE * max(10.0, *asked)


def placements_at(problem: AblationProblem, time_s: float) -> list[Placement]:
    """Where the probes are at ``time_s``: pulled back by every phase that began before."""
    out = []
    for placement, schedule in zip(problem.placements, problem.schedules, strict=True):
        at, back = 0.0, 0.0
        for phase in schedule.phases:
            if at < time_s - 1e-9:
                back += phase.withdraw_mm
            at += phase.duration_s
        out.append(placement.withdrawn(back) if back > 0.0 else placement)
    return out


def _levels_c(problem: AblationProblem) -> list[float]:
    held = [t.fixed_temperature_c for t in problem.tissues if t.fixed_temperature_c is not None]
    return [problem.body_temperature_c, *held]


def coldest_c(problem: AblationProblem) -> float:
    """Below this nothing can fall: coldest of probes, held tissue and body, degC."""
    probes = [p.applicator.working_temperature_c for p in problem.placements]
    return min(*_levels_c(problem), *probes)


def warmest_c(problem: AblationProblem) -> float:
    """Above this nothing can rise: warmest of probes, held tissue and body, degC."""
    devices = [p.applicator.device for p in problem.placements]
    thaws = [d.thaw_temperature_c for d in devices if isinstance(d, CryoDevice)]
    probes = [p.applicator.working_temperature_c for p in problem.placements]
    return max(*_levels_c(problem), *probes, *thaws)
