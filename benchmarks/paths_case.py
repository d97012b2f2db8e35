"""The real scan of the path benchmark: `ircadb01_p1` with its manual masks as one label map.

The reader is this file's own (pydicom, NumPy).  The scan is looked at, never tuned on.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray

from benchmarks.segmentation_cases import data_folder, load
from irplan.geometry import Grid
from irplan.image import LabelMap, structure

#: Folder of the masks -> structure, painted in this order (a later one covers an earlier one).
MASKS = (
    ("skin", "body"),
    ("leftlung", "lung"),
    ("rightlung", "lung"),
    ("liver", "liver"),
    ("spleen", "spleen"),
    ("leftkidney", "kidney_left"),
    ("rightkidney", "kidney_right"),
    ("bone", "bone"),
    ("venoussystem", "hepatic_vein"),
    ("portalvein", "portal_vein"),
    ("artery", "artery"),
)


@dataclass(frozen=True, eq=False)
class PathCase:
    """Labels of a scan and one target mask of it (bool, same grid)."""

    labels: LabelMap
    target: NDArray[np.bool_]


def mask(name: str, grid: Grid) -> NDArray[np.bool_]:
    """One mask of `ircadb01_p1` by the name of its folder, on the scan's grid."""
    folder = data_folder() / "ircadb01_p1"
    with zipfile.ZipFile(folder / "MASKS_DICOM.zip") as archive:
        names = [n for n in archive.namelist() if f"/{name}/" in n and not n.endswith("/")]
        slices = [pydicom.dcmread(io.BytesIO(archive.read(n))) for n in names]
    slices.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    found = np.stack([d.pixel_array for d in slices]) != 0
    if found.shape != grid.shape:
        raise ValueError(f"mask {name}: {found.shape}, image {grid.shape}")
    return found


def ircadb(tumour: str = "livertumor07") -> PathCase:
    """`ircadb01_p1`: body, lungs, liver, vessels, bone ... of the manual masks, and one tumour.

    Gallbladder, gas, stomach and bowel have no mask there: those groups are "not checked".  The
    body is the skin mask with what it encloses.
    """
    from scipy import ndimage

    grid = load("ircadb01_p1").volume.grid
    array = np.zeros(grid.shape, np.uint8)
    labels = []
    for folder, name in MASKS:
        found = mask(folder, grid)
        if name == "body":
            found = np.stack([ndimage.binary_fill_holes(plane) for plane in found])
        array[found] = structure(name).value
        if structure(name) not in labels:
            labels.append(structure(name))
    return PathCase(LabelMap(array, grid, tuple(labels)), mask(tumour, grid))
