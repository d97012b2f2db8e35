"""Poisson and Gaussian noise from counters: one uniform number a pixel, frame and seed.

The same (seed, frame, pixel) gives the same uniform number whatever the mean, so runs with and
without an object, or at two doses, have paired noise.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xBF58476D1CE4E5B9)
_C = np.uint64(0x94D049BB133111EB)
_POISSON_MOST = 60.0


@njit(cache=True, nogil=True)
def _mix(x: Any) -> Any:
    """SplitMix64's output function (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * _B
    x = (x ^ (x >> np.uint64(27))) * _C
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _uniform(key: Any, n: Any) -> Any:
    bits = _mix(_mix(key + (np.uint64(n) + np.uint64(1)) * _A))
    return (float(bits >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def _normal(u: Any) -> Any:
    """Quantile of the standard normal (Acklam's rational approximation, relative error 1e-9)."""
    if u < 0.02425 or u > 0.97575:
        q = math.sqrt(-2.0 * math.log(u if u < 0.5 else 1.0 - u))
        x = (
            (
                (
                    ((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838)
                    * q
                    - 2.549732539343734
                )
                * q
                + 4.374664141464968
            )
            * q
            + 2.938163982698783
        ) / (
            (
                ((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q
                + 3.754408661907416
            )
            * q
            + 1.0
        )
        return x if u < 0.5 else -x
    q = u - 0.5
    r = q * q
    return (
        (
            (
                (
                    ((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02)
                    * r
                    + 1.383577518672690e02
                )
                * r
                - 3.066479806614716e01
            )
            * r
            + 2.506628277459239
        )
        * q
    ) / (
        (
            (
                ((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
                + 6.680131188771972e01
            )
            * r
            - 1.328068155288572e01
        )
        * r
        + 1.0
    )


@njit(cache=True, nogil=True)
def poisson(mean: Any, key: Any, out: Any) -> None:
    """out = Poisson counts of (row, column) ``mean`` quanta, by inversion; same shape, float32.

    Above 60 quanta: the normal approximation with its skewness (Cornish-Fisher, one term),
    rounded.
    """
    flat, m = out.ravel(), mean.ravel()
    for n in range(m.size):
        flat[n] = _quanta(float(m[n]), _uniform(key, n))


@njit(cache=True, nogil=True)
def poisson_at(mean: Any, index: Any, key: Any, out: Any) -> None:
    """Only the pixels with these flat (n,) ``index``: what `poisson` would have put there."""
    flat, m = out.ravel(), mean.ravel()
    for n in index:
        flat[n] = _quanta(float(m[n]), _uniform(key, n))


@njit(cache=True, nogil=True)
def _quanta(q: Any, u: Any) -> Any:
    if q > _POISSON_MOST:
        z = _normal(u)
        return max(0.0, math.floor(q + math.sqrt(q) * z + (z * z - 1.0) / 6.0 + 0.5))
    p = math.exp(-q)
    s, k = p, 0
    while s < u and k < 400:
        k += 1
        p *= q / k
        s += p
    return float(k)


@njit(cache=True, nogil=True)
def add_normal(sd: Any, key: Any, out: Any) -> None:
    """out += sd * standard normal, in place."""
    flat = out.ravel()
    for n in range(flat.size):
        flat[n] += sd * _normal(_uniform(key, n))


def noise_key(seed: int, frame: int, stream: int) -> np.uint64:
    """The counter's key of one noise image."""
    return np.uint64((seed & 0xFFFFFFFF) << 32 | (frame & 0xFFFFFF) << 8 | (stream & 0xFF))
