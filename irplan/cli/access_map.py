"""``irplan access-map``: which entries reach the target, how well, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli.console import EXIT_NO_PLAN, JSON, QUIET, Console, command
from irplan.cli.values import numbers, parse_point, parse_rules

if TYPE_CHECKING:
    from irplan.planning.access_map import AccessMap
    from irplan.planning.paths import PathCandidate


def access_map(
    source: Path = typer.Argument(
        ..., metavar="CT|LABELS", show_default=False,
        help="CT (DICOM folder or NIfTI), or a label map with its .json beside it.",
    ),
    out: Path = typer.Option(
        ..., "-o", "--out", help="Folder for the results; made new, or replaced if irplan made it."
    ),
    target_mask: Path | None = typer.Option(None, help="Tumour mask on the same grid."),
    target_point: str | None = typer.Option(
        None, metavar="X,Y,Z", help="Middle of the tumour, LPS mm (with --target-diameter)."
    ),
    target_diameter: float | None = typer.Option(None, metavar="MM", help="Its diameter, mm."),
    labels: Path | None = typer.Option(
        None, help="Structures to use instead of a segmentation of the CT."
    ),
    unknown: Path | None = typer.Option(
        None, metavar="MASK", help="Where nothing was seen (truncated field of view, metal)."
    ),
    rule: list[str] = typer.Option(
        [], metavar="NAME=VALUE",
        help="Another limit, e.g. max_length=120 or bone.hard_mm=4; repeat.",
    ),
    error: str | None = typer.Option(
        None, metavar="MM,DEG", help="Error of the needle's tip and angle; default 4,1.3 (laser)."
    ),
    raster: float = typer.Option(1.0, metavar="MM", help="Voxel on which paths are walked."),
    entry_spacing: float = typer.Option(3.0, metavar="MM", help="Distance between entries."),
    target_spacing: float = typer.Option(3.0, metavar="MM", help="Distance between targets."),
    backend: str = typer.Option("auto", help="auto, cpu or cuda."),
    series: str | None = typer.Option(
        None, metavar="UID", help="SeriesInstanceUID when the folder holds several series."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Map which entry points on the skin reach the target, how well, and what limits each.

    Writes access_map.vtp (the skin with values), .csv (one line an entry), .json (candidates with
    every term) and .png. Exit code 3: no path keeps the rules; the map and the nearest miss say why.

    Examples:

    `irplan access-map scan/ --target-point -62,18,-140 --target-diameter 22 -o access`

    `irplan access-map out/labels.nii.gz --target-mask out/target.nii.gz --rule max_tilt=30 -o access`
    """  # noqa: E501 - one command a line
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.access_case import AccessRequest, run_access_map
        from irplan.planning.paths import NeedleError, PathWeights
        from irplan.planning.rules import PathRules

        weights = PathWeights()
        if error is not None:
            tip, angle = numbers(error, option="--error", separator=",", count=2, example="4,1.3")
            weights = PathWeights(error=NeedleError(tip, angle, "set by the user"))
        request = AccessRequest(
            source=source,
            out=out,
            labels=labels,
            target_mask=target_mask,
            target_point_mm=None if target_point is None else parse_point(target_point),
            target_diameter_mm=target_diameter,
            unknown=unknown,
            series_uid=series,
            rules=PathRules().with_values(**parse_rules(rule)),
            weights=weights,
            raster_mm=raster,
            entry_spacing_mm=entry_spacing,
            target_spacing_mm=target_spacing,
            backend=backend,
        )
        with console.progress("access map") as progress:
            outcome = run_access_map(request, progress=progress)
        _show(console, outcome.found, outcome.messages, out, outcome.files)
    if not (outcome.found.admissible or outcome.found.unchecked):
        raise typer.Exit(EXIT_NO_PLAN)


def _show(
    console: Console,
    found: AccessMap,
    messages: tuple[str, ...],
    out: Path,
    files: tuple[str, ...],
) -> None:
    from irplan.planning.access_map import BLOCKED, CLEAR, NOT_CHECKED

    counts = {
        "clear": int((found.status == CLEAR).sum()),
        "not checked": int((found.status == NOT_CHECKED).sum()),
        "blocked": int((found.status == BLOCKED).sum()),
    }
    console.say(
        f"{found.paths} paths from {len(found.entries_mm)} entries to {len(found.targets_mm)} "
        f"target points; entries: " + ", ".join(f"{n} {word}" for word, n in counts.items())
    )
    for n, c in enumerate((*found.candidates, *found.unchecked_candidates)[:9], start=1):
        x, y, z = c.needle.entry_mm
        words = f"not checked: {', '.join(c.not_checked)}" if c.not_checked else "all checked"
        console.say(
            f"  {n}. entry ({x:.0f}, {y:.0f}, {z:.0f}), {c.needle.depth_mm:.0f} mm, score "
            f"{c.cost:.2f}, limited by {c.limiting_structure}; {words}"
        )
    if not (found.admissible or found.unchecked):
        typer.echo("irplan: no path keeps the rules", err=True)
        for rule, paths in found.blocked_by:
            typer.echo(f"  blocked   {paths} paths: {rule}", err=True)
        miss = "no skin within reach" if found.nearest_miss is None else found.nearest_miss.words
        typer.echo(f"  closest   {miss}", err=True)
    for message in messages:
        console.say(f"  note         {message}")
    console.say(f"Written: {out}   (research use only)")
    console.result(
        {
            "out": str(out),
            "files": list(files),
            "entries": counts,
            "paths": found.paths,
            "admissible_paths": found.admissible,
            "unchecked_paths": found.unchecked,
            "not_checked": list(found.not_checked),
            "candidates": [_row(c) for c in found.candidates],
            "unchecked_candidates": [_row(c) for c in found.unchecked_candidates],
            "blocked_by": [{"rule": r, "paths": n} for r, n in found.blocked_by],
            "nearest_miss": None if found.nearest_miss is None else found.nearest_miss.words,
            "messages": list(messages),
        }
    )


def _row(c: PathCandidate) -> dict[str, object]:
    return {
        "entry_mm": [round(v, 3) for v in c.needle.entry_mm],
        "tip_mm": [round(v, 3) for v in c.needle.tip_mm],
        "length_mm": round(c.needle.depth_mm, 3),
        "score": round(c.cost, 5),
        "limiting_structure": c.limiting_structure,
        "not_checked": list(c.not_checked),
    }
