"""From an `AblationProblem` to the flat arrays the bioheat kernels read.

Everything is written relative to rest (body temperature): SI properties become W/(m K),
MJ/(m3 K), mm and s here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.line_source import LineSource, line_source
from irplan.ablation.problem import AblationProblem
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import BLOOD_DENSITY, BLOOD_HEAT_CAPACITY

#: A run of one tissue shorter than this is not worth a loop of its own.
_SHORTEST_RUN = 4
_MIXED, _FIXED = 255, 254
#: Fraction of the explicit limit that is used.
_SAFETY = 0.98


@dataclass(frozen=True, eq=False)
class Discretisation:
    """Flat, padded arrays; see `irplan.compute.cpu.bioheat` for their meaning."""

    shape: tuple[int, int, int]
    h_mm: float
    kind: NDArray[np.uint8]
    """Tissue of each padded voxel (the padding repeats the nearest voxel's)."""
    tissues: NDArray[np.float32]
    """(n, 8): capacities and conductivities u, m, f, perfusion and metabolic source."""
    tau: NDArray[np.float32]
    """Liquidus and solidus relative to body temperature, K."""
    runs: NDArray[np.int64]
    """(r, 5): flat start, column, length, tissue (-1: mixed), first mixed column."""
    rows: NDArray[np.int64]
    mixed: NDArray[np.float32]
    """(m, 26): face conductivities and own constants of the mixed voxels."""
    fixed_faces: NDArray[np.uint8]
    """(m,) bit f set: the neighbour in direction f is held at a fixed temperature."""
    resting_theta: NDArray[np.float32]
    """(padded,) theta at the start: zero but in voxels held at another temperature."""
    resting_tau: NDArray[np.float32]
    explicit_limit_s: float
    needs_full_window: bool
    """Metabolic heat acts everywhere."""
    held_away: bool
    """Some voxels are held at another temperature than the body's."""
    sources: tuple[LineSource, ...]

    @property
    def strides(self) -> tuple[int, int]:
        """(row, slice) strides of the padded arrays."""
        return self.shape[2] + 2, (self.shape[1] + 2) * (self.shape[2] + 2)

    def flat(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Padded flat index of (n, 3) grid indices."""
        row, plane = self.strides
        out: NDArray[np.int64] = (
            (voxels[:, 0] + 1) * plane + (voxels[:, 1] + 1) * row + voxels[:, 2] + 1
        )
        return out

    def interior(self, padded: NDArray[np.float32]) -> NDArray[np.float32]:
        """(slice, row, column) view of a padded flat array."""
        nz, ny, nx = self.shape
        return padded.reshape(nz + 2, ny + 2, nx + 2)[1:-1, 1:-1, 1:-1]


def discretise(problem: AblationProblem) -> Discretisation:
    """Lay ``problem`` out for the kernels; O(voxels), some 30 ms at 128^3."""
    h = problem.grid.spacing_mm[0]
    index, tissues = _merge_equal(problem.tissue_index, problem.tissues)
    table = np.array([_constants(t) for t in tissues], dtype=np.float32)
    fixed = np.array([t.fixed_temperature_c is not None for t in tissues])
    body = problem.body_temperature_c
    tau = np.array([tissues[0].liquidus_c - body, tissues[0].solidus_c - body], dtype=np.float32)
    held = np.array(
        [0.0 if t.fixed_temperature_c is None else t.fixed_temperature_c - body for t in tissues]
    )
    kind = np.ascontiguousarray(np.pad(index, 1, mode="edge"))
    pair = _pair_conductivity(table)
    cells = _cell_classes(kind, fixed)
    runs, rows = _runs(cells)
    voxels = _mixed_voxels(runs)
    neighbours = _neighbours(voxels, kind.shape)
    mixed = _mixed_table(voxels, neighbours, kind.reshape(-1), table, pair)
    flat_kind = kind.reshape(-1)
    bits = (1 << np.arange(6, dtype=np.uint8))[:, None]
    fixed_faces = (fixed[flat_kind[neighbours]] * bits).sum(axis=0).astype(np.uint8)
    held_away = bool(np.any(held != 0.0))
    resting_tau = np.zeros(kind.shape, dtype=np.float32)
    if held_away:
        resting_tau[1:-1, 1:-1, 1:-1] = held.astype(np.float32)[index]
    resting_theta = _theta(resting_tau, table, kind, tau) if held_away else resting_tau
    return Discretisation(
        shape=problem.grid.shape,
        h_mm=h,
        kind=flat_kind,
        tissues=table,
        tau=tau,
        runs=runs,
        rows=rows,
        mixed=mixed,
        fixed_faces=fixed_faces,
        resting_theta=resting_theta.reshape(-1),
        resting_tau=resting_tau.reshape(-1),
        explicit_limit_s=_explicit_limit_s(table, pair, fixed, h),
        needs_full_window=bool(np.any(table[:, 7] > 0.0)),
        held_away=held_away,
        sources=tuple(line_source(p, problem.grid) for p in problem.placements),
    )


def _merge_equal(
    index: NDArray[np.uint8], tissues: tuple[TissueProperties, ...]
) -> tuple[NDArray[np.uint8], list[TissueProperties]]:
    """Only the tissues that occur, those of equal constants as one; fixed ones by temperature."""
    lut = np.zeros(256, dtype=np.uint8)
    kept: list[TissueProperties] = []
    keys: dict[tuple[object, ...], int] = {}
    for i in np.flatnonzero([np.any(index == n) for n in range(len(tissues))]):
        t = tissues[int(i)]
        key = (*_constants(t), t.fixed_temperature_c)
        if key not in keys:
            keys[key] = len(kept)
            kept.append(t)
        lut[i] = keys[key]
    merged: NDArray[np.uint8] = lut[index]
    return merged, kept


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


def _pair_conductivity(table: NDArray[np.float32]) -> NDArray[np.float64]:
    """(3, n, n) harmonic mean of two tissues' conductivity within each phase."""
    k = table[:, 3:6].T.astype(np.float64)
    out: NDArray[np.float64] = 2.0 * k[:, :, None] * k[:, None, :] / (k[:, :, None] + k[:, None, :])
    return out


def _explicit_limit_s(
    table: NDArray[np.float32], pair: NDArray[np.float64], fixed: NDArray[np.bool_], h: float
) -> float:
    """Largest stable explicit step: 2 / (12 max(g / C) / h^2 + perfusion / C), Gershgorin."""
    own = table[~fixed].astype(np.float64)
    capacity = own[:, 0:3].T
    rate = 12.0 * (pair[:, ~fixed, :].max(axis=2) / capacity).max() / h**2
    return float(_SAFETY * 2.0 / (rate + (own[:, 6] / own[:, 0]).max()))


def _theta(
    tau: NDArray[np.float32], table: NDArray[np.float32], kind: NDArray[np.uint8],
    breaks: NDArray[np.float32],
) -> NDArray[np.float32]:  # fmt: skip
    """theta of tau; only the few voxels away from rest are computed."""
    out = np.zeros(tau.shape, dtype=np.float32)
    away = np.nonzero(tau)
    t, k = tau[away], table[kind[away], 3:6]
    out[away] = (
        k[:, 0] * np.maximum(t, breaks[0])
        + k[:, 1] * (np.clip(t, breaks[1], breaks[0]) - breaks[0])
        + k[:, 2] * np.minimum(t - breaks[1], 0)
    )
    return out


def _cell_classes(kind: NDArray[np.uint8], fixed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Per inner voxel: its tissue where all six neighbours share it, else mixed or fixed."""
    core = kind[1:-1, 1:-1, 1:-1]
    same = (core == kind[:-2, 1:-1, 1:-1]) & (core == kind[2:, 1:-1, 1:-1])
    same &= (core == kind[1:-1, :-2, 1:-1]) & (core == kind[1:-1, 2:, 1:-1])
    same &= (core == kind[1:-1, 1:-1, :-2]) & (core == kind[1:-1, 1:-1, 2:])
    cells = np.where(same, core, np.uint8(_MIXED))
    cells[fixed[core]] = _FIXED
    return cells


def _runs(cells: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs along rows and, per row, where its runs begin."""
    nz, ny, nx = cells.shape
    flat = cells.reshape(-1).copy()

    def cut() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        change = np.empty(flat.size, dtype=bool)
        change[0] = True
        np.not_equal(flat[1:], flat[:-1], out=change[1:])
        change[::nx] = True
        start = np.flatnonzero(change)
        return start, np.diff(np.append(start, flat.size))

    start, length = cut()
    short = (length < min(_SHORTEST_RUN, nx)) & (flat[start] != _FIXED) & (flat[start] != _MIXED)
    flat[np.repeat(short, length)] = _MIXED
    start, length = cut()
    live = flat[start] != _FIXED
    start, length = start[live], length[live]
    what = flat[start].astype(np.int64)
    row, column = np.divmod(start, nx)
    z, y = np.divmod(row, ny)
    padded = ((z + 1) * (ny + 2) + y + 1) * (nx + 2) + column + 1
    is_mixed = what == _MIXED
    first = np.where(is_mixed, np.cumsum(np.where(is_mixed, length, 0)) - length, 0)
    runs = np.stack([padded, column, length, np.where(is_mixed, -1, what), first], axis=1)
    return runs.astype(np.int64), np.searchsorted(row, np.arange(nz * ny + 1)).astype(np.int64)


def _mixed_voxels(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Padded flat index of every mixed voxel, in the order of the mixed table's columns."""
    own = runs[runs[:, 3] < 0]
    step = np.arange(int(own[:, 2].sum())) - np.repeat(own[:, 4], own[:, 2])
    out: NDArray[np.int64] = np.repeat(own[:, 0], own[:, 2]) + step
    return out


def _neighbours(voxels: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(6, m) padded flat index of the neighbours, in the kernels' order of directions."""
    row, plane = shape[2], shape[1] * shape[2]
    steps = np.array([-1, 1, -row, row, -plane, plane])
    out: NDArray[np.int64] = voxels[None, :] + steps[:, None]
    return out


def _mixed_table(
    voxels: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    kind: NDArray[np.uint8],
    table: NDArray[np.float32],
    pair: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Face conductivities (0 marks a face between like tissues) and own constants."""
    own = kind[voxels]
    faces = pair.astype(np.float32).copy()
    for n in range(table.shape[0]):
        faces[:, n, n] = 0.0
    out = np.empty((voxels.size, 26), dtype=np.float32)
    for f in range(6):
        other = kind[neighbours[f]]
        for phase, column in enumerate((0, 14, 20)):
            out[:, column + f] = faces[phase][own, other]
    out[:, 6:14] = table[own]
    return out
