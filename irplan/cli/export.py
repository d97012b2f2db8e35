"""``irplan export``: the plan for Slicer, tables, headsets, robots, or live over OpenIGTLink."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli import interrupts
from irplan.cli.console import JSON, QUIET, Console, command
from irplan.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from irplan.files.needle_stream import NeedleStream
    from irplan.guidance.live import LiveCheck, LiveReading

#: A stream that brings nothing for so long has lost its needle, s.
_LOST_S = 1.0


def export(
    plan: Path = typer.Argument(
        ..., metavar="PLAN", show_default=False,
        help="Folder that `irplan plan` or `irplan demo` wrote.",
    ),
    to: str = typer.Option(..., "--to", metavar="slicer|csv|glb|igtl|robot", help="For whom."),
    out: Path | None = typer.Option(None, "-o", "--out", help="Folder (not for igtl)."),
    frame: str | None = typer.Option(
        None, metavar="UID", help="robot: frame of reference the robot is registered to."
    ),
    host: str = typer.Option("127.0.0.1", help="igtl: where to listen (this machine alone)."),
    port: int = typer.Option(18944, help="igtl: port; 0 takes a free one."),
    connect: bool = typer.Option(False, "--connect", help="igtl: connect to a server there."),
    seconds: float | None = typer.Option(None, help="igtl: stop after so long; default Ctrl-C."),
    track: str | None = typer.Option(
        None, metavar="NAME", help="igtl: read this tracked stream and say where the needle is."
    ),
    needle: int = typer.Option(1, metavar="N", help="igtl: the planned needle it is held against."),
    labels: Path | None = typer.Option(None, help="Structures; default labels.nii.gz beside it."),
    target: Path | None = typer.Option(None, help="Target; default target.nii.gz beside it."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Hand a plan on. Positions are LPS mm in files, RAS mm over OpenIGTLink, metres in GLB.

    Examples:

    `irplan export irplan-demo --to glb -o scene`

    `irplan export case1 --to robot --frame 1.2.840.99.1 -o robot`

    `irplan export case1 --to igtl --track NeedleToReference --needle 2`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        if to == "igtl":
            _stream(console, plan, host, port, connect, seconds, track, needle, labels, target)
            return
        from irplan.case.export_case import ExportRequest, run_export

        if out is None:
            raise InputError("--out", got="nothing", expected="a folder", remedy="Give -o FOLDER.")
        request = ExportRequest(plan, to, out, frame, labels, target)
        with console.progress("export") as progress:
            files = run_export(request, progress=progress)
        console.say(f"Written: {out}: {', '.join(files)}   (research use only)")
        console.result({"files": list(files)})


def _stream(
    console: Console,
    plan: Path,
    host: str,
    port: int,
    connect: bool,
    seconds: float | None,
    track: str | None,
    number: int,
    labels: Path | None,
    target: Path | None,
) -> None:
    from irplan.case.export_case import read_plan_of
    from irplan.case.plan_folder import open_plan_folder
    from irplan.files.needle_stream import NeedleStream
    from irplan.guidance.live import LiveCheck

    read = read_plan_of(plan)
    if not 1 <= number <= len(read.placements):
        raise InputError(
            "--needle",
            got=str(number),
            expected=f"1 to {len(read.placements)}",
            remedy="Needles are counted from 1.",
        )
    check = None
    if track is not None:
        structures = open_plan_folder(plan, labels=labels, target=target).labels
        check = LiveCheck(read.placements[number - 1].needle, labels=structures)
        if check.not_checked:
            console.say(f"  not checked ahead: {', '.join(check.not_checked)}")
    if seconds is not None and not 0.0 < seconds < 1e7:
        raise InputError(
            "--seconds",
            got=f"{seconds:g}",
            expected="a time above 0",
            remedy="Leave it out: Ctrl-C ends the stream.",
        )
    end = None if seconds is None else time.monotonic() + seconds
    said, follower = "", None
    with NeedleStream(read, host=host, port=port, connect=connect) as stream:
        verb = "Connecting to" if connect else "Listening on"
        where = f"{stream.address[0]}:{stream.address[1]}"
        console.say(f"{verb} {where}; {len(read.placements)} needles, RAS mm. Ctrl-C ends it.")
        if track is not None and check is not None:
            follower = _Follower(console, stream, track, check)
        with suppress(KeyboardInterrupt):  # without --seconds the way to end it
            while end is None or time.monotonic() < end:
                time.sleep(0.02)
                state = f"  {stream.peers} connected" + "".join(
                    f"; dropped a peer: {w}" for w in stream.dropped[-1:]
                )
                if state != said:
                    console.say(state)
                    said = state
                if follower is not None:
                    follower.look()
        interrupts.answered()
        streams = list(stream.streams)
    console.result(
        {
            "streams": streams,
            "readings": 0 if follower is None else follower.readings,
            "refused_poses": 0 if follower is None else follower.refused,
            "dropped": list(stream.dropped),
        }
    )


class _Follower:
    """Says what one tracked needle does, when it is lost, and what comes instead of it."""

    def __init__(self, console: Console, stream: NeedleStream, name: str, check: LiveCheck) -> None:
        self._console, self._stream, self._name, self._check = console, stream, name, check
        self._last, self._lost = -1.0, -1.0
        self._others: tuple[str, ...] = ()
        self._bad = False
        self.readings, self.refused = 0, 0

    def look(self) -> None:
        """Read the newest pose, once."""
        pose = self._stream.latest(self._name)
        if pose is None:
            others = self._stream.streams
            if others and others != self._others:
                listed = ", ".join(others)
                self._console.say(f"  WAITING   no stream '{self._name}' yet; there are: {listed}")
            self._others = others
        elif pose.received_s != self._last:
            self._last = pose.received_s
            self._read(pose.pose)
        elif self._last > self._lost and time.monotonic() - self._last > _LOST_S:
            self._console.say("  LOST      no pose for a second")
            self._lost = self._last

    def _read(self, pose: NDArray[np.float64]) -> None:
        from irplan.guidance.live import needle_from_transform

        try:
            reading = self._check.read(*needle_from_transform(pose))
        except InputError as error:  # a peer's bad pose does not end the stream
            self.refused += 1
            if not self._bad:
                self._console.say(f"  LOST      {error.got}: {error.remedy}")
            self._bad = True
            return
        self._bad = False
        self.readings += 1
        self._console.say(reading_words(reading))


def reading_words(reading: LiveReading) -> str:
    """One line of a live reading."""
    ahead = "ahead not checked"
    if reading.ahead is not None:
        ahead = "nothing ahead"
        if reading.ahead:
            first = reading.ahead[0]
            ahead = f"{first.name} in {first.distance_mm:.0f} mm"
    return (
        f"  {reading.status.upper():<9} off {reading.lateral_mm:5.1f} mm, to go "
        f"{reading.depth_to_go_mm:6.1f} mm, angle {reading.angle_deg:4.1f} deg, {ahead}"
    )
