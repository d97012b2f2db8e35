"""The real window under Xvfb: from open to draft report by the mouse, in at most 12 clicks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _drive(home: Path, *options: str) -> dict:
    if shutil.which("xvfb-run") is None:
        if os.environ.get("CI"):
            pytest.fail("xvfb-run missing in CI")
        pytest.skip("not run: needs xvfb-run (Debian: xvfb)")
    environment = {k: v for k, v in os.environ.items() if k not in ("QT_QPA_PLATFORM", "DISPLAY")}
    environment["IRPLAN_PLANNER_HOME"] = str(home)
    done = subprocess.run(
        ["xvfb-run", "-a", "-s", "-screen 0 1600x900x24",
         sys.executable, "-m", "tests.planner.drive_workflow", *options],
        capture_output=True, text=True, cwd=ROOT, env=environment, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    result: dict = json.loads(done.stdout.splitlines()[-1])
    return result


def _complete(found: dict) -> None:
    assert found["errors"] == []
    assert found["clicks"] <= 12
    assert found["shown"]
    assert found["3d"]
    assert found["3d_painted"] > 0
    assert found["threads_left"] == []
    done = ("load", "segment", "target", "plan", "simulate", "report")
    assert {found["steps"][s] for s in done} == {"done"}


def test_demo_from_open_to_draft_report(planner_home: Path) -> None:
    found = _drive(planner_home)
    _complete(found)
    # What is known of the sample: a tumour of 18 mm (3.05 ml) whose goal of 5 mm can be met; the
    # fewest needles cover 99 % of it: the smallest margin may fall short by a voxel or two.
    assert found["target_ml"] == pytest.approx(3.05, rel=0.15)
    assert found["margin_mm"] >= 5.0 - 2.0


@pytest.mark.data
def test_tumour_07_of_a_real_scan(planner_home: Path, shared_data: Callable[[str], Path]) -> None:
    ct = shared_data("ircadb01_p1") / "PATIENT_DICOM"
    found = _drive(planner_home, "--open", str(ct), "--centre", TUMOUR_07_MM, "--diameter", "19")
    _complete(found)


#: Where a reader sees tumour 07 (LPS mm), to a millimetre.
TUMOUR_07_MM = "141,89,184"
