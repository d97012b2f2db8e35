"""``irplan fluoro``: fluoroscopy runs filtered, and filters judged."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan import RESEARCH_USE_ONLY
from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import modules_here

fluoro = typer.Typer(
    name="fluoro",
    help="Fluoroscopy and angiography: filter runs; measure what a filter saves.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@fluoro.callback()
def _group() -> None:
    """Fluoroscopy and angiography: filter runs; measure what a filter saves."""


@fluoro.command(epilog=RESEARCH_USE_ONLY)
def run(
    source: Path = typer.Argument(
        ..., metavar="IN.dcm", show_default=False, help="A run: DICOM XA or RF, 2 frames or more."
    ),
    out: Path = typer.Option(
        ...,
        "-o",
        "--out",
        metavar="OUT.dcm",
        show_default=False,
        help="The filtered run; its record is written beside it (.json).",
    ),
    preset: str = typer.Option(
        "general", help="general, cardiac, neuro, peripheral, abdomen or needle."
    ),
    show: float | None = typer.Option(
        None,
        help="Noise / motion knob, 0.05 to 1: share of the new frame shown (1: no temporal "
        "filter).  Default: the preset's.",
    ),
    off: list[str] = typer.Option([], help="Leave out motion, temporal, spatial or enhance."),
    stage: list[str] = typer.Option(
        [],
        metavar="STAGE=MODULE:FUNCTION",
        help="Replace temporal, spatial or enhance.",
    ),
    subtract: str | None = typer.Option(
        None, metavar="none|rigid|elastic", help="Subtract a mask (DSA), moved so."
    ),
    compare: bool = typer.Option(
        False, "--compare", help="Write OUT.gif with source and result side by side."
    ),
    video: Path | None = typer.Option(
        None, metavar="FILE", help="As --compare, to this .gif or .mp4 (.mp4: extra 'video')."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Filter a run frame by frame, keeping its DICOM header; research use only.

    Examples:

    `irplan fluoro run run.dcm -o filtered.dcm --preset cardiac --compare`

    `irplan fluoro run run.dcm -o filtered.dcm --stage spatial=mymodule:make_filter`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.fluoro_case import FluoroRequest, run_fluoro

        modules_here(s.partition("=")[2] for s in stage)
        film = out.with_suffix(".gif") if compare and video is None else video
        request = FluoroRequest(
            source, out, preset, show, tuple(off), tuple(map(_pair, stage)), subtract, film, compare
        )
        with console.progress("fluoro run") as progress:
            done = run_fluoro(request, progress=progress)
        record = done.record
        console.say(
            f"  {record['frames']} frames, {record['median_ms_per_frame']:.0f} ms each, preset "
            f"{record['preset']}, show {record['show']:g}"
        )
        for message in done.messages:
            console.say(f"  note         {message}")
        for path in done.written:
            console.say(f"Written: {path}   (research use only)")
        console.result({**record, "messages": list(done.messages)})


def _pair(text: str) -> tuple[str, str]:
    from irplan.errors import InputError

    name, equals, function = text.partition("=")
    if not equals or ":" not in function:
        raise InputError(
            "--stage", got=repr(text), expected="STAGE=MODULE:FUNCTION",
            remedy="For example spatial=mymodule:make_filter.",
        )  # fmt: skip
    return name, function
