"""From an `AblationProblem` to the flat arrays of the heat kernels; SI becomes mm, MJ, K here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.problem import AblationProblem
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import BLOOD_DENSITY, BLOOD_HEAT_CAPACITY

#: Heat of vaporisation of water, J/kg, and the interval it is taken up in, degC
#: [specification: latent heat at 99 to 101 degC].
VAPORISATION_J_PER_KG = 2.26e6
BOILING_FROM_C, BOILING_TO_C = 99.0, 101.0
#: Conductivity rises with temperature up to here, degC.
CONDUCTIVITY_CAP_C = 100.0
#: Perfusion has half stopped here: w0 (1 + tanh(60 - T)) / 2 [V, specification], degC.
PERFUSION_STOP_C = 60.0
#: A run of one tissue shorter than this is not worth a loop of its own.
_SHORTEST_RUN = 4
#: Fraction of the explicit limit that is used.
_SAFETY = 0.98
_Number = TypeVar("_Number", np.float32, np.uint8)


@dataclass(frozen=True, eq=False)
class HeatLayout:
    """What `irplan.compute.cpu.heat` reads; it and `heat_state` say what each array means."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    body_c: float
    kind: NDArray[np.uint8]
    tissues: NDArray[np.float32]
    pair_g: NDArray[np.float32]
    pair_b: NDArray[np.float32]
    levels: NDArray[np.float32]
    runs: NDArray[np.int64]
    rows: NDArray[np.int64]
    held: NDArray[np.float32]
    """Per tissue: temperature it is held at relative to rest, K (0 where it is free)."""
    explicit_limit_s: float
    needs_full_window: bool

    @property
    def strides(self) -> tuple[int, int]:
        """(row, slice) strides of the padded arrays."""
        return self.shape[2] + 2, (self.shape[1] + 2) * (self.shape[2] + 2)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel, mm3."""
        return float(np.prod(self.spacing_mm))

    def flat(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Padded flat index of (n, 3) grid indices."""
        row, plane = self.strides
        out: NDArray[np.int64] = (
            (voxels[:, 0] + 1) * plane + (voxels[:, 1] + 1) * row + voxels[:, 2] + 1
        )
        return out

    def interior(self, padded: NDArray[_Number]) -> NDArray[_Number]:
        """(slice, row, column) view of a padded flat array."""
        nz, ny, nx = self.shape
        return padded.reshape(nz + 2, ny + 2, nx + 2)[1:-1, 1:-1, 1:-1]

    def rise(self, v: NDArray[np.float32], kind: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Temperature relative to rest, K, of states ``v`` in tissues ``kind``."""
        q = self.tissues[kind].astype(np.float64)
        x = v.astype(np.float64)
        boiling = np.clip(x - float(self.levels[0]), 0.0, q[..., 5])
        out: NDArray[np.float64] = x - boiling + boiling * q[..., 6]
        return out


def lay_out(problem: AblationProblem) -> HeatLayout:
    """Lay ``problem`` out for the kernels; O(voxels), some 15 ms at 128^3."""
    from irplan.compute.cpu import heat_layout, heat_state

    body = problem.body_temperature_c
    spacing = problem.grid.spacing_mm
    index, used = _occurring(problem)
    table = np.array([_constants(t, body) for t in used], dtype=np.float32)
    pair_g, pair_b = _pairs(used, table.astype(np.float64), spacing)
    kind = np.ascontiguousarray(np.pad(index, 1, mode="edge")).reshape(-1)
    shape = problem.grid.shape
    runs, rows = heat_layout.cut_runs(kind, table[:, heat_state.C], np.array(shape), _SHORTEST_RUN)
    levels = np.array(
        [BOILING_FROM_C, CONDUCTIVITY_CAP_C, PERFUSION_STOP_C, heat_state.HOT_C], np.float32
    ) - np.float32(body)
    held = np.array(
        [0.0 if t.fixed_temperature_c is None else t.fixed_temperature_c - body for t in used],
        np.float32,
    )
    return HeatLayout(
        shape=shape,
        spacing_mm=spacing,
        body_c=body,
        kind=kind,
        tissues=table,
        pair_g=pair_g,
        pair_b=pair_b,
        levels=levels,
        runs=runs,
        rows=rows,
        held=held,
        explicit_limit_s=_explicit_limit_s(table, pair_g, pair_b, float(levels[1])),
        needs_full_window=bool(np.any(table[:, heat_state.METABOLIC] > 0.0)),
    )


def _occurring(problem: AblationProblem) -> tuple[NDArray[np.uint8], list[TissueProperties]]:
    """Index and properties with only the tissues that occur."""
    present = np.flatnonzero(np.bincount(problem.tissue_index.reshape(-1), minlength=256))
    lut = np.zeros(256, np.uint8)
    lut[present] = np.arange(present.size)
    index = problem.tissue_index if present.size == 256 else lut[problem.tissue_index]
    return index, [problem.tissues[int(n)] for n in present]


def _constants(t: TissueProperties, body_c: float) -> tuple[float, ...]:
    """Row of the tissue table; a held tissue has capacity 0, which marks it."""
    at_rest = 1.0 + t.k_per_k * (body_c - 37.0)
    k, b = t.k_unfrozen_w_per_mk * at_rest, 0.5 * t.k_per_k / at_rest
    if t.fixed_temperature_c is not None:
        return (0.0, k, b, 0.0, 0.0, 0.0, 1.0, 0.0)
    blood = BLOOD_DENSITY.value * BLOOD_HEAT_CAPACITY.value * 1e-6
    sensible = BOILING_TO_C - BOILING_FROM_C
    latent_k = t.water_fraction * VAPORISATION_J_PER_KG / t.c_unfrozen_j_per_kgk
    return (
        t.density_kg_per_m3 * t.c_unfrozen_j_per_kgk * 1e-6,
        k,
        b,
        t.perfusion_per_s * blood,
        t.metabolic_w_per_m3 * 1e-6,
        sensible + latent_k,
        sensible / (sensible + latent_k),
        0.0,
    )


def _pairs(
    tissues: list[TissueProperties], table: NDArray[np.float64], spacing: tuple[float, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Face conductivity over squared spacing (3, n, n) and its b (n, n) for each pair.

    Two half voxels in series (harmonic mean); where one is held, half a voxel of the other and the
    wall's film, if it has one.  b is that of the series to first order in T.
    """
    n = len(tissues)
    g, b = np.zeros((3, n, n), np.float32), np.zeros((n, n), np.float32)
    for i in range(n):
        for j in range(n):
            ki, kj, bi, bj = table[i, 1], table[j, 1], table[i, 2], table[j, 2]
            held = [t for t in (tissues[i], tissues[j]) if t.fixed_temperature_c is not None]
            for axis, h in enumerate(spacing):
                if len(held) == 1:
                    wall = held[0].wall_transfer_w_per_m2k
                    k, slope = (ki, bi) if table[i, 0] > 0.0 else (kj, bj)
                    tissue_part, film_part = 0.5 * h * 1e-3 / k, 1.0 / wall if wall > 0.0 else 0.0
                    g[axis, i, j] = h * 1e-3 / (tissue_part + film_part) / h**2
                    b[i, j] = slope * tissue_part / (tissue_part + film_part)
                else:
                    g[axis, i, j] = 2.0 * ki * kj / (ki + kj) / h**2
                    b[i, j] = (bi / ki + bj / kj) / (1.0 / ki + 1.0 / kj)
            if i == j:
                b[i, j] = np.float32(bi)
    return g, b


def _explicit_limit_s(
    table: NDArray[np.float32],
    pair_g: NDArray[np.float32],
    pair_b: NDArray[np.float32],
    cap: float,
) -> float:
    """Largest stable explicit step: 2 / (4 sum over axes of the largest g / C + perfusion / C).

    A face to held tissue counts half: it has no entry beside the diagonal.
    """
    free = table[:, 0] > 0.0
    warmest = (1.0 + 2.0 * pair_b.astype(np.float64) * max(cap, 0.0)) * np.where(free, 1.0, 0.5)
    faces = (pair_g.astype(np.float64) * warmest).max(axis=2).sum(axis=0)
    if not free.any():
        return np.inf
    rate = (4.0 * faces[free] + table[free, 3]) / table[free, 0]
    return float(_SAFETY * 2.0 / rate.max())
