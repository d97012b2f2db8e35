"""DICOM segmentations in: segments as masks, on their own grid or on an image's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from irplan.dicom.pixels import read_pixels
from irplan.dicom.reading import number, numbers, read_dataset, sound, text
from irplan.dicom.segmentation_codes import known_label, read_code
from irplan.errors import DicomError, GridMismatchError, InputError
from irplan.geometry import Grid
from irplan.geometry.orientation import UPRIGHT, reorder_axes
from irplan.image.labels import Code

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
#: A frame may lie this far from a slice of the grid, mm (writers round positions to 0.001 mm
#: over a scan's length; a tenth is below any needle's accuracy).
PLANE_TOLERANCE_MM = 0.1


@dataclass(frozen=True)
class Segment:
    """One segment: ``number``, the writer's ``label``, irplan's ``name`` (the label where its
    code is not one of irplan's structures), its ``code`` and the ``algorithm`` in words.
    """

    number: int
    label: str
    name: str
    code: Code | None
    algorithm: str


@dataclass(frozen=True, eq=False)
class SegmentationFile:
    """The segments of a SEG file and the smallest ``grid`` that holds every frame."""

    file: str
    segments: tuple[Segment, ...]
    grid: Grid
    frame_of_reference_uid: str | None
    _planes: tuple[tuple[int, int, NDArray[np.bool_]], ...]
    """(segment number, slice on ``_native``, pixels)."""
    _native: Grid

    def mask(self, name: str | int, grid: Grid | None = None) -> NDArray[np.bool_]:
        """The segment of that name or number as bool, on ``grid`` (default: its own).

        ``grid`` may reach further than the file's and order its axes otherwise, but its voxels
        must be the file's to 0.1 mm, else `GridMismatchError`; nothing is resampled.
        """
        segment = self.segment(name)
        native = np.zeros(self._native.shape, dtype=bool)
        for at, plane, pixels in self._planes:
            if at == segment.number:
                native[plane] |= pixels
        target = self.grid if grid is None else grid
        array, affine = reorder_axes(native, self._native.affine, target.direction)
        own = Grid((array.shape[0], array.shape[1], array.shape[2]), affine)
        return placed(array, own, target, field=f"segmentation '{self.file}'")

    def segment(self, name: str | int) -> Segment:
        """The `Segment` of that name or number; `InputError` lists what there is."""
        found = [s for s in self.segments if name in (s.number, s.name, s.label)]
        if len(found) == 1:
            return found[0]
        raise InputError(
            f"segment of '{self.file}'",
            got=f"{name!r}, which fits {len(found)} segments",
            expected="one of " + ", ".join(f"{s.number} ({s.name})" for s in self.segments),
            remedy="Give one of these names or numbers.",
        )


def is_segmentation(path: str | Path) -> bool:
    """Whether the DICOM file is a segmentation (binary, fractional or label map)."""
    data = read_dataset(Path(path), pixels=False, tags=("SOPClassUID",))
    return text(data, "SOPClassUID") in SEGMENTATION_CLASSES


def read_segmentation(path: str | Path) -> SegmentationFile:
    """Read a SEG file of any writer: binary, fractional (one half and more counts), label map.

    Raises `DicomError`: not a SEG, truncated, frames without place, in several orientations or
    off a regular stack.
    """
    with sound(Path(path)):
        return _read(Path(path))


def _read(file: Path) -> SegmentationFile:
    data = read_dataset(file)
    field = f"segmentation '{file.name}'"
    if text(data, "SOPClassUID") not in SEGMENTATION_CLASSES:
        raise DicomError(
            field,
            got=f"a DICOM object of another kind (modality {text(data, 'Modality') or '?'})",
            expected="a DICOM segmentation (SEG)",
            remedy="Give the SEG file.",
        )
    segments = _segments(data, field)
    pixels = read_pixels(file).array
    groups = data.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != len(pixels):
        raise DicomError(
            field,
            got=f"{len(pixels)} frames and the places of {len(groups)}",
            expected="a place for every frame",
            remedy="The file is damaged; export it again.",
        )
    shared = (data.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    places = [_place(group, shared, field) for group in groups]
    native, slices = _grid(places, shared, groups, pixels.shape[1:], data, field)
    planes = _planes(data, groups, shared, segments, pixels, slices)
    frame = text(data, "FrameOfReferenceUID") or None
    array, affine = reorder_axes(np.empty(native.shape, dtype=bool), native.affine, UPRIGHT)
    upright = Grid((array.shape[0], array.shape[1], array.shape[2]), affine, frame)
    return SegmentationFile(file.name, segments, upright, frame, planes, native)


def placed(array: NDArray[np.bool_], own: Grid, target: Grid, *, field: str) -> NDArray[np.bool_]:
    """``array`` on ``target``, shifted by whole voxels; axes must agree (see `reorder_axes`)."""
    shift = target.lps_to_index(own.index_to_lps((0, 0, 0)))
    whole = np.rint(shift)
    ends = np.array([[0, 0, 0], np.array(own.shape) - 1])
    gap = target.index_to_lps(ends + whole) - own.index_to_lps(ends)
    if float(np.abs(gap).max()) > PLANE_TOLERANCE_MM:
        own_end = own.crop((0, 0, 0), own.shape)
        target.require_same(own_end, field=field)
    low = whole.astype(int)
    out = np.zeros(target.shape, dtype=bool)
    into, taken = [], []
    for axis in range(3):
        start, stop = max(0, low[axis]), min(target.shape[axis], low[axis] + own.shape[axis])
        into.append(slice(start, max(start, stop)))
        taken.append(slice(start - low[axis], max(start, stop) - low[axis]))
    out[tuple(into)] = array[tuple(taken)]
    if int(np.count_nonzero(out)) != int(np.count_nonzero(array)):
        raise GridMismatchError(
            field,
            got="voxels outside the image's grid",
            expected="a segmentation within the image",
            remedy="It was drawn on a longer scan; give that one.",
        )
    return out


def _segments(data: Dataset, field: str) -> tuple[Segment, ...]:
    out = []
    for item in data.get("SegmentSequence") or []:
        kind = read_code(item, "SegmentedPropertyTypeCodeSequence")
        side = None
        if item.get("SegmentedPropertyTypeCodeSequence"):
            of_type = item.SegmentedPropertyTypeCodeSequence[0]
            side = read_code(of_type, "SegmentedPropertyTypeModifierCodeSequence")
        known = known_label(kind, side)
        at = int(number(item, "SegmentNumber") or 0)
        label = text(item, "SegmentLabel") or f"segment {at}"
        made_by = f"{text(item, 'SegmentAlgorithmType')} {text(item, 'SegmentAlgorithmName')}"
        out.append(Segment(at, label, known.name if known else label, kind, made_by.strip()))
    out = [s for s in out if s.number > 0]
    if not out:
        raise DicomError(
            field,
            got="no segment",
            expected="at least one segment",
            remedy="Export the segmentation again.",
        )
    names = [s.name for s in out]
    return tuple(
        s if names.count(s.name) == 1 else Segment(s.number, s.label, s.label, s.code, s.algorithm)
        for s in out
    )


def _group(item: Dataset, shared: Dataset, keyword: str) -> Dataset:
    for source in (item, shared):
        found = source.get(keyword)
        if found:
            first: Dataset = found[0]
            return first
    return Dataset()


def _place(
    group: Dataset, shared: Dataset, field: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    position = numbers(_group(group, shared, "PlanePositionSequence"), "ImagePositionPatient", 3)
    turned = numbers(
        _group(group, shared, "PlaneOrientationSequence"), "ImageOrientationPatient", 6
    )
    if position is None or turned is None:
        raise DicomError(
            field,
            got="a frame without position or orientation",
            expected="frames placed in the patient",
            remedy="irplan reads segmentations of CT and MR slices, not of slides.",
        )
    return np.array(position), np.array(turned)


def _grid(
    places: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    shared: Dataset,
    groups: list[Dataset],
    size: tuple[int, ...],
    data: Dataset,
    field: str,
) -> tuple[Grid, list[int]]:
    """The stack of all frames, and the slice number of each frame on it."""
    turns = np.array([t for _, t in places])
    measures = _group(groups[0], shared, "PixelMeasuresSequence")
    pixel = numbers(measures, "PixelSpacing", 2)
    if np.abs(turns - turns[0]).max() > 1e-4 or pixel is None or min(pixel) <= 0:
        raise DicomError(
            field,
            got="frames in several orientations, or without pixel spacing",
            expected="parallel frames of one pixel size",
            remedy="Export one segmentation a series.",
        )
    columns, rows = turns[0][:3], turns[0][3:]
    normal = np.cross(columns, rows)
    positions = np.array([p for p, _ in places])
    heights = positions @ normal
    step = _step(np.unique(np.round(heights, 3)), measures)
    slices = np.rint((heights - heights.min()) / (step or 1.0))
    off = np.abs(heights - heights.min() - slices * (step or 1.0)).max()
    lateral = positions - np.outer(heights, normal)
    if step is None or step <= 0 or max(off, np.ptp(lateral, axis=0).max()) > PLANE_TOLERANCE_MM:
        raise DicomError(
            field,
            got="frames that are not on one regular stack of slices",
            expected="frames at equal steps along their normal",
            remedy="Export the segmentation again, on its source's slices.",
        )
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = normal * step, rows * pixel[0], columns * pixel[1]
    affine[:3, 3] = positions[int(np.argmin(heights))]
    shape = (int(slices.max()) + 1, int(size[0]), int(size[1]))
    frame = text(data, "FrameOfReferenceUID") or None
    return Grid(shape, affine, frame), [int(s) for s in slices]


def _step(heights: NDArray[np.float64], measures: Dataset) -> float | None:
    """Slice step, mm: what the header says where the frames fit it, else their smallest gap.

    Empty frames are left out of a SEG, so that neither alone is safe.
    """
    said = number(measures, "SpacingBetweenSlices"), number(measures, "SliceThickness")
    if len(heights) < 2:
        return said[0] or said[1]
    span = float(heights[-1] - heights[0])
    for step in (said[0], float(np.diff(heights).min())):
        if step is None or step <= 0:
            continue
        exact = span / max(1, round(span / step))
        steps = (heights - heights[0]) / exact
        if np.abs(steps - np.rint(steps)).max() * exact <= PLANE_TOLERANCE_MM:
            return exact
    return None


def _planes(
    data: Dataset,
    groups: list[Dataset],
    shared: Dataset,
    segments: tuple[Segment, ...],
    pixels: NDArray[np.integer],
    slices: list[int],
) -> tuple[tuple[int, int, NDArray[np.bool_]], ...]:
    kind = text(data, "SegmentationType").upper()
    out: list[tuple[int, int, NDArray[np.bool_]]] = []
    half = (number(data, "MaximumFractionalValue") or 1.0) / 2.0
    for group, plane, at in zip(groups, pixels, slices, strict=True):
        if kind == "LABELMAP":
            present = set(np.unique(plane).tolist())
            out += [(s.number, at, plane == s.number) for s in segments if s.number in present]
            continue
        identity = _group(group, shared, "SegmentIdentificationSequence")
        segment = int(number(identity, "ReferencedSegmentNumber") or 0)
        out.append((segment, at, plane >= half if kind == "FRACTIONAL" else plane != 0))
    return tuple(out)
