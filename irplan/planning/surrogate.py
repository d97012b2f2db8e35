"""A fast stand-in for the simulation, used only to propose where applicators go.

The effect of one applicator in uniform tissue is tabulated once a tool (simulated; for
electroporation the field of line electrodes); several are superposed.  Each simulated layout
corrects the superposition point by point (space mapping, Bandler et al. 1994, IEEE Trans MTT
42:2536), so vessels and phase change enter after the first simulation.  Whether a plan is good is
decided by the simulation, never by this.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem, IreDevice, Placement, tissue
from irplan.geometry import Grid, Needle
from irplan.planning.modality import Modality, Tool, UniformEffect

#: Voxel of the calibration run and radius to which the effect is tabulated, mm.
_VOXEL_MM = 2.0
_REACH_MM = 40.0
#: Distance of a pair of electrodes that its single electrode's field is taken from, mm, and the
#: voltage for each cm of it (the pulse protocol's default).
_PAIR_MM, _V_PER_CM = 17.5, 1500.0


def uniform_effect(tool: Tool, way: Modality, tissue_name: str) -> UniformEffect:
    """The tabulated effect of one applicator (one coarse simulation, 0.1 to 3 s)."""
    half = tool.applicator.active_length_mm / 2.0
    axial = np.arange(-_REACH_MM - half, _REACH_MM + half + 0.5, 1.0)
    radial = np.arange(0.0, _REACH_MM + 0.5, 1.0)
    if way.kind == "ire":
        return UniformEffect(tool, _line_field(tool, axial, radial), float(axial[0]))
    return UniformEffect(tool, _simulated(tool, way, tissue_name, axial, radial), float(axial[0]))


def _simulated(
    tool: Tool,
    way: Modality,
    tissue_name: str,
    axial: NDArray[np.float64],
    radial: NDArray[np.float64],
) -> NDArray[np.float64]:
    a = tool.applicator
    half = a.active_length_mm / 2.0
    voxel = max(_VOXEL_MM, way.search_mm)
    wide = int(np.ceil(2.0 * _REACH_MM / voxel)) + 1
    tall = int(np.ceil((2.0 * _REACH_MM + 2.0 * half) / voxel)) + 1
    grid = Grid.from_spacing(
        (tall, wide, wide), (voxel,) * 3, (-_REACH_MM, -_REACH_MM, -voxel * (tall - 1) / 2.0)
    )
    tip = half + a.tip_offset_mm
    # Tip towards +z.  Only the active zone is heated, so the entry may lie beyond the box.
    needle = Needle((0.0, 0.0, tip), (0.0, 0.0, tip - a.active_length_mm - 20.0))
    problem = AblationProblem(
        grid=grid,
        tissue_index=np.zeros(grid.shape, dtype=np.uint8),
        tissues=(tissue(tissue_name, kind=way.kind),),
        placements=(Placement(needle, a),),
        schedule=tool.schedule,
    )
    effect = way.effect(way.simulate(problem, search=True), problem.placements)
    z, r = np.meshgrid(axial, radial, indexing="ij")
    total = np.zeros(z.shape)
    angles = np.radians(np.arange(0.0, 360.0, 45.0))
    for angle in angles:
        points = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=-1)
        inside = np.clip(
            points, grid.index_to_lps((0, 0, 0)), grid.index_to_lps(np.array(grid.shape) - 1)
        )
        total += effect.at(inside)
    return np.maximum(total / len(angles), 0.0)


def _line_field(
    tool: Tool, axial: NDArray[np.float64], radial: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Field (V/cm) across a line electrode of finite length that is one of a pair.

    V / (2 ln(d/a)) / r between two long parallel cylinders of radius a, d apart (Jackson, Classical
    Electrodynamics, section 1.11), times the share of a finite line.
    """
    device = tool.applicator.device
    limit = device.max_voltage_v if isinstance(device, IreDevice) else 3000.0
    volts = min(_V_PER_CM * _PAIR_MM / 10.0, limit)
    radius = 0.5 * tool.applicator.shaft_diameter_mm
    half = 0.5 * tool.applicator.active_length_mm
    z, r = np.meshgrid(axial, np.maximum(radial, 1.0), indexing="ij")
    share = 0.5 * ((z + half) / np.hypot(r, z + half) - (z - half) / np.hypot(r, z - half))
    return np.asarray(volts / (2.0 * math.log(_PAIR_MM / radius)) / (r / 10.0) * share)
