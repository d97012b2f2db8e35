from __future__ import annotations

import ctypes
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from irplan.errors import CancelledError, InputError
from irplan.planning.case import PlannedCase
from irplan.viz import RenderError, RenderJob, render_scene
from irplan.viz.scene import scene_arrays


def _has_egl() -> bool:
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    return True


def _fake_python(folder: Path, body: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(
    sys.platform == "linux" and not _has_egl(), reason="not run: no libEGL.so.1 on this machine"
)
def test_scene_shows_target_ice_and_needles(case: PlannedCase) -> None:
    picture = render_scene(case, width_px=640, height_px=460)
    assert picture.shape == (460, 640, 3)
    assert picture.dtype == np.uint8
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    right_part = np.s_[:, 160:]  # without the legend
    yellow = (red > 170) & (green > 150) & (blue < 110)
    pink = (red - green > 40) & (blue - green > 15) & (red > 140)
    bone = (red > 200) & (green > 190) & (blue > 160)
    assert yellow[right_part].sum() > 150
    assert pink[right_part].sum() > 100
    assert bone[right_part].sum() > 2000
    # Needles come from the patient's right and front: from the left of this view.
    assert np.flatnonzero(yellow[right_part].any(axis=0)).mean() < 0.5 * (640 - 160)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("kill -SEGV $$", "signal 11"),
        ("kill -ABRT $$", "signal 6"),
        ("echo 'The OpenGL library libEGL.so.1 is missing.' >&2; exit 1", "libEGL.so.1 is missing"),
        ("exit 0", "exit 0"),
    ],
)
def test_failing_child_costs_only_the_picture(
    case: PlannedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    monkeypatch.setattr(sys, "executable", _fake_python(tmp_path, body))
    with RenderJob(case) as job, pytest.raises(RenderError) as failed:
        job.png()
    assert words in failed.value.got
    if body != "exit 0":
        assert "apt-get install libegl1 libgl1" in failed.value.remedy


def test_error_of_another_kind_does_not_blame_opengl(
    case: PlannedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", _fake_python(tmp_path, "echo 'KeyError: x'; exit 1"))
    with RenderJob(case) as job, pytest.raises(RenderError) as failed:
        job.png()
    assert "KeyError: x" in failed.value.got
    assert "apt-get" not in failed.value.remedy


def test_child_that_cannot_start_is_a_render_error(
    case: PlannedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(RenderError, match="cannot be started"):
        RenderJob(case)


def test_slow_child_is_ended(
    case: PlannedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", _fake_python(tmp_path, "exec sleep 30"))
    with RenderJob(case, timeout_s=0.4) as job, pytest.raises(RenderError, match=r"after 0\.4 s"):
        job.png()


def test_cancel_while_waiting_ends_the_child_and_its_scratch(
    case: PlannedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", _fake_python(tmp_path, "exec sleep 30"))

    def cancel(fraction: float, message: str) -> None:
        raise CancelledError(message)

    with RenderJob(case) as job:
        child, scratch = job._child, Path(job._scratch.name)
        assert child is not None
        with pytest.raises(CancelledError):
            job.png(progress=cancel)
    assert child.poll() is not None
    assert not scratch.exists()
    with pytest.raises(RenderError, match="closed"):
        job.png()


def test_size_out_of_range_is_refused(case: PlannedCase) -> None:
    with pytest.raises(InputError, match="width_px"):
        RenderJob(case, width_px=50)


def test_camera_looks_from_the_entry_side_but_not_end_on(case: PlannedCase) -> None:
    from irplan.viz.scene_view import camera_direction

    data = scene_arrays(case, 640, 460)
    for needles in (
        data["needles_mm"],
        np.array([[[0.0, 0.0, 80.0], [0.0, 0.0, 0.0]]]),
        np.array([[[-90.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]),
    ):
        eye = camera_direction(needles)
        out = needles[0, 0] - needles[0, 1]
        angle = np.degrees(np.arccos(eye @ out / np.linalg.norm(out)))
        assert abs(np.linalg.norm(eye) - 1.0) < 1e-9
        assert 10.0 < angle < 70.0


def test_legend_lies_on_the_picture_without_resampling() -> None:
    from irplan.viz.render3d import finish

    plain = np.zeros((460, 640, 3), dtype=np.uint8)
    plain[200:, 320:] = (10, 200, 30)
    done = imread(io.BytesIO(finish(plain, [("#ff0000", "Thing")])), format="png")
    assert done.shape[:2] == (460, 640)
    drawn = np.round(255 * done[..., :3]).astype(int)
    assert (drawn[210:400, 330:630] == (10, 200, 30)).all()
    assert ((drawn[:80, :120] - (255, 0, 0)) == 0).all(axis=-1).any()
