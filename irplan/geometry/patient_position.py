"""How the patient lies on the table, and positioner angles about the patient and the gantry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import GeometryError, InputError


def _rotation(*rows: tuple[int, int, int]) -> NDArray[np.float64]:
    out = np.array(rows, dtype=np.float64)
    out.setflags(write=False)
    return out


#: Patient position (0018,5100) -> rotation that takes an LPS vector to the room.  The room's
#: axes are those of a head-first supine patient: x to the left of one who faces the gantry's
#: detector, y down to the floor, z towards the head end of the table.
PATIENT_POSITIONS: Mapping[str, NDArray[np.float64]] = MappingProxyType(
    {
        "HFS": _rotation((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "HFP": _rotation((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
        "HFDR": _rotation((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
        "HFDL": _rotation((0, -1, 0), (1, 0, 0), (0, 0, 1)),
        "FFS": _rotation((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
        "FFP": _rotation((1, 0, 0), (0, -1, 0), (0, 0, -1)),
        "FFDR": _rotation((0, -1, 0), (-1, 0, 0), (0, 0, -1)),
        "FFDL": _rotation((0, 1, 0), (1, 0, 0), (0, 0, -1)),
    }
)


def room_from_lps(patient_position: str | None) -> NDArray[np.float64]:
    """(3, 3) rotation from LPS vectors to the room for a DICOM patient position.

    Raises `InputError` for a position that is unknown or missing: it is asked for, not guessed.
    """
    rotation = PATIENT_POSITIONS.get(str(patient_position or ""))
    if rotation is None:
        raise InputError(
            "patient_position",
            got=repr(patient_position) if patient_position else "nothing",
            expected="one of " + ", ".join(PATIENT_POSITIONS) + " (DICOM 0018,5100)",
            remedy="Say how the patient lies on the table (HFS: head first, on the back).",
        )
    return rotation


def beam_direction(primary_deg: float, secondary_deg: float) -> NDArray[np.float64]:
    """(3,) unit vector from the isocentre to the detector for positioner angles, degrees.

    ``(sin a cos b, -cos a cos b, sin b)`` with a the primary angle (RAO -> LAO positive) and b
    the secondary (CAU -> CRA positive), DICOM PS3.3 C.8.7.5.1.2.  Angles about the patient give
    LPS; angles about the gantry give room axes.
    """
    a, b = math.radians(primary_deg), math.radians(secondary_deg)
    return np.array([math.sin(a) * math.cos(b), -math.cos(a) * math.cos(b), math.sin(b)])


def positioner_angles(direction: ArrayLike) -> tuple[float, float]:
    """(primary in (-180, 180], secondary in [-90, 90]) of a vector isocentre -> detector, degrees.

    The inverse of `beam_direction`; straight along the head-foot axis, where every primary angle
    is the same beam, it is 0.  Raises `GeometryError` for a vector of no length.
    """
    d = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(d)) if d.shape == (3,) else 0.0
    if not (math.isfinite(length) and length > 0.0):
        raise GeometryError(
            "beam direction",
            got=str(d.tolist()),
            expected="three finite numbers, not all zero",
            remedy="Give the vector from the isocentre to the detector.",
        )
    across = math.hypot(float(d[0]), float(d[1]))
    secondary = math.degrees(math.atan2(float(d[2]), across))
    if across < 1e-12 * length:
        return 0.0, secondary
    primary = math.degrees(math.atan2(float(d[0]), -float(d[1])))
    return (180.0 if primary == -180.0 else primary) + 0.0, secondary + 0.0


def gantry_angles(
    primary_deg: float, secondary_deg: float, patient_position: str
) -> tuple[float, float]:
    """Angles about the gantry (as a supine head-first patient would have them), degrees.

    The image files' own angles (0018,1510/1511) are about the patient in every position; limits
    and collisions are the gantry's.  Raises `InputError` for an unknown position.
    """
    turned = room_from_lps(patient_position) @ beam_direction(primary_deg, secondary_deg)
    return positioner_angles(turned)
