"""Every command of README and docs, as printed: ``pytest -m docs_slow tests/docs`` (minutes).

The cheap ones also run in every test run (`test_code_blocks`).  Here are the rest, on a phantom of
4 x 1.6 x 1.6 mm: plans, segmentations, registrations; a PACS (Orthanc), the planner's window
(Xvfb) and a tracking server; programs of other environments where ``IRPLAN_DOCS_QA`` is a Python
that has pylinac and PySkinDose.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from irplan.image import LabelMap, Volume
from irplan.phantom import TumourSpec, abdominal_ct
from irplan.planning import PlanOptions, plan_case
from irplan.segmentation import segment_abdomen
from tests.dicom.orthanc import Orthanc
from tests.docs.shell import Step, run
from tests.docs.test_code_blocks import pages_with_commands, walk
from tests.docs.world import TUMOUR_MM, Inputs, moved

pytestmark = [pytest.mark.docs_slow, pytest.mark.filterwarnings("ignore")]
UID = "1.2.826.0.1.3680043.2.1125.10"


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A coarse phantom where the pages say, and its plan."""
    made = abdominal_ct(3, tumours=(TumourSpec(18.0),), spacing_mm=(4.0, 1.6, 1.6))
    by = np.array(TUMOUR_MM) - np.array(made.facts.tumours[0].centre_mm)
    grid = moved(made.volume.grid, by, UID)
    volume = Volume(made.volume.array, grid, "HU")
    labels = LabelMap(made.labels.array, grid, made.labels.labels)
    target = labels.mask("tumour")
    found = segment_abdomen(volume, target_mask=target).labels
    case = plan_case(volume, found, target, options=PlanOptions(margin_mm=5.0))
    return Inputs(tmp_path_factory.mktemp("store"), volume, labels, case)


@pytest.mark.parametrize(("page", "found"), pages_with_commands())
def test_every_command_runs(
    page: str, found: list[Step], coarse: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    walk(page, found, coarse, all_of_them=True)


def _commands(start: str) -> list[Step]:
    return [
        s
        for p in pages_with_commands()
        for s in p.values[1]
        if s.text.startswith(start)
    ]  # fmt: skip


def test_a_pacs_answers_as_printed(
    coarse: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/pacs.md with the addresses of a PACS of our own and the study that it holds."""
    monkeypatch.chdir(tmp_path)
    coarse.provide(["scan"], tmp_path)
    pacs = Orthanc(tmp_path / "orthanc")
    try:
        import pydicom

        study = pydicom.dcmread(next(Path("scan").iterdir())).StudyInstanceUID
        own = {
            "http://localhost:8042/dicom-web": pacs.web,
            "dicom://PACS@10.0.0.5:104?calling=IRPLAN": pacs.dicom,
            "1.2.3": study,
        }
        coarse.provide(["logged/case1"], tmp_path)
        for text in (
            "report logged/case1 -o report --format dicom-pdf,dicom-sr",
            "review report reviewed --by A --why read",
            "review report accepted --by A --why agrees",
            f"pacs send {pacs.web} scan --originals",
        ):
            code, said = run(Step(("irplan", *text.split())))
            assert code == 0, said
        asked = _commands("irplan pacs")
        assert len(asked) >= 3
        sent_first = sorted(asked, key=lambda s: s.words[2] != "send")
        for step in sent_first:
            words = tuple(own.get(w, w) for w in step.words)
            words = tuple("got" if w == "scan" else w for w in words)
            code, said = run(Step(words))
            assert code == 0, f"{' '.join(words)}\n{said}"
    finally:
        pacs.stop()


def _alive(step: Step, seconds: float, environment: dict[str, str]) -> str:
    """Start a command that goes on, see that it does, end it as Ctrl-C would; what it said."""
    code = "from irplan.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *step.words[1:]],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=seconds)
        raise AssertionError(f"{step.text} ended with {process.returncode}: {said}")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    assert "Traceback" not in said, said
    return said


def test_the_planner_opens_as_printed(
    coarse: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    coarse.provide(["scan"], tmp_path)
    display = f":{90 + os.getpid() % 300}"
    screen = subprocess.Popen(
        ["Xvfb", display, "-screen", "0", "1280x900x24"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(2.0)
    environment = {**os.environ, "DISPLAY": display, "XDG_DATA_HOME": str(tmp_path / "data")}
    try:
        for step in _commands("irplan gui"):
            if step.words == ("irplan", "gui") or len(step.words) == 3:
                _alive(step, 30.0, environment)
    finally:
        screen.kill()
        screen.wait()


def test_tracking_is_served_as_printed(
    coarse: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    coarse.provide(["case1"], tmp_path)
    (step,) = _commands("irplan export case1 --to igtl")
    process = subprocess.Popen(
        [sys.executable, "-c", "from irplan.cli import main; main()", *step.words[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(("127.0.0.1", 18944), timeout=5) as peer:
                    head = peer.recv(58, socket.MSG_WAITALL)
                break
            except ConnectionRefusedError:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < until
                time.sleep(0.5)
        assert head[2:14].rstrip(b"\0") in (b"TRANSFORM", b"POINT", b"STRING", b"STATUS")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


@pytest.mark.skipif("IRPLAN_DOCS_QA" not in os.environ, reason="not run: IRPLAN_DOCS_QA not given")
def test_programs_of_other_environments_as_printed(
    coarse: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    coarse.provide(["report.dcm"], tmp_path)
    for name in ("skin", "qa"):
        Path(name, "bin").mkdir(parents=True)
        script = Path(name, "bin", "python")
        script.write_text(f'#!/bin/sh\nexec "{os.environ["IRPLAN_DOCS_QA"]}" "$@"\n')
        script.chmod(0o755)
    (step,) = _commands("irplan dose report.dcm --skin")
    code, said = run(step)
    assert code == 0, said
