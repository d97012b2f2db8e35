"""`irplan compare`: names, values, SEG and grids matched or refused; numbers by hand."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from irplan.case.compare_segmentations import run_comparison, write_comparison_csv
from irplan.cli.app import app
from irplan.errors import FileFormatError, GridMismatchError, InputError
from irplan.files import write_labels, write_mask, write_volume
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume
from irplan.image.structures import structure

GRID = Grid.from_spacing((20, 30, 30), (2.0, 1.0, 1.0), (5.0, -7.0, 11.0))


def _box(start, stop) -> np.ndarray:
    out = np.zeros(GRID.shape, dtype=bool)
    out[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return out


LIVER = _box((5, 5, 5), (15, 25, 25))  # 10 x 20 x 20 voxels of 2 mm^3 = 8 ml
SHIFTED = _box((5, 5, 8), (15, 25, 28))  # 17 of 20 columns shared
SPLEEN = _box((5, 5, 25), (15, 25, 29))


@pytest.fixture
def files(tmp_path):
    truth = LabelMap.from_masks(GRID, [(structure("liver"), LIVER), (structure("spleen"), SPLEEN)])
    found = LabelMap.from_masks(
        GRID, [(structure("liver"), SHIFTED), (structure("gas"), np.zeros_like(LIVER))]
    )
    write_labels(truth, tmp_path / "truth.nii.gz")
    write_labels(found, tmp_path / "found.nii.gz")
    write_mask(SHIFTED, GRID, tmp_path / "mask.nii.gz")
    return tmp_path


def test_by_name_with_leaks(files):
    out = run_comparison(files / "found.nii.gz", files / "truth.nii.gz")
    ((name, q),) = out.rows
    assert name == "liver"
    assert q.dice == pytest.approx(17 / 20)
    assert q.voe_percent == pytest.approx(100 * (1 - 17 / 23))
    assert (q.volume_ml, q.reference_ml, q.bias_ml) == (8.0, 8.0, 0.0)
    assert q.leaks_ml == (("spleen", pytest.approx(1.2)),)  # 3 of its 4 columns: 10 x 20 x 3 x 2
    assert q.surface.largest_mm == pytest.approx(3.0, abs=0.1)
    assert q.sliver07.largest_mm == pytest.approx(3.0, abs=1e-5)
    assert out.messages == (
        "Only in A, not compared: gas.",
        "Only in B, not compared: spleen.",
    )


def test_a_bare_mask_is_what_it_is_called(files):
    out = run_comparison(files / "mask.nii.gz", files / "truth.nii.gz", labels=["liver"])
    assert out.rows[0][1].dice == pytest.approx(17 / 20)
    both = run_comparison(files / "mask.nii.gz", files / "truth.nii.gz", labels=["liver+spleen"])
    # 24 columns against 20, 20 shared.
    assert both.rows[0][1].dice == pytest.approx(2 * 20 / 44)
    assert both.rows[0][1].leaks_ml == ()
    by_value = run_comparison(files / "found.nii.gz", files / "truth.nii.gz", labels=["2"])
    assert by_value.rows[0][1].dice == pytest.approx(17 / 20)


def test_numbers_without_names_are_not_guessed(files, tmp_path):
    """Found on a real file: liver is 2 here, 5 in TotalSegmentator's maps; its 2 is a kidney."""
    array = np.zeros(GRID.shape, np.uint8)
    array[LIVER], array[SPLEEN] = 5, 2
    write_volume(Volume(array, GRID, "1"), tmp_path / "bare.nii.gz")
    pair = (files / "found.nii.gz", tmp_path / "bare.nii.gz")
    with pytest.raises(InputError, match=r"2 values without names.*liver=5"):
        run_comparison(*pair)
    out = run_comparison(*pair, labels=["liver=5"])
    assert out.rows[0][1].dice == pytest.approx(17 / 20)
    both = run_comparison(tmp_path / "bare.nii.gz", tmp_path / "bare.nii.gz")
    assert [q.dice for _, q in both.rows] == [1.0, 1.0]


def test_another_grid_is_refused_or_resampled(files, tmp_path):
    fine = Grid.from_spacing((40, 60, 60), (1.0, 0.5, 0.5), (4.75, -7.25, 10.5))
    write_mask(np.kron(LIVER, np.ones((2, 2, 2), bool)), fine, tmp_path / "fine.nii.gz")
    pair = (tmp_path / "fine.nii.gz", files / "truth.nii.gz")
    with pytest.raises(GridMismatchError, match="--resample") as refused:
        run_comparison(*pair, labels=["liver"])
    assert "truth.nii.gz" in refused.value.expected
    out = run_comparison(*pair, labels=["liver"], resample=True)
    assert out.resampled
    assert out.rows[0][1].dice == 1.0


def test_command_prints_table_json_and_csv(files):
    run = CliRunner().invoke(
        app,
        ["compare", str(files / "found.nii.gz"), str(files / "truth.nii.gz"), "--json", "-q",
         "--csv", str(files / "out.csv")],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    data = json.loads(run.stdout)
    row = data["structures"][0]
    assert (row["structure"], row["leaks_ml"]) == ("liver", {"spleen": pytest.approx(1.2)})
    assert data["units"]["asd_mm"] == "mm"
    with (files / "out.csv").open() as text:
        lines = list(csv.DictReader(text))
    assert float(lines[0]["dice"]) == pytest.approx(row["dice"], rel=1e-5)
    shown = CliRunner().invoke(
        app, ["compare", str(files / "found.nii.gz"), str(files / "truth.nii.gz"), "-q"]
    )
    assert shown.exit_code == 0
    shown = CliRunner().invoke(
        app, ["compare", str(files / "found.nii.gz"), str(files / "truth.nii.gz")]
    )
    assert "HD95 mm" in shown.stdout
    assert "spleen 1.2" in shown.stdout


def test_bad_input_is_named(files, tmp_path):
    good = files / "truth.nii.gz"
    with pytest.raises(InputError, match=r"liver \(2\), gas \(12\)"):
        run_comparison(files / "found.nii.gz", good, labels=["kidney"])
    with pytest.raises(FileFormatError, match="nothing there"):
        run_comparison(tmp_path / "absent.nii", good)
    with pytest.raises(FileFormatError, match="a folder"):
        run_comparison(tmp_path, good)
    write_volume(Volume(np.full(GRID.shape, -3.5, np.float32), GRID), tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="labels: whole numbers"):
        run_comparison(tmp_path / "ct.nii.gz", good)
    spleen = LabelMap.from_masks(GRID, [(structure("heart"), SPLEEN)])
    write_labels(spleen, tmp_path / "heart.nii.gz")
    with pytest.raises(InputError, match="heart in A"):
        run_comparison(tmp_path / "heart.nii.gz", good)
    run = CliRunner().invoke(app, ["compare", str(tmp_path / "absent.nii"), str(good)])
    assert run.exit_code == 2
    assert "Traceback" not in run.output


def test_segmentations_of_different_extent_are_compared(files, tmp_path):
    """SEG files leave empty slices out: two of one scan still lie on one stack."""
    from irplan.dicom import read_series, write_segmentation
    from tests.dicom.conftest import SyntheticSeries

    made = SyntheticSeries(count=12, rows=20, columns=20)
    made.write(tmp_path / "ct")
    grid = read_series(tmp_path / "ct").grid
    masks = [np.zeros(grid.shape, bool) for _ in range(2)]
    masks[0][2:6, 5:15, 5:15] = True
    masks[1][4:9, 5:15, 5:15] = True
    for n, mask in enumerate(masks):
        labels = LabelMap.from_masks(grid, [(structure("liver"), mask)])
        write_segmentation(labels, tmp_path / "ct", tmp_path / f"{n}.dcm")
    write_mask(masks[1], grid, tmp_path / "1.nii.gz")
    for second in ("1.dcm", "1.nii.gz"):
        out = run_comparison(tmp_path / "0.dcm", tmp_path / second)
        assert out.rows[0][1].dice == pytest.approx(2 * 2 / 9)
    back = run_comparison(tmp_path / "1.nii.gz", tmp_path / "0.dcm")
    assert back.rows[0][1].rvd_percent == pytest.approx(25.0)
    write_comparison_csv(back, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("structure,dice,")
