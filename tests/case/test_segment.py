"""`irplan segment`: the whole job from DICOM and NIfTI, and every way it is refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from irplan.case.segment_case import run_segmentation
from irplan.case.segment_request import SegmentRequest
from irplan.cli.app import app
from irplan.dicom import read_segmentation, read_series
from irplan.errors import CancelledError, InputError, OutputError
from irplan.files import read_labels, write_volume
from irplan.phantom import TumourSpec, abdominal_ct
from irplan.segmentation import dice
from tests.dicom.conftest import SyntheticSeries


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A coarse phantom as NIfTI and as a DICOM series."""
    folder = tmp_path_factory.mktemp("patient")
    made = abdominal_ct(3, spacing_mm=(5.0, 2.0, 2.0), tumours=(TumourSpec(26.0),))
    write_volume(made.volume, folder / "ct.nii.gz")
    n0, n1, n2 = made.volume.grid.shape

    class Series(SyntheticSeries):
        def hu(self):
            return made.volume.array.astype(np.int32)

    origin = tuple(float(v) for v in made.volume.grid.index_to_lps((0, 0, 0)))
    Series(count=n0, rows=n1, columns=n2, step_mm=5.0, pixel_mm=(2.0, 2.0), origin_mm=origin).write(
        folder / "dicom"
    )
    return folder, made


def _text(point) -> str:
    return ",".join(f"{float(v):.2f}" for v in point)


def test_the_whole_job_from_dicom(patient, tmp_path):
    folder, made = patient
    tumour = made.labels.grid.index_to_lps(np.argwhere(made.labels.mask("tumour")).mean(axis=0))
    run = CliRunner().invoke(
        app,
        ["segment", str(folder / "dicom"), "-o", str(tmp_path / "labels.nii.gz"),
         "--structures", "liver,vessels,tumour,obstacles", "--seg-dicom", str(tmp_path / "s.dcm"),
         "--figure", str(tmp_path / "stages.png"), "--tumour-point", _text(tumour),
         "--tumour-diameter", "26", "--json", "-q"],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    data = json.loads(run.stdout)
    found = read_labels(tmp_path / "labels.nii.gz")
    ml = found.grid.voxel_volume_mm3 / 1000
    rows = {r["name"]: r for r in data["structures"]}
    for name in ("liver", "vessel", "bone", "lung", "tumour"):
        assert rows[name]["volume_ml"] == pytest.approx(found.mask(name).sum() * ml, rel=1e-6)
        assert rows[name]["status"] == "ok"
    organ = ("liver", "tumour", "vessel", "portal_vein", "hepatic_vein")
    assert dice(found.mask(*organ), made.labels.mask(*organ)) > 0.9
    assert dice(found.mask("tumour"), made.labels.mask("tumour")) > 0.7
    assert "body" not in rows
    assert {"reading", "segmentation", "writing"} == set(data["seconds"])
    assert any(c["name"] == "volume spacing" for c in data["checks"])
    seg = read_segmentation(tmp_path / "s.dcm")
    grid = read_series(folder / "dicom").grid
    for segment in seg.segments:
        np.testing.assert_array_equal(seg.mask(segment.name, grid), found.mask(segment.name))
    assert (tmp_path / "stages.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "labels.ctbl", "labels.json", "labels.nii.gz", "s.dcm", "stages.png",
    ]  # fmt: skip


def test_clicks_reach_the_liver(patient, tmp_path):
    folder, made = patient
    spleen = np.argwhere(made.labels.mask("spleen"))
    inside = made.labels.grid.index_to_lps(np.argwhere(made.labels.mask("liver"))[500])
    outside = made.labels.grid.index_to_lps(spleen[len(spleen) // 2])
    out = tmp_path / "liver.nii.gz"
    request = SegmentRequest(
        folder / "ct.nii.gz", out, foreground=(tuple(inside),), background=(tuple(outside),)
    )
    outcome = run_segmentation(request)
    found = outcome.labels.mask("liver")
    for point, wanted in ((inside, True), (outside, False)):
        at = tuple(np.rint(outcome.labels.grid.lps_to_index(point)).astype(int))
        assert bool(found[at]) is wanted
    assert [c["inside"] for c in outcome.provenance["clicks"]] == [True, False]
    assert [r.name for r in outcome.rows] == ["liver"]
    assert outcome.labels.labels[0].name == "liver"
    with pytest.raises(OutputError, match="exists"):
        SegmentRequest(folder / "ct.nii.gz", out)
    SegmentRequest(folder / "ct.nii.gz", out, overwrite=True)


def test_an_onnx_model_does_the_same_job(patient, tmp_path):
    from tests.files.test_onnx_model import manifest, two_class_model

    folder, _ = patient
    two_class_model(tmp_path / "tiny.onnx")
    toml = manifest(tmp_path, spacing_mm=[5.0, 4.0, 4.0], labels='1 = "liver"')
    request = SegmentRequest(
        folder / "dicom", tmp_path / "l.nii.gz", model=toml, seg_dicom=tmp_path / "l.dcm",
        structures=("liver", "spleen"), figure=tmp_path / "l.png",
    )  # fmt: skip
    outcome = run_segmentation(request)
    assert outcome.provenance["model"]["name"] == "tiny"
    assert {r.name: r.status for r in outcome.rows} == {"liver": "ok", "spleen": "not_checked"}
    assert "tiny" in read_segmentation(tmp_path / "l.dcm").segments[0].algorithm
    with pytest.raises(InputError, match="clicks together with --model"):
        SegmentRequest(folder / "dicom", tmp_path / "m.nii.gz", model=toml, foreground=((0, 0, 0),))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--structures", "lever"], 2, "Did you mean 'liver'"),
        (["--structures", ""], 2, "--structures"),
        (["--fg", "9999,0,0"], 2, "outside the image"),
        (["--fg", "1,2,3,4"], 2, "--fg"),
        (["--fg", "-40,-20,-100", "--bg", "-40,-20,-100"], 2, "click"),
        (["--seg-dicom", "{out}/s.dcm"], 2, "not DICOM"),
        (["--structures", "liver,tumour"], 2, "without a point"),
        (["--tumour-point", "1,2,3", "--tumour-diameter", "20"], 2, "without 'tumour'"),
        (["--tumour-point", "1,2,3"], 2, "--tumour-diameter"),
        (["--figure", "{out}/s.jpg"], 2, "--figure"),
        (["--figure", "{out}/l.png", "--seg-dicom", "{out}/l.png"], 2, "--seg-dicom"),
        (["--model", "{out}/absent.toml"], 2, "model manifest"),
        (["--model", "totalsegmentator", "--program", "{out}/nothing"], 5, "no program"),
        (["--program", "x"], 2, "--program"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(patient, tmp_path, arguments, code, words):
    folder, _ = patient
    given = [a.format(out=tmp_path) for a in arguments]
    run = CliRunner().invoke(
        app,
        ["segment", str(folder / "ct.nii.gz"), "-o", str(tmp_path / "l.nii.gz"), "-q", *given],
    )
    assert run.exit_code == code, run.output
    assert words in run.output
    assert "Traceback" not in run.output
    assert list(tmp_path.iterdir()) == []


def test_wrong_files_are_told(patient, tmp_path):
    _folder, made = patient
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "word.docx").write_text("no image")
    gap = tmp_path / "gap"
    gap.mkdir()
    _n0, n1, n2 = made.volume.grid.shape
    SyntheticSeries(
        count=5, positions=[(0, 0, z) for z in (0, 2, 4, 8, 10)], rows=n1, columns=n2
    ).write(gap)
    for ct, words in (
        (tmp_path / "text.nii.gz", "NIfTI file"),
        (tmp_path / "word.docx", "neither DICOM nor NIfTI"),
        (tmp_path / "absent", "nothing at that path"),
        (gap, "missing slices"),
    ):
        run = CliRunner().invoke(
            app, ["segment", str(ct), "-o", str(tmp_path / "out" / "l.nii.gz"), "-q"]
        )
        assert run.exit_code == 2, run.output
        assert words in run.output
        assert not (tmp_path / "out").exists()


def _one_liver(folder: Path, out: Path, **more) -> SegmentRequest:
    return SegmentRequest(folder / "dicom", out / "l.nii.gz", **more)


def test_a_full_disk_leaves_nothing(patient, tmp_path, monkeypatch):
    """The labels are there already when the segmentation meets the end of the disk."""
    folder, _ = patient
    before = tmp_path / "l.nii.gz"
    before.write_bytes(b"older")

    def full(self, *args, **kwargs):
        Path(args[0]).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pydicom.dataset.FileDataset.save_as", full)
    request = _one_liver(folder, tmp_path, seg_dicom=tmp_path / "s.dcm", overwrite=True)
    with pytest.raises(OutputError, match="no space left"):
        run_segmentation(request)
    assert [p.name for p in tmp_path.iterdir()] == ["l.nii.gz"]
    assert before.read_bytes() == b"older"


def test_a_cancel_leaves_nothing(patient, tmp_path):
    folder, _ = patient

    def cancel(fraction, message):
        if fraction > 0.3:
            raise CancelledError("segment")

    with pytest.raises(CancelledError):
        run_segmentation(_one_liver(folder, tmp_path), progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_labels_that_cannot_be_written_are_named_as_the_user_did(patient, tmp_path, monkeypatch):
    folder, _ = patient

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("irplan.files.nifti.header_bytes", lambda *a, **k: b"x")
    monkeypatch.setattr("gzip.GzipFile.write", full)
    request = SegmentRequest(folder / "dicom", tmp_path / "new" / "deep" / "l.nii.gz")
    with pytest.raises(OutputError) as caught:
        run_segmentation(request)
    assert "new/deep/l.nii.gz" in caught.value.got
    assert "irplan-tmp" not in caught.value.got
    assert list(tmp_path.iterdir()) == []
