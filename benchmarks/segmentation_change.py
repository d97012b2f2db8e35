"""Changes of a scan that leave its liver where it is: the perturbations of the envelope.

Each takes a `Case` and gives a `Case`; masks follow the same geometry (area average, one half).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.segmentation_cases import Case
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.phantom.noise import correlated_noise

#: In-plane blur of a soft kernel and of the mask that a sharp one adds back, mm.
SOFT_MM, SHARP_MM, SHARP_GAIN = 0.9, 0.9, 1.2


@dataclass(frozen=True)
class Change:
    """A named perturbation; ``crop`` ones are compared within the slices that are left."""

    name: str
    group: str
    apply: Callable[[Case], Case]


def noise_sd(volume: Volume, inside: NDArray[np.bool_]) -> float:
    """SD of the noise in the liver, HU: what a 5 x 5 in-plane median leaves, robustly.

    1.4826 MAD of the difference of each voxel to the median, over its share sqrt(1 - 1/n) for
    white noise; smooth structure cancels.
    """
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    part = volume.array[box].astype(np.float32)
    rest = part - ndimage.median_filter(part, (1, 7, 7))
    values = rest[ndimage.binary_erosion(inside[box], iterations=2)]
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def slices(thickness_mm: float) -> Change:
    """Slices of that thickness and spacing: slab averages, or interpolated when finer."""

    def apply(case: Case) -> Case:
        grid = case.volume.grid
        step = grid.spacing_mm[0]
        count = max(1, round(grid.shape[0] * step / thickness_mm))
        first = 0.5 * (grid.shape[0] * step - count * thickness_mm) / step - 0.5
        centres = first + (np.arange(count) + 0.5) * thickness_mm / step
        weight = _slab_weights(centres, thickness_mm / step, grid.shape[0])
        affine = grid.affine.copy()
        affine[:3, 3] = grid.index_to_lps([centres[0], 0, 0])
        affine[:3, 0] *= thickness_mm / step
        new = Grid((count, *grid.shape[1:]), affine, grid.frame_of_reference_uid)
        hu = np.tensordot(weight, case.volume.array.astype(np.float32), (1, 0))
        liver = np.tensordot(weight, case.liver.astype(np.float32), (1, 0)) >= 0.5
        return replace(case, volume=Volume(_int16(hu), new), liver=liver)

    return Change(f"slices of {thickness_mm:g} mm", "slices", apply)


def _slab_weights(centres: NDArray[np.float64], width: float, count: int) -> NDArray[np.float32]:
    """(new, old) overlap of each new slab with the old slices; linear where slabs are thinner."""
    half = 0.5 * max(width, 1.0)
    low, high = centres[:, None] - half, centres[:, None] + half
    index = np.arange(count)[None]
    overlap = np.clip(np.minimum(high, index + 0.5) - np.maximum(low, index - 0.5), 0.0, 1.0)
    out: NDArray[np.float32] = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    return out


def kernel(soft: bool) -> Change:
    """A softer (in-plane Gaussian) or sharper (unsharp mask, noise rises with it) kernel."""

    def apply(case: Case) -> Case:
        hu = case.volume.array.astype(np.float32)
        size = SOFT_MM if soft else SHARP_MM
        sigma = [0.0, *(size / s for s in case.volume.grid.spacing_mm[1:])]
        blurred = ndimage.gaussian_filter(hu, sigma)
        return _with(case, blurred if soft else hu + SHARP_GAIN * (hu - blurred))

    return Change("soft kernel" if soft else "sharp kernel", "kernel", apply)


def noise(factor: float) -> Change:
    """Noise times ``factor``: added with a CT's spectrum, or halved towards a curvature flow."""

    def apply(case: Case) -> Case:
        hu = case.volume.array.astype(np.float32)
        if factor < 1.0:
            smooth = sitk.GetArrayFromImage(
                sitk.CurvatureFlow(sitk.GetImageFromArray(np.clip(hu, -200, 400)), 0.06, 8)
            )
            near = (hu > -200) & (hu < 400)
            return _with(case, np.where(near, smooth + factor * (hu - smooth), hu))
        sd = noise_sd(case.volume, case.liver) * np.sqrt(factor**2 - 1.0)
        grid = case.volume.grid
        added = correlated_noise(grid.shape, grid.spacing_mm, sd, np.random.default_rng(17))
        return _with(case, hu + added)

    return Change(f"noise x {factor:g}", "noise", apply)


def cropped(end: str, share: float) -> Change:
    """The scan ends inside the liver: ``share`` of its height is missing at the top or bottom."""

    def apply(case: Case) -> Case:
        rows = np.flatnonzero(case.liver.any(axis=(1, 2)))
        lost = round(share * rows.size)
        n = case.liver.shape[0]
        part = slice(0, int(rows[-1]) + 1 - lost) if end == "top" else slice(rows[0] + lost, n)
        return _cut(case, part)

    return Change(f"{end} {100 * share:.0f} % of the liver cut off", f"crop {end}", apply)


def _cut(case: Case, part: slice) -> Case:
    grid = case.volume.grid
    stop = part.stop or grid.shape[0]
    new = grid.crop((part.start, 0, 0), (stop - part.start, *grid.shape[1:]))
    return replace(case, volume=Volume(case.volume.array[part], new), liver=case.liver[part].copy())


def shifted() -> Change:
    """Another origin, and the patient off the centre of a wider field: air on two sides."""

    def apply(case: Case) -> Case:
        grid = case.volume.grid
        pad = [(0, 0), (0, round(40 / grid.spacing_mm[1])), (round(60 / grid.spacing_mm[2]), 0)]
        hu = np.pad(case.volume.array, pad, constant_values=-1000)
        affine = grid.affine.copy()
        affine[:3, 3] = grid.index_to_lps([0, 0, -pad[2][0]]) + np.array([137.0, -252.0, 810.0])
        new = Grid(hu.shape, affine, None)
        return replace(case, volume=Volume(hu, new), liver=np.pad(case.liver, pad))

    return Change("shifted in the field and in space", "orientation", apply)


def reordered(name: str, order: tuple[int, int, int], flips: tuple[int, ...]) -> Change:
    """The same voxels stored along other axes, with the affine that says so."""

    def apply(case: Case) -> Case:
        grid = case.volume.grid
        affine = grid.affine.copy()
        affine[:, :3] = affine[:, :3][:, list(order)]
        hu, liver = (a.transpose(order) for a in (case.volume.array, case.liver))
        for axis in flips:
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1.0
        new = Grid(hu.shape, affine, grid.frame_of_reference_uid)
        hu, liver = (np.ascontiguousarray(np.flip(a, flips)) for a in (hu, liver))
        return replace(case, volume=Volume(hu, new), liver=liver)

    return Change(name, "orientation", apply)


def rolled(degrees: float) -> Change:
    """The patient lies rolled about the body's axis (linear interpolation in plane)."""

    def apply(case: Case) -> Case:
        def turn(a: NDArray[np.float32], fill: float) -> NDArray[np.float32]:
            out: NDArray[np.float32] = ndimage.rotate(
                a, degrees, (1, 2), reshape=False, order=1, cval=fill, output=np.float32
            )
            return out

        hu = turn(case.volume.array.astype(np.float32), -1000.0)
        liver = turn(case.liver.astype(np.float32), 0.0) >= 0.5
        return replace(_with(case, hu), liver=liver)

    return Change(f"rolled by {degrees:g} degrees", "orientation", apply)


def table() -> Change:
    """A curved table of foam between two plates under the back, cutting off nothing."""

    def apply(case: Case) -> Case:
        grid = case.volume.grid
        _, dy, dx = grid.spacing_mm
        extra = round(60 / dy)
        hu = np.pad(case.volume.array.astype(np.float32), [(0, 0), (0, extra), (0, 0)],
                    constant_values=-1000.0)  # fmt: skip
        liver = np.pad(case.liver, [(0, 0), (0, extra), (0, 0)])
        body = _trunk(hu, grid)
        rows = np.flatnonzero(body.any(axis=(0, 2)))
        columns = np.flatnonzero(body.any(axis=(0, 1)))
        x = (np.arange(hu.shape[2]) - columns.mean()) * dx
        top = rows[-1] * dy + 2.0 - 6.0 * (x / 200.0) ** 2
        depth = np.arange(hu.shape[1])[:, None] * dy - top[None]
        for low, high, value in ((0.0, 14.0, -120.0), (0.0, 2.0, 90.0), (12.0, 14.0, 90.0)):
            plate = (depth >= low) & (depth < high) & (np.abs(x) < 205.0)[None]
            hu = np.where(plate[None] & ~body, value, hu)
        new = Grid(hu.shape, grid.affine, grid.frame_of_reference_uid)
        return replace(case, volume=Volume(_int16(hu), new), liver=liver)

    return Change("another table in view", "table", apply)


def _trunk(hu: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    """The patient without the old table: the largest part after an opening of 8 mm, per slice."""
    out = np.zeros(hu.shape, dtype=bool)
    radius = [max(1, round(8 / s)) for s in grid.spacing_mm[1:]]
    for k, plane in enumerate(hu):
        parts, count = ndimage.label(
            ndimage.minimum_filter(ndimage.uniform_filter(plane, 3), radius) > -300
        )
        if count:
            biggest = np.bincount(parts.reshape(-1))[1:].argmax() + 1
            grown = ndimage.binary_dilation(parts == biggest, iterations=max(radius))
            out[k] = ndimage.binary_fill_holes(grown & (plane > -500))
    return out


def _with(case: Case, hu: NDArray[np.floating]) -> Case:
    return replace(case, volume=Volume(_int16(hu), case.volume.grid))


def _int16(hu: NDArray[np.floating]) -> NDArray[np.int16]:
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)


CHANGES: tuple[Change, ...] = (
    *(slices(float(t)) for t in (1, 2, 3, 4, 5)),
    kernel(soft=True),
    kernel(soft=False),
    *(noise(f) for f in (0.5, 1.5, 2.0, 3.0)),
    cropped("top", 0.1),
    cropped("top", 0.25),
    cropped("bottom", 0.1),
    cropped("bottom", 0.25),
    shifted(),
    reordered("slices from head to feet, columns flipped", (0, 1, 2), (0, 2)),
    reordered("stored as sagittal slices", (2, 0, 1), (0, 1)),
    rolled(8.0),
    table(),
)
QUICK = ("slices of 5 mm", "sharp kernel", "noise x 2", "top 10 % of the liver cut off",
         "stored as sagittal slices")  # fmt: skip
