"""The heating march: temperature, damage, energy and records of a simulation on one grid."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.damage import DamageModel
from irplan.ablation.heat.coolant import Coolant, CoolantTables
from irplan.ablation.heat.damage_track import DamageTrack
from irplan.ablation.heat.layout import BOILING_FROM_C, lay_out
from irplan.ablation.heat.record import HeatRecord, PointReader, temperature_at
from irplan.ablation.heat.source import Box, box_of, checked_source
from irplan.ablation.heat.steam import Steam
from irplan.ablation.heat.window import HeatWindow
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import EnergyBalance, Trace
from irplan.compute.threads import ThreadChoice
from irplan.errors import InputError, SolverError
from irplan.image import Volume

#: Error of the 60 degC and lethal radii per second of super-step, mm/s [M: 0.016 mm at 6 s to
#: 0.06 mm at 20 s, 40 W microwave for 10 min].
TIME_ERROR_MM_PER_S = 0.003
#: First super-step after the heat has changed, s, and how much longer each next one may be.
FIRST_STEP_S, STEP_GROWTH = 0.5, 1.3
#: A change of temperature at the outer faces above this is reported, K.
BOUNDARY_WARNING_K = 1.0
#: Tissue hotter than this is a mistake, degC.
ABSURD_C = 3000.0


@dataclass(frozen=True, eq=False)
class HeatState:
    """A `HeatMarch` at one moment (`HeatMarch.state`), to go on from later or twice."""

    time_s: float
    steps: int
    window: NDArray[np.int64]
    arrays: tuple[NDArray[np.generic], ...]
    since_change_s: float
    boundary_rise_c: float


class HeatMarch:
    """Temperature and damage while heat flows: the bioheat equation on ``problem.grid``.

    rho c dT/dt = div(k(T) grad T) + a(T) (w rho_b c_b (T_b - T) + q_m) + Q + coolants, with
    k(T) = k (1 + k_per_k (T - 37)) up to 100 degC, boiling of the tissue's water as latent heat
    between 99 and 101 degC (enthalpy form: nothing is skipped), voxels of a tissue with
    ``fixed_temperature_c`` held (through a film where ``wall_transfer_w_per_m2k`` > 0), outer faces
    at body temperature.  7-point finite volumes with harmonic means, RKL1 super-time-stepping,
    float32; only the window that differs from rest is computed.  Voxels may be anisotropic.

    Use: build it, call `advance` once for each stretch of constant source, then read
    `temperature_c`, `dry_fraction`, `damage_volumes`, `maximum_c`, `energy`, `trace`,
    `boundary_rise_c`, `warnings`.

    Parameters
    ----------
    problem : grid, tissues, placements (for the trace), body temperature.
    damage : models to follow; each name once.  All together cost some 12 bytes a voxel.
    monitors : (n, 3) fractional grid indices that go into the trace.
    threads : how many CPU threads, or a `ThreadChoice` to share.
    coolants : cooled tips and shafts (`irplan.ablation.heat.coolant.coolant`).
    perfusion : "temperature": a = (1 + tanh(60 - T)) / 2 and returns when tissue cools [V,
        specification]; "damage": a = exp(-Omega) of the first Arrhenius model, or the living
        fraction of the first three-state model, in ``damage``: it does not return.
    time_error_mm : allowed error in time of the 60 degC radius, 0.005 to 0.5 mm.
    steam_rewet_s : steam leaves boiling tissue and condenses in cooler tissue, and liquid comes
        back within this time (`irplan.ablation.heat.steam`); None: it condenses where it arose.

    Raises
    ------
    InputError : a repeated damage name; "damage" without a model that gives a living fraction.
    SolverError : (in `advance`) a solution that is not finite.
    """

    def __init__(
        self,
        problem: AblationProblem,
        damage: Sequence[DamageModel] = (),
        monitors: NDArray[np.float64] | None = None,
        threads: int | ThreadChoice | None = None,
        *,
        coolants: Sequence[Coolant] = (),
        perfusion: str = "temperature",
        time_error_mm: float = 0.06,
        steam_rewet_s: float | None = None,
    ) -> None:
        import numba

        self.problem = problem
        most = int(numba.get_num_threads())
        if isinstance(threads, ThreadChoice):
            self.threads = threads
        else:
            self.threads = ThreadChoice(most if threads is None else min(threads, most))
        self.layout = lay_out(problem)
        self.coolants = CoolantTables.from_coolants(coolants, self.layout)
        self.longest_step_s = time_error_mm / TIME_ERROR_MM_PER_S
        self._track = DamageTrack(self.layout, damage, perfusion)
        self.damage = self._track.models
        points = np.zeros((0, 3)) if monitors is None else np.asarray(monitors, float)
        self._record = HeatRecord(problem, points)
        self.extra: dict[str, float] = {}
        self.time_s = 0.0
        self.steps = 0
        self.stages = 0
        self.longest_dt_s = 0.0
        self._since_change_s = 0.0
        self._steam = None if steam_rewet_s is None else Steam(self.layout, steam_rewet_s)
        self._hottest_c = self.layout.body_c
        self._allocate()
        self._sample()

    def _allocate(self) -> None:
        lay = self.layout
        size = lay.kind.size
        v = np.zeros(size, np.float32)
        self._held_away = bool(np.any(lay.held != 0.0))
        if self._held_away:
            lay.interior(v)[...] = lay.held[lay.interior(lay.kind)]
        self._v = [v, v.copy()]
        self._highest = v.copy()
        nz, ny, _ = lay.shape
        self._hot = [np.zeros((nz + 2, ny + 2), np.uint8) for _ in range(2)]
        self._sticky = np.zeros((nz + 2, ny + 2), np.uint8)
        if self._held_away:
            warm = lay.interior(v).max(axis=2) > float(lay.levels[3])
            self._sticky[1:-1, 1:-1] = warm
            for flags in self._hot:
                flags[...] = self._sticky
        self._shared: NDArray[np.float32] | None = None
        self._sums = np.zeros((nz, 5))
        self._heat = np.zeros(5 + self.coolants.rise.size)
        cells = self.coolants.voxel.size
        self._work = [np.zeros(cells, np.float32) for _ in range(3)]
        self.absorbed_w = 0.0
        capacity = lay.tissues[:, 0]
        self._least_capacity = float(capacity[capacity > 0.0].min())
        self._window = HeatWindow(lay, v, self.coolants.boxes)
        if self._held_away:
            self._track.begin(v, self._window.box)

    # -- what can be read ----------------------------------------------------------------

    @property
    def temperature_c(self) -> NDArray[np.float32]:
        """Temperature now, float32 (slice, row, column), degC; a fresh array at each call."""
        return self.read_temperature(self._v[0])

    def read_temperature(self, v: NDArray[np.float32]) -> NDArray[np.float32]:
        """Temperature, degC, of a padded state array."""
        lay = self.layout
        out = np.full(lay.shape, lay.body_c, np.float32)
        return self._read_into(out, v, self._window.box)

    def temperature_shared(
        self, lately: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """`temperature_c` in an array that the next call writes again, and the index box written.

        ``lately``: only voxels near those that have been warmer than 40 degC are brought up to
        date, which is the faster the more of the rest was heated a little.
        """
        box = self._window.box.copy()
        if self._shared is None:
            self._shared = np.full(self.layout.shape, self.layout.body_c, np.float32)
        elif lately:
            lo, hi = self._searched_box()
            box[::2] = np.maximum(box[::2], lo - 2)
            box[1::2] = np.minimum(box[1::2], hi + 2)
        return self._read_into(self._shared, self._v[0], box), box

    def _read_into(
        self, out: NDArray[np.float32], v: NDArray[np.float32], box: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Temperature, degC, of the padded state ``v`` into ``out`` inside the index box."""
        from irplan.compute.cpu import heat_state

        lay = self.layout
        heat_state.read_out(
            v, lay.kind, lay.tissues, lay.levels, np.float32(lay.body_c), np.array(lay.shape),
            box, out,
        )  # fmt: skip
        return out

    @property
    def boundary_rise_c(self) -> float:
        """Largest change of temperature at the grid's outer faces so far, K."""
        return self._window.boundary_rise_c

    @property
    def maximum_c(self) -> NDArray[np.float32]:
        """Highest temperature so far, float32 (slice, row, column), degC."""
        return self.read_temperature(self._highest)

    @property
    def dry_fraction(self) -> NDArray[np.float32]:
        """Share of each voxel's water that has boiled off (0 to 1), (slice, row, column)."""
        nz, ny, nx = self.layout.shape
        return self.dry_fraction_in((0, nz, 0, ny, 0, nx))

    def dry_fraction_in(self, box: Box) -> NDArray[np.float32]:
        """`dry_fraction` of the index box (z0, z1, y0, y1, x0, x1) only."""
        lay = self.layout
        cut = (slice(box[0], box[1]), slice(box[2], box[3]), slice(box[4], box[5]))
        width = np.maximum(lay.tissues[:, 5], 1e-6)[lay.interior(lay.kind)[cut]]
        dry = (lay.interior(self._v[0])[cut] - lay.levels[0]) / width
        if self._steam is not None:
            dry = np.maximum(dry, 0.0) + lay.interior(self._steam.lost)[cut]
        out: NDArray[np.float32] = np.clip(dry, 0.0, 1.0)
        return out

    @property
    def hottest_c(self) -> float:
        """Highest temperature now, degC."""
        return self._hottest_c

    def dry_box(self) -> Box | None:
        """Index box outside which no water has boiled off; None: nowhere has any."""
        if self._steam is not None:
            return self._steam.box
        return self._box_above_boiling() if self._hottest_c > BOILING_FROM_C - 0.1 else None

    def _box_above_boiling(self) -> Box | None:
        """Index box of the voxels that have begun to boil."""
        lo, hi = self._searched_box()
        cut = tuple(slice(int(a), int(b)) for a, b in zip(lo, hi, strict=True))
        lay = self.layout
        hot = lay.interior(self._v[0])[cut] > lay.levels[0]
        return box_of(hot, lo)

    def _searched_box(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        lo, hi = self._warm_box()
        if np.any(hi <= lo):
            return self._window.box[::2], self._window.box[1::2]
        return lo, hi

    def _find_hottest(self) -> float:
        lo, hi = self._searched_box()
        cut = tuple(slice(int(a), int(b)) for a, b in zip(lo, hi, strict=True))
        lay = self.layout
        v = lay.interior(self._v[0])[cut]
        at = np.unravel_index(int(np.argmax(v)), v.shape)
        kind = lay.interior(lay.kind)[cut][at]
        return lay.body_c + float(lay.rise(np.array(v[at]), np.array(kind)))

    # -- marching ------------------------------------------------------------------------

    def advance(
        self,
        source_w_per_m3: NDArray[np.float32] | None,
        duration_s: float,
        box: Box | None = None,
        *,
        cooling: Sequence[bool] | None = None,
        logit: tuple[float, float] | None = None,
        changed: bool = True,
        on_step: Callable[[float], None] | None = None,
    ) -> None:
        """March ``duration_s`` seconds with a fixed source, in as few super-steps as allowed.

        Parameters
        ----------
        source_w_per_m3 : power density, float32, of the whole grid or of ``box``; None: no heat.
        duration_s : > 0; one super-step where it is short (say 1 to 3 s).
        box : (z0, z1, y0, y1, x0, x1) index box outside which the source is zero; it should be
            tight, for everything inside is computed.  None: the source's own bounding box.
        cooling : which coolants flow; None: all of them.
        logit : (c, d): the source is multiplied by 1 / (1 + exp(d T - c)), T in degC: where tissue
            is above 56 degC at every stage, elsewhere at each super-step's start.
        changed : the source jumped (the first steps are short); False where the caller updates
            a source that varies slowly.
        on_step : called with the time, s, after each super-step; may raise to cancel.
        """
        if not (math.isfinite(duration_s) and duration_s > 0.0):
            raise InputError(
                "duration_s", got=f"{duration_s}", expected="more than 0 s", remedy="Give seconds."
            )
        given, cut = checked_source(source_w_per_m3, box, self.layout.shape)
        self._window.include(cut)
        if changed:
            self._since_change_s = 0.0
        left = duration_s
        while left > 1e-9 * duration_s:
            free = min(
                self.longest_step_s, FIRST_STEP_S + (STEP_GROWTH - 1.0) * self._since_change_s
            )
            count = math.ceil(left / free - 1e-6)
            # equal parts of what is left, unless the steps are still growing
            dt = left / count if count < 3 or free >= self.longest_step_s else free
            self._super_step(dt, given, cut, cooling, logit)
            self._since_change_s += dt
            left -= dt
            if on_step is not None:
                on_step(self.time_s)
        self._check_finite()

    def _super_step(
        self,
        dt_s: float,
        given: NDArray[np.float32],
        box: NDArray[np.int64],
        cooling: Sequence[bool] | None,
        logit: tuple[float, float] | None,
    ) -> None:
        import numba

        from irplan.compute.cpu import heat, heat_state

        lay, cool = self.layout, self.coolants
        c, d = (0.0, 0.0) if logit is None else logit
        # a source that falls with temperature adds its steepest slope to the stiffness
        slope = 0.25 * d * float(given.max(initial=0.0)) * 1e-6 / self._least_capacity
        limit = 1.0 / (1.0 / lay.explicit_limit_s + 0.5 * slope)
        s = max(1, math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * dt_s / limit) - 1.0) - 1e-9))
        self.stages = max(self.stages, s)
        self.longest_dt_s = max(self.longest_dt_s, dt_s)
        rise = cool.rise.copy()
        if cooling is not None:
            rise[~np.asarray(cooling, bool)] = np.nan
        shape, w = np.array(lay.shape), self._window.box
        before, threads = numba.get_num_threads(), self.threads.pick()
        numba.set_num_threads(threads)
        started = time.perf_counter()
        source = np.empty_like(given)
        row_power = np.zeros(given.shape[:2])
        response = np.array([c - d * lay.body_c, d], np.float32)
        if given.size:
            heat_state.source_rate(
                given, self._v[0], lay.kind, lay.tissues, lay.levels, box, shape, response,
                source, row_power,
            )  # fmt: skip
        source_before = float(self._heat[heat.E_SOURCE])
        heat.super_step(
            *self._v, *self._hot, self._sticky, lay.kind, shape, w, lay.runs, lay.rows,
            lay.tissues, lay.pair_g, lay.pair_b, lay.levels, dt_s, s, self._window.at_edge,
            given, response, source, row_power, box, self._track.alive,
            self._track.stops_perfusion, rise, cool.log_part, cool.film_part,
            cool.per_volume, cool.sink_ptr, cool.sample_ptr, cool.local, cool.weight,
            cool.voxel_ptr, cool.voxel, *self._work, lay.voxel_mm3, self._sums, self._heat,
        )  # fmt: skip
        if s % 2 == 1:
            self._v.reverse()
            self._hot.reverse()
        if self._steam is not None:
            self._steam.include(self._box_above_boiling())
            self._steam.carry(self._v[0], dt_s)
        heat_state.record(self._v[0], self._highest, shape, w)
        self._track.follow(self._v[0], dt_s, w, self._sticky)
        np.maximum(self._hot[0], self._sticky, out=self._hot[0])
        self.threads.learn(threads, float(np.prod(w[1::2] - w[::2])) * s, _since(started))
        numba.set_num_threads(before)
        self.time_s += dt_s
        self.steps += 1
        self.absorbed_w = (float(self._heat[heat.E_SOURCE]) - source_before) / dt_s
        self._window.grow(self._v[0], dt_s)
        self._sample()

    # -- window, records -----------------------------------------------------------------

    def _warm_box(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Index box of the voxels that damage is followed in (empty: end <= start)."""
        lo, hi = self._track.extents[:, :, 0], self._track.extents[:, :, 1]
        some = hi > lo
        if not some.any():
            return np.zeros(3, np.int64), np.zeros(3, np.int64)
        z, y = np.flatnonzero(some.any(axis=1)), np.flatnonzero(some.any(axis=0))
        return (
            np.array([z[0], y[0], int(lo[some].min())]),
            np.array([z[-1] + 1, y[-1] + 1, int(hi[some].max())]),
        )

    def _sample(self) -> None:
        models = zip(self._track.models, self._track.dead_cm3(), strict=True)
        extra = {f"dead_cm3_{m.name}": cm3 for m, cm3 in models}
        extra |= {"absorbed_w": self.absorbed_w} | self.extra
        self._hottest_c = self._find_hottest()
        self._record.sample(self.time_s, self.layout, self._v[0], self._hottest_c, extra)

    def temperature_at(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Trilinear temperature, degC, at (n, 3) fractional grid indices."""
        return temperature_at(self.layout, self._v[0], index)

    def read_points(self, reader: PointReader) -> NDArray[np.float64]:
        """Temperature now at a reader's points, degC."""
        return reader.read(self._v[0])

    def _check_finite(self) -> None:
        if not self.hottest_c < ABSURD_C:  # NaN is not, and spreads into the warm box
            raise SolverError(
                "simulation",
                got=f"temperatures that are not finite or above {ABSURD_C:g} degC",
                expected="a stable solution",
                remedy="Check the power and its unit; a smaller time_error_mm takes shorter steps.",
            )

    def _stored_mj(self) -> float:
        from irplan.compute.cpu import heat_state

        lay = self.layout
        return float(
            heat_state.stored_heat(
                self._v[0], lay.kind, lay.tissues, np.array(lay.shape), self._window.box
            )
        )

    # -- results -------------------------------------------------------------------------

    def energy(self) -> EnergyBalance:
        """Heat by cause, J; ``probes_j`` is the source's and the coolants' together."""
        h = self._heat
        return EnergyBalance(
            stored_j=self._stored_mj() * self.layout.voxel_mm3 * 1e-3,
            probes_j=float(h[4:].sum()),
            perfusion_j=float(h[0]),
            metabolism_j=float(h[1]),
            fixed_tissue_j=float(h[2]),
            boundary_j=float(h[3]),
        )

    @property
    def source_j(self) -> float:
        """Heat of the source so far, J."""
        return float(self._heat[4])

    @property
    def coolant_j(self) -> float:
        """Heat that the coolants brought (negative: took) so far, J."""
        return float(self._heat[5:].sum())

    def trace(self) -> Trace:
        """Everything sampled after each super-step: hottest voxel, mean along each needle's active
        zone, monitors; ``extra`` has ``dead_cm3_<model>``, ``absorbed_w`` and what the caller put
        into ``self.extra``.
        """
        return self._record.trace()

    def damage_volumes(self) -> dict[str, Volume]:
        """A smooth field a damage model: Arrhenius fraction dead, CEM43 min, three-state D."""
        return self._track.volumes(self.problem.grid)

    def warnings(self) -> list[str]:
        """What went less than well, with the size of the error it makes."""
        out = []
        if self.boundary_rise_c > BOUNDARY_WARNING_K:
            loss = abs(float(self._heat[3])) / max(1e-9, abs(float(self._heat[4:].sum())))
            out.append(self._window.warning(loss, self.time_s, *self._warm_box()))
        residual = self.energy().residual_fraction
        if residual > 1e-3:
            out.append(
                f"The heat balance closes to {100.0 * residual:.2f} % only (0.1 % is expected)."
            )
        return out

    # -- snapshot ------------------------------------------------------------------------

    def _live(self) -> tuple[NDArray[np.generic], ...]:
        steam = () if self._steam is None else (self._steam.lost,)
        return (
            *steam,
            *self._v, *self._hot, self._sticky, self._highest, self._track.extents,
            self._track.before, self._track.states, self._track.alive, self._track.rest, self._heat,
        )  # fmt: skip

    def state(self) -> HeatState:
        """A copy of everything that `advance` changes."""
        return HeatState(
            time_s=self.time_s,
            steps=self.steps,
            window=self._window.box.copy(),
            arrays=tuple(a.copy() for a in self._live()),
            since_change_s=self._since_change_s,
            boundary_rise_c=self.boundary_rise_c,
        )

    def restore(self, state: HeatState) -> None:
        """Go back to ``state`` of this march, or on from that of one on an equal problem.

        The trace keeps this march's own samples before the state's time.
        """
        for mine, theirs in zip(self._live(), state.arrays, strict=True):
            if mine.shape != theirs.shape:
                raise InputError(
                    "state",
                    got=f"an array of shape {theirs.shape}",
                    expected=f"{mine.shape}, as of this problem",
                    remedy="Restore a state of a march with the same grid and damage models.",
                )
            mine[...] = theirs
        self.time_s, self.steps = state.time_s, state.steps
        self._window.box[...] = state.window
        self._since_change_s = state.since_change_s
        self._window.boundary_rise_c = state.boundary_rise_c
        self._shared = None
        if self._steam is not None:  # every voxel may have boiled
            nz, ny, nx = self.layout.shape
            self._steam.box = (0, nz, 0, ny, 0, nx)
        self._record.forget_from(state.time_s)
        self._sample()


def _since(started: float) -> float:
    return time.perf_counter() - started
