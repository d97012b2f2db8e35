"""``irplan compare A B``: how well two segmentations agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli.columns import columns
from irplan.cli.console import JSON, QUIET, command

if TYPE_CHECKING:
    from irplan.case.compare_segmentations import Comparison


def compare(
    mask: Path = typer.Argument(
        ..., help="Segmentation to judge: NIfTI or DICOM SEG.", metavar="A", show_default=False
    ),
    reference: Path = typer.Argument(
        ..., help="Reference: NIfTI or DICOM SEG.", metavar="B", show_default=False
    ),
    label: list[str] = typer.Option(
        [],
        "--label",
        metavar="NAME|VALUE",
        help="Structure; repeat, join (liver+vessel+tumour), or pair A=B (liver=5).",
    ),
    resample: bool = typer.Option(
        False, "--resample", help="Allow different grids: put A onto B's grid."
    ),
    csv_file: Path | None = typer.Option(
        None, "--csv", metavar="FILE", help="Write the table as CSV as well."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Compare two segmentations of one scan: overlap, volumes, surface distances, leaks.

    ASD, RMSD, MSD and HD95 are between the surfaces, to a part of a voxel; the score is SLIVER07's
    (100 perfect, 75 a second reader), by its own voxel distances.  Without --label all
    structures that both files have are compared.

    Example: `irplan compare labels.nii.gz truth.nii.gz --label liver+vessel+tumour --csv out.csv`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.compare_segmentations import (
            comparison_data,
            run_comparison,
            write_comparison_csv,
        )

        with console.progress("compare") as progress:
            found = run_comparison(
                mask, reference, labels=label, resample=resample, progress=progress
            )
        if csv_file is not None:
            write_comparison_csv(found, csv_file)
        console.say(table(found))
        for text in found.messages:
            console.say(f"  note  {text}")
        console.result(comparison_data(found))


def table(found: Comparison) -> str:
    """The rows for a terminal, units in the heads."""
    heads = (
        "structure", "Dice", "VOE %", "RVD %", "bias ml", "A ml", "B ml", "ASD mm", "RMSD mm",
        "MSD mm", "HD95 mm", "SLIVER07", "leaks into (ml)",
    )  # fmt: skip
    rows = []
    for name, q in found.rows:
        fine = q.surface
        rows.append(
            (
                name,
                f"{q.dice:.4f}",
                f"{q.voe_percent:.2f}",
                _number(q.rvd_percent, "+.2f"),
                f"{q.bias_ml:+.1f}",
                f"{q.volume_ml:.1f}",
                f"{q.reference_ml:.1f}",
                _number(fine.average_mm if fine else None),
                _number(fine.rms_mm if fine else None),
                _number(fine.largest_mm if fine else None),
                _number(fine.hd95_mm if fine else None),
                _number(q.sliver07_score, ".1f"),
                ", ".join(f"{n} {v:.1f}" for n, v in q.leaks_ml if v >= 0.05) or "none",
            )
        )
    note = "; A was resampled onto B's grid" if found.resampled else ""
    return f"A {found.file} against B {found.reference}{note}\n{columns(heads, rows)}"


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)
