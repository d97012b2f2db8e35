"""What a CT's own voxels say about how it was made: noise, kernel, air, fat, slices, aorta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image.volume import Volume

F32 = NDArray[np.float32]

#: Side of the windows in which noise is measured, mm (Christianson 2015: 6 mm).
NOISE_WINDOW_MM = 6.0
#: Soft tissue in which noise is looked for, HU.
SOFT_HU = (0.0, 150.0)
#: Slices that are looked at for noise and kernel.
NOISE_SLICES = 9
#: Side of the blocks whose means are compared from slice to slice, mm.
BLOCK_MM = 6.0
#: Voxel of the coarse upright copy on which places are looked for, mm.
COARSE_MM = 4.0
BONE_HU, METAL_HU, TISSUE_HU = 250.0, 2900.0, -300.0


@dataclass(frozen=True, eq=False)
class CoarseCt:
    """Every n-th voxel with axes (head, back, left): slices up, rows back, columns left.

    ``hu`` float32, ``spacing_mm`` of the three axes.  Not averaged: extremes survive.
    """

    hu: F32
    spacing_mm: tuple[float, float, float]


def patient_axes(grid: Grid) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Array axes nearest to head, back and left, and whether each runs the other way."""
    direction = grid.direction
    order, flip, taken = [], [], set()
    for lps in (2, 1, 0):
        axis = max((a for a in range(3) if a not in taken), key=lambda a: abs(direction[lps, a]))
        taken.add(axis)
        order.append(axis)
        flip.append(bool(direction[lps, axis] < 0.0))
    return (order[0], order[1], order[2]), (flip[0], flip[1], flip[2])


def upright(array: NDArray[np.generic], grid: Grid) -> NDArray[np.generic]:
    """A view of ``array`` with axes head, back, left (oblique scans: the nearest axes)."""
    order, flip = patient_axes(grid)
    view = array.transpose(order)
    return view[tuple(slice(None, None, -1 if f else 1) for f in flip)]


def upright_spacing_mm(grid: Grid) -> tuple[float, float, float]:
    """Spacing along head, back, left."""
    a, b, c = patient_axes(grid)[0]
    return grid.spacing_mm[a], grid.spacing_mm[b], grid.spacing_mm[c]


def coarse_ct(volume: Volume) -> CoarseCt:
    """Every n-th voxel so that none is finer than about 4 mm."""
    spacing = upright_spacing_mm(volume.grid)
    step = [max(1, int(COARSE_MM / s + 0.3)) for s in spacing]
    view = upright(volume.array, volume.grid)[:: step[0], :: step[1], :: step[2]]
    a, b, c = (s * n for s, n in zip(spacing, step, strict=True))
    return CoarseCt(np.ascontiguousarray(view, dtype=np.float32), (a, b, c))


def mode_hu(values: NDArray[np.floating], low: float, high: float) -> float | None:
    """Peak of the histogram (4 HU bins, lightly smoothed) of values within low..high, HU."""
    inside = values[(values > low) & (values < high)]
    if inside.size < 200:
        return None
    counts, edges = np.histogram(inside, np.arange(low, high + 4.0, 4.0))
    k = int(np.argmax(ndi.gaussian_filter1d(counts.astype(float), 1.5)))
    return float(0.5 * (edges[k] + edges[k + 1]))


@dataclass(frozen=True)
class Noise:
    """``sd_hu`` in soft tissue; ``frequency_per_mm`` its root mean square in-plane frequency;
    ``white_per_mm`` what that frequency would be for noise without correlation between pixels.
    """

    sd_hu: float
    frequency_per_mm: float
    white_per_mm: float


def measure_noise(volume: Volume) -> Noise | None:
    """The global noise level: the commonest SD of small windows of soft tissue.

    As Christianson et al. (AJR 2015;205:W93): SD in windows of about 6 mm, mode of their
    distribution over soft tissue; nine slices.  Edges and vessels raise a window's SD and so
    leave the mode.  The frequency is that of the noise's differences between neighbours in the
    windows near the mode: sqrt(E[(dI)^2]) / (2 pi sd pixel).  None without enough soft tissue.
    """
    view = upright(volume.array, volume.grid)
    _, row_mm, col_mm = upright_spacing_mm(volume.grid)
    size = (max(3, round(NOISE_WINDOW_MM / row_mm)), max(3, round(NOISE_WINDOW_MM / col_mm)))
    picks = np.unique(np.linspace(0, view.shape[0] - 1, NOISE_SLICES + 2)[1:-1].astype(int))
    sds, steps = [], []
    for k in picks:
        plane = np.asarray(view[k], dtype=np.float32)
        mean = ndi.uniform_filter(plane, size)
        variance = ndi.uniform_filter((plane - mean) ** 2, size)
        change = 0.5 * (
            (np.diff(plane, axis=0, append=plane[-1:]) / row_mm) ** 2
            + (np.diff(plane, axis=1, append=plane[:, -1:]) / col_mm) ** 2
        )
        change = ndi.uniform_filter(change, size)
        soft = (mean > SOFT_HU[0]) & (mean < SOFT_HU[1])
        part = tuple(slice(n // 2, None, n) for n in size)  # windows that do not overlap
        keep = soft[part]
        sds.append(np.sqrt(variance[part][keep]))
        steps.append(change[part][keep])
    sd, step = np.concatenate(sds), np.concatenate(steps)
    if sd.size < 100:
        return None
    top = float(np.percentile(sd, 60.0)) + 1.0
    counts, edges = np.histogram(sd, np.linspace(0.0, 1.5 * top, 61))
    k = int(np.argmax(ndi.gaussian_filter1d(counts.astype(float), 2.0)))
    level = float(0.5 * (edges[k] + edges[k + 1]))
    white = float(np.sqrt(0.5 * (2.0 / row_mm**2 + 2.0 / col_mm**2)) / (2.0 * np.pi))
    near = (sd > 0.7 * level) & (sd < 1.3 * level)
    if level < 0.3 or not near.any():
        return Noise(level, 0.0, white)
    frequency = float(np.sqrt(np.median(step[near]))) / (2.0 * np.pi * level)
    n = size[0] * size[1]
    return Noise(level * float(np.sqrt(n / (n - 1.0))), frequency, white)


@dataclass(frozen=True)
class SliceSteps:
    """Change from slice to slice: the greatest over its neighbours', where, and equal slices."""

    largest_ratio: float
    at_slice: int
    repeated: int


def measure_slices(volume: Volume) -> SliceSteps | None:
    """How evenly neighbouring slices differ; a missing or repeated slice stands out.

    The ratio is the mean absolute change between two slices over the median of the six pairs
    around them.  None for fewer than eight slices.
    """
    view = upright(volume.array, volume.grid)
    if view.shape[0] < 8:
        return None
    spacing = upright_spacing_mm(volume.grid)[1:]
    size = [max(1, round(BLOCK_MM / s)) for s in spacing]
    rows, columns = (n // k for n, k in zip(view.shape[1:], size, strict=True))
    sample = np.empty((view.shape[0], rows, columns), dtype=np.float32)
    for k, plane in enumerate(view):  # means of blocks: anatomy moves, noise does not count
        part = np.clip(plane[: rows * size[0], : columns * size[1]].astype(np.float32), -200, 300)
        sample[k] = part.reshape(rows, size[0], columns, size[1]).mean(axis=(1, 3))
    change = np.abs(np.diff(sample, axis=0)).mean(axis=(1, 2))
    around = ndi.median_filter(change, 7, mode="nearest")
    ratio = change / np.maximum(around, 0.2)
    k = int(np.argmax(ratio))
    return SliceSteps(float(ratio[k]), k, int(np.count_nonzero(change == 0.0)))


def trunk_of(coarse: CoarseCt) -> NDArray[np.bool_]:
    """The largest part of what is denser than -300 HU after an opening of 8 mm in plane."""
    cross = np.ones((1, 3, 3), dtype=bool)
    tissue = ndi.binary_erosion(coarse.hu > TISSUE_HU, cross, iterations=2, border_value=1)
    labels, count = ndi.label(tissue)
    if count == 0:
        return tissue
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    main = labels == int(sizes.argmax())
    out: NDArray[np.bool_] = ndi.binary_dilation(main, cross, iterations=2)
    return out


def border_share(trunk: NDArray[np.bool_]) -> float:
    """Share of the field's front, back and side borders that the trunk reaches, 0..1."""
    edges = (trunk[:, 0], trunk[:, -1], trunk[:, :, 0], trunk[:, :, -1])
    return float(np.mean(np.concatenate([e.reshape(-1) for e in edges])))


@dataclass(frozen=True)
class Posture:
    """``spine_back`` how far behind the trunk's middle the spine is, over half its depth
    (negative: in front, so front and back are exchanged); ``table_back`` the same for what lies
    outside the trunk (negative: the table is in front: prone; None: none seen).
    """

    spine_back: float | None
    table_back: float | None


def measure_posture(coarse: CoarseCt, trunk: NDArray[np.bool_]) -> Posture:
    """Where spine and table are, seen from the trunk; both within its middle."""
    if not trunk.any():
        return Posture(None, None)
    rows = np.flatnonzero(trunk.any(axis=(0, 2)))
    columns = np.flatnonzero(trunk.any(axis=(0, 1)))
    middle, half = 0.5 * (rows[0] + rows[-1]), max(0.5 * (rows[-1] - rows[0]), 1.0)
    width = columns[-1] - columns[0]
    central = slice(int(columns[0] + 0.36 * width), int(columns[0] + 0.64 * width) + 1)
    bone = (coarse.hu[:, :, central] > BONE_HU) & trunk[:, :, central]
    spine = None
    if bone.sum() > 20:
        spine = float((np.nonzero(bone)[1].mean() - middle) / half)
    near = ndi.binary_dilation(trunk, np.ones((1, 3, 3), dtype=bool), iterations=2)
    outside = (coarse.hu[:, :, central] > -600.0) & ~near[:, :, central]
    y = np.nonzero(outside)[1]
    y = y[np.abs(y - middle) > 0.8 * half]  # gas and lung lie within
    table = None
    if y.size > 0.002 * outside.size:
        table = float((np.median(y) - middle) / half)
    return Posture(spine, table)


def measure_aorta(
    hu: F32,
    spacing_mm: float,
    spine_x: NDArray[np.float64],
    spine_front_y: NDArray[np.float64],
    slices: slice,
) -> float | None:
    """CT number of the aorta on an upright isotropic image (slice, row, column), HU.

    ``spine_x``, ``spine_front_y`` (voxels, per slice) are the spine's midline and the front of
    its bodies (`Landmarks`).  Looked at in ``slices`` (the
    liver's): before the spine, from 8 mm right to 40 mm left of its
    midline, to 35 mm before it, means over balls of about 10 mm; the median over slices of each
    slice's greatest.  Portal, splenic and renal veins may win by a few HU.  None when fewer than
    five slices show such a place.
    """
    mean = ndi.uniform_filter(np.clip(hu, -200.0, 1000.0), max(3, round(10.0 / spacing_mm)))
    x = np.arange(hu.shape[2])
    found = []
    for k in range(slices.start, slices.stop, max(1, round(6.0 / spacing_mm))):
        left = (x - spine_x[k]) * spacing_mm
        columns = np.flatnonzero((left > -8.0) & (left < 40.0))
        last = int(spine_front_y[k] - 8.0 / spacing_mm)
        first = max(0, last - round(30.0 / spacing_mm))
        if columns.size == 0 or not first < last < hu.shape[1]:
            continue
        place = mean[k, first:last, columns[0] : columns[-1] + 1]
        if place.max() > -20.0:
            found.append(float(place.max()))
    return float(np.median(found)) if len(found) >= 5 else None
