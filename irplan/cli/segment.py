"""``irplan segment CT``: liver, vessels, tumours and obstacles as a label map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from irplan.cli.columns import columns
from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import parse_point
from irplan.errors import InputError

if TYPE_CHECKING:
    from irplan.case.segment_case import SegmentOutcome
    from irplan.geometry import Point3
    from irplan.segmentation.tumour import Edge, TumourMethod
    from irplan.segmentation.vessel_tree import VesselKind
    from irplan.segmentation.vessels import VesselMode

#: Groups of options in --help.
_TUMOURS, _VESSEL, _OUTSIDE = "Tumours", "Vessel kinds and segments", "Outside models"
_PORTAL: VesselKind = "portal_vein"
_HEPATIC: VesselKind = "hepatic_vein"
_ARTERY: VesselKind = "artery"
_CAVA: VesselKind = "vena_cava"
_MARKS = {"ok": "ok", "warning": "WARNING", "error": "ERROR", "not_checked": "not checked"}


def segment(
    ct: Path = typer.Argument(
        ..., help="CT: DICOM folder or file, or NIfTI.", metavar="CT", show_default=False
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Label map to write (.nii.gz)."),
    structures: str = typer.Option(
        "liver", help="Comma-separated: liver, vessels, tumour, obstacles, all, or single names."
    ),
    fg: list[str] = typer.Option(
        [], "--fg", metavar="X,Y,Z", help="Point in the liver, LPS mm; repeat."
    ),
    bg: list[str] = typer.Option(
        [], "--bg", metavar="X,Y,Z", help="Point outside the liver, LPS mm; repeat."
    ),
    tumour_point: list[str] = typer.Option(
        [], metavar="X,Y,Z", help="Middle of a tumour, LPS mm; repeat.", rich_help_panel=_TUMOURS
    ),
    tumour_diameter: list[float] = typer.Option(
        [], metavar="MM", help="Its diameter, mm; one for each point.", rich_help_panel=_TUMOURS
    ),
    tumour_edge: str = typer.Option(
        "visible",
        metavar="WORD",
        help="Which edge is meant: visible (half way to the liver) or outer (2 mm outside it).",
        rich_help_panel=_TUMOURS,
    ),
    tumour_margin: float = typer.Option(
        0.0,
        metavar="MM",
        help="Grow (or, below 0, shrink) the lesion by this: -10 to 15.",
        rich_help_panel=_TUMOURS,
    ),
    tumour_method: str = typer.Option(
        "auto",
        metavar="WORD",
        help="auto, cut (follow the image) or ellipsoid (as drawn: a ball of the diameter).",
        rich_help_panel=_TUMOURS,
    ),
    portal: list[str] = typer.Option(
        [],
        metavar="X,Y,Z",
        help="Point on the portal vein's trunk or branches; repeat.",
        rich_help_panel=_VESSEL,
    ),
    hepatic: list[str] = typer.Option(
        [],
        metavar="X,Y,Z",
        help="Point on a hepatic vein, near its mouth; repeat.",
        rich_help_panel=_VESSEL,
    ),
    artery: list[str] = typer.Option(
        [], metavar="X,Y,Z", help="Point on an artery; repeat.", rich_help_panel=_VESSEL
    ),
    cava: list[str] = typer.Option(
        [], metavar="X,Y,Z", help="Point in the vena cava; repeat.", rich_help_panel=_VESSEL
    ),
    vessel_mode: str = typer.Option(
        "fast",
        metavar="fast|fine",
        help="fine also finds veins of 2 to 3 mm and makes those on thick slices too wide; 1 to 3 "
        "s more.",
        rich_help_panel=_VESSEL,
    ),
    landmark: list[str] = typer.Option(
        [],
        metavar="NAME=X,Y,Z",
        help="For --segments: vena_cava, right_vein, middle_vein, left_vein, portal_bifurcation, "
        "umbilical, gallbladder (optional).",
        rich_help_panel=_VESSEL,
    ),
    segments: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="Couinaud's segments to write as well (.nii.gz).",
        rich_help_panel=_VESSEL,
    ),
    model: str | None = typer.Option(
        None,
        metavar="TOML",
        help="Manifest of an ONNX model, or 'totalsegmentator'.",
        rich_help_panel=_OUTSIDE,
    ),
    program: Path | None = typer.Option(
        None, help="TotalSegmentator's program, if not on PATH.", rich_help_panel=_OUTSIDE
    ),
    seg_dicom: Path | None = typer.Option(
        None, metavar="FILE", help="DICOM segmentation to write as well (.dcm)."
    ),
    seg_label_map: bool = typer.Option(
        False, help="DICOM label map instead of one bit a segment (few readers know it)."
    ),
    seg_rle: bool = typer.Option(False, help="Compress the DICOM label map (RLE)."),
    figure: Path | None = typer.Option(
        None, metavar="FILE", help="Picture of all stages to write as well (.png)."
    ),
    series: str | None = typer.Option(None, help="Series UID (or its end) of a DICOM folder."),
    overwrite: bool = typer.Option(False, help="Replace outputs that exist."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Find the liver and what lies around it in an abdominal CT; correct it by points.

    Examples:

    `irplan segment ct/ --structures liver,vessels,obstacles -o labels.nii.gz --seg-dicom seg.dcm`

    `irplan segment ct.nii.gz --fg -82,4,-120 --bg 30,-40,-90 -o liver.nii.gz --figure stages.png`

    `irplan segment ct/ --structures liver,vessels --portal -24,-8,-92 --cava -20,8,-60 -o l.nii.gz`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.segment_case import run_segmentation, segmentation_data
        from irplan.case.segment_request import SegmentRequest

        if len(tumour_point) != len(tumour_diameter):
            raise InputError(
                "--tumour-diameter",
                got=f"{len(tumour_point)} points and {len(tumour_diameter)} diameters",
                expected="one --tumour-diameter for each --tumour-point",
                remedy="For example --tumour-point -62,18,-140 --tumour-diameter 22",
            )
        request = SegmentRequest(
            ct=ct,
            out=out,
            structures=tuple(w.strip() for w in structures.split(",") if w.strip()),
            foreground=tuple(parse_point(p, option="--fg") for p in fg),
            background=tuple(parse_point(p, option="--bg") for p in bg),
            tumours=tuple(
                (parse_point(p, option="--tumour-point"), d)
                for p, d in zip(tumour_point, tumour_diameter, strict=True)
            ),
            tumour_edge=cast("Edge", tumour_edge),
            tumour_margin_mm=tumour_margin,
            tumour_method=cast("TumourMethod", tumour_method),
            vessels=tuple(
                (kind, parse_point(p, option=option))
                for option, kind, points in (
                    ("--portal", _PORTAL, portal),
                    ("--hepatic", _HEPATIC, hepatic),
                    ("--artery", _ARTERY, artery),
                    ("--cava", _CAVA, cava),
                )
                for p in points
            ),
            vessel_mode=cast("VesselMode", vessel_mode),
            landmarks=tuple(_landmark(text) for text in landmark),
            segments=segments,
            model=model,
            program=program,
            seg_dicom=seg_dicom,
            label_map=seg_label_map,
            rle=seg_rle,
            figure=figure,
            series_uid=series,
            overwrite=overwrite,
        )
        with console.progress("segment") as progress:
            outcome = run_segmentation(request, progress=progress)
        console.say(table(outcome))
        console.result(segmentation_data(outcome))


def _landmark(text: str) -> tuple[str, Point3]:
    name, sign, point = text.partition("=")
    if not sign:
        raise InputError(
            "--landmark",
            got=repr(text),
            expected="NAME=X,Y,Z",
            remedy="For example --landmark middle_vein=-38,-30,-40",
        )
    return name.strip(), parse_point(point, option=f"--landmark {name.strip()}")


def table(outcome: SegmentOutcome) -> str:
    """Structures, checks, warnings and files for a terminal."""
    rows = [
        (
            _MARKS[r.status],
            r.name,
            "-" if r.volume_ml is None else f"{r.volume_ml:.2f}",
            "ml",
            r.note,
        )
        for r in outcome.rows
    ]
    rows += [
        (
            _MARKS[c.status],
            c.name,
            "-" if c.value is None else f"{c.value:.2f}",
            c.unit,
            f"{c.limit}{'; ' if c.note else ''}{c.note}",
        )
        for c in outcome.checks
    ]
    said = {c.note for c in outcome.checks}
    lines = [columns(("", "what", "value", "unit", "limit, note"), rows)]
    lines += [f"  note  {text}" for text in outcome.warnings if text not in said]
    spent = ", ".join(f"{name} {value:.1f} s" for name, value in outcome.seconds.items())
    lines.append(f"Written ({spent}): " + ", ".join(str(p) for p in outcome.files))
    lines.append("Research use only.")
    return "\n".join(lines)
