"""A file, folder or zip de-identified into a new folder, with a report of the residual risk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.compute.progress import Progress, no_progress
from irplan.dicom.deid import Deidentified, deidentify
from irplan.dicom.deid_options import DeidOptions
from irplan.dicom.deid_table import EDITION
from irplan.dicom.reading import is_dicom, text
from irplan.errors import DicomError, InputError
from irplan.files.archive import ArchiveLimits, archive_members, archive_size, is_archive
from irplan.files.json_text import dump_json
from irplan.files.output import OutputFolder

REPORT = "deidentification.json"
REPORT_TEXT = "deidentification.txt"


@dataclass
class DeidResult:
    """What a run did; nothing in it identifies a patient.

    ``refused`` counts files left out by reason; ``refused_files`` names them for the person at
    the keyboard only (a file's name may hold a patient's) and is written nowhere.
    """

    written: int = 0
    not_dicom: int = 0
    patients: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    cleaned: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refused_files: list[str] = field(default_factory=list)


def run_deid(
    source: Path, out: Path, options: DeidOptions, *, progress: Progress = no_progress
) -> DeidResult:
    """De-identify every DICOM object of ``source`` into ``out`` (new, or an earlier output).

    Files are named anew: ``<pseudonym>/<modality>-<series>/<instance>.dcm``.  Other files are
    left out and counted; zips in a folder are opened.  ``deidentification.json`` and ``.txt``
    say what was removed, kept and is still a risk.  Cancelling leaves nothing.

    Raises
    ------
    InputError : nothing there, or not one DICOM object could be de-identified.
    FileFormatError : a zip is damaged or a bomb.
    OutputError : the output cannot be written.
    """
    files = _listed(source, out)
    result = DeidResult()
    with OutputFolder(out) as folder:
        total = sum(archive_size(f) if is_archive(f) else 1 for f in files)
        for number, (name, file) in enumerate(_each(files, source)):
            progress(number / max(total, 1), "de-identifying")
            if not is_dicom(file):
                result.not_dicom += 1
                continue
            try:
                _one(file, folder, options, result)
            except DicomError as error:
                result.refused[error.got] += 1
                result.refused_files.append(f"{name}: {error.got}")
        if not result.written:
            raise InputError(
                f"'{source.name}'",
                got=f"no object that could be de-identified ({result.not_dicom} other files, "
                + "; ".join(f"{n} x {why}" for why, n in result.refused.most_common(3))
                + ")",
                expected="DICOM images or reports",
                remedy="Give the folder or zip that holds them.",
            )
        (folder / REPORT).write_text(dump_json(report(result, options), field="report"), "utf-8")
        (folder / REPORT_TEXT).write_text(report_text(result, options), "utf-8")
    progress(1.0, "de-identified")
    return result


def report(result: DeidResult, options: DeidOptions) -> dict[str, Any]:
    """The report as data."""
    return {
        "made_by": f"irplan {__version__}",
        "notice": RESEARCH_USE_ONLY,
        "statement": "De-identified; residual risk remains as listed. This is not anonymous data.",
        "table": EDITION,
        "options": [meaning for _, meaning in options.method_codes()],
        "burned_in": options.burned_in,
        "written": result.written,
        "patients": len(result.patients),
        "modalities": dict(sorted(result.kinds.items())),
        "removed": dict(sorted(result.removed.items())),
        "replaced": dict(sorted(result.replaced.items())),
        "cleaned": dict(sorted(result.cleaned.items())),
        "left_out": {
            "not_dicom": result.not_dicom,
            "refused": dict(sorted(result.refused.items())),
        },
        "residual_risk": risks(result, options),
    }


def risks(result: DeidResult, options: DeidOptions) -> list[str]:
    """What may still identify a patient, in sentences."""
    out = [
        "Anatomy, disease, implants and sex are visible in the images; a head scan shows a face.",
        "Pixels were not searched for text: whether it is burned in was judged by the header only.",
        "Rare diseases, unusual anatomy or a very high age may single a patient out.",
        "Scanner model, technique and slice positions may tell where a scan was made.",
        "Codes and numbers in structured reports stay; together with other data they may link.",
    ]
    if options.dates == "shift":
        out.append("Intervals between a patient's dates and the time of day are unchanged.")
    if options.keep_patient_characteristics:
        out.append("Sex, age (90 years and more as 090Y), size and weight were kept.")
    if options.keep_uids:
        out.append("UIDs were kept: whoever has the originals can match them.")
    if options.keep_device or options.keep_institution:
        out.append("Device or institution attributes were kept as asked.")
    if options.descriptors == "clean":
        out.append("Descriptions keep words of a fixed list; a listed word may be a name.")
    out += [f"{n} objects: {note}" for note, n in sorted(result.notes.items())]
    return out


def report_text(result: DeidResult, options: DeidOptions) -> str:
    """The report for a person to read."""
    data = report(result, options)
    lines = [
        "De-identification report",
        data["statement"],
        f"{data['made_by']}, {data['table']}; {RESEARCH_USE_ONLY}",
        "",
        "Options: " + "; ".join(data["options"]),
        f"Objects written: {result.written} ({len(result.patients)} patients)",
        f"Left out: {result.not_dicom} files that are not DICOM",
        *(f"Left out: {n} objects: {why}" for why, n in sorted(result.refused.items())),
        "",
        "Residual risk",
        *(f"- {line}" for line in data["residual_risk"]),
        "",
        "Attributes removed: " + _counted(result.removed),
        "Attributes replaced: " + _counted(result.replaced),
        "Texts cleaned: " + _counted(result.cleaned),
    ]
    return "\n".join(lines) + "\n"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{k} {n}" for k, n in sorted(counts.items())) or "none"


def _one(file: Path, folder: Path, options: DeidOptions, result: DeidResult) -> None:
    made: Deidentified = deidentify(file, options)
    data = made.data
    kind = "".join(c for c in text(data, "Modality") if c.isalnum())[:4] or "OT"
    place = folder / text(data, "PatientID") / f"{kind}-{text(data, 'SeriesInstanceUID')[-10:]}"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{text(data, 'SOPInstanceUID')}.dcm").write_bytes(made.file_bytes)
    result.written += 1
    result.kinds[kind] += 1
    result.patients.add(text(data, "PatientID"))
    for total, part in (
        (result.removed, made.removed),
        (result.replaced, made.replaced),
        (result.cleaned, made.cleaned),
    ):
        total.update(part)
    result.notes.update(made.notes)


def _listed(source: Path, out: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError(
            "input",
            got=f"'{source.name}', where nothing is",
            expected="a DICOM file, a folder or a zip",
            remedy="Check the path.",
        )
    inside = out.expanduser().resolve()
    if source.resolve().is_relative_to(inside):
        raise InputError(
            "output",
            got="the input's own folder, or one that holds it",
            expected="another folder: originals and de-identified objects are never mixed",
            remedy="Choose another output folder.",
        )
    files = [p for p in sorted(source.rglob("*")) if p.is_file() and not p.is_symlink()]
    files = [p for p in files if not p.resolve().is_relative_to(inside)]
    if not files:
        raise InputError(
            "input",
            got=f"'{source.name}', an empty folder",
            expected="a DICOM file, a folder or a zip",
            remedy="Check the path.",
        )
    return files


def _each(files: list[Path], source: Path) -> Iterator[tuple[str, Path]]:
    """Every file with a name to show; a zip's members one by one."""
    for file in files:
        name = file.name if file == source else str(file.relative_to(source))
        if not is_archive(file):
            yield name, file
            continue
        for number, member in enumerate(archive_members(file, ArchiveLimits()), start=1):
            yield f"{name}, member {number}", member
