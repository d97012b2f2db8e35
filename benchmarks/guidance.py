"""Figures of guidance: views, overlay, line integrals, live readings, achieved margins.

``python -m benchmarks.guidance`` prints them; with ``--rtk PYTHON`` (an interpreter that has
itk-rtk 2.7, which is no dependency) projection and line integrals are held against RTK's.
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import arguments, report, row
from irplan.geometry import CArm, Grid, Needle
from irplan.geometry.patient_position import PATIENT_POSITIONS, positioner_angles
from irplan.guidance import GENERIC_SYSTEM, LiveCheck, find_views
from irplan.guidance.views import bulls_eye_directions
from irplan.image import LabelMap, structure
from irplan.image.line_integrals import line_integrals

#: What is asked of these figures.
LIMITS: dict[str, float] = {
    "entry-tip distance, exact: largest, px": 0.1,
    "angles against the closed form, 8 positions: largest, deg": 0.01,
    "overlay against RTK, 21 poses x 300 points: largest, px": 0.1,
}

ISO = (12.0, -30.0, 45.0)

#: Run by the interpreter of ``--rtk``: a ball and random points through RTK's geometry.  RTK's
#: frame is DICOM's LPS turned so that its source starts on +z; the matrix of each pose is taken
#: from source, detector and axes alone (AddProjection of four vectors).
_RTK = r"""
import json, sys
import itk, numpy as np
from itk import RTK as rtk
given = json.load(open(sys.argv[1]))
out = []
for arm in given["arms"]:
    geometry = rtk.ThreeDCircularProjectionGeometry.New()
    ends = [itk.Point[itk.D, 3](arm[k]) for k in ("source", "centre")]
    axes = [itk.Vector[itk.D, 3](arm[k]) for k in ("right", "down")]
    ok = geometry.AddProjection(*ends, *axes)
    if not ok:
        raise SystemExit("RTK refused a pose")
    m = itk.array_from_matrix(geometry.GetMatrix(0))
    p = np.c_[np.array(given["points"]), np.ones(len(given["points"]))] @ m.T
    row = {"uv_mm": (p[:, :2] / p[:, 2:]).tolist()}
    if arm is given["arms"][0]:
        a = np.load(sys.argv[2])
        image = itk.image_from_array(a["field"])
        image.SetSpacing([float(v) for v in a["spacing"]])
        image.SetOrigin([float(v) for v in a["origin"]])
        n = arm["shape"]
        stack = rtk.ConstantImageSource[itk.Image[itk.F, 3]].New()
        s = arm["spacing"]
        stack.SetSize([n[1], n[0], 1])
        stack.SetSpacing([s[1], s[0], 1.0])
        stack.SetOrigin([-0.5 * (n[1] - 1) * s[1], -0.5 * (n[0] - 1) * s[0], 0.0])
        f = rtk.JosephForwardProjectionImageFilter[itk.Image[itk.F, 3], itk.Image[itk.F, 3]].New()
        f.SetInput(0, stack.GetOutput())
        f.SetInput(1, image)
        f.SetGeometry(geometry)
        f.Update()
        row["projection"] = itk.array_from_image(f.GetOutput())[0].tolist()
    out.append(row)
json.dump(out, open(sys.argv[3], "w"))
"""


def _needles(count: int, seed: int) -> list[Needle]:
    """Tips to 60 mm off the isocentre, 60 to 150 mm deep, directions within 44 deg of axial."""
    rng = np.random.default_rng(seed)
    out: list[Needle] = []
    while len(out) < count:
        off = rng.uniform(-60, 60, 3)
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        if np.linalg.norm(off) <= 60 and abs(way[2]) < 0.7:
            tip = np.array(ISO) + off
            out.append(Needle(tuple(tip), tuple(tip + way * rng.uniform(60, 150))))
    return out


def views(count: int = 500) -> dict[str, float]:
    """Bull's-eye against the closed form and the parallel beam."""
    from dataclasses import replace

    wide = replace(
        GENERIC_SYSTEM, primary_limits_deg=(-180.0, 180.0), secondary_limits_deg=(-90.0, 90.0)
    )
    exact, parallel, closed, right_angle, seconds = [], [], [], [], []
    for needle in _needles(count, 11):
        deep, _ = bulls_eye_directions(needle, ISO, wide.source_isocentre_mm)
        arm = wide.pose(*positioner_angles(deep), ISO, "HFS")
        exact.append(math.dist(*arm.project([needle.entry_mm, needle.tip_mm])))
        flat = wide.pose(*positioner_angles(-needle.direction), ISO, "HFS")
        seen = flat.project([needle.entry_mm, needle.tip_mm])
        parallel.append(math.dist(*seen) * wide.pixel_spacing_mm[0])
    for n, needle in enumerate(_needles(80, 12)):
        position = sorted(PATIENT_POSITIONS)[n % 8]
        at_iso = Needle(ISO, tuple(np.add(ISO, 100.0 * -needle.direction)))
        start = time.perf_counter()
        found = find_views(at_iso, wide, isocentre_mm=ISO, patient_position=position)
        seconds.append(time.perf_counter() - start)
        d = found.bulls_eye.c_arm.direction
        way = at_iso.direction if d @ at_iso.direction > 0 else -at_iso.direction
        a, b = math.atan2(way[0], -way[1]), math.asin(way[2])
        arm = found.bulls_eye.c_arm
        closed.append(abs(math.degrees(b) - arm.secondary_deg))
        turn = (math.degrees(a) - arm.primary_deg + 180.0) % 360.0 - 180.0
        closed.append(abs(turn) * math.cos(b))
        right_angle += [abs(v.off_deg - 90.0) for v in found.progress]
    return {
        "entry-tip distance, exact: largest, px": max(exact),
        "entry-tip distance, parallel beam: median, mm": float(np.median(parallel)),
        "entry-tip distance, parallel beam: largest, mm": max(parallel),
        "angles against the closed form, 8 positions: largest, deg": max(closed),
        "progress off the right angle: largest, deg": max(right_angle),
        "find_views: median, ms": 1000.0 * float(np.median(seconds)),
    }


def live(count: int = 2000) -> dict[str, float]:
    """Time of a reading in a label map of 512 x 512 x 130 voxels."""
    grid = Grid.from_spacing((130, 512, 512), (2.0, 0.75, 0.75), (-190.0, -190.0, -130.0))
    array = np.ones(grid.shape, np.uint8)
    array[:, 300:310] = structure("bone").value
    labels = LabelMap(array, grid, (structure("body"), structure("bone")))
    check = LiveCheck(Needle((0, 0, 0), (0, -100, 0)), labels=labels)
    rng = np.random.default_rng(5)
    times, own = [], []
    for _ in range(count):
        tip, way = rng.uniform(-60, 60, 3), rng.normal(size=3)
        start, used = time.perf_counter(), time.thread_time()
        check.read(tip, way)
        own.append(1000.0 * (time.thread_time() - used))
        times.append(1000.0 * (time.perf_counter() - start))
    return {
        "live reading, processor time: 99 %, ms": float(np.percentile(own, 99)),
        "live reading: median, ms": float(np.median(times)),
        "live reading: 99 %, ms": float(np.percentile(times, 99)),
        "live reading: longest, ms": max(times),
    }


def rtk(python: str) -> dict[str, float]:
    """Overlay positions and line integrals against RTK's geometry and Joseph projector."""
    rng = np.random.default_rng(8)
    points = np.array(ISO) + rng.uniform(-90, 90, (300, 3))
    arms = [
        CArm(785.0, 1200.0, ISO, float(a), float(b), (240, 310), (1.2, 1.2), "HFS")
        for a, b in [(30.0, -15.0), *zip(rng.uniform(-170, 170, 20), rng.uniform(-60, 60, 20),
                                         strict=True)]
    ]  # fmt: skip
    spacing = np.array([1.5, 1.2, 1.2])
    grid = Grid.from_spacing((70, 90, 90), spacing, np.array(ISO) - (53.4, 53.4, 51.75))
    at = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1)) - np.array(ISO)
    depth = 40.0 - np.linalg.norm(at, axis=-1)
    field = (np.clip(0.5 + depth, 0, 1) * 0.02 + 0.01 * (np.abs(at[..., 0]) < 12)).astype("f4")
    poses = []
    for arm in arms:
        right, down = arm.detector_axes
        poses.append({
            "source": arm.source_mm.tolist(), "centre": arm.detector_centre_mm.tolist(),
            "right": right.tolist(), "down": down.tolist(), "shape": arm.detector_shape,
            "spacing": arm.pixel_spacing_mm,
        })  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.json").write_text(json.dumps({"arms": poses, "points": points.tolist()}))
        np.savez(folder / "in.npz", field=field, spacing=spacing[::-1], origin=grid.affine[:3, 3])
        (folder / "rtk.py").write_text(_RTK)
        subprocess.run(
            [python, str(folder / "rtk.py"), str(folder / "in.json"), str(folder / "in.npz"),
             str(folder / "out.json")], check=True,
        )  # fmt: skip
        rows = json.loads((folder / "out.json").read_text())
    worst = 0.0
    for arm, theirs_of in zip(arms, rows, strict=True):
        n, s = arm.detector_shape, arm.pixel_spacing_mm
        uv = np.array(theirs_of["uv_mm"])
        pixel = uv / (s[1], s[0]) + (0.5 * (n[1] - 1), 0.5 * (n[0] - 1))
        worst = max(worst, float(np.abs(pixel - arm.project(points)).max()))
    theirs: NDArray[np.float64] = np.array(rows[0]["projection"])
    start = time.perf_counter()
    ours = line_integrals(field, grid, arms[0])
    seconds = time.perf_counter() - start
    gap = np.abs(ours - theirs)
    return {
        "overlay against RTK, 21 poses x 300 points: largest, px": worst,
        "line integrals against RTK's Joseph: largest, % of the maximum": 100.0
        * float(gap.max() / theirs.max()),
        "line integrals against RTK's Joseph: mean, % of the maximum": 100.0
        * float(gap.mean() / theirs.max()),
        "line integrals 240 x 310 rays, 70 x 90 x 90 voxels, s": seconds,
    }


def main() -> None:
    """Print every figure."""
    parser = arguments(__doc__)
    parser.add_argument("--rtk", metavar="PYTHON", help="interpreter with itk-rtk")
    given = parser.parse_args()
    rows = {**views(), **live()}
    if given.rtk:
        rows |= rtk(given.rtk)
    units = {"ms": "ms", "px": "px", "mm": "mm", "deg": "deg", "s": "s"}
    shown = [
        row(n, v, units.get(n.rsplit(", ", 1)[-1], ""), f"<= {LIMITS[n]:g}", v <= LIMITS[n])
        if n in LIMITS
        else row(n, v, units.get(n.rsplit(", ", 1)[-1], ""))
        for n, v in rows.items()
    ]
    if not given.rtk:
        shown.append(row("overlay and line integrals against RTK: --rtk not given", "not run"))
    report("Guidance", shown, json_file=given.json)


if __name__ == "__main__":
    main()
