"""A CT with metal needles in it: partial volume, blooming, streaks, noise; the truth is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irplan.compute.cpu.metal_splat import splat
from irplan.errors import InputError
from irplan.image import Volume
from irplan.phantom.artefact import metal_streaks
from irplan.phantom.metal import ALLOY_HU, MetalPart, by_alloy, point_masses
from irplan.phantom.noise import correlated_noise

#: Points that stand for the metal are at most this far apart, mm (a fifth of the sharpest spread).
POINT_STEP_MM = 0.12


@dataclass(frozen=True)
class ScanSharpness:
    """What the scanner makes of a point.

    ``plane_fwhm_mm`` in the slice, 0.5 to 3 mm [S: abdominal kernels 0.9 to 1.4 mm]; along the
    slices a box of the slice's thickness (``thickness_mm``; None: the slices' spacing) smoothed
    by a Gaussian of a fifth of it.
    """

    plane_fwhm_mm: float = 1.1
    thickness_mm: float | None = None

    def __post_init__(self) -> None:
        if not 0.5 <= self.plane_fwhm_mm <= 3.0:
            raise InputError(
                "sharpness.plane_fwhm_mm",
                got=f"{self.plane_fwhm_mm:g} mm",
                expected="0.5 to 3 mm",
                remedy="A standard abdominal kernel has about 1.1 mm.",
            )


def scan_with_metal(
    volume: Volume,
    parts: Sequence[MetalPart],
    *,
    sharpness: ScanSharpness = ScanSharpness(),
    noise_hu: float = 15.0,
    streaks: bool = True,
    seed: int = 0,
    highest_hu: float = 3071.0,
) -> Volume:
    """``volume`` (HU, without noise) as a scanner would show it with ``parts`` inside, int16.

    Metal is added as its CT number times the point spread (partial volume), beam-hardening
    streaks by `metal_streaks`, then noise (`correlated_noise`), and the scale ends at
    ``highest_hu`` (3071: the 12-bit scale, which makes needles bloom; 32767: the extended one).
    Tissue that metal displaces, photon starvation and motion are left out.
    Cost: about 3 s a million voxels with streaks in every slice.

    Raises `InputError` for a setting out of range.
    """
    image = np.array(volume.array, dtype=np.float32)
    spacing = np.asarray(volume.grid.spacing_mm)
    thickness = spacing[0] if sharpness.thickness_mm is None else sharpness.thickness_mm
    sigma = sharpness.plane_fwhm_mm / 2.3548 / spacing[1:]
    for alloy, cylinders in by_alloy(parts).items():
        points, volumes = point_masses(cylinders, POINT_STEP_MM)
        inside = volume.grid.contains(points)
        splat(
            image,
            volume.grid.lps_to_index(points[inside]),
            volumes[inside] * ALLOY_HU[alloy] / volume.grid.voxel_volume_mm3,
            sigma,
            0.5 * thickness / spacing[0],
            0.2 * thickness / spacing[0],
        )
    if streaks and parts:
        metal_streaks(image, volume.grid)
    rng = np.random.default_rng([seed, 77])
    image += correlated_noise(volume.grid.shape, volume.grid.spacing_mm, noise_hu, rng)
    np.clip(np.rint(image, out=image), -1024, highest_hu, out=image)
    return Volume(image.astype(np.int16), volume.grid, "HU")
