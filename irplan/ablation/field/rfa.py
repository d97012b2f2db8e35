"""Radiofrequency ablation: quasi-static potential, generator and heat, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.damage import Arrhenius, DamageModel
from irplan.ablation.field.control import RfaControl
from irplan.ablation.field.electrode import check_apart, sample_wires, wires_of
from irplan.ablation.field.generator import Generator
from irplan.ablation.field.mesh import FieldMesh
from irplan.ablation.field.rfa_electrodes import (
    WallCooling,
    coolants_of,
    positions_of,
    weakest,
)
from irplan.ablation.field.rfa_result import heat_result
from irplan.ablation.field.solver import Drive, PotentialSolver, at_most
from irplan.ablation.field.tissue import Conductor
from irplan.ablation.heat.coolant import Coolant
from irplan.ablation.heat.layout import VAPORISATION_J_PER_KG
from irplan.ablation.heat.march import HeatMarch
from irplan.ablation.problem import AblationProblem, check_range
from irplan.ablation.result import HeatResult
from irplan.ablation.timeline import Segment, timeline
from irplan.compute import Progress, no_progress
from irplan.compute.threads import ThreadChoice
from irplan.errors import InputError

#: Relative error of a potential in the energy norm.
_TOLERANCE = 3e-3
#: Heat that could not warm tissue by this much until the end is left out, K.
_UNFELT_K = 0.05
#: Share of a voxel's water that the held heat could boil off between two potentials, once tissue is
#: this hot, degC (above 1: the collapse below stops it before); less where steam leaves, for then
#: no temperature above 101 degC tells a voxel that it is dry.
_DRIED, _NEARLY_BOILING_C = 3.0, 95.0
_DRIED_STEAM = 0.5
#: Water that boils off is not followed closer than this, nor the time left to a roll-off, s.
_CLOSEST_S, _NEAR_ROLL_OFF_S = 0.1, 0.25
#: (c, d) of `HeatMarch.advance`: heat held during a step goes as tissue dries up in it: 95 % of it
#: at 96 degC, half at 104, 5 % at 112 degC (sigma falls by two decades between 100 and 110 degC in
#: Trujillo et al., Int. J. Hyperthermia 32 (2016) 931 [S]; a steeper fall costs shorter steps).
#: Without it a voxel that dries early in a step of seconds reached 700 to 2000 degC.
_COLLAPSE = (36.4, 0.35)
#: First step of the heat march with the power off, s, and how many times longer each next one is.
_FIRST_REST_S, _REST_GROWTH = 1.0, 3.0
#: A step with the power on may be this many times as long as the one before it.
_GROWTH = 2.0


@dataclass(frozen=True)
class _Excitation:
    """Which electrodes are driven at once."""

    electrodes: tuple[int, ...]
    bipolar: bool

    def drive(self, count: int) -> Drive:
        """One volt on the driven electrodes (or between the two)."""
        if self.bipolar:
            return Drive.pair(self.electrodes[0], self.electrodes[1], 1.0, count)
        fixed = tuple(1.0 if e in self.electrodes else 0.0 for e in range(count))
        return Drive(fixed, tuple((e,) for e in range(count) if e not in self.electrodes))


def simulate_rfa(
    problem: AblationProblem,
    *,
    control: RfaControl | None = None,
    damage: Sequence[DamageModel] = (Arrhenius(),),
    time_error_mm: float = 0.06,
    monitors: NDArray[np.float64] | None = None,
    threads: int | ThreadChoice | None = None,
    progress: Progress = no_progress,
    perfusion: str = "temperature",
    steam_rewet_s: float | None = None,
) -> HeatResult:
    """Heat ``problem`` by radiofrequency current.

    div(sigma(T) grad V) = 0 gives the heat sigma |grad V|^2; it is held while the bioheat equation
    (`HeatMarch`) goes on, and solved again as the impedance moves.  Against a distant pad the
    tissue is taken to go on to infinity as it is at the box's edge (the pad's and the body's own
    impedance are not in ``impedance_ohm``).  Dried-out tissue conducts a hundredth, and takes no
    heat above some 107 degC.  ``options``: ``tissue_energy_j`` is what warmed the box, less than
    ``generator_energy_j`` by heat beyond the box, in dried tissue and straight into coolant.
    Steam condenses where it arose unless ``steam_rewet_s`` is given.

    Parameters
    ----------
    problem : of rfa electrodes; phases "power" (generator's power) and "pause"; ``withdraw_mm``
        pulls an electrode back.
    control : see `RfaControl`.
    damage : models to follow.
    time_error_mm : allowed error in time of the heat march, mm.
    monitors : (n, 3) fractional grid indices for the trace.
    threads : cap on CPU threads.
    progress : called after each step; may raise to cancel.
    perfusion, steam_rewet_s : see `HeatMarch`.

    Returns
    -------
    HeatResult : ``trace.extra`` has ``power_w``, ``impedance_ohm`` (its last value while the power
        is off), ``voltage_v`` and ``current_a`` (rms) beside the march's own.

    Raises
    ------
    InputError : electrodes outside the box, touching, or in gas; a bad option.
    SolverError : no convergence, or temperatures that are not finite.
    """
    if problem.kind != "rfa":
        raise InputError(
            "problem.placements",
            got=f"applicators of kind '{problem.kind}'",
            expected="'rfa'",
            remedy="Use radiofrequency electrodes, or the entry for that kind.",
        )
    check_range("time_error_mm", time_error_mm, 0.005, 0.5, "mm", "0.06 is the default.")
    chosen = control or RfaControl()
    with at_most(threads):
        run = _Run(
            problem, chosen, damage, time_error_mm, monitors, threads, perfusion, steam_rewet_s
        )
        run.all_segments(progress)
        return run.result(time_error_mm)


class _Run:
    """The state of one simulation."""

    def __init__(
        self,
        problem: AblationProblem,
        control: RfaControl,
        damage: Sequence[DamageModel],
        time_error_mm: float,
        monitors: NDArray[np.float64] | None,
        threads: int | ThreadChoice | None,
        perfusion: str,
        steam_rewet_s: float | None,
    ) -> None:
        self.problem, self.control = problem, control
        self.damage = tuple(damage)
        self.segments = timeline(problem.schedules)
        self.positions, self.position_of = positions_of(problem.placements, self.segments)
        count = len(problem.placements)
        if control.arrangement == "bipolar" and count < 2:
            raise InputError(
                "control.arrangement",
                got=f"'bipolar' with {count} electrode",
                expected="two electrodes",
                remedy="Add an electrode, or use 'together'.",
            )
        coolants: list[Coolant] = []
        self._cooled_by: list[tuple[int, int]] = []  # (position set, electrode) of each coolant
        for n, placements in enumerate(self.positions):
            for e, placement in enumerate(placements):
                if n > 0 and placement == self.positions[n - 1][e]:
                    continue
                for c in coolants_of(placement, problem):
                    coolants.append(c)
                    self._cooled_by.append((n, e))
        self.march = HeatMarch(
            problem, damage, monitors, threads,
            coolants=coolants, perfusion=perfusion, time_error_mm=time_error_mm,
            steam_rewet_s=steam_rewet_s,
        )  # fmt: skip
        self._steam = steam_rewet_s is not None
        self.conductor = Conductor(problem)
        self.solver: PotentialSolver | None = None
        self._wall: WallCooling | None = None
        self._kept: dict[_Excitation, tuple[NDArray[np.float32], float]] = {}
        self._position = -1
        self.generator = Generator(control, weakest(problem.placements))
        self._latent_j_per_m3 = min(
            t.water_fraction * t.density_kg_per_m3 * VAPORISATION_J_PER_KG
            for t in problem.tissues
            if t.sigma_s_per_m > 0.0
        )
        self.records: list[tuple[float, float, float, float, float]] = []
        self.first_ohm: dict[_Excitation, float] = {}
        self.turn = 0
        self.turn_ends_s = control.switch_s
        self.solves = 0
        self.iterations = 0
        self.energy_j = 0.0
        self.end_c: NDArray[np.float32] | None = None
        self.dt_s = control.shortest_s
        self._resumed = False
        self._skipped = 0
        self._before: tuple[float, NDArray[np.float32]] | None = None
        self._seen: tuple[_Excitation, float, float] | None = None
        self._source = np.zeros(problem.grid.shape, np.float32)
        self._rest_s = 0.0

    # -- time ----------------------------------------------------------------------------

    def all_segments(self, progress: Progress) -> None:
        """Run the schedules."""
        total = self.problem.duration_s
        progress(0.0, "Preparing the potential (a first run compiles for some seconds)")
        powered = [n for n, s in enumerate(self.segments) if self._driven(s)]
        for n, segment in enumerate(self.segments):
            end = segment.start_s + segment.duration_s
            if self.position_of[n] != self._position:
                self._place(self.position_of[n])
            if any(segment.began):
                self.dt_s = self.control.shortest_s
            while self.march.time_s < end - 1e-6:
                self._step(segment, end)
                progress(
                    min(1.0, self.march.time_s / total),
                    f"Simulating {segment.words}: {self.march.time_s:.0f} of {total:.0f} s",
                )
            if n == powered[-1]:
                self.end_c = self.march.temperature_c

    def _place(self, position: int) -> None:
        """Electrodes, mesh and solver for a set of needle positions."""
        grid = self.problem.grid
        wires = [wires_of(p, grid) for p in self.positions[position]]
        check_apart(wires)
        samples = sample_wires(wires, grid)
        at = np.rint(samples.point_mm / np.asarray(grid.spacing_mm)).astype(np.int64)
        self.conductor.check_electrodes(at, samples.electrode)
        mesh = FieldMesh.around(grid.shape, grid.spacing_mm, samples.box_mm)
        boundary = "dipole" if self.control.arrangement == "bipolar" else "monopole"
        self.solver = PotentialSolver(mesh, samples, boundary, self.march.threads)  # type: ignore[arg-type]
        self._wall = WallCooling(self.problem, self.march, samples, {e for _, e in self._cooled_by})
        self._kept = {}
        self._before = None
        self.first_ohm = {}
        self._position = position

    def _step(self, segment: Segment, end_s: float) -> None:
        now = self.march.time_s
        excitation = self._excitation(segment, now)
        if excitation is None or self.generator.resting(now):
            until = end_s if excitation is None else min(end_s, self.generator.off_until_s)
            self.generator.idle()
            self._rest_s = max(_FIRST_REST_S, _REST_GROWTH * self._rest_s)
            dt = until - now if until - now < 1.5 * self._rest_s else self._rest_s
            self._heat(None, 0.0, dt)
            last = self.records[-1][2] if self.records else math.nan
            self._resumed = True
            self._seen = None
            self._before = None
            self.records.append((self.march.time_s, 0.0, last, 0.0, 0.0))
            return
        self._rest_s = 0.0
        cells, ohm = self._solve(excitation)
        first = self.first_ohm.setdefault(excitation, ohm)
        self._adapt(excitation, ohm)
        if self.generator.rolls_off(ohm, first):
            self.generator.roll_off(now)
            self.dt_s = self.control.shortest_s
            self._skipped += 1
            turns = len(self._driven(segment)) if self.control.arrangement == "switched" else 1
            if self._skipped < turns:  # the next electrode may still take current
                self._next_turn(now)
            else:
                self._skipped = 0
                self.generator.rest(now)
            return
        self._skipped = 0
        watts = self._wanted_w(segment, excitation, now)
        volts = self.generator.volts(watts, ohm)
        drying = math.inf
        if self.march.hottest_c > _NEARLY_BOILING_C:
            drying = (
                (_DRIED if not self._steam else _DRIED_STEAM)
                * self._latent_j_per_m3
                / max(float(cells.max()) * volts**2, 1e-9)
            )
        dt = min(
            max(drying, _CLOSEST_S),
            self.dt_s,
            end_s - now,
            self._until_roll_off(excitation, now, ohm, first),
        )
        if self.control.arrangement == "switched" and len(self._driven(segment)) > 1:
            dt = min(dt, max(self.control.shortest_s, self.turn_ends_s - now))
        self._heat(cells, volts, dt)
        power = volts**2 / ohm
        self.energy_j += power * dt
        self.records.append((self.march.time_s, power, ohm, volts, volts / ohm))

    # -- potential -----------------------------------------------------------------------

    def _solve(self, excitation: _Excitation) -> tuple[NDArray[np.float32], float]:
        """(heat per cell at 1 V, W/m3; impedance, ohm) at the present temperature."""
        solver = self.solver
        if solver is None:
            raise RuntimeError("no electrodes placed")
        if excitation in self._kept:
            solver.v[...] = self._kept[excitation][0]
        self.conductor.apply(solver, self.march)
        self._look_ahead(solver)
        solver.assemble()
        solution = solver.solve(excitation.drive(solver.samples.count), _TOLERANCE)
        self.solves += 1
        self.iterations += solution.iterations
        ohm = 1.0 / solution.power_w  # one volt
        kept = None if self._wall is None else self._wall.kept(self.march)
        return solver.heat(kept), ohm

    def _look_ahead(self, solver: PotentialSolver) -> None:
        """Conductivity in the middle of the coming step, from its change over the last one.

        The heat is held during a step; this makes it second order in the step's length.
        """
        now = self.march.time_s
        before, self._before = self._before, (now, solver.sigma.copy())
        if before is None or before[0] >= now:
            return
        ahead = np.float32(min(1.0, 0.5 * self.dt_s / (now - before[0])))
        old, new = before[1], self._before[1]
        np.clip(
            new + ahead * (new - old), np.float32(0.5) * new, np.float32(1.5) * new,
            out=solver.sigma,
        )  # fmt: skip

    def _until_roll_off(
        self, excitation: _Excitation, now: float, ohm: float, first: float
    ) -> float:
        """Time until the impedance, rising as it does now, has reached the roll-off, s."""
        before, self._seen = self._seen, (excitation, now, ohm)
        if self.control.mode != "impedance" or before is None or before[0] != excitation:
            return math.inf
        slope = (ohm - before[2]) / max(now - before[1], 1e-6)
        if slope <= 0.0:
            return math.inf
        return max(_NEAR_ROLL_OFF_S, (first + self.control.rise_ohm - ohm) / slope)

    def _adapt(self, excitation: _Excitation, ohm: float) -> None:
        """Time to the next solution from how far the impedance moved."""
        solver, control = self.solver, self.control
        if solver is None:
            return
        kept = self._kept.get(excitation)
        if kept is not None:
            if not self._resumed:
                moved = abs(ohm / kept[1] - 1.0) + 1e-9
                factor = min(_GROWTH, max(0.3, control.change / moved))
                self.dt_s = min(control.longest_s, max(control.shortest_s, self.dt_s * factor))
            self._resumed = False
            kept[0][...] = solver.v
            self._kept[excitation] = (kept[0], ohm)
        else:
            self._kept[excitation] = (solver.v.copy(), ohm)

    # -- generator -----------------------------------------------------------------------

    def _driven(self, segment: Segment) -> tuple[int, ...]:
        return tuple(e for e, p in enumerate(segment.phases) if p is not None and p.kind == "power")

    def _excitation(self, segment: Segment, now: float) -> _Excitation | None:
        """Which electrodes the generator drives now; None: none."""
        driven = self._driven(segment)
        if not driven:
            return None
        if self.control.arrangement == "bipolar":
            return _Excitation(driven[:2], True) if len(driven) > 1 else None
        if self.control.arrangement == "switched":
            if now >= self.turn_ends_s - 1e-6:
                self._next_turn(now)
            return _Excitation((driven[self.turn % len(driven)],), False)
        return _Excitation(driven, False)

    def _next_turn(self, now: float) -> None:
        self.turn += 1
        self.turn_ends_s = now + self.control.switch_s
        self.dt_s = self.control.shortest_s

    def _wanted_w(self, segment: Segment, excitation: _Excitation, now: float) -> float:
        phases = [segment.phases[e] for e in excitation.electrodes]
        asked = max(p.power_w or 0.0 for p in phases if p is not None)
        watts = self.generator.allowed_w(asked, now)
        if self.control.mode != "temperature":
            return watts
        points = self._tip_points(excitation)
        hottest = float(self.march.temperature_at(points).max())
        lack = (self.control.target_c - hottest) / self.control.band_c
        self.dt_s = min(self.dt_s, 1.0)
        return watts * min(1.0, max(0.0, lack))

    def _tip_points(self, excitation: _Excitation) -> NDArray[np.float64]:
        """Grid indices of the driven electrodes' samples, where thermocouples may sit."""
        if self.solver is None:
            raise RuntimeError("no electrodes placed")
        s = self.solver.samples
        mine = np.isin(s.electrode, excitation.electrodes)
        out: NDArray[np.float64] = s.point_mm[mine] / np.asarray(self.problem.grid.spacing_mm)
        return out

    # -- heat ----------------------------------------------------------------------------

    def _heat(self, cells: NDArray[np.float32] | None, volts: float, dt_s: float) -> None:
        """March ``dt_s`` with the heat of ``cells`` (W/m3 at 1 V) at ``volts``."""
        from irplan.compute.cpu import potential

        cooling = [
            e_n <= self._position and not self._moved_on(e_n, e) for e_n, e in self._cooled_by
        ]
        power = volts * volts
        box = None if cells is None or power == 0.0 else self._felt(cells, power)
        if cells is None or box is None or self.solver is None:
            self.march.advance(None, dt_s, cooling=cooling, changed=False)
            return
        of = [self.solver.mesh.cell_of[a][box[2 * a] : box[2 * a + 1]] for a in range(3)]
        out = self._source.reshape(-1)[: of[0].size * of[1].size * of[2].size]
        source = out.reshape(of[0].size, of[1].size, of[2].size)
        potential.expand(cells, *of, np.float32(power), source)
        self.march.advance(
            source,
            dt_s,
            box,
            cooling=cooling,
            logit=None if self._steam else _COLLAPSE,
            changed=False,
        )

    def _moved_on(self, position: int, electrode: int) -> bool:
        """The electrode has left ``position`` already."""
        now = self.positions[self._position][electrode]
        return now != self.positions[position][electrode]

    def _felt(
        self, cells: NDArray[np.float32], power: float
    ) -> tuple[int, int, int, int, int, int] | None:
        """Index box outside which the heat could not warm tissue by `_UNFELT_K` to the end."""
        seconds = max(self.problem.duration_s, 60.0)
        least = _UNFELT_K * 3.8e6 / seconds / power
        inner = cells[1:-1, 1:-1, 1:-1]
        out = []
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            hot = np.flatnonzero(inner.max(axis=others) > least)
            if hot.size == 0:
                return None
            of = self.solver.mesh.cell_of[axis] if self.solver is not None else np.zeros(1, int)
            inside = np.flatnonzero((of >= hot[0]) & (of <= hot[-1]))
            out += [int(inside[0]), int(inside[-1]) + 1]
        return out[0], out[1], out[2], out[3], out[4], out[5]

    # -- result --------------------------------------------------------------------------

    def result(self, time_error_mm: float) -> HeatResult:
        """Everything of the run."""
        return heat_result(
            self.march,
            self.end_c if self.end_c is not None else self.march.temperature_c,
            self.records,
            self.control,
            self.damage,
            time_error_mm,
            {
                "potential_solves": float(self.solves),
                "potential_iterations": float(self.iterations),
                "roll_offs": float(self.generator.roll_offs),
                "generator_energy_j": self.energy_j,
            },
            [
                f"The generator's limit of {name} was reached; the power fell short of the "
                "schedule's."
                for name in sorted(self.generator.limited)
            ],
        )
