"""Microwave ablation: antennas' patterns on the grid, generator powers, the heating march."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.damage import Arrhenius, Cem43, DamageModel, ThreeState, damage_record
from irplan.ablation.device import MwaDevice
from irplan.ablation.heat.antenna import TABLE_STEP_MM, AntennaPattern, antenna_pattern
from irplan.ablation.heat.coolant import Coolant, coolant
from irplan.ablation.heat.march import TIME_ERROR_MM_PER_S, HeatMarch
from irplan.ablation.heat.source import Box
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem, check_range
from irplan.ablation.result import ErrorEstimate, HeatResult
from irplan.ablation.tissue import TissueProperties
from irplan.compute import Progress, no_progress
from irplan.errors import InputError
from irplan.image import Volume

#: Dielectric change with temperature: Q(T) = Q0 (1 - 1 / (1 + exp(6.583 - 0.0598 T))) [V,
#: specification; sigmoid form of Ji & Brace, Phys. Med. Biol. 56 (2011) 5249], T in degC.
DIELECTRIC_LOGIT = (6.583, 0.0598)
#: Error of the 60 degC radius in space at 1 mm against the axisymmetric reference, mm a mm.
SPACE_ERROR_MM_PER_MM = 0.2
#: Power of an antenna that may miss the grid before a warning says so.
_LOST_FRACTION = 0.01
#: Models followed where the caller names none.
DEFAULT_DAMAGE: tuple[DamageModel, ...] = (Arrhenius(), Cem43(), ThreeState())


@dataclass(frozen=True)
class Stretch:
    """A time in which every antenna's power and place stay as they are."""

    duration_s: float
    power_w: tuple[float, ...]
    withdrawn_mm: tuple[float, ...]


def simulate_mwa(
    problem: AblationProblem,
    *,
    damage: Sequence[DamageModel] = DEFAULT_DAMAGE,
    time_error_mm: float = 0.06,
    perfusion: str = "temperature",
    dielectric_change: bool = True,
    monitors: NDArray[np.float64] | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> HeatResult:
    """Heat ``problem`` with its microwave antennas.

    Each antenna's pattern (`irplan.ablation.heat.antenna`, in the tissue that most of its active
    zone lies in) is averaged over the voxels; in other tissue it is weighted by the ratio of
    conductivities.  Then it is scaled so that tissue at body temperature absorbs exactly
    ``efficiency * power_w``, less the part that falls outside the grid (a warning says how much).
    As tissue warms it absorbs less (`DIELECTRIC_LOGIT`); that difference is taken as
    reflected, not as absorbed elsewhere: ``trace.extra["absorbed_w"]`` against
    ``trace.extra["power_w"]`` shows it.  Generators are independent: powers add, not fields.
    A cooled shaft is held through its film from the slot to the skin while the schedule lasts.

    Parameters
    ----------
    damage, perfusion : as `HeatMarch`.
    time_error_mm : allowed error in time of the 60 degC radius, 0.005 to 0.5 mm.
    dielectric_change : False keeps absorption as at body temperature.
    monitors : (n, 3) fractional grid indices for the trace.
    threads : cap on CPU threads; the result does not depend on it.
    progress : called after each super-step; may raise to cancel.

    Raises
    ------
    InputError : not a microwave problem, an option out of range.
    SolverError : a solution that is not finite.
    """
    check_range("time_error_mm", time_error_mm, 0.005, 0.5, "mm", "0.06 is the default.")
    antennas = [_device(p) for p in problem.placements]
    stretches = plan(problem)
    shafts = {
        (n, s.withdrawn_mm[n]): _shaft(problem, n, s.withdrawn_mm[n])
        for s in stretches
        for n in range(len(antennas))
    }
    cooled = [key for key, shaft in shafts.items() if shaft is not None]
    march = HeatMarch(
        problem,
        damage,
        monitors,
        threads,
        coolants=[shaft for shaft in shafts.values() if shaft is not None],
        perfusion=perfusion,
        time_error_mm=time_error_mm,
    )
    total = sum(s.duration_s for s in stretches)
    last_power = max(n for n, s in enumerate(stretches) if any(s.power_w))
    patterns: dict[tuple[int, float], tuple[NDArray[np.float32], Box]] = {}
    c, d = DIELECTRIC_LOGIT
    at_rest = 1.0
    if dielectric_change:  # so that body-warm tissue takes all of it
        at_rest = 1.0 / (1.0 + math.exp(d * problem.body_temperature_c - c))
    lost = 0.0
    end = march.temperature_c
    for k, stretch in enumerate(stretches):
        parts = []
        for n, power in enumerate(stretch.power_w):
            key = (n, stretch.withdrawn_mm[n])
            if power > 0.0:
                if key not in patterns:
                    patterns[key] = power_density(problem, n, stretch.withdrawn_mm[n])
                array, box = patterns[key]
                watt = power * antennas[n].efficiency / at_rest
                kept = float(array.sum(dtype=np.float64)) * problem.grid.voxel_volume_mm3 * 1e-9
                lost = max(lost, 1.0 - kept)
                parts.append((array * np.float32(watt), box))
        source, cut = _together(parts)
        march.extra = {"power_w": sum(stretch.power_w)}
        march.extra |= {f"power_w_{n + 1}": p for n, p in enumerate(stretch.power_w)}
        march.advance(
            source,
            stretch.duration_s,
            cut,
            cooling=[key[1] == stretch.withdrawn_mm[key[0]] for key in cooled],
            logit=DIELECTRIC_LOGIT if dielectric_change else None,
            on_step=lambda t: progress(t / total, f"Heating: {t:.0f} of {total:.0f} s"),
        )
        if k == last_power:
            end = march.temperature_c
    dry = [n for n, d in enumerate(antennas) if d.cooled and all(k[0] != n for k in cooled)]
    return _result(problem, march, end, lost, dry, time_error_mm, dielectric_change)


def _result(
    problem: AblationProblem,
    march: HeatMarch,
    end: NDArray[np.float32],
    lost: float,
    uncooled: list[int],
    time_error_mm: float,
    dielectric_change: bool,
) -> HeatResult:
    notes = [*problem.notes, *march.warnings()]
    if lost > _LOST_FRACTION:
        notes.append(
            f"{100.0 * lost:.1f} % of an antenna's power falls outside the simulated box and is "
            "not counted. Use a larger margin_mm."
        )
    notes += [
        f"The coolant of probe {n + 1} is left out: less than 5 mm of its cooled shaft lies well "
        "inside the simulated box. Use a larger margin_mm."
        for n in uncooled
    ]
    grid = problem.grid
    return HeatResult(
        end_c=Volume(end, grid, "degC"),
        maximum_c=Volume(march.maximum_c, grid, "degC"),
        damage=march.damage_volumes(),
        damage_level={m.name: m.level for m in march.damage},
        trace=march.trace(),
        energy=march.energy(),
        boundary_rise_c=march.boundary_rise_c,
        backend="cpu",
        backend_reason="the heating solver runs on the CPU",
        precision="float32",
        steps=march.steps,
        error=ErrorEstimate(
            time_mm=min(time_error_mm, march.longest_dt_s * TIME_ERROR_MM_PER_S),
            space_mm=SPACE_ERROR_MM_PER_MM * max(grid.spacing_mm),
            basis="60 degC radius: measured error per second of super-step, and per mm of voxel "
            "against an axisymmetric reference",
        ),
        options={
            "time_error_mm": time_error_mm,
            "stages": float(march.stages),
            "dielectric_change": "sigmoid" if dielectric_change else "none",
            "source_j": march.source_j,
            "coolant_j": march.coolant_j,
            **damage_record(march.damage),
        },
        warnings=tuple(notes),
    )


def _device(placement: Placement) -> MwaDevice:
    device = placement.applicator.device
    if placement.applicator.kind != "mwa":
        raise InputError(
            "problem.placements",
            got=f"an applicator of kind '{placement.applicator.kind}'",
            expected="microwave antennas only",
            remedy="Simulate one modality at a time.",
        )
    return device if isinstance(device, MwaDevice) else MwaDevice()


def plan(problem: AblationProblem) -> list[Stretch]:
    """The schedules cut wherever any antenna's power or place changes."""
    rows = []
    for schedule in problem.schedules:
        at, out, row = 0.0, 0.0, []
        for phase in schedule.phases:
            out += phase.withdraw_mm
            power = phase.power_w if phase.kind == "power" and phase.power_w is not None else 0.0
            row.append((at, at + phase.duration_s, power, out))
            at += phase.duration_s
        rows.append(row)
    cuts = sorted({round(t, 6) for row in rows for a, b, _, _ in row for t in (a, b)})
    stretches = []
    for a, b in pairwise(cuts):
        middle = 0.5 * (a + b)
        now = [next((r for r in row if r[0] <= middle < r[1]), (0, 0, 0.0, row[-1][3]))
               for row in rows]  # fmt: skip
        stretches.append(Stretch(b - a, tuple(r[2] for r in now), tuple(r[3] for r in now)))
    return stretches


def _shaft(problem: AblationProblem, number: int, withdrawn_mm: float) -> Coolant | None:
    """The cooled shaft of an antenna, from its slot to the entry."""
    placement = problem.placements[number].withdrawn(withdrawn_mm)
    device = _device(placement)
    start = device.slot_offset_mm + 0.5 * device.slot_length_mm
    if not device.cooled or placement.needle.depth_mm - start < 5.0:
        return None
    return coolant(
        placement,
        problem.grid,
        from_tip_mm=start,
        to_tip_mm=placement.needle.depth_mm,
        temperature_c=placement.applicator.working_temperature_c,
        transfer_w_per_m2k=device.coolant_transfer_w_per_m2k,
    )


def tissue_round(problem: AblationProblem, placement: Placement) -> TissueProperties:
    """The free tissue that most of the active zone lies in."""
    a, b = (np.array(e) for e in placement.active_segment)
    points = problem.grid.lps_to_index(a + np.linspace(0.0, 1.0, 33)[:, None] * (b - a))
    at = np.clip(np.rint(points).astype(int), 0, np.array(problem.grid.shape) - 1)
    kinds = np.bincount(problem.tissue_index[at[:, 0], at[:, 1], at[:, 2]])
    free = [
        n if t.fixed_temperature_c is None and t.sigma_microwave_s_per_m > 0.0 else -1
        for n, t in enumerate(problem.tissues)
    ]
    counts = [int(kinds[n]) if n < kinds.size and free[n] >= 0 else -1
              for n in range(len(problem.tissues))]  # fmt: skip
    best = int(np.argmax(counts))
    if counts[best] <= 0:
        raise InputError(
            "problem.placements",
            got="an antenna whose active zone lies in no tissue that absorbs microwaves",
            expected="tissue round the antenna",
            remedy="Move the antenna, or give the tissue sigma_microwave_s_per_m.",
        )
    return problem.tissues[best]


def power_density(
    problem: AblationProblem, number: int, withdrawn_mm: float = 0.0
) -> tuple[NDArray[np.float32], Box]:
    """Antenna ``number``'s power density per watt absorbed, W/m3, in an index box of the grid.

    Voxel means; over the whole (unclipped) pattern they sum to 1 W exactly, at any pose.
    """
    from irplan.compute.cpu import antenna

    placement = problem.placements[number].withdrawn(withdrawn_mm)
    tissue = tissue_round(problem, placement)
    pattern = antenna_pattern(placement, tissue)
    grid = problem.grid
    spacing = np.asarray(grid.spacing_mm)
    tip = grid.lps_to_index(np.array(placement.needle.tip_mm))
    behind = grid.lps_to_index(np.array(placement.needle.segment(0.0, 1.0)[1])) - tip
    axis = behind * spacing
    axis /= np.linalg.norm(axis)
    start, size = _pattern_box(pattern, tip, axis, spacing)
    whole = np.empty(tuple(size), np.float32)
    antenna.deposit(
        pattern.table, pattern.first_z_mm, *TABLE_STEP_MM, tip, axis, spacing, start, whole
    )
    total = float(whole.sum(dtype=np.float64)) * grid.voxel_volume_mm3 * 1e-9
    low = np.maximum(start, 0)
    high = np.minimum(start + size, np.array(grid.shape))
    inner = tuple(slice(int(a - s), int(b - s)) for a, b, s in zip(low, high, start, strict=True))
    part = np.ascontiguousarray(whole[inner]) * np.float32(1.0 / total)
    outer = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    ratio = np.array(
        [t.sigma_microwave_s_per_m / tissue.sigma_microwave_s_per_m for t in problem.tissues],
        np.float32,
    )
    kinds = problem.tissue_index[outer]
    if np.any(ratio[kinds] != 1.0):  # the same power, shared by conductivity
        before = float(part.sum(dtype=np.float64))
        part *= ratio[kinds]
        part *= np.float32(before / max(float(part.sum(dtype=np.float64)), 1e-30))
    box = (int(low[0]), int(high[0]), int(low[1]), int(high[1]), int(low[2]), int(high[2]))
    return part, box


def _pattern_box(
    pattern: AntennaPattern,
    tip: NDArray[np.float64],
    axis: NDArray[np.float64],
    spacing: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(start, size) of the index box that holds the pattern's cylinder."""
    low_z, high_z, reach = pattern.reach_mm
    ends = np.stack([low_z * axis, high_z * axis])
    side = reach * np.sqrt(np.maximum(0.0, 1.0 - axis**2))
    low = tip + (ends.min(axis=0) - side) / spacing
    high = tip + (ends.max(axis=0) + side) / spacing
    start = np.floor(low - 0.5).astype(np.int64)
    return start, np.ceil(high + 0.5).astype(np.int64) - start + 1


def _together(
    parts: list[tuple[NDArray[np.float32], Box]],
) -> tuple[NDArray[np.float32] | None, Box | None]:
    """The sum of several sources in the box that holds them all."""
    if not parts:
        return None, None
    if len(parts) == 1:
        return parts[0]
    boxes = np.array([box for _, box in parts])
    low, high = boxes[:, ::2].min(axis=0), boxes[:, 1::2].max(axis=0)
    total = np.zeros(tuple(high - low), np.float32)
    for array, box in parts:
        cut = tuple(slice(box[2 * a] - int(low[a]), box[2 * a + 1] - int(low[a])) for a in range(3))
        total[cut] += array
    return total, (int(low[0]), int(high[0]), int(low[1]), int(high[1]), int(low[2]), int(high[2]))
