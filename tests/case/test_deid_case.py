"""``irplan deid`` as a whole: folders, zips, hostile archives, cancelling, what is reported."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pydicom
import pytest
from typer.testing import CliRunner

from irplan.case.deid_case import REPORT, run_deid
from irplan.cli.app import app
from irplan.dicom.deid_options import DeidOptions
from irplan.errors import CancelledError, FileFormatError, InputError
from irplan.files.archive import ArchiveLimits, archive_members
from tests.dicom.test_deid import KEY, ct, saved

OPTIONS = DeidOptions(key=KEY)


def study(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        data = ct(InstanceNumber=number)
        saved(data, folder / f"Jansen_Piet_{number}.dcm")
    (folder / "readme.txt").write_text("Jansen")
    return folder


def test_folder_in_folder_out(tmp_path: Path) -> None:
    source = study(tmp_path / "Jansen")
    result = run_deid(source, tmp_path / "out", OPTIONS)
    assert (result.written, result.not_dicom) == (3, 1)
    files = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(files) == 3
    assert len({pydicom.dcmread(f).SeriesInstanceUID for f in files}) == 1
    everything = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    names = " ".join(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*"))
    assert b"Jansen" not in everything
    assert "Jansen" not in names
    data = json.loads((tmp_path / "out" / REPORT).read_text())
    assert data["written"] == 3
    assert data["left_out"] == {"not_dicom": 1, "refused": {}}
    assert "not anonymous" in data["statement"]
    assert data["residual_risk"]


def test_zip_in_and_a_burned_in_image_left_out(tmp_path: Path) -> None:
    source = study(tmp_path / "s", 2)
    saved(ct(BurnedInAnnotation="YES"), source / "us.dcm")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in source.iterdir():
            archive.write(file, f"../../Jansen/{file.name}")  # a path that tries to get out
    run = CliRunner().invoke(
        app, ["deid", str(tmp_path / "a.zip"), "-o", str(tmp_path / "deep" / "out"), "--json", "-q"]
    )
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert report["written"] == 2
    assert sum(report["left_out"]["refused"].values()) == 1
    assert not (tmp_path / "Jansen").exists()
    assert len(list((tmp_path / "deep" / "out").rglob("*.dcm"))) == 2


def test_a_zip_bomb_stops_early_and_leaves_nothing(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * (100 << 20))
    assert bomb.stat().st_size < 200_000
    with pytest.raises(FileFormatError, match="zip bomb"):
        run_deid(bomb, tmp_path / "out", OPTIONS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bomb.zip"]


def test_archive_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5):
            archive.writestr(f"/etc/{number}", bytes([number]) * 100)
    assert [p.read_bytes()[:1] for p in archive_members(path)] == [bytes([n]) for n in range(5)]
    for limits, words in (
        (ArchiveLimits(members=4), "5 members"),
        (ArchiveLimits(member_bytes=50), "too large"),
        (ArchiveLimits(total_bytes=350), "too much inside"),
    ):
        with pytest.raises(FileFormatError, match=words):
            list(archive_members(path, limits))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(FileFormatError, match="cannot be read as a zip"):
        list(archive_members(path))
    for way in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # zipfile unpacks these in one go
        with zipfile.ZipFile(path, "w", way) as archive:
            archive.writestr("a", b"\0" * 1000)
        with pytest.raises(FileFormatError, match="bzip2 or LZMA"):
            list(archive_members(path))


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    def stop(fraction: float, message: str) -> None:
        if fraction > 0.3:
            raise CancelledError("deid")

    with pytest.raises(CancelledError):
        run_deid(study(tmp_path / "s"), tmp_path / "out", OPTIONS, progress=stop)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s"]


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="where nothing is"):
        run_deid(tmp_path / "none", tmp_path / "out", OPTIONS)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.txt").write_text("x")
    with pytest.raises(InputError, match="no object that could be de-identified"):
        run_deid(tmp_path / "s", tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--mask", "1,2,3"], 2, "four whole numbers"),
        (["--mask", "3,0,1,9"], 2, "x0 < x1"),
        (["--key-file", "nowhere"], 2, "16 secret bytes"),
    ],
)
def test_wrong_options_in_words(tmp_path: Path, options: list[str], code: int, words: str) -> None:
    source = study(tmp_path / "s", 1)
    run = CliRunner().invoke(app, ["deid", str(source), "-o", str(tmp_path / "o"), *options])
    assert run.exit_code == code
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert not os.path.lexists(tmp_path / "o")
