"""A CT with its results through a real Orthanc: ``python -m benchmarks.pacs`` (about 4 minutes).

130 slices of 512 x 512, a SEG of them, and the report as encapsulated PDF and SR are sent by one
way (DIMSE, DICOMweb) and fetched by the other, Orthanc killed (-9) at 40 % of sending and of
fetching and started again: all there, none twice, pixels bit for bit.  dciodvfy and dcmdump (or
dsrdump) judge every object that came back.  Needs Debian's orthanc, orthanc-dicomweb, dcmtk,
dicom3tools.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom

from benchmarks.dicom_studies import ct_study
from benchmarks.measure import arguments, report, row
from irplan.case.pacs_case import run_send
from irplan.case.report_case import ReportRequest, review_report, run_report
from irplan.dicom import write_segmentation
from irplan.dicom.pacs_client import RetryPolicy, connect
from irplan.dicom.pacs_get import get_series
from irplan.dicom.pacs_peer import parse_peer
from irplan.dicom.pacs_send import send_files
from irplan.dicom.series import read_series
from irplan.image import LabelMap
from irplan.image.structures import structure
from irplan.procedure.events import NewEvent, Source
from irplan.procedure.log import ProcedureLog
from tests.dicom.orthanc import Orthanc, require

_PATIENT = RetryPolicy(attempts=60, first_wait_s=0.1, longest_wait_s=0.5)


def make_objects(place: Path, *, slices: int, size: int) -> tuple[list[Path], list[Path], str]:
    """CT and SEG (sent as they are), the accepted report's two objects, and the study's UID."""
    ct = ct_study(place / "ct", 1, slices=slices, size=size)
    volume = read_series(ct)
    liver = structure("liver")
    array = np.zeros(volume.grid.shape, dtype=np.uint8)
    z, y, x = np.ogrid[:slices, :size, :size]
    inside = ((z / slices - 0.5) / 0.3) ** 2 + ((y / size - 0.5) / 0.15) ** 2
    array[inside + ((x / size - 0.4) / 0.2) ** 2 < 1.0] = liver.value
    write_segmentation(LabelMap(array, volume.grid, (liver,)), ct, place / "seg.dcm")
    first = pydicom.dcmread(ct / "0000.dcm", stop_before_pixels=True)
    study = str(first.StudyInstanceUID)
    events = (
        ("case", {"patient_id": str(first.PatientID), "patient_name": str(first.PatientName),
                  "sex": "O", "study_uids": [study]}),
        ("checklist", {"step": "time_out", "complete": True, "side": "right"}),
        ("lesion", {"lesion": "T1", "organ": "liver", "side": "right", "segment": "VII",
                    "size_mm": [22.0, 19.0, 18.0]}),
        ("technique", {"energy": "cryo", "route": "percutaneous"}),
        ("needle", {"number": 1, "status": "placed", "tip_mm": [1, 2, 3], "entry_mm": [1, 2, 90]}),
        ("verification", {"lesion": "T1", "zone_mm": [48.0, 39.0, 37.0], "minimal_margin_mm": 5.4,
                          "technical_success": "yes"}),
        ("dose_total", {"kap_gy_cm2": 12.5, "air_kerma_mgy": 80.0, "fluoroscopy_s": 300.0}),
    )  # fmt: skip
    source = Source("typed", who="benchmark")
    with ProcedureLog.create(place / "case" / "log") as log:
        log.append_many([NewEvent(kind, data, source) for kind, data in events])
    out = place / "case" / "report"
    run_report(ReportRequest(place / "case", out, forms=("pdf", "dicom-pdf", "dicom-sr")))
    for state in ("reviewed", "accepted"):
        review_report(out, state, who="Dr. A", why="seen")  # type: ignore[arg-type]
    return (
        [*sorted(ct.iterdir()), place / "seg.dcm"],
        [out / "report_pdf.dcm", out / "report_sr.dcm"],
        study,
    )


def through(
    server: Orthanc, there: str, back: str, files: Sequence[Path], reports: Sequence[Path],
    study: str, got: Path,
) -> dict[str, float]:  # fmt: skip
    """Send by ``there``, fetch by ``back``, Orthanc killed in the middle of both."""
    server.clear()
    kills: list[str] = []

    def killer(word: str, number: int):  # type: ignore[no-untyped-def]
        def kill(fraction: float, message: str) -> None:
            if message == word and fraction > 0.4 and len(kills) == number:
                kills.append(word)
                server.kill()
                threading.Timer(0.5, server.start).start()

        return kill

    started = time.monotonic()
    client = connect(parse_peer(there, timeout_s=30))
    sent = send_files(
        client, files, lambda n, b: None, retry=_PATIENT, progress=killer("sending", 0)
    )
    accepted = run_send(client, reports, retry=_PATIENT)
    again = send_files(client, files, lambda n, b: None, retry=_PATIENT)
    client.close()
    sent_s = time.monotonic() - started
    started = time.monotonic()
    client = connect(parse_peer(back, timeout_s=30))
    get_series(client, study, got, retry=_PATIENT, progress=killer("receiving", 1))
    client.close()
    held = server.instances()
    return {
        "kills": len(kills),
        "confirmed": (sent.confirmed or 0) + (accepted.confirmed or 0),
        "sent_twice": again.sent,
        "held": len(held),
        "twice": len(held) - len(set(held)),
        "send_s": sent_s,
        "get_s": time.monotonic() - started,
    }


def compare(sent: Sequence[Path], got: Path) -> dict[str, int]:
    """Objects missing, pixels or documents that differ, attributes that differ."""
    back = {p.stem: p for p in got.rglob("*.dcm")}
    out = {"missing": 0, "pixels": 0, "attributes": 0, "extra": len(back) - len(sent)}
    for path in sent:
        a = pydicom.dcmread(path)
        other = back.get(str(a.SOPInstanceUID))
        if other is None:
            out["missing"] += 1
            continue
        b = pydicom.dcmread(other)
        for keyword in ("PixelData", "EncapsulatedDocument"):
            if _digest(a.get(keyword)) != _digest(b.get(keyword)):
                out["pixels"] += 1
        out["attributes"] += a != b
    return out


def _digest(value: object) -> str:
    return hashlib.sha256(value if isinstance(value, bytes) else b"").hexdigest()


def judged(folder: Path) -> tuple[int, int, set[str]]:
    """Objects with an error by dciodvfy, objects that dcmtk cannot read, and the errors."""
    bad = unread = 0
    words: set[str] = set()
    for file in sorted(folder.rglob("*.dcm")):
        said = subprocess.run(["dciodvfy", "-new", file], capture_output=True, text=True)
        errors = [x for x in (said.stdout + said.stderr).splitlines() if x.startswith("Error")]
        bad += bool(errors)
        words |= set(errors)
        sr = pydicom.dcmread(file, specific_tags=["Modality"]).Modality == "SR"
        reader = ["dsrdump", "-q", file] if sr else ["dcmdump", "-q", file]
        unread += subprocess.run(reader, capture_output=True).returncode != 0
    return bad, unread, words


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--slices", type=int, default=130)
    parser.add_argument("--size", type=int, default=512, help="rows and columns")
    given = parser.parse_args()
    require("dciodvfy", "dcmdump", "dsrdump")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        files, reports, study = make_objects(place, slices=given.slices, size=given.size)
        wanted = len(files) + len(reports)
        megabytes = sum(f.stat().st_size for f in [*files, *reports]) / 1e6
        rows = [row("objects (CT, SEG, PDF, SR)", wanted), row("their size", megabytes, "MB")]
        server = Orthanc(place / "orthanc")
        try:
            for name, there, back in (
                ("DICOMweb out, DIMSE back", server.web, server.dicom),
                ("DIMSE out, DICOMweb back", server.dicom, server.web),
            ):
                got = place / "got"
                shutil.rmtree(got, ignore_errors=True)
                facts = through(server, there, back, files, reports, study, got)
                found = compare([*files, *reports], got)
                bad, unread, words = judged(got)
                print(name, facts, found, sorted(words)[:5], flush=True)
                rows += [
                    row(f"{name}: Orthanc killed", facts["kills"], "", "2", facts["kills"] == 2),
                    row(f"{name}: objects at the peer", facts["held"], "", str(wanted),
                        facts["held"] == facts["confirmed"] == wanted),
                    row(f"{name}: stored twice, sent again", facts["twice"] + facts["sent_twice"],
                        "", "0", facts["twice"] + facts["sent_twice"] == 0),
                    row(f"{name}: missing or too many", found["missing"] + abs(found["extra"]), "",
                        "0", not found["missing"] and not found["extra"]),
                    row(f"{name}: pixels or document differ", found["pixels"], "", "0",
                        not found["pixels"]),
                    row(f"{name}: attributes differ", found["attributes"], "", "0",
                        not found["attributes"]),
                    row(f"{name}: objects with an error by dciodvfy", bad, "", "0", not bad),
                    row(f"{name}: objects that dcmtk cannot read", unread, "", "0", not unread),
                    row(f"{name}: sent in (kill and restart included)", facts["send_s"], "s"),
                    row(f"{name}: fetched in (kill and restart included)", facts["get_s"], "s"),
                ]  # fmt: skip
        finally:
            server.stop()
    report("PACS round trip", rows, json_file=given.json)


if __name__ == "__main__":
    main()
