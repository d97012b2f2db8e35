"""Designs against their definitions; Sobol indices against the Ishigami function's closed form."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.studies import Design, Factor
from irplan.studies.sensitivity import sensitivity
from tests.studies.tasks import ishigami


def test_a_full_factorial_has_every_combination_once() -> None:
    factors = [Factor("a", low=0, high=2, levels=3), Factor("b", choices=("x", "y"))]
    points = Design().points(factors)
    found = [points.point(n) for n in range(points.count)]
    assert found == [(0.0, "x"), (0.0, "y"), (1.0, "x"), (1.0, "y"), (2.0, "x"), (2.0, "y")]


def test_a_latin_hypercube_has_one_point_in_every_row_and_column() -> None:
    factors = [Factor(n, low=0, high=1) for n in "abc"]
    points = Design("latin-hypercube", 20, seed=3).points(factors)
    values = np.array([points.point(n) for n in range(20)])
    for column in values.T:
        assert sorted((column * 20).astype(int)) == list(range(20))


def test_more_sobol_points_keep_the_first_ones() -> None:
    factors = [Factor(n, low=0, high=1) for n in "ab"]
    few, many = (Design("sobol", n, seed=1).points(factors) for n in (10, 100))
    assert [few.point(n) for n in range(10)] == [many.point(n) for n in range(10)]


def test_a_log_scale_spreads_evenly_in_the_logarithm() -> None:
    factor = Factor("k", low=0.01, high=100.0, scale="log", levels=5)
    np.testing.assert_allclose(factor.level_values(), [0.01, 0.1, 1, 10, 100])


def test_sobol_indices_of_the_ishigami_function() -> None:
    """Closed form for a = 7, b = 0.1 (Ishigami & Homma 1990; Sobol & Levitan 1999)."""
    a, b, pi = 7.0, 0.1, np.pi
    v1 = 0.5 * (1 + b * pi**4 / 5) ** 2
    v2 = a**2 / 8
    v13 = b**2 * pi**8 * (1 / 18 - 1 / 50)
    whole = v1 + v2 + v13
    factors = [Factor(f"x{n}", low=-pi, high=pi) for n in (1, 2, 3)]
    design = Design("sensitivity", 4096, seed=2)
    points = design.points(factors)
    y = np.array([ishigami("", *points.point(n))["y"] for n in range(points.count)])
    found = sensitivity("c", "y", ["x1", "x2", "x3"], y, design)
    first = [f[0] for f in found.first]
    total = [t[0] for t in found.total]
    np.testing.assert_allclose(first, [v1 / whole, v2 / whole, 0.0], atol=0.02)
    np.testing.assert_allclose(total, [(v1 + v13) / whole, v2 / whole, v13 / whole], atol=0.02)
    for (low, high), exact in zip(
        [f[1:] for f in found.first], [v1 / whole, v2 / whole, 0.0], strict=True
    ):
        assert low - 0.01 <= exact <= high + 0.01


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"low": 2.0, "high": 1.0}, "low, high"),
        ({"low": 0.0, "high": 1.0, "scale": "log"}, "low"),
        ({"low": 0.0, "high": float("inf")}, "low, high"),
        ({}, "low, high"),
        ({"choices": (1.0, 1.0)}, "choices"),
        ({"choices": (1.0,), "low": 0.0, "high": 1.0}, "choices"),
        ({"low": 0.0, "high": 1.0, "how": "divide"}, "how"),
        ({"low": 0.0, "high": 1.0, "levels": 1}, "levels"),
    ],
)
def test_a_factor_that_cannot_be_is_named(settings: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Factor("x", **settings)  # type: ignore[arg-type]
    assert caught.value.field == f"factor 'x': {field}"


@pytest.mark.parametrize(
    ("kind", "runs"), [("sobol", None), ("sensitivity", 10), ("full-factorial", 4), ("sobol", 1)]
)
def test_a_design_that_cannot_be_is_named(kind: str, runs: int | None) -> None:
    with pytest.raises(InputError, match="design: runs"):
        Design(kind, runs)  # type: ignore[arg-type]


def test_too_many_combinations_are_refused_before_anything_is_made() -> None:
    factors = [Factor(n, low=0, high=1, levels=1000) for n in "abcd"]
    with pytest.raises(InputError, match="combinations"):
        Design().points(factors)
