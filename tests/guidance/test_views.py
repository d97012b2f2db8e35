"""Bull's-eye and progress views against closed forms and an independent search."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import fsolve, minimize

from irplan.errors import GeometryError, InputError, NoViewError
from irplan.geometry import Grid, Needle
from irplan.geometry.patient_position import PATIENT_POSITIONS, beam_direction, positioner_angles
from irplan.guidance import (
    GENERIC_SYSTEM,
    ForbiddenAngles,
    NeedleViews,
    find_views,
    room_obstacles,
)
from irplan.guidance.views import bulls_eye_directions
from irplan.image import LabelMap, structure

WIDE = replace(
    GENERIC_SYSTEM, primary_limits_deg=(-180.0, 180.0), secondary_limits_deg=(-90.0, 90.0)
)
ISO = (12.0, -30.0, 45.0)


def _needles(count: int, seed: int) -> list[Needle]:
    """Needles with tips to 60 mm off the isocentre, 60 to 150 mm deep, not head-on."""
    rng = np.random.default_rng(seed)
    out = []
    while len(out) < count:
        tip = np.array(ISO) + rng.uniform(-60 / math.sqrt(3), 60 / math.sqrt(3), 3)
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        if abs(way[2]) < 0.7:
            entry = tip + way * rng.uniform(60, 150)
            out.append(Needle(tuple(tip), tuple(entry)))
    return out


def _views(needle: Needle, position: str = "HFS") -> NeedleViews:
    return find_views(needle, WIDE, isocentre_mm=ISO, patient_position=position)


@pytest.mark.parametrize("position", sorted(PATIENT_POSITIONS))
def test_on_the_isocentre_the_angles_are_those_of_the_needle(position: str) -> None:
    """With the needle's line through the isocentre d = -u, so a = atan2(dx, -dy), b = asin(dz)."""
    d = np.array((0.4, -0.8, 0.3))
    d /= np.linalg.norm(d)
    needle = Needle(ISO, tuple(np.array(ISO) + 110.0 * d))
    found = _views(needle, position).bulls_eye
    both = [
        (math.degrees(math.atan2(s * d[0], -s * d[1])), math.degrees(math.asin(s * d[2])))
        for s in (1.0, -1.0)
    ]
    got = (found.c_arm.primary_deg, found.c_arm.secondary_deg)
    assert min(math.dist(got, one) for one in both) < 0.01
    # the gantry's angles: the same beam seen from the room
    room = PATIENT_POSITIONS[position] @ found.c_arm.direction
    assert beam_direction(*found.gantry_deg) == pytest.approx(room, abs=1e-9)
    # of the two, detector on this side or the other, the one with less travel from 0/0 was taken
    room = -room
    other = (math.degrees(math.atan2(room[0], -room[1])), math.degrees(math.asin(room[2])))
    assert found.travel_deg == pytest.approx(math.hypot(*found.gantry_deg))
    assert found.travel_deg <= math.hypot(*other)


def test_bulls_eye_is_exact_where_the_parallel_beam_is_not() -> None:
    exact, parallel = [], []
    for needle in _needles(200, 1):
        ends = bulls_eye_directions(needle, ISO, WIDE.source_isocentre_mm)
        arms = [WIDE.pose(*positioner_angles(d), ISO, "HFS") for d in ends]
        for arm in arms:
            exact.append(math.dist(*arm.project([needle.entry_mm, needle.tip_mm])))
        d = -needle.direction * np.sign(-needle.direction @ arm.direction)
        a, b = positioner_angles(d)
        two = replace(arm, primary_deg=a, secondary_deg=b).project([needle.entry_mm, needle.tip_mm])
        parallel.append(math.dist(*two) * WIDE.pixel_spacing_mm[0])
    assert max(exact) < 1e-6  # the demand is 0.1 px
    # scoped beforehand (specification): 5.1 mm median, 12.7 mm largest on the detector
    assert 2.0 < np.median(parallel) < 8.0
    assert max(parallel) > 6.0


def test_bulls_eye_angles_match_an_independent_search() -> None:
    """Two equations (entry and tip on one pixel) solved for two angles by Powell's method."""
    for needle in _needles(25, 2):
        arm = _views(needle).bulls_eye.c_arm

        def gap(angles: NDArray[np.float64], arm=arm, needle=needle) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]
            # projection written out anew: rotate, divide, no matrix of irplan's
            a, b = np.radians(angles)
            d = np.array([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])
            u = np.array([np.cos(a), np.sin(a), 0.0])
            v = np.cross(u, d)
            seen = []
            for p in (needle.entry_mm, needle.tip_mm):
                q = np.array(p) - np.array(ISO) + 785.0 * d
                seen.append(np.array([q @ u, q @ v]) / (q @ d))
            out: NDArray[np.float64] = 1200.0 * (seen[0] - seen[1])
            return out

        start = np.array([arm.primary_deg + 3.0, arm.secondary_deg - 2.0])
        a, b = fsolve(gap, start, xtol=1e-12)
        assert abs(a - arm.primary_deg) < 0.01
        assert abs(b - arm.secondary_deg) < 0.01


def test_progress_is_perpendicular_and_nearest() -> None:
    for needle in _needles(6, 3):
        found = _views(needle)
        start = np.array(found.bulls_eye.gantry_deg)
        assert 1 <= len(found.progress) <= 2
        for view in found.progress:
            assert view.off_deg == pytest.approx(90.0, abs=0.01)
        best = found.progress[0]

        # independently: least travel subject to (T - F) . u = 0, from many starts
        def off(angles: NDArray[np.float64], needle=needle) -> float:  # type: ignore[no-untyped-def]
            focus = np.array(ISO) - 785.0 * beam_direction(*angles)
            return float((np.array(needle.tip_mm) - focus) @ needle.direction) / 100.0

        least = math.inf
        for q in range(0, 360, 30):
            turn = math.radians(q)
            guess = start + 60.0 * np.array([math.cos(turn), math.sin(turn)])
            done = minimize(
                lambda x, start=start: float(((x - start) ** 2).sum()),
                guess,
                constraints=[{"type": "eq", "fun": off}],
                bounds=[(-180, 180), (-90, 90)],
                method="SLSQP",
                options={"ftol": 1e-12, "maxiter": 300},
            )
            if done.success and abs(off(done.x)) < 1e-6:
                least = min(least, math.sqrt(done.fun))
        assert best.travel_deg == pytest.approx(least, abs=0.01)


def test_two_progress_views_lie_on_different_sides() -> None:
    needle = Needle(ISO, (12.0, -130.0, 45.0))
    found = _views(needle)
    first, second = found.progress
    assert first.travel_deg <= second.travel_deg
    assert first.c_arm.direction @ second.c_arm.direction < 0.51


def test_limits_are_kept_or_said() -> None:
    needle = Needle(ISO, (12.0, -130.0, 45.0))
    narrow = replace(
        GENERIC_SYSTEM, primary_limits_deg=(-60.0, 60.0), secondary_limits_deg=(-20.0, 20.0)
    )
    with pytest.raises(NoViewError, match="progress view") as caught:
        find_views(needle, narrow, isocentre_mm=ISO, patient_position="HFS")
    assert "beyond -60 to 60" in caught.value.got
    side = Needle(ISO, (112.0, -30.0, 45.0))
    with pytest.raises(NoViewError, match="bull's-eye") as caught:
        find_views(side, narrow, isocentre_mm=ISO, patient_position="HFS")
    assert "30.0 deg beyond" in caught.value.got
    # on the side the same needle stands up and is seen
    lying = find_views(
        side,
        replace(narrow, secondary_limits_deg=(-90.0, 90.0)),
        isocentre_mm=ISO,
        patient_position="HFDR",
    )
    assert lying.bulls_eye.gantry_deg == pytest.approx((0.0, 0.0), abs=1e-6)


def test_forbidden_angles_send_the_progress_view_to_the_other_side() -> None:
    needle = Needle(ISO, (12.0, -130.0, 45.0))
    system = replace(GENERIC_SYSTEM, secondary_limits_deg=(-30.0, 30.0))
    free = find_views(needle, system, isocentre_mm=ISO, patient_position="HFS")
    taken = free.progress[0].gantry_deg
    blocked = ForbiddenAngles(
        "anaesthesia stands there", (taken[0] - 5, taken[0] + 5), (-30.0, 30.0)
    )
    moved = find_views(
        needle, replace(system, forbidden=(blocked,)), isocentre_mm=ISO, patient_position="HFS"
    )
    assert moved.progress[0].gantry_deg[0] == pytest.approx(-taken[0], abs=1e-3)
    assert any("anaesthesia" in words for words in moved.refused)


def _lying_body() -> LabelMap:
    """An elliptic trunk 340 x 220 mm about the isocentre, 5 mm voxels."""
    grid = Grid.from_spacing((60, 80, 80), (5.0, 5.0, 5.0), (ISO[0] - 200, ISO[1] - 200, -100.0))
    y, x = np.meshgrid(np.arange(80) * 5.0 - 200, np.arange(80) * 5.0 - 200, indexing="ij")
    inside = (x / 170) ** 2 + (y / 110) ** 2 < 1.0
    array = np.broadcast_to(inside, grid.shape).astype(np.uint8).copy()
    return LabelMap(array, grid, (structure("body"),))


def test_detector_cannot_come_from_below_through_the_table() -> None:
    """The needle from the back: only the tube's side of it is free, the detector above."""
    obstacles = room_obstacles(GENERIC_SYSTEM, ISO, "HFS", labels=_lying_body())
    # the table's top is the lowest skin voxel, 105 mm below; its underside 185, the detector 195
    low = replace(GENERIC_SYSTEM, source_detector_mm=785.0 + 195.0)
    needle = Needle(ISO, (12.0, 75.0, 45.0))
    seen = find_views(
        needle, WIDE, isocentre_mm=ISO, patient_position="HFS", obstacles=obstacles
    ).bulls_eye
    assert seen.gantry_deg == pytest.approx((0.0, 0.0), abs=1e-6)
    arm = low.pose(180.0, 0.0, ISO, "HFS")
    assert "detector 10 mm from the table" in obstacles.met_by(arm, low)
    assert obstacles.met_by(low.pose(0.0, 0.0, ISO, "HFS"), low) == ""
    # the same patient prone: the table is at his front
    prone = room_obstacles(low, ISO, "HFP", labels=_lying_body())
    assert "the table" in prone.met_by(low.pose(0.0, 0.0, ISO, "HFP"), low)
    assert prone.met_by(low.pose(180.0, 0.0, ISO, "HFP"), low) == ""


def test_needle_hub_keeps_the_detector_away() -> None:
    needle = Needle(ISO, (12.0, -180.0, 45.0))  # hub ends 270 mm above, the detector at 415 mm
    near = replace(GENERIC_SYSTEM, source_detector_mm=785.0 + 280.0)
    hub = room_obstacles(near, ISO, "HFS", needles=[needle])
    assert "10 mm from the hub of needle 1" in hub.met_by(near.pose(0, 0, ISO, "HFS"), near)
    assert hub.met_by(GENERIC_SYSTEM.pose(0, 0, ISO, "HFS"), GENERIC_SYSTEM) == ""
    free = find_views(
        needle, replace(WIDE, source_detector_mm=near.source_detector_mm), isocentre_mm=ISO,
        patient_position="HFS", obstacles=hub,
    )  # fmt: skip
    assert free.bulls_eye.gantry_deg[0] == pytest.approx(180.0, abs=1e-6)  # from the other side


def test_a_needle_beside_the_detector_has_no_view() -> None:
    far = Needle((300.0, -30.0, 45.0), (300.0, -130.0, 45.0))
    with pytest.raises(NoViewError, match="tip beside the detector"):
        find_views(far, GENERIC_SYSTEM, isocentre_mm=ISO, patient_position="HFS")
    with pytest.raises(GeometryError, match="isocentre_mm"):
        find_views(
            Needle((900.0, 0, 0), (900.0, -80, 0)), WIDE, isocentre_mm=ISO, patient_position="HFS"
        )


def test_unknown_position_is_asked_for() -> None:
    needle = Needle(ISO, (12.0, -130.0, 45.0))
    with pytest.raises(InputError, match="patient_position"):
        find_views(needle, GENERIC_SYSTEM, isocentre_mm=ISO, patient_position="")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"primary_limits_deg": (10.0, -10.0)}, "primary_limits_deg"),
        ({"secondary_limits_deg": (-95.0, 10.0)}, "secondary_limits_deg"),
        ({"source_detector_mm": 500.0}, "source_detector_mm"),
        ({"primary_speed_deg_s": 0.0}, "primary_speed_deg_s"),
        ({"hub_mm": math.nan}, "hub_mm"),
        ({"name": " "}, "name"),
    ],
)
def test_impossible_systems_are_named(change: dict[str, object], field: str) -> None:
    with pytest.raises((InputError, GeometryError), match=field):
        replace(GENERIC_SYSTEM, **change)  # type: ignore[arg-type]
