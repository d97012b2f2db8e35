"""The march through time: super-steps, probes' temperatures, the active window, the records."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.catalogue import ACTIVE_THAW_C
from irplan.ablation.discretisation import Discretisation
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import EnergyBalance, Trace
from irplan.ablation.schedule import Phase
from irplan.compute import Progress
from irplan.compute.threads import ThreadChoice
from irplan.errors import SolverError
from irplan.image import Volume

#: Error of the 0 degC radius per second of super-step, mm/s [M, specification: .02 mm at 6.9 s,
#: .055 mm at 18 s, .11 mm at 35 s].
TIME_ERROR_MM_PER_S = 0.003
#: The window grows where its shell departs from rest by more than this, K.
WINDOW_TOLERANCE_K = 0.002
#: A change of temperature at the outer faces above this is reported, K.
BOUNDARY_WARNING_K = 2.0


@dataclass(eq=False)
class March:
    """The state while it marches."""

    problem: AblationProblem
    mesh: Discretisation
    monitors: NDArray[np.float64]
    threads: ThreadChoice
    time_s: float = 0.0
    steps: int = 0
    stages: int = 0
    boundary_rise_c: float = 0.0
    samples: list[tuple[float, list[float], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        mesh, sources = self.mesh, self.mesh.sources
        self.theta = [mesh.resting_theta.copy(), mesh.resting_theta.copy()]
        self.tau = [mesh.resting_tau.copy(), mesh.resting_tau.copy()]
        self.low: NDArray[np.float32] | None = None
        self.minima: list[NDArray[np.float32]] = []
        self.end_of_freeze: NDArray[np.float32] | None = None
        self.probe_tau = [0.0] * len(sources)
        counts = [s.voxels.shape[0] for s in sources]
        self.voxel_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.voxel = np.concatenate([mesh.flat(s.voxels) for s in sources])
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
        self.gathered = np.zeros(self.voxel.size, np.float32)
        self.source = np.zeros(self.voxel.size, np.float32)
        self.sums = np.zeros((mesh.shape[0], 4))
        self.heat = np.zeros(4 + len(sources))
        # theta of 0 degC per tissue: what counts as visible ice
        zero_c = np.float32(-self.problem.body_temperature_c)
        self.ice_edge = mesh.tissues[:, 3] * np.maximum(zero_c, mesh.tau[0])
        self.window = self._first_window()
        self.outer_free: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._sample()

    # -- marching ------------------------------------------------------------------------

    def all_phases(self, time_error_mm: float, stages: int | None, progress: Progress) -> None:
        """Run the whole schedule in super-steps of equal length within each phase."""
        limit = self.mesh.explicit_limit_s
        longest = time_error_mm / TIME_ERROR_MM_PER_S
        if stages is not None:
            longest = limit * (stages * stages + stages) / 2.0
        phases = self.problem.schedule.phases
        last_freeze = max(n for n, p in enumerate(phases) if p.kind == "freeze")
        total = self.problem.schedule.duration_s
        for n, phase in enumerate(phases):
            if phase.kind == "freeze":
                self._begin_cycle()
            count = max(1, math.ceil(phase.duration_s / longest - 1e-9))
            dt = phase.duration_s / count
            s = math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * dt / limit) - 1.0) - 1e-9)
            s = max(1, s)
            self.stages = max(self.stages, s)
            starts = self._probe_starts(phase, n)
            for step in range(count):
                self._super_step(phase, starts, step * dt, dt, s)
                words = f"{phase.kind.replace('_', ' ')} {n + 1} of {len(phases)}"
                progress(
                    self.time_s / total, f"Simulating {words}: {self.time_s:.0f} of {total:.0f} s"
                )
            if n == last_freeze:
                self.end_of_freeze = self.theta[0].copy()
        self._finish_cycle()

    def _super_step(
        self, phase: Phase, starts: list[float], since_s: float, dt_s: float, s: int
    ) -> None:
        import numba

        from irplan.compute.cpu import bioheat

        mesh = self.mesh
        drives = np.empty((s, len(starts)))
        for j in range(s):
            at = since_s + dt_s * (j * j + j) / (s * s + s)
            drives[j] = [self._drive(phase, p, starts[p], at) for p in range(len(starts))]
        touching = any(
            self.window[2 * a] == 0 or self.window[2 * a + 1] == mesh.shape[a] for a in range(3)
        )
        threads = self.threads.pick()
        numba.set_num_threads(threads)
        started = time.perf_counter()
        bioheat.super_step(
            *self.theta, *self.tau, mesh.kind, np.array(mesh.shape), self.window,
            mesh.runs, mesh.rows, mesh.tissues, mesh.mixed, mesh.fixed_faces,
            mesh.tau, mesh.h_mm, dt_s, s, touching, drives,
            self.probe_ptr, self.sample_ptr, self.local, self.weight, self.voxel_ptr, self.voxel,
            self.strength, self.gathered, self.source, self.sums, self.heat,
        )  # fmt: skip
        size = self.window[1::2] - self.window[::2]
        self.threads.learn(threads, float(np.prod(size)) * s, time.perf_counter() - started)
        if s % 2 == 1:
            self.theta.reverse()
            self.tau.reverse()
        self.time_s += dt_s
        self.steps += 1
        self.probe_tau = [
            self._drive(phase, p, starts[p], since_s + dt_s) for p in range(len(starts))
        ]
        self._grow_window(dt_s)
        self._sample()

    # -- probes --------------------------------------------------------------------------

    def _drive(self, phase: Phase, probe: int, start: float, at_s: float) -> float:
        """Surface temperature of a probe relative to the body, K; NaN when it is off."""
        if phase.kind == "passive_thaw":
            return math.nan
        body = self.problem.body_temperature_c
        if phase.kind == "active_thaw":  # heated at once: a slow ramp would go on freezing
            return ACTIVE_THAW_C - body
        applicator = self.problem.placements[probe].applicator
        end = applicator.working_temperature_c - body
        way = math.inf if applicator.ramp_s == 0.0 else at_s * abs(end) / applicator.ramp_s
        return start + math.copysign(min(way, abs(end - start)), end - start)

    def _probe_starts(self, phase: Phase, number: int) -> list[float]:
        """Where each probe's ramp starts: its own temperature, or the tissue's after a thaw."""
        before = self.problem.schedule.phases[number - 1].kind if number else "passive_thaw"
        if phase.kind == "passive_thaw" or before != "passive_thaw":
            return list(self.probe_tau)
        return [self._gathered_tau(p) for p in range(len(self.mesh.sources))]

    def _gathered_tau(self, probe: int) -> float:
        """Mean temperature along a probe as the line source sees it, relative to the body, K."""
        source = self.mesh.sources[probe]
        t = self._kelvin(self.mesh.flat(source.voxels))
        mean = np.add.reduceat(source.weight * t[source.local], source.sample_ptr[:-1])
        return float(mean.mean(dtype=np.float64))

    def _kelvin(self, flat: NDArray[np.int64]) -> NDArray[np.float64]:
        """Temperature relative to the body at padded flat indices."""
        mesh = self.mesh
        q = mesh.tissues[mesh.kind[flat]].astype(np.float64)
        t = self.theta[0][flat].astype(np.float64)
        low = q[:, 3] * mesh.tau[0]
        lower = low + q[:, 4] * (mesh.tau[1] - mesh.tau[0])
        out: NDArray[np.float64] = (
            np.maximum(t, low) / q[:, 3]
            + (np.clip(t, lower, low) - low) / q[:, 4]
            + np.minimum(t - lower, 0.0) / q[:, 5]
        )
        return out

    # -- window, records -----------------------------------------------------------------

    def _first_window(self) -> NDArray[np.int64]:
        """The box in which anything happens at the start: probes, and what is not at rest."""
        shape = np.array(self.mesh.shape)
        low, high = shape.copy(), np.zeros(3, dtype=np.int64)
        for source in self.mesh.sources:
            low = np.minimum(low, source.voxels.min(axis=0))
            high = np.maximum(high, source.voxels.max(axis=0) + 1)
        away = (
            np.nonzero(self.mesh.interior(self.mesh.resting_theta)) if self.mesh.held_away else ()
        )
        if away:
            low = np.minimum(low, [int(w.min()) for w in away])
            high = np.maximum(high, [int(w.max()) + 1 for w in away])
        if self.mesh.needs_full_window:
            low, high = np.zeros(3, dtype=np.int64), shape
        reach = max(4, math.ceil(6.0 / self.mesh.h_mm))
        low, high = np.maximum(low - reach, 0), np.minimum(high + reach, shape)
        return np.stack([low, high], axis=1).reshape(-1).astype(np.int64)

    def _grow_window(self, dt_s: float) -> None:
        """Move a face outwards until the layer some diffusion lengths inside it is at rest."""
        mesh, w = self.mesh, self.window
        theta = mesh.interior(self.theta[0])
        k, c = mesh.tissues[:, 3], mesh.tissues[:, 0]
        spread = math.sqrt(4.0 * float((k / np.where(c > 0, c, np.inf)).max()) * dt_s)
        deep = max(3, math.ceil(2.0 * spread / mesh.h_mm))
        for axis in range(3):
            for side in (0, 1):
                face = int(w[2 * axis + side])
                wall = 0 if side == 0 else mesh.shape[axis]
                if face == wall:
                    cut = [slice(None)] * 3
                    cut[axis] = slice(0, 1) if side == 0 else slice(wall - 1, wall)
                    rise = float(np.abs(theta[tuple(cut)]).max()) / float(k.min())
                    if rise > self.boundary_rise_c:
                        self.boundary_rise_c = max(
                            self.boundary_rise_c, self._layer_rise(axis, side)
                        )
                    continue
                box = [slice(int(w[2 * a]), int(w[2 * a + 1])) for a in range(3)]
                box[axis] = slice(face, face + deep) if side == 0 else slice(face - deep, face)
                other = tuple(a for a in range(3) if a != axis)
                worst = np.abs(theta[tuple(box)]).max(axis=other)
                busy = np.flatnonzero(worst > WINDOW_TOLERANCE_K * float(k.min()))
                if busy.size:
                    need = deep - int(busy[0]) if side == 0 else int(busy[-1]) + 1
                    moved = face - need if side == 0 else face + need
                    w[2 * axis + side] = min(max(moved, 0), mesh.shape[axis])

    def _layer_rise(self, axis: int, side: int) -> float:
        """Largest |T - T_body| among the free voxels of an outermost layer, K."""
        free = self.outer_free.get((axis, side))
        if free is None:
            index = [np.arange(n) for n in self.mesh.shape]
            index[axis] = index[axis][:1] if side == 0 else index[axis][-1:]
            layer = self.mesh.flat(np.stack(np.meshgrid(*index), axis=-1).reshape(-1, 3))
            free = layer[self.mesh.tissues[self.mesh.kind[layer], 0] > 0]
            self.outer_free[axis, side] = free
        return float(np.abs(self._kelvin(free)).max()) if free.size else 0.0

    def _begin_cycle(self) -> None:
        self._finish_cycle()
        self.low = self.theta[0].copy()

    def _finish_cycle(self) -> None:
        if self.low is not None:
            self.minima.append(self.low)
        self.low = None

    def _sample(self) -> None:
        from irplan.compute.cpu import bioheat

        mesh = self.mesh
        low = self.theta[0] if self.low is None else self.low
        frozen = bioheat.record(
            self.theta[0], low, mesh.kind, self.ice_edge, np.array(mesh.shape), self.window
        )
        body = self.problem.body_temperature_c
        row = [
            body + (self._gathered_tau(p) if math.isnan(t) else t)
            for p, t in enumerate(self.probe_tau)
        ]
        row += [float(v) for v in body + self._at_monitors()]
        self.samples.append((self.time_s, row, frozen * self.mesh.h_mm**3 / 1000.0))

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
            total += w * self._kelvin(self.mesh.flat(at))
        return total

    # -- results -------------------------------------------------------------------------

    def fields(self) -> list[Volume]:
        """Temperature at the end of the last freeze, then the minimum of each cycle."""
        if self.end_of_freeze is None:
            raise RuntimeError("fields() before all_phases()")
        out = [
            Volume(self._read_out(theta)[0], self.problem.grid, "degC")
            for theta in (self.end_of_freeze, *self.minima)
        ]
        return out

    def _read_out(self, theta: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """Temperature, degC, and stored energy relative to rest, J."""
        from irplan.compute.cpu import bioheat

        mesh, body = self.mesh, self.problem.body_temperature_c
        array = np.full(mesh.shape, body, np.float32)
        stored = bioheat.read_out(
            theta,
            mesh.kind,
            mesh.tissues,
            mesh.tau,
            np.float32(body),
            np.array(mesh.shape),
            self.window,
            array,
        )
        if not math.isfinite(stored):
            raise SolverError(
                "simulation",
                got="temperatures that are not finite",
                expected="a stable solution",
                remedy="Report this problem; stages=1 is the most careful scheme.",
            )
        return array, stored * mesh.h_mm**3 * 1e-3

    def energy(self) -> EnergyBalance:
        """Heat by source, J."""
        return EnergyBalance(
            stored_j=self._read_out(self.theta[0])[1],
            probes_j=float(self.heat[4:].sum()),
            perfusion_j=float(self.heat[0]),
            metabolism_j=float(self.heat[1]),
            fixed_tissue_j=float(self.heat[2]),
            boundary_j=float(self.heat[3]),
        )

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

    def warnings(self, energy: EnergyBalance) -> list[str]:
        """What went less than well, with the size of the error it makes."""
        out = []
        if self.boundary_rise_c > BOUNDARY_WARNING_K:
            ice = max(1e-6, max(s[2] for s in self.samples))
            melt = abs(energy.boundary_j) / 400.0  # some 400 J to cool and freeze 1 cm3
            radius = (0.75 / math.pi * ice) ** (1 / 3) * 10.0
            out.append(
                f"The ice's cold reached the edge of the simulated box ({self.boundary_rise_c:.1f} "
                f"degC there). Heat that came in through it could melt at most {melt:.2f} cm3 of "
                f"{ice:.1f} cm3, about {radius * melt / ice / 3:.2f} mm of radius. Use a larger "
                "margin_mm."
            )
        if energy.residual_fraction > 1e-3:
            out.append(
                f"The heat balance closes to {100 * energy.residual_fraction:.2f} % only "
                "(0.1 % is expected)."
            )
        return out
