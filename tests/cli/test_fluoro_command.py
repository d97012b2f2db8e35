"""``irplan fluoro run`` from file to file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from typer.testing import CliRunner

from irplan.case.save_dicom import save_dicom
from irplan.cli.app import app
from irplan.dicom.xa_write import simulated_dataset
from irplan.fluoroscopy import DETECTORS, Exposure, scene, simulate

RUN = CliRunner()


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fluoro")
    made = scene("abdomen", shape=(128, 128), frames=12, seed=106)
    noisy, clean = simulate(made, Exposure(10.0), DETECTORS["flat-panel-0.2"], seed=3)
    np.save(folder / "clean.npy", clean.frames)
    return save_dicom(simulated_dataset(noisy, description="phantom"), folder / "in.dcm")


def test_run_filters_and_records(run_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.dcm"
    done = RUN.invoke(
        app, ["fluoro", "run", str(run_file), "-o", str(out), "--preset", "abdomen", "--compare",
              "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    clean = np.load(run_file.parent / "clean.npy")[8:]
    before = pydicom.dcmread(run_file).pixel_array[8:].astype(float)
    after = pydicom.dcmread(out).pixel_array[8:].astype(float)
    assert np.std(after - clean) < 0.45 * np.std(before - clean)
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["preset"] == "abdomen"
    assert record["settings"]["temporal"]["show"] == 0.34
    assert record["frames"] == 12
    with Image.open(tmp_path / "out.gif") as film:
        assert film.n_frames == 12
        assert film.size == (2 * 128 + 4, 128)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "heart"], "preset"),
        (["--show", "3"], "show"),
        (["--stage", "spatial"], "STAGE=MODULE:FUNCTION"),
        (["--stage", "spatial=no.such:thing"], "can be imported"),
        (["--off", "colour"], "stage"),
        (["--subtract", "bend"], "shift"),
        (["--video", "film.avi"], "video"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    run_file: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    out = tmp_path / "out.dcm"
    done = RUN.invoke(app, ["fluoro", "run", str(run_file), "-o", str(out), *options, "-q"])
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "out",
    [["-o", "in.dcm"], ["-o", "link.dcm"], ["-o", "out.json"], ["-o", "o.dcm", "--video", "l.gif"]],
)
def test_no_output_replaces_the_source_or_another(
    run_file: Path, tmp_path: Path, out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.dcm"
    source.write_bytes(run_file.read_bytes())
    for link in ("link.dcm", "l.gif"):
        (tmp_path / link).symlink_to(source)
    there = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    done = RUN.invoke(app, ["fluoro", "run", "in.dcm", *out, "-q"])
    assert done.exit_code == 4, done.output
    assert source.read_bytes() == run_file.read_bytes()
    assert sorted(tmp_path.iterdir()) == there


def test_nothing_is_left_where_the_video_fails(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    out = [str(tmp_path / "o.dcm"), "--video", str(tmp_path / "o.mp4")]
    done = RUN.invoke(app, ["fluoro", "run", str(run_file), "-o", *out, "-q"])
    assert done.exit_code != 0
    assert "video" in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def make_filter(facts):\n    return Own()\n", "NameError in its start"),
        ("def make_filter(facts:\n", "SyntaxError in its import"),
        ("class Own:\n    def step(self, frame):\n        return frame[0, 0, 0]\n"
         "    def state(self):\n        return {}\n    def restore(self, state):\n        pass\n"
         "def make_filter(facts):\n    return Own()\n", "IndexError in its step"),
    ],
)  # fmt: skip
def test_a_fault_in_ones_own_filter_names_its_line(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    name = f"own_{words.split()[0].lower()}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    there = sorted(tmp_path.iterdir())
    stage = ["--stage", f"spatial={name}:make_filter"]
    done = RUN.invoke(app, ["fluoro", "run", str(run_file), "-o", str(tmp_path / "o.dcm"), *stage])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.output.split())
    assert f"{name}.py" in done.output.replace("\n", "")
    assert "Traceback" not in done.output
    assert [p for p in sorted(tmp_path.iterdir()) if p.name != "__pycache__"] == there
