"""Verification, the procedure's report behind its review gate, a PACS, alternatives in the case."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from irplan_planner.model import case_folder
from irplan_planner.model.case_folder import CaseWriter, load_case
from irplan_planner.model.glance import glance
from irplan_planner.model.planner import Planner
from irplan_planner.model.state import RankedPlan
from pydicom.dataset import Dataset

from irplan.case.pacs_case import release_gate
from irplan.case.report_case import read_review
from irplan.dicom.pacs_client import connect
from irplan.dicom.pacs_peer import parse_peer
from irplan.dicom.pacs_send import send_files
from irplan.dicom.series import read_series
from irplan.errors import InputError, ReviewError
from irplan.files import write_mask
from tests.dicom.conftest import SyntheticSeries
from tests.dicom.orthanc import Orthanc

TUMOUR_MM = np.array([-70.0, -15.0, 5.0])  # the handmade tumour: a ball of 20 mm


def test_a_seen_zone_is_judged_with_the_error_that_is_known(
    with_case: Planner, tmp_path: Path
) -> None:
    planner, grid = with_case, with_case.state.grid
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    far = np.linalg.norm(grid.index_to_lps(index) - TUMOUR_MM, axis=-1)
    write_mask(far <= 18.0, grid, tmp_path / "zone.nii.gz")  # 8 mm round the ball of 10 mm
    planner.verify.judge(registration_error_mm=1.0, zone=tmp_path / "zone.nii.gz")
    planner.wait()
    found = {name: (verdict, why) for name, verdict, why in planner.verify.verdicts()}
    assert found["seen"][0].startswith("complete")
    millimetres = float(found["seen"][0].split()[1])
    assert millimetres == pytest.approx(8.0, abs=0.5 * max(grid.spacing_mm) + 0.3)
    planner.verify.judge(registration_error_mm=None, zone=tmp_path / "zone.nii.gz")
    planner.wait()
    assert all(v.startswith("not assessable") for _, v, _ in planner.verify.verdicts())
    with pytest.raises(InputError, match="no needles as they lie"):
        planner.verify.judge(registration_error_mm=1.0)


def test_the_procedures_report_follows_the_draft_and_leaves_only_accepted(
    with_case: Planner, tmp_path: Path
) -> None:
    planner = with_case
    planner.reports.draft()
    planner.wait()
    assert "DRAFT" in planner.state.report.procedure.upper()
    planner.reports.release(tmp_path / "draft")
    planner.wait()
    record = read_review(tmp_path / "draft" / "review.json")
    assert record.review.state == "draft"
    page = "report.pdf"
    raw = (tmp_path / "draft" / page).read_bytes()
    with pytest.raises(ReviewError):
        release_gate([replace(record, files={page: "0" * 64})], False)(page, raw)
    for state in ("reviewed", "accepted"):
        planner.plans.review(state, "A. Reader", "looked at")
    planner.reports.release(tmp_path / "accepted")
    planner.wait()
    record = read_review(tmp_path / "accepted" / "review.json")
    assert (record.review.state, record.review.by) == ("accepted", "A. Reader")
    release_gate([record], False)(page, (tmp_path / "accepted" / page).read_bytes())


def test_alternatives_are_saved_with_the_case(with_case: Planner, tmp_path: Path) -> None:
    state = with_case.state
    other = replace(state.plan, placements=state.plan.placements[:1])
    kept = (
        RankedPlan(state.plan, ("recommended",), 6.0, 0.99, 12.5, 0.3),
        RankedPlan(other, ("fewest needles",), 2.0, 0.8, 9.0, 0.2),
    )
    state = replace(state, planned=None, kept=kept, chosen=1, chosen_why="one needle is enough")
    CaseWriter(tmp_path / "case").save(state)
    back, writer = load_case(tmp_path / "case")
    assert [x.names for x in back.kept] == [("recommended",), ("fewest needles",)]
    assert back.kept[1].plan.placements == other.placements
    assert (back.kept[0].minimal_margin_mm, back.kept[1].risk) == (6.0, 0.2)
    assert (back.chosen, back.chosen_why) == (1, "one needle is enough")
    before = {p.name for p in (tmp_path / "case").iterdir()}
    writer.save(back)
    assert {p.name for p in (tmp_path / "case").iterdir()} == before  # nothing written twice
    with_case.desk.begin(back)
    with_case.plans.choose(0, "wider margin")
    assert with_case.state.plan.placements == state.plan.placements
    assert with_case.state.simulation is None
    data = json.loads((tmp_path / "case" / case_folder.CASE_FILE).read_text())
    del data["alternatives"][1]["risk"]
    (tmp_path / "case" / case_folder.CASE_FILE).write_text(json.dumps(data))
    with pytest.raises(Exception, match="alternative 2"):
        load_case(tmp_path / "case")


class _Peer:
    """Answers for one patient: two studies, of which the newer has a CT series."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    def find(self, level: str, filters: dict[str, str]) -> list[Dataset]:
        self.asked.append((level, dict(filters)))
        if level == "STUDY":
            return [_data(StudyInstanceUID=f"1.2.{n}", StudyDate=d) for n, d in
                    ((1, "20200101"), (2, "20260101"))]  # fmt: skip
        uid = filters["StudyInstanceUID"]
        if uid != "1.2.2":
            return []
        return [_data(SeriesInstanceUID="1.2.2.7", SeriesDescription="portal",
                      NumberOfSeriesRelatedInstances=129)]  # fmt: skip

    def close(self) -> None: ...


def _data(**parts: Any) -> Dataset:
    out = Dataset()
    for key, value in parts.items():
        setattr(out, key, value)
    return out


def test_ct_series_of_a_patient_on_a_pacs(
    planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from irplan.dicom import pacs_client

    peer = _Peer()
    monkeypatch.setattr(pacs_client, "connect", lambda address: peer)
    planner.pacs.search("dicom://PACS@localhost:104", "P 17")
    planner.wait()
    (one,) = planner.pacs.found
    assert (one.study_uid, one.series_uid) == ("1.2.2", "1.2.2.7")
    assert one.words == "20260101  portal, 129 images"
    assert peer.asked[0] == ("STUDY", {"PatientID": "P 17"})
    assert all(f["Modality"] == "CT" for level, f in peer.asked if level == "SERIES")
    with pytest.raises(InputError, match="wildcard"):
        planner.pacs.search("dicom://PACS@localhost:104", "*")
    with pytest.raises(InputError):
        planner.pacs.search("somewhere", "P 17")


def test_a_series_comes_from_a_real_pacs(planner: Planner, tmp_path: Path) -> None:
    """Orthanc on loopback, by DIMSE and by DICOMweb: found, fetched, opened; gone: said so."""
    folder = tmp_path / "ct"
    folder.mkdir()
    series = SyntheticSeries(count=24, rows=24, columns=20)
    series.write(folder)
    patient = str(pydicom.dcmread(next(folder.iterdir())).PatientID)
    server = Orthanc(tmp_path / "orthanc")
    try:
        sender = connect(parse_peer(server.dicom))
        send_files(sender, sorted(folder.iterdir()), lambda name, raw: None)
        sender.close()
        for address in (server.dicom, server.web):
            planner.pacs.search(address, "nobody")
            planner.wait()
            assert planner.desk.messages[-1].text == "0 CT series on the PACS."
            planner.pacs.search(address, patient)
            planner.wait()
            (one,) = planner.pacs.found
            assert "24 images" in one.words
            planner.pacs.retrieve(one)
            planner.wait()
            state = planner.state
            assert state.volume is not None
            assert state.volume.grid.same_as(read_series(folder).grid)
            assert np.array_equal(state.volume.array, read_series(folder).array)
            assert one.series_uid not in state.title
        planner.pacs.search(server.dicom.replace("ORTHANC@", "OTHER@"), patient)
        planner.wait()
        assert "AE title" in planner.desk.messages[-1].text
        server.kill()
        planner.pacs.search(server.dicom, patient)
        planner.wait()
        assert "no connection" in planner.desk.messages[-1].text
    finally:
        server.stop()


def test_no_first_look_at_what_is_no_scan(tmp_path: Path) -> None:
    assert glance(tmp_path) is None
    (tmp_path / "a.txt").write_text("no scan")
    assert glance(tmp_path) is None
    assert glance(tmp_path / "a.txt") is None


def test_what_is_typed_into_the_draft_is_an_event_of_the_log(
    with_case: Planner, tmp_path: Path
) -> None:
    from irplan.procedure.log import ProcedureLog

    planner, reports = with_case, with_case.reports
    reports.draft()
    planner.wait()

    def blank(key: str) -> Any:
        return next(b for b in reports.blanks() if b.key == key)

    def said() -> str:
        report = planner.state.report
        assert report is not None
        assert report.worded is not None
        return report.worded.page

    first = reports.blanks()[0]
    assert first.missing
    assert first.mandatory
    with pytest.raises(InputError, match="never saved"):
        reports.type_in(blank("indication"), "HCC")
    planner.files.save(tmp_path / "case")
    planner.wait()
    reports.type_in(blank("indication"), "HCC")  # nobody named: refused, nothing written
    planner.wait()
    assert "your name" in planner.desk.messages[-1].text
    assert not (tmp_path / "case" / "log").exists()
    reports.who = "A. Reader"
    for key, text in (
        ("indication", "HCC of 20 mm"), ("lesion", "L1, liver"), ("complications", "none seen"),
        ("time_out", "yes"), ("operator", "Dr. B"),
    ):  # fmt: skip
        reports.type_in(blank(key), text)
        planner.wait()
        assert not [m for m in planner.desk.messages[-1:] if m.tone == "error"]
    reports.type_in(blank("segment"), "VII")  # of the lesion that is there now
    planner.wait()
    assert "HCC of 20 mm" in said()
    assert "typed A. Reader" in said()
    assert not blank("indication").missing
    # A value that does not fit, a correction without a reason: refused in words.
    reports.type_in(blank("size_mm"), "large")
    planner.wait()
    assert "size_mm" in planner.desk.messages[-1].text
    reports.type_in(blank("indication"), "metastasis")
    planner.wait()
    assert planner.desk.messages[-1].text.startswith("reason")
    reports.type_in(blank("indication"), "metastasis", "pathology came back")
    planner.wait()
    assert "metastasis" in said()
    assert "HCC of 20 mm" not in said()
    with ProcedureLog.open(tmp_path / "case" / "log", readonly=True) as log:
        events = list(log.events())
    assert [e.kind for e in events][1:] == [
        "clinical", "lesion", "complication", "checklist", "staff", "lesion", "correction"
    ]  # fmt: skip
    assert events[1].data["text"] == "HCC of 20 mm"  # the old value stays
    assert events[6].data == {"lesion": "L1", "organ": "liver", "segment": "VII"}
    assert events[7].data["why"] == "pathology came back"
    # What the plan or a device states has no link: numbers are never typed over.
    keys = {b.key for b in reports.blanks()}
    assert not keys & {"tip_mm", "planned_tip_mm", "minimal_margin_mm", "kap_gy_cm2", "minutes"}
    planner.files.save(tmp_path / "copy")  # the log goes where the case goes
    planner.wait()
    with ProcedureLog.open(tmp_path / "copy" / "log", readonly=True) as log:
        assert list(log.events()) == events
    planner.plans.review("reviewed", "A. Reader", "looked at")
    planner.plans.review("accepted", "A. Reader", "agrees")
    with pytest.raises(InputError, match="accepted"):
        reports.type_in(blank("route"), "percutaneous")
