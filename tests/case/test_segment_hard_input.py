"""`irplan segment` on scans that are hard or wrong: a right mask with a word, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from irplan.cli.app import app
from irplan.files import read_labels, write_labels, write_volume
from irplan.image import LabelMap, Volume
from irplan.phantom import Variant, abdominal_ct
from irplan.segmentation import dice

SPACING_MM = (5.0, 2.5, 2.5)
ORGAN = ("liver", "tumour", "hepatic_vein", "portal_vein")


def _run(folder: Path, volume: Volume, *options: str):
    write_volume(volume, folder / "ct.nii.gz")
    return CliRunner().invoke(
        app,
        ["segment", str(folder / "ct.nii.gz"), "-o", str(folder / "out.nii.gz"), "--json", "-q",
         *options],
    )  # fmt: skip


def _dice(folder: Path, truth: LabelMap) -> float:
    write_labels(truth, folder / "truth.nii.gz")  # the same reading of the axes for both
    found, known = read_labels(folder / "out.nii.gz"), read_labels(folder / "truth.nii.gz")
    # Vessels count where they run in the liver.
    near = known.mask(*ORGAN) & (known.mask("liver") | found.mask("liver"))
    return dice(found.mask("liver"), near)


@pytest.fixture(scope="module")
def plain():
    return abdominal_ct(31, spacing_mm=SPACING_MM)


def _part(made, start: int, stop: int) -> tuple[Volume, LabelMap]:
    shape = (stop - start, *made.volume.grid.shape[1:])
    return made.volume.crop((start, 0, 0), shape), made.labels.crop((start, 0, 0), shape)


def _liver_slices(made) -> tuple[int, int]:
    z = np.flatnonzero(made.labels.mask("liver").any(axis=(1, 2)))
    return int(z[0]), int(z[-1])


def test_no_liver_in_the_scan_is_refused(plain, tmp_path):
    low, high = _liver_slices(plain)
    for start, stop, words in (
        (0, low, "could be liver"),  # pelvis
        (high + 1, plain.volume.grid.shape[0], "field of view"),  # chest, 45 mm of it
    ):
        run = _run(tmp_path, _part(plain, start, stop)[0])
        assert run.exit_code == 2, run.output
        assert words in run.output
        assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize("end", ["top", "bottom"])
def test_a_liver_cut_off_is_measured_and_said(plain, tmp_path, end):
    low, high = _liver_slices(plain)
    last = plain.volume.grid.shape[0]
    volume, truth = _part(plain, *((0, high - 8) if end == "top" else (low + 12, last)))
    run = _run(tmp_path, volume)
    assert run.exit_code == 0, run.output
    assert _dice(tmp_path, truth) >= 0.93
    row = next(
        r for r in json.loads(run.stdout)["checks"] if r["name"] == f"liver on the {end} slice"
    )
    assert row["status"] == "warning"
    # Its area there against the truth's, which the working grid's last slice is near to.
    area = truth.mask(*ORGAN)[-1 if end == "top" else 0].sum() * 6.25 / 100.0
    assert row["value"] == pytest.approx(area, rel=0.15)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: np.clip((hu + 160.0) / 400.0 * 255.0, 0.0, 255.0), "8-bit"),
        (lambda hu: hu + 1024.0, "rescale intercept"),
        (lambda hu: hu / 1000.0, "Hounsfield"),
    ],
)
def test_other_intensities_are_refused(plain, tmp_path, change, words):
    hu = change(plain.volume.array.astype(np.float32))
    run = _run(tmp_path, Volume(hu.astype(np.int16), plain.volume.grid))
    assert run.exit_code == 2, run.output
    assert words in run.output
    assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize(
    ("phase", "variant", "words"),
    [
        ("portal", Variant(metal="spine", ascites_mm=12.0), ("Metal",)),
        ("unenhanced", Variant(prone=True), ("prone", "unenhanced")),
    ],
)
def test_hard_patients_are_told_and_still_right(tmp_path, phase, variant, words):
    made = abdominal_ct(32, phase=phase, spacing_mm=SPACING_MM, variant=variant)
    run = _run(tmp_path, made.volume)
    assert run.exit_code == 0, run.output
    assert _dice(tmp_path, made.labels) >= 0.93
    data = json.loads(run.stdout)
    told = " ".join([*data["warnings"], *(c["note"] for c in data["checks"])])
    for word in words:
        assert word in told
