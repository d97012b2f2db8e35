"""``irplan report`` and ``irplan review``: from a log to files that may leave, and no others."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.reports import HOSTILE
from irplan.case.report_case import review_report
from irplan.cli.app import app
from irplan.errors import InputError, OutputError, ReviewError
from irplan.files.output import OutputFolder
from irplan.files.report_file import read_review, releasable_bytes
from irplan.procedure.events import NewEvent, Source
from irplan.procedure.log import ProcedureLog

ALL = "html,txt,pdf,fhir,dicom-pdf,dicom-sr"
FILES = (
    "report.html",
    "report.txt",
    "report.pdf",
    "report_fhir.json",
    "report_pdf.dcm",
    "report_sr.dcm",
)


def run(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*(str(w) for w in words), "--json", "-q"])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return json.loads(done.stdout)


def make_log(folder: Path, text: str, *, wrong_side: bool = False) -> None:
    source = Source("typed", who=text)
    other = "left" if wrong_side else "right"
    events = (
        ("case", {"patient_id": "P1", "patient_name": f"{text}^Z", "sex": "F",
                  "birth_date": "1961-04-02", "study_uids": ["1.2.3.4"]}),
        ("clinical", {"item": "indication", "text": text}),
        ("staff", {"role": "operator", "name": text}),
        ("checklist", {"step": "time_out", "complete": True, "side": other}),
        ("lesion", {"lesion": text, "organ": "kidney", "side": "right", "size_mm": [22.0, 19.0]}),
        ("technique", {"energy": "cryo", "route": "percutaneous"}),
        ("needle", {"number": 1, "status": "placed", "tip_mm": [1, 2, 3], "entry_mm": [1, 2, 90]}),
        ("verification", {"lesion": text, "zone_mm": [48.0, 39.0, 37.0], "minimal_margin_mm": 5.4,
                          "technical_success": "yes"}),
        ("complication", {"observed": False}),
        ("dose_total", {"kap_gy_cm2": 12.5, "air_kerma_mgy": 80.0, "fluoroscopy_s": 300.0}),
    )  # fmt: skip
    with ProcedureLog.create(folder / "log") as log:
        log.append_many([NewEvent(kind, data, source) for kind, data in events])


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = tmp_path_factory.mktemp("case")
    make_log(case, "Jansen-Öztürk")
    run("report", case, "-o", case / "report", "--format", ALL)
    return case


def copied(reported: Path, tmp_path: Path) -> Path:
    shutil.copytree(reported, tmp_path / "c")
    return tmp_path / "c"


def test_a_report_is_a_draft_until_it_is_accepted(reported: Path, tmp_path: Path) -> None:
    case = copied(reported, tmp_path)
    out, by = case / "report", ("--by", "Dr. A", "--why", "read beside the images")
    for name in FILES:
        assert (out / name).is_file()
        with pytest.raises(ReviewError):
            releasable_bytes(out, name)
    assert "DRAFT" in (out / "report.html").read_text()
    run("review", out, "accepted", *by, code=2)
    run("review", out, "reviewed", *by, "--log", case / "log")
    done = run("review", out, "accepted", *by, "--log", case / "log")
    assert set(done["files"]) == {*FILES, "report.json"}
    for name in FILES:
        assert releasable_bytes(out, name) == (out / name).read_bytes()
    assert "ACCEPTED by Dr. A" in (out / "report.txt").read_text()
    assert (
        json.loads((out / "report_fhir.json").read_text())["entry"][0]["resource"]["status"]
        == "final"
    )
    (out / "report.txt").write_text("changed")
    with pytest.raises(ReviewError, match="other bytes"):
        releasable_bytes(out, "report.txt")
    with ProcedureLog.open(case / "log") as log:
        said = [e.data["state"] for e in log.events() if e.kind == "review"]
    assert said == ["reviewed", "accepted"]
    same = run("report", case, "-o", out)
    assert (same["state"], same["revision"]) == ("accepted", 1)  # nothing to report has changed


def test_a_change_after_acceptance_is_a_new_draft(reported: Path, tmp_path: Path) -> None:
    case = copied(reported, tmp_path)
    out, by = case / "report", ("--by", "Dr. A", "--why", "seen")
    run("review", out, "reviewed", *by)
    run("review", out, "accepted", *by)
    run("log", "add", case / "log", "follow_up", "text=CT at 3 months")
    assert run("report", case, "-o", out, code=2)["error"]["kind"] == "ReviewError"
    new = run("report", case, "-o", out, "--by", "Dr. B", "--why", "follow-up added")
    assert (new["state"], new["revision"]) == ("draft", 2)
    assert read_review(out / "earlier" / "1" / "review.json").review.state == "accepted"
    assert [c.who for c in read_review(out / "review.json").history] == ["Dr. A", "Dr. A", "Dr. B"]
    assert releasable_bytes(out / "earlier" / "1", "report.pdf")
    with pytest.raises(ReviewError):
        releasable_bytes(out, "report.html")
    run("review", out, "rejected", *by)
    run("review", out, "accepted", *by, code=2)
    with pytest.raises(OutputError, match="evidence"):
        OutputFolder.check(out)  # no other command writes over a report that was judged


def test_of_two_reviewers_at_once_neither_is_lost(reported: Path, tmp_path: Path) -> None:
    run("report", reported, "-o", tmp_path / "r", "--format", "txt")
    review_report(tmp_path / "r", "reviewed", who="Dr. A", why="seen")
    start = threading.Barrier(2)

    def decide(state: Any, who: str) -> bool:
        start.wait()
        try:
            review_report(tmp_path / "r", state, who=who, why="my reason")
        except InputError:  # accepted after rejected: told, not lost
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        yes = pool.submit(decide, "accepted", "Dr. A")
        no = pool.submit(decide, "rejected", "Dr. B")
        said = ["Dr. A"] * yes.result() + ["Dr. B"] * no.result()
    record = read_review(tmp_path / "r" / "review.json")
    assert [c.who for c in record.history[1:]] == said
    assert record.review.state == "rejected"


def test_a_contradiction_of_side_blocks_acceptance_until_it_is_overruled(tmp_path: Path) -> None:
    make_log(tmp_path, "T1", wrong_side=True)
    out, by = tmp_path / "report", ("--by", "Dr. A", "--why", "seen")
    made = run("report", tmp_path, "-o", out, "--format", "txt")
    assert list(made["objections"]) == ["laterality"]
    run("review", out, "reviewed", *by)
    refused = run("review", out, "accepted", *by, code=2)["error"]
    assert "laterality" in refused["got"]
    run("review", out, "accepted", *by, "--overrule", "laterality", code=2)
    run("review", out, "accepted", *by, "--overrule", "dose=no", code=2)
    done = run("review", out, "accepted", *by, "--overrule", "laterality=typing error in checklist")
    assert done["overrules"] == ["laterality"]
    assert "typing error in checklist" in (out / "report.txt").read_text()


def test_a_report_changed_by_hand_is_not_accepted(reported: Path, tmp_path: Path) -> None:
    out = copied(reported, tmp_path) / "report"
    text = (out / "report.json").read_text()
    (out / "report.json").write_text(text.replace("5.4", "9.4"))
    run("review", out, "reviewed", "--by", "x", "--why", "y", code=2)
    (out / "report.json").write_text(text.replace('"recorded"', '"certain"', 1))
    run("review", out, "reviewed", "--by", "x", "--why", "y", code=2)
    forged = (out / "review.json").read_text().replace('"state": "draft"', '"state": "accepted"')
    (out / "review.json").write_text(forged)
    assert run("review", out, code=2)["error"]["kind"] == "FileFormatError"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(a for a, _ in attrs))))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def parsed(file: Path) -> _Tags:
    out = _Tags()
    out.feed(file.read_text())
    return out


@pytest.mark.parametrize("text", [t for t in HOSTILE if "\\" not in t])
def test_hostile_and_foreign_names_change_no_form(text: str, tmp_path: Path) -> None:
    make_log(tmp_path, text)
    plain = tmp_path / "plain"
    make_log(plain, "Plain")
    forms = "html,txt,fhir,dicom-pdf"
    run("report", tmp_path, "-o", tmp_path / "r", "--format", forms + ",pdf", "--lang", "nl")
    run("report", plain, "-o", plain / "r", "--format", "html", "--lang", "nl")
    page, base = parsed(tmp_path / "r" / "report.html"), parsed(plain / "r" / "report.html")
    assert page.tags == base.tags  # not one element or attribute more than with a plain name
    turned = re.compile("[\u200f\u202e]")
    said = turned.sub("", text)
    assert said in turned.sub("", "".join(page.words))
    assert turned.search(html.unescape((tmp_path / "r" / "report.html").read_text())) is None
    assert said in (tmp_path / "r" / "report.txt").read_text()
    bundle = json.loads((tmp_path / "r" / "report_fhir.json").read_text())
    patient = next(
        e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient"
    )
    assert patient["name"][0]["family"] == text.split("^")[0]
    import pydicom

    held = pydicom.dcmread(tmp_path / "r" / "report_pdf.dcm")
    assert str(held.PatientName).startswith(text.split("^")[0].split("=")[0])
    if shutil.which("pdftotext"):
        done = subprocess.run(
            ["pdftotext", "-raw", tmp_path / "r" / "report.pdf", "-"], capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        squeezed = re.sub(r"\s", "", done.stdout)
        ascii_part = re.sub(r"\s", "", "".join(c for c in said if c.isascii()))
        if said.isascii():
            assert ascii_part in squeezed  # typst took it as text, not as markup
        elif "患" in said:
            assert "U+60A3" in squeezed


def test_a_plan_is_judged_and_the_report_knows(tmp_path: Path) -> None:
    from irplan.ablation import LethalRule, Placement, Schedule, applicator
    from irplan.files.plan_file import read_plan, write_plan
    from irplan.geometry import Needle
    from irplan.planning.plan import AblationPlan, Provenance, Target

    make_log(tmp_path, "T1")
    needle = Placement(Needle((0.0, 0.0, 0.0), (0.0, -80.0, 0.0)), applicator("cryo-17g-rod"))
    plan = AblationPlan(
        Target((0.0, 0.0, 0.0), 4.2, 20.0, "mask"), (needle,), Schedule.freeze_thaw_freeze(), 5.0,
        LethalRule(), Provenance("0.1.0", 0),
    )  # fmt: skip
    file, by = tmp_path / "plan.json", ("--by", "Dr. A", "--why", "margins seen")
    write_plan(plan, file)
    run("log", "import", tmp_path / "log", file, "--side", "right")
    out = ("-o", tmp_path / "report", "--format", "txt")
    assert run("report", tmp_path, *out)["checks"]["plan"] == "warning"  # a draft was used
    run("review", file, "accepted", *by, code=2)
    run("review", file, "reviewed", *by, "--log", tmp_path / "log")
    run("review", file, "accepted", *by, "--log", tmp_path / "log")
    assert read_plan(file).review.state == "accepted"
    assert run("report", tmp_path, *out)["checks"]["plan"] == "ok"
    assert "Margin: goal, achieved: (Planned) 5 mm" in (tmp_path / "report/report.txt").read_text()
    write_plan(plan, file)  # another file than the one that was judged last is noticed, too
    assert run("report", tmp_path, *out)["checks"]["plan"] == "ok"  # it is the one imported first
    data = json.loads(file.read_text())
    data["margin_goal_mm"] = 6.0
    file.write_text(json.dumps(data))
    assert run("report", tmp_path, *out)["checks"]["plan"] == "error"


def test_bad_requests(reported: Path, tmp_path: Path) -> None:
    run("report", tmp_path / "none", "-o", tmp_path / "r", code=2)
    run("report", tmp_path, "-o", tmp_path / "r", code=2)
    run("report", reported, "-o", tmp_path / "r", "--lang", "xx", code=2)
    run("report", reported, "-o", tmp_path / "r", "--format", "doc", code=2)
    run("report", reported, "-o", tmp_path / "r", "--site", tmp_path / "none", code=2)
    run("report", reported, "-o", tmp_path / "r", "--impression-url", "http://example.org", code=2)
    run("review", tmp_path / "none", "reviewed", "--by", "x", "--why", "y", code=2)
    run("review", reported / "report", "published", "--by", "x", "--why", "y", code=2)
    run("review", reported / "report", "reviewed", "--why", "y", code=2)
    assert not (tmp_path / "r").exists()
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "mine.txt").write_text("x")
    run("report", reported, "-o", tmp_path / "f", code=4)
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["mine.txt"]


def test_a_damaged_log_is_said_in_the_report(reported: Path, tmp_path: Path) -> None:
    case = copied(reported, tmp_path)
    (case / "log" / "index").write_bytes(b"x")
    made = run("report", case, "-o", tmp_path / "r", "--format", "txt")
    assert made["checks"]["log"] == "error"
    assert "DAMAGED" in (tmp_path / "r" / "report.txt").read_text()


def test_a_site_changes_words_templates_and_sections(reported: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "site.toml").write_text('name = "St. <b>X</b>"\nfooter = "F"\nhidden = ["dose"]\n')
    (site / "en.toml").write_text('[words]\ntitle = "Our own title"\n')
    (site / "procedure.txt.j2").write_text("{{ p.title }} / {{ site.name }} / {{ p.banner }}\n")
    run("report", reported, "-o", tmp_path / "r", "--format", "json,html,text", "--site", site)
    assert (tmp_path / "r" / "report.txt").read_text() == "Our own title / St. <b>X</b> / DRAFT\n"
    page = (tmp_path / "r" / "report.html").read_text()
    assert "St. &lt;b&gt;X&lt;/b&gt;" in page
    assert "Radiation dose" not in re.sub(r"Radiation dose:", "", page)
    faults = ("{{ 1/0 }}", "{{ 1+'a' }}", "{% for i in range(9**9) %}{% endfor %}", "no state")
    for bad in (
        "{{ nothing }}",
        "{% for %}",
        "{{ p.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        *faults,
    ):
        (site / "procedure.txt.j2").write_text(bad)
        run("report", reported, "-o", tmp_path / "q", "--format", "txt", "--site", site, code=2)
    (site / "procedure.txt.j2").unlink()
    (site / "site.toml").write_text('hidden = ["doze"]')
    run("report", reported, "-o", tmp_path / "q", "--format", "txt", "--site", site, code=2)
    (site / "site.toml").write_text('nam = "x"')
    run("report", reported, "-o", tmp_path / "q", "--format", "txt", "--site", site, code=2)


def test_fhir_validates(reported: Path) -> None:
    r4b = pytest.importorskip("fhir.resources.R4B.bundle")
    bundle = json.loads((reported / "report" / "report_fhir.json").read_text())
    held = r4b.Bundle.model_validate(bundle)
    kinds = [e.resource.get_resource_type() for e in held.entry]
    assert {"DiagnosticReport", "Patient", "Procedure", "ImagingStudy", "Observation"} <= set(kinds)
    known = {e["fullUrl"] for e in bundle["entry"]}
    named = re.findall(r'"reference": "([^"]+)"', json.dumps(bundle))
    assert set(named) <= known
    dose = next(
        e["resource"]
        for e in bundle["entry"]
        if "73569-6" in json.dumps(e["resource"].get("code", {}))
    )
    values = {
        c["code"]["coding"][0]["code"]: (c["valueQuantity"]["value"], c["valueQuantity"]["code"])
        for c in dose["component"]
    }
    assert values == {
        "113722": (12.5, "Gy.cm2"),
        "113725": (80.0, "mGy"),
        "113730": (300.0, "s"),
    }


def test_dicom_objects_hold_for_independent_readers(reported: Path) -> None:
    import pydicom
    from highdicom.sr import srread

    folder = reported / "report"
    held = pydicom.dcmread(folder / "report_pdf.dcm")
    pdf = (folder / "report.pdf").read_bytes()
    assert held.EncapsulatedDocument[: held.EncapsulatedDocumentLength] == pdf
    sr = pydicom.dcmread(folder / "report_sr.dcm")
    read = srread(folder / "report_sr.dcm").content.get_image_measurement_groups()
    said = {
        (g.tracking_identifier, m.name.meaning): (float(m.value), m.unit.value)
        for g in read for m in g.get_measurements()
    }  # fmt: skip
    assert said["result Jansen-Öztürk", "Minimal ablative margin"] == (5.4, "mm")
    assert said["dose", "Dose Area Product Total"] == (12.5, "Gy.cm2")
    assert [e.value.meaning for g in read for e in g.get_qualitative_evaluations()] == ["yes"]
    assert (sr.VerificationFlag, sr.StudyInstanceUID) == ("UNVERIFIED", held.StudyInstanceUID)
    for name in ("report_pdf.dcm", "report_sr.dcm"):
        if shutil.which("dciodvfy"):
            done = subprocess.run(["dciodvfy", folder / name], capture_output=True, text=True)
            assert "Error" not in done.stdout + done.stderr
    if shutil.which("dsrdump"):
        done = subprocess.run(
            ["dsrdump", folder / "report_sr.dcm"], capture_output=True, text=True, check=True
        )
        assert '"Minimal ablative margin")="5.4" (mm,UCUM,"millimeter")' in done.stdout
        assert '"Total Fluoro Time")="300.0" (s,UCUM,"second")' in done.stdout
