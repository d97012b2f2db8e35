"""One real probe against an own two-dimensional solution, and at many angles and offsets."""

from __future__ import annotations

import numpy as np

from irplan.ablation.cryo import simulate_cryo
from irplan.ablation.evidence import axisymmetric
from irplan.ablation.evidence.blocks import (
    block,
    isotherm_radius_mm,
    isotherm_volume_cm3,
    placed,
    plain_probe,
)
from irplan.ablation.evidence.row import EvidenceRow
from irplan.ablation.schedule import Phase, Schedule
from irplan.ablation.tissue_table import BLOOD_DENSITY, BLOOD_HEAT_CAPACITY, tissue
from irplan.image import Volume

_LEVELS_C = (0.0, -20.0, -40.0)
_FREEZE = Schedule((Phase("freeze", 600.0),))
#: (direction of the needle, middle of the active zone in LPS mm)
_POSES: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((0, 0, 1), (0.0, 0.0, 0.0)),
    ((0, 0, 1), (0.27, 0.41, 0.13)),
    ((1, 1, 0), (0.0, 0.5, 0.25)),
    ((1, 1, 1), (0.1, 0.2, 0.3)),
    ((0.2, 0.35, 0.9), (0.45, 0.05, 0.33)),
    ((1, 0, 0), (0.5, 0.5, 0.5)),
    ((0.6, -0.3, 0.74), (0.25, 0.25, 0.0)),
    ((0, 1, 1), (0.5, 0.0, 0.5)),
    ((0.9, 0.1, 0.42), (0.33, 0.17, 0.41)),
    ((0.05, 0.02, 1.0), (0.5, 0.25, 0.1)),
)


def _simulated(axis: tuple[float, float, float], centre: tuple[float, float, float]) -> Volume:
    probe = placed(centre, axis, plain_probe(30.0))
    problem = block((76, 76, 76), 1.0, (tissue("liver"),), (probe,), _FREEZE)
    return simulate_cryo(problem).end_of_freeze_c


def one_probe(quick: bool) -> tuple[EvidenceRow, ...]:
    """1.5 x 30 mm at -140 degC in liver, 600 s: isotherms against cylinder coordinates."""
    t = tissue("liver")
    flow = t.perfusion_per_s * BLOOD_DENSITY.value * BLOOD_HEAT_CAPACITY.value
    reference = axisymmetric.Tissue(
        t.conductivity_w_per_mk, t.heat_capacity_j_per_m3k, t.solidus_c, t.liquidus_c, flow
    )
    step = 0.5 if quick else 0.375
    r, z, c = axisymmetric.solve(reference, step_mm=step, outer_mm=45.0)
    field = _simulated(*_POSES[0])
    name = "one probe, 1.5 x 30 mm, liver, 600 s"
    where = f"own axisymmetric solution, {step:g} mm"
    rows = [
        EvidenceRow(name, f"radius at {level:g} degC, h = 1 mm", where, "mm",
                    axisymmetric.crossing_mm(r, c[:, 0], level), isotherm_radius_mm(field, level),
                    "within", 0.3)
        for level in _LEVELS_C
    ]  # fmt: skip
    along = np.arange(10.0, 34.0, 0.1)
    on_axis = field.at(np.stack([0 * along, 0 * along, along], axis=1))
    half = axisymmetric.crossing_mm(z, c[0], 0.0)
    volume = axisymmetric.volume_cm3(r, z, c, 0.0)
    return (
        *rows,
        EvidenceRow(name, "half length at 0 degC, h = 1 mm", where, "mm", half,
                    axisymmetric.crossing_mm(along, on_axis, 0.0), "within", 0.3),
        EvidenceRow(name, "volume of the ice, h = 1 mm", where, "cm3", volume,
                    isotherm_volume_cm3(field, 0.0), "within", 0.03 * volume),
    )  # fmt: skip


def rotated_and_shifted(quick: bool) -> tuple[EvidenceRow, ...]:
    """The same probe in ten poses (four in the quick table) on the same grid."""
    poses = _POSES[:4] if quick else _POSES
    radii: dict[float, list[float]] = {level: [] for level in _LEVELS_C}
    volumes = []
    for axis, centre in poses:
        field = _simulated(axis, centre)
        for level in _LEVELS_C:
            radii[level].append(isotherm_radius_mm(field, level, axis, centre))
        volumes.append(isotherm_volume_cm3(field, 0.0))
    name, where = f"{len(poses)} poses of one probe", "the ice must not know the grid"
    rows = [
        EvidenceRow(name, f"spread of the radius at {level:g} degC", where, "mm", None,
                    max(values) - min(values), "at_most", 0.2)
        for level, values in radii.items()
    ]  # fmt: skip
    spread = 100.0 * (max(volumes) - min(volumes)) / float(np.mean(volumes))
    return (
        *rows,
        EvidenceRow(name, "spread of the volume", where, "%", None, spread, "at_most", 1.0),
    )
