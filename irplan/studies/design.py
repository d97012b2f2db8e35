"""Designs: at which values of the factors a study computes.

Points are made one at a time from their number, so that a long design costs no more memory than
its Sobol or Latin-hypercube array of doubles (a full factorial costs none).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.studies.factor import Factor, Value

DesignKind = Literal["full-factorial", "latin-hypercube", "sobol", "sensitivity"]
KINDS: tuple[DesignKind, ...] = ("full-factorial", "latin-hypercube", "sobol", "sensitivity")
#: Runs of one design at most.
MOST_RUNS = 10_000_000


@dataclass(frozen=True)
class Design:
    """How the factors' space is filled.

    Parameters
    ----------
    kind : ``full-factorial`` (every level with every other), ``latin-hypercube``, ``sobol``
        (scrambled low-discrepancy points), or ``sensitivity`` (Saltelli's A, B and A_B matrices,
        from which Sobol indices are estimated: runs x (factors + 2) points).
    runs : number of points a case (base points for ``sensitivity``, a power of two); None for a
        full factorial, whose number follows from the levels.
    seed : same seed, same points.

    References
    ----------
    .. [1] Saltelli et al. 2010, Comput. Phys. Commun. 181, 259 (A, B, A_B; Table 2).
    .. [2] SciPy, ``scipy.stats.qmc``.
    """

    kind: DesignKind = "full-factorial"
    runs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        def wrong(field: str, got: object, expected: str, remedy: str) -> InputError:
            return InputError(f"design: {field}", got=str(got), expected=expected, remedy=remedy)

        if self.kind not in KINDS:
            raise wrong("kind", repr(self.kind), "one of " + ", ".join(KINDS), "Use one of these.")
        if self.kind == "full-factorial":
            if self.runs is not None:
                raise wrong(
                    "runs", self.runs, "no runs: levels and choices give the number", "Remove it."
                )
        elif not isinstance(self.runs, int) or not 2 <= self.runs <= MOST_RUNS:
            raise wrong(
                "runs", self.runs, f"a whole number, 2 to {MOST_RUNS}", "For example runs = 64."
            )
        elif self.kind == "sensitivity" and self.runs & (self.runs - 1):
            raise wrong(
                "runs", self.runs, "a power of two", f"Use {1 << (self.runs.bit_length())}."
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise wrong("seed", self.seed, "a whole number from 0", "For example seed = 1.")

    def points(self, factors: Sequence[Factor]) -> DesignPoints:
        """The points for ``factors``; `InputError` for none, or for too many points."""
        if not factors:
            return DesignPoints((), None, 1)
        if self.kind == "full-factorial":
            count = math.prod(len(f.level_values()) for f in factors)
            if count > MOST_RUNS:
                raise InputError(
                    "design",
                    got=f"{count} combinations",
                    expected=f"at most {MOST_RUNS}",
                    remedy='Fewer levels, or kind = "sobol" with runs = 1024.',
                )
            return DesignPoints(tuple(factors), None, count)
        assert self.runs is not None
        if self.kind == "sensitivity" and self.runs * (len(factors) + 2) > MOST_RUNS:
            raise InputError(
                "design: runs",
                got=f"{self.runs} x ({len(factors)} factors + 2) points",
                expected=f"at most {MOST_RUNS}",
                remedy="Fewer runs, for example 1024.",
            )
        shares = self._shares(len(factors))
        return DesignPoints(tuple(factors), shares, len(shares))

    def _shares(self, dimensions: int) -> NDArray[np.float64]:
        from scipy.stats import qmc

        assert self.runs is not None
        if self.kind == "latin-hypercube":
            return np.asarray(qmc.LatinHypercube(dimensions, rng=self.seed).random(self.runs))
        if self.kind == "sobol":
            whole = 1 << (self.runs - 1).bit_length()  # balanced; a part of it keeps the order
            return np.asarray(qmc.Sobol(dimensions, rng=self.seed).random(whole)[: self.runs])
        both = np.asarray(qmc.Sobol(2 * dimensions, rng=self.seed).random(self.runs))
        a, b = both[:, :dimensions], both[:, dimensions:]
        mixed = []
        for d in range(dimensions):
            one = a.copy()
            one[:, d] = b[:, d]
            mixed.append(one)
        return np.concatenate([a, b, *mixed])


@dataclass(frozen=True, eq=False)
class DesignPoints:
    """Points by number: ``shares`` (count, factors) in 0..1, or None for a full factorial."""

    factors: tuple[Factor, ...]
    shares: NDArray[np.float64] | None
    count: int

    def point(self, number: int) -> tuple[Value, ...]:
        """Values of the factors at point ``number`` (from 0), in their order."""
        if self.shares is not None:
            row = self.shares[number]
            return tuple(f.value(float(s)) for f, s in zip(self.factors, row, strict=True))
        values: list[Value] = []
        for factor in reversed(self.factors):  # the last factor changes fastest
            levels = factor.level_values()
            number, at = divmod(number, len(levels))
            values.append(levels[at])
        return tuple(reversed(values))
