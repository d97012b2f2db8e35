"""A problem file simulated and written to a folder that is whole or absent."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.ablation.result import AblationResult, FieldResult
from irplan.ablation.simulated_case import SimulatedCase
from irplan.ablation.solve import simulate
from irplan.compute.progress import Progress, no_progress, portion
from irplan.files import (
    OutputFolder,
    ProblemFile,
    read_problem,
    write_labels,
    write_mask,
    write_summary,
    write_trace,
    write_volume,
    write_zone_table,
)
from irplan.files.json_text import dump_json
from irplan.files.simulation_file import SIMULATION_SCHEMA, SIMULATION_SCHEMA_VERSION
from irplan.image import Code, Label, LabelMap
from irplan.reports import render_simulation_html, simulation_notes, simulation_report
from irplan.viz import (
    extra_curves,
    png_bytes,
    simulation_planes,
    temperature_curves,
    temperature_gif,
    zone_profile,
)

_DPI = 110
#: Zone colours in the label map, outermost zone first.
_COLOURS = (
    (200, 244, 255), (63, 182, 255), (91, 107, 255), (224, 90, 170), (255, 190, 60),
    (120, 200, 120), (160, 120, 220), (200, 60, 60),
)  # fmt: skip

#: File -> what it is; README.txt of the folder is made from this.
SIMULATION_FILES = {
    "report.html": "the simulation in words, tables and pictures; open it in any browser",
    "summary.json": "zones, energy, error, warnings, provenance (schema irplan-simulation)",
    "table.csv": "size of every zone",
    "trace.csv": "temperatures, volumes, power and impedance over time",
    "zones.nii.gz": "all zones as one label map, the smaller over the larger (zones.json: names; "
    "zones.ctbl: colours for 3D Slicer)",
    "zones/": "every zone as a mask of 0 and 1 (NIfTI)",
    "volumes/": "every computed field (NIfTI; the unit is in the file's description)",
    "figures/": "the report's pictures (PNG)",
    "animation.gif": "temperature through time, where the solver keeps its history",
    "problem.toml": "the problem as it was given",
    "run.json": "when and with which versions this was written, and how long it took",
}


@dataclass(frozen=True, eq=False)
class SimulationOutcome:
    """What was simulated, the summary that was written, and seconds of the solver."""

    case: SimulatedCase
    summary: dict[str, Any]
    solver_s: float


def run_simulation(path: Path, out: Path, *, progress: Progress = no_progress) -> SimulationOutcome:
    """Simulate the problem file ``path`` and write the folder ``out`` (see `SIMULATION_FILES`).

    ``out`` is tried before anything long begins and appears only when all of it is complete.
    Raises what `read_problem`, `irplan.ablation.simulate` and `OutputFolder` raise.
    """
    asked = read_problem(path)
    OutputFolder.check(out)
    progress(0.0, "solving")
    started = time.perf_counter()
    result = solve(asked, progress=portion(progress, 0.0, 0.6))
    solver_s = time.perf_counter() - started
    case = SimulatedCase.of(
        asked.name, asked.problem, result, lethal=asked.lethal, monitors=asked.monitors
    )
    with OutputFolder(out) as folder:
        summary = _write(case, asked, folder, solver_s, portion(progress, 0.6, 1.0))
    return SimulationOutcome(case, summary, solver_s)


def solve(asked: ProblemFile, *, progress: Progress = no_progress) -> AblationResult:
    """The result of what a problem file asks for."""
    models = asked.models
    freeze: dict[str, Any] = {}
    if asked.kind == "cryo":
        wanted = asked.solver.frames > 0 and asked.solver.backend != "cuda"
        freeze["history"] = wanted or asked.lethal.hold_s > 0
    result = simulate(
        asked.problem,
        backend=asked.solver.backend,
        time_error_mm=asked.solver.time_error_mm,
        threads=asked.solver.threads,
        monitor_points_mm=tuple(asked.monitors.values()),
        control=models.rfa if asked.kind == "rfa" else models.ire,
        damage=models.damage,
        progress=progress,
        **freeze,
    )
    if isinstance(result, FieldResult):  # the field does not know it: only the zone does
        return replace(result, threshold_v_per_cm=models.threshold_v_per_cm)
    return result


def _write(
    case: SimulatedCase, asked: ProblemFile, folder: Path, solver_s: float, progress: Progress
) -> dict[str, Any]:
    started = time.perf_counter()
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    (folder / "problem.toml").write_text(asked.text, encoding="utf-8", newline="\n")
    summary = summary_of(case, asked.text)
    write_summary(summary, folder / "summary.json")
    write_zone_table(
        [(z.words, m) for z, m in zip(case.zones, case.measures, strict=True)],
        folder / "table.csv",
    )
    write_trace(case.result.trace, folder / "trace.csv", names=case.trace_names)
    _images(case, folder, portion(progress, 0.0, 0.4))
    figures = _figures(case, portion(progress, 0.4, 0.7))
    (folder / "figures").mkdir()
    for key, png in figures.items():
        (folder / "figures" / f"{key}.png").write_bytes(png)
    gif = temperature_gif(
        case,
        case.frames(asked.solver.frames),
        count=asked.solver.frames,
        progress=portion(progress, 0.7, 0.98),
    )
    if gif is not None:
        (folder / "animation.gif").write_bytes(gif)
    progress(0.98, "writing the report")
    page = render_simulation_html(
        simulation_report(case), figures, simulation_notes(case), animation=gif, generated=written
    )
    (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")
    run = {
        "written": written,
        "versions": {"irplan": __version__, "python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "scipy", "numba", "matplotlib")},
        "solver_s": solver_s,
        "writing_s": time.perf_counter() - started,
    }
    (folder / "run.json").write_text(dump_json(run, field="run"), encoding="utf-8", newline="\n")
    (folder / "README.txt").write_text(_readme(gif is not None), encoding="utf-8", newline="\n")
    progress(1.0, "done")
    return summary


def _images(case: SimulatedCase, folder: Path, progress: Progress) -> None:
    volumes, zones = case.result.volumes(), case.zones
    (folder / "volumes").mkdir()
    (folder / "zones").mkdir()
    count = len(volumes) + len(zones) + 1
    for n, (name, volume) in enumerate(volumes.items()):
        progress(n / count, "writing volumes and zones")
        write_volume(volume, folder / "volumes" / f"{name}.nii.gz")
    for n, zone in enumerate(zones):
        progress((len(volumes) + n) / count, "writing volumes and zones")
        write_mask(zone.signed() >= 0, case.problem.grid, folder / "zones" / f"{zone.name}.nii.gz")
    write_labels(zone_label_map(case), folder / "zones.nii.gz")
    progress(1.0, "writing volumes and zones")


def zone_label_map(case: SimulatedCase) -> LabelMap:
    """All zones in one label map; a smaller zone covers a larger one."""
    order = np.argsort([-m.volume_ml for m in case.measures], kind="stable")
    masks = []
    for value, k in enumerate(order, start=1):
        zone = case.zones[k]
        code = Code(f"ZONE-{zone.name}"[:16], "99IRPLAN", zone.words)
        label = Label(value, zone.name, code, _COLOURS[(value - 1) % len(_COLOURS)])
        masks.append((label, zone.signed() >= 0))
    return LabelMap.from_masks(case.problem.grid, masks)


def _figures(case: SimulatedCase, progress: Progress) -> dict[str, bytes]:
    jobs: dict[str, Callable[[], Figure | None]] = {"planes": lambda: simulation_planes(case)}
    if case.kind == "ire":
        jobs["heat"] = lambda: simulation_planes(case, "temperature")
    jobs["profile"] = lambda: zone_profile(case)
    jobs["curves"] = lambda: temperature_curves(case)
    jobs["extra"] = lambda: extra_curves(case)
    drawn = {}
    for n, (key, job) in enumerate(jobs.items()):
        progress(n / len(jobs), "drawing the figures")
        figure = job()
        if figure is not None:
            drawn[key] = png_bytes(figure, _DPI)
    return drawn


def summary_of(case: SimulatedCase, problem_text: str) -> dict[str, Any]:
    """What ``summary.json`` holds (see its schema)."""
    problem, result = case.problem, case.result
    energy, grid = result.energy, problem.grid
    out: dict[str, Any] = {
        "schema": SIMULATION_SCHEMA,
        "schema_version": SIMULATION_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "name": case.name,
        "kind": case.kind,
        "applicators": [
            {
                "name": p.applicator.name,
                "tip_mm": [float(v) for v in p.needle.tip_mm],
                "entry_mm": [float(v) for v in p.needle.entry_mm],
                "active_length_mm": p.applicator.active_length_mm,
                "source": p.applicator.source,
            }
            for p in problem.placements
        ],
        "schedule": [
            {
                "applicator": None if len(case.schedules) == 1 else n,
                "kind": "pulses" if case.kind == "ire" else p.kind,
                "duration_s": p.duration_s,
                "power_w": None if case.kind == "ire" else p.power_w,
                "withdraw_mm": p.withdraw_mm,
            }
            for n, schedule in enumerate(case.schedules, start=1)
            for p in schedule.phases
        ],
        "tissues": [t.name for t in problem.tissues],
        "grid": {
            "voxels_zyx": list(grid.shape),
            "spacing_zyx_mm": list(grid.spacing_mm),
            "first_voxel_mm": [float(v) for v in grid.index_to_lps((0, 0, 0))],
        },
        "zones": {
            z.name: {
                "definition": z.words,
                "volume_ml": m.volume_ml,
                "length_mm": m.length_mm,
                "width_mm": m.width_mm,
                "least_width_mm": m.least_width_mm,
                "most_width_mm": m.most_width_mm,
                "radius_mm": m.width_mm / 2.0,
                "cut_off_by_box": m.cut_off,
            }
            for z, m in zip(case.zones, case.measures, strict=True)
        },
        "energy_j": {
            "stored": energy.stored_j,
            "applicators": energy.probes_j,
            "perfusion": energy.perfusion_j,
            "metabolism": energy.metabolism_j,
            "fixed_tissue": energy.fixed_tissue_j,
            "boundary": energy.boundary_j,
            "residual_fraction": energy.residual_fraction,
        },
        "error": None
        if result.error is None
        else {
            "time_mm": result.error.time_mm,
            "space_mm": result.error.space_mm,
            "basis": result.error.basis,
        },
        "boundary_rise_c": result.boundary_rise_c,
        "warnings": list(result.warnings),
        "provenance": {
            "irplan_version": __version__,
            "problem_sha256": hashlib.sha256(problem_text.encode()).hexdigest(),
            "backend": result.backend,
            "backend_reason": result.backend_reason,
            "precision": result.precision,
            "steps": result.steps,
            "options": dict(result.options),
        },
    }
    if isinstance(result, FieldResult):
        out["currents_a"] = [float(a) for a in result.currents_a]
    return out


def _readme(animated: bool) -> str:
    files = {k: v for k, v in SIMULATION_FILES.items() if animated or k != "animation.gif"}
    width = max(len(name) for name in files)
    listed = "\n".join(f"{name:<{width}}  {words}" for name, words in files.items())
    return (
        f"A simulation made by irplan {__version__}: RESEARCH USE ONLY.\n{RESEARCH_USE_ONLY}\n\n"
        f"{listed}\n\nIn 3D Slicer: drag zones.ctbl and zones.nii.gz (load as label map, "
        "choose the colour\ntable 'zones') and the volumes; they need no transform.\n"
    )
