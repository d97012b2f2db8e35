"""The 3D picture, drawn by a process of its own so that OpenGL can fail without harm."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError, IrplanError
from irplan.planning.case import PlannedAblation
from irplan.viz.zone_layers import DEVICE_WORDS, zone_layers

#: Longest time the picture may take, s.
RENDER_TIMEOUT_S = 60.0
#: While waiting, progress is reported (and a cancel noticed) this often, s.
_POLL_S = 0.25
#: What off-screen VTK needs on a bare Debian or Ubuntu: libEGL, and (through libgl1) Mesa's driver.
INSTALL_HINT = "On Debian or Ubuntu: apt-get install libegl1 libgl1"


class RenderError(IrplanError):
    """The 3D picture could not be drawn; nothing else is affected."""


class RenderJob:
    """A picture being drawn by a child process while the caller does other things.

    Use as a context manager, or call `close`: both end the child and remove its scratch files.
    """

    def __init__(
        self,
        case: PlannedAblation,
        *,
        width_px: int = 1600,
        height_px: int = 1150,
        timeout_s: float = RENDER_TIMEOUT_S,
    ) -> None:
        for name, size in (("width_px", width_px), ("height_px", height_px)):
            if not 200 <= size <= 6000:
                raise InputError(
                    name, got=str(size), expected="200 to 6000 pixels", remedy="Choose a size."
                )
        self._end = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._scratch = tempfile.TemporaryDirectory(prefix="irplan-scene-")
        folder = Path(self._scratch.name)
        self._picture = folder / "scene.png"
        self._words = folder / "words.txt"
        self._child: subprocess.Popen[bytes] | None = None
        try:
            data = folder / "scene.npz"
            with data.open("wb") as file:
                np.savez(file, allow_pickle=False, **scene_arrays(case, width_px, height_px))
            with self._words.open("wb") as words:
                self._child = subprocess.Popen(
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "irplan.viz.render3d",
                        str(data),
                        str(self._picture),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=subprocess.STDOUT,
                    env=_environment(),
                )
        except OSError as error:
            self.close()
            raise RenderError(
                "3D picture",
                got=f"a renderer that cannot be started ({error.strerror})",
                expected="a child process of this Python and some scratch space",
                remedy="Everything else is complete.",
            ) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RenderJob:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def png(self, *, progress: Progress = no_progress) -> bytes:
        """Wait for the PNG; `RenderError` when the child crashed, failed or is too slow."""
        if self._child is None:
            raise RenderError(
                "3D picture",
                got="a closed render job",
                expected="a running one",
                remedy="Start a new one.",
            )
        waited = 0.0
        while (code := self._child.poll()) is None:
            left = self._end - time.monotonic()
            if left <= 0.0:
                self._child.kill()
                self._child.wait()
                raise RenderError(
                    "3D picture",
                    got=f"no picture after {self._timeout_s:g} s",
                    expected="a picture in time",
                    remedy="The machine is too slow or busy for it; everything else is complete.",
                )
            progress(min(0.99, waited / self._timeout_s), "drawing the 3D picture")
            try:
                self._child.wait(min(_POLL_S, left))
            except subprocess.TimeoutExpired:
                waited += _POLL_S
        if code != 0 or not self._picture.is_file():
            raise _failure(code, self._words.read_text(encoding="utf-8", errors="replace"))
        return self._picture.read_bytes()

    def close(self) -> None:
        """End the child if it still runs and remove its scratch files."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._child = None
        self._scratch.cleanup()


def render_scene(
    case: PlannedAblation,
    *,
    width_px: int = 1600,
    height_px: int = 1150,
    timeout_s: float = RENDER_TIMEOUT_S,
) -> NDArray[np.uint8]:
    """(row, column, 3) picture of body, organs, target, zone and needles.

    Raises `RenderError`, with what to install, when this machine cannot draw it.
    """
    from matplotlib.image import imread

    with RenderJob(case, width_px=width_px, height_px=height_px, timeout_s=timeout_s) as job:
        png = job.png()
    picture = imread(io.BytesIO(png), format="png")
    out: NDArray[np.uint8] = np.round(255.0 * picture[..., :3]).astype(np.uint8)
    return out


def scene_arrays(case: PlannedAblation, width_px: int, height_px: int) -> dict[str, NDArray[Any]]:
    """What the child needs, as plain arrays (see `irplan.viz.render3d`)."""
    layers = zone_layers(case.result)
    needles = [(p.needle.entry_mm, p.needle.tip_mm) for p in case.plan.placements]
    active = [p.active_segment for p in case.plan.placements]
    target = np.argwhere(case.target_mask)
    if target.size == 0:
        raise InputError(
            "case.target_mask",
            got="no voxel",
            expected="a target",
            remedy="Plan a case with a target.",
        )
    low, high = target.min(axis=0), target.max(axis=0) + 1
    low = np.maximum(0, low - 4)
    high = np.minimum(case.target_mask.shape, high + 4)
    part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return {
        "size_px": np.array([width_px, height_px]),
        "labels": case.labels.array,
        "labels_affine": case.labels.grid.affine,
        "label_values": np.array([x.value for x in case.labels.labels]),
        "label_names": np.array([x.name for x in case.labels.labels]),
        "target": case.target_mask[part],
        "target_affine": case.volume.grid.crop(low, high - low).affine,
        "zone_field": layers[0].field.array,
        "zone_affine": layers[0].field.grid.affine,
        "zone_levels": np.array([x.level for x in layers]),
        "zone_colours": np.array([x.colour for x in layers]),
        "zone_words": np.array([x.words for x in layers]),
        "device_words": np.array(DEVICE_WORDS[case.plan.placements[0].applicator.kind]),
        "needles_mm": np.array(needles),
        "active_mm": np.array(active),
        "shaft_mm": np.array([p.applicator.shaft_diameter_mm for p in case.plan.placements]),
        "centre_mm": np.array(case.plan.target.centroid_mm),
    }


def _environment() -> dict[str, str]:
    env = dict(os.environ)
    if sys.platform == "linux":
        # Straight to EGL: without a screen, VTK otherwise tries X first and complains.
        env.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    return env


def _failure(code: int, words: str) -> RenderError:
    if code < 0:
        got = f"a crash of the 3D renderer (signal {-code})"
    else:
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        got = f"exit {code} of the 3D renderer" + (f": {lines[-1][:200]}" if lines else "")
    if "EGL" in words or "OSMesa" in words or "OpenGL" in words or code < 0:
        remedy = f"An OpenGL (EGL) library is missing or broken. {INSTALL_HINT}; then run again."
    else:
        remedy = "Everything else is complete; report this with the line above."
    return RenderError("3D picture", got=got, expected="a picture drawn off-screen", remedy=remedy)
