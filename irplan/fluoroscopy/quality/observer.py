"""Channelised Hotelling observer: how well a known object is told from its absence.

d'^2 = dv' S^-1 dv with dv the difference of the channels' mean outputs and S their covariance
(Barrett and Myers, Foundations of Image Science, 2004, 14.3.2).  The plug-in estimate is biased
upwards in small samples; it is corrected for the inverse Wishart mean and for the noise of dv.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError


@dataclass(frozen=True, eq=False)
class Detectability:
    """d' with a 95 % confidence interval.

    ``samples`` pairs; ``channels``; ``seed`` of the bootstrap and ``drawn`` (draw,) its d'.
    """

    d_prime: float
    low: float
    high: float
    samples: int
    channels: int
    seed: int
    drawn: NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """A ratio of two d' (or another figure) with a 95 % confidence interval."""

    value: float
    low: float
    high: float


def channel_outputs(
    patches: NDArray[np.float64], channels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(sample, channel) outputs of (sample, size, size) patches; `InputError` for another size."""
    flat = patches.reshape(patches.shape[0], -1)
    if flat.shape[1] != channels.shape[0]:
        raise InputError(
            "patches",
            got=f"{flat.shape[1]} pixels a patch",
            expected=f"the channels' {channels.shape[0]}",
            remedy="Cut patches of the channels' size.",
        )
    return flat @ channels


def hotelling(
    present: ArrayLike,
    absent: ArrayLike,
    *,
    paired: bool = False,
    template: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    draws: int = 400,
    seed: int = 0,
) -> Detectability:
    """d' of the Hotelling observer from channel outputs (sample, channel).

    Parameters
    ----------
    present, absent : outputs with and without the object.
    paired : sample k of both shares its noise; the difference is then known much better.
    template : (channel,) fixed weights; None: S^-1 dv, trained on these samples.
    groups : (sample,) labels of samples that are not independent (one run, one place); whole
        groups are drawn in the bootstrap.
    noise : (more, channel) further outputs without the object: with ``paired`` the covariance is
        that of these alone, so it is known better than from the pairs.
    draws : bootstrap samples; 0: no interval (NaN).

    Raises `InputError` for outputs that do not fit, or fewer than channels + 3 samples.
    """
    d = _Samples(present, absent, paired, template, groups, noise)
    estimate = d.estimate(d.all)
    drawn = d.bootstrap(draws, seed)
    low, high = _interval(estimate, drawn)
    return Detectability(estimate, max(low, 0.0), high, d.n, d.p, seed, drawn)


def detectability_ratio(a: Detectability, b: Detectability) -> Ratio:
    """d' of ``a`` over d' of ``b``, both of the same samples (same noise, other filter).

    The bootstrap drew the same samples for both, so what they share cancels.  Raises `InputError`
    where samples, seed or number of draws differ.  NaN where ``b`` sees nothing.
    """
    if (a.samples, a.seed, a.drawn.size) != (b.samples, b.seed, b.drawn.size):
        raise InputError(
            "detectability",
            got=f"{a.samples} and {b.samples} samples, seeds {a.seed} and {b.seed}",
            expected="the same samples, draws and seed",
            remedy="Measure both filters on the same frames.",
        )
    value = _over(a.d_prime, b.d_prime)
    drawn = np.array([_over(x, y) for x, y in zip(a.drawn, b.drawn, strict=True)])
    return Ratio(value, *_interval(value, drawn))


class _Samples:
    """Checked samples of one observer, and d' of any part of them."""

    def __init__(
        self,
        present: ArrayLike,
        absent: ArrayLike,
        paired: bool,
        template: ArrayLike | None,
        groups: ArrayLike | None,
        noise: ArrayLike | None = None,
    ) -> None:
        self.a = np.asarray(present, dtype=np.float64)
        self.b = np.asarray(absent, dtype=np.float64)
        self.w = None if template is None else np.asarray(template, dtype=np.float64)
        ok = self.a.ndim == 2 and self.a.shape == self.b.shape
        self.n, self.p = self.a.shape if ok else (0, 0)
        self.paired = paired
        self.noise = None if noise is None else np.asarray(noise, dtype=np.float64)
        if self.noise is not None and (
            not paired
            or self.noise.ndim != 2
            or self.noise.shape[1] != self.p
            or self.noise.shape[0] < self.p + 3
        ):
            raise InputError(
                "noise",
                got=f"{self.noise.shape}" + ("" if paired else " with samples that are not paired"),
                expected=f"(channels + 3 or more, {self.p}), and paired samples",
                remedy="Leave it out, or give outputs of the same channels.",
            )
        if not ok or self.n < self.p + 3 or (self.w is not None and self.w.shape != (self.p,)):
            raise InputError(
                "observer samples",
                got=f"present {self.a.shape}, absent {self.b.shape}"
                + ("" if self.w is None else f", template {self.w.shape}"),
                expected="equal (sample, channel), at least channels + 3 samples",
                remedy="Simulate more samples, or use fewer channels.",
            )
        if not (np.isfinite(self.a).all() and np.isfinite(self.b).all()):
            raise InputError(
                "observer samples",
                got="NaN or infinity",
                expected="finite outputs",
                remedy="Look at the filter's frames.",
            )
        labels = np.arange(self.n) if groups is None else np.asarray(groups)
        _, inverse = np.unique(labels, return_inverse=True)
        self.members = [np.flatnonzero(inverse == k) for k in range(int(inverse.max()) + 1)]
        self.all = np.arange(self.n)
        # sums over blocks of the further outputs, so that a draw of blocks is cheap
        self.sums = None if self.noise is None else _block_sums(self.noise)

    def estimate(self, index: NDArray[np.intp], blocks: NDArray[np.intp] | None = None) -> float:
        """d' of the samples ``index``, corrected for its bias, not below 0.

        ``blocks``: which blocks of the further outputs (all where None).
        """
        a, b = self.a[index], self.b[index]
        n, p = len(index), self.p
        change = a.mean(axis=0) - b.mean(axis=0)
        if self.sums is not None:
            s, count = self.sums.covariance(blocks)
            freedom = count - 1
        else:
            s = _covariance(b) if self.paired else (_covariance(a) + _covariance(b)) / 2.0
            freedom = n - 1 if self.paired else 2 * (n - 1)
        of_change = _covariance(a - b) / n if self.paired else 2.0 * s / n
        if self.w is not None:
            signal = float(self.w @ change)
            return signal / float(np.sqrt(max(float(self.w @ s @ self.w), 1e-300)))
        scale = np.sqrt(np.maximum(np.diag(s), 1e-300))
        outer = np.outer(scale, scale)
        inverse = np.linalg.inv(s / outer + 1e-9 * np.eye(p)) / outer
        shrink = max(freedom - p - 1, 1) / freedom  # of E[S^-1], inverse Wishart
        squared = shrink * (float(change @ inverse @ change) - float(np.trace(inverse @ of_change)))
        return float(np.sqrt(max(squared, 0.0)))

    def bootstrap(self, draws: int, seed: int) -> NDArray[np.float64]:
        """d' of ``draws`` samples of whole groups, drawn with replacement."""
        rng = np.random.default_rng(seed)
        out = np.empty(draws)
        for k in range(draws):
            chosen = rng.integers(len(self.members), size=len(self.members))
            blocks = None
            if self.sums is not None:
                blocks = rng.integers(len(self.sums.count), size=len(self.sums.count))
            out[k] = self.estimate(np.concatenate([self.members[c] for c in chosen]), blocks)
        return out


@dataclass(frozen=True, eq=False)
class _BlockSums:
    """Counts (block,), sums (block, channel) and products (block, channel, channel)."""

    count: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    def covariance(self, blocks: NDArray[np.intp] | None) -> tuple[NDArray[np.float64], int]:
        """Covariance of these blocks' outputs (all where None), and of how many it is."""
        use = slice(None) if blocks is None else blocks
        n = float(self.count[use].sum())
        mean = self.first[use].sum(axis=0) / n
        out = (self.second[use].sum(axis=0) - n * np.outer(mean, mean)) / (n - 1.0)
        return out, int(n)


def _block_sums(x: NDArray[np.float64], most: int = 64) -> _BlockSums:
    middle = x.mean(axis=0)  # taken off first: nothing is lost to rounding
    parts = np.array_split(x - middle, min(most, x.shape[0]))
    return _BlockSums(
        np.array([float(len(v)) for v in parts]),
        np.array([v.sum(axis=0) for v in parts]),
        np.array([v.T @ v for v in parts]),
    )


def _covariance(x: NDArray[np.float64]) -> NDArray[np.float64]:
    rest = x - x.mean(axis=0)
    out: NDArray[np.float64] = rest.T @ rest / (x.shape[0] - 1)
    return out


def _over(a: float, b: float) -> float:
    return a / b if b > 0 else float("nan")


def _interval(value: float, drawn: NDArray[np.float64]) -> tuple[float, float]:
    """95 %: the spread of the draws about their median, put about the estimate.

    Resampling repeats samples, which shifts an estimate that inverts a covariance; the shift is
    not a part of the uncertainty.
    """
    use = drawn[np.isfinite(drawn)]
    if use.size < 20 or not np.isfinite(value):
        return float("nan"), float("nan")
    middle = float(np.median(use))
    low, high = (float(v) for v in np.percentile(use, (2.5, 97.5)))
    return value + low - middle, value + high - middle
