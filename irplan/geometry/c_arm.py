"""A C-arm's pose as frozen geometry: a source, a flat detector and the beam between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import GeometryError
from irplan.geometry.patient_position import beam_direction, gantry_angles, room_from_lps
from irplan.geometry.points import Point3, as_point
from irplan.geometry.projection import project_points, ray_directions


@dataclass(frozen=True)
class CArm:
    """One pose of a C-arm about the patient.

    Parameters
    ----------
    source_isocentre_mm : focal spot to isocentre (0018,1111), > 0.
    source_detector_mm : focal spot to detector (0018,1110), beyond the isocentre.
    isocentre_mm : LPS mm, in the frame of the volume it is used with.
    primary_deg : (0018,1510), -180 to 180, LAO positive, about the *patient* in every position.
    secondary_deg : (0018,1511), -90 to 90, cranial positive, about the patient.
    detector_shape : (rows, columns).
    pixel_spacing_mm : (between rows, between columns) in the detector's plane (0018,1164).
    patient_position : (0018,5100); where the gantry is, seen from the patient.
    detector_roll_deg : turn of the detector about the central beam, degrees; positive turns the
        picture's columns towards its rows.  0: the patient's head is up, as DICOM XA images are.

    The picture is seen from the detector's side: with angles 0, columns run to the patient's left
    and rows to the feet.  Pixels are (column, row) with centres at whole numbers; the central
    beam meets the detector's middle.  Angles follow DICOM PS3.3 C.8.7.5.1.2.

    Raises `GeometryError` and `InputError`, naming the field, for impossible values.
    """

    source_isocentre_mm: float
    source_detector_mm: float
    isocentre_mm: Point3
    primary_deg: float
    secondary_deg: float
    detector_shape: tuple[int, int]
    pixel_spacing_mm: tuple[float, float]
    patient_position: str = "HFS"
    detector_roll_deg: float = 0.0

    def __post_init__(self) -> None:
        def take(name: str, low: float, high: float, words: str) -> None:
            _between(f"c_arm.{name}", getattr(self, name), low, high, words)

        take("source_isocentre_mm", 100.0, 3000.0, "mm from focal spot to isocentre, 100 to 3000")
        low = float(self.source_isocentre_mm)
        take("source_detector_mm", low, 5000.0, f"mm beyond the isocentre's {low:g}, to 5000")
        take("primary_deg", -180.0, 180.0, "degrees from -180 (RAO) to 180 (LAO)")
        take("secondary_deg", -90.0, 90.0, "degrees from -90 (caudal) to 90 (cranial)")
        take("detector_roll_deg", -360.0, 360.0, "degrees")
        room_from_lps(self.patient_position)
        object.__setattr__(
            self, "isocentre_mm", as_point(self.isocentre_mm, field="c_arm.isocentre_mm")
        )
        rows, columns = _pair("c_arm.detector_shape", self.detector_shape, "(rows, columns)")
        _between("c_arm.detector_shape", rows, 1, 20000, "1 to 20000 rows")
        _between("c_arm.detector_shape", columns, 1, 20000, "1 to 20000 columns")
        object.__setattr__(self, "detector_shape", (int(rows), int(columns)))
        spacing = _pair("c_arm.pixel_spacing_mm", self.pixel_spacing_mm, "(row, column) mm")
        for value in spacing:
            _between("c_arm.pixel_spacing_mm", value, 0.001, 50.0, "0.001 to 50 mm")
        object.__setattr__(self, "pixel_spacing_mm", spacing)

    @cached_property
    def direction(self) -> NDArray[np.float64]:
        """(3,) LPS unit vector from the isocentre to the detector."""
        return beam_direction(self.primary_deg, self.secondary_deg)

    @cached_property
    def source_mm(self) -> NDArray[np.float64]:
        """(3,) focal spot, LPS mm."""
        out: NDArray[np.float64] = np.array(self.isocentre_mm) - (
            self.source_isocentre_mm * self.direction
        )
        return out

    @property
    def detector_centre_mm(self) -> NDArray[np.float64]:
        """(3,) where the central beam meets the detector, LPS mm."""
        out: NDArray[np.float64] = self.source_mm + self.source_detector_mm * self.direction
        return out

    @property
    def detector_axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """LPS unit vectors along growing columns and growing rows; their cross is -direction."""
        a, b = math.radians(self.primary_deg), math.radians(self.secondary_deg)
        right = np.array([math.cos(a), math.sin(a), 0.0])
        down = np.array([math.sin(a) * math.sin(b), -math.cos(a) * math.sin(b), -math.cos(b)])
        c, s = (f(math.radians(self.detector_roll_deg)) for f in (math.cos, math.sin))
        return c * right + s * down, c * down - s * right

    @property
    def gantry_deg(self) -> tuple[float, float]:
        """(primary, secondary) about the gantry, degrees: what limits and collisions are of."""
        return gantry_angles(self.primary_deg, self.secondary_deg, self.patient_position)

    @cached_property
    def projection_matrix(self) -> NDArray[np.float64]:
        """(3, 4) LPS mm -> (column, row, 1) times the distance from the source along the beam."""
        right, down = self.detector_axes
        rows, columns = self.detector_shape
        row_mm, column_mm = self.pixel_spacing_mm
        sdd = self.source_detector_mm
        intrinsic = np.array(
            [
                [sdd / column_mm, 0.0, 0.5 * (columns - 1)],
                [0.0, sdd / row_mm, 0.5 * (rows - 1)],
                [0.0, 0.0, 1.0],
            ]
        )
        rotation = np.stack([right, down, self.direction])
        out: NDArray[np.float64] = intrinsic @ np.column_stack(
            [rotation, -rotation @ self.source_mm]
        )
        return out

    def project(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """(..., 2) pixels (column, row) of (..., 3) LPS points; see `project_points`."""
        return project_points(self.projection_matrix, points_mm)

    def rays(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) unit LPS vectors from `source_mm` through (..., 2) pixels (column, row)."""
        return ray_directions(self.projection_matrix, pixels)

    def detector_points(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) LPS mm of (..., 2) pixels (column, row) on the detector itself."""
        p = np.asarray(pixels, dtype=np.float64)
        rows, columns = self.detector_shape
        right, down = self.detector_axes
        u = (p[..., 0:1] - 0.5 * (columns - 1)) * self.pixel_spacing_mm[1]
        v = (p[..., 1:2] - 0.5 * (rows - 1)) * self.pixel_spacing_mm[0]
        out: NDArray[np.float64] = self.detector_centre_mm + u * right + v * down
        return out

    def on_detector(self, pixels: ArrayLike) -> NDArray[np.bool_]:
        """(...,) whether (..., 2) pixels (column, row) lie on the detector."""
        p = np.asarray(pixels, dtype=np.float64)
        rows, columns = self.detector_shape
        out: NDArray[np.bool_] = np.all((p >= -0.5) & (p <= (columns - 0.5, rows - 0.5)), axis=-1)
        return out


def _pair(field: str, value: object, words: str) -> tuple[float, float]:
    try:
        first, second = (float(v) for v in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        first = second = math.nan
    if not (math.isfinite(first) and math.isfinite(second)):
        raise GeometryError(
            field, got=repr(value), expected=f"two numbers {words}", remedy="Give both."
        )
    return first, second


def _between(field: str, value: float, low: float, high: float, words: str) -> None:
    if not (isinstance(value, int | float | np.number) and low <= value <= high):
        raise GeometryError(
            field,
            got=repr(value),
            expected=words,
            remedy="Check the unit and the source of the number (DICOM pose tags, system file).",
        )
