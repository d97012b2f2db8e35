"""``irplan export``: the plan for Slicer, tables, headsets, robots, or live over OpenIGTLink."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli.console import JSON, QUIET, Console, command
from irplan.errors import InputError

if TYPE_CHECKING:
    from irplan.guidance.live import LiveReading

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
    from irplan.guidance.live import LiveCheck, needle_from_transform

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
    end = None if seconds is None else time.monotonic() + seconds
    said, last, lost, readings = "", -1.0, -1.0, 0
    with NeedleStream(read, host=host, port=port, connect=connect) as stream:
        verb = "Connecting to" if connect else "Listening on"
        where = f"{stream.address[0]}:{stream.address[1]}"
        console.say(f"{verb} {where}; {len(read.placements)} needles, RAS mm. Ctrl-C ends it.")
        with suppress(KeyboardInterrupt):  # without --seconds the way to end it
            while end is None or time.monotonic() < end:
                time.sleep(0.02)
                state = f"  {stream.peers} connected" + "".join(
                    f"; {w}" for w in stream.dropped[-1:]
                )
                if state != said:
                    console.say(state)
                    said = state
                pose = None if track is None else stream.latest(track)
                if check is None or pose is None:
                    continue
                if pose.received_s == last:
                    if last > lost and time.monotonic() - last > _LOST_S:
                        console.say("  LOST      no pose for a second")
                        lost = last
                    continue
                last, readings = pose.received_s, readings + 1
                console.say(reading_words(check.read(*needle_from_transform(pose.pose))))
        streams = list(stream.streams)
    console.result({"streams": streams, "readings": readings, "dropped": list(stream.dropped)})


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
