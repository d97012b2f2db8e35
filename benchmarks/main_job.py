"""The main job, timed and checked against masks that the planner never saw.

    python -m benchmarks.main_job [--tumour 07 ...] [--data DIR] [--warm] [--json FILE]

Runs ``irplan demo`` and, for each tumour, ``irplan plan`` on 3D-IRCADb-01 patient 1 in a fresh
process with an empty kernel cache (``--warm``: with compiled kernels), and prints wall time, peak
memory, minimal margin and coverage.  Every needle is then marched in 0.25 mm steps through the
*manual* masks of the case by code of its own (pydicom and a dictionary of slices, no irplan), and
the same plan is made twice to compare bytes.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from benchmarks.measure import arguments, report, row, run

FORBIDDEN = ("bone", "leftlung", "rightlung", "portalvein", "venoussystem", "artery")
#: Manual vessel masks hold branches of every size; a needle may cross those under 3 mm calibre.
VESSELS = ("portalvein", "venoussystem", "artery")


def extract(data: Path, names: tuple[str, ...], to: Path) -> None:
    with zipfile.ZipFile(data / "MASKS_DICOM.zip") as archive:
        for member in archive.namelist():
            if member.split("/")[1] in names:
                archive.extract(member, to)


def manual_mask(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boolean (slice, row, column), origin (x, y, z) and spacing (x, y, z), read plainly."""
    files = [pydicom.dcmread(p) for p in folder.iterdir() if p.is_file()]
    files.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    z = [float(d.ImagePositionPatient[2]) for d in files]
    spacing = files[0].PixelSpacing
    array = np.stack([d.pixel_array != 0 for d in files])
    origin = np.array([float(v) for v in files[0].ImagePositionPatient])
    return (
        array,
        origin,
        np.array([float(spacing[1]), float(spacing[0]), (z[-1] - z[0]) / (len(z) - 1)]),
    )


def wide_parts(mask: np.ndarray, spacing: np.ndarray, calibre_mm: float) -> np.ndarray:
    """The parts of a vessel mask that hold a ball of that calibre (opening)."""
    from scipy.ndimage import distance_transform_edt

    size = spacing[::-1]
    core = distance_transform_edt(mask, sampling=size) >= calibre_mm / 2
    if not core.any():
        return core
    return mask & (distance_transform_edt(~core, sampling=size) <= calibre_mm / 2)


def needle_points(plan: dict[str, Any], step_mm: float = 0.25) -> np.ndarray:
    """(n, 3) LPS points every ``step_mm`` along every needle."""
    points = []
    for placement in plan["placements"]:
        entry = np.array(placement["needle"]["entry_mm"])
        tip = np.array(placement["needle"]["tip_mm"])
        steps = math.ceil(float(np.linalg.norm(tip - entry)) / step_mm)
        points.append(entry + np.linspace(0, 1, steps + 1)[:, None] * (tip - entry))
    return np.concatenate(points)


def crossings(plan: dict[str, Any], folder: Path) -> dict[str, float]:
    """Millimetres of needle inside each forbidden manual mask (vessels: calibre >= 3 mm only)."""
    points = needle_points(plan)
    found: dict[str, float] = {}
    for name in FORBIDDEN:
        mask, origin, spacing = manual_mask(folder / "MASKS_DICOM" / name)
        index = np.rint((points - origin) / spacing).astype(int)[:, ::-1]
        index = index[np.all((index >= 0) & (index < mask.shape), axis=1)]
        low = np.maximum(index.min(axis=0) - np.ceil(8.0 / spacing[::-1]).astype(int), 0)
        high = index.max(axis=0) + np.ceil(8.0 / spacing[::-1]).astype(int) + 1
        near = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        if name in VESSELS:
            near = wide_parts(near, spacing, 3.0)
        found[name] = 0.25 * float(near[tuple((index - low).T)].sum())
    return found


def plan_rows(tumour: str, data: Path, work: Path, env: dict[str, str]) -> list[dict[str, Any]]:
    out = work / f"out{tumour}"
    mask = f"livertumor{tumour}"
    extract(data, (mask, *FORBIDDEN), work)
    command = [
        sys.executable, "-c", "from irplan.cli import main; main()", "plan",
        str(data / "PATIENT_DICOM"), "--target-mask", str(work / "MASKS_DICOM" / mask),
        "-o", str(out), "--json", "--quiet",
    ]  # fmt: skip
    done = run(command, env=env)
    if done.code != 0:
        print(done.stderr)
        return [row(f"tumour {tumour}: exit code", done.code, "", 0, False)]
    result = json.loads(done.stdout)
    plan = json.loads((out / "plan.json").read_text())
    again = run([*command[:-4], "-o", str(work / "again"), "--json", "--quiet", "--no-3d"], env=env)
    same = (
        again.code == 0
        and (work / "again/plan.json").read_bytes() == (out / "plan.json").read_bytes()
    )
    margin = result["minimal_margin_mm"]
    rows = [
        row(f"tumour {tumour}: whole command", done.wall_s, "s", 60, done.wall_s <= 60),
        row(f"tumour {tumour}: peak memory", done.peak_mb, "MB", 4096, done.peak_mb <= 4096),
        row(f"tumour {tumour}: probes ({result['applicator']})", result["probes"]),
        row(f"tumour {tumour}: minimal margin", margin, "mm", ">= 5", margin >= 5.0),
        row(f"tumour {tumour}: target covered", 100 * result["target_coverage"], "%"),
        row(f"tumour {tumour}: same seed, same bytes", str(same), "", "", same),
    ]
    for name, length in crossings(plan, work).items():
        rows.append(row(f"tumour {tumour}: needle in manual {name}", length, "mm", 0, length == 0))
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tumour", nargs="*", default=["07"], help="two digits, as in the archive")
    default = Path(os.environ.get("IRPLAN_DATA", "../shared/data")) / "ircadb01_p1"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--warm", action="store_true", help="keep the compiled kernels")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        env = {} if options.warm else {"NUMBA_CACHE_DIR": str(work / "numba-demo")}
        demo = run(
            [sys.executable, "-c", "from irplan.cli import main; main()", "demo", "-o",
             str(work / "demo"), "--quiet"], env=env,
        )  # fmt: skip
        rows.append(row("demo: whole command", demo.wall_s, "s", 30, demo.wall_s <= 30))
        rows.append(row("demo: peak memory", demo.peak_mb, "MB", 4096, demo.peak_mb <= 4096))
        rows.append(row("demo: exit code", demo.code, "", 0, demo.code == 0))
        if not options.data.exists():
            print(f"not run: the real case is not at {options.data} (set IRPLAN_DATA)")
            options.tumour = []
        for tumour in options.tumour:
            env = {} if options.warm else {"NUMBA_CACHE_DIR": str(work / f"numba-{tumour}")}
            rows += plan_rows(tumour, options.data, work, env)
    report(
        "The main job, "
        + ("kernels compiled before" if options.warm else "first run, kernels compiled in it"),
        rows,
        json_file=options.json,
    )


if __name__ == "__main__":
    main()
