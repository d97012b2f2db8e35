"""Slices sorted by position into a regular grid, with every way that can fail named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.dicom.slices import Slice
from irplan.errors import DicomError

#: Slices closer than this along the normal are at the same position, mm.
DUPLICATE_TOLERANCE_MM = 0.01
#: A slice may lie this far from its regular place along the normal or sideways, mm: scanners
#: round positions to 0.1 mm, and a tenth of a millimetre is below any needle's accuracy.
POSITION_TOLERANCE_MM = 0.1
#: Gap to the next slice, in units of the usual spacing, from which slices count as missing.
MISSING_FACTOR = 1.5
#: Largest change of a direction cosine from slice to slice (0.03 mm at 300 mm).
ORIENTATION_TOLERANCE = 1e-4
#: Largest cosine between row and column, and largest error of their length.
ORTHONORMAL_TOLERANCE = 1e-3
#: Largest difference of pixel spacing from slice to slice, mm (0.05 mm over 512 pixels).
PIXEL_SPACING_TOLERANCE_MM = 1e-4


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order along (columns x rows), and the affine from (slice, row, column) to LPS."""

    slices: tuple[Slice, ...]
    affine: NDArray[np.float64]
    largest_jitter_mm: float


def stack_slices(
    slices: list[Slice], *, name: str, same_pixels: Callable[[Slice, Slice], bool]
) -> Stack:
    """Sort ``slices`` by position along their normal and check that they form a grid.

    ``same_pixels`` tells whether two slices hold the same image (asked only for duplicates).
    Raises `DicomError`: one slice, sizes, pixel spacing, orientation or frame of reference that
    change, duplicates, missing slices (and where), gantry tilt, irregular positions.
    """
    if len(slices) < 2:
        raise DicomError(
            f"series '{name}'",
            got="a single slice" if slices else "no slice",
            expected="a volume of at least 2 slices",
            remedy="Give the folder with all slices of the series.",
        )
    _require_alike(slices, name)
    along_columns, along_rows = _directions(slices[0])
    normal = np.cross(along_columns, along_rows)
    positions = np.array([s.position_mm for s in slices])
    order = np.argsort(positions @ normal, kind="stable")
    ordered = tuple(slices[i] for i in order)
    positions = positions[order]
    height = positions @ normal
    where = _where(normal)
    gaps = np.diff(height)
    _require_no_duplicates(ordered, gaps, height, name, where, same_pixels)
    _require_no_gaps(gaps, height, name, where)
    count = len(ordered)
    step = float(height[-1] - height[0]) / (count - 1)
    _require_upright(positions, height, along_columns, along_rows, name)
    jitter = float(np.abs(height - (height[0] + step * np.arange(count))).max())
    if jitter > POSITION_TOLERANCE_MM:
        raise DicomError(
            f"series '{name}', slice positions",
            got=f"gaps from {gaps.min():.3f} to {gaps.max():.3f} mm",
            expected=f"equal gaps (each slice within {POSITION_TOLERANCE_MM} mm of its place)",
            remedy="Export one reconstruction with one slice spacing.",
        )
    affine = np.eye(4)
    affine[:3, 0] = normal * step
    affine[:3, 1] = along_rows * slices[0].pixel_mm[0]
    affine[:3, 2] = along_columns * slices[0].pixel_mm[1]
    affine[:3, 3] = (positions - np.outer(np.arange(count), normal * step)).mean(axis=0)
    return Stack(ordered, affine, jitter)


def _directions(one: Slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors of growing column and row index, made exactly perpendicular."""
    columns, rows = np.array(one.along_columns), np.array(one.along_rows)
    lengths = np.array([np.linalg.norm(columns), np.linalg.norm(rows)])
    skew = abs(float(columns @ rows))
    if np.abs(lengths - 1).max() > ORTHONORMAL_TOLERANCE or skew > ORTHONORMAL_TOLERANCE:
        raise DicomError(
            f"DICOM file '{one.file.name}', ImageOrientationPatient",
            got=f"vectors of length {lengths[0]:.4f} and {lengths[1]:.4f}, cosine {skew:.4f}",
            expected="two perpendicular unit vectors",
            remedy="Export the series again.",
        )
    columns = columns / lengths[0]
    rows = rows - (rows @ columns) * columns
    return columns, rows / np.linalg.norm(rows)


def _require_alike(slices: list[Slice], name: str) -> None:
    first = slices[0]
    for other in slices[1:]:
        turn = np.abs(
            np.array(other.along_columns + other.along_rows)
            - np.array(first.along_columns + first.along_rows)
        ).max()
        pixel = np.abs(np.array(other.pixel_mm) - np.array(first.pixel_mm)).max()
        problem = ""
        if other.shape != first.shape:
            problem = f"{_size(first.shape)} and {_size(other.shape)} pixels"
            what = "one image size"
        elif turn > ORIENTATION_TOLERANCE:
            problem = f"orientations that differ by {np.degrees(turn):.2f} deg or more"
            what = "one ImageOrientationPatient"
        elif pixel > PIXEL_SPACING_TOLERANCE_MM:
            problem = f"{first.pixel_mm[0]:g} and {other.pixel_mm[0]:g} mm"
            what = "one PixelSpacing"
        elif other.frame_of_reference_uid != first.frame_of_reference_uid:
            problem = "two frames of reference"
            what = "one FrameOfReferenceUID"
        if problem:
            raise DicomError(
                f"series '{name}', files '{first.file.name}' and '{other.file.name}'",
                got=problem,
                expected=f"{what} in all slices",
                remedy="Two acquisitions share one series; export the one to plan on alone.",
            )


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _where(normal: NDArray[np.float64]) -> str:
    return "z" if abs(normal[2]) > 0.999 else "position along the normal"


def _require_no_duplicates(
    ordered: tuple[Slice, ...],
    gaps: NDArray[np.float64],
    height: NDArray[np.float64],
    name: str,
    where: str,
    same_pixels: Callable[[Slice, Slice], bool],
) -> None:
    twice = np.flatnonzero(gaps < DUPLICATE_TOLERANCE_MM)
    if twice.size == 0:
        return
    at = int(twice[0])
    a, b = ordered[at], ordered[at + 1]
    equal = same_pixels(a, b)
    files = f"'{a.file.name}' and '{b.file.name}'"
    if a.file == b.file:
        files = f"frames {a.frame} and {b.frame} of '{a.file.name}'"
    raise DicomError(
        f"series '{name}', slice positions",
        got=f"{twice.size} position{'s' if twice.size > 1 else ''} with more than one slice, "
        f"first at {where} = {height[at]:.2f} mm: {files}, "
        + ("with equal pixels" if equal else "with different pixels"),
        expected="one slice at each position",
        remedy="Remove the copies."
        if equal
        else "Two phases or reconstructions share one series; export one of them alone.",
    )


def _require_no_gaps(
    gaps: NDArray[np.float64], height: NDArray[np.float64], name: str, where: str
) -> None:
    usual = float(np.median(gaps))
    holes = np.flatnonzero(gaps > MISSING_FACTOR * usual)
    if holes.size == 0:
        return
    places = [
        f"{max(1, round(gaps[i] / usual) - 1)} between {where} = {height[i]:.2f} "
        f"and {height[i + 1]:.2f} mm"
        for i in holes[:3]
    ]
    more = f" and {holes.size - 3} more gaps" if holes.size > 3 else ""
    raise DicomError(
        f"series '{name}', slice positions",
        got=f"missing slices: {', '.join(places)}{more}",
        expected=f"a slice every {usual:.3f} mm",
        remedy="Export or copy the series again; irplan does not fill gaps.",
    )


def _require_upright(
    positions: NDArray[np.float64],
    height: NDArray[np.float64],
    along_columns: NDArray[np.float64],
    along_rows: NDArray[np.float64],
    name: str,
) -> None:
    """Every slice straight above the first: no gantry tilt, no slice shifted sideways."""
    sideways = np.stack([positions @ along_columns, positions @ along_rows], axis=1)
    sideways = sideways - sideways[0]
    if np.abs(sideways).max() <= POSITION_TOLERANCE_MM:
        return
    slope = sideways[-1] / (height[-1] - height[0])
    straight = np.outer(height - height[0], slope)
    if np.abs(sideways - straight).max() <= POSITION_TOLERANCE_MM:
        tilt = float(np.degrees(np.arctan(np.linalg.norm(slope))))
        raise DicomError(
            f"series '{name}'",
            got=f"slices stacked {tilt:.2f} deg askew (gantry tilt)",
            expected="slices stacked along their normal",
            remedy="Reformat it on the scanner, or resample it to an upright grid first.",
        )
    worst = int(np.argmax(np.abs(sideways - straight).max(axis=1)))
    raise DicomError(
        f"series '{name}', slice positions",
        got=f"slices shifted sideways, by up to {np.abs(sideways).max():.2f} mm "
        f"(slice {worst + 1} of {len(height)})",
        expected="slices stacked along their normal",
        remedy="Export one reconstruction with one field of view.",
    )
