"""The fluoroscopy benchmark run and written."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

from irplan.compute.progress import Progress, no_progress, portion
from irplan.dicom.xa_read import read_xa
from irplan.errors import InputError, MissingExtraError
from irplan.files.fluoro_bench_file import bench_to_data, recorded_to_data
from irplan.files.output import OutputFolder
from irplan.fluoroscopy.bench.peers import PEERS, peer
from irplan.fluoroscopy.bench.recorded import RecordedBench, measure_recorded
from irplan.fluoroscopy.bench.request import RAW, RECURSIVE, BenchRequest
from irplan.fluoroscopy.bench.suite import BenchResult, Keep, made_now, run_bench
from irplan.fluoroscopy.bench.summary import cells_of
from irplan.fluoroscopy.filter import FilterFactory, StreamFacts, make_filter
from irplan.reports.fluoro_bench import bench_html, recorded_html
from irplan.viz.fluoro_bench import dose_factors, quality_against_speed, worst_case
from irplan.viz.style import png_bytes


def run_fluoro_bench(
    request: BenchRequest,
    out: Path | None,
    *,
    keep: Keep = made_now,
    progress: Progress = no_progress,
) -> BenchResult:
    """Run the benchmark and, where ``out`` is given, write page, JSON and figures there.

    ``keep`` : as in `run_bench`.  Raises as it does, and `OutputError` where ``out`` cannot be
    written, before anything is run.
    """
    if out is not None:
        OutputFolder.check(out)
    result = run_bench(request, keep=keep, progress=portion(progress, 0.0, 0.98))
    if out is not None:
        with OutputFolder(out) as folder:
            _write(result, folder)
    progress(1.0, "done")
    return result


def run_recorded_bench(
    file: Path, filters: tuple[str, ...], out: Path | None, *, progress: Progress = no_progress
) -> RecordedBench:
    """Every filter on a recorded XA / RF run; page and JSON into ``out``.

    A filter that cannot take this run (its noise is not known, its package absent) is listed with
    the reason.  Raises `DicomError` for files that are no run, `InputError` for a short one.
    """
    if out is not None:
        OutputFolder.check(out)
    run = read_xa(file)
    factories: dict[str, FilterFactory] = {}
    refused: list[tuple[str, str]] = []
    for name in dict.fromkeys((RAW, RECURSIVE, *filters)):
        try:
            factory = peer(name) if name in PEERS else partial(make_filter, name)
            factory(StreamFacts.of(run.run))
        except (InputError, MissingExtraError) as error:
            if name not in PEERS:
                raise
            refused.append((name, f"not run: {error.got}"))
            continue
        factories[name] = factory
    rows = measure_recorded(run.run, factories, progress=portion(progress, 0.0, 0.98))
    notes = list(run.notes)
    if run.run.photometry.lossy or run.run.photometry.relation != "linear":
        notes.append("These are picture values, not detector values: noise models do not hold.")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    result = RecordedBench(file.name, digest, rows, tuple(refused), tuple(notes))
    if out is not None:
        with OutputFolder(out) as folder:
            text = json.dumps(recorded_to_data(result), indent=1, allow_nan=False)
            (folder / "bench.json").write_text(text + "\n", encoding="utf-8", newline="\n")
            page = recorded_html(result)
            (folder / "bench.html").write_text(page, encoding="utf-8", newline="\n")
    progress(1.0, "done")
    return result


def _write(result: BenchResult, folder: Path) -> None:
    figures: dict[str, tuple[str, bytes]] = {}
    figures["speed"] = (
        "Device SNR and d' of still discs against the time of a frame.",
        png_bytes(quality_against_speed(result)),
    )
    for row in result.filters:
        name = row.name
        if name != RAW and name in result.request.filters and cells_of(result, name, "in-place"):
            title = f"d' over raw of {name} in every cell; below 1 something is lost."
            figures[f"worst_{_plain(name)}"] = (title, png_bytes(worst_case(result, name)))
    if result.factors:
        for observer in ("in-place", "trail-aware"):
            figures[f"factors_{_plain(observer)}"] = (
                f"Dose factors against raw, {observer} observer.",
                png_bytes(dose_factors(result, observer=observer)),
            )
    (folder / "figures").mkdir()
    for key, (_, data) in figures.items():
        (folder / "figures" / f"{key}.png").write_bytes(data)
    text = json.dumps(bench_to_data(result), indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "bench.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    (folder / "bench.html").write_text(bench_html(result, figures), encoding="utf-8", newline="\n")


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-." else "_" for c in name)
