"""``irplan deid``: DICOM files, folders or zips without what identifies the patient."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from irplan.cli.console import JSON, QUIET, command


def deid(
    source: Path = typer.Argument(
        ..., metavar="IN", show_default=False, help="DICOM file, folder or zip."
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Folder to write (new, or irplan's)."),
    dates: Literal["remove", "shift"] = typer.Option(
        "remove", help="Remove dates, or shift all of a patient's by the same days."
    ),
    descriptors: Literal["remove", "clean"] = typer.Option(
        "clean", help="Descriptions: remove, or keep technical and anatomical words only."
    ),
    structured: Literal["remove", "clean"] = typer.Option(
        "clean", help="Content of structured reports: remove, or keep codes and numbers."
    ),
    burned_in: Literal["refuse", "mask", "allow"] = typer.Option(
        "refuse", help="Images with text in their pixels likely."
    ),
    mask: list[str] = typer.Option(
        [], metavar="X0,Y0,X1,Y1", help="Rectangle set to 0 in every image; repeatable."
    ),
    keep_patient: bool = typer.Option(False, "--keep-patient", help="Keep sex, age, size, weight."),
    keep_device: bool = typer.Option(False, "--keep-device", help="Keep device attributes."),
    keep_institution: bool = typer.Option(False, "--keep-institution", help="Keep institution."),
    keep_uids: bool = typer.Option(False, "--keep-uids", help="Keep UIDs."),
    key_file: Path | None = typer.Option(
        None, help="Secret of 16 bytes or more: the same new UIDs in another run."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """De-identify DICOM by PS3.15's basic profile and its options; report the residual risk.

    Examples:

    `irplan deid scan/ -o shared/`

    `irplan deid study.zip -o shared/ --dates shift --keep-patient --key-file site.key`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from secrets import token_bytes

        from irplan.case.deid_case import REPORT_TEXT, report, run_deid
        from irplan.dicom.deid_options import DeidOptions

        boxes = tuple(_box(m) for m in mask)
        options = DeidOptions(
            dates, descriptors, structured, keep_patient, keep_device, keep_institution, keep_uids,
            "mask" if boxes and burned_in == "refuse" else burned_in, boxes,
            token_bytes(32) if key_file is None else _key(key_file),
        )  # fmt: skip
        with console.progress("deid") as progress:
            result = run_deid(source, out, options, progress=progress)
        console.say(f"  {result.written} objects of {len(result.patients)} patients written")
        console.say(f"  {result.not_dicom} files left out: not DICOM")
        for line in result.refused_files[:20]:
            console.say(f"  left out  {line}")
        if len(result.refused_files) > 20:
            console.say(f"  ... and {len(result.refused_files) - 20} more")
        console.say(f"Written: {out}; read {REPORT_TEXT}: residual risk remains, not anonymous.")
        console.result(report(result, options))


def _key(path: Path) -> bytes:
    from irplan.errors import InputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "key_file",
            got=f"'{path.name}', which cannot be read",
            expected="a file of at least 16 secret bytes",
            remedy="Make one: head -c 32 /dev/urandom > site.key",
        ) from error


def _box(text: str) -> tuple[int, int, int, int]:
    from irplan.errors import InputError

    try:
        x0, y0, x1, y1 = (int(v) for v in text.split(","))
    except ValueError as error:
        raise InputError(
            "mask",
            got=f"'{text}'",
            expected="four whole numbers x0,y0,x1,y1",
            remedy="Give the left, top, right and bottom edge in pixels.",
        ) from error
    return x0, y0, x1, y1
