"""Observers of discs, still and moving: in place, aware of the trail, and over three frames.

*In place*: Laguerre-Gauss channels where the disc is now.  *Trail-aware*: also channels at up to
five of its former places, so what a temporal filter has moved there counts.  *Three-frame*: the
trail-aware channels on the mean of the last three frames (the eye integrates some 200 ms).  Each is
a Hotelling observer trained on the frames it judges.  *NPWE*: eye-filtered mean difference, trail
included, as its template.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from irplan.fluoroscopy.filter import FilterFactory, FluoroFilter, Frame
from irplan.fluoroscopy.quality.channels import laguerre_gauss
from irplan.fluoroscopy.quality.npwe import Viewing, npwe_outputs
from irplan.fluoroscopy.quality.observer import Detectability, hotelling

#: Names of the observers.
OBSERVERS = ("in-place", "trail-aware", "three-frame", "NPWE")
_IN_PLACE, _TRAIL, _TRAIL_PLACES = 6, 2, 5
_NPWE_HALF_PX = 24


@dataclass(frozen=True, eq=False)
class DiscResult:
    """d' of one filter in one cell, by observer (`OBSERVERS`)."""

    filter_name: str
    cell: DiscCell
    dose_ngy: float
    d_prime: dict[str, Detectability]


@dataclass
class EmptyFrames:
    """The last filtered frames of runs without discs, by (filter, seed); kept between cells."""

    last: dict[tuple[str, int], list[Frame]] = field(default_factory=dict)


def observe_cell(
    cell: DiscCell,
    setting: DiscSetting,
    runs: Sequence[EmptyRun],
    filters: dict[str, FilterFactory],
    empty: EmptyFrames,
    *,
    draws: int = 200,
    seed: int = 0,
) -> list[DiscResult]:
    """d' of every filter for one kind of disc; all filters see the same frames.

    ``runs``: of `empty_run`, one a seed of ``setting``; ``empty`` fills itself with what the
    filters make of them.  A filter may look ahead: its attribute ``latency_frames`` says how many
    frames late it answers, and the frames are then taken as much later.
    """
    centres = setting.centres(cell)
    place, trail = _channels(cell)
    out = []
    shown: dict[str, list[list[Frame]]] = {name: [] for name in filters}
    for run in runs:
        made = {name: factory(setting.facts) for name, factory in filters.items()}
        kept: dict[str, list[Frame]] = {name: [] for name in filters}
        for n, frame in enumerate(frames_with_discs(setting, run, cell)):
            for name, each in made.items():
                if n >= _first_frame(each, setting):
                    kept[name] = [*kept[name][-2:], each.step(frame)]
        for name, factory in filters.items():
            shown[name].append([unturned(f, run.seed) for f in kept[name]])
            if (name, run.seed) not in empty.last:
                one = factory(setting.facts)
                last: list[Frame] = []
                for frame in run.frames[_first_frame(one, setting) :]:
                    last = [*last[-2:], one.step(frame)]
                empty.last[name, run.seed] = [unturned(f, run.seed) for f in last]
    for name in filters:
        late = round(getattr(made[name], "latency_frames", 0) * cell.speed_px)
        at = centres - [0, late]
        at = at[at[:, 1] >= HALF_PATCH_PX]
        pairs = [(a, empty.last[name, r.seed]) for a, r in zip(shown[name], runs, strict=True)]
        d: dict[str, Detectability] = {}
        for kind, channels in (("in-place", place), ("trail-aware", trail),
                               ("three-frame", trail)):  # fmt: skip
            if kind == "trail-aware" and cell.speed_px == 0.0:
                d[kind] = d["in-place"]
                continue
            use = place if cell.speed_px == 0.0 else channels
            count = 3 if kind == "three-frame" else 1
            with_it, without = (
                np.concatenate([_outputs(pair[k][-count:], at, use) for pair in pairs])
                for k in (0, 1)
            )
            d[kind] = hotelling(with_it, without, paired=True, draws=draws, seed=seed)
        d["NPWE"] = _npwe(pairs, at, draws, seed)
        out.append(DiscResult(name, cell, setting.dose_ngy, d))
    return out


def _first_frame(each: FluoroFilter, setting: DiscSetting) -> int:
    """Where a filter that forgets must start for its last three frames to be right."""
    memory = getattr(each, "memory_frames", None)
    return 0 if memory is None else max(0, setting.frames - int(memory) - 3)


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


@lru_cache(maxsize=64)
def _channels(cell: DiscCell) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    size = 2 * HALF_PATCH_PX + 1
    width = 2.2 * cell.radius_px + 3.0  # the disc and what the detector's blur adds
    place = laguerre_gauss(size, _IN_PLACE, width)
    step = max(cell.speed_px, 0.6 * cell.radius_px)
    behind = [
        laguerre_gauss(size, _TRAIL, width, centre_px=(0.0, -k * step))
        for k in range(1, _TRAIL_PLACES + 1)
        if k * step + 0.5 * width <= HALF_PATCH_PX
    ]
    return place, np.concatenate([place, *behind], axis=1)
