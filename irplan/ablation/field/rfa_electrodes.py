"""A generator's electrodes: where they lie over time, their coolant, their tightest limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import RfaDevice
from irplan.ablation.field.electrode import Samples, wires_of
from irplan.ablation.field.near_cooling import cooled_share
from irplan.ablation.heat.coolant import Coolant, coolant
from irplan.ablation.heat.march import HeatMarch
from irplan.ablation.heat.record import PointReader
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.timeline import Segment
from irplan.geometry import Needle, as_point


class WallCooling:
    """Share of each sample's unseen heat that the coolant of its electrode does not take at once.

    ``cooled``: indices of the electrodes with a coolant (`cooled_share` says what that is).
    """

    def __init__(
        self, problem: AblationProblem, march: HeatMarch, samples: Samples, cooled: set[int]
    ) -> None:
        shape, spacing = problem.grid.shape, np.asarray(problem.grid.spacing_mm)
        at = np.clip(np.rint(samples.point_mm / spacing).astype(int), 0, np.array(shape) - 1)
        kind = problem.tissue_index[tuple(at.T)]
        self._k = np.array([t.k_unfrozen_w_per_mk for t in problem.tissues])[kind]
        self._slope = np.array([t.k_per_k for t in problem.tissues])[kind]
        self._reader = PointReader(march.layout, samples.point_mm / spacing)
        self._count = samples.link_m.size
        self._of: list[tuple[NDArray[np.bool_], float, NDArray[np.float64]]] = []
        for e in sorted(cooled):
            device = problem.placements[e].applicator.device
            if not isinstance(device, RfaDevice):
                continue
            mine = samples.electrode == e
            logs = 2.0 * math.pi * samples.ds_mm[mine] * 1e-3 / samples.link_m[mine]
            film = 1e3 / (samples.radius_mm[mine] * device.coolant_transfer_w_per_m2k)
            self._of.append((mine, float(logs.mean()), film))

    def kept(self, march: HeatMarch) -> NDArray[np.float64] | None:
        """One share per sample at the march's temperature; None: all of it everywhere."""
        if not self._of:
            return None
        warm = np.clip(march.read_points(self._reader), 0.0, 100.0)
        k = self._k * (1.0 + self._slope * (warm - 37.0))
        out = np.ones(self._count)
        for mine, log_ratio, film in self._of:
            out[mine] = 1.0 - cooled_share(log_ratio, k[mine] * film)
        return out


def positions_of(
    placements: Sequence[Placement], segments: Sequence[Segment]
) -> tuple[list[tuple[Placement, ...]], list[int]]:
    """Distinct sets of needle positions and which one holds in each segment (pull-back)."""
    back = [0.0] * len(placements)
    sets: list[tuple[Placement, ...]] = []
    which = []
    for segment in segments:
        for p, (phase, began) in enumerate(zip(segment.phases, segment.began, strict=True)):
            if began and phase is not None:
                back[p] += phase.withdraw_mm
        now = tuple(p.withdrawn(b) if b > 0.0 else p for p, b in zip(placements, back, strict=True))
        if not sets or now != sets[-1]:
            sets.append(now)
        which.append(len(sets) - 1)
    return sets, which


def weakest(placements: Sequence[Placement]) -> RfaDevice:
    """The tightest of the electrodes' limits."""
    devices = [
        p.applicator.device if isinstance(p.applicator.device, RfaDevice) else RfaDevice()
        for p in placements
    ]
    return replace(
        devices[0],
        max_power_w=min(d.max_power_w for d in devices),
        max_voltage_v=min(d.max_voltage_v for d in devices),
        max_current_a=min(d.max_current_a for d in devices),
    )


def coolants_of(placement: Placement, problem: AblationProblem) -> list[Coolant]:
    """Coolant in each straight cooled tip of an electrode."""
    applicator, grid = placement.applicator, problem.grid
    device = applicator.device
    if not isinstance(device, RfaDevice) or not device.cooled:
        return []
    spacing = np.asarray(grid.spacing_mm)
    out = []
    for wire in wires_of(placement, grid):
        ends = grid.index_to_lps(np.stack([wire.start, wire.end]) / spacing)
        length = float(np.linalg.norm(ends[1] - ends[0]))
        needle = Needle(as_point(ends[0], field="tine"), as_point(ends[1], field="tine"))
        own = replace(
            placement,
            needle=needle,
            applicator=replace(applicator, shaft_diameter_mm=2.0 * wire.radius_mm),
        )
        made = coolant(
            own,
            grid,
            from_tip_mm=0.0,
            to_tip_mm=length,
            temperature_c=applicator.working_temperature_c,
            transfer_w_per_m2k=device.coolant_transfer_w_per_m2k,
        )
        if made is not None:
            out.append(made)
    return out
