"""How problems are laid out for kernels/bioheat.cu: one grid, one or many problems.

The numbers here (tile, padding, columns) are those at the top of that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.discretisation import Discretisation
from irplan.errors import BackendError

TILE = (8, 8, 32)
BLOCK = (32, 8, 1)
FRONT = 8
MIXED = 128
#: Most tissues of a problem the kernels are compiled for.
TISSUE_LIMITS = (16, 32)
_Number = TypeVar("_Number", np.float32, np.uint8)
_SCATTERED = ("voxel", "voxel_ptr", "voxel_sample")


@dataclass(frozen=True)
class DeviceGrid:
    """Shape (z, y, x) and row pitch of a padded volume on the device."""

    shape: tuple[int, int, int]

    @property
    def pitch(self) -> int:
        """Floats from one row to the next: a multiple of 8, so that rows begin a sector."""
        return -(-(self.shape[2] + 2) // 8) * 8

    @property
    def size(self) -> int:
        """Elements of one volume."""
        nz, ny, _ = self.shape
        return FRONT + (nz + 2) * (ny + 2) * self.pitch

    @property
    def tiles(self) -> int:
        """Tiles that cover the grid."""
        return int(np.prod([-(-n // t) for n, t in zip(self.shape, TILE, strict=True)]))

    def flat(self, voxels: NDArray[np.int64]) -> NDArray[np.int32]:
        """Index into a volume of (n, 3) grid indices."""
        plane = (self.shape[1] + 2) * self.pitch
        at = FRONT + (voxels[:, 0] + 1) * plane + (voxels[:, 1] + 1) * self.pitch + voxels[:, 2]
        return at.astype(np.int32)

    def padded(self, volume: NDArray[_Number]) -> NDArray[_Number]:
        """The device's volume of one with one voxel of padding on every side."""
        nz, ny, nx = self.shape
        out = np.zeros(self.size, volume.dtype)
        self._rows(out)[:, :, : nx + 2] = volume.reshape(nz + 2, ny + 2, nx + 2)
        return out

    def interior(self, volume: NDArray[_Number]) -> NDArray[_Number]:
        """(slice, row, column) view of a device's volume."""
        return self._rows(volume)[1:-1, 1:-1, 1 : self.shape[2] + 1]

    def free(self, mesh: Discretisation) -> NDArray[np.bool_]:
        """(slice, row, column) True where the temperature can change."""
        nz, ny, nx = self.shape
        kind = mesh.kind.reshape(nz + 2, ny + 2, nx + 2)[1:-1, 1:-1, 1:-1]
        out: NDArray[np.bool_] = mesh.tissues[kind, 0] > 0.0
        return out

    def _rows(self, volume: NDArray[_Number]) -> NDArray[_Number]:
        """View that begins with the padding before the first row's column 0."""
        nz, ny, _ = self.shape
        return volume[FRONT - 1 : self.size - 1].reshape(nz + 2, ny + 2, self.pitch)


def tissue_limit(count: int) -> int:
    """What TISSUES the kernels are compiled with for ``count`` tissues."""
    for limit in TISSUE_LIMITS:
        if count <= limit:
            return limit
    raise BackendError(
        "problem.tissues",
        got=f"{count} different tissues in the box",
        expected=f"at most {TISSUE_LIMITS[-1]} on a GPU",
        remedy="Give similar tissues the same properties, or use backend='cpu'.",
    )


def cells_of(
    padded_kind: NDArray[np.uint8], grid: DeviceGrid
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The kernels' ``cell`` volume and ``tile_kind`` of a tissue map padded by one voxel."""
    nz, ny, nx = grid.shape
    kind = padded_kind.reshape(nz + 2, ny + 2, nx + 2)
    core = kind[1:-1, 1:-1, 1:-1]
    unlike = np.zeros(core.shape, dtype=bool)
    for axis in range(3):
        for side in (slice(None, -2), slice(2, None)):
            cut: list[slice] = [slice(1, -1)] * 3
            cut[axis] = side
            unlike |= core != kind[tuple(cut)]
    coded = core | np.where(unlike, np.uint8(MIXED), np.uint8(0))
    volume = kind.copy()
    volume[1:-1, 1:-1, 1:-1] = coded
    room = [(0, -n % t) for n, t in zip(grid.shape, TILE, strict=True)]
    tiles = np.pad(coded, room, mode="edge")
    split = tiles.reshape(*(v for n, t in zip(tiles.shape, TILE, strict=True) for v in (n // t, t)))
    least, most = split.min(axis=(1, 3, 5)), split.max(axis=(1, 3, 5))
    tile_kind = np.where((least == most) & (most < MIXED), most, np.uint8(255)).astype(np.uint8)
    return grid.padded(volume), tile_kind.reshape(-1)


def table(mesh: Discretisation) -> NDArray[np.float32]:
    """The kernels' ``tables`` of one problem: a row a tissue, then pair[axis][step][n][n]."""
    q, (liquidus, solidus) = mesh.tissues.astype(np.float64), mesh.tau.astype(np.float64)
    c, k = q[:, 0:3], q[:, 3:6]
    free = c[:, 0] > 0.0
    inverse = np.where(free[:, None], 1.0 / np.where(free[:, None], c, 1.0), 0.0)
    at_l = c[:, 0] * liquidus
    at_s = at_l + c[:, 1] * (solidus - liquidus)
    steps_k = np.stack([k[:, 0], k[:, 1] - k[:, 0], k[:, 2] - k[:, 1]], axis=1)
    rows = np.column_stack([steps_k, c, inverse, at_l, at_s, q[:, 6], q[:, 7]])
    weight = np.asarray(mesh.inverse_square, dtype=np.float64)[:, None, None]
    pair = mesh.pair.astype(np.float64)
    steps = (pair[0], pair[1] - pair[0], pair[2] - pair[1])
    faces = np.stack([step * weight for step in steps], axis=1)
    return np.concatenate([rows.reshape(-1), faces.reshape(-1)]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class DeviceSources:
    """The line sources of all problems, one after another, as the kernels read them."""

    problem_probe: NDArray[np.int32]
    problem_sample: NDArray[np.int32]
    problem_voxel: NDArray[np.int32]
    probe_sample: NDArray[np.int32]
    sample_ptr: NDArray[np.int32]
    sample_probe: NDArray[np.int32]
    strength: NDArray[np.float32]
    contact: NDArray[np.float32]
    middle: NDArray[np.int32]
    entry: NDArray[np.int32]
    entry_weight: NDArray[np.float32]
    voxel: NDArray[np.int32]
    voxel_ptr: NDArray[np.int32]
    voxel_sample: NDArray[np.int32]
    voxel_weight: NDArray[np.float32]

    @classmethod
    def of(cls, meshes: Sequence[Discretisation], grid: DeviceGrid) -> DeviceSources:
        """Concatenate the sources of ``meshes``; each problem's voxels are listed once."""
        probes, samples, voxels = [0], [0], [0]
        probe_sample = [0]
        ints: dict[str, list[NDArray[np.integer]]] = {
            name: [] for name in ("sample_ptr", "sample_probe", "middle", "entry", *_SCATTERED)
        }
        floats: dict[str, list[NDArray[np.float32]]] = {
            name: [] for name in ("strength", "contact", "entry_weight", "voxel_weight")
        }
        ints["sample_ptr"].append(np.zeros(1, np.int64))
        entries = 0
        for mesh in meshes:
            first_entry, first_sample, before = len(ints["entry"]), samples[-1], entries
            for n, source in enumerate(mesh.sources):
                count = source.sample_ptr.size - 1
                ints["sample_probe"].append(np.full(count, probes[-1] + n, np.int32))
                ints["sample_ptr"].append(source.sample_ptr[1:] + entries)
                nearest = np.rint(source.samples_index).astype(np.int64)
                ints["middle"].append(grid.flat(nearest))
                ints["entry"].append(grid.flat(source.voxels)[source.local])
                floats["strength"].append(np.full(count, source.strength, np.float32))
                floats["contact"].append(np.full(count, source.contact, np.float32))
                floats["entry_weight"].append(source.weight)
                probe_sample.append(probe_sample[-1] + count)
                entries += source.weight.size
            probes.append(probes[-1] + len(mesh.sources))
            samples.append(probe_sample[-1])
            # the same entries by voxel: each voxel once, with the samples that reach it
            flat = np.concatenate(ints["entry"][first_entry:])
            order = np.argsort(flat, kind="stable")
            voxel, first = np.unique(flat[order], return_index=True)
            counts = np.concatenate([np.diff(s.sample_ptr) for s in mesh.sources])
            sample = np.repeat(np.arange(first_sample, samples[-1]), counts)
            ints["voxel"].append(voxel)
            ints["voxel_ptr"].append(first + before)
            ints["voxel_sample"].append(sample[order])
            floats["voxel_weight"].append(
                np.concatenate(floats["entry_weight"][first_entry:])[order]
            )
            voxels.append(voxels[-1] + voxel.size)
        ints["voxel_ptr"].append(np.array([entries]))
        whole = {name: np.concatenate(v).astype(np.int32) for name, v in ints.items()}
        real = {name: np.concatenate(v).astype(np.float32) for name, v in floats.items()}
        return cls(
            problem_probe=np.array(probes, np.int32),
            problem_sample=np.array(samples, np.int32),
            problem_voxel=np.array(voxels, np.int32),
            probe_sample=np.array(probe_sample, np.int32),
            sample_ptr=whole["sample_ptr"],
            sample_probe=whole["sample_probe"],
            strength=real["strength"],
            contact=real["contact"],
            middle=whole["middle"],
            entry=whole["entry"],
            entry_weight=real["entry_weight"],
            voxel=whole["voxel"],
            voxel_ptr=whole["voxel_ptr"],
            voxel_sample=whole["voxel_sample"],
            voxel_weight=real["voxel_weight"],
        )


def monitor_corners(
    points: NDArray[np.float64], grid: DeviceGrid
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Trilinear corners (n * 8,) and weights of (n, 3) fractional grid indices."""
    base = np.floor(points).astype(np.int64)
    part = points - base
    index, weight = [], []
    for corner in np.ndindex(2, 2, 2):
        at = np.clip(base + corner, 0, np.array(grid.shape) - 1)
        index.append(grid.flat(at))
        weight.append(np.prod(np.where(np.array(corner) == 1, part, 1.0 - part), axis=1))
    return (
        np.stack(index, axis=1).reshape(-1).astype(np.int32),
        np.stack(weight, axis=1).reshape(-1).astype(np.float32),
    )


def first_window(
    mesh: Discretisation,
    deep: NDArray[np.int64],
    first: NDArray[np.float32] | None,
    tolerance_k: float,
) -> NDArray[np.int64]:
    """(z0, z1, y0, y1, x0, x1) round probes and what is not at rest, ``deep`` voxels larger."""
    shape = np.array(mesh.shape)
    low = np.min([s.voxels.min(axis=0) for s in mesh.sources], axis=0)
    high = np.max([s.voxels.max(axis=0) + 1 for s in mesh.sources], axis=0)
    if first is not None:
        away = np.nonzero(np.abs(mesh.interior(first)) > tolerance_k)
        if away[0].size:
            low = np.minimum(low, [w.min() for w in away])
            high = np.maximum(high, [w.max() + 1 for w in away])
    if mesh.needs_full_window:
        low, high = np.zeros(3, np.int64), shape
    low, high = np.maximum(low - deep, 0), np.minimum(high + deep, shape)
    return np.stack([low, high], axis=1).reshape(-1)
