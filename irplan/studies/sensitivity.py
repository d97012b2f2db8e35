"""Sobol indices: how much of an output's variance each factor makes, alone and with others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.studies.design import Design

#: Bootstrap resamples of an interval.
_RESAMPLES = 500


@dataclass(frozen=True)
class Sensitivity:
    """Indices of one output in one case, (estimate, low, high of 95 %) for each of ``factors``.

    ``first`` is the share of variance that the factor makes alone, ``total`` the share that
    would be left if all others were known.
    """

    case: str
    output: str
    factors: tuple[str, ...]
    first: tuple[tuple[float, float, float], ...]
    total: tuple[tuple[float, float, float], ...]


def sensitivity(
    case: str, output: str, factors: Sequence[str], values: NDArray[np.float64], design: Design
) -> Sensitivity:
    """From ``values`` at the points of a ``sensitivity`` design, in their order.

    Estimators of Saltelli et al. 2010 (Table 2 b and f) with 95 % bootstrap intervals, by
    ``scipy.stats.sobol_indices``.
    """
    from scipy.stats import DegenerateDataWarning, sobol_indices

    assert design.runs is not None
    n, d = design.runs, len(factors)
    blocks = np.asarray(values, dtype=float).reshape(d + 2, n)
    given: dict[Literal["f_A", "f_B", "f_AB"], NDArray[np.float64]] = {
        "f_A": blocks[0][None, :],
        "f_B": blocks[1][None, :],
        "f_AB": blocks[2:][:, None, :],
    }
    found = sobol_indices(func=given, n=n)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # Resamples of equal values have no index; then the interval is NaN, which says so.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        spread = found.bootstrap(confidence_level=0.95, n_resamples=_RESAMPLES)
    first, total = np.ravel(found.first_order), np.ravel(found.total_order)
    bounds = [
        np.ravel(getattr(getattr(spread, kind).confidence_interval, end))
        for kind in ("first_order", "total_order")
        for end in ("low", "high")
    ]
    return Sensitivity(
        case,
        output,
        tuple(factors),
        tuple((float(a), float(b), float(c)) for a, b, c in zip(first, *bounds[:2], strict=True)),
        tuple((float(a), float(b), float(c)) for a, b, c in zip(total, *bounds[2:], strict=True)),
    )
