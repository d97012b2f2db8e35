"""Heat that current lays so near a cooled wire that part of it goes straight into the coolant.

A line sink (`irplan.ablation.heat.coolant`) sees the gathered temperature and assumes no heat
between the wire (radius a) and r_eff.  A cooled electrode has its strongest heat, q / r^2, just
there: half of it and more never warms the tissue beyond.  For uniform k and sigma, per 2 pi of
length, with s = ln(r / a),

    T(s) = T_coolant + f (L_film + s) / k - q s^2 / 2 k,   L_film = k / (a h),

and the line sink on the grid takes f only if the share below of the unseen heat is left out.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_EULER_GAMMA = 0.5772156649015329


def cooled_share(log_ratio: float, film_log: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of a sample's unseen heat that goes to the coolant at once, 0 to 1.

    Parameters
    ----------
    log_ratio : ln(r_eff / a).
    film_log : k / (a h) of each sample, the film's resistance in the same measure.
    """
    lack, distance = _lack_and_distance(log_ratio)
    out: NDArray[np.float64] = np.clip(lack / (log_ratio * (distance + film_log)), 0.0, 1.0)
    return out


@lru_cache(maxsize=64)
def _lack_and_distance(log_ratio: float) -> tuple[float, float]:
    """What the kernel gathers of the heat's temperature and of the line's, in units of 1 / k."""
    # the wire's radius is 1; width of the Gaussian kernel from its r_eff
    s = 0.5 * math.exp(log_ratio + 0.5 * _EULER_GAMMA)
    r = np.geomspace(1e-3 * min(s, 1.0), 30.0 * max(s, 1.0), 4000)
    step = np.diff(np.log(r))
    smeared = (1.0 - np.exp(-0.5 * (r / s) ** 2)) ** 2
    hidden = np.where(r >= 1.0, 1.0 - smeared, 0.0)
    seen, unseen = _upwards(smeared, step), _upwards(hidden, step)
    unseen = unseen / unseen[-1]
    # temperature that heat (total: ln r outside) and a unit line lay, as at r outside
    heat = -0.5 * math.log(r[-1]) ** 2 + _inwards(seen + log_ratio * unseen, step)
    line = math.log(r[-1]) - _inwards(unseen, step)
    kernel = (r / s) ** 2 * np.exp(-0.5 * (r / s) ** 2)  # per ln r
    kernel /= _upwards(kernel, step)[-1]
    return -float(_upwards(kernel * heat, step)[-1]), float(_upwards(kernel * line, step)[-1])


def _upwards(y: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral over ln r from the axis to each radius."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (y[1:] + y[:-1]) * step)])


def _inwards(y: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral over ln r from each radius outwards."""
    up = _upwards(y, step)
    out: NDArray[np.float64] = up[-1] - up
    return out
