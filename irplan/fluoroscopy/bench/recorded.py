"""A recorded run through filters: what can be said without a truth."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from irplan import __version__
from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.fluoroscopy.filter import FilterFactory, StreamFacts
from irplan.image import FluoroSequence

_WARM_UP, _BLOCK_PX = 6, 16
_DARK = 16.0  # times less light than usual: the beam was off
_EVERY = 6  # frames from one look at edges and motion to the next


@dataclass(frozen=True)
class RecordedRow:
    """One filter on a recorded run, compared with the run as it is; the means over its frames.

    ``noise_left``: temporal noise SD of the quietest third of blocks over that of the raw run.
    ``edges_kept``: steepness of the steepest 2 % of edges over the raw run's, both smoothed alike.
    ``motion_loss``: size of what was taken away where things move over that where nothing does;
    1: only noise was taken away.
    ``frame_correlation``: of the noise of neighbouring frames in quiet blocks (lag).
    ``ms_per_frame``: on this run's frames.
    """

    filter_name: str
    noise_left: float
    edges_kept: float
    motion_loss: float
    frame_correlation: float
    ms_per_frame: float


@dataclass(frozen=True)
class RecordedBench:
    """All filters on one file; ``refused``: (filter, why); ``notes``: what a reader must know."""

    file_name: str
    sha256: str
    rows: tuple[RecordedRow, ...]
    refused: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    version: str = __version__


def measure_recorded(
    run: FluoroSequence,
    filters: dict[str, FilterFactory],
    *,
    most_frames: int = 120,
    progress: Progress = no_progress,
) -> tuple[RecordedRow, ...]:
    """Measure every filter on the first ``most_frames`` frames.

    Frames without light go through the filters and are not measured.  Raises `InputError` for fewer
    than 16 frames, or frames that are all alike.  For lossy or display-coded runs the numbers hold
    for the picture, not for the detector; callers say so.
    """
    count = min(len(run), most_frames)
    if count < 16:
        raise InputError(
            "run",
            got=f"{count} frame(s)",
            expected="16 frames or more",
            remedy="Give a run, not single images.",
        )
    raw = [np.asarray(f, np.float32) for f in run.frames[:count]]
    light = np.array([float(f.mean()) for f in raw])
    lit = light > float(np.median(light)) / _DARK  # frames without light say nothing of a filter
    quiet = _quiet_blocks([f for f, on in zip(raw, lit, strict=True) if on])
    out = []
    for n, (name, factory) in enumerate(filters.items()):
        progress(n / len(filters), f"filter {name}")
        each = factory(StreamFacts.of(run))
        shown, times = [], []
        for frame in raw:
            begun = time.perf_counter()
            shown.append(each.step(frame))
            times.append(time.perf_counter() - begun)
        late = int(getattr(each, "latency_frames", 0))
        pairs = [(raw[k - late], shown[k]) for k in range(_WARM_UP + late, count) if lit[k - late]]
        if len(pairs) < 4 or _difference_sd([a for a, _ in pairs], quiet) == 0.0:
            raise InputError(
                "run",
                got="frames without light, or without noise (all alike)",
                expected="a run as the detector gives it",
                remedy="Give a run in which the beam was on.",
            )
        out.append(_row(name, pairs, quiet, 1000.0 * float(np.median(times[2:]))))
    return tuple(out)


def _row(
    name: str,
    pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    quiet: NDArray[np.bool_],
    ms: float,
) -> RecordedRow:
    raw, new = [a for a, _ in pairs], [b for _, b in pairs]
    noise = [_difference_sd(x, quiet) for x in (raw, new)]
    edges, losses = [], []
    for (a, b), before in list(zip(pairs[1:], raw[:-1], strict=True))[::_EVERY]:
        slopes = [np.hypot(*np.gradient(gaussian_filter(x, 2.0))) for x in (a, b)]
        steep = slopes[0] >= np.percentile(slopes[0], 98.0)
        edges.append(float(slopes[1][steep].mean() / max(float(slopes[0][steep].mean()), 1e-9)))
        change = np.abs(gaussian_filter(a - before, 2.0))
        taken = gaussian_filter(a - b, 2.0) ** 2
        moving = change >= np.percentile(change, 99.0)
        still = quiet & ~moving
        losses.append(
            math.sqrt(float(taken[moving].mean()) / max(float(taken[still].mean()), 1e-12))
        )
    step = np.stack([x[quiet] for x in new])
    rest = step - step.mean(axis=0)
    rho = float((rest[1:] * rest[:-1]).mean() / max(float((rest**2).mean()), 1e-12))
    same = all(np.array_equal(a, b) for a, b in pairs[:2])
    return RecordedRow(
        name, noise[1] / max(noise[0], 1e-12), float(np.mean(edges)),
        1.0 if same else float(np.mean(losses)), rho, ms,
    )  # fmt: skip


def _difference_sd(frames: Sequence[NDArray[np.float32]], quiet: NDArray[np.bool_]) -> float:
    """Temporal SD in quiet pixels about each pixel's mean (lag does not hide in it)."""
    stack = np.stack([f[quiet] for f in frames])
    return float(np.sqrt(stack.var(axis=0, ddof=1).mean()))


def _quiet_blocks(frames: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Pixels of the third of the blocks that change least over the run, relative to their light."""
    some = np.stack([uniform_filter(f, _BLOCK_PX) for f in frames[:: max(1, len(frames) // 16)]])
    moves = some.std(axis=0) / np.maximum(some.mean(axis=0), 1e-6)
    lit = some.mean(axis=0) > 0.05 * float(some.mean())
    out: NDArray[np.bool_] = lit & (moves <= np.quantile(moves[lit], 1 / 3))
    return out
