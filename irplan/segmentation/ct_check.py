"""Is this an abdominal CT in Hounsfield units that the segmentation can work on?"""

from __future__ import annotations

import numpy as np

from irplan.errors import InputError
from irplan.image.volume import Volume

#: Voxels above this cannot show ribs and vessels.
COARSEST_MM = 6.0
#: Spacing above which thin structures are lost in part.
COARSE_MM = 4.0
#: Least field of view along each axis, mm: an abdomen's cross-section, half a liver's height.
LEAST_FIELD_MM = (60.0, 180.0, 180.0)
#: Air outside (or in) the patient is below this, soft tissue within, bone above.
AIR_HU, SOFT_HU, BONE_HU = -700.0, (-150.0, 200.0), 250.0


def check_ct(volume: Volume) -> tuple[str, ...]:
    """Judge a CT's intensities, field of view and resolution.

    Returns warnings in words; raises `InputError` for a quantity other than HU, intensities
    that are not Hounsfield units (no air, no soft tissue in -150..200, 8-bit range, MR), voxels
    above 6 mm, or a field of view too small for an abdomen.
    """
    if volume.quantity != "HU":
        raise InputError(
            "volume.quantity",
            got=repr(volume.quantity),
            expected="'HU'",
            remedy="Give the CT, not a derived map.",
        )
    _check_size(volume)
    step = tuple(max(1, n // 96) for n in volume.grid.shape)
    sample = volume.array[:: step[0], :: step[1], :: step[2]].astype(np.float32).reshape(-1)
    low, high = float(sample.min()), float(sample.max())
    air = float(np.mean(sample < AIR_HU))
    soft = float(np.mean((sample > SOFT_HU[0]) & (sample < SOFT_HU[1])))
    if high - low < 1.0:
        raise InputError(
            "volume.array",
            got=f"a constant image of {low:.0f}",
            expected="a CT in HU",
            remedy="Check how the image was read.",
        )
    if low > AIR_HU or air < 0.001 or soft < 0.02:
        raise InputError(
            "volume.array",
            got=f"intensities from {low:.0f} to {high:.0f}, {100 * air:.1f} % below "
            f"{AIR_HU:.0f} and {100 * soft:.0f} % in {SOFT_HU[0]:.0f}..{SOFT_HU[1]:.0f}",
            expected="Hounsfield units: air near -1000, soft tissue between -150 and 200",
            remedy="This looks like MR, a windowed picture or a CT without its rescale "
            "intercept; give the CT series in HU.",
        )
    warnings = []
    coarse = max(volume.grid.spacing_mm)
    if coarse > COARSE_MM:
        warnings.append(
            f"Voxels of {coarse:.1f} mm: ribs, gas specks and vessels thinner than that may be "
            "missed."
        )
    if float(np.mean(sample > BONE_HU)) < 1e-4:
        warnings.append("No bone was seen in the scan: spine and ribs cannot guide or be avoided.")
    if float(np.mean(sample > 2900.0)) > 2e-4:
        warnings.append("Metal or very dense contrast in the scan: streaks may spoil the result.")
    return tuple(warnings)


def _check_size(volume: Volume) -> None:
    grid = volume.grid
    if max(grid.spacing_mm) > COARSEST_MM:
        raise InputError(
            "volume spacing",
            got=f"voxels of {max(grid.spacing_mm):.1f} mm",
            expected=f"at most {COARSEST_MM:.0f} mm",
            remedy="Give the thin-slice series.",
        )
    extent = np.abs(grid.direction) @ (np.asarray(grid.shape) * np.asarray(grid.spacing_mm))
    x, y, z = (float(v) for v in extent)
    if z < LEAST_FIELD_MM[0] or y < LEAST_FIELD_MM[1] or x < LEAST_FIELD_MM[2]:
        raise InputError(
            "volume field of view",
            got=f"{x:.0f} x {y:.0f} x {z:.0f} mm (left-right, front-back, foot-head)",
            expected=f"at least {LEAST_FIELD_MM[2]:.0f} x {LEAST_FIELD_MM[1]:.0f} x "
            f"{LEAST_FIELD_MM[0]:.0f} mm",
            remedy="Give a series that shows the whole cross-section of the abdomen.",
        )
