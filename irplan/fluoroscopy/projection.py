"""A layer from a CT or phantom volume: line integrals from a point source, C-arm geometry."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, zoom

from irplan.errors import InputError
from irplan.fluoroscopy.anatomy import Texture
from irplan.fluoroscopy.motion import STILL, Motion
from irplan.image import Volume

#: Attenuation of water at 60 keV, 1/mm (NIST XCOM: 0.2059 cm2/g).
WATER_PER_MM = 0.0206
_EVERY = 4  # pixels from ray to ray; linear between


def projected(
    volume: Volume,
    *,
    shape: tuple[int, int],
    pixel_mm: float,
    isocentre_lps_mm: tuple[float, float, float] | None = None,
    primary_angle_deg: float = 0.0,
    secondary_angle_deg: float = 0.0,
    source_isocentre_mm: float = 750.0,
    source_detector_mm: float = 1200.0,
    name: str = "projected",
    motion: Motion = STILL,
) -> Texture:
    """The `Texture` layer of mu times length through ``volume`` (quantity HU).

    Angles as DICOM's positioner angles: primary positive towards the patient's left, secondary
    towards the head; 0, 0 is the source behind a supine patient.  Columns run to the patient's
    left, rows to the feet.  ``isocentre_lps_mm``: default the volume's middle.  Attenuation is
    that of water times 1 + HU / 1000, none below air; bone is therefore too transparent for soft
    beams.  Cost: one trilinear sample a mm of every fourth ray.

    Raises `InputError` for a volume that is not HU or a source inside the detector's distance.
    """
    if volume.quantity != "HU":
        raise InputError(
            "volume", got=volume.quantity, expected="HU", remedy="Give a CT or a phantom's image."
        )
    if not 0.0 < source_isocentre_mm < source_detector_mm:
        raise InputError(
            "source_isocentre_mm",
            got=f"{source_isocentre_mm}",
            expected=f"0 to {source_detector_mm} mm, the detector's distance",
            remedy="Correct the distances.",
        )
    grid = volume.grid
    centre = grid.centre_lps_mm if isocentre_lps_mm is None else np.array(isocentre_lps_mm)
    p, s = math.radians(primary_angle_deg), math.radians(secondary_angle_deg)
    along = np.array([math.sin(p) * math.cos(s), -math.cos(p) * math.cos(s), math.sin(s)])
    across = np.array([math.cos(p), math.sin(p), 0.0])
    down = np.cross(across, along)
    source = centre - source_isocentre_mm * along
    coarse = tuple(-(-n // _EVERY) + 1 for n in shape)
    rows = (np.arange(coarse[0]) * _EVERY - 0.5 * (shape[0] - 1)) * pixel_mm
    columns = (np.arange(coarse[1]) * _EVERY - 0.5 * (shape[1] - 1)) * pixel_mm
    target = (
        source
        + source_detector_mm * along
        + rows[:, None, None] * down
        + columns[None, :, None] * across
    )
    ray = target - source
    length = np.linalg.norm(ray, axis=-1)
    ray /= length[..., None]
    reach = 0.5 * float(np.linalg.norm(np.array(grid.shape) * grid.spacing_mm))
    away = float(np.linalg.norm(grid.centre_lps_mm - source))
    mu = (WATER_PER_MM * np.maximum(0.0, 1.0 + volume.array / 1000.0)).astype(np.float32)
    total: NDArray[np.float64] = np.zeros(coarse)
    for t in np.arange(max(0.0, away - reach), away + reach, 1.0):
        index = grid.lps_to_index(source + (t + 0.5) * ray)
        part = map_coordinates(mu, np.moveaxis(index, -1, 0), order=1, cval=0.0)
        total += np.where(t + 0.5 <= length, part, 0.0)
    fine = zoom(
        total,
        [((n - 1) * _EVERY + 1) / n for n in coarse],
        order=1,
    )
    return Texture(name, fine[: shape[0], : shape[1]].astype(np.float32), motion)
