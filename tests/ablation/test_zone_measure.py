"""Zones of known shape: volume and sizes to a small part of a voxel."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.ablation import Applicator, LethalRule, Phase, Placement, Schedule, simulate
from irplan.ablation.regions import Box, Cylinder, Halfspace, Sphere, Tube, mask_of
from irplan.ablation.simulated_case import SimulatedCase
from irplan.ablation.zone_measure import ZoneAxis, ZoneField, measure_zone, zone_fields
from irplan.ablation.zone_size import zone_size
from irplan.errors import InputError
from irplan.geometry import Grid, Needle
from irplan.image import Volume

GRID = Grid.from_spacing((60, 70, 80), (1.0, 1.0, 1.0), (-39.5, -34.5, -29.5))


def placement(centre, axis, length: float = 20.0) -> Placement:
    probe = Applicator("p", "cryo", 1.5, length, 0.0, -140.0, 0.0, 300.0, "test")
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    tip = np.asarray(centre, float) - d * length / 2
    return Placement(Needle(tuple(tip), tuple(tip + 100 * d)), probe)


def ellipsoid(centre, axis, half_along: float, half_across: float, grid: Grid = GRID) -> ZoneField:
    """A field that is 0 on the ellipsoid's surface and rises outwards like a distance."""
    points = grid.index_to_lps(np.stack(np.indices(grid.shape), axis=-1)) - np.asarray(centre)
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    along = points @ d
    across = np.linalg.norm(points - along[..., None] * d, axis=-1)
    field = half_across * (np.hypot(along / half_along, across / half_across) - 1.0)
    return ZoneField("e", "e", Volume(field.astype(np.float32), grid, "degC"), 0.0, True)


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 0, 0), (1, 1, 1), (0.3, -0.5, 0.8)])
def test_an_ellipsoid_along_its_needle(axis):
    centre = (0.3, -0.2, 0.4)
    found = measure_zone(
        ellipsoid(centre, axis, 18.0, 12.0), ZoneAxis.of([placement(centre, axis)])
    )
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * 18 * 12**2 / 1000, rel=0.005)
    # trilinear sampling of a curved field: a tenth of a voxel
    assert found.length_mm == pytest.approx(36.0, abs=0.2)
    assert found.width_mm == pytest.approx(24.0, abs=0.15)
    assert found.most_width_mm - found.least_width_mm < 0.25
    assert not found.cut_off
    middle = found.radius_mm[np.argmin(np.abs(found.station_mm - 10.0))]
    assert middle == pytest.approx(12.0, abs=0.1)


def test_voxels_may_be_flat():
    grid = Grid.from_spacing((30, 70, 80), (2.0, 1.0, 1.0), (-39.5, -34.5, -29.0))
    zone = ellipsoid((0, 0, 0), (0, 1, 0), 18.0, 12.0, grid)
    found = measure_zone(zone, ZoneAxis.of([placement((0, 0, 0), (0, 1, 0))]))
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * 18 * 12**2 / 1000, rel=0.01)
    assert found.length_mm == pytest.approx(36.0, abs=0.3)


def test_a_zone_that_leaves_the_box_says_so_and_no_zone_is_nothing():
    axis = ZoneAxis.of([placement((0, 0, 0), (0, 0, 1))])
    assert measure_zone(ellipsoid((30, 0, 0), (0, 0, 1), 18.0, 12.0), axis).cut_off
    none = ellipsoid((0, 0, 0), (0, 0, 1), 18.0, 12.0)
    empty = measure_zone(ZoneField("n", "n", none.field, -1000.0, True), axis)
    assert (empty.volume_ml, empty.length_mm, empty.width_mm) == (0.0, 0.0, 0.0)


def test_the_axis_of_two_needles_lies_between_them():
    axis = ZoneAxis.of([placement((-8, 0, 0), (0, 0, 1)), placement((8, 0, 0), (0, 0, 1))])
    assert axis.distal_mm == pytest.approx((0, 0, -10))
    assert axis.towards_entry == pytest.approx((0, 0, 1))
    assert axis.active_length_mm == pytest.approx(20.0)
    with pytest.raises(InputError):
        ZoneAxis.of([])


def test_zones_of_a_freeze_start_with_the_lethal_one(make_problem):
    from irplan.ablation import simulate

    result = simulate(make_problem(shape=(52, 40, 40), spacing_mm=2.0, minutes=3.0))
    names = [z.name for z in zone_fields(result, LethalRule(-20.0, 1))]
    assert names[0] == "lethal"
    assert {"ice", "minus_20", "minus_40"} <= set(names)
    for zone in zone_fields(result):
        expected = result.zones()[zone.name]
        assert np.array_equal(zone.signed() >= 0, expected)


@pytest.mark.parametrize(
    ("shape", "volume"),
    [
        (Sphere((1.0, 2.0, 3.0), 12.0), 4 / 3 * np.pi * 12**3),
        (Cylinder((0, 0, -10), (0, 10, 10), 6.0), np.pi * 36 * np.hypot(20, 10)),
        (Tube(((-20, 0, 0), (0, 0, 0), (0, 20, 0)), 5.0), None),
        (Box((0, 0, 0), (20.0, 10.0, 16.0)), 3200.0),
        (Halfspace((0, 0, 0), (0, 0, 1)), 70 * 80 * 30),
    ],
)
def test_bodies_have_their_volume(shape, volume):
    count = float(mask_of(shape, GRID).sum())
    if volume is None:  # two capsules less their common part: between one and two of them
        one = np.pi * 25 * 20 + 4 / 3 * np.pi * 125
        assert one < count < 2 * one
    else:
        assert count == pytest.approx(volume, rel=0.02)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sphere((0, 0, 0), 0.0),
        lambda: Sphere((0, 0, 0), float("nan")),
        lambda: Cylinder((0, 0, 0), (0, 0, 0), 1.0),
        lambda: Tube(((0, 0, 0),), 1.0),
        lambda: Box((0, 0, 0), (1.0, -1.0, 1.0)),
        lambda: Halfspace((0, 0, 0), (0, 0, 0)),
    ],
)
def test_impossible_bodies_are_refused(make):
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize("quantity", ["min", "probability"])
def test_doses_that_vary_over_decades_are_measured_as_well(quantity):
    """A dose 240 exp(-k (r - 10)) round a needle: the level is at 10 mm whatever its steepness."""
    points = GRID.index_to_lps(np.stack(np.indices(GRID.shape), axis=-1))
    log_dose = -1.5 * (np.linalg.norm(points, axis=-1) - 10.0)
    if quantity == "min":
        field, level = 240.0 * np.exp(np.minimum(log_dose, 8.0)), 240.0
    else:  # dead at a first-order dose of 3.9
        field, level = -np.expm1(-3.912 * np.exp(np.minimum(log_dose, 8.0))), 0.98
    zone = ZoneField("d", "d", Volume(field.astype(np.float32), GRID, quantity), level, False)
    found = measure_zone(zone, ZoneAxis.of([placement((0, 0, 0), (0, 0, 1))]))
    assert found.width_mm == pytest.approx(20.0, abs=0.15)
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi, rel=0.02)


def test_a_long_pull_back_is_measured_all_along(make_problem, make_placed, make_probe):
    """Ice of a 10 mm probe pulled back 60 mm: at its new place, the size of a probe left alone."""
    schedule = Schedule(
        (Phase("freeze", 30.0), Phase("active_thaw", 60.0), Phase("freeze", 90.0, None, 60.0))
    )
    first = make_placed((0, 0, -30), (0, 0, 1), make_probe(10.0, ramp_s=0.0))
    problem = make_problem(shape=(120, 40, 40), placements=(first,), schedule=schedule)
    case = SimulatedCase.of("back", problem, simulate(problem), lethal=LethalRule(-20.0, 1))
    alone = make_problem(
        shape=(48, 40, 40),
        placements=(make_placed((0, 0, 0), (0, 0, 1), make_probe(10.0, ramp_s=0.0)),),
        schedule=Schedule((Phase("freeze", 90.0),)),
    )
    expected = {m.name: m for m in SimulatedCase.of("one", alone, simulate(alone)).measures}
    found = {m.name: m for m in case.measures}
    for name in ("ice", "minus_20"):
        assert found[name].volume_ml == pytest.approx(expected[name].volume_ml, rel=0.05)
        assert found[name].width_mm == pytest.approx(expected[name].width_mm, abs=0.3)
        assert found[name].length_mm == pytest.approx(expected[name].length_mm, abs=0.4)
    (last,) = case.placements
    assert np.mean(last.active_segment, axis=0) == pytest.approx((0, 0, 30))
    size = zone_size(case.result, first)  # along the first place's axis as well
    assert size.long_mm == pytest.approx(expected["ice"].length_mm, abs=0.4)
    assert size.mean_mm == pytest.approx(expected["ice"].width_mm, abs=0.3)
