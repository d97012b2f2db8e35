"""The evidence: its closed forms give the specification's numbers, its verdicts are strict."""

from __future__ import annotations

import math

import numpy as np
import pytest

from irplan.ablation.evidence import CASES, EvidenceCase, EvidenceRow, gather
from irplan.ablation.evidence import closed_forms as exact

SHARP = exact.FreezingTissue()


def test_planar_neumann_of_the_specification():
    assert exact.planar_front_mm(SHARP, 37.0, -140.0, 600.0) == pytest.approx(26.099, abs=1e-3)


@pytest.mark.parametrize(("draw", "radius"), [(1500.0, 22.850), (2500.0, 28.561)])
def test_line_sink_of_the_specification(draw: float, radius: float):
    lam = exact.line_sink_number(SHARP, 37.0, draw)
    assert 2 * lam * math.sqrt(SHARP.a_frozen * 600.0) == pytest.approx(radius, abs=1e-3)
    # the front is at the freezing point by the same form
    t = exact.line_sink_surface_c(SHARP, lam, draw, radius, 600.0)
    assert t == pytest.approx(-1.0, abs=0.01)


@pytest.mark.parametrize(("flow", "radius"), [(0.0005, 48.87), (0.0036, 22.85), (0.016, 13.17)])
def test_limiting_ice_of_the_specification(flow: float, radius: float):
    found = exact.limiting_ice_radius_mm(SHARP, 37.0, -140.0, 0.75, flow)
    assert found == pytest.approx(radius, abs=0.02)


def test_point_source_ends_at_the_steady_rise():
    rise = exact.point_source_rise_c(1.0, 0.5, 0.14, np.array([5.0]), 1e9)
    assert rise[0] == pytest.approx(1.0 / (4 * math.pi * 0.5 * 0.005), rel=1e-3)


def test_doses_of_a_ramp_against_quadrature():
    from scipy.integrate import quad

    rate, time_s = 0.1, 180.0
    cem, _ = quad(
        lambda t: (0.5 if 37 + rate * t > 43 else 0.25) ** (43 - 37 - rate * t), 0, time_s,
        points=[60.0],
    )  # fmt: skip
    assert exact.cem43_of_ramp_min(37.0, rate, time_s) == pytest.approx(cem / 60, rel=1e-6)
    a, e = 7.39e39, 2.577e5
    omega, _ = quad(lambda t: a * math.exp(-e / (8.314462618 * (310.15 + rate * t))), 0, time_s)
    assert exact.arrhenius_of_ramp(a, e, 37.0, rate, time_s) == pytest.approx(omega, rel=1e-6)


def row(**changes) -> EvidenceRow:
    values = {
        "case": "c", "quantity": "q", "reference": "r", "unit": "mm", "expected": 10.0,
        "measured": 10.4, "rule": "within", "limit": 0.5,
    }  # fmt: skip
    return EvidenceRow(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "met"),
        ({"measured": 10.6}, "MISSED"),
        ({"measured": math.nan}, "MISSED"),
        ({"expected": None}, "MISSED"),
        ({"rule": "at_most", "limit": 10.4}, "met"),
        ({"rule": "at_most", "limit": 10.3}, "MISSED"),
        ({"rule": "at_least", "limit": 10.4}, "met"),
        ({"rule": "at_least", "limit": 11.0}, "MISSED"),
        ({"rule": "shown", "limit": None, "measured": 99.0}, "shown"),
    ],
)
def test_verdicts(changes: dict, verdict: str):
    assert row(**changes).verdict == verdict


def test_a_case_tells_its_seconds_and_slow_ones_are_left_out_when_quick():
    cases = (
        EvidenceCase("a", lambda quick: (row(note=str(quick)),)),
        EvidenceCase("b", lambda quick: (row(),), in_quick=False),
    )
    quick, full = gather(quick=True, cases=cases), gather(cases=cases)
    assert [r.note for r in quick] == ["True"]
    assert len(full) == 2
    assert all(r.seconds >= 0.0 for r in full)


@pytest.mark.parametrize(
    "name", ["line sink", "steady Pennes, plane", "conduction from a point", "damage of a ramp"]
)
def test_the_quick_case_meets_its_demands(name: str):
    (case,) = [c for c in CASES if c.name == name]
    rows = case.run(True)
    assert [r for r in rows if r.verdict == "MISSED"] == []
    assert any(r.verdict == "met" for r in rows)


def test_one_dimension_stops_where_blood_holds_the_ice():
    """After half an hour under strong perfusion: the closed limit, less two rings at most."""
    from irplan.ablation.evidence.closed_forms import FreezingTissue, limiting_ice_radius_mm
    from irplan.ablation.evidence.radial import radial_ice_radius_mm

    given = (FreezingTissue(), 37.0, -140.0, 0.75, 0.016)
    limit = limiting_ice_radius_mm(*given)
    for step in (0.8, 0.4):
        radius = radial_ice_radius_mm(*given, 1800.0, outer_mm=30.0, step_mm=step)
        assert 0.0 < limit - radius < 2.1 * step
