"""Irreversible electroporation: pairs of electrodes, conductivity that rises with the field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.damage import Arrhenius, DamageModel, damage_record
from irplan.ablation.device import IreDevice
from irplan.ablation.field.electrode import Samples, check_apart, sample_wires, wires_of
from irplan.ablation.field.mesh import FieldMesh
from irplan.ablation.field.solver import Drive, PotentialSolver, Solution, at_most
from irplan.ablation.field.tissue import Conductor
from irplan.ablation.given import check_items, check_whole, take_numbers
from irplan.ablation.heat.march import HeatMarch
from irplan.ablation.problem import AblationProblem, check_range
from irplan.ablation.result import ErrorEstimate, FieldResult
from irplan.compute import Progress, no_progress
from irplan.compute.threads import ThreadChoice
from irplan.errors import InputError, SolverError
from irplan.image import Volume

#: Field above which tissue counts as electroporated, V/cm: 500 to 700 in the ablation
#: specification, its lower end [V].
THRESHOLD_V_PER_CM = 500.0
#: Cells are voxels within this distance of the electrodes, mm: the zone's edge lies inside.
_CORE_MM = 12.0
#: The field's iteration ends when a pair's current moves by less than this share ...
_CURRENT_CHANGE = 2e-3
#: ... and is given up after so many turns.
_MOST_TURNS = 40
#: Share of the new field that is taken over at each turn (the rest is the old one); where
#: conductivity rises as E^g at a given current, 2 / (1 + g) would be too much, and g reaches 2.
_RELAX, _LEAST_RELAX = 0.5, 0.15
_TOLERANCE = 2e-3
#: The pulse train is cut into stretches that warm the heated tissue by about this much, K.
_WARM_K = 8.0
_MOST_STRETCHES = 3
#: The electrodes' heat that could not warm tissue by this much is left out, K.
_UNFELT_K = 0.02


@dataclass(frozen=True)
class PulseProtocol:
    """A train of pulses for each pair of electrodes, one pair after the other.

    Parameters
    ----------
    pairs : pairs of electrode indexes (from 0), or "all".
    voltage_v : of each pair, or one for all, V (10 to 10000); None: from ``v_per_cm``.
    v_per_cm : voltage as this times the distance between the electrodes' axes (100 to 4000), up to
        the generator's limit (with a warning); 1500 is usual [S, ablation specification].
    pulses, pulse_us, rate_hz : 90 pulses of 100 us at 1 Hz (heart-synchronised): 70 to 90 of 70
        to 100 us [S, ablation specification].
    """

    pairs: tuple[tuple[int, int], ...] | Literal["all"] = "all"
    voltage_v: float | tuple[float, ...] | None = None
    v_per_cm: float = 1500.0
    pulses: int = 90
    pulse_us: float = 100.0
    rate_hz: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.pairs, str) and self.pairs == "all"):
            object.__setattr__(self, "pairs", tuple(_pair(n, p) for n, p in _listed(self.pairs)))
        if self.voltage_v is not None:
            object.__setattr__(self, "voltage_v", _volts(self.voltage_v))
        take_numbers(self, "protocol", {"v_per_cm": (100.0, 4000.0, "V/cm")}, "1500 V/cm is usual.")
        pulses = check_whole("protocol.pulses", self.pulses, 1, 10000, "90 is usual.")
        object.__setattr__(self, "pulses", pulses)
        take_numbers(self, "protocol", {"pulse_us": (1.0, 10000.0, "us")}, "100 us is usual.")
        take_numbers(self, "protocol", {"rate_hz": (0.01, 1000.0, "Hz")}, "1 Hz is usual.")
        if self.pulse_us * 1e-6 * self.rate_hz > 0.5:
            raise InputError(
                "protocol.rate_hz",
                got=f"{self.rate_hz:g} Hz of pulses of {self.pulse_us:g} us",
                expected="pulses that fill at most half of the time",
                remedy="Lower the rate or shorten the pulses.",
            )

    def resolved(self, distances_mm: NDArray[np.float64]) -> list[tuple[int, int, float]]:
        """(electrode, electrode, V) of each pair; ``distances_mm`` (n, n) between axes.

        Raises `InputError` for a pair that does not exist or voltages that are not one a pair.
        """
        count = distances_mm.shape[0]
        if count < 2:
            raise InputError(
                "problem.placements",
                got=f"{count} electrode",
                expected="at least two electrodes",
                remedy="Add an electrode: the current flows between pairs.",
            )
        every = [(a, b) for a in range(count) for b in range(a + 1, count)]
        pairs = every if self.pairs == "all" else list(self.pairs)
        for a, b in pairs:
            if not (0 <= a < count and 0 <= b < count) or a == b:
                raise InputError(
                    "protocol.pairs",
                    got=f"({a}, {b})",
                    expected=f"two different indexes from 0 to {count - 1}",
                    remedy="Electrodes count from 0 in the order of the placements.",
                )
        if not pairs:
            raise InputError(
                "protocol.pairs", got="none", expected="at least one pair", remedy="Use 'all'."
            )
        given = self.voltage_v
        if given is None:
            volts = [0.1 * float(distances_mm[a, b]) * self.v_per_cm for a, b in pairs]
        elif isinstance(given, tuple):
            if len(given) != len(pairs):
                raise InputError(
                    "protocol.voltage_v",
                    got=f"{len(given)} voltages",
                    expected=f"one, or one for each of {len(pairs)} pairs",
                    remedy="Give one voltage for all, or as many as there are pairs.",
                )
            volts = list(given)
        else:
            volts = [float(given)] * len(pairs)
        return [(a, b, v) for (a, b), v in zip(pairs, volts, strict=True)]


def _listed(pairs: object) -> list[tuple[int, object]]:
    """``pairs`` by number, or refused."""
    remedy = "Use 'all', or for example ((0, 1), (1, 2))."
    return list(enumerate(check_items("protocol.pairs", pairs, object, remedy)))


def _pair(number: int, given: object) -> tuple[int, int]:
    """Two whole numbers."""
    field, remedy = f"protocol.pairs[{number}]", "Electrodes count from 0, for example (0, 1)."
    pair = check_items(field, given, object, remedy)
    if len(pair) != 2:
        raise InputError(field, got=f"{len(pair)} numbers", expected="two indexes", remedy=remedy)
    first, second = (check_whole(field, v, 0, 1000, remedy) for v in pair)
    return first, second


def _volts(given: object) -> float | tuple[float, ...]:
    """One voltage, or a tuple of them."""

    def volt(field: str, value: object) -> float:
        return check_range(field, value, 10.0, 10000.0, "V", "1000 to 3000 V is usual.")

    if isinstance(given, Iterable) and not isinstance(given, str):
        return tuple(volt(f"protocol.voltage_v[{n}]", v) for n, v in enumerate(given))
    return volt("protocol.voltage_v", given)


def simulate_ire(
    problem: AblationProblem,
    *,
    protocol: PulseProtocol | None = None,
    damage: Sequence[DamageModel] = (Arrhenius(),),
    threshold_v_per_cm: float = THRESHOLD_V_PER_CM,
    time_error_mm: float = 0.06,
    monitors: NDArray[np.float64] | None = None,
    threads: int | ThreadChoice | None = None,
    progress: Progress = no_progress,
) -> FieldResult:
    """Electroporate ``problem``: the largest field over all pairs, and the heat of the pulses.

    Each pair: div(sigma(|E|, T) grad V) = 0 with sigma rising linearly between the tissue's onset
    and full field, by damped fixed-point iteration until the current moves by less than 0.2 %;
    other electrodes float; no net current, and far away the field of a pair (dV/dn = -2 V/r).
    A pulse is long against charging and short against heating, so each is a steady field, and heat
    is its power times the duty cycle, marched by the bioheat equation; conductivity follows
    temperature between stretches of the train.

    Parameters
    ----------
    problem : of ire electrodes; its schedule's phases are not used (the protocol times all).
    protocol : see `PulseProtocol`.
    damage : models of thermal damage, the side effect.
    threshold_v_per_cm : 100 to 3000 V/cm.
    time_error_mm, monitors, threads, progress : as in `simulate_rfa`.

    Raises
    ------
    InputError : fewer than two electrodes, wrong pairs, a voltage beyond the device's limit,
        electrodes outside the box, touching or in gas, options out of range.
    SolverError : no convergence.
    """
    if problem.kind != "ire":
        raise InputError(
            "problem.placements",
            got=f"applicators of kind '{problem.kind}'",
            expected="'ire'",
            remedy="Use needle electrodes for electroporation, or the entry for that kind.",
        )
    check_range("threshold_v_per_cm", threshold_v_per_cm, 100.0, 3000.0, "V/cm", "500 is usual.")
    check_range("time_error_mm", time_error_mm, 0.005, 0.5, "mm", "0.06 is the default.")
    chosen = protocol or PulseProtocol()
    with at_most(threads):
        run = _Run(problem, chosen, damage, time_error_mm, monitors, threads)
        run.all_pairs(progress)
        return run.result(threshold_v_per_cm, time_error_mm)


class _Run:
    """The state of one simulation."""

    def __init__(
        self,
        problem: AblationProblem,
        protocol: PulseProtocol,
        damage: Sequence[DamageModel],
        time_error_mm: float,
        monitors: NDArray[np.float64] | None,
        threads: int | ThreadChoice | None,
    ) -> None:
        self.problem, self.protocol, self.damage = problem, protocol, tuple(damage)
        grid = problem.grid
        wires = [wires_of(p, grid) for p in problem.placements]
        check_apart(wires)
        samples = sample_wires(wires, grid)
        self.capped: list[str] = []
        self.pairs = self._within_limits(protocol.resolved(_distances(samples)))
        self.conductor = Conductor(problem)
        at = np.rint(samples.point_mm / np.asarray(grid.spacing_mm)).astype(np.int64)
        self.conductor.check_electrodes(at, samples.electrode)
        self.march = HeatMarch(problem, damage, monitors, threads, time_error_mm=time_error_mm)
        mesh = FieldMesh.around(grid.shape, grid.spacing_mm, samples.box_mm, core_mm=_CORE_MM)
        self.solver = PotentialSolver(mesh, samples, "dipole", self.march.threads)
        self.highest = np.zeros(mesh.levels.padded, np.float32)
        self.currents: list[float] = []
        self.solves = 0
        self.turns = 0
        self.energy_j = 0.0
        self.records: list[tuple[float, float, float, float]] = []

    def _within_limits(self, pairs: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
        """Pairs within the generator's voltage: a given one is refused, a derived one is cut."""
        out = []
        for n, (a, b, volts) in enumerate(pairs):
            devices = [self.problem.placements[e].applicator.device for e in (a, b)]
            most = min(d.max_voltage_v for d in devices if isinstance(d, IreDevice))
            allowed = volts
            if volts > most * (1.0 + 1e-9):
                if self.protocol.voltage_v is not None:
                    raise InputError(
                        "protocol.voltage_v",
                        got=f"{volts:.0f} V for pair {n + 1} (electrodes {a} and {b})",
                        expected=f"at most {most:.0f} V, the generator's limit",
                        remedy="Lower the voltage or place the electrodes closer together.",
                    )
                allowed = most
                self.capped.append(
                    f"Pair {n + 1} (needles {a + 1} and {b + 1}): {volts:.0f} V at "
                    f"{self.protocol.v_per_cm:g} V/cm is beyond the generator's {most:.0f} V, "
                    "which was used."
                )
            out.append((a, b, allowed))
        return out

    # -- pairs ---------------------------------------------------------------------------

    def all_pairs(self, progress: Progress) -> None:
        """Deliver every pair's train."""
        p = self.protocol
        train_s = p.pulses / p.rate_hz
        for n, (a, b, volts) in enumerate(self.pairs):
            drive = Drive.pair(a, b, volts, len(self.problem.placements))
            self.solver.v[...] = np.float32(0.0)
            field = np.zeros_like(self.highest)
            left, current = train_s, 0.0
            while left > 1e-9 * train_s:
                field, solution = self._settle(drive, field)
                current = float(abs(solution.currents_a[a]))
                np.maximum(self.highest, field, out=self.highest)
                heat = self.solver.heat()
                stretch = min(left, train_s / self._stretches(heat, train_s))
                self._warm(heat, stretch)
                power = float(solution.power_w)
                self.energy_j += power * p.pulse_us * 1e-6 * p.rate_hz * stretch
                self.records.append((self.march.time_s, power, volts, current))
                left -= stretch
                done = (n + 1.0 - left / train_s) / len(self.pairs)
                progress(min(1.0, done), f"Pulses of pair {n + 1} of {len(self.pairs)}")
            self.currents.append(current)

    def _settle(
        self, drive: Drive, field: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Solution]:
        """Field and conductivity that belong together, from a first guess of the field."""
        temperature = self.march.temperature_c
        before, moved, relax = math.inf, math.inf, _RELAX
        for _ in range(_MOST_TURNS):
            self.conductor.apply(self.solver, self.march, field, temperature)
            self.solver.assemble()
            solution = self.solver.solve(drive, _TOLERANCE)
            self.solves += 1
            new = self.solver.field_v_per_cm()
            now = float(np.abs(solution.currents_a).max())
            step = now / before - 1.0
            if abs(step) < _CURRENT_CHANGE:
                return new, solution
            if step * moved < 0.0 and abs(step) > 0.5 * abs(moved):  # swings without end
                relax = max(_LEAST_RELAX, 0.7 * relax)
            before, moved = now, step
            first = not field.any()
            field = new if first else field + np.float32(relax) * (new - field)
        raise SolverError(
            "field",
            got=f"a current that still moves after {_MOST_TURNS} turns",
            expected=f"less than {100.0 * _CURRENT_CHANGE:g} % a turn",
            remedy="Widen the range from field_onset to field_full of the tissues.",
        )

    # -- heat ----------------------------------------------------------------------------

    def _duty(self) -> float:
        return self.protocol.pulse_us * 1e-6 * self.protocol.rate_hz

    def _stretches(self, heat: NDArray[np.float32], train_s: float) -> int:
        """Number of stretches by the adiabatic rise where the heat is, capped."""
        q = heat[1:-1, 1:-1, 1:-1].astype(np.float64) * self.solver.mesh.volumes_mm3
        typical = float((q * heat[1:-1, 1:-1, 1:-1]).sum() / max(q.sum(), 1e-30))
        rise = typical * self._duty() * train_s / 3.8e6
        return int(min(_MOST_STRETCHES, max(1, math.ceil(rise / _WARM_K))))

    def _warm(self, heat: NDArray[np.float32], seconds: float) -> None:
        from irplan.compute.cpu import potential

        duty = self._duty()
        of = self.solver.mesh.cell_of
        least = _UNFELT_K * 3.8e6 / (self.protocol.pulses / self.protocol.rate_hz * duty)
        box: list[int] = []
        inner = heat[1:-1, 1:-1, 1:-1]
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            hot = np.flatnonzero(inner.max(axis=others) > least)
            if hot.size == 0:
                self.march.advance(None, seconds)
                return
            inside = np.flatnonzero((of[axis] >= hot[0]) & (of[axis] <= hot[-1]))
            box += [int(inside[0]), int(inside[-1]) + 1]
        cut = [of[a][box[2 * a] : box[2 * a + 1]] for a in range(3)]
        source = np.empty((cut[0].size, cut[1].size, cut[2].size), np.float32)
        potential.expand(heat, *cut, np.float32(duty), source)
        self.march.advance(source, seconds, (box[0], box[1], box[2], box[3], box[4], box[5]))

    # -- result --------------------------------------------------------------------------

    def result(self, threshold: float, time_error_mm: float) -> FieldResult:
        """Everything of the run."""
        from dataclasses import replace

        from irplan.compute.cpu import potential

        march, grid = self.march, self.problem.grid
        strength = np.empty(grid.shape, np.float32)
        potential.expand(self.highest, *self.solver.mesh.cell_of, np.float32(1.0), strength)
        trace = march.trace()
        table = np.array(self.records)
        row = np.clip(
            np.searchsorted(table[:, 0], trace.time_s - 1e-6, side="left"), 0, len(table) - 1
        )
        names = ("pulse_power_w", "voltage_v", "current_a")
        extra = {name: table[row, n + 1] for n, name in enumerate(names)}
        return FieldResult(
            field_v_per_cm=Volume(strength, grid, "V/cm"),
            temperature_c=Volume(march.temperature_c, grid, "degC"),
            damage=march.damage_volumes(),
            damage_level={m.name: m.level for m in self.damage},
            threshold_v_per_cm=threshold,
            currents_a=tuple(self.currents),
            trace=replace(trace, extra={**trace.extra, **extra}),
            energy=march.energy(),
            boundary_rise_c=march.boundary_rise_c,
            backend="cpu",
            backend_reason="the electroporation solver runs on the CPU",
            precision="float32",
            steps=march.steps,
            error=ErrorEstimate(
                time_mm=time_error_mm,
                space_mm=0.15 * max(grid.spacing_mm),
                basis="tolerance of the heat march; refinement of one pair's zone",
            ),
            options={
                "time_error_mm": time_error_mm,
                "threshold_v_per_cm": threshold,
                "pulses": float(self.protocol.pulses),
                "pulse_us": self.protocol.pulse_us,
                "rate_hz": self.protocol.rate_hz,
                "potential_solves": float(self.solves),
                "pulse_energy_j": self.energy_j,
                **damage_record(march.damage),
            },
            warnings=(*self.problem.notes, *march.warnings(), *self._current_warnings()),
        )

    def _current_warnings(self) -> list[str]:
        out = list(self.capped)
        for n, ((a, b, volts), current) in enumerate(zip(self.pairs, self.currents, strict=True)):
            for e in (a, b):
                device = self.problem.placements[e].applicator.device
                if isinstance(device, IreDevice) and current > device.max_current_a:
                    out.append(
                        f"Pair {n + 1} (needles {a + 1} and {b + 1}) draws {current:.1f} A at "
                        f"{volts:.0f} V, more than the generator's {device.max_current_a:g} A: it "
                        "would stop. Lower the voltage, shorten the active length or move the "
                        "electrodes apart."
                    )
                    break
        return out


def _distances(samples: Samples) -> NDArray[np.float64]:
    """(n, n) mean distance of one electrode's samples to the nearest of another's, mm."""
    out = np.zeros((samples.count, samples.count))
    for a in range(samples.count):
        for b in range(samples.count):
            if a != b:
                p = samples.point_mm[samples.electrode == a]
                q = samples.point_mm[samples.electrode == b]
                gap = np.linalg.norm(p[:, None] - q[None], axis=-1)
                out[a, b] = 0.5 * (gap.min(axis=1).mean() + gap.min(axis=0).mean())
    return out
