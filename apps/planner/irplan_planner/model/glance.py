"""A first look at a DICOM folder: one slice from its middle, while all of it is being read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan_planner.model.slices import WINDOWS


@dataclass(frozen=True, eq=False)
class Glance:
    """A slice as stored: (row, column) grey values 0..255, and mm a pixel (down, right)."""

    grey: NDArray[np.uint8]
    step_mm: tuple[float, float]


def glance(folder: Path) -> Glance | None:
    """The middle file (by name) of a DICOM folder; None where it is no plain CT slice.

    Only for the eye: nothing is measured on it, and it is replaced when the scan has been read.
    """
    import pydicom

    from irplan.dicom.reading import READ_ERRORS, quiet

    files = sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
    if not files:
        return None
    try:
        with quiet():
            data = pydicom.dcmread(files[len(files) // 2])
            values = data.pixel_array.astype(np.float32)
            down, across = (float(v) for v in data.PixelSpacing)
            slope, start = float(data.RescaleSlope), float(data.RescaleIntercept)
    except (OSError, RuntimeError, *READ_ERRORS):
        return None
    if values.ndim != 2 or min(down, across) <= 0.0:
        return None
    window = WINDOWS["Abdomen"]
    low = window.level_hu - window.width_hu / 2
    grey = np.clip((values * slope + start - low) * (255.0 / window.width_hu), 0.0, 255.0)
    return Glance(np.ascontiguousarray(grey.astype(np.uint8)), (down, across))
