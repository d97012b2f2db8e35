"""How sure a plan covers its target: probability with its interval, and what it hangs on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Mode = Literal["fast", "full"]
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """A proportion with its 95 % interval: ``hits`` of ``samples``."""

    hits: int
    samples: int

    @property
    def value(self) -> float:
        """hits / samples."""
        return self.hits / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % score interval (Wilson 1927, JASA 22:209, eq. on p. 211)."""
        n, p, z2 = self.samples, self.value, _Z95**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return (max(0.0, middle - half), min(1.0, middle + half))

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        low, high = self.interval
        return 0.5 * (high - low)


@dataclass(frozen=True)
class SourceShare:
    """What one source of error does to the plan.

    ``share`` (0..1) of the spread of the smallest margin (total-effect index of Jansen 1999,
    Comput Phys Commun 117:35, eq. 9, divided by the sum over the sources); ``without`` is the
    probability if this source were gone, on the same random numbers.
    """

    name: str
    share: float
    without: float


@dataclass(frozen=True)
class FastError:
    """The fast mode held against full physics on samples spread over its margins.

    ``bias_mm`` is the mean of fast minus full; a line through the ``pairs`` takes it off.
    ``rms_mm`` is what scatters about the line (it enters the probability as noise), and
    ``disagree`` counts pairs on which the line and full physics differ on "covered".
    """

    pairs: int
    disagree: int
    bias_mm: float
    rms_mm: float


@dataclass(frozen=True)
class CoverageProbability:
    """Probability that a plan covers its target with the margin, once needles are placed by hand.

    ``covered`` counts samples whose smallest margin reaches ``margin_mm``; ``target_only`` those
    that cover the target itself.  Where the fast mode was held against full physics both are
    corrected by what the pairs say, and ``model_error`` is the standard error of that correction
    of the probability.  ``margin_quantiles_mm`` maps a fraction to the smallest margin's
    quantile.  ``refused`` samples cannot be simulated (active zones closer to each other than a
    simulation takes; in the full mode also one in bone or gas) and count as not covered.
    """

    margin_mm: float
    covered: Share
    target_only: Share
    margin_quantiles_mm: Mapping[float, float]
    sources: tuple[SourceShare, ...]
    seed: int
    mode: Mode
    uncertainty: str
    """Name of the uncertainty and its numbers in words."""
    refused: int = 0
    fast_error: FastError | None = None
    model_error: float = 0.0

    @property
    def probability(self) -> float:
        """Estimate of P(target + margin covered)."""
        return self.covered.value

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval: sampling, and the fast mode's error as the pairs show it."""
        low, high = self.covered.interval
        p, model = self.probability, _Z95 * self.model_error
        return max(0.0, p - math.hypot(p - low, model)), min(1.0, p + math.hypot(high - p, model))

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.covered.samples
