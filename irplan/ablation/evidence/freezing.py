"""Freezing against exact solutions: planar Neumann, line sink, ice held by blood, steady Pennes."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.cryo import simulate_cryo
from irplan.ablation.discretisation import discretise
from irplan.ablation.evidence import closed_forms
from irplan.ablation.evidence.blocks import (
    block,
    crossing_mm,
    isotherm_radius_mm,
    placed,
    plain_probe,
)
from irplan.ablation.evidence.closed_forms import FreezingTissue
from irplan.ablation.evidence.radial import radial_ice_radius_mm
from irplan.ablation.evidence.row import EvidenceRow
from irplan.ablation.march import March
from irplan.ablation.schedule import Phase, Schedule
from irplan.ablation.steps import StepRule
from irplan.ablation.timeline import Segment
from irplan.ablation.tissue import TissueProperties
from irplan.compute import no_progress
from irplan.compute.threads import ThreadChoice

_BODY_C = 37.0
_SHARP = FreezingTissue()


def _sharp(perfusion_per_s: float = 0.0) -> TissueProperties:
    """`FreezingTissue` as tissue: the latent heat within 0.1 K below -1 degC."""
    return TissueProperties(
        "sharp", 0.5, 1.0, 2.0, 1000.0, 3600.0, 1800.0, 1800.0, 250e3, -1.1, -1.0,
        perfusion_per_s=perfusion_per_s,
    )  # fmt: skip


def planar_neumann(quick: bool) -> tuple[EvidenceRow, ...]:
    """A wall at -140 degC freezes the tissue before it."""
    wall_c, time_s = -140.0, 150.0
    exact = closed_forms.planar_front_mm(_SHARP, _BODY_C, wall_c, time_s)
    wall = TissueProperties(
        "wall", 2.0, 2.0, 2.0, 1000.0, 1800.0, 1800.0, 1800.0, 0.0, -1.1, -1.0,
        fixed_temperature_c=wall_c,
    )  # fmt: skip
    rows, worst = [], 0.0
    for h in (2.0, 1.0) if quick else (2.0, 1.0, 0.5):
        thick, wide, deep = round(14 / h), round(80 / h), round(52 / h)
        index = np.zeros((wide, wide, deep), np.uint8)
        index[:, :, :thick] = 1
        middle = -(deep - 1) * h / 2.0 + 7.0
        probe = placed((middle, 0.0, 0.0), (0, 0, 1), plain_probe(20.0, ramp_s=0.0))
        problem = block(
            index.shape, h, (_sharp(), wall), (probe,), Schedule((Phase("freeze", time_s),)), index
        )
        result = simulate_cryo(problem, time_error_mm=0.03)
        worst = max(worst, result.energy.residual_fraction)
        mid = wide // 2
        c = result.end_of_freeze_c.array[mid - 1 : mid + 1, mid - 1 : mid + 1, thick:]
        line = c.mean(axis=(0, 1)).astype(float)
        # The wall ends at its voxels' surface, half a voxel before the first tissue's middle.
        front = crossing_mm(h * (0.5 + np.arange(line.size)), line, _SHARP.freezing_c)
        rows.append(
            EvidenceRow(
                "planar two-phase Neumann",
                f"front after {time_s:g} s, h = {h:g} mm",
                "Carslaw & Jaeger 1959, 11.2",
                "mm",
                exact,
                front,
                "within",
                0.5 * h,
            )
        )
    return (*rows, _balance("planar two-phase Neumann", worst))


class _ConstantDraw(March):
    """A march whose probe has the exact temperature of a line that draws constant heat."""

    draw_w_per_m = 1500.0
    lam = 0.0

    def _drive(
        self, segment: Segment, probe: int, at_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        del segment, probe
        surface = [
            closed_forms.line_sink_surface_c(
                _SHARP, self.lam, self.draw_w_per_m, 0.75, max(float(t), 0.5)
            )
            for t in at_s
        ]
        return np.minimum(0.0, np.array(surface) - _BODY_C)


def line_sink(quick: bool) -> tuple[EvidenceRow, ...]:
    """A long needle that draws 1500 W/m freezes a cylinder."""
    import numba

    time_s = 240.0
    _ConstantDraw.lam = closed_forms.line_sink_number(_SHARP, _BODY_C, _ConstantDraw.draw_w_per_m)
    exact = 2.0 * _ConstantDraw.lam * math.sqrt(_SHARP.a_frozen * time_s)
    rows, worst = [], 0.0
    for h in (2.0,) if quick else (2.0, 1.0):
        shape = (round(110 / h), round(72 / h), round(72 / h))
        probe = placed((0.0, 0.0, 0.0), (0, 0, 1), plain_probe(95.0))
        problem = block(shape, h, (_sharp(),), (probe,), Schedule((Phase("freeze", time_s),)))
        threads = ThreadChoice(int(numba.get_num_threads()))
        run = _ConstantDraw(problem, discretise(problem), np.zeros((0, 3)), threads)
        run.run(StepRule(0.02), no_progress)
        worst = max(worst, run.energy().residual_fraction)
        radius = isotherm_radius_mm(run.fields()[0], _SHARP.freezing_c)
        rows.append(
            EvidenceRow(
                "line sink of 1500 W/m",
                f"radius after {time_s:g} s, h = {h:g} mm",
                "Carslaw & Jaeger 1959, 11.6",
                "mm",
                exact,
                radius,
                "within",
                0.5 * h,
            )
        )
    return (*rows, _balance("line sink of 1500 W/m", worst))


def ice_held_by_blood(quick: bool) -> tuple[EvidenceRow, ...]:
    """An hour of a long probe at -140 degC under strong perfusion: the ice stands still."""
    perfusion, name = 0.016, "ice held by blood, 0.016 /s"
    exact = closed_forms.limiting_ice_radius_mm(_SHARP, _BODY_C, -140.0, 0.75, perfusion)
    rows, worst = [], 0.0
    for h in (2.0,) if quick else (2.0, 1.0):
        probe = placed((0.0, 0.0, 0.0), (0, 0, 1), plain_probe(80.0))
        shape = (round(100 / h), round(48 / h), round(48 / h))
        problem = block(
            shape, h, (_sharp(perfusion),), (probe,), Schedule((Phase("freeze", 3600.0),))
        )
        result = simulate_cryo(problem)
        worst = max(worst, result.energy.residual_fraction)
        radius = isotherm_radius_mm(result.end_of_freeze_c, _SHARP.freezing_c, reach_mm=22.0)
        rows.append(
            EvidenceRow(
                name,
                f"limiting radius, h = {h:g} mm",
                "steady Pennes equation, Bessel K",
                "mm",
                exact,
                radius,
                "within" if h == 1.0 else "shown",
                0.5 if h == 1.0 else None,
                note="a voxel is perfused wholly or not at all: first order",
            )
        )
    rows += [] if quick else _ice_still_growing()
    return (*rows, _balance(name, worst))


def _ice_still_growing() -> list[EvidenceRow]:
    """An hour under a liver's weaker perfusion: the ice has not yet reached where it stands still.

    The last millimetre takes some 20 min each time it is to be halved, and a wall at body
    temperature 24 mm away would hold it 4 mm short: hence one dimension at the same time beside it.
    """
    perfusion, time_s, h, name = 0.0036, 3600.0, 2.0, "ice held by blood, 0.0036 /s"
    limit = closed_forms.limiting_ice_radius_mm(_SHARP, _BODY_C, -140.0, 0.75, perfusion)
    then = radial_ice_radius_mm(_SHARP, _BODY_C, -140.0, 0.75, perfusion, time_s)
    problem = block(
        (70, 48, 48), h, (_sharp(perfusion),),
        (placed((0.0, 0.0, 0.0), (0, 0, 1), plain_probe(95.0)),),
        Schedule((Phase("freeze", time_s),)),
    )  # fmt: skip
    result = simulate_cryo(problem)
    radius = isotherm_radius_mm(result.end_of_freeze_c, _SHARP.freezing_c, reach_mm=30.0)
    return [
        EvidenceRow(name, f"radius after {time_s:g} s, h = {h:g} mm", where, "mm", expected, radius,
                    "shown", note=note)
        for where, expected, note in (
            ("one dimension, rings of 0.4 mm", then, "same time, infinitely long probe"),
            ("steady Pennes equation, Bessel K", limit, "infinite time: not reached yet"),
        )
    ]  # fmt: skip


def _plane_error(h: float) -> tuple[float, float]:
    """Largest error of the steady profile before a wall at 10 degC, as shares.

    Of its height, and of the profile where it is (for the order: voxel centres of two grids do
    not coincide, and the profile falls by a tenth between them).
    """
    tissue = TissueProperties(
        "perfused", 0.302, 1.25, 2.0, 1079.0, 3540.0, 3087.0, 1860.0, perfusion_per_s=0.02
    )
    wall = TissueProperties(
        "wall", 0.302, 0.302, 0.302, 1079.0, 3540.0, 3540.0, 3540.0, fixed_temperature_c=10.0
    )
    n, thick, deep = round(36 / h), round(14 / h), round(32 / h)
    index = np.zeros((n, n, deep), np.uint8)
    index[:, :, :thick] = 1
    x_wall = (thick - deep / 2.0) * h  # its surface
    probe = placed(
        (x_wall - 6.5, 0.0, 0.0), (0, 0, 1), plain_probe(6.0, temperature_c=10.0, ramp_s=0.0)
    )
    problem = block(
        index.shape, h, (tissue, wall), (probe,), Schedule((Phase("freeze", 500.0),)), index
    )
    field = simulate_cryo(problem).end_of_freeze_c
    x = h * (0.5 + np.arange(round(7.0 / h)))  # on voxel centres: no error of interpolation
    x = x[x >= 1.0]
    across = np.full_like(x, h / 2.0 if n % 2 == 0 else 0.0)
    exact = _BODY_C + (10.0 - _BODY_C) * np.exp(-x / closed_forms.pennes_length_mm(0.302, 0.02))
    got = field.at(np.stack([x_wall + x, across, across], axis=1))
    off = np.abs(got - exact)
    return float(off.max() / (_BODY_C - 10.0)), float((off / (_BODY_C - exact)).max())


def steady_pennes_plane(quick: bool) -> tuple[EvidenceRow, ...]:
    """exp(-x / delta) before a wall: halving the voxel quarters the error."""
    steps = (2.0, 1.0) if quick else (2.0, 1.0, 0.5)
    errors = {h: _plane_error(h) for h in steps}
    name, where = "steady Pennes, plane", "steady Pennes equation, exp(-x/delta), delta = 1.98 mm"
    rows = [
        EvidenceRow(name, f"largest error from 1 mm on, h = {h:g} mm", where, "% of height", None,
                    100.0 * e[0], "at_most" if h <= 1.0 else "shown", 2.0 if h <= 1.0 else None)
        for h, e in errors.items()
    ]  # fmt: skip
    a, b = steps[-2:]
    order = math.log2(errors[a][1] / errors[b][1])
    if quick:
        return tuple(rows)
    return (
        *rows,
        EvidenceRow(name, f"order of convergence, h = {a:g} to {b:g} mm",
                    "second order by theory", "", 2.0, order, "at_least", 1.7),
    )  # fmt: skip


def steady_pennes_sphere(quick: bool) -> tuple[EvidenceRow, ...]:
    """Round a ball at 20 degC the departure falls as (a / r) exp(-(r - a) / delta)."""
    from scipy.optimize import brentq

    tissue = TissueProperties(
        "perfused", 0.5, 1.25, 2.0, 1000.0, 3600.0, 3087.0, 1860.0, perfusion_per_s=0.005
    )
    ball = TissueProperties(
        "ball", 0.5, 0.5, 0.5, 1000.0, 3600.0, 3600.0, 3600.0, fixed_temperature_c=20.0
    )
    h = 2.0 if quick else 1.0
    n, a = round(72 / h), 8.0
    x = h * (np.arange(n) - (n - 1) / 2.0)
    r = np.sqrt(x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None, :] ** 2)
    probe = placed((0.0, 0.0, 0.0), (0, 0, 1), plain_probe(6.0, temperature_c=20.0, ramp_s=0.0))
    problem = block(
        (n, n, n), h, (tissue, ball), (probe,), Schedule((Phase("freeze", 1200.0),)),
        (r <= a).astype(np.uint8),
    )  # fmt: skip
    result = simulate_cryo(problem)
    delta = closed_forms.pennes_length_mm(0.5, 0.005)
    departure = _BODY_C - result.end_of_freeze_c.array
    far = (r > a + 2.0 * h) & (r < a + 14.0)
    shape = departure[far] * r[far] * np.exp(r[far] / delta)
    radius = brentq(partial(_sphere_balance, delta=delta, value=float(shape.mean())), 5.0, 11.0)
    name, where = "steady Pennes, sphere", "steady Pennes equation, (a/r) exp(-(r-a)/delta)"
    return (
        EvidenceRow(name, f"radius that the field stands for, h = {h:g} mm", where, "mm", a,
                    float(radius), "within", 0.5 * h),
        EvidenceRow(name, "departure from the form", where, "%", None,
                    100.0 * float(shape.std() / shape.mean()), "at_most", 3.0 * h),
        _balance(name, result.energy.residual_fraction),
    )  # fmt: skip


def _sphere_balance(radius: float, *, delta: float, value: float) -> float:
    return radius * math.exp(radius / delta) * 17.0 - value


def _balance(case: str, residual: float) -> EvidenceRow:
    return EvidenceRow(
        case, "energy balance, largest residual", "conservation", "% of largest term", 0.0,
        100.0 * residual, "at_most", 0.1,
    )  # fmt: skip
