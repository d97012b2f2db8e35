"""A planned case written to a folder that is whole or absent."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.case.zones import lethal_mask, zone_labels
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import IrplanError
from irplan.files import (
    OutputFolder,
    write_evaluation_csv,
    write_labels,
    write_mask,
    write_needle_table,
    write_needles_markups,
    write_plan,
    write_volume,
)
from irplan.files.json_text import dump_json
from irplan.planning.case import PlannedAblation
from irplan.reports import draw_figures, figure_notes, plan_report, render_html
from irplan.viz import RenderError, RenderJob

#: Packages whose version goes into run.json.
_PACKAGES = ("numpy", "scipy", "numba", "SimpleITK", "scikit-image", "matplotlib", "pyvista", "vtk")

#: File -> what it is; README.txt of every output folder is made from this.
FILES = {
    "report.html": "the plan in words, tables and pictures; open it in any browser",
    "plan.json": "the plan itself: target, needles (LPS mm), schedule, provenance (schema inside)",
    "labels.nii.gz": "segmented structures on the CT's grid (labels.json: names and codes; "
    "labels.ctbl: colours for 3D Slicer)",
    "target.nii.gz": "the target planned for, on the CT's grid, 0 or 1",
    "zones.nii.gz": "the zone in bands on the CT's grid, 1 the outermost (zones.json says which, "
    "zones.ctbl: colours); cold: 0, -20 and -40 degC at the end of the last freeze",
    "lethal.nii.gz": "lethal zone of the plan's rule on the CT's grid, 0 or 1",
    "temperature.nii.gz": "temperature at the end of the last freeze or of the power, degC, on the "
    "solver's grid",
    "evaluation.csv": "every check with value, rule and status",
    "needles/": "needles and target as 3D Slicer markups (.mrk.json) and a table (.csv), LPS mm",
    "figures/": "the report's pictures (PNG)",
    "run.json": "when and with which versions this was written, and how long it took",
}
#: The same for a plan on a cone-beam CT alone.
CBCT_FILES = {"unknown.nii.gz": "where nothing was seen, on the scan's grid, 0 or 1"}


def write_case(
    case: PlannedAblation,
    out: Path,
    *,
    picture_3d: bool = True,
    progress: Progress = no_progress,
) -> tuple[str, ...]:
    """Write ``case`` to the folder ``out``, which appears only when all of it is complete.

    The files are listed in `FILES`.  Plan, labels, zones, tables and markups depend on the case
    alone; ``report.html`` and ``run.json`` also carry the time of writing.  The 3D picture is
    drawn by a process of its own meanwhile; where it fails the rest is complete.

    Returns what the user should know in plain words (why the 3D picture is missing, say).
    Raises `OutputError` where ``out`` cannot be written; any exception leaves nothing behind.
    """
    with OutputFolder(out, makes_plan=True) as folder:
        return write_files(case, folder, picture_3d=picture_3d, progress=progress)


def write_files(
    case: PlannedAblation,
    folder: Path,
    *,
    picture_3d: bool = True,
    progress: Progress = no_progress,
) -> tuple[str, ...]:
    """`write_case` into an empty folder that exists (the staging folder of an `OutputFolder`)."""
    clock = _Clock()
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    with _picture(case, wanted=picture_3d) as picture:
        _data(case, folder, portion(progress, 0.0, 0.35))
        clock.lap("data_files")
        figures = draw_figures(case, progress=portion(progress, 0.35, 0.85))
        clock.lap("figures")
        scene, why = picture(portion(progress, 0.85, 0.95))
        missing = {}
        if scene is None:
            missing["scene"] = why
        else:
            figures["scene"] = scene
        clock.lap("picture_3d_wait")
        progress(0.95, "writing the report")
        (folder / "figures").mkdir()
        for key, png in figures.items():
            (folder / "figures" / f"{key}.png").write_bytes(png)
        notes = figure_notes(case)
        page = render_html(plan_report(case), figures, notes, missing=missing, generated=written)
        (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")
        clock.lap("report")
        _run_file(case, folder, written, clock)
        (folder / "README.txt").write_text(_readme(case), encoding="utf-8", newline="\n")
        progress(1.0, "done")
    return (f"No 3D picture: {why}",) if picture_3d and missing else ()


@dataclass
class _Clock:
    """Seconds of each stage of writing."""

    started: float = field(default_factory=time.perf_counter)
    laps: dict[str, float] = field(default_factory=dict)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self.started, 3)
        self.started = now


def _data(case: PlannedAblation, folder: Path, progress: Progress) -> None:
    grid = case.volume.grid
    steps: tuple[Callable[[], Any], ...] = (
        lambda: write_plan(case.plan, folder / "plan.json"),
        lambda: write_evaluation_csv(case.evaluation, folder / "evaluation.csv"),
        lambda: write_labels(case.labels, folder / "labels.nii.gz"),
        lambda: write_mask(case.target_mask, grid, folder / "target.nii.gz"),
        lambda: _unknown(case, folder / "unknown.nii.gz"),
        lambda: write_labels(zone_labels(case), folder / "zones.nii.gz"),
        lambda: write_mask(lethal_mask(case), grid, folder / "lethal.nii.gz"),
        lambda: write_volume(case.result.volumes()["temperature"], folder / "temperature.nii.gz"),
        lambda: _needles(case, folder / "needles"),
    )
    for number, step in enumerate(steps):
        progress(number / len(steps), "writing plan, labels and zones")
        step()
    progress(1.0, "writing plan, labels and zones")


def _unknown(case: PlannedAblation, path: Path) -> None:
    if case.unknown is not None:
        write_mask(case.unknown, case.volume.grid, path)


def _needles(case: PlannedAblation, folder: Path) -> None:
    folder.mkdir()
    write_needles_markups(case.plan, folder)
    write_needle_table(case.plan, folder / "needles.csv")


@contextmanager
def _picture(
    case: PlannedAblation, *, wanted: bool
) -> Iterator[Callable[[Progress], tuple[bytes | None, str]]]:
    """Start the 3D picture; yields a function that waits for it: (PNG, "") or (None, why)."""
    if not wanted:
        yield lambda _progress: (None, "It was not asked for.")
        return
    try:
        job = RenderJob(case)
    except RenderError as error:
        reason = _reason(error)
        yield lambda _progress: (None, reason)
        return

    def wait(progress: Progress) -> tuple[bytes | None, str]:
        try:
            return job.png(progress=progress), ""
        except RenderError as error:
            return None, _reason(error)

    with job:
        yield wait


def _reason(error: IrplanError) -> str:
    return f"{error.got[:1].upper()}{error.got[1:]}. {error.remedy}"


def _run_file(case: PlannedAblation, folder: Path, written: str, clock: _Clock) -> None:
    data = {
        "written": written,
        "versions": {"irplan": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        "backend": case.result.backend,
        "backend_reason": case.result.backend_reason,
        "solver_steps": case.result.steps,
        "writing_s": clock.laps,
    }
    text = dump_json(data, field="run")
    (folder / "run.json").write_text(text, encoding="utf-8", newline="\n")


def _readme(case: PlannedAblation) -> str:
    state, kind = case.plan.review.state, case.plan.placements[0].applicator.kind
    files = FILES if case.unknown is None else FILES | CBCT_FILES
    width = max(len(name) for name in files)
    listed = "\n".join(f"{name:<{width}}  {words}" for name, words in files.items())
    return (
        f"An ablation plan ({kind}) made by irplan {__version__}: {state.upper()}, "
        "RESEARCH USE ONLY.\n"
        f"{RESEARCH_USE_ONLY}\n\n{listed}\n\n"
        "In 3D Slicer: drag the CT, then labels.ctbl and labels.nii.gz (load as label map, choose\n"
        "the colour table 'labels'), likewise zones, and the files of needles/. All of them are\n"
        "in the CT's own coordinates and lie in place without any transform.\n"
    )
