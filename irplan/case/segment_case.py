"""One CT segmented: by irplan or an outside model, written as NIfTI, DICOM SEG and a figure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irplan import RESEARCH_USE_ONLY, __version__, dicom
from irplan.case.open import open_image_and_notes
from irplan.case.segment_own import Found, segment_own, with_tumours
from irplan.case.segment_request import TOTAL_SEGMENTATOR, SegmentRequest
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import OutputError
from irplan.files import nifti
from irplan.files.atomic import (
    atomic_path,
    cannot_write,
    make_parents,
    remove_empty,
    resolved_path,
)
from irplan.image import LabelMap, Volume
from irplan.segmentation import CheckRow, CheckStatus, ct_rows
from irplan.segmentation.outside import OutsideModel, OutsideSegmentation, ScanFacts

SEGMENTATION_SCHEMA = "irplan-segmentation"
SEGMENTATION_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StructureRow:
    """A structure asked for: ml found, and ``ok`` / ``warning`` (looked for, none found) /
    ``not_checked`` (could not be assessed, or is not looked for), with a note.
    """

    name: str
    volume_ml: float | None
    status: CheckStatus
    note: str = ""


@dataclass(frozen=True, eq=False)
class SegmentOutcome:
    """What was found and written: ``labels``, rows for screen and JSON, seconds by stage."""

    labels: LabelMap
    rows: tuple[StructureRow, ...]
    checks: tuple[CheckRow, ...]
    warnings: tuple[str, ...]
    provenance: dict[str, Any]
    seconds: dict[str, float]
    files: tuple[Path, ...]


def run_segmentation(
    request: SegmentRequest, *, progress: Progress = no_progress
) -> SegmentOutcome:
    """Read, segment, write: every file of the request appears, or none.

    The places to write to are tried before anything is read.  Raises what reading, segmenting
    and writing raise (`InputError`, `DicomError`, `SegmentationError`, `OutputError`,
    `MissingExtraError`, `BackendError`); a cancel leaves nothing behind.
    """
    request.require_dicom()
    seconds: dict[str, float] = {}
    with _staged(request.outputs) as staged:
        started = time.perf_counter()
        volume, notes = open_image_and_notes(
            request.ct, series_uid=request.series_uid, progress=portion(progress, 0.0, 0.1)
        )
        model = _model(request)
        facts = _facts(request)
        seconds["reading"] = time.perf_counter() - started
        started = time.perf_counter()
        work = portion(progress, 0.1, 0.85)
        if model is None:
            found = segment_own(request, volume, work)
        else:
            found = _outside(request, volume, model, facts, work)
        seconds["segmentation"] = time.perf_counter() - started
        started = time.perf_counter()
        progress(0.85, "writing: labels")
        nifti.write_labels(found.labels, staged[request.out])
        if request.segments is not None and found.segments is not None:
            nifti.write_labels(found.segments.labels, staged[request.segments])
        if request.seg_dicom is not None:
            dicom.write_segmentation(
                found.labels,
                request.ct,
                staged[request.seg_dicom],
                series_uid=request.series_uid,
                kind="labelmap" if request.label_map else "binary",
                rle=request.rle,
                algorithms=found.algorithms,
                progress=portion(progress, 0.88, 0.97),
            )
        if request.figure is not None:
            progress(0.97, "writing: figure")
            _draw(volume, found, staged[request.figure])
        seconds["writing"] = time.perf_counter() - started
    progress(1.0, "writing: done")
    return SegmentOutcome(
        found.labels,
        _rows(request, found),
        found.checks,
        tuple(dict.fromkeys((*notes, *found.warnings))),
        found.provenance,
        seconds,
        request.outputs,
    )


@contextmanager
def _staged(outputs: Sequence[Path]) -> Iterator[dict[Path, Path]]:
    """Where to write each output; they take their places together, and folders made for them go
    again when the work fails.  The label map is the last to appear.
    """
    made: list[Path] = []
    staged: dict[Path, Path] = {}
    try:
        with ExitStack() as stack:
            for path in outputs:
                made += _parents(path)
                staged[path] = stack.enter_context(atomic_path(path))
            yield staged
    except OutputError as error:
        remove_empty(made)
        got = error.got
        for path, hidden in staged.items():
            got = got.replace(str(hidden), str(path))
        raise OutputError(
            error.field, got=got, expected=error.expected, remedy=error.remedy
        ) from error
    except BaseException:
        remove_empty(made)
        raise


def _parents(path: Path) -> list[Path]:
    try:
        return make_parents(resolved_path(path).parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def _model(request: SegmentRequest) -> OutsideModel | None:
    if request.model is None:
        return None
    if request.model == TOTAL_SEGMENTATOR:
        from irplan.case.total_segmentator import TotalSegmentator

        return TotalSegmentator(request.program)
    from irplan.files.onnx_model import OnnxModel

    return OnnxModel.from_file(Path(request.model))


def _facts(request: SegmentRequest) -> ScanFacts:
    """Kernel and phase, where a model's envelope needs them and the CT is DICOM."""
    if request.model is None or request.model == TOTAL_SEGMENTATOR:
        return ScanFacts()
    if request.ct.is_file() and not dicom.is_dicom(request.ct):
        return ScanFacts()
    rows = dict(dicom.describe(request.ct))
    kernel = rows.get("kernel", "").replace("not stated", "")
    return ScanFacts(kernel=kernel, phase=rows.get("phase (from the description)", ""))


def _outside(
    request: SegmentRequest,
    volume: Volume,
    model: OutsideModel,
    facts: ScanFacts,
    progress: Progress,
) -> Found:
    answer: OutsideSegmentation = model.segment(
        volume, facts=facts, progress=portion(progress, 0.0, 0.95)
    )
    kept = tuple(x for x in answer.labels.labels if x.name in request.wanted)
    table = np.zeros(256, dtype=np.uint8)
    for label in kept:
        table[label.value] = label.value
    labels = LabelMap(table[answer.labels.array], volume.grid, kept)
    labels, notes = with_tumours(request, volume, labels, None, progress)
    who = answer.identity
    network = dicom.SegmentationAlgorithm(who.name, who.version, learned=True)
    aside = (f"Also found, not kept: {', '.join(answer.unmapped)}.",) if answer.unmapped else ()
    return Found(
        labels,
        (*ct_rows(volume), *answer.rows),
        (*answer.warnings, *aside, *notes),
        {
            "method": who.name,
            "irplan_version": __version__,
            "model": {
                "name": who.name,
                "version": who.version,
                "sha256": who.sha256,
                "licence": who.licence,
                "citation": who.citation,
                "options": dict(answer.options),
                "seconds": answer.seconds,
            },
        },
        {x.name: network for x in kept}
        | {"tumour": replace(network, name="irplan lesion cut", kind="SEMIAUTOMATIC")},
        None,
    )


def _rows(request: SegmentRequest, found: Found) -> tuple[StructureRow, ...]:
    labels = found.labels
    ml = labels.grid.voxel_volume_mm3 / 1000.0
    counts = np.zeros(256, dtype=np.int64)
    for plane in labels.array:
        counts += np.bincount(plane.reshape(-1), minlength=256)
    rows = []
    for name in request.wanted:
        if not labels.checked(name):
            # A group names more than any one method looks for; by name it was asked for.
            if name in request.structures:
                rows.append(StructureRow(name, None, "not_checked", "not looked for, or unsure"))
            continue
        volume_ml = float(counts[labels.label(name).value]) * ml
        if name == "vessel_in_part":
            note = "some were found; of the liver's veins any may be missing"
            rows.append(StructureRow(name, volume_ml, "not_checked", note))
        elif volume_ml > 0.0:
            rows.append(StructureRow(name, volume_ml, "ok"))
        else:
            rows.append(StructureRow(name, 0.0, "warning", "looked for, not found"))
    missing = [
        n
        for n in request.wanted
        if not labels.checked(n) and n not in request.structures and n != "vessel_in_part"
    ]
    if missing:
        rows.append(StructureRow("others", None, "not_checked", ", ".join(missing)))
    for name, segment_ml in ({} if found.segments is None else found.segments.volumes_ml).items():
        empty = segment_ml == 0.0
        rows.append(
            StructureRow(
                name,
                segment_ml,
                "warning" if empty else "ok",
                "no voxel: look at the points" if empty else "",
            )
        )
    return tuple(rows)


def _draw(volume: Volume, found: Found, path: Path) -> None:
    from irplan.viz import png_bytes
    from irplan.viz.label_planes import label_planes
    from irplan.viz.segmentation_stages import segmentation_stages

    if found.liver is not None:
        figure = segmentation_stages(found.liver)
    else:
        figure = label_planes(volume, found.labels)
    path.write_bytes(png_bytes(figure))


def segmentation_data(outcome: SegmentOutcome) -> dict[str, Any]:
    """The outcome as plain data for ``--json``."""
    return {
        "schema": SEGMENTATION_SCHEMA,
        "schema_version": SEGMENTATION_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "structures": [
            {"name": r.name, "volume_ml": r.volume_ml, "status": r.status, "note": r.note}
            for r in outcome.rows
        ],
        "checks": [
            {
                "name": r.name,
                "value": r.value,
                "unit": r.unit,
                "limit": r.limit,
                "status": r.status,
                "note": r.note,
            }
            for r in outcome.checks
        ],
        "warnings": list(outcome.warnings),
        "provenance": outcome.provenance,
        "seconds": outcome.seconds,
        "files": [str(p) for p in outcome.files],
    }
