"""A C-arm's geometry against DICOM's definitions and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irplan.errors import GeometryError, InputError
from irplan.geometry import CArm
from irplan.geometry.patient_position import (
    PATIENT_POSITIONS,
    beam_direction,
    gantry_angles,
    positioner_angles,
    room_from_lps,
)
from irplan.geometry.projection import project_points, source_of

ARM = CArm(750.0, 1200.0, (10.0, -20.0, 30.0), 0.0, 0.0, (960, 1240), (0.3, 0.25))


@pytest.mark.parametrize(
    ("angles", "towards"),
    [
        ((0, 0), (0, -1, 0)),  # the patient faces the detector
        ((90, 0), (1, 0, 0)),  # LAO 90: at the patient's left
        ((-90, 0), (-1, 0, 0)),  # RAO 90: at the patient's right
        ((180, 0), (0, 1, 0)),
        ((0, 90), (0, 0, 1)),  # cranial 90: at the head
        ((0, -45), (0, -math.sqrt(0.5), -math.sqrt(0.5))),
    ],
)
def test_detector_side_is_as_dicom_defines_it(
    angles: tuple[float, float], towards: tuple[float, ...]
) -> None:
    assert beam_direction(*angles) == pytest.approx(towards, abs=1e-12)


@given(st.floats(-179.9, 180.0), st.floats(-89.9, 89.9))
def test_angles_and_direction_are_each_others_inverse(a: float, b: float) -> None:
    assert positioner_angles(beam_direction(a, b)) == pytest.approx((a, b), abs=1e-9)


# Which LPS direction points to the ceiling and which to the table's head end: what the DICOM
# defined terms say in words, independent of any matrix.
_CEILING_AND_HEAD_END = {
    "HFS": ((0, -1, 0), (0, 0, 1)), "HFP": ((0, 1, 0), (0, 0, 1)),
    "HFDR": ((1, 0, 0), (0, 0, 1)), "HFDL": ((-1, 0, 0), (0, 0, 1)),
    "FFS": ((0, -1, 0), (0, 0, -1)), "FFP": ((0, 1, 0), (0, 0, -1)),
    "FFDR": ((1, 0, 0), (0, 0, -1)), "FFDL": ((-1, 0, 0), (0, 0, -1)),
}  # fmt: skip


@pytest.mark.parametrize("position", sorted(PATIENT_POSITIONS))
def test_patient_positions_are_rotations_that_match_their_names(position: str) -> None:
    turn = room_from_lps(position)
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1.0)
    ceiling, head_end = _CEILING_AND_HEAD_END[position]
    assert turn @ ceiling == pytest.approx((0, -1, 0))
    assert turn @ head_end == pytest.approx((0, 0, 1))


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("HFS", (30, 20)),
        ("HFP", (-150, 20)),  # the same gantry place, seen by a patient turned by 180 deg
        ("FFS", (-30, -20)),  # left and right, head and feet change ends
        ("FFP", (150, -20)),
        ("HFDR", (-60, 20)),
        ("HFDL", (120, 20)),
    ],
)
def test_gantry_angles_of_a_view_from_the_patients_left_front(
    position: str, expected: tuple[float, float]
) -> None:
    assert gantry_angles(30.0, 20.0, position) == pytest.approx(expected, abs=1e-9)


def test_picture_of_a_frontal_view() -> None:
    iso = ARM.isocentre_mm
    assert ARM.project(iso) == pytest.approx((619.5, 479.5))
    # magnification 1.6: 10 mm to the left are 16 mm = 64 columns, 10 mm to the head 53.3 rows up
    assert ARM.project(np.add(iso, (10, 0, 0))) == pytest.approx((619.5 + 64.0, 479.5))
    assert ARM.project(np.add(iso, (0, 0, 10))) == pytest.approx((619.5, 479.5 - 16.0 / 0.3))
    # nearer to the source (behind the patient) it is larger: 10 x 1200 / 650
    assert ARM.project(np.add(iso, (10, 100, 0)))[0] - 619.5 == pytest.approx(12000 / 650 / 0.25)


@given(
    st.floats(-170, 170), st.floats(-80, 80), st.floats(-180, 180),
    st.tuples(*[st.floats(-200, 200)] * 3),
)  # fmt: skip
def test_projection_is_where_the_ray_meets_the_detector(
    a: float, b: float, roll: float, offset: tuple[float, float, float]
) -> None:
    arm = replace(ARM, primary_deg=a, secondary_deg=b, detector_roll_deg=roll)
    point = np.array(arm.isocentre_mm) + offset
    pixel = arm.project(point)
    # independently: intersect the line source-point with the detector's plane
    n, s, c = arm.direction, arm.source_mm, arm.detector_centre_mm
    hit = s + (point - s) * ((c - s) @ n) / ((point - s) @ n)
    assert arm.detector_points(pixel) == pytest.approx(hit, abs=1e-6)
    assert arm.rays(pixel) == pytest.approx((point - s) / np.linalg.norm(point - s), abs=1e-9)
    right, down = arm.detector_axes
    assert np.cross(right, down) == pytest.approx(-n, abs=1e-12)
    assert source_of(arm.projection_matrix) == pytest.approx(s, abs=1e-6)


def test_head_is_up_in_every_patient_position() -> None:
    """XA angles are about the patient and the picture is patient-oriented (PS3.17 FFF)."""
    for position in PATIENT_POSITIONS:
        arm = replace(ARM, patient_position=position, primary_deg=25.0, secondary_deg=-10.0)
        up = arm.project(np.add(arm.isocentre_mm, (0, 0, 20))) - arm.project(arm.isocentre_mm)
        assert up[1] < -10
        assert abs(up[0]) < 1e-9


def test_what_is_beside_the_detector() -> None:
    assert ARM.on_detector([[0, 0], [-0.4, 959.4], [-1, 5], [1240, 3]]).tolist() == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source_detector_mm": 700.0}, "source_detector_mm"),
        ({"source_isocentre_mm": -1.0}, "source_isocentre_mm"),
        ({"primary_deg": 270.0}, "primary_deg"),
        ({"secondary_deg": float("nan")}, "secondary_deg"),
        ({"detector_shape": (0, 10)}, "detector_shape"),
        ({"detector_shape": 7}, "detector_shape"),
        ({"pixel_spacing_mm": (0.3, 0.0)}, "pixel_spacing_mm"),
        ({"isocentre_mm": (0.0, 1.0)}, "isocentre_mm"),
        ({"patient_position": "SUPINE"}, "patient_position"),
        ({"patient_position": ""}, "patient_position"),
    ],
)
def test_impossible_values_are_named(change: dict[str, object], field: str) -> None:
    with pytest.raises((GeometryError, InputError), match=field):
        replace(ARM, **change)  # type: ignore[arg-type]


def test_a_point_behind_the_source_has_no_image() -> None:
    with pytest.raises(GeometryError, match="behind the X-ray source"):
        project_points(ARM.projection_matrix, ARM.source_mm - 5 * ARM.direction)
    with pytest.raises(GeometryError, match="beam direction"):
        positioner_angles((0, 0, 0))
