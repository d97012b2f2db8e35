"""Binary morphology with radii in mm, and connected parts.

Radii are Euclidean and exact on anisotropic grids: a voxel is within a radius when the distance
of the voxel centres is.  Dilation ors shifted rows of packed bits, one shift per row of the ball,
which for radii of some voxels costs a small part of a distance map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndi
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def distance_mm(mask: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance in mm of every voxel centre to the nearest voxel centre of ``mask``.

    0 inside; infinite everywhere for an empty mask.
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(s) for s in spacing_mm][::-1])
    signed = sitk.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    out: NDArray[np.float32] = np.maximum(sitk.GetArrayFromImage(signed), 0.0)
    # ITK measures from the centres of the mask's surface voxels, which are 0 themselves.
    out[mask] = 0.0
    return out


def short_distance_mm(
    mask: Mask, reach_mm: float, voxel_mm: float, axes: Sequence[int] = (0, 1, 2)
) -> NDArray[np.float32]:
    """`distance_mm` on cubic voxels, exact to ``reach_mm`` and that value beyond.

    Distances are measured along ``axes`` only.  Squared distances in voxels are small integers,
    which one axis after the other lowers (parabolas of Felzenszwalb and Huttenlocher 2012).
    """
    reach = math.ceil(reach_mm / voxel_mm)
    far = (reach + 1) ** 2
    kind = np.uint8 if far + reach**2 < 256 else np.uint16
    squared = np.where(mask, kind(0), kind(far))
    for axis in axes:
        source = np.moveaxis(squared, axis, 0)
        lower = source.copy(order="K")  # the layout stays, whichever axis is first
        for step in range(1, min(reach, len(source) - 1) + 1):
            raised = source + kind(step**2)
            np.minimum(lower[step:], raised[:-step], out=lower[step:])
            np.minimum(lower[:-step], raised[step:], out=lower[:-step])
        squared = np.moveaxis(lower, 0, axis)
    table = np.minimum(voxel_mm * np.sqrt(np.arange(far + 1)), reach_mm)
    out: NDArray[np.float32] = table.astype(np.float32)[squared]
    return out


def box_of(mask: Mask, margin: Sequence[int] = (0, 0, 0)) -> tuple[slice, slice, slice]:
    """The smallest slices that hold ``mask`` plus a margin in voxels; all of it if empty."""
    flat = np.asarray(mask.any(axis=0))
    found = [np.flatnonzero(p) for p in (mask.any(axis=(1, 2)), flat.any(axis=1), flat.any(axis=0))]
    if found[0].size == 0:
        return slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2])
    a, b, c = (
        slice(max(0, int(f[0]) - m), min(n, int(f[-1]) + 1 + m))
        for f, m, n in zip(found, margin, mask.shape, strict=True)
    )
    return a, b, c


def _reach(radius_mm: float, spacing_mm: Sequence[float]) -> tuple[int, int, int]:
    a, b, c = (int(radius_mm / s) + 1 for s in spacing_mm)
    return a, b, c


def _ball_rows(radius_mm: float, spacing_mm: Sequence[float]) -> dict[int, dict[int, int]]:
    """Half widths in columns of the ball's rows: {slices away: {rows away: half width}}."""
    # A centre at the radius itself is inside, also after rounding.
    squared = (radius_mm * (1.0 + 1e-6)) ** 2
    rows: dict[int, dict[int, int]] = {}
    for dz in range(int(math.sqrt(squared) / spacing_mm[0]) + 1):
        left = squared - (dz * spacing_mm[0]) ** 2
        if left < 0.0:
            break
        rows[dz] = {}
        for dy in range(int(math.sqrt(left) / spacing_mm[1]) + 1):
            rest = left - (dy * spacing_mm[1]) ** 2
            if rest >= 0.0:
                rows[dz][dy] = int(math.sqrt(rest) / spacing_mm[2])
    return rows


def _grown(mask: Mask, rows: dict[int, dict[int, int]]) -> Mask:
    """Dilation of the whole array by a symmetric body, given as `_ball_rows`."""
    widths = {w for row in rows.values() for w in row.values()}
    packed = {}
    wide = mask.copy()
    for w in range(max(widths) + 1):
        if 0 < w < mask.shape[2]:
            wide[:, :, w:] |= mask[:, :, :-w]
            wide[:, :, :-w] |= mask[:, :, w:]
        if w in widths:
            packed[w] = np.packbits(wide, axis=2)
    out = np.zeros_like(packed[min(widths)])
    for dz, row in rows.items():
        if dz >= mask.shape[0]:
            break
        plane = packed[row[0]].copy()
        for dy, w in row.items():
            if 0 < dy < mask.shape[1]:
                plane[:, dy:] |= packed[w][:, :-dy]
                plane[:, :-dy] |= packed[w][:, dy:]
        if dz == 0:
            out |= plane
        else:
            out[dz:] |= plane[:-dz]
            out[:-dz] |= plane[dz:]
    return np.unpackbits(out, axis=2, count=mask.shape[2]).view(np.bool_)


def dilate(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Voxels within ``radius_mm`` of ``mask``."""
    out = np.zeros_like(mask)
    box = box_of(mask, _reach(radius_mm, spacing_mm))
    out[box] = _grown(mask[box], _ball_rows(radius_mm, spacing_mm))
    return out


def erode(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Voxels of ``mask`` farther than ``radius_mm`` from every voxel outside it.

    The array's border does not erode: what the scan cuts off is taken to go on.
    """
    out = np.zeros_like(mask)
    box = box_of(mask, (1, 1, 1))
    out[box] = ~_grown(~mask[box], _ball_rows(radius_mm, spacing_mm))
    return out


def stepped(mask: Mask, steps: int) -> Mask:
    """``mask`` and the voxels that at most ``steps`` steps through faces lead to."""
    rows = {dz: {dy: steps - dz - dy for dy in range(steps - dz + 1)} for dz in range(steps + 1)}
    return _grown(mask, rows)


def opened(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Erosion, then dilation: parts thinner than ``2 radius_mm`` vanish."""
    core = erode(mask, radius_mm, spacing_mm)
    return dilate(core, radius_mm, spacing_mm) & mask


def closed(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Dilation, then erosion: gaps narrower than ``2 radius_mm`` are filled."""
    return mask | erode(dilate(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def parts(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Face-connected components: labels (1..n, 0 outside) and voxel counts (index 0 = outside)."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    box = box_of(mask)
    ndi.label(mask[box], output=labels[box])
    counts = np.bincount(labels[mask], minlength=1)
    counts[0] = mask.size - counts.sum()
    return labels, counts


def chosen(mask: Mask, labels: NDArray[np.int32], keep: NDArray[np.bool_]) -> Mask:
    """Voxels of ``mask`` whose label of `parts` has ``keep``; quick where ``mask`` is sparse."""
    out = np.zeros(mask.shape, dtype=bool)
    where = np.flatnonzero(mask)
    out.reshape(-1)[where] = keep[labels.reshape(-1)[where]]
    return out


def largest_part(mask: Mask) -> Mask:
    """The largest face-connected component; empty if ``mask`` is."""
    labels, counts = parts(mask)
    if counts.size < 2:
        return np.zeros_like(mask)
    out: Mask = labels == 1 + int(np.argmax(counts[1:]))
    return out


def parts_of_at_least(mask: Mask, voxels: float) -> Mask:
    """Components with at least ``voxels`` voxels."""
    labels, counts = parts(mask)
    return chosen(mask, labels, counts >= voxels)


def touching(mask: Mask, seeds: Mask) -> Mask:
    """Components of ``mask`` that contain a voxel of ``seeds`` (hysteresis, reconstruction)."""
    labels, counts = parts(mask)
    keep = np.zeros(counts.size, dtype=bool)
    keep[labels[seeds & mask]] = True
    return chosen(mask, labels, keep)


def filled(mask: Mask) -> Mask:
    """Fill holes: background that no path through faces joins to the array's border."""
    box = box_of(mask)
    out = mask.copy()
    out[box] |= _enclosed(mask[box], ndi.generate_binary_structure(3, 1))
    return out


def filled_slices(mask: Mask) -> Mask:
    """Fill holes slice by slice."""
    box = box_of(mask)
    in_plane = ndi.generate_binary_structure(3, 1)
    in_plane[0] = in_plane[2] = False
    out = mask.copy()
    out[box] |= _enclosed(mask[box], in_plane)
    return out


def _enclosed(mask: Mask, structure: Mask) -> Mask:
    """Background of ``mask`` that is not joined to the array's border along ``structure``."""
    labels = np.empty(mask.shape, dtype=np.int32)
    count = ndi.label(~mask, structure, output=labels)
    open_ = np.zeros(count + 1, dtype=bool)
    open_[0] = True
    for axis in range(3):
        across = tuple(1 if a == axis else 0 for a in range(3))
        if structure[tuple(1 + n for n in across)]:
            for end in (0, -1):
                open_[np.take(labels, end, axis=axis)] = True
    out: Mask = ~open_[labels]
    return out
