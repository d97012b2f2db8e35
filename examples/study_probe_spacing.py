"""Probe count and spacing against coverage over kidney tumours: a study of one's own function.

``python examples/study_probe_spacing.py [MASK.nii.gz ...]``: generated tumours, or the largest
tumour of each mask of your own (label 2, as in KiTS19).
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import label

from irplan.ablation import (
    AblationProblem,
    CryoResult,
    LethalRule,
    Placement,
    Schedule,
    applicator,
    simulate,
    tissue,
)
from irplan.files import read_volume
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure
from irplan.image.resample import resample_mask
from irplan.planning.margins import TargetGeometry, measure_margins
from irplan.studies import Case, Design, Factor, PythonTask, Study, run_study
from irplan.viz import style

SPACING_MM = 2.0
HALF_MM = 44.0


def box() -> Grid:
    """The box of kidney that is frozen, its middle at the origin."""
    count = int(2 * HALF_MM / SPACING_MM) + 1
    return Grid.from_spacing((count,) * 3, (SPACING_MM,) * 3, origin_lps_mm=(-HALF_MM,) * 3)


def tumour_of_mask(path: str) -> NDArray[np.bool_]:
    """The largest tumour (label 2) of a mask, moved to the middle of the box."""
    mask = read_volume(path)
    parts, _ = label(np.asarray(mask.array) == 2)
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    middle = mask.grid.index_to_lps(np.argwhere(largest)).mean(axis=0)
    there = Grid.from_spacing(box().shape, (SPACING_MM,) * 3, origin_lps_mm=tuple(middle - HALF_MM))
    moved = resample_mask(largest, mask.grid, there)
    whole = largest.sum() * mask.grid.voxel_volume_mm3
    if moved.sum() * SPACING_MM**3 < 0.95 * whole:
        raise ValueError(f"a tumour of {whole / 1000:.0f} ml that the box does not hold")
    return moved


def generated_tumour(seed: int) -> NDArray[np.bool_]:
    """A lobulated tumour, 22 to 38 mm wide, in the middle of the box."""
    rng = np.random.default_rng(seed)
    axis = np.linspace(-HALF_MM, HALF_MM, box().shape[0])
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    radii = rng.uniform(11.0, 19.0, 3)
    r = np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)
    polar, around = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    bumps = 1.0 + 0.12 * np.cos(3 * polar + rng.uniform(0, 6)) * np.cos(2 * around)
    return np.asarray(r <= bumps)


def coverage(source: str, probes: float, spacing_mm: float) -> dict[str, float]:
    """Cover the tumour of seed or mask ``source`` by ``probes`` on a ring, ``spacing_mm`` apart."""
    grid = box()
    tumour = generated_tumour(int(source)) if source.isdecimal() else tumour_of_mask(source)
    n = int(probes)
    ring = 0.0 if n == 1 else spacing_mm / (2.0 * np.sin(np.pi / n))
    device = applicator("cryo-17g-rod")
    tip = -0.5 * device.active_length_mm - device.tip_offset_mm
    placements = [
        Placement(Needle((cx, cy, tip), (cx, cy, tip + 100.0)), device)
        for cx, cy in ((ring * np.cos(a), ring * np.sin(a)) for a in 2.0 * np.pi * np.arange(n) / n)
    ]
    problem = AblationProblem(
        grid=grid,
        tissue_index=tumour.astype(np.uint8),
        tissues=(tissue("kidney"), tissue("tumour")),
        placements=tuple(placements),
        schedule=Schedule.freeze_thaw_freeze(),
    )
    result = simulate(problem)
    assert isinstance(result, CryoResult)
    labels = LabelMap.from_masks(grid, [(structure("tumour"), tumour)])
    target = TargetGeometry.from_mask(tumour, labels, None)
    rule = LethalRule()
    report = measure_margins(
        result.lethal_temperature(rule), rule.threshold_c, target, margin_goal_mm=5.0,
        subcapsular_mm=0.0, shells_mm=(5.0,),
        probe_axes_mm=np.array([p.active_segment for p in placements]),
    )  # fmt: skip
    return {
        "tumour_ml": float(tumour.sum()) * grid.voxel_volume_mm3 / 1000.0,
        "target_covered_percent": 100.0 * report.target_coverage,
        "target_and_5mm_covered_percent": 100.0 * report.margin_coverage,
        "minimal_margin_mm": report.minimal_mm,
    }


def setup(
    tumours: int = 8,
    counts: tuple[int, ...] = (1, 2, 3, 4),
    spacings: int = 4,
    masks: Sequence[str] = (),
) -> Study:
    """Every tumour (generated, or of ``masks``) with every number and spacing of probes."""
    return Study(
        "Probe count and spacing against coverage, kidney tumours",
        PythonTask(str(Path(__file__).resolve()), "coverage"),
        tuple(Case(f"tumour {n}", s) for n, s in enumerate(masks or map(str, range(tumours)))),
        (
            Factor("probes", choices=tuple(float(n) for n in counts)),
            Factor("spacing_mm", low=10.0, high=25.0, levels=spacings),
        ),
        Design(),
    )


def run(study: Study, folder: Path) -> dict[tuple[int, float], float]:
    """(probes, spacing in mm) -> mean coverage of target + 5 mm in percent over the tumours."""
    run_study(study, folder)
    found: dict[tuple[int, float], list[float]] = {}
    with (folder / "table.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = int(float(row["probes"])), float(row["spacing_mm"])
            if row["status"] == "done":
                found.setdefault(key, []).append(float(row["target_and_5mm_covered_percent"]))
            else:
                print(f"{row['case']}: {row['message']}")
    return {key: float(np.mean(values)) for key, values in found.items()}


def draw(found: dict[tuple[int, float], float]) -> Figure:
    """Mean coverage over spacing, a line a number of probes."""
    counts, spacings = dict.fromkeys(k[0] for k in found), dict.fromkeys(k[1] for k in found)
    with style.styled():
        figure = style.new_figure(6.0, 3.4)
        axis = figure.subplots()
        for count in counts:
            values = [found[count, s] for s in spacings]
            axis.plot(list(spacings), values, "o-", label=f"{count} probe" + "s" * (count > 1))
        axis.set(
            title="Kidney tumours, 10-8-10 min", xlabel="between neighbours (mm)",
            ylabel="target + 5 mm covered (%)", ylim=(0, 105),
        )  # fmt: skip
        axis.legend(loc="lower center", ncols=len(counts))
    return figure


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = run(setup(masks=sys.argv[1:]), Path(folder))
    for (count, spacing), percent in found.items():
        print(f"{count} probes, {spacing:4.1f} mm apart: {percent:5.1f} % of target + 5 mm")
    draw(found).savefig("study_probe_spacing.png")
