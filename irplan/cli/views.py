"""``irplan views``: where the C-arm has to stand, and the plan on an X-ray or video frame."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import EXIT_NO_PLAN, JSON, QUIET, command
from irplan.cli.values import numbers, parse_point


def views(
    plan: Path = typer.Argument(
        ..., metavar="PLAN", show_default=False,
        help="Folder that `irplan plan` or `irplan demo` wrote.",
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Folder for angles and pictures."),
    position: str | None = typer.Option(
        None, metavar="HFS|...", help="How the patient lies: HFS, HFP, FFS, FFP, HFDR, HFDL, "
        "FFDR, FFDL. Never guessed.",
    ),
    system: Path | None = typer.Option(
        None, metavar="TOML", help="Your C-arm: distances, limits, forbidden angles."
    ),
    ct: Path | None = typer.Option(None, help="CT for predicted pictures; default: the labels."),
    isocentre: str | None = typer.Option(
        None, metavar="X,Y,Z", help="LPS mm; default for views: the target's centre."
    ),
    start: str = typer.Option("0,0", metavar="A,B", help="Gantry angles now, degrees."),
    needle: int | None = typer.Option(None, metavar="N", help="This needle alone (from 1)."),
    xa: Path | None = typer.Option(None, metavar="FILE", help="Draw the plan on this XA/RF run."),
    frame: int = typer.Option(1, metavar="N", help="Which frame of it (from 1)."),
    primary: float | None = typer.Option(None, metavar="DEG", help="If the file lacks it: LAO +."),
    secondary: float | None = typer.Option(None, metavar="DEG", help="If it lacks it: CRA +."),
    sid: float | None = typer.Option(None, metavar="MM", help="If it lacks it: source-detector."),
    sod: float | None = typer.Option(None, metavar="MM", help="If it lacks it: source-isocentre."),
    pixel: str | None = typer.Option(
        None, metavar="ROW,COLUMN", help="If it lacks it: detector pixel spacing, mm."
    ),
    camera: Path | None = typer.Option(
        None, metavar="TOML", help="Draw the plan on a video frame: the camera's calibration ..."
    ),
    photo: Path | None = typer.Option(None, metavar="PNG", help="... and the frame."),
    labels: Path | None = typer.Option(None, help="Structures; default labels.nii.gz beside it."),
    target: Path | None = typer.Option(None, help="Target; default target.nii.gz beside it."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Bull's-eye and progress angles of each needle, with predicted pictures and reslices.

    Writes views.json, views.csv, views_N.png and reslice_N.png; with --xa or --camera overlay.png.
    Exit code 3: a needle has no view within limits and clear of obstacles.

    Examples:

    `irplan views irplan-demo --position HFS -o views`

    `irplan views case1 --position FFP --system room4.toml --ct scan/ --start 30,0 -o views`

    `irplan views case1 --xa run.dcm --frame 12 --isocentre -40,10,-120 -o overlay`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.views_case import ViewsRequest, run_views
        from irplan.dicom.xa_frame import PoseTags

        a, b = numbers(start, option="--start", separator=",", count=2, example="30,-10")
        spacing = None
        if pixel is not None:
            r, c = numbers(pixel, option="--pixel", separator=",", count=2, example="0.3,0.3")
            spacing = (r, c)
        request = ViewsRequest(
            plan, out, position, system, ct,
            None if isocentre is None else parse_point(isocentre, option="--isocentre"),
            (a, b), needle, xa, frame,
            PoseTags(primary, secondary, sid, sod, spacing, position),
            camera, photo, labels, target,
        )  # fmt: skip
        with console.progress("views") as progress:
            outcome = run_views(request, progress=progress)
        for one in outcome.data["needles"]:
            _say(console.say, one)
        for message in outcome.messages:
            console.say(f"  note         {message}")
        console.say(f"Written: {out}   (research use only)")
        console.result({"messages": list(outcome.messages), **outcome.data})
    if outcome.without_view:
        raise typer.Exit(EXIT_NO_PLAN)


def _say(say: object, one: dict[str, object]) -> None:
    from irplan.guidance.views import angle_words

    assert callable(say)
    number = one["needle"]
    if "no_view" in one:
        say(f"  needle {number}  NO VIEW: {one['no_view']}")
        return
    if "bulls_eye" not in one:
        e, t = one["entry_px"], one["tip_px"]
        say(f"  needle {number}  entry at {_px(e)}, tip at {_px(t)} (column, row)")
        return
    shots = [("bull's-eye", one["bulls_eye"])]
    progress = one["progress"]
    assert isinstance(progress, list)
    shots += [(f"progress {n}", v) for n, v in enumerate(progress, start=1)]
    for name, view in shots:
        assert isinstance(view, dict)
        words = angle_words(view["primary_deg"], view["secondary_deg"])
        beside = "" if view["entry_on_detector"] else ", entry beside the detector"
        say(
            f"  needle {number}  {name:<11} {words:<26} gantry "
            f"{view['gantry_deg'][0]:+.1f}, {view['gantry_deg'][1]:+.1f}; travel "
            f"{view['travel_deg']:.0f} deg, {view['travel_s']:.0f} s{beside}"
        )


def _px(point: object) -> str:
    assert isinstance(point, list)
    return f"({point[0]:.1f}, {point[1]:.1f}) px"
