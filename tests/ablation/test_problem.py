"""Building problems: labels to tissues, narrow vessels, where probes may not be."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.ablation import (
    TISSUES,
    AblationProblem,
    Applicator,
    Phase,
    Placement,
    Quantity,
    Schedule,
    TissueMap,
    applicator,
    simulate,
    tissue,
)
from irplan.ablation.segments import segment_distance_mm
from irplan.ablation.tissue_table import TISSUE_OF_STRUCTURE
from irplan.errors import InputError
from irplan.geometry import Grid, Needle
from irplan.image import STRUCTURES, LabelMap, structure

FREEZE = Schedule((Phase("freeze", 60.0),))


def scene(*painted: tuple[str, tuple[slice, slice, slice]]) -> LabelMap:
    """120 mm of body with liver in it; 2 x 1.5 x 1.5 mm voxels centred on the origin."""
    grid = Grid.from_spacing((70, 90, 90), (2.0, 1.5, 1.5), (-66.75, -66.75, -69.0))
    array = np.zeros(grid.shape, np.uint8)
    names = ["body", "liver"]
    array[:, 4:-4, 4:-4] = structure("body").value
    array[8:-8, 12:-12, 12:-12] = structure("liver").value
    for name, where in painted:
        array[where] = structure(name).value
        names.append(name)
    return LabelMap(array, grid, tuple(structure(n) for n in dict.fromkeys(names)))


def seed(x: float = 0.0, y: float = 0.0, z: float = 0.0, direction=(0.0, 1.0, 0.0)) -> Placement:
    """A 20 mm probe with the middle of its active zone at (x, y, z)."""
    d = np.asarray(direction, float) / np.linalg.norm(direction)
    tip = np.array([x, y, z]) + 13.0 * d
    return Placement(Needle(tuple(tip), tuple(tip - 90.0 * d)), applicator("cryo-17g-seed"))


def test_grid_is_cubic_aligned_and_holds_the_margin():
    problem = AblationProblem.from_labels(scene(), (seed(3.3, -2.1, 1.7),), FREEZE, margin_mm=20.0)
    assert problem.grid.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    assert np.allclose(problem.grid.direction, scene().grid.direction)
    low = problem.grid.index_to_lps((0, 0, 0))
    high = problem.grid.index_to_lps(np.array(problem.grid.shape) - 1)
    ends = np.array(problem.placements[0].active_segment)
    assert np.all(low <= ends.min(axis=0) - 20.0 + 1e-9)
    assert np.all(high >= ends.max(axis=0) + 20.0 - 1e-9)
    assert np.all(high - low <= ends.max(axis=0) - ends.min(axis=0) + 42.0)
    assert not problem.notes


def test_labels_become_tissues_by_nearest_neighbour():
    labels = scene(("tumour", (slice(30, 40), slice(40, 50), slice(40, 50))))
    problem = AblationProblem.from_labels(labels, (seed(0, 0, 0),), FREEZE)
    names = [t.name for t in problem.tissues]
    rng = np.random.default_rng(0)
    for index in rng.integers(0, problem.grid.shape, (300, 3)):
        point = problem.grid.index_to_lps(index)
        if not labels.grid.contains(point):
            continue
        exact = labels.grid.lps_to_index(point)
        if np.abs(np.abs(exact - np.floor(exact)) - 0.5).min() < 0.01:
            continue  # on the border of two voxels
        value = labels.array[tuple(np.rint(exact).astype(int))]
        name = {x.value: x.name for x in labels.labels}.get(int(value))
        expected = "gas" if name is None else TISSUE_OF_STRUCTURE[name]
        assert names[problem.tissue_index[tuple(index)]] == expected


def test_only_vessels_of_some_calibre_are_sinks():
    grid_part = (slice(10, 60), slice(20, 24), slice(50, 54))  # 6 x 6 mm
    narrow = (slice(10, 60), slice(60, 61), slice(30, 31))  # 1.5 mm
    labels = scene(("portal_vein", grid_part), ("hepatic_vein", narrow))
    kept = TissueMap.from_labels(labels, (seed(),))
    all_kept = TissueMap.from_labels(labels, (seed(),), sink_calibre_mm=0.0)
    vessel = list(TISSUES).index("vessel")
    wide = kept.index == vessel
    assert wide.any()
    assert np.count_nonzero(all_kept.index == vessel) > np.count_nonzero(wide)
    where = np.argwhere(wide)
    centres = kept.grid.index_to_lps(where)
    assert centres[:, 0].min() > 0.0  # the narrow one lies at negative x
    assert np.all(kept.index[(all_kept.index == vessel) & ~wide] == list(TISSUES).index("liver"))
    none = TissueMap.from_labels(labels, (seed(),), sink_calibre_mm=12.0)
    assert not np.any(none.index == vessel)


def test_vessels_carry_blood_of_the_patients_temperature():
    problem = AblationProblem.from_labels(scene(), (seed(),), FREEZE, body_temperature_c=36.0)
    fixed = {t.name: t.fixed_temperature_c for t in problem.tissues}
    assert fixed["vessel"] == 36.0
    assert fixed["liver"] is None
    result = simulate(problem)
    assert result.end_of_freeze_c.array[0, 0, 0] == pytest.approx(36.0)


def test_box_beyond_the_image_is_noted():
    problem = AblationProblem.from_labels(scene(), (seed(0, 0, 45),), FREEZE)
    assert "outside the image" in problem.notes[0]
    assert any("outside the image" in w for w in simulate(problem).warnings)


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        (seed(0, 0, 75), "outside the image"),
        (seed(0, -52, 0), "outside the body"),
        (seed(500, 0, 0), "outside the image"),
    ],
)
def test_probe_where_it_cannot_be(placement, words):
    with pytest.raises(InputError, match=words):
        AblationProblem.from_labels(scene(), (placement,), FREEZE)


@pytest.mark.parametrize(("name", "words"), [("gas", "gas"), ("bone", "bone")])
def test_probe_in_gas_or_bone(name, words):
    labels = scene((name, (slice(34, 37), slice(40, 50), slice(40, 50))))
    with pytest.raises(InputError, match=words):
        AblationProblem.from_labels(labels, (seed(),), FREEZE)


def test_probes_too_close_or_crossing():
    with pytest.raises(InputError, match="probe 1"):
        AblationProblem.from_labels(scene(), (seed(), seed(4.5)), FREEZE)
    with pytest.raises(InputError, match=r"0\.0 mm from"):
        AblationProblem.from_labels(scene(), (seed(), seed(direction=(1, 0, 0))), FREEZE)
    AblationProblem.from_labels(scene(), (seed(), seed(5.0)), FREEZE)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"spacing_mm": 0.0}, "spacing_mm"),
        ({"spacing_mm": 5.0}, "spacing_mm"),
        ({"spacing_mm": float("nan")}, "spacing_mm"),
        ({"margin_mm": 5.0}, "margin_mm"),
        ({"margin_mm": 500.0}, "margin_mm"),
        ({"body_temperature_c": 310.0}, "body_temperature_c"),
        ({"sink_calibre_mm": -1.0}, "sink_calibre_mm"),
    ],
)
def test_options_out_of_range(options, field):
    with pytest.raises(InputError, match=field):
        AblationProblem.from_labels(scene(), (seed(),), FREEZE, **options)


def test_no_probe_and_wrong_kind():
    with pytest.raises(InputError, match="at least one"):
        AblationProblem.from_labels(scene(), (), FREEZE)
    heater = Applicator("rf", "rfa", 1.5, 20.0, 0.0, 90.0, 60.0, 200.0, "test [X]")
    with pytest.raises(InputError, match="'freeze' phase for rf"):
        AblationProblem.from_labels(scene(), (Placement(seed().needle, heater),), FREEZE)


def test_constructor_checks(make_problem):
    good = make_problem(shape=(40, 40, 40))
    with pytest.raises(InputError, match="uint8"):
        make_problem(shape=(40, 40, 40), index=np.zeros((40, 40, 40), np.int32))
    with pytest.raises(InputError, match="index 1"):
        make_problem(shape=(40, 40, 40), index=np.ones((40, 40, 40), np.uint8))
    flat = Grid.from_spacing((40, 40, 40), (4.0, 0.8, 1.0), (-19.5, -19.5, -39.0))
    with pytest.raises(InputError, match="4 times"):
        AblationProblem(flat, good.tissue_index, good.tissues, good.placements, FREEZE)
    odd = TISSUES["liver"].properties(solidus_c=-10.0)
    with pytest.raises(InputError, match="freezing intervals"):
        AblationProblem(good.grid, good.tissue_index, (*good.tissues, odd), good.placements, FREEZE)
    assert not good.tissue_index.flags.writeable


def test_unknown_structure_is_named():
    labels = scene()
    other = type(labels.labels[0])(200, "spleen_cyst", labels.labels[0].code, (1, 2, 3))
    with pytest.raises(InputError, match="spleen_cyst"):
        TissueMap.from_labels(labels.with_mask(other, labels.array == 1), (seed(),))


def test_probe_at_the_edge_of_the_box(make_problem, make_placed, make_probe):
    from irplan.errors import SolverError

    at_edge = make_placed((0, 0, 0), (0, 0, 1), make_probe(30.0))
    with pytest.raises(SolverError, match="edge of the simulated box"):
        simulate(make_problem(shape=(31, 40, 40), placements=(at_edge,)))


def test_every_structure_has_a_tissue_and_every_constant_a_source():
    assert {s.name for s in STRUCTURES} == set(TISSUE_OF_STRUCTURE)
    assert set(TISSUE_OF_STRUCTURE.values()) <= set(TISSUES)
    for name, record in TISSUES.items():
        assert tissue(name).name == name
        for quantity in record.quantities.values():
            assert quantity.low <= quantity.value <= quantity.high
            assert quantity.source
            assert quantity.unit
    liver = tissue("liver")
    assert liver.heat_capacity_j_per_m3k[0] == pytest.approx(1079 * 3540)
    assert liver.heat_capacity_j_per_m3k[1] == pytest.approx(1079 * (3087 + 250e3 / 7))


def test_lookups_list_their_names():
    with pytest.raises(InputError, match="cryo-17g-rod"):
        applicator("cryo-99")
    with pytest.raises(InputError, match="liver"):
        tissue("brain")
    with pytest.raises(InputError, match="unknown property"):
        TISSUES["liver"].properties(perfusion=0.1)
    with pytest.raises(InputError, match="quantity"):
        Quantity(2.0, "W", 0.0, 1.0, "x", "V")
    with pytest.raises(InputError, match="source"):
        Quantity(0.5, "W", 0.0, 1.0, "", "V")
    with pytest.raises(InputError, match="finite"):
        Quantity(float("inf"), "W", 0.0, 1.0, "x", "V")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (((0, 0, 0), (10, 0, 0)), ((0, 5, 0), (10, 5, 0)), 5.0),
        (((0, 0, 0), (10, 0, 0)), ((20, 0, 0), (30, 0, 0)), 10.0),
        (((0, 0, 0), (10, 0, 0)), ((5, -5, 3), (5, 5, 3)), 3.0),
        (((0, 0, 0), (10, 0, 0)), ((13, 4, 0), (13, 9, 0)), 5.0),
        (((0, 0, 0), (0, 0, 10)), ((3, 0, 14), (9, 0, 20)), 5.0),
    ],
)
def test_segment_distance(first, second, expected):
    assert segment_distance_mm(first, second) == pytest.approx(expected)
    assert segment_distance_mm(second, first) == pytest.approx(expected)


def test_active_zone_beyond_the_entry(make_problem, make_probe):
    """A zone of 30 mm on a needle 20 mm deep reaches out of the skin."""
    from irplan.ablation import Placement

    short = Placement(Needle((0, 0, -10.0), (0, 0, 10.0)), make_probe(30.0))
    with pytest.raises(InputError, match=r"20\.0 mm deep .* 30\.0 mm"):
        make_problem(placements=(short,))
    just = Placement(Needle((0, 0, -15.0), (0, 0, 15.0)), make_probe(30.0))
    assert make_problem(placements=(just,)).placements == (just,)
    back = Schedule((Phase("freeze", 60.0), Phase("freeze", 60.0, None, 5.0)))
    with pytest.raises(InputError, match="out of its entry"):
        make_problem(placements=(just,), schedule=back)


def test_shaft_through_another_active_zone(make_problem, make_placed, make_probe):
    """A shaft of 1.5 mm may pass another zone's axis at 2 mm, not at 1 mm."""
    seed = make_probe(10.0)
    zone = make_placed((0, 0, 0), (0, 0, 1), make_probe(20.0))

    def crossing(gap: float):  # its own zone 10 to 20 mm away, its shaft past the first one
        return make_placed((-15.0, gap, 4.0), (1, 0, 0), seed)

    assert make_problem(placements=(zone, crossing(2.0)))
    with pytest.raises(InputError, match=r"placements\[1\].*shaft 1\.0 mm from .* probe 1"):
        make_problem(placements=(zone, crossing(1.0)))
    with pytest.raises(InputError, match=r"placements\[0\].*shaft 0\.0 mm from .* probe 2"):
        make_problem(placements=(crossing(0.0), zone))


def test_cryoprobe_that_does_not_freeze(make_problem, make_placed, make_probe):
    with pytest.raises(InputError, match=r"working_temperature_c: got 50"):
        make_probe(20.0, temperature_c=50.0)
    cool = make_placed((0, 0, 0), (0, 0, 1), make_probe(20.0, temperature_c=5.0))
    assert any("freezes nothing" in n for n in make_problem(placements=(cool,)).notes)
