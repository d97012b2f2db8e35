"""Dose reports read, checked, drawn and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from irplan.case.skin_dose import skin_dose
from irplan.compute.progress import Progress, no_progress
from irplan.dicom.rdsr import read_dose
from irplan.errors import InputError
from irplan.files.atomic import atomic_path, require_apart
from irplan.files.dose_file import write_dose_csv
from irplan.files.dose_levels_file import read_dose_levels
from irplan.procedure.dose_levels import alert_rows, reference_rows
from irplan.procedure.skin_dose import skin_map_gaps
from irplan.reports.dose import DoseSheet, dose_html
from irplan.viz.dose import dose_over_time
from irplan.viz.style import png_bytes


@dataclass(frozen=True)
class DoseRequest:
    """What to read and write.

    Parameters
    ----------
    files : RDSR files or XA / RF images.
    csv, plot, html : where to write; None: not.  ``plot`` needs a single report with events.
    procedure : key of a reference level; None: none is compared.
    levels : a site's own levels; None: irplan's.
    skin : interpreter that has PySkinDose; None: no skin dose.
    """

    files: tuple[Path, ...]
    csv: Path | None = None
    plot: Path | None = None
    html: Path | None = None
    procedure: str | None = None
    levels: Path | None = None
    skin: Path | None = None


def run_dose(request: DoseRequest, *, progress: Progress = no_progress) -> tuple[DoseSheet, ...]:
    """Read every file, check it against the levels, write what was asked for.

    The same file given twice is read once.  Raises `DicomError` and `FileFormatError` for files
    that cannot be read, `InputError` for an unknown procedure or a skin dose that cannot be had,
    `OutputError` where nothing can be written, or an output would replace an input.
    """
    inputs = [*request.files, *([request.levels] if request.levels else [])]
    require_apart(inputs, {"--csv": request.csv, "--plot": request.plot, "--html": request.html})
    levels = read_dose_levels(request.levels)
    reference = None if request.procedure is None else levels.reference(request.procedure)
    sheets: list[DoseSheet] = []
    seen: set[str] = set()
    for n, path in enumerate(request.files):
        progress(n / len(request.files), f"reading {path.name}")
        report = read_dose(path)
        if report.sha256 in seen:
            continue
        seen.add(report.sha256)
        gaps = skin_map_gaps(report)
        skin, note = None, ""
        if request.skin is not None:
            skin = skin_dose(path, report, request.skin)
            note = (
                f"Peak skin dose {skin.peak_mgy:.1f} mGy from {skin.air_kerma_mgy:.1f} mGy of air "
                f"kerma ({skin.program}; assumed: {skin.assumptions})."
            )
        elif gaps:
            note = "No skin dose: the file does not state " + "; ".join(gaps) + "."
        else:
            note = (
                "Skin dose not computed; the geometry for it is there (--skin PYTHON, an "
                "interpreter with PySkinDose)."
            )
        rows = alert_rows(
            report, levels, skin_dose_mgy=None if skin is None else skin.peak_mgy, why=note
        )
        if reference is not None:
            rows += reference_rows(report, reference)
        drawn = report.events and any(e.dap_gy_cm2 or e.air_kerma_mgy for e in report.events)
        figure = None
        if drawn and (request.html is not None or request.plot is not None):
            figure = png_bytes(dose_over_time(report))
        sheets.append(DoseSheet(report, rows, skin, note, figure))
    _write(request, sheets)
    progress(1.0, "done")
    return tuple(sheets)


def _write(request: DoseRequest, sheets: Sequence[DoseSheet]) -> None:
    if request.plot is not None:
        figures = [s.figure for s in sheets if s.figure is not None]
        if len(figures) != 1:
            raise InputError(
                "--plot",
                got=f"{len(figures)} reports with dose by event",
                expected="exactly one",
                remedy="Give one file, or use --html for several.",
            )
        with atomic_path(request.plot) as temporary:
            temporary.write_bytes(figures[0])
    if request.csv is not None:
        write_dose_csv([s.report for s in sheets], request.csv)
    if request.html is not None:
        with atomic_path(request.html) as temporary:
            temporary.write_text(dose_html(sheets), encoding="utf-8", newline="\n")
