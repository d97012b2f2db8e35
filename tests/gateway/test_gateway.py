"""The gateway as a whole: what arrives is worked on, shown, and leaves only when accepted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from irplan_gateway.config import load_config
from irplan_gateway.incoming import Limits, take_object
from irplan_gateway.routing import Condition, Rule
from irplan_gateway.service import Gateway
from irplan_gateway.store import Store
from irplan_gateway.summary import summary, summary_text
from typer.testing import CliRunner

from irplan.cli.app import app
from irplan.dicom.pacs_client import RetryPolicy, connect
from irplan.dicom.pacs_peer import parse_peer
from irplan.dicom.pacs_send import send_files
from irplan.dicom.rdsr import read_dose
from irplan.errors import FileFormatError, OutputError, PacsError
from irplan.planning.review_states import ReviewState
from irplan.procedure.clock import Reading, read_clocks
from irplan.procedure.review import judge
from tests.dicom.orthanc import Orthanc
from tests.gateway.site import plugin, site, study

WAIT_S = 60.0
PATIENT = RetryPolicy(attempts=60, first_wait_s=0.1, longest_wait_s=0.3)


def wait_for(what: Callable[[], bool], seconds: float = WAIT_S) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.05)


def send(config: Path, folder: Path) -> None:
    port = load_config(config).port
    pacs = connect(parse_peer(f"dicom://GATEWAY@127.0.0.1:{port}", timeout_s=10))
    try:
        send_files(pacs, sorted(folder.iterdir()), lambda n, b: None, retry=PATIENT)
    finally:
        pacs.close()


@pytest.fixture
def started() -> Iterator[Callable[[Path], Gateway]]:
    running: list[Gateway] = []

    def start(config: Path) -> Gateway:
        running.append(Gateway(load_config(config)))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()


def test_one_failing_plugin_stops_nobody(
    tmp_path: Path, started: Callable[[Path], Gateway]
) -> None:
    bad = ["crash", "hang", "memory", "nothing", "nonsense", "link", "name", "patient", "absent"]
    kinds = [
        plugin(n, time_limit_s=1.5 if n == "hang" else 60.0, memory_mb=2000)
        for n in [*bad[:-1], "good"]
    ]
    kinds.append('[[plugin]]\nname="absent"\nkind="outside"\ncommand=["/no/such/program"]\n')
    config = site(tmp_path, *kinds, run=[*bad, "good"])
    gateway = started(config)
    send(config, study(tmp_path / "ct"))
    store = gateway.store
    wait_for(lambda: sum(j["state"] in ("done", "failed") for j in store.rows("job")) == 10)
    said = {j["plugin"]: j["error"] for j in store.rows("job")}
    assert said.pop("good") == ""
    assert said == {
        "crash": "exit code 3",
        "hang": "no end within 1.5 s",
        "memory": "exit code 1",
        "nothing": "no result at all",
        "nonsense": "a result.json that is none",
        "link": "something other than plain files with plain names",
        "name": "something other than plain files with plain names",
        "patient": "an object of another patient or study",
        "absent": "a command that cannot be started",
    }
    (draft, facts), *rest = store.drafts()
    assert rest == []
    assert (draft.made_by, draft.review.state, list(draft.files)) == (
        "test 1.0", "draft", ["result.dcm"],
    )  # fmt: skip
    assert facts["rule"] == "CT"
    assert sorted(p.name for p in (tmp_path / "store" / "tmp").iterdir() if p.is_dir()) == []
    mine = subprocess.run(["pgrep", "-f", "time.sleep(600)"], capture_output=True, text=True)
    assert mine.stdout == ""  # the hanging one's child is gone too
    data = summary(store, draft.made_at[:10])
    assert data["plugins"]["good"]["jobs"] == {"done": 1}
    assert data["plugins"]["hang"]["failures"] == {"no end within 1.5 s": 1}
    assert data["plugins"]["good"]["versions"] == {"test 1.0": 1}
    assert "exit code 3 1" in summary_text(data)
    assert "Test" not in json.dumps(data)


def test_only_what_was_accepted_reaches_the_pacs(
    tmp_path: Path, started: Callable[[Path], Gateway], orthanc: Orthanc
) -> None:
    orthanc.clear()
    more = f'[pacs]\npeer = "{orthanc.web}"\ntimeout_s = 10\n'
    gateway = started(site(tmp_path, plugin("good"), run=["good"], more=more))
    store = gateway.store
    for number in range(3):
        for file in study(tmp_path / f"ct{number}", number).iterdir():
            assert take_object(store, file, Limits(1 << 30, 0)) == "stored"
    wait_for(lambda: len(store.drafts()) == 3)
    first, second, third = (d for d, _ in store.drafts())

    def decide(draft, *states: str) -> None:  # type: ignore[no-untyped-def]
        for state in states:
            new = judge(draft, state, who="Dr A", why="seen", when="2099-01-01T00:00:00Z")
            assert store.save_review(draft, new, to_send=state == "accepted")
            draft = new

    decide(first, "reviewed")
    decide(second, "rejected")
    orthanc.kill()
    decide(third, "reviewed", "accepted")
    time.sleep(0.5)
    assert store.rows("outbox")[0]["state"] == "waiting"
    orthanc.start()
    wait_for(lambda: store.rows("outbox")[0]["state"] == "sent")
    assert len(orthanc.instances()) == 1
    assert len(store.rows("outbox")) == 1
    # bytes changed after acceptance never leave
    fourth = study(tmp_path / "ct9", 9)
    for file in fourth.iterdir():
        take_object(store, file, Limits(1 << 30, 0))
    wait_for(lambda: len(store.drafts()) == 4)
    late = store.drafts()[0][0]
    path = store.draft_folder(late.draft_id) / "result.dcm"
    path.write_bytes(path.read_bytes() + b"\0\0")
    decide(late, "reviewed", "accepted")
    wait_for(lambda: len(store.rows("outbox")) == 2 and all(
        o["state"] in ("sent", "refused") for o in store.rows("outbox")))  # fmt: skip
    assert {o["draft"]: o["state"] for o in store.rows("outbox")}[late.draft_id] == "refused"
    assert len(orthanc.instances()) == 1


def test_more_images_make_a_new_draft_that_replaces_the_old(
    tmp_path: Path, started: Callable[[Path], Gateway]
) -> None:
    gateway = started(site(tmp_path, plugin("good"), run=["good"]))
    files = sorted(study(tmp_path / "ct", slices=4).iterdir())
    for file in files[:2]:
        take_object(gateway.store, file, Limits(1 << 30, 0))
    wait_for(lambda: len(gateway.store.drafts()) == 1)
    draft = gateway.store.drafts()[0][0]
    steps: tuple[ReviewState, ...] = ("reviewed", "accepted")
    for state in steps:
        before = draft
        draft = judge(before, state, who="Dr A", why="seen", when="2099-01-01T00:00:00Z")
        assert gateway.store.save_review(before, draft, to_send=state == "accepted")
    assert gateway.store.waiting() == [draft.draft_id]  # the PACS is away
    for file in files:
        take_object(gateway.store, file, Limits(1 << 30, 0))
    wait_for(lambda: len(gateway.store.drafts()) == 2)
    assert gateway.store.waiting() == []  # what was replaced does not leave any more
    assert not gateway.store.send_again(draft.draft_id)
    assert gateway.store.rows("outbox")[0]["state"] == "withdrawn"
    (new, _), (old, facts) = gateway.store.drafts()
    assert (new.revision, new.replaces, facts["replaced"]) == (2, old.draft_id, 1)


def read_store(folder: Path) -> Store:
    return Store(folder)


@pytest.mark.parametrize("kills", [2])
def test_twenty_studies_at_once_and_killed_in_between(tmp_path: Path, kills: int) -> None:
    """kill -9 while receiving and while working: every study ends in exactly one draft."""
    slow = 'sleep 0.3; ls "$0" | wc -l > "$1/result.txt"'
    words = json.dumps(["/bin/sh", "-c", slow, "{input}", "{output}"])
    own = f'[[plugin]]\nname = "slow"\nkind = "outside"\ncommand = {words}\n'
    config = site(tmp_path, own, run=["slow"], more="[work]\nworkers = 2\n")
    folders = [study(tmp_path / f"s{n}", n) for n in range(20)]

    def launch() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", "from irplan.cli import main; main()", "gateway", "-q"]
        return subprocess.Popen([*words, "--config", str(config)], stderr=subprocess.DEVNULL)

    process = launch()
    failures: list[BaseException] = []

    def sender(part: list[Path]) -> None:
        for folder in part:
            try:
                send(config, folder)
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

    threads = [threading.Thread(target=sender, args=(folders[n::5],)) for n in range(5)]
    for thread in threads:
        thread.start()
    try:
        for number in range(kills):
            time.sleep(1.5 + 0.37 * number)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = launch()
        for thread in threads:
            thread.join()
        assert failures == []
        store = read_store(tmp_path / "store")
        wait_for(lambda: len(store.drafts()) >= 20 and not store.receiving(), 90)
        resident = []
        for _ in range(2):
            resident.append(_rss_mb(process.pid))
            time.sleep(0.3)
        time.sleep(1.0)
        latest = [d for d, f in store.drafts() if not f["replaced"]]
        assert len(latest) == 20
        assert {f["series"] for _, f in store.drafts()} == {s["uid"] for s in store.rows("series")}
        assert [j["state"] for j in store.rows("job") if j["state"] != "done"] == []
        objects = list((tmp_path / "store" / "incoming").rglob("*.dcm"))
        assert len(objects) == 60
        assert list((tmp_path / "store").rglob("*.part-*")) == []
        assert resident[-1] < 400
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, 130)
    finally:
        process.kill()
        process.wait()


def _rss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(x for x in text.splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def test_wrong_ae_title_is_refused_and_oversized_objects_are_broken_off(
    tmp_path: Path, started: Callable[[Path], Gateway]
) -> None:
    config = site(tmp_path, plugin("good"), run=["good"])
    gateway = started(config)
    port = gateway.config.port
    with pytest.raises(PacsError, match="AE title"):
        connect(parse_peer(f"dicom://OTHER@127.0.0.1:{port}")).check()
    big = study(tmp_path / "big", slices=1, size=2048)  # 8 MB, the limit is 4
    pacs = connect(parse_peer(f"dicom://GATEWAY@127.0.0.1:{port}", timeout_s=10))
    with pytest.raises(PacsError):
        send_files(pacs, list(big.iterdir()), lambda n, b: None, retry=RetryPolicy(1))
    pacs.close()
    assert list((tmp_path / "store" / "incoming").iterdir()) == []
    send(config, study(tmp_path / "ct"))  # it goes on
    wait_for(lambda: len(gateway.store.drafts()) == 1)
    kinds = {e["kind"] for e in gateway.store.rows("event")}
    assert {"association rejected", "arrived: too large, broken off"} <= kinds


def test_a_full_disk_is_told_to_the_sender(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    one = next(study(tmp_path / "ct").iterdir())
    assert take_object(store, one, Limits(1 << 30, 1 << 60)) == "full"
    assert take_object(store, one, Limits(100, 0)) == "refused"
    assert take_object(store, one, Limits(1 << 30, 0)) == "stored"
    assert take_object(store, one, Limits(1 << 30, 0)) == "had"
    changed = bytearray(one.read_bytes())
    changed[-1] ^= 1
    one.write_bytes(bytes(changed))
    assert take_object(store, one, Limits(1 << 30, 0)) == "differs"
    store.close()


def test_watch_folder_takes_files_and_zips_and_sets_aside_the_rest(
    tmp_path: Path, started: Callable[[Path], Gateway]
) -> None:
    watched = tmp_path / "in"
    watched.mkdir()
    more = f'[watch]\nfolder = "{watched}"\nsettle_s = 0.3\n'
    gateway = started(site(tmp_path, plugin("good"), run=["good"], more=more))
    study(watched / "a" / "b")
    inside = study(tmp_path / "z", 7)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in inside.iterdir():
            archive.write(file, f"../../../../{file.name}")
    (tmp_path / "x.zip").rename(watched / "x.zip")
    with zipfile.ZipFile(watched / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * (3 << 20))
        archive.writestr("b", b"\0" * (90 << 20))
    with zipfile.ZipFile(watched / "part.zip", "w") as archive:
        archive.write(next(study(tmp_path / "y", 8, slices=1).iterdir()), "1")
        archive.writestr("2", b"no image")
    (watched / "letter.txt").write_text("no image")
    wait_for(lambda: len(gateway.store.drafts()) == 3)
    wait_for(lambda: not [p for p in watched.rglob("*") if p.is_file()
                          and p.parent.name != "refused"])  # fmt: skip
    assert sorted(p.name[7:] for p in (watched / "refused").iterdir()) == [
        "bomb.zip", "letter.txt", "part.zip",
    ]  # fmt: skip
    assert list((tmp_path / "store" / "tmp").glob("irplan-zip-*")) == []


def test_rules_by_modality_protocol_and_mapped_headers(tmp_path: Path) -> None:
    header = {"Modality": "CT", "SeriesDescription": "Abd Portal 3.0", "SliceThickness": "3.0"}
    protocol = Condition("protocol", ("ProtocolName", "SeriesDescription"), "*liver*|abd*")
    thin = Condition("slice_thickness_mm", ("SliceThickness",), "<=3")
    thick = Condition("slice_thickness_mm", ("SliceThickness",), ">3")
    kernel = Condition("kernel", ("ConvolutionKernel",), "B3?f")
    rule = Rule("liver", (protocol, thin), (kernel,), ("segment",), min_images=20)
    assert rule.fits(header, 20)
    assert not rule.fits(header, 19)
    assert not thick.holds(header)
    assert not protocol.holds({**header, "ProtocolName": "Head"})  # the first filled name counts
    assert rule.objections(header) == {"input: kernel B3?f": "not stated"}
    assert rule.objections({**header, "ConvolutionKernel": "B30f"}) == {}
    assert not thin.holds({"SliceThickness": "thin"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[page]", "[pages]"), "Did you mean 'page'"),
        (('run = ["good"]', 'run = ["gone"]'), "names of [[plugin]]s"),
        (("quiet_s = 0.5", "quiet_s = -1"), "quiet_s"),
        (('modality = "CT"', 'modality = "<x"'), "a comparison such as"),
        (('modality = "CT"', 'colour = "red"'), "colour"),
        (('kind = "outside"', 'kind = "magic"'), "magic"),
        (("ae_title = ", "host = '0.0.0.0'\nae_title = "), "AE titles that may send"),
        (('ae_title = "GATEWAY"', "ae_title = 5"), "ae_title"),
    ],
)
def test_configuration_mistakes_name_their_place(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    path = site(tmp_path, plugin("good"), run=["good"])
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(FileFormatError) as caught:
        load_config(path)
    assert words in str(caught.value)
    run = CliRunner().invoke(app, ["gateway", "--config", str(path), "--check"])
    assert run.exit_code == 2
    assert "Traceback" not in run.output


def test_two_gateways_on_one_store_are_refused(tmp_path: Path) -> None:
    config = load_config(site(tmp_path, plugin("good"), run=["good"]))
    first = Gateway(config)
    try:
        with pytest.raises(OutputError, match="another gateway"):
            Gateway(config)
    finally:
        first.store.close()
        os.close(first._lock)


def test_summary_of_a_day_from_the_command_line(tmp_path: Path) -> None:
    path = site(tmp_path, plugin("good"), run=["good"])
    run = CliRunner().invoke(app, ["gateway", "-c", str(path), "--summary", "2026-11-30"])
    assert run.exit_code == 0
    assert "No jobs." in run.stdout
    store = Store(tmp_path / "store")
    series = tmp_path / "store" / "incoming" / "s"
    for day in ("2026-11-28", "2026-11-30"):
        store.add_object(day, "1.2", series)
        store.route(day, "CT", ("good",), {})
        job = store.take_job()
        assert job is not None
        store.finish_job(job, seconds=2.0, version="v1", error="exit code 3")
        with store._write() as db:
            db.execute("UPDATE job SET made=? WHERE id=?", (f"{day}T08:00:00Z", job.id))
    store.close()
    several = ["gateway", "-c", str(path), "--summary", "2026-11-27..2026-11-29"]
    lines = CliRunner().invoke(app, several).stdout.strip().splitlines()
    assert " ".join(lines[-1].split()) == "2026-11-28 good v1 1 1 0 0 0 0 0 2.0"
    assert "2026-11-30" not in "".join(lines)
    run = CliRunner().invoke(app, ["gateway", "-c", str(path), "--summary", "yesterday"])
    assert run.exit_code == 2


def test_built_in_dose_on_a_real_report(
    tmp_path: Path, started: Callable[[Path], Gateway], shared_data: Callable[[str], Path]
) -> None:
    """A dose report, by its rule, in a process of its own."""
    dose = shared_data("rdsr") / "siemens_axiom_artis.dcm"
    own = ['[[plugin]]\nname = "dose"\nkind = "dose"\n']
    other = '[[rule]]\nname = "dose"\nwhere = { modality = "SR" }\nrun = ["dose"]\n'
    gateway = started(site(tmp_path, *own, run=[], rule=other))
    assert take_object(gateway.store, dose, Limits(1 << 30, 0)) == "stored"
    wait_for(lambda: any(j["state"] in ("done", "failed") for j in gateway.store.rows("job")))
    assert [j["error"] for j in gateway.store.rows("job")] == [""]
    draft, _ = gateway.store.drafts()[0]
    found = json.loads((gateway.store.draft_folder(draft.draft_id) / "dose.json").read_text())
    assert found[0]["irradiation_events"] == len(read_dose(dose).events) > 0
    assert draft.made_by.startswith("irplan ")


def test_the_same_result_again_makes_no_second_draft(
    tmp_path: Path, started: Callable[[Path], Gateway]
) -> None:
    """A series that is routed twice, by two workers at once: one current draft, no duplicate."""
    words = json.dumps(["/bin/sh", "-c", 'sleep 0.2; echo 1 > "$1/a.txt"', "{input}", "{output}"])
    own = f'[[plugin]]\nname = "same"\nkind = "outside"\ncommand = {words}\n'
    gateway = started(site(tmp_path, own, run=["same"], more="[work]\nworkers = 2\n"))
    one = next(study(tmp_path / "ct", slices=1).iterdir())
    take_object(gateway.store, one, Limits(1 << 30, 0))
    uid = gateway.store.rows("series")[0]["uid"]
    gateway.store.route(uid, "CT", ("same", "same"), {})
    gateway.store.route(uid, "CT", ("same",), {"input": "thick"})
    wait_for(lambda: [j["state"] for j in gateway.store.rows("job")] == ["done"] * 3)
    drafts = gateway.store.drafts()
    assert [(d.revision, f["replaced"]) for d, f in drafts] == [(2, 0), (1, 1)]
    assert list(drafts[0][0].objections) == ["input"]


def test_what_failed_runs_again_and_what_was_refused_is_sent_again(
    tmp_path: Path, started: Callable[[Path], Gateway]
) -> None:
    words = json.dumps(["/bin/sh", "-c", f'cat {tmp_path}/there > "$1/a.txt"', "x", "{output}"])
    own = f'[[plugin]]\nname = "late"\nkind = "outside"\ncommand = {words}\n'
    gateway = started(site(tmp_path, own, run=["late"]))
    store = gateway.store
    take_object(store, next(study(tmp_path / "ct", slices=1).iterdir()), Limits(1 << 30, 0))
    wait_for(lambda: [j["state"] for j in store.rows("job")] == ["failed"])
    assert (tmp_path / "store" / "logs" / "job-1.log").read_text() != ""
    (tmp_path / "there").write_text("now")
    assert store.run_again(1)
    assert not store.run_again(1)
    wait_for(lambda: [j["state"] for j in store.rows("job")] == ["done"])
    assert list((tmp_path / "store" / "logs").iterdir()) == []
    assert not store.send_again(store.drafts()[0][0].draft_id)  # it was never accepted


def test_a_jump_of_the_clock_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    """Waiting goes by a steady clock: a wall clock a day ahead or behind routes all the same."""
    ahead = [0.0]

    def clocks() -> Reading:
        real = read_clocks()
        return Reading(real.wall + timedelta(seconds=ahead[0]), real.boot, real.steady_s)

    words = json.dumps(["/bin/sh", "-c", 'echo 1 > "$1/a.txt"', "x", "{output}"])
    own = f'[[plugin]]\nname = "p"\nkind = "outside"\ncommand = {words}\n'
    gateway = Gateway(load_config(site(tmp_path, own, run=["p"])), clocks=clocks)
    gateway.start()
    try:
        for number, jump in enumerate((86400.0, -86400.0)):
            ahead[0] = jump
            one = next(study(tmp_path / f"ct{number}", number, slices=1).iterdir())
            take_object(gateway.store, one, Limits(1 << 30, 0))
            wait_for(lambda n=number: len(gateway.store.drafts()) == n + 1)
        told = [e["detail"] for e in gateway.store.rows("event") if e["kind"] == "clock jump"]
        assert told == ["+86400 s", "-172800 s"]
        draft = gateway.store.drafts()[0][0]
        # a reviewer's clock that runs behind the machine's: the decision stands, the delay is < 0
        behind = judge(draft, "rejected", who="Dr A", why="x", when="2001-01-01T00:00:00Z")
        assert gateway.store.save_review(draft, behind, to_send=False)
        data = summary(gateway.store, draft.made_at[:10])
        assert data["plugins"]["p"]["drafts"]["rejected"] == 1
        assert data["events"]["clock jump"] == 2
    finally:
        gateway.stop()
