"""TotalSegmentator as a program of its own: one that answers, fails, hangs, or is not there."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from irplan.case.total_segmentator import TotalSegmentator
from irplan.errors import BackendError, CancelledError, SegmentationError
from irplan.geometry import Grid
from irplan.image import Volume

GRID = Grid.from_spacing((10, 12, 14), (3.0, 1.5, 1.5), (-10.0, 5.0, 50.0))

#: What stands in for the program: reads the CT by nibabel, as the real one does.
FAKE = """#!{python}
import os, sys, time
if "--version" in sys.argv:
    print("{version}"); sys.exit()
assert os.environ["HTTPS_PROXY"] == "http://127.0.0.1:9" and not os.environ["NO_PROXY"]
mode = "{mode}"
if mode == "fail":
    print("Traceback ..."); print("RuntimeError: out of memory"); sys.exit(3)
if mode == "hang":
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(r"{note}", "w").write(f"{{os.getpid()}} {{child.pid}}")
    time.sleep(60)
import nibabel as nib, numpy as np
ct = nib.load(sys.argv[sys.argv.index("-i") + 1])
hu = np.asarray(ct.dataobj)
out = np.zeros(hu.shape, np.uint8)
for value, low in ((5, 100), (2, 200), (11, 300), (12, 400), (21, 500)):
    out[hu == low] = value
if mode == "other grid":
    out = out[:-1]
image = nib.Nifti1Image(out, ct.affine)
names = {{5: "liver", 2: "kidney_right", 11: "lung_lower_lobe_left", 12: "rib_left_4",
         21: "urinary_bladder", 51: "heart"}}
if mode != "no names":
    xml = "".join(f'<Label Key="{{k}}" Red="1"><![CDATA[{{v}}]]></Label>' for k, v in names.items())
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, xml.encode()))
nib.save(image, sys.argv[sys.argv.index("-o") + 1])
"""


@pytest.fixture
def weights(tmp_path) -> Path:
    for n in (291, 292, 293, 294, 295):
        folder = tmp_path / "weights" / f"Dataset{n}_x"
        folder.mkdir(parents=True)
        (folder / "plans.json").write_text("{}")
    return tmp_path / "weights"


def program(tmp_path, mode: str = "answer", version: str = "2.4.0") -> Path:
    file = tmp_path / "TotalSegmentator"
    file.write_text(
        FAKE.format(
            python=sys.executable, mode=mode, version=version, note=tmp_path / "processes.txt"
        )
    )
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def ct() -> Volume:
    hu = np.zeros(GRID.shape, np.int16)
    hu[2:6, 3:8, 1:5] = 100  # liver
    hu[7, 9, 11] = 200
    hu[8, :, 2] = 300
    hu[9, 1, 1:4] = 400
    hu[9, 5, 5] = 500
    return Volume(hu, GRID)


def test_labels_come_back_under_our_names(tmp_path, weights):
    found = TotalSegmentator(program(tmp_path), weights).segment(ct())
    hu = ct().array
    for name, value in (("liver", 100), ("kidney_right", 200), ("lung", 300), ("bone", 400)):
        np.testing.assert_array_equal(found.labels.mask(name), hu == value)
    assert found.labels.checked("heart")  # looked for, not found
    assert not found.labels.checked("spleen")  # the answer's table does not know it
    assert found.unmapped == ("urinary_bladder",)
    assert (found.identity.version, found.identity.licence) == ("2.4.0", "Apache-2.0")
    assert all(r.status == "ok" for r in found.rows)


def test_it_is_found_on_the_path(tmp_path, weights, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(weights))
    with pytest.raises(BackendError, match="on the PATH"):
        TotalSegmentator()
    program(tmp_path)
    assert TotalSegmentator().identity.version == "2.4.0"


def test_absent_parts_are_named_and_nothing_is_fetched(tmp_path, weights):
    with pytest.raises(BackendError, match="no program"):
        TotalSegmentator(tmp_path / "nowhere", weights)
    there = program(tmp_path)
    (weights / "Dataset293_x" / "plans.json").unlink()
    with pytest.raises(BackendError, match=r"no data set 293.*totalseg_download_weights -t total"):
        TotalSegmentator(there, weights)
    with pytest.raises(BackendError, match="297"):
        TotalSegmentator(there, weights, fast=True)


def test_an_old_version_is_refused(tmp_path, weights):
    with pytest.raises(BackendError, match=r"version 1\.5\.7"):
        TotalSegmentator(program(tmp_path, version="1.5.7"), weights)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fail", "exit code 3.*out of memory"),
        ("no names", "without the names"),
    ],
)
def test_a_failure_is_told(tmp_path, weights, mode, words):
    model = TotalSegmentator(program(tmp_path, mode), weights)
    with pytest.raises(SegmentationError, match=words):
        model.segment(ct())


def test_another_grid_is_refused(tmp_path, weights):
    from irplan.errors import GridMismatchError

    with pytest.raises(GridMismatchError, match="TotalSegmentator's labels"):
        TotalSegmentator(program(tmp_path, "other grid"), weights).segment(ct())


def _gone(tmp_path) -> bool:
    pids = [int(p) for p in (tmp_path / "processes.txt").read_text().split()]
    for _ in range(50):
        alive = [p for p in pids if _alive(p)]
        if not alive:
            return True
        time.sleep(0.1)
    return False


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(pid, 0)
        return True


def test_one_that_hangs_is_stopped_with_its_children(tmp_path, weights):
    model = TotalSegmentator(program(tmp_path, "hang"), weights, timeout_s=2.0)
    with pytest.raises(SegmentationError, match="no answer within 2 s"):
        model.segment(ct())
    assert _gone(tmp_path)


def test_cancel_stops_it_with_its_children(tmp_path, weights):
    model = TotalSegmentator(program(tmp_path, "hang"), weights)

    def cancel(fraction, message):
        if (tmp_path / "processes.txt").exists():
            raise CancelledError("segment")

    with pytest.raises(CancelledError):
        model.segment(ct(), progress=cancel)
    assert _gone(tmp_path)
