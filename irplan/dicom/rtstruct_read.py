"""RT structure sets in: contours filled on an image's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from irplan.dicom.reading import READ_ERRORS, number, numbers, quiet, read_dataset, text
from irplan.errors import DicomError, GridMismatchError, InputError
from irplan.geometry import Grid
from irplan.image.labels import Code, Label, LabelMap
from irplan.image.structures import STRUCTURES

_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
#: A contour may lie this far from its slice, mm (writers round to 0.01 mm).
PLANE_TOLERANCE_MM = 0.1
#: Points of one structure set; more is damage (a whole-body contour at 0.1 mm has 2e6).
MOST_POINTS = 20_000_000
#: Values of structures that irplan has no name for begin here.
_FREE_VALUE = 200


@dataclass(frozen=True, eq=False)
class RtStructures:
    """Structures of one file as ``masks`` (bool, on ``grid``) by the file's ``names``, in order.

    ``notes`` says what was left out: structures without closed contours.
    """

    names: tuple[str, ...]
    masks: tuple[NDArray[np.bool_], ...]
    grid: Grid
    notes: tuple[str, ...]

    def label_map(self) -> LabelMap:
        """All structures in one label map; where they overlap the later one covers.

        A structure keeps irplan's label where its name is one of irplan's, else it gets a free
        value.  Raises `InputError` for more than 55 of those.
        """
        known = {s.name: s for s in STRUCTURES}
        pairs: list[tuple[Label, NDArray[np.bool_]]] = []
        free = _FREE_VALUE
        for at, (name, mask) in enumerate(zip(self.names, self.masks, strict=True)):
            label = known.get(name.strip().lower().replace(" ", "_"))
            if label is None or any(label.name == p[0].name for p in pairs):
                if free > 255:
                    raise InputError(
                        "structures",
                        got=f"{len(self.names)}",
                        expected="at most 55 that irplan has no name for",
                        remedy="Read the masks one by one.",
                    )
                shown = name if all(p[0].name != name for p in pairs) else f"{name} ({at + 1})"
                label = Label(free, shown, Code(f"ROI{at + 1}", "99IRPLAN", name), (200, 160, 60))
                free += 1
            pairs.append((label, mask))
        return LabelMap.from_masks(self.grid, pairs)


def is_rtstruct(path: str | Path) -> bool:
    """Whether the DICOM file is an RT structure set."""
    return text(read_dataset(Path(path), pixels=False, tags=("SOPClassUID",)), "SOPClassUID") == (
        _RTSTRUCT
    )


def read_rtstruct(path: str | Path, grid: Grid) -> RtStructures:
    """Fill the closed planar contours of an RTSTRUCT on ``grid``, the image they were drawn on.

    A voxel belongs to a structure when its centre lies inside: even-odd over all contours of a
    slice, so a contour within another cuts a hole, and a keyhole works as drawn.  A centre exactly
    on an edge counts on the lower side only.  Contours must lie on the image's slices to 0.1 mm;
    nothing is interpolated between slices.

    Raises
    ------
    DicomError : not an RTSTRUCT, damaged, no contour, or no closed planar one.
    GridMismatchError : another frame of reference, or contours off the image's slices or outside.
    """
    file = Path(path)
    field = f"structures '{file.name}'"
    try:
        with quiet():
            return _structures(file, grid, field)
    except (OSError, RuntimeError, *READ_ERRORS) as error:
        raise _damaged(field, f"damaged data ({type(error).__name__})") from error


def _structures(file: Path, grid: Grid, field: str) -> RtStructures:
    data = read_dataset(file)
    if text(data, "SOPClassUID") != _RTSTRUCT:
        raise DicomError(
            field,
            got=f"a DICOM object of another kind (modality {text(data, 'Modality') or '?'})",
            expected="an RT structure set",
            remedy="Give the RTSTRUCT file.",
        )
    rois = {int(number(r, "ROINumber") or 0): r for r in data.get("StructureSetROISequence") or []}
    names, masks, notes, points = [], [], [], 0
    for item in data.get("ROIContourSequence") or []:
        at = int(number(item, "ReferencedROINumber") or 0)
        roi = rois.get(at, Dataset())
        name = text(roi, "ROIName") or f"structure {at}"
        _require_frame(text(roi, "ReferencedFrameOfReferenceUID"), grid, field)
        mask = np.zeros(grid.shape, dtype=bool)
        filled = 0
        for contour in item.get("ContourSequence") or []:
            if text(contour, "ContourGeometricType").upper() != "CLOSED_PLANAR":
                continue
            count = int(number(contour, "NumberOfContourPoints") or 0)
            points += count
            if points > MOST_POINTS:
                raise _damaged(field, f"more than {MOST_POINTS} contour points")
            values = numbers(contour, "ContourData", 3 * count)
            if values is None or count < 3:
                raise _damaged(field, "a contour that is not what it says it is")
            _fill(mask, np.array(values).reshape(-1, 3), grid, field)
            filled += 1
        if filled:
            names.append(name)
            masks.append(mask)
        else:
            notes.append(f"Structure {at} has no closed planar contour and was left out.")
    if not names:
        raise _damaged(field, "no closed planar contour")
    return RtStructures(tuple(names), tuple(masks), grid, tuple(notes))


def fill_polygon(corners: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of ``shape`` (row, column) whose centres lie inside a polygon, even-odd.

    ``corners`` (n, 2) are rows and columns in pixels, closed by itself.  Each row is cut with
    every edge that crosses it (lower end in, upper end out), and filled between pairs of cuts.
    """
    out = np.zeros(shape, dtype=bool)
    start, end = corners, np.roll(corners, -1, axis=0)
    low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first, last = max(0, int(np.ceil(low.min()))), min(shape[0] - 1, int(np.floor(high.max())))
    for row in range(first, last + 1):
        crossing = (low <= row) & (row < high)
        if not crossing.any():
            continue
        a, b = start[crossing], end[crossing]
        cuts = np.sort(a[:, 1] + (row - a[:, 0]) * (b[:, 1] - a[:, 1]) / (b[:, 0] - a[:, 0]))
        edges = np.clip(np.ceil(cuts), 0, shape[1]).astype(int)
        for left, right in edges.reshape(-1, 2):
            out[row, left:right] ^= True
    return out


def _fill(mask: NDArray[np.bool_], points: NDArray[np.float64], grid: Grid, field: str) -> None:
    index = np.array([grid.lps_to_index((float(x), float(y), float(z))) for x, y, z in points])
    spread = np.ptp(index, axis=0) * np.linalg.norm(grid.affine[:3, :3], axis=0)
    axis = int(np.argmin(spread))
    plane = float(np.rint(np.median(index[:, axis])))
    step = float(np.linalg.norm(grid.affine[:3, axis]))
    off = float(np.abs(index[:, axis] - plane).max()) * step
    if off > PLANE_TOLERANCE_MM or not 0 <= plane < grid.shape[axis]:
        raise GridMismatchError(
            field,
            got=f"a contour {off:.2f} mm off the image's slices"
            if off > PLANE_TOLERANCE_MM
            else "a contour outside the image",
            expected=f"contours on its slices, to {PLANE_TOLERANCE_MM:g} mm",
            remedy="Give the image that the structures were drawn on.",
        )
    others = [a for a in range(3) if a != axis]
    shape = (grid.shape[others[0]], grid.shape[others[1]])
    at: list[int | slice] = [slice(None)] * 3
    at[axis] = int(plane)
    mask[tuple(at)] ^= fill_polygon(index[:, others], shape)


def _require_frame(frame: str, grid: Grid, field: str) -> None:
    if frame and grid.frame_of_reference_uid and frame != grid.frame_of_reference_uid:
        raise GridMismatchError(
            field,
            got="structures in another frame of reference",
            expected="the frame of the image",
            remedy="Give the image that they were drawn on.",
        )


def _damaged(field: str, got: str) -> DicomError:
    return DicomError(
        field,
        got=got,
        expected="closed planar contours of at least three points",
        remedy="Export the structures again.",
    )
