"""The liver by irplan and by general-purpose peers, on the same case in one run.

    python -m benchmarks.segmentation [--cases NAME ...] [--only NAME ...]
        [--json FILE] [--markdown FILE]

Without ``--cases``: the real scans of ``IRPLAN_DATA`` that are there, and one phantom.

irplan gets nothing but the scan: automatic, the paper's plain method (``wu2016``), and 3 and 10
ideal clicks, each in the middle of the largest remaining error.  The peers know no anatomy, so
they are *given* what irplan has to find: seeds made from the reference itself, the liver eroded
by 12 mm as foreground (largest part), and what lies more than 12 mm outside it as background.
That is far more than a user gives.  They run at 3 mm (scikit-image's masked SLIC takes minutes at
the scan's own voxels), and their masks are brought back to the scan's grid by linear interpolation
at one half, as irplan's working masks are:

- scikit-image: SLIC (about 8 mm, compactness 0.1 on HU clipped to -100..250), then the random
  walker (conjugate gradients) on the 3 mm voxels between the seeds, each voxel holding the mean
  of its supervoxel and itself in equal parts;
- SimpleITK: threshold level set (mean +- 2.5 SD of the seed's smoothed intensities) from the
  seed, and a geodesic active contour from the same seed grown by 9 mm.

Each method runs in a process of its own.  Wall time is without import and loading, with kernels
compiled before; memory is the process's peak.  Ratio: time over irplan's automatic result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.measure import arguments, machine
from benchmarks.measure import load as load_average
from benchmarks.segmentation_cases import REAL, Case, data_folder, load
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.image.resample import resample_volume
from irplan.segmentation import LiverSession, compare_masks, segment_liver

PEER_MM = 3.0
SEED_MM = 12.0
METHODS = (
    "irplan, automatic",
    "irplan, wu2016",
    "irplan, 3 clicks",
    "irplan, 10 clicks",
    "scikit-image SLIC + random walker",
    "SimpleITK threshold level set",
    "SimpleITK geodesic active contour",
)
LONGEST_S = 170.0


def ideal_click(
    volume: Volume, found: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> tuple[list[float], bool]:
    """The deepest point of the largest wrong region, and whether it is liver."""
    best: tuple[float, NDArray[np.int64], bool] | None = None
    step = volume.grid.spacing_mm
    box = ndimage.find_objects(ndimage.binary_dilation(found | truth).view(np.uint8))[0]
    first = np.array([b.start for b in box])
    for wrong, inside in ((truth & ~found, True), (found & ~truth, False)):
        depth = ndimage.distance_transform_edt(wrong[box], step)
        labels, count = ndimage.label(depth > 2.5)  # rims are no region
        if count == 0:
            continue
        sizes = np.bincount(labels.reshape(-1))
        sizes[0] = 0
        k = int(sizes.argmax())
        at = np.unravel_index(int(np.argmax(np.where(labels == k, depth, 0.0))), depth.shape)
        if best is None or sizes[k] > best[0]:
            best = (float(sizes[k]), first + np.array(at), inside)
    if best is None:
        raise LookupError("no region of error deeper than 2.5 mm is left")
    return [float(v) for v in volume.grid.index_to_lps(best[1])], best[2]


def with_clicks(case: Case, count: int) -> tuple[NDArray[np.bool_], float, str]:
    """Mask after up to ``count`` ideal clicks, seconds in all, and the seconds of the slowest."""
    started = time.perf_counter()
    session = LiverSession.start(case.volume)
    total = time.perf_counter() - started
    walls = []
    for _ in range(count):
        try:
            point, inside = ideal_click(case.volume, session.result.mask, case.liver)
        except LookupError:
            break
        started = time.perf_counter()
        session = session.click(point, inside)
        walls.append(time.perf_counter() - started)
    slowest = max(walls, default=0.0)
    return session.result.mask, total + sum(walls), f"{len(walls)} clicks, slowest {slowest:.2f} s"


def peer_image(
    case: Case,
) -> tuple[NDArray[np.float32], Grid, NDArray[np.bool_], NDArray[np.bool_]]:
    """The scan at 3 mm, its grid, and the seeds inside and outside."""
    grid = case.volume.grid.resized(PEER_MM)
    hu = resample_volume(case.volume, grid, outside=-1024.0).array.astype(np.float32)
    soft = Volume(case.liver.astype(np.float32), case.volume.grid, "1")
    liver = resample_volume(soft, grid, outside=0.0).array >= 0.5
    spacing = grid.spacing_mm
    inside = ndimage.distance_transform_edt(liver, spacing) > SEED_MM
    labels, count = ndimage.label(inside)
    if count > 1:
        inside = labels == 1 + int(np.bincount(labels.reshape(-1))[1:].argmax())
    outside = ndimage.distance_transform_edt(~liver, spacing) > SEED_MM
    return hu, grid, inside, outside


def back(mask: NDArray[np.bool_], grid: Grid, case: Case) -> NDArray[np.bool_]:
    """A 3 mm mask on the scan's grid."""
    soft = Volume(mask.astype(np.float32), grid, "1")
    out: NDArray[np.bool_] = resample_volume(soft, case.volume.grid, outside=0.0).array >= 0.5
    return out


def random_walk(case: Case) -> tuple[NDArray[np.bool_], float, str]:
    from skimage.segmentation import random_walker, slic

    hu, grid, inside, outside = peer_image(case)
    started = time.perf_counter()
    unknown = ~inside & ~outside
    clipped = np.clip(hu, -100.0, 250.0) / 350.0
    size = 8.0 / PEER_MM
    parts = slic(
        clipped, n_segments=max(2, int(unknown.sum() / size**3)), compactness=0.1,
        mask=unknown, channel_axis=None, start_label=1, max_num_iter=5,
    )  # fmt: skip
    mean = np.bincount(parts.reshape(-1), clipped.reshape(-1)) / np.maximum(
        np.bincount(parts.reshape(-1)), 1
    )
    data = np.where(parts > 0, 0.5 * (mean[parts] + clipped), clipped)
    seeds = np.zeros(hu.shape, dtype=np.int32)
    seeds[inside], seeds[outside] = 1, 2
    # far background is no unknown: leave the walker its neighbourhood only
    box = ndimage.find_objects((ndimage.binary_dilation(~outside, iterations=2)).astype(int))[0]
    walked = random_walker(data[box], seeds[box], beta=400, mode="cg_j", tol=1e-3)
    mask = np.zeros(hu.shape, dtype=bool)
    mask[box] = walked == 1
    seconds = time.perf_counter() - started
    return back(mask, grid, case), seconds, f"{int(parts.max())} supervoxels at {PEER_MM:g} mm"


def level_set(case: Case, geodesic: bool) -> tuple[NDArray[np.bool_], float, str]:
    hu, grid, inside, outside = peer_image(case)
    started = time.perf_counter()
    image = sitk.GetImageFromArray(np.clip(hu, -200.0, 400.0))
    image.SetSpacing([PEER_MM] * 3)
    smooth = sitk.CurvatureFlow(image, 0.06, 8)
    seed = sitk.GetImageFromArray(inside.astype(np.uint8))
    seed.SetSpacing([PEER_MM] * 3)
    start = sitk.Cast(
        sitk.SignedMaurerDistanceMap(seed, squaredDistance=False, useImageSpacing=True),
        sitk.sitkFloat32,
    )
    smooth = sitk.Cast(smooth, sitk.sitkFloat32)
    if geodesic:
        edges = sitk.GradientMagnitudeRecursiveGaussian(smooth, PEER_MM)
        speed = sitk.Sigmoid(edges, alpha=-2.0, beta=7.0, outputMinimum=0.0, outputMaximum=1.0)
        found = sitk.GeodesicActiveContourLevelSet(
            start - 9.0, sitk.Cast(speed, sitk.sitkFloat32), propagationScaling=0.3,
            curvatureScaling=1.0, advectionScaling=3.0, maximumRMSError=0.005,
            numberOfIterations=400,
        )  # fmt: skip
    else:
        values = sitk.GetArrayViewFromImage(smooth)[inside]
        mean, sd = float(values.mean()), max(float(values.std()), 6.0)
        found = sitk.ThresholdSegmentationLevelSet(
            start, smooth, lowerThreshold=mean - 2.5 * sd, upperThreshold=mean + 2.5 * sd,
            maximumRMSError=0.005, propagationScaling=1.0, curvatureScaling=1.0,
            numberOfIterations=400,
        )  # fmt: skip
    mask = sitk.GetArrayFromImage(found) < 0.0
    mask = (mask | inside) & ~outside  # the seeds hold for every peer
    seconds = time.perf_counter() - started
    return back(mask, grid, case), seconds, f"at {PEER_MM:g} mm, from the inner seed"


def solve(method: str, case: Case) -> tuple[NDArray[np.bool_], float, str]:
    """Mask on the scan's grid, seconds, and a remark."""
    if method.startswith("irplan"):
        segment_liver(case.volume)  # kernels are compiled, and loaded, before the clock starts
    if "clicks" in method:
        return with_clicks(case, int(method.split()[1]))
    if method.startswith("irplan"):
        started = time.perf_counter()
        found = segment_liver(case.volume, method="wu2016" if "wu" in method else "priors")
        return found.mask, time.perf_counter() - started, ""
    if "walker" in method:
        return random_walk(case)
    return level_set(case, "geodesic" in method)


def one(method: str, name: str) -> dict[str, Any]:
    """Run one method on one case here and measure it."""
    import resource

    case = load(name)
    mask, seconds, remark = solve(method, case)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    got = compare_masks(mask, case.liver, case.volume.grid)
    return {
        "case": name, "method": method, "dice": got.dice, "voe_percent": got.voe_percent,
        "asd_mm": None if got.surface is None else got.surface.average_mm,
        "hd95_mm": None if got.surface is None else got.surface.hd95_mm,
        "bias_ml": got.bias_ml, "seconds": seconds, "peak_mb": peak, "remark": remark,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one table a case."""
    out = []
    for name in dict.fromkeys(r["case"] for r in rows):
        mine = [r for r in rows if r["case"] == name]
        ours = next((r for r in mine if r["method"] == METHODS[0] and "dice" in r), None)
        out += [
            f"\n{name}\n",
            "| method | Dice | VOE % | ASD mm | HD95 mm | bias ml | s | ratio | MB | remark |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for r in mine:
            if "dice" not in r:
                out.append(f"| {r['method']} | not run: {r['remark']} | | | | | | | | |")
                continue
            ratio = "" if ours is None else f"{r['seconds'] / ours['seconds']:.1f}"
            asd, hd = (
                "" if r[k] is None else f"{r[k]:.{n}f}" for k, n in (("asd_mm", 2), ("hd95_mm", 1))
            )
            out.append(
                f"| {r['method']} | {r['dice']:.3f} | {r['voe_percent']:.1f} | {asd} | {hd} "
                f"| {r['bias_ml']:+.0f} | {r['seconds']:.2f} | {ratio} | {r['peak_mb']:.0f} "
                f"| {r['remark']} |"
            )
    return "\n".join(out) + "\n"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--cases", nargs="*", default=None, help="see benchmarks.segmentation_cases"
    )
    parser.add_argument("--only", nargs="*", default=None, help="methods whose name holds a word")
    parser.add_argument("--markdown", type=Path, default=None, help="write the tables here")
    parser.add_argument("--worker", nargs=2, default=None, metavar=("METHOD", "CASE"),
                        help="one method on one case, JSON to standard output")  # fmt: skip
    options = parser.parse_args()
    if options.worker is not None:
        print(json.dumps(one(*options.worker)))
        return
    cases = options.cases or [*(n for n in REAL if (data_folder() / n).is_dir()), "phantom_00"]
    chosen = [m for m in METHODS if options.only is None or any(w in m for w in options.only)]
    rows: list[dict[str, Any]] = []
    for name in cases:
        for method in chosen:
            command = [sys.executable, "-m", "benchmarks.segmentation", "--worker", method, name]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
            except subprocess.TimeoutExpired:
                rows.append({"case": name, "method": method, "remark": f"over {LONGEST_S:.0f} s"})
                continue
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                rows.append({"case": name, "method": method, "remark": last})
            else:
                rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(rows[-1], f"load average {load_average()}", file=sys.stderr, flush=True)
    text = table(rows)
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
