"""Planning on a cone-beam CT: what is carried lies in place, what is unseen is not clear."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from irplan.case.cbct_input import CbctInput
from irplan.case.cbct_labels import carried
from irplan.cli.app import app
from irplan.errors import InputError
from irplan.files import read_plan, write_mask, write_volume
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume, structure
from irplan.planning import PathRules
from irplan.registration.transform import PointMap, RigidTransform
from irplan.segmentation.cone_beam import read_cone_beam

#: The cone-beam CT: 1.6 mm voxels, a round field of 52 mm, inside a body of 70 mm.
GRID = Grid.from_spacing((50, 80, 80), (1.6,) * 3, (-63.2, -63.2, -39.2))
P = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))
FIELD = np.hypot(P[..., 0], P[..., 1]) < 52.0
#: CT to cone-beam CT: a turn about z and a shift.
TURN = np.radians(6.0)
MAP = RigidTransform.from_rotation(
    np.array([[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1.0]]),
    np.array([9.0, -4.0, 6.0]),
)


def grey() -> Volume:
    """Soft tissue with a gas bubble and noise, grey = (HU + 1200) / 0.5, 0 outside the field."""
    hu = np.where(np.linalg.norm(P - [25.0, 20.0, 0.0], axis=-1) < 14.0, -1000.0, 40.0)
    hu += np.random.default_rng(3).normal(0.0, 40.0, GRID.shape)
    value = np.where(FIELD, (hu + 1200.0) / 0.5, 0.0)
    return Volume(np.rint(value).astype(np.int16), GRID, "HU")


def test_structures_are_carried_by_the_map() -> None:
    ct_grid = Grid.from_spacing((60, 100, 100), (2.0,) * 3, (-99.0, -99.0, -59.0))
    q = ct_grid.index_to_lps(np.moveaxis(np.indices(ct_grid.shape), 0, -1))
    ball = np.linalg.norm(q - [-30.0, 10.0, 5.0], axis=-1) < 12.0  # in the field
    far = np.linalg.norm(q - [70.0, 0.0, 0.0], axis=-1) < 8.0  # outside it
    body = np.hypot(q[..., 0], q[..., 1]) < 90.0
    labels = LabelMap.from_masks(
        ct_grid,
        [
            (structure("body"), body),
            (structure("gallbladder"), ball),
            (structure("bone"), far),
            (structure("gas"), np.linalg.norm(q, axis=-1) < 10.0),  # has moved on since
        ],
    )
    ct = Volume(np.where(body, 40, -1000).astype(np.int16), ct_grid, "HU")
    scan = read_cone_beam(grey())
    scene = carried(scan, ct, labels, PointMap(MAP), ct_target=ball)
    grid = scene.labels.grid
    points = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    for name, centre, drawn in (
        ("gallbladder", [-30.0, 10.0, 5.0], ball),
        ("bone", [70.0, 0.0, 0.0], far),
    ):
        mask = scene.labels.mask(name)
        want = MAP.apply(np.array(centre))
        assert np.linalg.norm(points[mask].mean(axis=0) - want) < 0.5
        volume = mask.sum() * grid.voxel_volume_mm3
        assert volume == pytest.approx(drawn.sum() * ct_grid.voxel_volume_mm3, rel=0.05)
    assert scene.target is not None
    assert np.array_equal(scene.target, scene.labels.mask("gallbladder"))
    # Gas is where the cone-beam CT shows it, no longer where the CT had it.
    gas = points[scene.labels.mask("gas")]
    assert np.linalg.norm(gas.mean(axis=0) - [25.0, 20.0, 0.0]) < 1.0
    # Skin outside the field is the CT's; what neither shows is unknown.
    outside = scene.labels.array == 0
    r = np.linalg.norm(MAP.inverse.apply(points)[..., :2], axis=-1)
    z = MAP.inverse.apply(points)[..., 2]
    covered = np.abs(z) < 57.0
    assert not outside[covered & (r < 88.0)].any()
    assert outside[covered & (r > 92.0) & ~scene.unknown].all()
    assert not scene.unknown[covered & (r < 88.0)].any()


def test_prior_without_a_ct_is_refused() -> None:
    with pytest.raises(InputError, match="prior-ct"):
        CbctInput(prior_labels=Path("labels.nii.gz"))
    with pytest.raises(InputError, match="carry-error"):
        CbctInput(prior_ct=Path("ct"), carry_error_mm=-1.0)
    wider = CbctInput(prior_ct=Path("ct"), carry_error_mm=2.0).rules(PathRules())
    for new, old in zip(wider.obstacles, PathRules().obstacles, strict=True):
        assert new.hard_mm == old.hard_mm + 2.0
        assert "carried from a CT" in new.source


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cbct")
    write_volume(grey(), folder / "cbct.nii.gz")
    ball = np.linalg.norm(P - [-10.0, 0.0, 0.0], axis=-1) < 4.0
    write_mask(ball, GRID, folder / "target.nii.gz")
    return folder


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_plan_whose_skin_nobody_saw(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text = run(
        "plan", scan / "cbct.nii.gz", "--cbct", "--target-mask", scan / "target.nii.gz",
        "--probes", 1, "--applicator", "cryo-17g-seed", "--margin", 0, "--no-3d", "--json",
        "-o", out,
    )  # fmt: skip
    assert code == 0, text
    data = json.loads(text[text.index("{") :])
    rows = {r["name"]: r for r in data["rows"]}
    assert rows["needle 1: seen all along"]["status"] == "not_checked"
    assert rows["needle 1: length"]["status"] == "not_checked"
    assert rows["needles to gallbladder"]["status"] == "not_checked"
    assert any("NOT CHECKED" in m for m in data["messages"])
    assert any("grey" in m for m in data["messages"])
    entry = read_plan(out / "plan.json").placements[0].needle.entry_mm
    assert np.hypot(entry[0], entry[1]) < 53.0  # where the field ends, not on an invented skin
    assert (out / "unknown.nii.gz").exists()
    code, text = run("evaluate", out, "--json")  # the unknown is kept with the plan
    assert code == 0, text
    rows = {r["name"]: r for r in json.loads(text[text.index("{") :])["rows"]}
    assert rows["needle 1: seen all along"]["status"] == "not_checked"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--prior-target", "t.nii.gz"), "--cbct"),
        (("--cbct", "--prior-target", "t.nii.gz"), "--prior-ct"),
        (("--cbct", "--prior-ct", "none.nii.gz", "--target-point", "0,0,0", "--target-diameter",
          "10"), "nothing at that path"),
        (("--cbct", "--target-point", "55,0,0", "--target-diameter", "10"), "in air or outside"),
    ],
)  # fmt: skip
def test_bad_input(scan: Path, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    out = tmp_path / "out"
    code, text = run("plan", scan / "cbct.nii.gz", *words, "-o", out)
    assert code not in (0, 1), text
    assert says in " ".join(text.split())
    assert not out.exists()
