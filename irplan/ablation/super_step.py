"""A step of the freeze: one or more RKL1 super-steps in a row, as one list of stages.

Stage j of a super-step of s stages makes Y_j = alpha Y_j-1 + beta Y_j-2 + gamma M(Y_j-1) (Meyer,
Balsara, Aslam, J. Comput. Phys. 257 (2014) 594, eq. 14-17).  Its first stage has beta = 0, so that
super-steps follow each other with nothing between them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def extent(stages: int) -> float:
    """How many explicit steps a super-step of ``stages`` stages may cover."""
    return (stages * stages + stages) / 2.0


def stages_for(ratio: float) -> int:
    """Fewest stages that are stable over ``ratio`` explicit steps."""
    return max(1, math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * ratio) - 1.0) - 1e-9))


def stage_weights(dt_s: float, stages: int, parts: int = 1) -> NDArray[np.float64]:
    """(parts * stages, 3): alpha, beta, gamma (s) of a step of ``parts`` equal super-steps."""
    j = np.arange(1, stages + 1, dtype=np.float64)
    alpha, beta = (2.0 * j - 1.0) / j, (1.0 - j) / j
    one = np.stack([alpha, beta, alpha * (dt_s / parts / extent(stages))], axis=1)
    return np.tile(one, (parts, 1))


def stage_times_s(dt_s: float, stages: int, parts: int = 1) -> NDArray[np.float64]:
    """(parts * stages,) time within the step of the state that each stage starts from, s."""
    j = np.arange(stages, dtype=np.float64)
    one = dt_s / parts * (j * j + j) / (stages * stages + stages)
    out: NDArray[np.float64] = (one + (dt_s / parts) * np.arange(parts)[:, None]).reshape(-1)
    return out


def energy_shares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) seconds by which the heat rate of each of ``weights``' stages counts in the step.

    The recursion of the field, e_j = alpha e_j-1 + beta e_j-2 + gamma rate_j, is linear in the
    rates; these are its coefficients.  They add up to the step's length.
    """
    now, before = np.zeros(len(weights)), np.zeros(len(weights))
    for j, (alpha, beta, gamma) in enumerate(weights):
        following = alpha * now + beta * before
        following[j] += gamma
        now, before = following, now
    return now
