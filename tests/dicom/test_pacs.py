"""A PACS asked, read and written: a real Orthanc, both ways, killed in the middle as well."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from typer.testing import CliRunner

from irplan.case.pacs_case import release_gate
from irplan.cli.app import app
from irplan.dicom import write_segmentation
from irplan.dicom.capture_write import capture, write_capture
from irplan.dicom.pacs_client import Level, PacsClient, RetryPolicy, connect, is_uid, with_retry
from irplan.dicom.pacs_get import get_series
from irplan.dicom.pacs_peer import DicomNode, WebNode, parse_peer
from irplan.dicom.pacs_send import send_files
from irplan.dicom.series import read_series
from irplan.errors import InputError, PacsError, ReviewError
from irplan.image import LabelMap
from irplan.image.structures import structure
from irplan.procedure.review import Draft, draft_to_data, judge, sha256_hex
from tests.dicom.conftest import SyntheticSeries
from tests.dicom.orthanc import Orthanc, free_port, require

FAST = RetryPolicy(attempts=30, first_wait_s=0.1, longest_wait_s=0.5)
WAYS = ("dicom", "web")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[SyntheticSeries, Path, Path]:
    """A CT of 24 slices, and its segmentation (130 of 512 x 512: `benchmarks.pacs`)."""
    series = SyntheticSeries(count=24, rows=24, columns=20)
    folder = tmp_path_factory.mktemp("study")
    (folder / "ct").mkdir()
    series.write(folder / "ct")
    volume = read_series(folder / "ct")
    liver = structure("liver")
    array = np.zeros(volume.grid.shape, dtype=np.uint8)
    array[4:16, 6:18, 4:16] = liver.value
    write_segmentation(LabelMap(array, volume.grid, (liver,)), folder / "ct", folder / "seg.dcm")
    return series, folder / "ct", folder / "seg.dcm"


def anything(name: str, raw: bytes) -> None:
    """A gate that is open: transport alone is tested."""


def client(server: Orthanc, way: str) -> PacsClient:
    return connect(parse_peer(server.dicom if way == "dicom" else server.web))


def same_objects(sent: Sequence[Path], got: Path) -> None:
    back = {p.stem: p for p in got.rglob("*.dcm")}
    assert len(back) == len(sent)
    for path in sent:
        a = pydicom.dcmread(path)
        b = pydicom.dcmread(back[str(a.SOPInstanceUID)])
        assert a.PixelData == b.PixelData
        assert {e.tag for e in a} == {e.tag for e in b}
        assert a.file_meta.TransferSyntaxUID == b.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("way", WAYS)
def test_round_trip_is_bit_identical(
    orthanc: Orthanc,
    study: tuple[SyntheticSeries, Path, Path],
    tmp_path: Path,
    way: str,
) -> None:
    series, folder, seg = study
    orthanc.clear()
    files = [*sorted(folder.iterdir()), seg]
    count = len(files)
    pacs = client(orthanc, way)
    pacs.check()
    result = send_files(pacs, files, anything, retry=FAST)
    assert (result.sent, result.already_there, result.confirmed) == (count, 0, count)
    again = send_files(pacs, files, anything, retry=FAST)
    assert (again.sent, again.already_there, again.confirmed) == (0, count, count)
    pacs.close()
    assert len(orthanc.instances()) == len(set(orthanc.instances())) == count
    other = client(orthanc, "web" if way == "dicom" else "dicom")
    assert get_series(other, series.study_uid, tmp_path, retry=FAST).received == count
    assert get_series(other, series.study_uid, tmp_path, retry=FAST).already_here == count
    other.close()
    same_objects(files, tmp_path)
    back = next(p for p in tmp_path.rglob("*.dcm") if p.stem == pydicom.dcmread(seg).SOPInstanceUID)
    require("dciodvfy", "dcmdump")
    said = subprocess.run(["dciodvfy", "-new", back], capture_output=True, text=True).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
    assert subprocess.run(["dcmdump", "-q", back], capture_output=True).returncode == 0


@pytest.mark.parametrize("way", WAYS)
def test_killed_in_the_middle_and_started_again(
    orthanc: Orthanc, study: tuple[SyntheticSeries, Path, Path], tmp_path: Path, way: str
) -> None:
    """Sending and fetching go on by themselves: complete, no object twice."""
    series, folder, _ = study
    files = sorted(folder.iterdir())[: 24 if way == "web" else 12]
    orthanc.clear()
    killed: list[int] = []

    def kill_at(fraction: float, message: str) -> None:
        if message == "sending" and fraction > 0.4 and not killed:
            killed.append(1)
            orthanc.kill()
            threading.Timer(0.5, orthanc.start).start()

    pacs = client(orthanc, way)
    result = send_files(pacs, files, anything, retry=FAST, progress=kill_at)
    pacs.close()
    assert killed
    assert result.confirmed == len(files)
    assert len(orthanc.instances()) == len(set(orthanc.instances())) == len(files)

    def kill_again(fraction: float, message: str) -> None:
        if message == "receiving" and fraction > 0.4 and len(killed) == 1:
            killed.append(2)
            orthanc.kill()
            threading.Timer(0.5, orthanc.start).start()

    got = tmp_path / "got"
    other = client(orthanc, way)
    assert get_series(other, series.study_uid, got, retry=FAST, progress=kill_again)
    assert len(killed) == 2
    assert [p for p in got.rglob("*") if p.suffix == ".part"] == []
    same_objects(files, got)


def test_wrong_ae_titles_are_named(orthanc: Orthanc) -> None:
    theirs = connect(parse_peer(orthanc.dicom.replace("ORTHANC", "ORTHANCX")))
    with pytest.raises(PacsError, match="not its AE title") as caught:
        theirs.check()
    assert not caught.value.passing
    ours = connect(parse_peer(orthanc.dicom.replace("IRPLAN", "STRANGER")))
    with pytest.raises(PacsError):
        ours.find("STUDY", {})


def test_nobody_there(tmp_path: Path) -> None:
    port = free_port()
    for address in (f"dicom://X@127.0.0.1:{port}", f"http://127.0.0.1:{port}/dicom-web"):
        run = CliRunner().invoke(app, ["pacs", "query", address])
        assert run.exit_code == 4, run.output
        assert "no connection" in run.stderr
        assert "Traceback" not in run.output


@pytest.mark.parametrize(
    "address",
    ["", "ftp://a/b", "dicom://127.0.0.1:104", "dicom://A@host", "http://", "dicom://A@h:99999",
     "http://u:secret@host/x", "dicom://A%5CB@h:1", "dicom://ABCDEFGHIJKLMNOPQ@h:1"],
)  # fmt: skip
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_peer(address)
    assert "secret" not in str(caught.value)


def test_addresses() -> None:
    assert parse_peer("dicom://PACS@10.0.0.5:104?calling=ME") == DicomNode(
        "10.0.0.5", 104, "PACS", "ME"
    )
    web = parse_peer("https://pacs/dicom-web/", authorization="Bearer hush")
    assert web == WebNode("https://pacs/dicom-web", "Bearer hush")
    assert "hush" not in repr(web)


class Liar:
    """A peer that loses the answer of every second store, after taking the object."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.calls = 0

    def check(self) -> None: ...

    def close(self) -> None: ...

    def find(self, level: Level, filters: Mapping[str, str]) -> list[Dataset]:
        out = []
        for uid in set(self.taken):
            one = Dataset()
            one.SOPInstanceUID = uid
            out.append(one)
        return out

    def get(self, instances: Sequence[Dataset]) -> Iterator[FileDataset]:
        raise NotImplementedError

    def store(self, data: FileDataset) -> None:
        self.calls += 1
        self.taken.append(str(data.SOPInstanceUID))
        if self.calls % 2:
            raise PacsError("x", got="lost", expected="", remedy="", passing=True)


def test_an_object_whose_answer_was_lost_is_not_sent_twice(tmp_path: Path) -> None:
    SyntheticSeries(count=6).write(tmp_path)
    liar = Liar()
    quick = RetryPolicy(attempts=3, first_wait_s=0.001)
    result = send_files(liar, sorted(tmp_path.iterdir()), anything, retry=quick)
    assert sorted(liar.taken) == sorted(set(liar.taken))
    assert (len(liar.taken), result.confirmed) == (6, 6)


def test_retry_waits_double_and_end() -> None:
    waits: list[float] = []

    def fail() -> None:
        raise PacsError("x", got="", expected="", remedy="", passing=True)

    with pytest.raises(PacsError):
        with_retry(fail, RetryPolicy(6, 1.0, 5.0), sleep=waits.append)
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]


class Evil(Liar):
    """A peer whose UIDs climb out of the folder."""

    def find(self, level: Level, filters: Mapping[str, str]) -> list[Dataset]:
        one = Dataset()
        one.SeriesInstanceUID = "1.2" if level == "SERIES" else "../../etc"
        one.SOPInstanceUID = "../../passwd"
        return [one]


def test_uids_that_are_paths_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Invalid value"), pytest.raises(PacsError, match="none"):
        get_series(Evil(), "1.2.3", tmp_path)
    with pytest.raises(PacsError, match="no UID"):
        get_series(Liar(), "../x", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert [is_uid(u) for u in ("1.2.3", "1..2", "", "1/2", "1" * 65, "1.2\n")] == [
        True, False, False, False, False, False,
    ]  # fmt: skip


def accepted(files: Mapping[str, Path], state: str) -> Draft:
    contents = {n: sha256_hex(p.read_bytes()) for n, p in files.items()}
    draft = Draft("d1", "segmentation", "irplan", "2026-11-30T09:00:00Z", "0" * 64, contents)
    for step in ("reviewed", "accepted"):
        if draft.review.state == state:
            break
        draft = judge(draft, step, who="Dr A", why="fine", when="2026-11-30T10:00:00Z")  # type: ignore[arg-type]
    return draft


def test_only_what_was_accepted_leaves(
    orthanc: Orthanc, study: tuple[SyntheticSeries, Path, Path], tmp_path: Path
) -> None:
    orthanc.clear()
    seg = tmp_path / "seg.dcm"
    seg.write_bytes(study[2].read_bytes())
    record = tmp_path / "draft.json"

    def send(*more: str) -> tuple[int, str]:
        run = CliRunner().invoke(app, ["pacs", "send", orthanc.web, str(seg), *more])
        assert "Traceback" not in run.output
        return run.exit_code, run.stderr

    assert send() == (2, send()[1])
    assert "without a record" in send()[1]
    assert send("--originals")[0] == 2  # a result is no original
    for state in ("draft", "reviewed"):
        record.write_text(json.dumps(draft_to_data(accepted({"seg.dcm": seg}, state))))
        code, said = send()
        assert code == 2
        assert f"in the state '{state}'" in said
    assert orthanc.instances() == []
    record.write_text(json.dumps(draft_to_data(accepted({"seg.dcm": seg}, "accepted"))))
    data = bytearray(seg.read_bytes())
    data[-1] ^= 1
    good = seg.read_bytes()
    seg.write_bytes(bytes(data))
    assert "other bytes" in send()[1]
    assert orthanc.instances() == []
    seg.write_bytes(good)
    old = tmp_path / "earlier" / "1"  # what this one replaced, accepted in its day
    old.mkdir(parents=True)
    other = pydicom.dcmread(seg)
    other.SOPInstanceUID = pydicom.uid.generate_uid()
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    other.save_as(old / "seg.dcm")
    was = accepted({"seg.dcm": old / "seg.dcm"}, "accepted")
    (old / "review.json").write_text(json.dumps(draft_to_data(was)))
    run = CliRunner().invoke(app, ["pacs", "send", orthanc.web, str(tmp_path)])
    assert run.exit_code == 0, run.stderr
    assert len(orthanc.instances()) == 1
    record.rename(tmp_path / "review.json")
    run = CliRunner().invoke(app, ["pacs", "send", orthanc.web, str(old / "seg.dcm")])
    assert run.exit_code == 2
    assert "newer draft" in run.stderr  # named by itself, neither
    posing = capture(np.zeros((4, 4, 3), np.uint8), other, title="x")
    (tmp_path / "posing").mkdir()
    posing.Modality, posing.Manufacturer = "CT", "Scanner"
    write_capture(posing, tmp_path / "posing" / "ct.dcm")
    with pytest.raises(ReviewError, match="without a record"):
        release_gate([], originals=True)("ct.dcm", (tmp_path / "posing" / "ct.dcm").read_bytes())
    assert len(orthanc.instances()) == 1


def test_originals_leave_only_when_asked(
    orthanc: Orthanc, study: tuple[SyntheticSeries, Path, Path]
) -> None:
    orthanc.clear()
    one = sorted(study[1].iterdir())[0]
    run = CliRunner().invoke(app, ["pacs", "send", orthanc.web, str(one)])
    assert run.exit_code == 2
    assert "--originals" in run.stderr
    run = CliRunner().invoke(app, ["pacs", "send", orthanc.web, str(one), "--originals", "--json"])
    assert json.loads(run.stdout)["confirmed"] == 1
    run = CliRunner().invoke(app, ["pacs", "query", orthanc.dicom])
    assert "1 studies found" in run.stdout
    assert "SECRET" not in run.output


class Garbage(BaseHTTPRequestHandler):
    """Answers that no DICOMweb server gives."""

    answers: tuple[tuple[int, str, bytes], ...] = (
        (200, "application/dicom+json", b"{not json"),
        (200, "application/dicom+json", b'[{"0020000D": 5}]'),
        (200, "text/html", b"<html>"),
        (401, "text/plain", b"no"),
        (404, "text/plain", b"no"),
    )
    at = 0

    def do_GET(self) -> None:
        code, kind, body = self.answers[type(self).at % len(self.answers)]
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


def test_a_server_that_is_no_pacs() -> None:
    server = HTTPServer(("127.0.0.1", 0), Garbage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    pacs = connect(parse_peer(f"http://127.0.0.1:{server.server_port}/x", timeout_s=5))
    try:
        for number in range(len(Garbage.answers)):
            Garbage.at = number
            with pytest.raises(PacsError) as caught:
                pacs.find("STUDY", {})
            assert not caught.value.passing
    finally:
        pacs.close()
        server.shutdown()
        server.server_close()
        thread.join()


def test_nothing_leaves_when_one_of_many_is_refused(tmp_path: Path) -> None:
    SyntheticSeries(count=4).write(tmp_path)
    files = sorted(tmp_path.iterdir())
    liar = Liar()

    def gate(name: str, raw: bytes) -> None:
        if name == files[-1].name:
            raise ReviewError("x", got="draft", expected="", remedy="")

    with pytest.raises(ReviewError):
        send_files(liar, files, gate, retry=RetryPolicy(1))
    assert liar.taken == []


def test_cancelling_sends_no_more(tmp_path: Path) -> None:
    SyntheticSeries(count=6).write(tmp_path)

    class StopError(Exception):
        pass

    def stop(fraction: float, message: str) -> None:
        if message == "sending" and fraction > 0.5:
            raise StopError

    liar = Liar()
    started = time.monotonic()
    with pytest.raises(StopError):
        send_files(liar, sorted(tmp_path.iterdir()), anything,
                   retry=RetryPolicy(3, 0.001), progress=stop)  # fmt: skip
    assert 0 < len(liar.taken) < 6
    assert time.monotonic() - started < 5
