"""Observers of discs, still and moving: in place, aware of the trail, and over three frames.

*In place*: Laguerre-Gauss channels where the disc is now.  *Trail-aware*: also channels at up to
five of its former places, so what a temporal filter has moved there counts.  *Three-frame*: the
trail-aware channels on the mean of the last three frames (the eye integrates some 200 ms).  Each is
a Hotelling observer trained on the frames it judges; the covariance is that of patches every 16
pixels of the frames without discs.  *NPWE*: eye-filtered mean difference, trail included, as its
template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from irplan.fluoroscopy.bench.disc_runs import (
    HALF_PATCH_PX,
    DiscCell,
    DiscSetting,
    EmptyRun,
    frames_with_discs,
    unturned,
)
from irplan.fluoroscopy.filter import FilterFactory, Frame
from irplan.fluoroscopy.quality.channels import laguerre_gauss
from irplan.fluoroscopy.quality.npwe import Viewing, npwe_outputs
from irplan.fluoroscopy.quality.observer import Detectability, hotelling

#: Names of the observers.
OBSERVERS = ("in-place", "trail-aware", "three-frame", "NPWE")
_IN_PLACE, _TRAIL, _TRAIL_PLACES = 6, 2, 5
_NPWE_HALF_PX = 24
_SIDE_PX = 2 * HALF_PATCH_PX + 1
_NOISE_PITCH_PX = 16


@dataclass(frozen=True, eq=False)
class DiscResult:
    """d' of one filter in one cell, by observer (`OBSERVERS`)."""

    filter_name: str
    cell: DiscCell
    dose_ngy: float
    d_prime: dict[str, Detectability]


@dataclass
class EmptyFrames:
    """The last filtered frames of runs without discs, by (filter, seed); kept between cells.

    ``noise``: channel outputs all over them, by (filter, observer, radius, speed).
    """

    last: dict[tuple[str, int], list[Frame]] = field(default_factory=dict)
    noise: dict[tuple[str, str, float, float], NDArray[np.float64]] = field(default_factory=dict)


def observe_cell(
    cell: DiscCell,
    setting: DiscSetting,
    runs: Sequence[EmptyRun],
    filters: dict[str, FilterFactory],
    empty: EmptyFrames,
    *,
    few: Collection[str] = (),
    draws: int = 200,
    seed: int = 0,
) -> list[DiscResult]:
    """d' of every filter for one kind of disc; all filters see the same frames.

    ``runs``: of `empty_run`, one a seed of ``setting``; ``empty`` fills itself with what the
    filters make of them.  Filters named in ``few`` are run over the first of the runs only.  Of one
    that forgets and can ``watch`` (`PeerFilter`) only the last frame is made, so it has no
    three-frame observer.  A filter may look ahead: its attribute ``latency_frames`` says how many
    frames late it answers, and the frames are then taken as much later.
    """
    centres = setting.centres(cell)
    place, trail = _channels(cell)
    out = []
    shown: dict[str, list[list[Frame]]] = {name: [] for name in filters}
    late_frames: dict[str, int] = {}
    for k, run in enumerate(runs):
        here = {name: f for name, f in filters.items() if k == 0 or name not in few}
        each = {name: _LastFrames(factory, setting) for name, factory in here.items()}
        for frame in frames_with_discs(setting, run, cell):
            for one in each.values():
                one.take(frame)
        for name, factory in here.items():
            late_frames[name] = each[name].latency_frames
            shown[name].append([unturned(f, run.seed) for f in each[name].last])
            if (name, run.seed) not in empty.last:
                without_discs = _LastFrames(factory, setting)
                for frame in run.frames:
                    without_discs.take(frame)
                empty.last[name, run.seed] = [unturned(f, run.seed) for f in without_discs.last]
    for name in filters:
        late = round(late_frames[name] * cell.speed_px)
        at = centres - np.array([0, late])
        at = at[at[:, 1] >= HALF_PATCH_PX]
        pairs = [(a, empty.last[name, r.seed]) for a, r in zip(shown[name], runs, strict=False)]
        d: dict[str, Detectability] = {}
        for kind, channels in (("in-place", place), ("trail-aware", trail),
                               ("three-frame", trail)):  # fmt: skip
            if kind == "trail-aware" and cell.speed_px == 0.0:
                d[kind] = d["in-place"]
                continue
            if kind == "three-frame" and len(pairs[0][0]) < 3:
                continue
            use = place if cell.speed_px == 0.0 else channels
            count = 3 if kind == "three-frame" else 1
            with_it, without = (
                np.concatenate([_outputs(pair[k][-count:], at, use) for pair in pairs])
                for k in (0, 1)
            )
            key = (name, kind, cell.radius_px, cell.speed_px)
            if key not in empty.noise:
                everywhere = setting.everywhere(_NOISE_PITCH_PX)
                empty.noise[key] = np.concatenate(
                    [_outputs(frames[-count:], everywhere, use) for _, frames in pairs]
                )
            d[kind] = hotelling(
                with_it, without, paired=True, noise=empty.noise[key], draws=draws, seed=seed
            )
        d["NPWE"] = _npwe(pairs, at, draws, seed)
        out.append(DiscResult(name, cell, setting.dose_ngy, d))
    return out


class _LastFrames:
    """A filter over one run, and what it shows of the last frames (three; one where it can watch).

    A filter that forgets starts where its last frames need it.
    """

    def __init__(self, factory: FilterFactory, setting: DiscSetting) -> None:
        self._filter = factory(setting.facts)
        self._watch: Callable[[Frame], None] | None = getattr(self._filter, "watch", None)
        self._kept = 3 if self._watch is None else 1
        memory = getattr(self._filter, "memory_frames", None)
        needed = setting.frames if memory is None else int(memory) + self._kept
        self._first, self._total, self._n = setting.frames - needed, setting.frames, 0
        self.latency_frames = int(getattr(self._filter, "latency_frames", 0))
        self.last: list[Frame] = []

    def take(self, frame: Frame) -> None:
        """The next frame."""
        if self._watch is not None and self._n < self._total - 1:
            if self._n >= self._first:
                self._watch(frame)
        elif self._n >= self._first:
            self.last = [*self.last, self._filter.step(frame)][-self._kept :]
        self._n += 1


def _npwe(
    pairs: list[tuple[list[Frame], list[Frame]]], at: NDArray[np.int_], draws: int, seed: int
) -> Detectability:
    with_it, without = (
        np.concatenate([_patches(pair[k][-1], at, _NPWE_HALF_PX) for pair in pairs]) for k in (0, 1)
    )
    a, b = npwe_outputs(with_it, without, Viewing())
    return hotelling(a, b, paired=True, template=np.ones(1), draws=draws, seed=seed)


def _outputs(
    frames: list[Frame], centres: NDArray[np.int_], channels: NDArray[np.float64]
) -> NDArray[np.float64]:
    mean = frames[0] if len(frames) == 1 else np.mean(frames, axis=0)
    patches = _patches(mean, centres, HALF_PATCH_PX)
    out: NDArray[np.float64] = patches.reshape(len(centres), -1) @ channels
    return out


def _patches(frame: Frame, centres: NDArray[np.int_], half: int) -> NDArray[np.float64]:
    side = np.arange(-half, half + 1)
    rows = centres[:, 0, None, None] + side[None, :, None]
    columns = centres[:, 1, None, None] + side[None, None, :]
    out: NDArray[np.float64] = frame[rows, columns].astype(np.float64)
    return out


def place_channels(cell: DiscCell) -> NDArray[np.float64]:
    """Channels of the in-place observer, (pixel of its patch, channel)."""
    return laguerre_gauss(_SIDE_PX, _IN_PLACE, _width_px(cell))


def _width_px(cell: DiscCell) -> float:
    return 2.2 * cell.radius_px + 3.0  # the disc and what the detector's blur adds


@lru_cache(maxsize=64)
def _channels(cell: DiscCell) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    size, width, place = _SIDE_PX, _width_px(cell), place_channels(cell)
    step = max(cell.speed_px, 0.6 * cell.radius_px)
    behind = [
        laguerre_gauss(size, _TRAIL, width, centre_px=(0.0, -k * step))
        for k in range(1, _TRAIL_PLACES + 1)
        if k * step + 0.5 * width <= HALF_PATCH_PX
    ]
    return place, np.concatenate([place, *behind], axis=1)
