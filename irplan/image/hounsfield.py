"""What Hounsfield numbers may be: padding below the scale, compact storage, plausibility."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.image.volume import Volume

#: Lowest number of the CT scale, HU: scanners write it where there is air or nothing
#: (DICOM CT stores 12 bits from -1024 to 3071).
LOWEST_HU = -1024
#: Highest number of the 12-bit scale, HU; metal may lie above it in an extended scale.
HIGHEST_HU = 3071
#: A CT of a body holds air or lung: something below this, HU.
AIR_HU = -200


def fill_padding(hu: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Raise everything below -1024 HU to -1024 HU; returns the array and how many there were.

    Reconstructions mark voxels outside the scanned circle with -2000, -3024 or -32768.  They
    are not tissue; as air they are harmless.  A copy is made only where something changes.
    """
    low = hu < LOWEST_HU
    if hu.dtype.kind == "f":
        low &= hu > -np.inf  # infinity is no padding: `Volume` refuses it
    count = int(np.count_nonzero(low))
    if count == 0:
        return hu, 0
    return np.where(low, np.asarray(LOWEST_HU, dtype=hu.dtype), hu), count


def compact_hu(hu: NDArray[Any]) -> NDArray[Any]:
    """``hu`` as int16 where that loses nothing, else as float32 (about 7 digits).

    Not-a-number and infinity are kept, as float32, for `Volume` to refuse.
    """
    if hu.dtype == np.int16:
        return hu
    if hu.dtype.kind in "iu":
        limits = np.iinfo(np.int16)
        fits = int(hu.min()) >= limits.min and int(hu.max()) <= limits.max
        return hu.astype(np.int16 if fits else np.float32)
    low, high = float(np.min(hu)), float(np.max(hu))
    if np.isfinite(low) and np.isfinite(high) and low >= -32768 and high <= 32767:
        whole = hu.astype(np.int16)
        if np.array_equal(whole, hu):
            return whole
    return hu.astype(np.float32)


def doubt_about_hu(volume: Volume) -> str:
    """Why the numbers may not be Hounsfield units, in a sentence; empty when nothing speaks so."""
    low, high = float(volume.array.min()), float(volume.array.max())
    if low > AIR_HU:
        return (
            f"The lowest value is {low:.0f}: a CT with air or lung in it goes below {AIR_HU} HU. "
            "If this is not a close crop of the body, the numbers are not Hounsfield units."
        )
    if high < 0:
        return f"The highest value is {high:.0f}: a CT of a body holds soft tissue above 0 HU."
    return ""
