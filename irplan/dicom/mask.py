"""A mask stored as a DICOM series, on the grid of the image it belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress, portion
from irplan.dicom.find import choose_series, find_series
from irplan.dicom.pixels import read_pixels, same_pixels
from irplan.dicom.slices import slices_of
from irplan.dicom.stack import stack_slices
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.geometry.orientation import reorder_axes


def read_mask(
    path: str | Path,
    grid: Grid,
    *,
    series_uid: str | None = None,
    progress: Progress = no_progress,
) -> NDArray[np.bool_]:
    """Bool (slice, row, column) on ``grid``: True where the series is not zero (after rescale).

    Any modality.  Slices are sorted and checked as in `read_series`, and must be the voxels of
    ``grid`` to 0.001 mm, else `GridMismatchError`.  Tolerance: tools that draw masks often give
    them a new frame of reference; a differing UID is accepted where the voxels agree, and noted
    by `load_mask`.  Raises `InputError` for a mask without any zero, `DicomError` otherwise.
    """
    return load_mask(path, grid, series_uid=series_uid, progress=progress)[0]


def load_mask(
    path: str | Path,
    grid: Grid,
    *,
    series_uid: str | None = None,
    progress: Progress = no_progress,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """`read_mask` and what had to be assumed (frame of reference, values)."""
    found = find_series(path, progress=portion(progress, 0.0, 0.4))
    series, _ = choose_series(found, series_uid=series_uid, modalities=None)
    stack = stack_slices(slices_of(series), name=found.name, same_pixels=same_pixels)
    mask = np.empty((len(stack.slices), *stack.slices[0].shape), dtype=bool)
    values: set[float] = set()
    held = None
    for index, one in enumerate(stack.slices):
        progress(0.4 + 0.6 * index / len(stack.slices), "reading the mask")
        if held is None or held[0] != one.file:
            held = (one.file, read_pixels(one.file))
        slope, intercept = (1.0, 0.0) if held[1].rescaled else one.scale
        stored = held[1].array[one.frame or 0]
        zero = -intercept / slope
        mask[index] = stored != zero
        if len(values) <= 4:
            values.update(float(v) * slope + intercept for v in np.unique(stored[mask[index]]))
    if mask.all():
        raise InputError(
            f"mask '{found.name}'",
            got="a series that is nowhere zero",
            expected="0 outside the structure",
            remedy="Give the mask, not the image.",
        )
    mask, affine = reorder_axes(mask, stack.affine, grid.direction)
    frame = stack.slices[0].frame_of_reference_uid
    own = Grid((mask.shape[0], mask.shape[1], mask.shape[2]), affine)
    notes = list(found.left_aside())
    grid.require_same(own, field=f"mask '{found.name}'")
    if frame and grid.frame_of_reference_uid and frame != grid.frame_of_reference_uid:
        notes.append(
            "The mask names another frame of reference than the image; it was accepted because "
            "its voxels lie where the image's do, to 0.001 mm."
        )
    if len(values) > 1:
        notes.append(
            f"The mask holds several values ({', '.join(f'{v:g}' for v in sorted(values)[:4])}"
            f"{', ...' if len(values) > 4 else ''}); all that is not 0 counts."
        )
    return np.ascontiguousarray(mask), tuple(notes)
