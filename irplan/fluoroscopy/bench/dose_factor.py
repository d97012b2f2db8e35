"""Dose factor: how much more dose a reference needs for the same d'.

d' of a reference follows dose as a power between two steps of the ladder (quanta alone: 1/2).  The
dose at which it reaches the filter's d' is read from that; beyond the ladder the nearest step's
power is used and the result is marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irplan.errors import InputError
from irplan.fluoroscopy.quality.observer import Detectability


@dataclass(frozen=True)
class DoseFactor:
    """``value`` with its 95 % interval: dose of the reference over dose of the filter.

    ``extrapolated``: the reference's d' was not measured that high or low.
    """

    value: float
    low: float
    high: float
    extrapolated: bool


def dose_factor(
    filtered: Detectability,
    dose: float,
    reference: Sequence[tuple[float, Detectability]],
) -> DoseFactor:
    """The factor for one task.

    Parameters
    ----------
    filtered : d' of the filter at ``dose``.
    reference : (dose, d') of what it is compared with, in any order, at least two doses.

    The interval comes from the draws of both bootstraps at equal index.
    Raises `InputError` for fewer than two doses.  NaN where either sees nothing.
    """
    if len({d for d, _ in reference}) < 2:
        raise InputError(
            "reference",
            got=f"{len(reference)} dose(s)",
            expected="two different doses or more",
            remedy="Give a longer dose ladder.",
        )
    ladder = sorted(reference, key=lambda item: item[0])
    doses = np.log([d for d, _ in ladder])
    value, outside = _factor(filtered.d_prime, dose, doses, [d.d_prime for _, d in ladder])
    draws = min(filtered.drawn.size, *(d.drawn.size for _, d in ladder))
    drawn = np.array(
        [
            _factor(float(filtered.drawn[k]), dose, doses, [float(d.drawn[k]) for _, d in ladder])[
                0
            ]
            for k in range(draws)
        ]
    )
    use = drawn[np.isfinite(drawn) & (drawn > 0)]
    if use.size < 20 or not np.isfinite(value):
        return DoseFactor(value, float("nan"), float("nan"), outside)
    shift = np.log(value) - np.median(np.log(use))  # see `observer._interval`
    low, high = np.exp(np.percentile(np.log(use), (2.5, 97.5)) + shift)
    return DoseFactor(value, float(low), float(high), outside)


def _factor(
    wanted: float, dose: float, log_doses: np.ndarray, d_primes: list[float]
) -> tuple[float, bool]:
    if wanted <= 0 or min(d_primes) <= 0:
        return float("nan"), True
    y, x = np.log(d_primes), log_doses
    y = np.maximum.accumulate(y)  # more dose is not worse: noise of the estimate otherwise
    target = np.log(wanted)
    k = int(np.clip(np.searchsorted(y, target) - 1, 0, len(x) - 2))
    rise = (y[k + 1] - y[k]) / (x[k + 1] - x[k])
    outside = bool(target > y[-1] or target < y[0])
    if rise < 0.1:  # flat by chance: quanta alone give 1/2
        rise = 0.5
    at = x[k] + (target - y[k]) / rise
    return float(np.exp(at) / dose), outside
