"""The march of `irplan.ablation.march` on a device: one problem or a batch, no wait per step.

A step is a fixed sequence of launches (stages, line sources, records, window), replayed as
one graph; windows grow, probes follow their ramps and energies add up on the device.  The host is
asked only where a phase of the schedule ends.  The window is one box a problem.  Memory is 13
bytes a voxel and problem (two states and the minimum in float32, tissue as a byte; problems with
one tissue map share that byte).  Sums have a fixed order: the same call gives the same bits, and a
problem the same bits alone or in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import cuda_layout as layout
from irplan.ablation.discretisation import Discretisation, line_sources
from irplan.ablation.drive import (
    placements_at,
    reach_voxels,
    window_tolerance_k,
    working_tau,
)
from irplan.ablation.history import HistoryRecorder
from irplan.ablation.problem import AblationProblem
from irplan.ablation.state import CryoState
from irplan.ablation.super_step import energy_shares, stage_times_s, stage_weights
from irplan.ablation.timeline import Segment
from irplan.compute.device import Device
from irplan.image import Volume

#: Super-steps between two waits for the device (and reports of progress).
_STEPS_PER_REPORT = 16
#: Told at each report: seconds simulated, and what is being done.
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Steps:
    """``count`` steps of ``dt_s`` s, each of ``parts`` super-steps with ``stages`` stages."""

    count: int
    dt_s: float
    stages: int
    parts: int = 1

    @property
    def stages_in_step(self) -> int:
        """Stages of all super-steps of a step."""
        return self.stages * self.parts


class CudaMarch:
    """The state, on a device, of problems that share grid, times, body and freezing interval.

    Parameters
    ----------
    problems, meshes : what is solved.
    monitors : (n, 3) fractional grid indices, the same in every problem.
    device : where.
    timelines : each problem's segments, of equal times.
    steps : how each segment is cut.
    whole_grid : work on every voxel from the start.
    start : state to go on from, the same for all; None starts at rest.
    history : keep snapshots of temperature (each waits for the device).
    """

    def __init__(
        self,
        problems: Sequence[AblationProblem],
        meshes: Sequence[Discretisation],
        monitors: NDArray[np.float64],
        device: Device,
        timelines: Sequence[Sequence[Segment]],
        steps: Sequence[Steps],
        *,
        whole_grid: bool = False,
        start: CryoState | None = None,
        history: bool = False,
    ) -> None:
        self.problems, self.device = problems, device
        self.timelines, self.steps, self.start = timelines, steps, start
        self.meshes = list(meshes)
        begun = 0.0 if start is None else start.time_s
        self.placements = [placements_at(p, begun) for p in problems]
        self.grid = layout.DeviceGrid(meshes[0].shape)
        self.count, self.monitors = len(problems), monitors
        self.defines = {"TISSUES": layout.tissue_limit(max(len(m.tissues) for m in meshes))}
        self.body = problems[0].body_temperature_c
        self.tolerance_k = window_tolerance_k(problems[0])
        deep = [reach_voxels(m, max(s.dt_s for s in steps)) for m in meshes]
        self.deep = np.max(deep, axis=0)
        self.recorders = [HistoryRecorder(p.grid, self.body) for p in problems] if history else []
        self._place_tissue(whole_grid)
        self._place_sources()
        self._place_records()

    # -- what lies on the device ---------------------------------------------------------

    def _place_tissue(self, whole_grid: bool) -> None:
        """Tissue, tables, states, windows."""
        device, grid, mesh = self.device, self.grid, self.meshes[0]
        shared = all(m.kind is mesh.kind for m in self.meshes)
        cells = [
            layout.cells_of(m.kind, grid) for m in (self.meshes[:1] if shared else self.meshes)
        ]
        self.cell = device.upload(np.concatenate([c for c, _ in cells]))
        tile_kind = device.upload(np.concatenate([t for _, t in cells]))
        tables = [layout.table(m) for m in self.meshes]
        width = max(t.size for t in tables)
        table = device.upload(np.concatenate([np.pad(t, (0, width - t.size)) for t in tables]))
        counts = device.upload(np.array([len(m.tissues) for m in self.meshes], np.int32))
        stride = np.int64(0 if shared else grid.size)
        self.tissue = (self.cell, stride)
        self.tiles = (tile_kind, np.int32(0 if shared else grid.tiles))
        self.tables = (table, np.int32(width))
        self.tissue_counts = counts
        self.tau = (np.float32(mesh.tau[0]), np.float32(mesh.tau[1]))
        self.shape = (*(np.int32(n) for n in grid.shape), np.int32(grid.pitch))
        self.weights = tuple(np.float32(v) for v in mesh.inverse_square)
        self.state = [device.zeros(self.count * grid.size, np.float32) for _ in range(2)]
        self.low = device.zeros(self.count * grid.size, np.float32)
        self.current = 0
        more = np.array(grid.shape) if whole_grid else self.deep
        windows = []
        for n, m in enumerate(self.meshes):
            first = self._first(m)
            windows.append(layout.first_window(m, more, first, self.tolerance_k))
            if first is not None:
                for state in (*self.state, self.low):
                    device.write(state[self._part(n)], grid.padded(first))
        self.windows = device.upload(np.concatenate(windows).astype(np.int32))

    def _first(self, mesh: Discretisation) -> NDArray[np.float32] | None:
        """Padded temperature to begin with, relative to the body, K; None where all is at rest."""
        if self.start is None:
            return mesh.resting() if mesh.held_away else None
        first = mesh.resting()
        free = self.grid.free(mesh)
        mesh.interior(first)[free] = (self.start.temperature_c.array - np.float32(self.body))[free]
        return first

    def _part(self, problem: int) -> slice:
        """Where a problem's volume lies in an array of all of them."""
        return slice(problem * self.grid.size, (problem + 1) * self.grid.size)

    def _place_sources(self) -> None:
        """Line sources."""
        host = layout.DeviceSources.of(self.meshes, self.grid)
        self.problem_probe = host.problem_probe
        self.probes = int(host.problem_probe[-1])
        self.most_samples = int(np.diff(host.problem_sample).max())
        self.most_voxels = int(np.diff(host.problem_voxel).max())
        self.sources = {name: self.device.upload(v) for name, v in vars(host).items()}
        self.heat = self.device.zeros(host.strength.size, np.float64)
        self.lost = self.device.zeros(host.voxel.size, np.float64)
        self.problem_voxel = host.problem_voxel
        self.graphs: dict[tuple[Any, ...], Callable[[], None] | None] = {}

    def _place_records(self) -> None:
        """Sums, clocks, trace, the probes' temperatures."""
        device, rows = self.device, 1 + sum(s.count for s in self.steps)
        corners, weights = layout.monitor_corners(self.monitors, self.grid)
        pad = 0 if corners.size else 1
        self.monitor = (
            np.int32(len(self.monitors)),
            device.upload(np.pad(corners, (0, pad))),
            device.upload(np.pad(weights, (0, pad))),
        )
        self.width = int(np.diff(self.problem_probe).max()) + len(self.monitors)
        self.sums = device.zeros(self.count * self.grid.tiles * 4, np.float64)
        self.power = device.zeros(self.probes, np.float64)
        self.lost_before = np.zeros(self.count)
        self.frozen = device.zeros(self.count, np.int32)
        self.reach = device.zeros(6 * self.count, np.int32)
        self.rise = device.zeros(self.count, np.int32)
        self.clock = device.zeros(2 * self.count, np.int32)
        self.trace_frozen = device.zeros(rows * self.count, np.int32)
        self.trace_tau = device.zeros(rows * self.count * self.width, np.float32)
        most = max(s.count * s.stages_in_step for s in self.steps)
        self.drives = device.zeros(most * self.probes, np.float32)
        self.out = device.zeros(int(np.prod(self.grid.shape)), np.float32)
        self.stored = device.zeros(self.grid.tiles, np.float64)

    # -- marching ------------------------------------------------------------------------

    def run(self, report: Report, *, keep_states: bool = False) -> None:
        """The whole timeline; ``keep_states`` keeps a `CryoState` at the end of each segment."""
        segments = self.timelines[0]
        freezes = [n for n, s in enumerate(segments) if s.freezing]
        begun = 0.0 if self.start is None else self.start.time_s
        self.times = [begun]
        self.surface = [np.full(self.probes, np.nan)]
        self.started = np.full(self.probes, np.nan)
        self.since = np.zeros(self.probes)
        self.minima: list[list[NDArray[np.float32]]] = []
        self.states: list[list[CryoState]] = []
        self.end_of_freeze: list[NDArray[np.float32]] | None = None
        if self.start is not None and self.start.end_of_freeze_c is not None:
            self.end_of_freeze = [self.start.end_of_freeze_c] * self.count
        self.stored_at_start = np.zeros(self.count)
        cycle = freezing = False  # a minimum is being followed; some probe was freezing
        if self.start is not None:
            cycle = self._resume(self.start)
            freezing = self.start.freezing and cycle
        self._record(cycle)
        self._snapshot(begun)
        for number, steps in enumerate(self.steps):
            segment = segments[number]
            if segment.freezing and not freezing:
                if cycle:
                    self.minima.append(self._read_out(self.low))
                self.device.copy(self.low, self.state[self.current])
                cycle = True
            freezing = segment.freezing
            active = self._enter(number, steps, resumed=number == 0 and begun > 0.0)
            for step in range(steps.count):
                self._step(steps, active, cycle)
                at_s = round(segment.start_s + (step + 1) * steps.dt_s, 9)
                self._snapshot(at_s)
                last = segment.ends and step + 1 == steps.count
                if (step + 1) % _STEPS_PER_REPORT == 0 or last:
                    self.device.synchronise()
                    report(at_s - begun, segment.words)
            ended = segment.freezing and segment.ends and keep_states
            if ended or (freezes and number == freezes[-1]):
                self.end_of_freeze = self._read_out(self.state[self.current])
            if keep_states and segment.ends:
                self.states.append(self._states(cycle, freezing))
        if self.end_of_freeze is None:
            self.end_of_freeze = self._read_out(self.state[self.current])
        if cycle:
            self.minima.append(self._read_out(self.low))

    def _resume(self, start: CryoState) -> bool:
        """Take over minima and ramps of ``start``; whether it has a cycle, whose last is open."""
        lows = [[m] * self.count for m in start.cycle_minimum_c]
        is_open = bool(lows)
        if is_open:
            for n, mesh in enumerate(self.meshes):
                low = mesh.resting()
                mesh.interior(low)[...] = lows[-1][n] - np.float32(self.body)
                self.device.write(self.low[self._part(n)], self.grid.padded(low))
            lows.pop()
        self.minima = lows
        for n in range(self.count):
            own = slice(int(self.problem_probe[n]), int(self.problem_probe[n + 1]))
            if len(start.probe_start_c) == len(self.placements[n]):
                self.started[own] = np.array(start.probe_start_c) - self.body
            if len(start.probe_c) == len(self.placements[n]):
                self.surface[0][own] = np.array(start.probe_c) - self.body
            self.stored_at_start[n] = self._celsius(self.state[self.current], n)[1]
        return is_open

    def _states(self, cycle: bool, freezing: bool) -> list[CryoState]:
        """The present moment of every problem."""
        now = self._read_out(self.state[self.current])
        lows = [*self.minima, self._read_out(self.low)] if cycle else self.minima
        out = []
        for n, problem in enumerate(self.problems):
            own = slice(int(self.problem_probe[n]), int(self.problem_probe[n + 1]))
            out.append(
                CryoState(
                    time_s=self.times[-1],
                    temperature_c=Volume(now[n], problem.grid, "degC"),
                    cycle_minimum_c=tuple(low[n] for low in lows),
                    freezing=freezing,
                    probe_start_c=tuple(float(v) for v in self.body + self.started[own]),
                    probe_c=tuple(float(v) for v in self.body + self.surface[-1][own]),
                    end_of_freeze_c=None if self.end_of_freeze is None else self.end_of_freeze[n],
                )
            )
        return out

    def _snapshot(self, at_s: float) -> None:
        """Keep temperature within each window, where a history is wanted."""
        if not self.recorders:
            return
        windows = self.device.download(self.windows).reshape(-1, 3, 2)
        states = self.device.download(self.state[self.current])
        for n, recorder in enumerate(self.recorders):
            box = tuple((int(a), int(b)) for a, b in windows[n])
            recorder.add(at_s, self.grid.interior(states[self._part(n)]), box)

    def _step(self, steps: Steps, active: bool, cold: bool) -> None:
        """One super-step: launched one by one the first time, then captured, then replayed."""
        before = self.current

        def work() -> None:
            self._super_step(steps, active, before)
            self._record(cold)

        key = (steps.dt_s, steps.stages, steps.parts, active, cold, before)
        after = before ^ (steps.stages_in_step % 2)
        if key not in self.graphs:
            work()
            self.graphs[key] = None
        else:
            replay = self.graphs[key]
            if replay is None:
                replay = self.graphs[key] = self.device.repeatable(work)
            replay()
        self.current = after

    def _super_step(self, steps: Steps, active: bool, before: int) -> None:
        """Launch all stages: from state ``before``, ending in it where their number is even."""
        s = steps.stages_in_step
        volume = self.meshes[0].voxel_mm3 * 1e-3  # MJ/m3 in a voxel -> J
        weights = stage_weights(steps.dt_s, steps.stages, steps.parts)
        folds = energy_shares(weights) * volume
        gather = self.most_samples if active else 0
        scatter = -(-self.most_voxels // 256) + 1
        src = self.sources
        for j in range(1, s + 1):
            alpha, beta, gamma = weights[j - 1].astype(np.float32)
            old, new = self.state[before ^ (1 - j % 2)], self.state[before ^ (j % 2)]
            fold = np.float64(folds[j - 1])
            args = (
                old, new, *self.tissue, *self.tiles, *self.tables, self.tissue_counts, *self.tau,
                *self.shape, self.windows, *self.weights, alpha, beta, gamma, fold, self.sums,
                np.int32(gather), src["problem_sample"], src["sample_ptr"], src["entry"],
                src["entry_weight"], src["strength"], src["contact"], src["middle"],
                src["sample_probe"], self.drives, np.int32(s), np.int32(j - 1),
                np.int32(self.probes), self.clock, self.heat,
            )  # fmt: skip
            self._launch("bioheat_stage", gather + self.grid.tiles, args)
            if not active:
                continue
            args = (
                new, *self.tissue, *self.tables, *self.tau, self.shape[0], self.shape[1],
                self.shape[3], gamma, fold, src["problem_voxel"], src["voxel"], src["voxel_ptr"],
                src["voxel_sample"], src["voxel_weight"], src["problem_probe"],
                src["probe_sample"], self.heat, self.lost, self.power,
            )  # fmt: skip
            self._launch("bioheat_scatter", scatter, args, block=(256, 1, 1))
        self.current = before ^ (s % 2)

    def _record(self, cold: bool) -> None:
        """Launch minima, ice, window and trace of the present state."""
        now = self.state[self.current]
        args = (
            now, self.low, np.int32(cold), *self.tissue, *self.tables, *self.shape, self.windows,
            np.float32(-self.body), np.float32(self.tolerance_k),
            *(np.int32(d) for d in self.deep), self.frozen, self.reach, self.rise,
        )  # fmt: skip
        self._launch("bioheat_record", self.grid.tiles, args)
        src = self.sources
        args = (
            now, *self.shape, self.windows, self.reach, self.frozen, src["problem_probe"],
            src["probe_sample"], src["sample_ptr"], src["entry"], src["entry_weight"],
            *self.monitor, np.int32(self.width), self.clock, self.trace_frozen, self.trace_tau,
        )  # fmt: skip
        self._launch("bioheat_advance", 1, args)

    def _launch(
        self,
        kernel: str,
        blocks: int,
        args: tuple[Any, ...],
        *,
        block: tuple[int, int, int] = layout.BLOCK,
        problems: int | None = None,
    ) -> None:
        grid = (blocks, self.count if problems is None else problems, 1)
        self.device.launch("bioheat", kernel, grid, block, args, self.defines)

    # -- probes --------------------------------------------------------------------------

    def _enter(self, number: int, steps: Steps, *, resumed: bool) -> bool:
        """Begin a segment: pull back, ramps, temperatures of every stage; some probe is on."""
        segments = [t[number] for t in self.timelines]
        moved = self._withdraw(segments)
        row = len(self.times) - 1
        gathered: NDArray[np.floating] | None = None
        if moved:
            gathered = self._gathered()
        elif resumed or any(any(s.began) for s in segments):
            gathered = self._trace_rows()[row]
        for n, segment in enumerate(segments):
            for p in range(len(segment.phases)):
                at = int(self.problem_probe[n]) + p
                if gathered is not None and (
                    segment.began[p] or (resumed and np.isnan(self.started[at]))
                ):
                    last = self.surface[-1][at]
                    self.started[at] = gathered[n, p] if np.isnan(last) else last
                    self.since[at] = segment.start_s
                elif resumed:
                    self.since[at] = segment.since_s[p]
        start = segments[0].start_s
        table = np.empty((steps.count, steps.stages_in_step, self.probes), np.float32)
        stages = stage_times_s(steps.dt_s, steps.stages, steps.parts)
        for step in range(steps.count):
            table[step] = self._working(segments, start + step * steps.dt_s + stages)
            end = round(start + (step + 1) * steps.dt_s, 9)
            self.times.append(end)
            self.surface.append(self._working(segments, np.array([end]))[0])
        self.device.write(self.drives[: table.size], table.reshape(-1))
        clock = np.tile(np.array([0, row + 1], np.int32), self.count)
        self.device.write(self.clock, clock)
        return not bool(np.isnan(table).all())

    def _working(
        self, segments: Sequence[Segment], at_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(times, probes) working temperatures at ``at_s``, relative to the body, K."""
        out = np.empty((at_s.size, self.probes))
        for n, segment in enumerate(segments):
            for p, phase in enumerate(segment.phases):
                at = int(self.problem_probe[n]) + p
                out[:, at] = working_tau(
                    phase,
                    self.placements[n][p],
                    self.body,
                    float(self.started[at]),
                    at_s - float(self.since[at]),
                )
        return out

    def _withdraw(self, segments: Sequence[Segment]) -> bool:
        """Pull applicators back and lay their sources out anew; whether any was."""
        moved = False
        for n, segment in enumerate(segments):
            for p, phase in enumerate(segment.phases):
                if phase is not None and segment.began[p] and phase.withdraw_mm > 0.0:
                    self.placements[n][p] = self.placements[n][p].withdrawn(phase.withdraw_mm)
                    moved = True
        if not moved:
            return False
        self.lost_before += self._lost()
        for n, mesh in enumerate(self.meshes):
            sources = line_sources(tuple(self.placements[n]), mesh.grid)
            self.meshes[n] = replace(mesh, sources=sources)
        self._place_sources()
        now = self.device.download(self.windows).reshape(-1, 6)
        new = np.stack(
            [layout.first_window(m, self.deep, None, self.tolerance_k) for m in self.meshes]
        )
        now[:, ::2] = np.minimum(now[:, ::2], new[:, ::2])
        now[:, 1::2] = np.maximum(now[:, 1::2], new[:, 1::2])
        self.device.write(self.windows, now.reshape(-1))
        return True

    def _gathered(self) -> NDArray[np.float64]:
        """(problems, probes) mean temperature along each probe, relative to the body, K."""
        states = self.device.download(self.state[self.current]).reshape(self.count, -1)
        out = np.zeros((self.count, self.width))
        for n, mesh in enumerate(self.meshes):
            for p, source in enumerate(mesh.sources):
                t = states[n, self.grid.flat(source.voxels)][source.local]
                out[n, p] = (source.weight * t).sum(dtype=np.float64) / (source.sample_ptr.size - 1)
        return out

    # -- what comes back -----------------------------------------------------------------

    def _read_out(self, state: Any) -> list[NDArray[np.float32]]:
        """Temperature of every problem, degC; leaves the stored energy of the last one behind."""
        return [self._celsius(state, n)[0] for n in range(self.count)]

    def _celsius(self, state: Any, problem: int) -> tuple[NDArray[np.float32], float]:
        """Temperature, degC, and stored energy, J, of one problem."""
        size = self.grid.size
        cell, stride = self.tissue
        table, width = self.tables
        part = slice(problem * int(stride), problem * int(stride) + size)
        rows = slice(problem * int(width), (problem + 1) * int(width))
        args = (
            state[self._part(problem)], cell[part], np.int64(0), table[rows],
            np.int32(0), *self.tau, *self.shape, np.float32(self.body), self.out, self.stored,
        )  # fmt: skip
        self._launch("bioheat_read_out", self.grid.tiles, args, problems=1)
        array = np.array(self.device.download(self.out).reshape(self.grid.shape))
        stored = float(self.device.download(self.stored).sum())
        return array, stored * self.meshes[0].voxel_mm3 * 1e-3

    def _trace_rows(self) -> NDArray[np.float32]:
        rows = self.device.download(self.trace_tau)
        return rows.reshape(-1, self.count, self.width)

    def _lost(self) -> NDArray[np.float64]:
        """Heat of line sources that fell on fixed voxels, per problem, J."""
        lost = self.device.download(self.lost)
        return np.array(
            [
                lost[a:b].sum()
                for a, b in zip(self.problem_voxel[:-1], self.problem_voxel[1:], strict=True)
            ]
        )

    def energies(self) -> NDArray[np.float64]:
        """(problems, 6) J: stored, probes, perfusion, metabolism, fixed tissue, boundary."""
        sums = self.device.download(self.sums).reshape(self.count, -1, 4).sum(axis=1)
        power, lost = self.device.download(self.power), self._lost() + self.lost_before
        out = np.empty((self.count, 6))
        for n in range(self.count):
            stored = self._celsius(self.state[self.current], n)[1] - self.stored_at_start[n]
            own = slice(int(self.problem_probe[n]), int(self.problem_probe[n + 1]))
            out[n] = (stored, power[own].sum(), *sums[n, :2], sums[n, 2] - lost[n], sums[n, 3])
        return out

    def boundary_rise_c(self) -> NDArray[np.float32]:
        """Largest departure from rest at the grid's faces, K, per problem."""
        return self.device.download(self.rise).view(np.float32)

    def traces(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Per problem: (rows, probes + monitors) degC and (rows,) ice volume, cm3."""
        tau = self._trace_rows().astype(np.float64)
        frozen = self.device.download(self.trace_frozen).reshape(-1, self.count)
        surface = np.array(self.surface)
        out = []
        for n in range(self.count):
            own = surface[:, self.problem_probe[n] : self.problem_probe[n + 1]]
            probes = np.where(np.isnan(own), tau[:, n, : own.shape[1]], own)
            points = tau[:, n, self.width - len(self.monitors) :]
            celsius = self.body + np.concatenate([probes, points], axis=1)
            out.append((celsius, frozen[:, n] * self.meshes[n].voxel_mm3 / 1000.0))
        return out
