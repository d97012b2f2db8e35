"""From an `AblationProblem` to the flat arrays the bioheat kernels read.

Everything is written relative to rest (body temperature): SI properties become W/(m K),
MJ/(m3 K), mm and s here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.line_source import LineSource, line_source
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import BLOOD_DENSITY, BLOOD_HEAT_CAPACITY
from irplan.geometry import Grid

#: Fraction of the explicit limit that is used.
_SAFETY = 0.98


@dataclass(frozen=True, eq=False)
class Discretisation:
    """Flat, padded arrays; see `irplan.compute.cpu.bioheat` for their meaning."""

    grid: Grid
    kind: NDArray[np.uint8]
    """Tissue of each padded voxel (the padding repeats the nearest voxel's)."""
    tissues: NDArray[np.float32]
    """(n, 8): capacities and conductivities u, m, f, perfusion and metabolic source."""
    held: NDArray[np.float32]
    """(n,) temperature relative to the body at which a fixed tissue is held, K; 0 elsewhere."""
    pair: NDArray[np.float32]
    """(3 phases, 3 array axes, n, n) conductivity of a face between two tissues, W/(m K)."""
    derived: NDArray[np.float32]
    """(n, 13) slopes and breakpoints of each tissue."""
    tau: NDArray[np.float32]
    """Liquidus and solidus relative to body temperature, K."""
    runs: NDArray[np.int32]
    """(r, 3): column, length, tissue."""
    rows: NDArray[np.int32]
    """(nz * ny + 1,): where each row's runs begin."""
    mixed: NDArray[np.int32]
    """(m,) column of each mixed voxel."""
    mixed_rows: NDArray[np.int32]
    """(nz * ny + 1,): where each row's mixed voxels begin."""
    signature: NDArray[np.int32]
    """(m,) row of ``table`` of each mixed voxel."""
    table: NDArray[np.float32]
    """(s, 31) face and own constants."""
    fixed_faces: NDArray[np.uint8]
    """(s,) bit f set: the neighbour in direction f is held at a fixed temperature."""
    explicit_limit_s: float
    needs_full_window: bool
    """Metabolic heat acts everywhere."""
    sources: tuple[LineSource, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along slice, row and column."""
        return self.grid.shape

    @cached_property
    def inverse_square(self) -> NDArray[np.float32]:
        """1 / spacing^2 per array axis, 1/mm^2."""
        return (1.0 / np.asarray(self.grid.spacing_mm) ** 2).astype(np.float32)

    @cached_property
    def voxel_mm3(self) -> float:
        """Volume of a voxel, mm3."""
        return float(np.prod(self.grid.spacing_mm))

    @cached_property
    def held_away(self) -> bool:
        """Some voxels are held at another temperature than the body's."""
        return bool(np.any(self.held != 0.0))

    @property
    def strides(self) -> tuple[int, int]:
        """(row, slice) strides of the padded arrays."""
        return self.shape[2] + 2, (self.shape[1] + 2) * (self.shape[2] + 2)

    def resting(self) -> NDArray[np.float32]:
        """Padded flat temperature relative to the body at rest, K."""
        if self.held_away:
            return self.held[self.kind]
        return np.zeros(self.kind.size, np.float32)

    def flat(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Padded flat index of (n, 3) grid indices."""
        row, plane = self.strides
        out: NDArray[np.int64] = (
            (voxels[:, 0] + 1) * plane + (voxels[:, 1] + 1) * row + voxels[:, 2] + 1
        )
        return out

    def interior(self, padded: NDArray[Any]) -> NDArray[Any]:
        """(slice, row, column) view of a padded flat array."""
        nz, ny, nx = self.shape
        return padded.reshape(nz + 2, ny + 2, nx + 2)[1:-1, 1:-1, 1:-1]


def discretise(problem: AblationProblem) -> Discretisation:
    """Lay ``problem`` out for the kernels; O(voxels), some 10 ms at 128^3."""
    from irplan.compute.cpu import bioheat_layout
    from irplan.compute.cpu.bioheat_state import derive

    lut, tissues = _merge_equal(problem.tissue_index, problem.tissues)
    table = np.array([_constants(t) for t in tissues], dtype=np.float32)
    fixed = np.array([t.fixed_temperature_c is not None for t in tissues])
    body = problem.body_temperature_c
    tau = np.array([tissues[0].liquidus_c - body, tissues[0].solidus_c - body], dtype=np.float32)
    held = np.array(
        [0.0 if t.fixed_temperature_c is None else t.fixed_temperature_c - body for t in tissues],
        dtype=np.float32,
    )
    shape = np.array(problem.grid.shape)
    kind = np.empty(tuple(shape + 2), np.uint8)
    bioheat_layout.padded_kind(problem.tissue_index, lut, kind)
    flat = kind.reshape(-1)
    runs, rows, mixed, mixed_rows = bioheat_layout.find_runs(flat, fixed, shape)
    signature, keys = bioheat_layout.signatures(flat, mixed, mixed_rows, shape)
    pair = _pair_conductivity(table, tissues, problem.grid.spacing_mm)
    derived = derive(table, tau)
    weight = 1.0 / np.asarray(problem.grid.spacing_mm) ** 2
    return Discretisation(
        grid=problem.grid,
        kind=flat,
        tissues=table,
        held=held,
        pair=pair.astype(np.float32),
        derived=derived,
        tau=tau,
        runs=runs,
        rows=rows,
        mixed=mixed,
        mixed_rows=mixed_rows,
        signature=signature,
        table=_signature_table(keys, pair, derived, weight),
        fixed_faces=_fixed_faces(keys, fixed),
        explicit_limit_s=_explicit_limit_s(table, pair, fixed, weight),
        needs_full_window=bool(np.any(table[:, 7] > 0.0)),
        sources=line_sources(problem.placements, problem.grid),
    )


def line_sources(placements: tuple[Placement, ...], grid: Grid) -> tuple[LineSource, ...]:
    """One line source a placement."""
    return tuple(line_source(p, grid) for p in placements)


def _merge_equal(
    index: NDArray[np.uint8], tissues: tuple[TissueProperties, ...]
) -> tuple[NDArray[np.uint8], list[TissueProperties]]:
    """(256,) new number of each tissue, and the tissues that occur, equal ones as one."""
    from irplan.compute.cpu.bioheat_layout import tissues_present

    lut = np.zeros(256, dtype=np.uint8)
    kept: list[TissueProperties] = []
    keys: dict[tuple[object, ...], int] = {}
    for i in np.flatnonzero(tissues_present(np.ascontiguousarray(index).reshape(-1))):
        t = tissues[int(i)]
        key = (*_constants(t), t.fixed_temperature_c, t.wall_transfer_w_per_m2k)
        if key not in keys:
            keys[key] = len(kept)
            kept.append(t)
        lut[i] = keys[key]
    return lut, kept


def _constants(t: TissueProperties) -> tuple[float, ...]:
    """Row of the tissue table; a fixed tissue has capacity 0, which marks it."""
    blood = BLOOD_DENSITY.value * BLOOD_HEAT_CAPACITY.value * 1e-6
    if t.fixed_temperature_c is not None:
        return (0.0, 0.0, 0.0, *t.conductivity_w_per_mk, 0.0, 0.0)
    return (
        *(c * 1e-6 for c in t.heat_capacity_j_per_m3k),
        *t.conductivity_w_per_mk,
        t.perfusion_per_s * blood,
        t.metabolic_w_per_m3 * 1e-6,
    )


def _pair_conductivity(
    table: NDArray[np.float32],
    tissues: list[TissueProperties],
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.float64]:
    """(3 phases, 3 axes, n, n) conductivity of a face: harmonic mean, or tissue and film in series.

    Fixed tissue has its temperature up to its surface: half a voxel of the neighbour and, where
    there is a film coefficient, the film carry the flux (Go-Smart's vessel wall).
    """
    k = table[:, 3:6].T.astype(np.float64)
    mean = 2.0 * k[:, :, None] * k[:, None, :] / (k[:, :, None] + k[:, None, :])
    out = np.repeat(mean[:, None], 3, axis=1)
    for n, t in enumerate(tissues):
        if t.fixed_temperature_c is None:
            continue
        wall = t.wall_transfer_w_per_m2k
        for axis in range(3):
            h = spacing_mm[axis] * 1e-3
            film = h / (h / (2.0 * k) + (1.0 / wall if wall > 0.0 else 0.0))
            out[:, axis, n, :] = film
            out[:, axis, :, n] = film
    return out


def _signature_table(
    keys: NDArray[np.int32],
    pair: NDArray[np.float64],
    derived: NDArray[np.float32],
    weight: NDArray[np.float64],
) -> NDArray[np.float32]:
    """(s, 31): face conductivity over distance squared (by phase, as differences), own row."""
    out = np.empty((keys.shape[0], 31), dtype=np.float32)
    for f in range(6):
        axis = 2 - f // 2
        g = pair[:, axis, keys[:, 0], keys[:, f + 1]] * weight[axis]
        out[:, f], out[:, 6 + f], out[:, 12 + f] = g[0], g[1] - g[0], g[2] - g[1]
    out[:, 18:] = derived[keys[:, 0]]
    return out


def _fixed_faces(keys: NDArray[np.int32], fixed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    bits = 1 << np.arange(6)
    out: NDArray[np.uint8] = (fixed[keys[:, 1:]] * bits).sum(axis=1).astype(np.uint8)
    return out


def _explicit_limit_s(
    table: NDArray[np.float32],
    pair: NDArray[np.float64],
    fixed: NDArray[np.bool_],
    weight: NDArray[np.float64],
) -> float:
    """Largest stable explicit step: 2 / (4 sum(max(g) / C / h^2) + perfusion / C), Gershgorin.

    A face to fixed tissue counts half: it has no entry beside the diagonal.
    """
    own = table[~fixed].astype(np.float64)
    capacity = own[:, 0:3].T
    counted = pair[:, :, ~fixed, :] * np.where(fixed, 0.5, 1.0)
    face = np.tensordot(weight, counted.max(axis=3), axes=(0, 1))
    rate = float((4.0 * face / capacity).max())
    return float(_SAFETY * 2.0 / (rate + (own[:, 6] / own[:, 0]).max()))
