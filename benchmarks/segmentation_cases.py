"""Cases with a liver reference: the two real scans of ``IRPLAN_DATA`` and phantoms of the family.

The readers are this file's own (pydicom, nibabel, NumPy), so that a mistake in irplan's readers
cannot hide in a figure.  Real scans are looked at, never tuned on.
"""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image import Volume

REAL = ("ircadb01_p1", "totalsegmentator_example")
#: Fixed seed of the benchmark's phantoms: irplan.phantom.family(20, FAMILY_SEED).
FAMILY_SEED = 4
FAMILY_SIZE = 20
#: Least voxels of the benchmark's phantoms (slice, row, column), mm: what a run can afford.
LEAST_MM = (2.5, 1.2, 1.2)


@dataclass(frozen=True, eq=False)
class Case:
    """A CT, its liver (bool, same grid), and what is known about it."""

    name: str
    volume: Volume
    liver: NDArray[np.bool_]
    note: str


def data_folder() -> Path:
    """Where the real scans lie: ``IRPLAN_DATA``, default ../shared/data."""
    return Path(os.environ.get("IRPLAN_DATA", "../shared/data"))


def names() -> list[str]:
    """All cases that can be loaded here; a real one is left out where its folder is absent."""
    real = [n for n in REAL if (data_folder() / n).is_dir()]
    return [*real, *(f"phantom_{k:02d}" for k in range(FAMILY_SIZE))]


def load(name: str) -> Case:
    """The case of that name (see `names`)."""
    if name == REAL[0]:
        return _ircadb(data_folder() / name)
    if name == REAL[1]:
        return _example(data_folder() / name)
    from irplan.phantom import family

    spec = family(FAMILY_SIZE, FAMILY_SEED)[int(name.removeprefix("phantom_"))]
    drawn = spec.settings.spacing_mm
    made = spec.make(spacing_mm=(max(drawn[0], LEAST_MM[0]), *LEAST_MM[1:]))
    return Case(name, made.volume, made.organ, spec.words + f"; pixels of {LEAST_MM[1]:g} mm")


def _stack(slices: list[pydicom.Dataset]) -> tuple[NDArray[np.int32], list[pydicom.Dataset]]:
    slices.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    return np.stack([d.pixel_array.astype(np.int32) for d in slices]), slices


def _ircadb(folder: Path) -> Case:
    array, slices = _stack([pydicom.dcmread(p) for p in (folder / "PATIENT_DICOM").iterdir()])
    first, last = slices[0], slices[-1]
    low, high = (float(d.ImagePositionPatient[2]) for d in (first, last))
    spacing = ((high - low) / (len(slices) - 1), *(float(v) for v in first.PixelSpacing))
    grid = Grid.from_spacing(array.shape, spacing, [float(v) for v in first.ImagePositionPatient])
    hu = array * float(first.RescaleSlope) + float(first.RescaleIntercept)
    with zipfile.ZipFile(folder / "MASKS_DICOM.zip") as archive:
        members = [n for n in archive.namelist() if "/liver/" in n and not n.endswith("/")]
        mask, _ = _stack([pydicom.dcmread(io.BytesIO(archive.read(n))) for n in members])
    note = "portal phase, 0.57 x 0.57 x 1.6 mm; manual mask, with tumours and most vessels"
    return Case(REAL[0], Volume(hu.astype(np.int16), grid), mask != 0, note)


def _example(folder: Path) -> Case:
    images = [
        nib.as_closest_canonical(nib.load(folder / n))
        for n in ("example_ct.nii.gz", "example_seg.nii.gz")
    ]
    # RAS (x, y, z) -> (slice, row, column) with rows to the back and columns to the left
    ct, labels = (np.asarray(i.dataobj)[::-1, ::-1, :].transpose(2, 1, 0) for i in images)
    affine = images[0].affine
    corner = affine @ [images[0].shape[0] - 1, images[0].shape[1] - 1, 0, 1]
    grid = Grid.from_spacing(ct.shape, np.diag(affine)[2::-1], (-corner[0], -corner[1], corner[2]))
    hu = np.ascontiguousarray(np.rint(ct)).astype(np.int16)
    note = "unenhanced, 3 mm, cut by the top slice; a network's mask, not manual truth"
    return Case(REAL[1], Volume(hu, grid), labels == 5, note)
