"""The march through time: super-steps, probes' temperatures, the active region, the records."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.discretisation import Discretisation, line_sources
from irplan.ablation.drive import (
    coldest_c,
    placements_at,
    reach_voxels,
    window_tolerance_k,
    working_tau,
)
from irplan.ablation.history import History, HistoryRecorder
from irplan.ablation.line_source import LineSource
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import EnergyBalance, Trace
from irplan.ablation.state import CryoState
from irplan.ablation.steps import Cut, StepRule
from irplan.ablation.super_step import stage_times_s, stage_weights
from irplan.ablation.timeline import Segment, timeline
from irplan.compute import Progress
from irplan.compute.threads import ThreadChoice
from irplan.errors import InputError, SolverError
from irplan.image import Volume

#: The active rows are worked on in so many parts, whatever the number of threads: sums of heat are
#: then the same to the last bit.
CHUNKS = 16
#: Fewer active voxels than this are not worth a second thread.
_FEW_VOXELS = 30_000
#: Work of a weight of a line source, in plain voxels (measured).
_ENTRY_WORK = 4


class ProbeArrays:
    """The line sources of all probes as the kernel's flat arrays."""

    def __init__(self, mesh: Discretisation, sources: tuple[LineSource, ...]) -> None:
        self.sources = sources
        counts = [s.voxels.shape[0] for s in sources]
        self.voxel_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        voxels = np.concatenate([s.voxels for s in sources])
        self.voxel = mesh.flat(voxels)
        samples = [s.sample_ptr.size - 1 for s in sources]
        self.probe_ptr = np.concatenate([[0], np.cumsum(samples)]).astype(np.int64)
        entries = np.cumsum([0] + [s.weight.size for s in sources])
        self.sample_ptr = np.concatenate(
            [[0]] + [s.sample_ptr[1:] + e for s, e in zip(sources, entries[:-1], strict=True)]
        ).astype(np.int64)
        self.local = np.concatenate([s.local for s in sources])
        self.weight = np.concatenate([s.weight for s in sources])
        self.strength = np.concatenate(
            [np.full(n, s.strength, np.float32) for n, s in zip(samples, sources, strict=True)]
        )
        self.contact = np.array([s.contact for s in sources], np.float32)
        middle = np.rint(np.concatenate([s.samples_index for s in sources])).astype(np.int64)
        self.middle = mesh.flat(np.clip(middle, 0, np.array(mesh.shape) - 1))
        self.gathered = np.zeros(self.voxel.size, np.float32)
        self.source = np.zeros(self.voxel.size, np.float32)
        self.work = np.zeros(CHUNKS, np.int64)
        for p, size in enumerate(np.diff(entries)):  # as the kernel deals probes to chunks
            self.work[p * CHUNKS // len(sources)] += _ENTRY_WORK * int(size)
        row = (voxels[:, 0] + 1) * (mesh.shape[1] + 2) + voxels[:, 1] + 1
        self.row, of = np.unique(row, return_inverse=True)
        self.row_lo = np.full(self.row.size, mesh.shape[2], np.int32)
        self.row_hi = np.zeros(self.row.size, np.int32)
        np.minimum.at(self.row_lo, of, voxels[:, 2].astype(np.int32))
        np.maximum.at(self.row_hi, of, voxels[:, 2].astype(np.int32) + 1)
        low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
        self.box = tuple((int(a), int(b)) for a, b in zip(low, high, strict=True))


class March:
    """The state of a freeze while it marches.

    Parameters
    ----------
    problem, mesh : what is solved.
    monitors : (n, 3) fractional grid indices.
    threads : how many threads a step may take.
    start : state to go on from; None starts at rest.
    history : keep snapshots of temperature.
    """

    def __init__(
        self,
        problem: AblationProblem,
        mesh: Discretisation,
        monitors: NDArray[np.float64],
        threads: ThreadChoice,
        *,
        start: CryoState | None = None,
        history: bool = False,
    ) -> None:
        from irplan.compute.cpu.bioheat_state import NONE

        self.problem, self.mesh = problem, mesh
        self.monitors, self.threads = monitors, threads
        self.time_s = 0.0 if start is None else start.time_s
        self.steps = self.stages = 0
        self.many = False  # enough active voxels for more than one thread
        self.longest_step_s = 0.0
        self.boundary_rise_c = 0.0
        self.samples: list[tuple[float, list[float], float]] = []
        self.states: list[CryoState] = []
        self.tolerance_k = window_tolerance_k(problem)
        self.placements = placements_at(problem, self.time_s)
        sources = mesh.sources
        if self.placements != list(problem.placements):
            sources = line_sources(tuple(self.placements), problem.grid)
        self.probes = ProbeArrays(mesh, sources)
        body = problem.body_temperature_c
        nz, ny, nx = mesh.shape
        first = mesh.resting()
        self.minima: list[NDArray[np.float32]] = []
        self.low: NDArray[np.float32] | None = None
        if start is not None:
            start.check_fits(problem.grid)
            free = mesh.tissues[:, 0][mesh.interior(mesh.kind)] > 0
            mesh.interior(first)[free] = (start.temperature_c.array - np.float32(body))[free]
            self.minima = [m - np.float32(body) for m in start.cycle_minimum_c]
            if self.minima:
                self.low = self.minima[-1]  # goes on through the thaw
        self.at_rest = start is None and not mesh.held_away
        self.tau = [first, np.zeros(first.size, np.float32) if self.at_rest else first.copy()]
        self.freezing = start is not None and start.freezing and bool(self.minima)
        self.end_of_freeze = None if start is None else start.end_of_freeze_c
        self.near = np.zeros((2, (nz + 2) * (ny + 2)), np.int32)  # cold columns of each row
        self.near[0] = NONE
        self.spare = self.near.copy()
        self.lo = np.full(nz * ny, nx, np.int32)
        self.hi = np.zeros(nz * ny, np.int32)
        self.work = np.zeros(nz * ny, np.int32)
        self.busy_lo, self.busy_hi = self.lo.copy(), self.hi.copy()
        self.scratch = np.empty(nz * ny * nx, np.float32)
        self.chunk_sums = np.zeros((CHUNKS, 4))
        self.heat = np.zeros(4 + len(mesh.sources))
        self.probe_tau = [math.nan] * len(mesh.sources)
        self.phase_start = [math.nan] * len(mesh.sources)
        self.phase_since = [0.0] * len(mesh.sources)
        if start is not None and len(start.probe_start_c) == len(mesh.sources):
            self.phase_start = [c - body for c in start.probe_start_c]
            if len(start.probe_c) == len(mesh.sources):
                self.probe_tau = [c - body for c in start.probe_c]
        self.recorder = HistoryRecorder(problem.grid, body) if history else None
        self.stored_at_start_j = 0.0 if start is None else self._stored_j()
        self._first_region(whole=start is not None)
        self._sample()

    # -- marching ------------------------------------------------------------------------

    def run(
        self,
        rule: StepRule,
        progress: Progress,
        *,
        until_s: float | None = None,
        keep_states: bool = False,
    ) -> None:
        """Run the schedules."""
        segments = timeline(self.problem.schedules, from_s=self.time_s)
        if until_s is not None:
            segments = tuple(
                replace(s, duration_s=min(s.duration_s, until_s - s.start_s))
                for s in segments
                if s.start_s < until_s - 1e-9
            )
        if rule.whole_grid:
            self.lo[:], self.hi[:] = 0, self.mesh.shape[2]
        total = max(1e-9, sum(s.duration_s for s in segments))
        begun = self.time_s
        cuts = rule.cut(segments, self.mesh.explicit_limit_s)
        freezes = [n for n, c in enumerate(cuts) if c.segment.freezing]
        for n, cut in enumerate(cuts):
            segment = cut.segment
            self._enter(segment, resumed=n == 0 and begun > 0.0)
            if segment.freezing and not self.freezing:
                self._begin_cycle()
            self.freezing = segment.freezing
            self.stages = max(self.stages, cut.stages)
            if segment.driven:  # what the error in time is known for
                self.longest_step_s = max(self.longest_step_s, cut.super_step_s)
            for step in range(cut.count):
                self._step(cut, step)
                done = self.time_s - begun
                progress(done / total, f"Simulating {segment.words}: {done:.0f} of {total:.0f} s")
            ended = segment.freezing and segment.ends and keep_states
            if ended or (freezes and n == freezes[-1]):
                self.end_of_freeze = self._celsius(self.tau[0])
            if keep_states and segment.ends:
                self.states.append(self.state())
        if self.end_of_freeze is None:
            self.end_of_freeze = self._celsius(self.tau[0])

    def _enter(self, segment: Segment, *, resumed: bool) -> None:
        """Begin a segment: where ramps start from, and applicators that are pulled back."""
        moved = False
        for p, phase in enumerate(segment.phases):
            if phase is None or not segment.began[p]:
                continue
            if phase.withdraw_mm > 0.0:
                self.placements[p] = self.placements[p].withdrawn(phase.withdraw_mm)
                moved = True
        if moved:
            sources = line_sources(tuple(self.placements), self.problem.grid)
            self.probes = ProbeArrays(self.mesh, sources)
            self._open(self.probes.box)
        for p in range(len(self.probe_tau)):
            if segment.began[p] or (resumed and math.isnan(self.phase_start[p])):
                off = math.isnan(self.probe_tau[p])
                self.phase_start[p] = self._gathered_tau(p) if off else self.probe_tau[p]
                self.phase_since[p] = segment.start_s
            elif resumed:
                self.phase_since[p] = segment.since_s[p]

    def _step(self, cut: Cut, number: int) -> None:
        """One step, the ``number``-th of ``cut``, from 0."""
        import numba

        from irplan.compute.cpu import bioheat, bioheat_window

        mesh, probes = self.mesh, self.probes
        segment, dt_s = cut.segment, cut.dt_s
        weights = stage_weights(dt_s, cut.stages, cut.parts)
        count = len(segment.phases)
        start = segment.start_s + number * dt_s
        at = start + np.append(stage_times_s(dt_s, cut.stages, cut.parts), dt_s)
        drives = np.stack([self._drive(segment, p, at) for p in range(count)], axis=1)
        reach = reach_voxels(mesh, dt_s)
        shape = np.array(mesh.shape)
        active, chunks, rows = bioheat_window.grow(
            self.busy_lo, self.busy_hi, reach, shape, mesh.runs, mesh.rows, mesh.mixed,
            mesh.mixed_rows, self.lo, self.hi, self.work, probes.work,
        )  # fmt: skip
        voxels = int((self.hi[active] - self.lo[active]).sum())
        self.many = voxels >= _FEW_VOXELS
        threads = self.threads.pick() if self.many else 1
        started, spent = (time.perf_counter(), time.process_time()) if self.many else (0.0, 0.0)
        numba.set_num_threads(threads)
        lo, hi = self.near[:, probes.row]
        self.near[0, probes.row] = np.minimum(lo, probes.row_lo)
        self.near[1, probes.row] = np.maximum(hi, probes.row_hi)
        bioheat.super_step(
            *self.tau, mesh.kind, shape, rows, chunks, threads > 1, mesh.runs, mesh.mixed,
            mesh.derived, mesh.table, mesh.signature, mesh.fixed_faces,
            mesh.tau, mesh.inverse_square, weights, drives[:-1],
            probes.probe_ptr, probes.sample_ptr, probes.local, probes.weight, probes.voxel_ptr,
            probes.voxel, probes.strength, probes.contact, probes.middle, probes.gathered,
            probes.source, self.near, self.spare, self.chunk_sums, self.heat,
            mesh.voxel_mm3 * 1e-3,
        )  # fmt: skip
        if len(weights) % 2 == 1:
            self.tau.reverse()
            self.near, self.spare = self.spare, self.near
        self.active, self.chunks = active, chunks
        self.time_s = round(start + dt_s, 9)  # the ends of phases come out exact
        self.steps += 1
        self.probe_tau = [float(t) for t in drives[-1]]
        self._sample()
        if self.many:
            self.threads.learn(
                threads,
                float(len(weights) * voxels),
                time.perf_counter() - started,
                cpu_s=time.process_time() - spent,
            )

    # -- probes --------------------------------------------------------------------------

    def _drive(
        self, segment: Segment, probe: int, at_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Working temperature of a probe relative to the body, K; NaN when it is off."""
        return working_tau(
            segment.phases[probe],
            self.placements[probe],
            self.problem.body_temperature_c,
            self.phase_start[probe],
            at_s - self.phase_since[probe],
        )

    def _gathered_tau(self, probe: int) -> float:
        """Mean temperature along a probe as the line source sees it, relative to the body, K."""
        source = self.probes.sources[probe]
        t = self.tau[0][self.mesh.flat(source.voxels)].astype(np.float64)
        mean = np.add.reduceat(source.weight * t[source.local], source.sample_ptr[:-1])
        return float(mean.mean(dtype=np.float64))

    # -- active region, records ----------------------------------------------------------

    def _open(self, box: tuple[tuple[int, int], ...]) -> None:
        """Make a box of the grid part of the busy region."""
        (z0, z1), (y0, y1), (x0, x1) = box
        ny, nx = self.mesh.shape[1:]
        lo, hi = self.busy_lo.reshape(-1, ny), self.busy_hi.reshape(-1, ny)
        part = (slice(max(z0, 0), z1), slice(max(y0, 0), y1))
        lo[part] = np.minimum(lo[part], max(x0, 0))
        hi[part] = np.maximum(hi[part], min(x1, nx))

    def _first_region(self, *, whole: bool) -> None:
        """Where anything happens at the start: probes, and what is not at rest."""
        nx = self.mesh.shape[2]
        if self.mesh.held_away or whole:
            away = np.abs(self.mesh.interior(self.tau[0])) > self.tolerance_k
            some = away.any(axis=2)
            first = np.where(some, away.argmax(axis=2), nx)
            last = np.where(some, nx - away[:, :, ::-1].argmax(axis=2), 0)
            self.busy_lo = first.astype(np.int32).reshape(-1)
            self.busy_hi = last.astype(np.int32).reshape(-1)
        if self.mesh.needs_full_window:
            self.busy_lo[:], self.busy_hi[:] = 0, nx
        self._open(self.probes.box)
        busy = np.flatnonzero(self.busy_hi > self.busy_lo)
        self.active = busy.astype(np.int32)
        self.lo, self.hi = self.busy_lo.copy(), self.busy_hi.copy()
        self.chunks = np.linspace(0, busy.size, CHUNKS + 1).astype(np.int64)

    def _sample(self) -> None:
        """Survey the active rows: minima, ice, blocks near freezing, region for the next step."""
        from irplan.compute.cpu import bioheat_window

        mesh, body = self.mesh, self.problem.body_temperature_c
        low = self.scratch if self.low is None else self.low.reshape(-1)
        frozen = bioheat_window.survey(
            self.tau[0], low, np.array(mesh.shape), self.active, self.chunks,
            self.many and self.threads.most > 1,
            self.lo, self.hi,
            np.float32(self.tolerance_k), np.float32(-body), mesh.tau[0], self.near,
            self.busy_lo, self.busy_hi, self.work,
        )  # fmt: skip
        self._open(self.probes.box)
        if mesh.needs_full_window:
            self.busy_lo[:], self.busy_hi[:] = 0, mesh.shape[2]
        rise = bioheat_window.edge_rise(
            self.tau[0], mesh.kind, mesh.derived, np.array(mesh.shape), self.active, self.lo,
            self.hi,
        )  # fmt: skip
        self.boundary_rise_c = max(self.boundary_rise_c, float(rise))
        row = [
            body + (self._gathered_tau(p) if math.isnan(t) else t)
            for p, t in enumerate(self.probe_tau)
        ]
        row += [float(v) for v in body + self._at_monitors()]
        self.samples.append((self.time_s, row, frozen * mesh.voxel_mm3 / 1000.0))
        if self.recorder is not None:
            self.recorder.add(self.time_s, mesh.interior(self.tau[0]), self._active_box())

    def _active_box(self) -> tuple[tuple[int, int], ...]:
        ny = self.mesh.shape[1]
        z, y = np.divmod(self.active, ny)
        lo, hi = self.lo[self.active], self.hi[self.active]
        return (
            (int(z.min()), int(z.max()) + 1),
            (int(y.min()), int(y.max()) + 1),
            (int(lo.min()), int(hi.max())),
        )

    def _begin_cycle(self) -> None:
        if self.at_rest and self.steps == 0:
            self.low = np.zeros(self.mesh.shape, np.float32)  # untouched memory costs nothing yet
        else:
            self.low = self.mesh.interior(self.tau[0]).copy()
        self.minima.append(self.low)

    def _at_monitors(self) -> NDArray[np.float64]:
        """Trilinear temperature at the monitor points relative to the body, K."""
        total = np.zeros(self.monitors.shape[0])
        if total.size == 0:
            return total
        base = np.floor(self.monitors).astype(np.int64)
        part = self.monitors - base
        for corner in np.ndindex(2, 2, 2):
            at = np.clip(base + corner, 0, np.array(self.mesh.shape) - 1)
            w = np.prod(np.where(np.array(corner) == 1, part, 1.0 - part), axis=1)
            total += w * self.tau[0][self.mesh.flat(at)]
        return total

    # -- results -------------------------------------------------------------------------

    def _celsius(self, padded: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.mesh.interior(padded) + np.float32(self.problem.body_temperature_c)

    def state(self) -> CryoState:
        """Everything that is needed to go on from here."""
        body = np.float32(self.problem.body_temperature_c)
        grid = self.problem.grid
        return CryoState(
            time_s=self.time_s,
            temperature_c=Volume(self._celsius(self.tau[0]), grid, "degC"),
            cycle_minimum_c=tuple(m + body for m in self.minima),
            freezing=self.freezing,
            probe_start_c=tuple(float(body) + t for t in self.phase_start),
            probe_c=tuple(float(body) + t for t in self.probe_tau),
            end_of_freeze_c=self.end_of_freeze,
        )

    def fields(self) -> list[Volume]:
        """Temperature at the end of the last freeze, then the minimum of each cycle."""
        if self.end_of_freeze is None:
            raise RuntimeError("fields() before run()")
        body = np.float32(self.problem.body_temperature_c)
        for low in self.minima:
            low += body
            np.maximum(low, np.float32(coldest_c(self.problem)), out=low)  # no overshoot in time
        arrays = [self.end_of_freeze, *self.minima]
        try:
            return [Volume(a, self.problem.grid, "degC") for a in arrays]
        except InputError as error:
            raise SolverError(
                "simulation",
                got="temperatures that are not finite",
                expected="a stable solution",
                remedy="Report this problem; stages=1 is the most careful scheme.",
            ) from error

    def _stored_j(self) -> float:
        from irplan.compute.cpu import bioheat_window

        mesh, lo, hi = self.mesh, self.lo, self.hi
        if not self.at_rest:  # something may be anywhere
            lo, hi = np.zeros_like(lo), np.full_like(hi, mesh.shape[2])
        total = bioheat_window.stored(
            self.tau[0], mesh.kind, mesh.derived, mesh.tau, np.array(mesh.shape), lo, hi
        )
        return float(total) * mesh.voxel_mm3 * 1e-3

    def energy(self) -> EnergyBalance:
        """Heat by source, J."""
        return EnergyBalance(
            stored_j=self._stored_j() - self.stored_at_start_j,
            probes_j=float(self.heat[4:].sum()),
            perfusion_j=float(self.heat[0]),
            metabolism_j=float(self.heat[1]),
            fixed_tissue_j=float(self.heat[2]),
            boundary_j=float(self.heat[3]),
        )

    def history(self) -> History | None:
        """Snapshots, if they were asked for."""
        return None if self.recorder is None else self.recorder.finish()

    def trace(self) -> Trace:
        """Everything sampled."""
        names = [f"probe {n + 1}" for n in range(len(self.mesh.sources))]
        names += [f"point {n + 1}" for n in range(self.monitors.shape[0])]
        return Trace(
            time_s=np.array([s[0] for s in self.samples]),
            temperature_c=np.array([s[1] for s in self.samples]),
            names=tuple(names),
            frozen_volume_cm3=np.array([s[2] for s in self.samples]),
        )
