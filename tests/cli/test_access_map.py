"""``irplan access-map`` on labels: the files, their content, exit codes and words."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from irplan.cli.app import app
from irplan.files import write_labels, write_mask
from irplan.geometry import Grid
from irplan.image import LabelMap, structure

COARSE = ["--raster", "3", "--entry-spacing", "10", "--target-spacing", "8"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A box of body with a liver, every needed structure looked for; a mask of the unseen."""
    folder = tmp_path_factory.mktemp("access")
    grid = Grid.from_spacing((36, 50, 60), (3.0, 3.0, 3.0), (-88.0, -74.0, -53.0))
    p = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    nothing = np.zeros(grid.shape, bool)
    masks = [
        (structure("body"), np.all(np.abs(p) < [80.0, 62.0, 60.0], axis=-1)),
        (structure("liver"), np.linalg.norm(p, axis=-1) < 40.0),
    ]
    masks += [(structure(n), nothing) for n in ("bone", "lung", "gas", "gallbladder", "vessel")]
    write_labels(LabelMap.from_masks(grid, masks), folder / "labels.nii.gz")
    write_mask(np.linalg.norm(p, axis=-1) < 8.0, grid, folder / "target.nii.gz")
    write_mask(p[..., 1] < -40.0, grid, folder / "unknown.nii.gz")
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["access-map", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_map_of_labels(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "map"
    code, text, _ = run(files / "labels.nii.gz", "--target-mask", files / "target.nii.gz",
                        "-o", out, "--json", *COARSE)  # fmt: skip
    assert code == 0
    told = json.loads(text)
    assert told["entries"]["clear"] > 0
    assert told["candidates"][0]["length_mm"] == pytest.approx(62.0, abs=6.0)
    data = json.loads((out / "access_map.json").read_text())
    assert data["schema"] == "irplan.access_map"
    assert data["candidates"][0]["terms"][0]["name"] == "length"
    assert data["not_checked_needed"] == []
    rows = list(csv.DictReader((out / "access_map.csv").open()))
    assert len(rows) == sum(told["entries"].values())
    for name, status in (("clear", "clear"), ("blocked", "blocked")):
        assert sum(r["status"] == status for r in rows) == told["entries"][name]
    clear = [r for r in rows if r["status"] == "clear"]
    assert all(0.0 < float(r["clear_share"]) <= 1.0 and r["best_score"] for r in clear)
    assert (out / "access_map.png").read_bytes().startswith(b"\x89PNG")
    surface = (out / "access_map.vtp").read_text()
    pv = pytest.importorskip("pyvista")
    mesh = pv.read(out / "access_map.vtp")
    assert mesh.n_cells > 100
    share = np.asarray(mesh["reachable_target_percent"])
    assert np.nanmax(share) == pytest.approx(100.0)
    assert "best_score" in surface
    again = tmp_path / "again"
    assert run(files / "labels.nii.gz", "--target-point", "0,0,0", "--target-diameter", "16",
               "-o", again, "-q", *COARSE)[0] == 0  # fmt: skip
    first = [(out / n).read_bytes() for n in ("access_map.csv",)]
    code, _, _ = run(files / "labels.nii.gz", "--target-mask", files / "target.nii.gz",
                     "-o", out, "-q", *COARSE)  # fmt: skip
    assert code == 0
    assert first == [(out / n).read_bytes() for n in ("access_map.csv",)]  # the same bytes again


def test_what_was_not_seen_is_kept_apart(files: Path, tmp_path: Path) -> None:
    code, text, _ = run(files / "labels.nii.gz", "--target-mask", files / "target.nii.gz",
                        "--unknown", files / "unknown.nii.gz", "-o", tmp_path / "u", "--json",
                        *COARSE)  # fmt: skip
    assert code == 0
    told = json.loads(text)
    assert told["entries"]["not checked"] > 0
    front = [c for c in told["candidates"] if c["entry_mm"][1] < -39.0]
    assert front == []
    assert "outside the field of view" in told["unchecked_candidates"][0]["not_checked"]


def test_no_path_is_exit_code_3_with_the_nearest_miss(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    code, _, words = run(files / "labels.nii.gz", "--target-mask", files / "target.nii.gz",
                         "-o", out, "--rule", "max_length_mm=30", *COARSE)  # fmt: skip
    assert code == 3
    assert "longer than 30 mm" in words
    assert "mm too long" in words
    assert (out / "access_map.png").exists()  # the map shows why


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ([], "target"),
        (["--target-point", "0,0,0"], "target"),
        (["--target-point", "0,0,900", "--target-diameter", "10"], "inside the labels"),
        (["--target-point", "0,0,0", "--target-diameter", "16", "--rule", "speed=2"], "speed"),
        (["--target-point", "0,0,0", "--target-diameter", "16", "--rule", "max_tilt"], "--rule"),
        (["--target-point", "0,0,0", "--target-diameter", "16", "--error", "4"], "--error"),
        (["--target-point", "0,0,0", "--target-diameter", "16", "--raster", "9"], "raster_mm"),
    ],
)
def test_mistakes_are_told_in_words(
    files: Path, tmp_path: Path, more: list[str], word: str
) -> None:
    out = tmp_path / "bad"
    code, _, words = run(files / "labels.nii.gz", "-o", out, *more)
    assert code == 2
    assert word in words
    assert not out.exists()
