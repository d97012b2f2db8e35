"""What a finished study leaves: tables, timing, provenance, sensitivity and figures."""

from __future__ import annotations

import csv
import platform
import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json
from irplan.studies.sensitivity import Sensitivity, sensitivity
from irplan.studies.store import Result, ResultStore
from irplan.studies.study import Study, StudyRun

#: Columns before the factors', and after them before the outputs'.
HEAD, TAIL = ("run", "case"), ("status", "message")
#: Rows of a Parquet group.
_GROUP = 5000
#: Points drawn in a picture at most.
_DRAWN = 20_000


def write_outputs(
    study: Study, store: ResultStore, folder: Path
) -> tuple[int, int, tuple[str, ...]]:
    """Write them; returns how many runs failed and crashed, and notes.

    ``table.csv`` holds what depends on the study alone, in the order of its runs: computed at
    once or in pieces it is the same to the byte.  What depends on the day is in ``timing.csv``.
    """
    columns, failed, crashed = _survey(study, store)
    shown_as = _column_names(study, columns)
    notes = [
        f"the task's column '{c}' is called '{n}' in the table, which has a '{c}' already"
        for c, n in shown_as.items()
        if n != c
    ]
    heads = [*HEAD, *(f.name for f in study.factors), *TAIL, *shown_as.values()]
    _write_csv(folder / "table.csv", heads, map(_cells, _rows(study, store, columns)))
    if find_spec("pyarrow") is not None:
        _write_parquet(study, store, columns, heads, folder / "table.parquet")
    else:
        notes.append("no table.parquet: it needs the extra 'cluster' (pyarrow)")
    _write_csv(
        folder / "timing.csv",
        ["run", "seconds", "worker"],
        ([run.number, f"{r.seconds:.4f}", r.worker] for run, r in _results(study, store)),
    )
    shown = _numeric(study, store, columns)
    found: list[Sensitivity] = []
    if study.design.kind == "sensitivity":
        found, missing = _sensitivities(study, store, shown)
        notes += missing
        _write_sensitivity(found, folder / "sensitivity.csv")
    _write_figures(study, store, shown, found, folder)
    provenance = _provenance(study)
    text = dump_json(provenance, field="provenance")
    with atomic_path(folder / "provenance.json") as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return failed, crashed, tuple(notes)


def _results(study: Study, store: ResultStore) -> Iterator[tuple[StudyRun, Result]]:
    for run in study.runs():
        result = store.get(run.key)
        if result is not None:
            yield run, result


def _survey(study: Study, store: ResultStore) -> tuple[list[str], int, int]:
    columns: dict[str, None] = {}
    failed = crashed = 0
    for _, result in _results(study, store):
        columns |= dict.fromkeys(result.outputs)
        failed += result.status == "failed"
        crashed += result.status == "crashed"
    return list(columns), failed, crashed


def _column_names(study: Study, columns: list[str]) -> dict[str, str]:
    """Output -> its head in the table; one called like a column of ours or a factor gets more."""
    taken = {*HEAD, *TAIL, *(f.name for f in study.factors)}
    names = {c: c for c in columns if c not in taken}
    taken |= set(names)
    for column in columns:
        name = column
        while name in taken:
            name += "_result"
        if column not in names:
            names[column] = name
            taken.add(name)
    return {c: names[c] for c in columns}


def _rows(study: Study, store: ResultStore, columns: list[str]) -> Iterator[list[Any]]:
    for run, result in _results(study, store):
        yield [
            run.number, run.case.name, *run.parameters.values(), result.status, result.message,
            *(result.outputs.get(c) for c in columns),
        ]  # fmt: skip


def _cells(row: list[Any]) -> list[object]:
    return ["" if v is None else repr(v) if isinstance(v, float) else v for v in row]


def _write_parquet(
    study: Study, store: ResultStore, columns: list[str], heads: list[str], path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = _kinds(study, store, columns, heads)
    schema = pa.schema([(name, getattr(pa, kinds[name])()) for name in heads])
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema) as writer,
    ):
        group: list[list[Any]] = []

        def flush() -> None:
            held = zip(*group, strict=True) if group else ([] for _ in heads)
            arrays = [
                pa.array([_as(kinds[h], v) for v in column], schema.field(h).type)
                for h, column in zip(heads, held, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            group.clear()

        for row in _rows(study, store, columns):
            group.append(row)
            if len(group) == _GROUP:
                flush()
        flush()


def _kinds(
    study: Study, store: ResultStore, columns: list[str], heads: list[str]
) -> dict[str, str]:
    """Arrow type of each column: numbers are doubles, truth values booleans, the rest text."""
    seen: dict[str, set[type]] = {h: set() for h in heads}
    for row in _rows(study, store, columns):
        for head, value in zip(heads, row, strict=True):
            if value is not None:
                seen[head].add(type(value))
    kinds = {"run": "int64"}
    for at, head in enumerate(heads):
        types = seen[head]
        if head == "run":
            continue
        if types <= {float, int}:
            is_output = at >= len(heads) - len(columns)
            kinds[head] = "float64" if types or is_output else "string"
        else:
            kinds[head] = "bool_" if types == {bool} else "string"
    return kinds


def _as(kind: str, value: Any) -> Any:
    if value is None:
        return None
    return str(value) if kind == "string" else float(value) if kind == "float64" else value


def _numeric(study: Study, store: ResultStore, columns: list[str]) -> dict[str, Any]:
    """Outputs that vary: name -> array over the runs (NaN where there is none)."""
    values = {c: np.full(len(study), np.nan) for c in columns}
    for run, result in _results(study, store):
        for name, v in result.outputs.items():
            if name in values and isinstance(v, int | float) and not isinstance(v, bool):
                values[name][run.number] = v
    return {
        n: v for n, v in values.items() if np.isfinite(v).sum() > 1 and np.nanmax(v) > np.nanmin(v)
    }


def _sensitivities(
    study: Study, store: ResultStore, shown: dict[str, Any]
) -> tuple[list[Sensitivity], list[str]]:
    found, notes = [], []
    points = study.points.count
    for at, case in enumerate(study.cases):
        for output, values in shown.items():
            mine = values[at * points : (at + 1) * points]
            if not np.isfinite(mine).all():
                gone = int((~np.isfinite(mine)).sum())
                notes.append(
                    f"no Sobol indices of {output} in '{case.name}': {gone} runs have no value"
                )
            elif mine.max() > mine.min():
                names = [f.name for f in study.factors]
                found.append(sensitivity(case.name, output, names, mine, study.design))
    return found, notes


def _write_sensitivity(found: list[Sensitivity], path: Path) -> None:
    heads = "case output factor first_order first_low first_high total total_low total_high"
    rows = (
        [s.case, s.output, factor, *(f"{v:.4f}" for v in (*s.first[n], *s.total[n]))]
        for s in found
        for n, factor in enumerate(s.factors)
    )
    _write_csv(path, heads.split(), rows)


def _write_csv(path: Path, heads: list[str], rows: Iterable[Iterable[object]]) -> None:
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)


def _write_figures(
    study: Study,
    store: ResultStore,
    shown: dict[str, Any],
    found: list[Sensitivity],
    folder: Path,
) -> None:
    from irplan.viz import png_bytes
    from irplan.viz.study_response import response_figure, sensitivity_figure

    numeric = [f for f in study.factors if f.numeric]
    figures = {}
    if numeric and shown:
        step = max(1, len(study) // _DRAWN)
        numbers = range(0, len(study), step)
        runs = [study.run(n) for n in numbers]
        x = {f.name: np.array([float(r.parameters[f.name]) for r in runs]) for f in numeric}
        y = {name: v[::step] for name, v in shown.items()}
        cases = np.array([r.case.name for r in runs])
        logs = {f.name for f in numeric if f.scale == "log"}
        figures["response"] = response_figure(study.name, x, y, cases, logs)
    if found:
        figures["sensitivity"] = sensitivity_figure(
            study.name, [(s.case, s.output, s.factors, s.first, s.total) for s in found]
        )
    for name, figure in figures.items():
        with (
            atomic_path(folder / "figures" / f"{name}.png") as temporary,
            warnings.catch_warnings(),
        ):
            # Letters that the font lacks are drawn as boxes; the table has them.
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            temporary.write_bytes(png_bytes(figure, 110))


def _provenance(study: Study) -> dict[str, Any]:
    versions = {"irplan": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "numba", "distributed"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "schema": "irplan-study-result",
        "schema_version": 1,
        "notice": RESEARCH_USE_ONLY,
        "name": study.name,
        "task": study.task.name,
        "identity": study.identity(),
        "cases": [{"name": c.name, "content": study.task.content(c)} for c in study.cases],
        "factors": [
            {
                "name": f.name, "keys": list(f.keys), "how": f.how, "low": f.low, "high": f.high,
                "choices": list(f.choices), "scale": f.scale, "levels": f.levels,
            }
            for f in study.factors
        ],
        "design": {
            "kind": study.design.kind, "runs": study.design.runs, "seed": study.design.seed,
        },
        "runs": len(study),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": versions,
        "machine": {"system": platform.system(), "processor": platform.machine()},
    }  # fmt: skip
