"""The benchmark: scenes, discs, dose ladder and speed for a set of filters, as one result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from irplan import __version__
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError, MissingExtraError
from irplan.fluoroscopy.bench.device_runs import DeviceRow, measure_devices, scene_pair
from irplan.fluoroscopy.bench.disc_observers import DiscResult, EmptyFrames, observe_cell
from irplan.fluoroscopy.bench.disc_runs import DISC_CELLS, DiscCell, DiscSetting, empty_run
from irplan.fluoroscopy.bench.dose_factor import DoseFactor, dose_factor
from irplan.fluoroscopy.bench.dsa_runs import DsaRow, measure_dsa
from irplan.fluoroscopy.bench.peers import PEERS, peer
from irplan.fluoroscopy.bench.request import (
    DSA_SCENE,
    FACTOR_CELLS,
    RAW,
    RECURSIVE,
    BenchRequest,
    Level,
)
from irplan.fluoroscopy.bench.speed import Speed, measure_speed
from irplan.fluoroscopy.filter import FilterFactory, FluoroFilter, StreamFacts, make_filter
from irplan.fluoroscopy.quality.observer import Ratio, detectability_ratio
from irplan.fluoroscopy.scenes import REPORT_SEEDS, scene

#: A filter slower than this (ms a 1024 x 1024 frame) is not run over all cells.
_SLOW_MS, _TOO_SLOW_MS = 250.0, 6000.0

T = TypeVar("T")


class Keep(Protocol):
    """What a piece of work returns: made now, or kept under its name from an earlier run."""

    def __call__(self, name: str, work: Callable[[], T], /) -> T:
        """The result of ``work``."""


def made_now(name: str, work: Callable[[], T], /) -> T:
    """Nothing is kept."""
    return work()


@dataclass(frozen=True)
class FilterRow:
    """One filter: ``status`` "measured", "not installed" or "failed", and why."""

    name: str
    title: str
    status: str
    note: str = ""
    speed: Speed | None = None
    latency_frames: int = 0


@dataclass(frozen=True)
class CellRow:
    """d' of one filter, cell, dose and observer, and its ratio to raw at that dose."""

    filter_name: str
    cell: DiscCell
    dose: float
    observer: str
    d_prime: float
    low: float
    high: float
    over_raw: Ratio


@dataclass(frozen=True)
class FactorRow:
    """Dose factor of one filter in one task against raw or recursive:0.5."""

    filter_name: str
    cell: DiscCell
    dose: float
    observer: str
    against: str
    factor: DoseFactor


@dataclass(frozen=True)
class BenchResult:
    """All rows of one run, with what made them."""

    request: BenchRequest
    filters: tuple[FilterRow, ...]
    devices: tuple[DeviceRow, ...]
    cells: tuple[CellRow, ...]
    factors: tuple[FactorRow, ...]
    dsa: tuple[DsaRow, ...]
    disc_seeds: tuple[int, ...]
    scene_seeds: tuple[int, ...]
    seconds: float
    version: str = __version__


@dataclass(frozen=True)
class _Size:
    scene_shape: tuple[int, int]
    window_px: int
    scene_seeds: tuple[int, ...]
    scene_frames: int
    disc_shape: tuple[int, int]
    disc_seeds: tuple[int, ...]
    cells: tuple[DiscCell, ...]
    draws: int


def _size(level: Level) -> _Size:
    if level == "quick":
        few = tuple(
            DiscCell(r, c, v) for v in (0.0, 1.0, 3.0) for r, c in ((3.0, 0.1), (8.0, 0.05))
        )
        return _Size(
            (1024, 1024), 320, REPORT_SEEDS[:1], 18, (256, 256), REPORT_SEEDS[:4], few, 100
        )
    seeds = REPORT_SEEDS[:3] if level == "standard" else REPORT_SEEDS
    scenes = REPORT_SEEDS[:2] if level == "standard" else REPORT_SEEDS[:4]
    return _Size((1024, 1024), 512, scenes, 20, (512, 512), seeds, DISC_CELLS, 200)


def run_bench(
    request: BenchRequest, *, keep: Keep = made_now, progress: Progress = no_progress
) -> BenchResult:
    """Measure every filter on the same frames.

    ``keep`` may hold what is finished (a filter's speed, a scene, a kind of disc at a dose), so
    that a run which was stopped goes on; it must not outlive a change of request or code.

    A peer whose package is absent has a row that says so; a filter that fails ends the run with its
    error, named.  Raises `InputError` for a filter that cannot be had.
    """
    begun = time.monotonic()
    size = _size(request.level)
    names = tuple(dict.fromkeys((RAW, RECURSIVE, *request.filters)))
    facts = StreamFacts((64, 64), 15.0, DiscSetting().facts.photometry, 0.2)
    factories: dict[str, FilterFactory] = {}
    rows: list[FilterRow] = []
    for n, name in enumerate(names):
        progress(0.08 * n / len(names), f"speed: {name}")
        try:
            factory = peer(name) if name in PEERS else partial(make_filter, name)
            made = factory(facts)
        except MissingExtraError as error:
            rows.append(FilterRow(name, _title(name), "not installed", error.remedy))
            continue
        most = 2.0 if request.level == "quick" else 8.0
        shape = (512, 512) if request.level == "quick" else (1024, 1024)
        speed = keep(
            f"speed {name}",
            partial(measure_speed, factory, shape=shape, most_s=most),
        )
        rows.append(
            FilterRow(name, _title(name), "measured", "", speed,
                      int(getattr(made, "latency_frames", 0)))
        )  # fmt: skip
        factories[name] = _named(name, factory)
    speeds = {r.name: _at_1024(r.speed) for r in rows if r.speed is not None}
    devices = _devices(request, size, factories, speeds, keep, portion(progress, 0.08, 0.35))
    cells, kept = _cells(request, size, factories, speeds, keep, portion(progress, 0.35, 0.75))
    factors = _factors(request, size, factories, speeds, kept, keep, portion(progress, 0.75, 0.93))
    dsa: tuple[DsaRow, ...] = ()
    if DSA_SCENE in request.scenes:
        side = 384 if request.level == "quick" else 1024
        for n, share in enumerate((1.0, request.working_dose)):
            dsa += keep(
                f"dsa {share:g}",
                partial(
                    measure_dsa,
                    share * request.full_dose_ngy,
                    seeds=size.scene_seeds[:2],
                    shape=(side, side),
                    frames=20,
                    progress=portion(progress, 0.93 + 0.035 * n, 0.965 + 0.035 * n),
                ),
            )
    rows = [_with_note(r, request, speeds) for r in rows]
    progress(1.0, "done")
    return BenchResult(
        request, tuple(rows), tuple(devices), tuple(cells), tuple(factors), dsa,
        size.disc_seeds,
        size.scene_seeds if request.scenes else (), time.monotonic() - begun,
    )  # fmt: skip


def _devices(
    request: BenchRequest,
    size: _Size,
    factories: dict[str, FilterFactory],
    speeds: dict[str, float],
    keep: Keep,
    progress: Progress,
) -> list[DeviceRow]:
    out: list[DeviceRow] = []
    jobs = [
        (name, seed, dose)
        for name in request.scenes
        if name != DSA_SCENE
        for seed in size.scene_seeds
        for dose in dict.fromkeys((1.0, request.working_dose))
        # what full dose gives is for orientation: one seed, no filter but the references
        if dose == request.working_dose or seed == size.scene_seeds[0]
    ]

    def one(name: str, seed: int, dose: float, here: Progress) -> list[DeviceRow]:
        made = scene(name, shape=size.scene_shape, frames=size.scene_frames, seed=seed)
        pair = scene_pair(
            made, dose * request.full_dose_ngy, window_px=size.window_px,
            progress=portion(here, 0.0, 0.4),
        )  # fmt: skip
        use = factories if dose == request.working_dose else _references(factories)
        rows = []
        for k, (label, factory) in enumerate(use.items()):
            step = portion(here, 0.4 + 0.6 * k / len(use), 0.4 + 0.6 * (k + 1) / len(use))
            every = 6 if speeds[label] > _TOO_SLOW_MS else 2
            rows.append(measure_devices(pair, label, factory, every=every, progress=step))
        return rows

    for n, (name, seed, dose) in enumerate(jobs):
        here = portion(progress, n / len(jobs), (n + 1) / len(jobs))
        out += keep(f"devices {name} {seed} {dose:g}", partial(one, name, seed, dose, here))
    return out


def _references(factories: dict[str, FilterFactory]) -> dict[str, FilterFactory]:
    return {k: v for k, v in factories.items() if k in (RAW, RECURSIVE)}


_Kept = dict[tuple[float, DiscCell], list[DiscResult]]


def _cells(
    request: BenchRequest,
    size: _Size,
    factories: dict[str, FilterFactory],
    speeds: dict[str, float],
    keep: Keep,
    progress: Progress,
) -> tuple[list[CellRow], _Kept]:
    dose = request.working_dose
    setting = DiscSetting(dose * request.full_dose_ngy, size.disc_shape, seeds=size.disc_seeds)
    runs = [empty_run(setting, seed) for seed in size.disc_seeds]
    empty, kept, out = EmptyFrames(), _Kept(), []
    for n, cell in enumerate(size.cells):
        progress(n / len(size.cells), f"discs: {_words(cell)}")
        use = {k: f for k, f in factories.items() if _measured(k, cell, request, speeds)}
        few = [k for k in use if speeds[k] > _TOO_SLOW_MS]
        results = keep(
            f"discs {dose:g} {_words(cell)}",
            partial(observe_cell, cell, setting, runs, use, empty, few=few, draws=size.draws),
        )
        kept[dose, cell] = results
        out += _rows(results, dose)
    return out, kept


def _measured(name: str, cell: DiscCell, request: BenchRequest, speeds: dict[str, float]) -> bool:
    """Slow filters are not run over every cell; `_with_note` says so."""
    if name in PEERS or speeds[name] > _SLOW_MS:
        return cell.speed_px <= 1.0 and (speeds[name] <= _TOO_SLOW_MS or request.level != "quick")
    return True


def _factors(
    request: BenchRequest,
    size: _Size,
    factories: dict[str, FilterFactory],
    speeds: dict[str, float],
    kept: _Kept,
    keep: Keep,
    progress: Progress,
) -> list[FactorRow]:
    cells = size.cells if request.level == "quick" else FACTOR_CELLS
    fast = {k: f for k, f in factories.items() if k not in PEERS and speeds[k] <= _SLOW_MS}
    table: dict[tuple[float, DiscCell], list[DiscResult]] = dict(kept)
    total = len(request.doses) * len(cells)
    done = 0
    for dose in request.doses:
        todo = [c for c in cells if (dose, c) not in table]
        setting = DiscSetting(dose * request.full_dose_ngy, size.disc_shape, seeds=size.disc_seeds)
        runs = [empty_run(setting, seed) for seed in size.disc_seeds] if todo else []
        empty = EmptyFrames()
        for cell in todo:
            progress(done / total, f"dose {100 * dose:g} %: {_words(cell)}")
            table[dose, cell] = keep(
                f"discs {dose:g} {_words(cell)}",
                partial(observe_cell, cell, setting, runs, fast, empty, draws=size.draws),
            )
            done += 1
    out = []
    for cell in cells:
        ladder = {
            name: [(d, _of(table[d, cell], name)) for d in request.doses]
            for name in (RAW, RECURSIVE)
        }
        for dose in request.doses:
            for result in table[dose, cell]:
                for observer, seen in result.d_prime.items():
                    for against in (RAW, RECURSIVE):
                        if result.filter_name in (RAW, against):
                            continue
                        reference = [(d, r.d_prime[observer]) for d, r in ladder[against]]
                        factor = dose_factor(seen, dose, reference)
                        out.append(
                            FactorRow(result.filter_name, cell, dose, observer, against, factor)
                        )
    return out


def _of(results: Sequence[DiscResult], name: str) -> DiscResult:
    return next(r for r in results if r.filter_name == name)


def _rows(results: Sequence[DiscResult], dose: float) -> list[CellRow]:
    raw = _of(results, RAW)
    out = []
    for r in results:
        for observer, d in r.d_prime.items():
            base = raw.d_prime[observer]
            same = d.samples == base.samples
            ratio = (
                detectability_ratio(d, base)
                if same
                else Ratio(
                    d.d_prime / base.d_prime if base.d_prime else math.nan, math.nan, math.nan
                )
            )
            out.append(
                CellRow(r.filter_name, r.cell, dose, observer, d.d_prime, d.low, d.high, ratio)
            )
    return out


def _with_note(row: FilterRow, request: BenchRequest, speeds: dict[str, float]) -> FilterRow:
    if row.speed is None:
        return row
    note = ""
    if speeds[row.name] > _TOO_SLOW_MS:
        note = "devices in two frames a scene; "
        note += ("no d' measured" if request.level == "quick" else
                 "d' for still discs and 1 px/frame, on the first seed only")  # fmt: skip
    elif row.name in PEERS or speeds[row.name] > _SLOW_MS:
        note = "d' measured for still discs and 1 px/frame only"
    return FilterRow(row.name, row.title, row.status, note, row.speed, row.latency_frames)


def _named(name: str, factory: FilterFactory) -> Callable[[StreamFacts], FluoroFilter]:
    """The factory, whose errors name the filter."""

    def make(facts: StreamFacts) -> FluoroFilter:
        made = factory(facts)
        if made is None:
            raise InputError(
                "filter",
                got=f"'{name}' made nothing",
                expected="a filter object",
                remedy="See irplan fluoro bench --help.",
            )
        return made

    return make


def _at_1024(speed: Speed) -> float:
    return speed.ms_per_frame * (1024 * 1024) / (speed.shape[0] * speed.shape[1])


def _title(name: str) -> str:
    if name in PEERS:
        return PEERS[name].title
    if name == RAW:
        return "no filter"
    return "plain recursive filter" if name.startswith("recursive") else "own filter"


def _words(cell: DiscCell) -> str:
    return f"r {cell.radius_px:g} px, {100 * cell.contrast:g} %, {cell.speed_px:g} px/frame"
