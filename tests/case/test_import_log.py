"""Files and a live stream brought into a procedure log, nothing guessed, nothing twice."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from irplan.ablation import LethalRule, Placement, Schedule, applicator
from irplan.case.import_log import import_file
from irplan.case.log_stream import listen
from irplan.errors import FileFormatError, InputError
from irplan.files.device_csv import read_device_csv, read_device_map
from irplan.files.plan_file import write_plan
from irplan.geometry import Needle
from irplan.planning.plan import AblationPlan, Provenance, Target
from irplan.procedure.events import Source
from irplan.procedure.log import ProcedureLog
from irplan.procedure.log_verify import verify_log

TYPED = Source("typed", who="Dr. A")
MAP = """
time = "Zeit"
time_format = "%d.%m.%Y %H:%M:%S"
zone = "Europe/Berlin"
delimiter = ";"
decimal = ","
kind = "reading"
[fields]
needle = "Nr"
temperature_c = "T [C]"
power_w = "P [kW]"
[factor]
power_w = 1000.0
[[rules]]
column = "Status"
value = "FREEZE ON"
kind = "phase"
set = { action = "start", phase = "freeze", cycle = "1" }
"""
TABLE = """Zeit;Nr;T [C];P [kW];Status
30.11.2026 09:20:00;1;20,5;;FREEZE ON
30.11.2026 09:20:10;1;-40,25;0,03;ok
01.07.2026 09:20:10;2;-41;;ok
"""


@pytest.fixture
def log(tmp_path: Path) -> Any:
    with ProcedureLog.create(tmp_path / "log") as made:
        yield made


def test_a_device_table_by_the_sites_map(tmp_path: Path, log: ProcedureLog) -> None:
    (tmp_path / "site.toml").write_text(MAP)
    (tmp_path / "device.csv").write_text(TABLE)
    done = import_file(log, tmp_path / "device.csv", device_map=tmp_path / "site.toml")
    assert [(e.kind, e.at, e.data) for e in done] == [
        (
            "phase",
            "2026-11-30T08:20:00.000000Z",
            {"action": "start", "phase": "freeze", "cycle": 1, "temperature_c": 20.5},
        ),
        (
            "reading",
            "2026-11-30T08:20:10.000000Z",
            {"needle": 1, "power_w": 30.0, "temperature_c": -40.25},
        ),
        ("reading", "2026-07-01T07:20:10.000000Z", {"needle": 2, "temperature_c": -41.0}),
    ]
    digest = hashlib.sha256(TABLE.encode()).hexdigest()
    assert [e.source.ref for e in done] == [f"sha256:{digest}#row {n}" for n in (2, 3, 4)]
    with pytest.raises(InputError, match="imported already"):
        import_file(log, tmp_path / "device.csv", device_map=tmp_path / "site.toml")
    assert log.count == 4


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("", "column 'time'"),
        ("time,kind,power_w\n", "no rows"),
        ("time,kind,power_w\n2026-11-30T09:00:00,reading,3\n", "with its zone"),
        ("time,kind,power_w\n2026-11-30T09:00:00Z,reading,x\n", "row 2, reading.power_w"),
        ("time,kind,power_w\n2026-11-30T09:00:00Z,reading,1,2\n", "number of cells"),
        ("time,kind,power_w\n2026-11-30T09:00:00Z,log_recovered,1\n", "log_recovered.power_w"),
        ("time,kind,colour\n2026-11-30T09:00:00Z,reading,1\n", "reading.colour"),
        ('time,kind,power_w\n"2026-11-30T09:00:00Z,reading,1\n', "end of data"),
        ("time,kind,kind\n2026-11-30T09:00:00Z,note,x\n", "columns"),
        ("time\0,kind\n", "column 'time'"),
        ("time,kind,power_w\n2026-11-30T09:00:00Z,reading,1e999\n", "reading.power_w"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, table: str, named: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(FileFormatError, match=named.replace(".", r"\.")):
        read_device_csv(tmp_path / "t.csv")
    (tmp_path / "latin.csv").write_bytes(b"time,kind\nM\xfcller,note\n")
    with pytest.raises(FileFormatError):
        read_device_csv(tmp_path / "latin.csv")
    (tmp_path / "map.toml").write_text("tme = 'Zeit'")
    with pytest.raises(FileFormatError, match="time"):
        read_device_map(tmp_path / "map.toml")


def test_plan_needles_and_verification(tmp_path: Path, log: ProcedureLog) -> None:
    placed = Placement(Needle((-58.0, 21.5, 8.0), (-119.0, -31.0, 8.0)), applicator("cryo-17g-rod"))
    plan = AblationPlan(
        Target((0.0, 0.0, 0.0), 4.2, 20.0, "mask"), (placed, placed),
        Schedule.freeze_thaw_freeze(), 5.0, LethalRule(), Provenance("0.1.0", 0), "1.2.3",
    )  # fmt: skip
    write_plan(plan, tmp_path / "plan.json")
    done = import_file(log, tmp_path / "plan.json", lesion="T1", side="right")
    assert [e.kind for e in done] == ["plan", "needle", "needle"]
    assert (
        done[0].data["sha256"] == hashlib.sha256((tmp_path / "plan.json").read_bytes()).hexdigest()
    )
    assert done[2].data["tip_mm"] == [-58.0, 21.5, 8.0]
    assert done[2].data["frame_uid"] == "1.2.3"
    found = {"needles": [{"entry_mm": [1, 2, 3], "tip_mm": [4, 5, 6], "confidence": 0.9}]}
    (tmp_path / "found.json").write_text(json.dumps(found))
    (needle,) = import_file(log, tmp_path / "found.json")
    assert (needle.source.how, needle.data["status"], needle.data["number"]) == (
        "recognition",
        "placed",
        1,
    )
    seen = {"schema": "irplan-evaluation", "minimal_margin_mm": 4.5, "target_coverage": 0.98}
    (tmp_path / "seen.json").write_text(json.dumps(seen))
    (result,) = import_file(log, tmp_path / "seen.json")
    assert result.data == {
        "covered_percent": 98.0,
        "minimal_margin_mm": 4.5,
        "method": "irplan evaluate",
    }
    checked = {"schema": "irplan-verification", "needles": [], "registration_error_mm": 1.5,
               "seen": None, "simulated": seen | {"minimal_margin_mm": 2.5}}  # fmt: skip
    (tmp_path / "checked.json").write_text(json.dumps(checked))
    registration, result = import_file(log, tmp_path / "checked.json")
    assert registration.data["error_mm"] == 1.5
    assert result.data["minimal_margin_mm"] == 2.5
    assert "simulated" in result.data["method"]
    write_plan(
        AblationPlan(
            plan.target, (Placement(placed.needle, placed.applicator, "achieved"),), plan.schedule,
            5.0, plan.lethal, plan.provenance,
        ),
        tmp_path / "achieved.json",
    )  # fmt: skip
    (needle,) = import_file(log, tmp_path / "achieved.json")
    assert (needle.kind, needle.data["status"]) == ("needle", "placed")
    for bad in ({}, {"needles": []}, {"needles": [1]}, {"needles": [{"tip_mm": [1]}]}, {"a": 1}):
        (tmp_path / "bad.json").write_text(json.dumps(bad))
        with pytest.raises(InputError):
            import_file(log, tmp_path / "bad.json")
    with pytest.raises(FileFormatError):
        import_file(log, tmp_path / "none.json")


@pytest.mark.data
def test_dose_reports(shared_data: Any, log: ProcedureLog) -> None:
    import pydicom

    def count(item: Any) -> int:
        """Irradiation events (113706) below ``item``, by pydicom alone."""
        names = [n.get("CodeValue") for n in item.get("ConceptNameCodeSequence", [])]
        return ("113706" in names) + sum(count(i) for i in item.get("ContentSequence", []))

    file = shared_data("rdsr") / "siemens_axiom_artis.dcm"
    with pytest.raises(InputError, match="zone"):
        import_file(log, file)
    done = import_file(log, file, zone="Europe/Amsterdam")
    events = [e for e in done if e.kind == "imaging"]
    assert len(events) == count(pydicom.dcmread(file)) > 0
    assert len({e.data["uid"] for e in events}) == len(events)
    assert verify_log(log.folder).intact


def test_an_openigtlink_stream(log: ProcedureLog) -> None:
    pyigtl = pytest.importorskip("pyigtl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = pyigtl.OpenIGTLinkServer(port=port, local_server=True)
    ras = np.eye(4)
    ras[:3, 3] = (10.0, 20.0, 30.0)
    ras[:2, :2] = ((0.0, -1.0), (1.0, 0.0))
    stop = threading.Event()

    def send() -> None:
        for n in range(40):
            moved = ras.copy()
            moved[0, 3] += 0.01 * n if n < 20 else 5.0
            server.send_message(pyigtl.TransformMessage(moved, device_name="Needle"))
            server.send_message(pyigtl.StringMessage("tip\x07 in", device_name="Note"))
            time.sleep(0.03)
        stop.set()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        listen(log, "127.0.0.1", port, seconds=10.0, stop=stop.is_set)
    finally:
        sender.join()
        server.stop()
    events = [e for e in log.events() if e.kind == "stream"]
    matrices = [e.data["matrix"] for e in events if e.data["type"] == "TRANSFORM"]
    assert len(matrices) == 2  # the small moves are not written
    np.testing.assert_allclose(
        np.reshape(matrices[0], (4, 4)),
        [[0, -1, 0, -10], [1, 0, 0, -20], [0, 0, 1, 30], [0, 0, 0, 1]],
        atol=0.21,
    )
    assert matrices[1][3] == pytest.approx(-15.0)
    assert {e.data["text"] for e in events if e.data["type"] == "STRING"} == {"tip  in"}
    with pytest.raises(InputError, match="OpenIGTLink"):
        listen(log, "127.0.0.1", port, seconds=0.3)


def test_a_dose_report_of_another_patient_is_refused(tmp_path: Path, log: ProcedureLog) -> None:
    log.append("case", {"patient_id": "P1"}, source=TYPED)
    for name, number in (("ours", "P1 "), ("theirs", "P2"), ("nobody", "")):
        data = Dataset()
        data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"  # XA: its header tells a dose
        data.SOPInstanceUID = f"1.2.{len(name)}"
        data.Modality, data.PatientID = "XA", number
        data.ImageAndFluoroscopyAreaDoseProduct = 1.5
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(tmp_path / name, enforce_file_format=True)
    import_file(log, tmp_path / "ours")
    import_file(log, tmp_path / "nobody")
    count = log.count
    with pytest.raises(InputError, match="another patient number") as refused:
        import_file(log, tmp_path / "theirs")
    assert "P2" not in str(refused.value)
    assert log.count == count
    *_, note = import_file(log, tmp_path / "theirs", any_patient=True)
    assert (note.kind, note.source.how) == ("note", "typed")
    (tmp_path / "LICENSE").write_text("words " * 100)
    with pytest.raises(FileFormatError, match="neither DICOM"):
        import_file(log, tmp_path / "LICENSE")
