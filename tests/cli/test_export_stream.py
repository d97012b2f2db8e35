"""What `irplan export --to igtl --track` says of a peer's poses: other names, bad ones, none."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.cli.console import Console
from irplan.cli.export import _Follower
from irplan.files.needle_stream import TrackedPose
from irplan.geometry import Needle
from irplan.guidance.live import LiveCheck


class _Stream:
    """Stands for a `NeedleStream`."""

    streams: tuple[str, ...] = ()
    pose: TrackedPose | None = None

    def latest(self, name: str) -> TrackedPose | None:
        return self.pose if self.pose is not None and self.pose.name == name else None


def test_bad_poses_and_other_names_do_not_end_the_stream(capsys: pytest.CaptureFixture) -> None:
    needle = Needle((0.0, 20.0, 0.0), (0.0, -40.0, 0.0))
    stream = _Stream()
    follower = _Follower(Console(False, False), stream, "Probe", LiveCheck(needle))  # type: ignore[arg-type]
    follower.look()
    assert capsys.readouterr().out == ""
    stream.streams = ("Pointer",)
    follower.look()
    follower.look()  # said once
    assert capsys.readouterr().out.splitlines() == [
        "  WAITING   no stream 'Probe' yet; there are: Pointer"
    ]
    good = np.eye(4)
    good[:3, :3] = np.column_stack([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # +z of the tool to +y
    good[:3, 3] = (0.0, 10.0, 0.0)
    said = []
    for number, pose in enumerate((good, 2.0 * good, np.full((4, 4), np.nan), good)):
        stream.pose = TrackedPose("Probe", pose, float(number))
        follower.look()
        said.append(capsys.readouterr().out)
    assert "ON PATH   off   0.0 mm, to go   10.0 mm" in said[0]
    assert "LOST" in said[1]
    assert said[2] == ""  # the same trouble is told once
    assert "ON PATH" in said[3]
    assert (follower.readings, follower.refused) == (2, 2)
