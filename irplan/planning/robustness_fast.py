"""Margins of disturbed plans without simulating each: one applicator's effect carried along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem, AblationResult, Placement, simulate_many
from irplan.ablation.tissue_map import TissueMap
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError, IrplanError
from irplan.geometry import Needle, as_point
from irplan.planning.margins import TargetGeometry, counted_points
from irplan.planning.plan import AblationPlan
from irplan.planning.robustness_disturbed import disturbed
from irplan.planning.robustness_effect import AddedEffect
from irplan.planning.robustness_sampling import MovedNeedles, needle_frame
from irplan.planning.robustness_single import TIME_ERROR_MM, SingleTables
from irplan.planning.robustness_uncertainty import Uncertainty

#: Rays along the target's normals, about; their offsets from its surface, mm.
RAYS, BEYOND_MM = 600, 8.0
#: Nodes of the tissue's constants lie so many standard deviations from the plan's.
NODE_SD = 1.5
#: What the simulation may say against the superposition, as a factor.
LEAST, MOST = 0.1, 4.0


@dataclass(frozen=True, eq=False)
class Rays:
    """``points_mm`` (m, k, 3): m counted points of the target's surface, k offsets outward."""

    points_mm: NDArray[np.float64]
    offsets_mm: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        target: TargetGeometry,
        subcapsular_mm: float,
        margin_mm: float,
        *,
        deepest_mm: float = math.inf,
    ) -> Rays:
        """From inside the target (minus its radius) to 8 mm beyond the margin, every mm.

        ``deepest_mm``: no deeper than this; a smaller margin is then that much below zero.
        """
        counted = counted_points(target, subcapsular_mm)
        points, normals = target.surface.points_mm[counted], target.surface.normals[counted]
        step = max(1, math.ceil(len(points) / RAYS))
        points, normals = points[::step], normals[::step]
        volume = float(target.target_weight.sum()) * target.cell_mm**3
        radius = (3.0 * volume / (4.0 * math.pi)) ** (1.0 / 3.0)
        depth = max(1.0, math.floor(min(radius, deepest_mm)))
        offsets = np.arange(-depth, margin_mm + BEYOND_MM + 0.5)
        return cls(points[:, None] + offsets[:, None] * normals[:, None], offsets)

    def smallest(self, cold_c: NDArray[np.float64], drop_c: float) -> float:
        """Smallest margin for the cold (m, k) at the points, as the kernel finds it, mm."""
        short = cold_c < drop_c
        first = np.where(short.any(axis=1), short.argmax(axis=1), len(self.offsets_mm))
        best = float(self.offsets_mm[-1])
        for row in np.flatnonzero(first < len(self.offsets_mm)):
            k = int(first[row])
            if k == 0:
                return float(self.offsets_mm[0])
            a, b = cold_c[row, k - 1], cold_c[row, k]
            at = self.offsets_mm[k - 1] + (a - drop_c) / max(a - b, 1e-6)
            best = min(best, float(at))
        return best


@dataclass(frozen=True, eq=False)
class FastModel:
    """The effect of a plan (cold, say) as a function of needles and tissue constants.

    effect(x) = R(x; t, n) * sum over the needles of c(x in the needle's frame; t), where c is the
    effect of one applicator in uniform tissue (`AddedEffect`, `SingleTables`), R the ratio of the
    simulated plan to this sum (space mapping, Bandler 1994, IEEE Trans MTT 42:2536), t the tissue
    constants and n the needles' shifts: R is simulated for the plan and, for each constant and
    each axis of each of several needles, at two nodes, between which its logarithm is a parabola.
    For one applicator far from vessels R = 1 and the zone moves rigidly.  Its error against full
    physics is measured by `coverage_probability` (``check_pairs``).
    """

    placements: tuple[Placement, ...]
    rays: Rays
    drop_c: float
    node_logs: tuple[float, float]
    """Distance of the nodes of perfusion and conductivity, as logarithms of factors."""
    node_mm: tuple[float, float, float]
    """Distance of the nodes of each needle: across, across, along; 0: none were simulated."""
    axial_start_mm: float
    table: NDArray[np.float32]
    table_logs: NDArray[np.float32]
    ratio: NDArray[np.float32]
    ratio_logs: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        plan: AblationPlan,
        tissues: TissueMap,
        rays: Rays,
        result: AblationResult,
        uncertainty: Uncertainty,
        *,
        effect: AddedEffect,
        tissue_name: str,
        progress: Progress = no_progress,
    ) -> FastModel:
        """Simulate what the model needs on coarse voxels: five runs of one applicator, five of the
        plan and six for each of several needles.

        ``result`` is the plan's own simulation; ``tissue_name`` that of the organ.  Raises
        `InputError` for applicators of several models in one plan (use full physics).
        """
        tool = plan.placements[0].applicator
        if any(p.applicator != tool for p in plan.placements):
            raise InputError(
                "plan.placements",
                got="applicators of several models",
                expected="one model for the fast mode",
                remedy="Use mode='full' (--full).",
            )
        logs = (
            NODE_SD * math.log(uncertainty.perfusion_factor),
            NODE_SD * math.log(uncertainty.conductivity_factor),
        )
        nodes = [(0.0, 0.0), (-logs[0], 0.0), (logs[0], 0.0), (0.0, -logs[1]), (0.0, logs[1])]
        distinct = list(dict.fromkeys(nodes))
        voxel = effect.way.search_mm
        whole = tissues.problem(plan.placements, plan.schedule, spacing_mm=voxel)
        node_mm = _needle_nodes_mm(uncertainty, len(plan.placements))
        shifted = _shifted(plan.placements, node_mm)
        asked = [_allowed(plan, tissues, places, voxel) for places in shifted]
        problems = [disturbed(whole, *n) for n in distinct]
        problems += [p for p in asked if p is not None]
        ends = (0.7, 1.0) if effect.way.kind == "ire" else (0.0, 0.7)
        runs = simulate_many(
            problems,
            time_error_mm=TIME_ERROR_MM,
            progress=portion(progress, 0.0, ends[1]),
            total=len(problems),
        )
        at = rays.points_mm.reshape(-1, 3)
        shape = rays.points_mm.shape[:2]

        def along_rays(run: AblationResult, places: Sequence[Placement]) -> NDArray[np.float64]:
            return effect.potential(effect.at(run, places, at)).reshape(shape)

        places = [plan.placements] * len(distinct)
        places += [s for s, p in zip(shifted, asked, strict=True) if p is not None]
        found = [along_rays(run, own) for run, own in zip(runs, places, strict=True)]
        by_node = dict(zip(distinct, found, strict=False))
        single = SingleTables.of(
            plan, effect, tissue_name, distinct, result, portion(progress, ends[0], 1.0)
        )
        base, axial_start = single.by_node[nodes[0]], single.axial_start_mm
        table_logs = np.stack([np.log(single.by_node[n] / base) for n in nodes[1:]])
        fine = along_rays(result, plan.placements)
        sums = {
            n: _superposed(single.by_node[n], axial_start, rays, plan.placements) for n in distinct
        }
        # The plan's own simulation is held against an applicator on voxels of its size: what the
        # voxel does to a zone then goes with the needle.
        table, sharp_start = single.sharp, single.sharp_start_mm
        ratio = np.clip(fine / _superposed(table, sharp_start, rays, plan.placements), LEAST, MOST)
        plain = by_node[nodes[0]] / sums[nodes[0]]
        against = [by_node[n] / sums[n] for n in nodes[1:]]
        rest = iter(found[len(distinct) :])
        against += [
            plain if problem is None else next(rest) / _superposed(base, axial_start, rays, moved)
            for problem, moved in zip(asked, shifted, strict=True)
        ]
        ratio_logs = np.stack([np.clip(np.log(r / plain), -1.0, 1.0) for r in against], axis=-1)
        drop = float(effect.potential(np.array([effect.lethal]))[0])
        order = np.argsort(fine[:, int(np.argmin(np.abs(rays.offsets_mm)))], kind="stable")
        return cls(
            plan.placements,
            Rays(rays.points_mm[order], rays.offsets_mm),
            drop,
            logs,
            node_mm,
            sharp_start,
            table.astype(np.float32),
            _fitted(table_logs, table.shape, round(axial_start - sharp_start)).astype(np.float32),
            ratio[order].astype(np.float32),
            np.ascontiguousarray(ratio_logs[order]).astype(np.float32),
        )

    def margins_mm(self, moved: MovedNeedles) -> NDArray[np.float64]:
        """(n,) smallest counted margin of each sample, mm; about 0.5 ms a sample."""
        from irplan.compute.cpu import robust_margins

        a = self.placements[0].applicator
        back = a.tip_offset_mm + 0.5 * a.active_length_mm
        origin = self.rays.points_mm.mean(axis=(0, 1))  # small numbers keep float32 exact
        centres = np.moveaxis(moved.tip_mm - back * moved.direction - origin, 0, 1)
        x = _parabola(moved.log_perfusion, self.node_logs[0])
        y = _parabola(moved.log_conductivity, self.node_logs[1])
        parts = [x, y]
        if max(self.node_mm) > 0.0:
            for placement, tips in zip(self.placements, moved.tip_mm, strict=True):
                moves = (tips - np.array(placement.needle.tip_mm)) @ needle_frame(placement).T
                parts += [_parabola(moves[:, a], self.node_mm[a]) for a in range(3)]
        out = np.empty(centres.shape[0], np.float32)
        robust_margins.smallest_margins(
            np.ascontiguousarray(self.rays.points_mm - origin, dtype=np.float32),
            self.table,
            self.table_logs,
            np.float32(self.axial_start_mm),
            self.ratio,
            self.ratio_logs,
            np.ascontiguousarray(centres, dtype=np.float32),
            np.ascontiguousarray(np.moveaxis(moved.direction, 0, 1), dtype=np.float32),
            np.concatenate(parts, axis=1).astype(np.float32),
            self.rays.offsets_mm.astype(np.float32),
            np.float32(self.drop_c),
            out,
        )
        return out.astype(np.float64)


def _parabola(value: NDArray[np.float64], node: float) -> NDArray[np.float64]:
    """(n, 2) Lagrange weights of the nodes at -node and +node (that of 0 has logarithm 0).

    Beyond twice the node's distance (three standard deviations) nothing is extrapolated.
    """
    x = np.clip(value / node, -2.0, 2.0) if node > 0.0 else np.zeros_like(value)
    return np.stack([0.5 * x * (x - 1.0), 0.5 * x * (x + 1.0)], axis=1)


def _needle_nodes_mm(uncertainty: Uncertainty, needles: int) -> tuple[float, float, float]:
    """How far each needle is moved to learn how the others answer; one needle moves rigidly."""
    if needles == 1:
        return (0.0, 0.0, 0.0)
    u = uncertainty
    across = NODE_SD * math.hypot(u.lateral_mm, u.registration_mm)
    return (across, across, NODE_SD * math.hypot(u.depth_mm, u.registration_mm))


def _shifted(
    placements: tuple[Placement, ...], node_mm: tuple[float, float, float]
) -> list[tuple[Placement, ...]]:
    """The placements with one needle moved to one node, for each needle, axis and side."""
    out = []
    if max(node_mm) > 0.0:
        for number, placement in enumerate(placements):
            for way, far in zip(needle_frame(placement), node_mm, strict=True):
                for move in (-far * way, far * way):
                    needle = Needle(
                        as_point(np.array(placement.needle.tip_mm) + move, field="tip"),
                        as_point(np.array(placement.needle.entry_mm) + move, field="entry"),
                    )
                    moved = replace(placement, needle=needle)
                    out.append((*placements[:number], moved, *placements[number + 1 :]))
    return out


def _allowed(
    plan: AblationPlan, tissues: TissueMap, placements: tuple[Placement, ...], voxel_mm: float
) -> AblationProblem | None:
    """The problem at a node; None where needles would touch or work in gas or bone."""
    try:
        return tissues.problem(placements, plan.schedule, spacing_mm=voxel_mm)
    except IrplanError:
        return None


def _fitted(logs: NDArray[np.float64], shape: tuple[int, ...], ahead: int) -> NDArray[np.float64]:
    """Tables of logarithms (4, a, r) on the rows of a table that begins ``ahead`` mm later."""
    rows = np.clip(np.arange(shape[0]) - ahead, 0, logs.shape[1] - 1)
    columns = np.clip(np.arange(shape[1]), 0, logs.shape[2] - 1)
    return logs[:, rows][:, :, columns]


def _superposed(
    table: NDArray[np.float64], axial_start: float, rays: Rays, placements: Sequence[Placement]
) -> NDArray[np.float64]:
    """(m, k) sum of the tabulated cold of the placements at the rays' points."""
    from scipy.ndimage import map_coordinates

    total = np.zeros(rays.points_mm.shape[:2])
    for placement in placements:
        way = rays.points_mm - np.mean(placement.active_segment, axis=0)
        axial = way @ placement.needle.direction
        radial = np.sqrt(np.maximum(np.sum(way**2, axis=-1) - axial**2, 0.0))
        total += map_coordinates(
            table, np.stack([axial - axial_start, radial]), order=1, mode="constant", cval=0.0
        )
    return np.maximum(total, 1e-3)
