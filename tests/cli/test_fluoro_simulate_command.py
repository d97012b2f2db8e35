"""``irplan fluoro simulate``: XA out, paired noise down the ladder, truth, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from irplan.cli.app import app
from irplan.dicom.xa_read import read_xa
from irplan.fluoroscopy import DETECTORS

RUN = CliRunner()


def test_a_ladder_with_paired_noise_and_truth(tmp_path: Path) -> None:
    out = tmp_path / "run.dcm"
    done = RUN.invoke(
        app, ["fluoro", "simulate", "abdomen", "-o", str(out), "--dose", "40,10", "--size", "128",
              "--frames", "4", "--beam", "RQA7", "--truth", "--no-aec", "-q"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    files = sorted(p.name for p in tmp_path.iterdir())
    assert files == ["run_10nGy.dcm", "run_10nGy.json", "run_40nGy.dcm", "run_40nGy.json",
                     "run_truth.npz"]  # fmt: skip
    high, low = (read_xa(tmp_path / f"run_{d}nGy.dcm").run for d in (40, 10))
    assert high.technique.tube_kv == 90.0
    assert low.rate_hz == pytest.approx(15.0, rel=1e-3)
    truth = np.load(tmp_path / "run_truth.npz")
    assert {"clean", "path_guidewire", "path_needle", "path_spine"} <= set(truth.files)
    offset = DETECTORS["flat-panel-0.2"].offset
    clean = truth["clean"][2] - offset
    noise = [high.frames[2] - offset - clean, 4.0 * (low.frames[2] - offset) - clean]
    # the same uniform numbers behind both: the noise goes together, and falls with dose
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] > 0.6
    assert noise[1].std() / noise[0].std() > 1.9
    record = json.loads((tmp_path / "run_10nGy.json").read_text())
    assert record["beam"]["half_value_mm_al"] == pytest.approx(9.2, abs=0.1)
    data = pydicom.dcmread(tmp_path / "run_10nGy.dcm", stop_before_pixels=True)
    assert (data.Modality, str(data.PatientID)) == ("XA", "IRPLAN-PHANTOM")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("head",), "neuro"),
        (("flat", "--dose", "0"), "--dose"),
        (("flat", "--dose", "10,10"), "different doses"),
        (("flat", "--beam", "RQA1"), "RQA9"),
        (("flat", "--detector", "film"), "flat-panel"),
        (("flat", "--size", "20"), "64 to 4096"),
        (("flat", "--frames", "1"), "2 to 5000"),
        (("flat", "--rate", "nan"), "--rate"),
    ],
)
def test_mistakes(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    done = RUN.invoke(app, ["fluoro", "simulate", *args, "-o", str(tmp_path / "x.dcm"), "-q"])
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())
