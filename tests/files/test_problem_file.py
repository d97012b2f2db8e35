"""Problem files: what they become, and that every mistake is named with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from irplan.ablation import LethalRule
from irplan.errors import FileFormatError, InputError
from irplan.files import example_problem, write_labels
from irplan.files.problem_file import EXAMPLES, problem_from_text, read_problem
from irplan.geometry import Grid
from irplan.image import LabelMap, structure

SMALL = """
schema = "irplan-problem"
schema_version = 1
[problem]
name = "small"
[tissue]
uniform = "liver"
margin_mm = 16
[[applicator]]
name = "cryo-17g-seed"
tip_mm = [0, 0, 0]
entry_mm = [0, 0, 100]
[schedule]
phases = [{kind = "freeze", minutes = 2}]
[solver]
spacing_mm = 2.0
"""


def read(text: str, folder: Path = Path()):
    return problem_from_text(text, name="p.toml", folder=folder)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_example_reads(kind: str):
    asked = read(example_problem(kind))
    assert asked.kind == kind
    assert asked.monitors
    assert len(asked.problem.tissues) > 1
    assert not asked.problem.notes


def test_an_unknown_example_lists_the_known_ones():
    with pytest.raises(InputError, match="cryo, rfa, mwa, ire"):
        example_problem("laser")


def test_the_box_holds_the_active_zones_and_the_margin():
    asked = read(SMALL)
    grid = asked.problem.grid
    low = grid.index_to_lps((0, 0, 0)) - 1.0
    high = grid.index_to_lps(np.array(grid.shape) - 1) + 1.0
    # active zone from 3 to 23 mm behind the tip, 16 mm of liver round it
    assert low == pytest.approx((-16, -16, -13), abs=1.01)
    assert high == pytest.approx((16, 16, 39), abs=1.01)
    assert asked.lethal == LethalRule(-20.0, 1)
    assert asked.problem.schedule.duration_s == 120.0


def test_spacing_runs_x_y_z():
    grid = read(SMALL.replace("spacing_mm = 2.0", "spacing_mm = [1.0, 2.0, 2.5]")).problem.grid
    assert grid.spacing_mm == pytest.approx((2.5, 2.0, 1.0))


def test_bodies_cover_and_override(tmp_path: Path):
    text = (
        SMALL
        + """
[[tissue.region]]
shape = "sphere"
tissue = "tumour"
centre_mm = [8, 0, 13]
radius_mm = 6
[[tissue.region]]
name = "vein"
shape = "cylinder"
tissue = "vessel"
from_mm = [8, -50, 13]
to_mm = [8, 50, 13]
radius_mm = 2.5
wall_transfer_w_per_m2k = 230
[tissue.properties.liver]
perfusion_per_s = 0.0
"""
    )
    problem = read(text.replace("spacing_mm = 2.0", "spacing_mm = 1.0")).problem
    names = [t.name for t in problem.tissues]
    assert names == ["liver", "tumour", "vessel (vein)"]
    vein = problem.tissues[2]
    assert (vein.fixed_temperature_c, vein.wall_transfer_w_per_m2k) == (37.0, 230.0)
    assert problem.tissues[0].perfusion_per_s == 0.0
    # outside the published range: allowed, but it becomes a warning of the result
    assert any("perfusion_per_s = 0" in n and "0.0005 to 0.079" in n for n in problem.notes)
    volume = problem.grid.voxel_volume_mm3
    # a voxel's centre decides: half a layer of voxels at most
    assert float((problem.tissue_index == 1).sum()) * volume == pytest.approx(
        4 / 3 * np.pi * 6**3 - np.pi * 2.5**2 * 12, rel=0.12
    )


def test_tissue_of_its_own_is_like_another():
    text = (
        SMALL.replace('uniform = "liver"', 'uniform = "agar"')
        + """
[tissue.properties.agar]
like = "soft tissue"
perfusion_per_s = 0
"""
    )
    assert read(text).problem.tissues[0].name == "agar"


def test_applicators_may_have_a_schedule_of_their_own():
    text = (
        SMALL
        + """
[[applicator]]
name = "cryo-17g-seed"
tip_mm = [0, 15, 0]
entry_mm = [0, 15, 100]
schedule.phases = [{kind = "freeze", duration_s = 60}]
"""
    )
    first, second = read(text).problem.schedules
    assert (first.duration_s, second.duration_s) == (120.0, 60.0)


def test_labels_give_the_tissue(tmp_path: Path):
    grid = Grid.from_spacing((40, 40, 40), (2.0, 2.0, 2.0), (-40.0, -40.0, -25.0))
    array = np.full(grid.shape, structure("liver").value, np.uint8)
    array[:, :5] = 0
    labels = LabelMap(array, grid, (structure("liver"),))
    write_labels(labels, tmp_path / "labels.nii.gz")
    path = tmp_path / "p.toml"
    path.write_text(SMALL.replace('uniform = "liver"', 'labels = "labels.nii.gz"'))
    asked = read_problem(path)
    assert "liver" in [t.name for t in asked.problem.tissues]


def test_labels_with_flat_voxels_of_the_solver(tmp_path: Path):
    """Voxel sizes run x, y, z, whatever way the image's axes run; the tissue stays where it was."""
    spacing = (1.0, 1.5, 2.5)  # x, y, z
    affine = np.zeros((4, 4))  # a sagittal image: slices along x, rows along z, columns along y
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (2, 0, 0), (0, 0, -2), (0, -2, 0)
    affine[:3, 3], affine[3, 3] = (-40.0, 40.0, 63.0), 1.0
    grid = Grid((40, 40, 40), affine)
    array = np.full(grid.shape, structure("liver").value, np.uint8)
    points = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    array[points[..., 1] < -9.0] = structure("kidney_left").value
    labels = LabelMap(array, grid, (structure("liver"), structure("kidney_left")))
    write_labels(labels, tmp_path / "labels.nii.gz")
    path = tmp_path / "p.toml"
    text = SMALL.replace('uniform = "liver"', 'labels = "labels.nii.gz"')
    path.write_text(text.replace("spacing_mm = 2.0", f"spacing_mm = {list(spacing)}"))
    problem = read_problem(path).problem
    towards = np.abs(problem.grid.direction).argmax(axis=0)
    assert problem.grid.spacing_mm == pytest.approx([spacing[int(axis)] for axis in towards])
    names = [t.name for t in problem.tissues]
    centres = problem.grid.index_to_lps(np.moveaxis(np.indices(problem.grid.shape), 0, -1))
    clear = np.abs(centres[..., 1] + 9.0) > 2.0
    kidney = problem.tissue_index == names.index("kidney")
    assert np.array_equal(kidney[clear], (centres[..., 1] < -9.0)[clear])
    path.write_text(text.replace("spacing_mm = 2.0", "spacing_mm = [0.5, 2.5, 1]"))
    with pytest.raises(FileFormatError, match="4 times"):
        read_problem(path)


PULLED = SMALL.replace(
    'phases = [{kind = "freeze", minutes = 2}]',
    'phases = [{kind = "freeze", minutes = 2}, {kind = "freeze", minutes = 2, withdraw_mm = 30}]',
)


def test_a_pull_back_has_its_tissue_round_it_and_none_in_its_way():
    problem = read(PULLED).problem
    high = problem.grid.index_to_lps(np.array(problem.grid.shape) - 1)
    assert high[2] >= 23.0 + 30.0 + 16.0 - 1.5
    rib = """
[[tissue.region]]
shape = "sphere"
tissue = "bone"
name = "rib"
centre_mm = [0, 0, 40]
radius_mm = 3
"""
    with pytest.raises(FileFormatError) as refused:
        read(PULLED.replace("[[applicator]]", rib + "[[applicator]]"))
    assert refused.value.field == "'p.toml' applicator[1].schedule"
    assert "120 s" in refused.value.got
    assert "through bone" in refused.value.got
    with pytest.raises(FileFormatError, match="behind the entry"):
        read(PULLED.replace("withdraw_mm = 30", "withdraw_mm = 99.5"))


BAD = [
    ("schema_version = 1", "schema_version = 9", "schema", "schema_version = 1"),
    ("[tissue]", "[tisue]", "tisue", "tissue"),
    ('uniform = "liver"', 'uniform = "livr"', "tissue.uniform", "liver"),
    ('uniform = "liver"', "", "tissue.uniform", "uniform"),
    ('uniform = "liver"', 'labels = "none.nii.gz"', "tissue.labels", "no file"),
    ("margin_mm = 16", "margin_mm = 1e9", "tissue.margin_mm", "15 to 100"),
    ("margin_mm = 16", "box_mm = [4, 40, 40]", "tissue.box_mm", "10 to 500"),
    ("tip_mm = [0, 0, 0]", "tip_mm = [0, 0]", "applicator[1].tip_mm", "LPS mm"),
    ("tip_mm = [0, 0, 0]", 'tip_mm = "0,0,0"', "applicator[1].tip_mm", "LPS mm"),
    ("tip_mm = [0, 0, 0]", "tip_mm = [0, 0, nan]", "applicator[1].tip_mm", "LPS mm"),
    ("tip_mm = [0, 0, 0]", "tip_mm = [0, 0, 100]", "applicator[1]", "1 mm"),
    ("entry_mm = [0, 0, 100]", "entry_mm = [0, 0, 900]", "applicator[1]", "175 mm"),
    ("tip_mm = [0, 0, 0]", "tipp_mm = [0, 0, 0]", "applicator[1].tipp_mm", "tip_mm"),
    ("cryo-17g-seed", "cryo-17g-sead", "applicator[1].name", "cryo-17g-seed"),
    ("minutes = 2", "minutes = 0", "schedule.phases[1].minutes", "0.0166667 to 120"),
    ("minutes = 2", "minutes = 2, duration_s = 5", "schedule.phases[1].minutes", "one of"),
    ("minutes = 2", "minutes = '2'", "schedule.phases[1].minutes", "number"),
    ('kind = "freeze"', 'kind = "freze"', "schedule.phases[1].kind", "freeze"),
    ('kind = "freeze"', 'kind = "passive_thaw"', "schedule", "freeze"),
    ("minutes = 2", "minutes = 2, power_w = 50", "schedule.phases[1]", "power"),
    ("spacing_mm = 2.0", "spacing_mm = 50", "solver.spacing_mm", "0.25 to 4"),
    ("spacing_mm = 2.0", "spacing_mm = 0.0", "solver.spacing_mm", "0.25 to 4"),
    ("spacing_mm = 2.0", "spacing_mm = [2, 2]", "solver.spacing_mm", "[x, y, z]"),
    ("spacing_mm = 2.0", 'backend = "gpu"', "solver.backend", "cuda"),
    ("spacing_mm = 2.0", "threads = 0", "solver.threads", "1 to"),
    ("[solver]", "[lethal]\ncycles = 3\n[solver]", "lethal.cycles", "at most 1"),
    ("[solver]", "[lethal]\nthreshold_c = 20\n[solver]", "lethal", "-100 to 0"),
    ("[solver]", "[rfa]\nmode = 'power'\n[solver]", "rfa", "belongs to rfa"),
    (
        "[solver]",
        "[[monitor]]\nname = 'far'\npoint_mm = [0, 0, 999]\n[solver]",
        "monitor[1].point_mm",
        "inside it",
    ),
    (
        "[solver]",
        "[tissue.properties.liver]\nk_unfrozen_w_per_mk = -1\n[solver]",
        "tissue.properties.liver",
        "0.005 to 5",
    ),
    (
        "[solver]",
        "[tissue.properties.liver]\nperfusion_per_min = 1\n[solver]",
        "tissue.properties.liver.perfusion_per_min",
        "perfusion_per_s",
    ),
    (
        "[solver]",
        "[[tissue.region]]\nshape = 'cube'\ntissue = 'fat'\n[solver]",
        "tissue.region[1].shape",
        "sphere",
    ),
    (
        "[solver]",
        "[[tissue.region]]\nshape = 'sphere'\ntissue = 'fat'\nradius_mm = 3\n[solver]",
        "tissue.region[1].centre_mm",
        "LPS mm",
    ),
    (
        "[solver]",
        "[[tissue.region]]\nshape = 'sphere'\ntissue = 'fat'\ncentre_mm = [0, 0, 0]\n"
        "radius_mm = -3\n[solver]",
        "tissue.region[1]",
        "more than 0",
    ),
    (
        "[schedule]",
        '[[applicator]]\nname = "mwa-15g-cooled-2450"\ntip_mm = [0, 20, 0]\n'
        "entry_mm = [0, 20, 100]\n[schedule]",
        "applicator[2].name",
        "one kind",
    ),
]


@pytest.mark.parametrize(("old", "new", "place", "words"), BAD)
def test_a_mistake_is_named_with_its_place(old: str, new: str, place: str, words: str):
    assert old in SMALL
    with pytest.raises(FileFormatError) as refused:
        read(SMALL.replace(old, new))
    error = refused.value
    assert error.field.startswith(f"'p.toml' {place}")
    assert words in f"{error.expected} {error.remedy} {error.got}"


def test_models_of_heat_and_field():
    rfa = read(example_problem("rfa"))
    assert rfa.models.rfa is not None
    assert (rfa.models.rfa.mode, rfa.models.rfa.off_s) == ("impedance", 15.0)
    assert [m.name for m in rfa.models.damage or ()] == ["arrhenius", "cem43", "three_state"]
    text = example_problem("mwa") + "\n[damage.cem43]\ndead_minutes = 120\n"
    assert (read(text).models.damage or ())[1].level == 120.0
    ire = read(example_problem("ire").replace('pairs = "all"', "pairs = [[1, 2]]"))
    assert ire.models.ire is not None
    assert ire.models.ire.pairs == ((0, 1),)  # counted from 1 in the file
    assert ire.models.threshold_v_per_cm == 600.0


@pytest.mark.parametrize(
    ("kind", "old", "new", "place", "words"),
    [
        ("rfa", 'mode = "impedance"', 'mode = "impedence"', "rfa.mode", "impedance"),
        ("rfa", "off_s = 15", "off_s = 1e9", "rfa", "1 to 120"),
        ("rfa", "off_s = 15", "of_s = 15", "rfa.of_s", "off_s"),
        ("rfa", "power_w = 120", "power_w = 900", "schedule.phases[1].power_w", "200 W"),
        ("rfa", "power_w = 120", "power_w = -5", "schedule", "0.1 to 1000"),
        ("rfa", '"three_state"]', '"three_sate"]', "damage.models", "three_state"),
        ("mwa", 'models = ["arrhenius", "cem43"]', "models = []", "damage.models", "list"),
        ("mwa", '"cem43"]', '"cem43"]\nthree_state = {}', "damage.three_state", "models"),
        ("mwa", '"cem43"]', '"cem43"]\ncem43 = {r_above = 2.0}', "damage.cem43", "0.05 to 0.95"),
        ("ire", 'pairs = "all"', "pairs = [[0, 1]]", "ire.pairs", "from 1"),
        ("ire", 'pairs = "all"', 'pairs = "some"', "ire.pairs", "all"),
        ("ire", "pulses = 90", "pulses = 0", "ire.pulses", "1 to 10000"),
        ("ire", "rate_hz = 1\n", "rate_hz = 1e4\n", "ire", "0.01 to 1000"),
        ("ire", "v_per_cm = 1500", 'voltage_v = ["a", "b"]', "ire.voltage_v", "V"),
        ("ire", 'pairs = "all"', "pairs = [[1, 2], [1, 3]]", "ire.pairs", "[1, 3]"),
        ("ire", 'pairs = "all"', "pairs = [[2, 2]]", "ire.pairs", "from 1 to 2"),
        ("ire", "v_per_cm = 1500", "voltage_v = [900, 900]", "ire.voltage_v", "1 pairs"),
        ("ire", "v_per_cm = 1500", "v_per_cm = 1500\nvoltage_v = 900", "ire.v_per_cm", "voltage_v"),
        ("rfa", "off_s = 15", "target_c = 105", "rfa.target_c", "mode = 'impedance'"),
        ("rfa", 'mode = "impedance"', 'mode = "temperature"', "rfa.rise_ohm", "mode = 'impedance'"),
        ("rfa", "off_s = 15", "switch_s = 20", "rfa.switch_s", "switched"),
        ("ire", "[ire]", "[schedule]\nphases = []\n[ire]", "schedule", "no [schedule]"),
        ("ire", "threshold_v_per_cm = 600", "threshold_v_per_cm = 6", "ire", "100 to 3000"),
        ("ire", "[damage]", "[lethal]\n[damage]", "lethal", "no [lethal]"),
    ],
)
def test_a_mistake_in_a_model_is_named(kind: str, old: str, new: str, place: str, words: str):
    text = example_problem(kind)
    assert old in text
    with pytest.raises(FileFormatError) as refused:
        read(text.replace(old, new))
    error = refused.value
    assert error.field.startswith(f"'p.toml' {place}")
    assert words in f"{error.got} {error.expected} {error.remedy}"
