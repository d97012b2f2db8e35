"""Vessels inside the liver, fast and fine: what is found, by diameter and tree, and what is false.

    python -m benchmarks.segmentation_vessels [--seed N] [--first K] [--count N] [--modes MODE ...]
        [--no-real] [--json FILE] [--add]

Phantoms: members of `irplan.phantom.family` in the portal phase, with 0.8 mm pixels and their own
slices, noise, kernel and disease (``--noise``, ``--kernel``, ``--slices``, ``--phase`` set one of
these); they are given their true liver, so that nothing but vessels is judged.  Constants are
chosen on seeds below 302, which is the one that is reported.  The true
centrelines are those that the phantom was drawn from, a point every half millimetre.  The real
scan (3D-IRCADb-01 patient 1 of ``IRPLAN_DATA``, its own manual liver) is looked at, never tuned on;
its centrelines are the thinned manual masks (portal vein and venous system), cut by the liver.

Columns: Dice; share of what is found that is true; recall of the volume and of the centreline
(points inside the mask); centreline recall by true diameter (bins in mm) and by tree; volume found
over true volume; ``far``: ml found more than 2 mm from any vessel, and how much of it lies within
5 mm of the liver's surface and of lesions; ``sinks``: share of the centreline of each diameter that
is kept as a large vessel (opening of 3 mm), which planning takes for a heat sink.
"""

from __future__ import annotations

import dataclasses
import io
import json
import time
import zipfile
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

from benchmarks.measure import arguments, machine
from benchmarks.segmentation_cases import REAL, data_folder, load
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.phantom import family
from irplan.phantom.anatomy import draw_anatomy
from irplan.phantom.tissues import Phase
from irplan.phantom.variant import Kernel
from irplan.planning.obstacles import large_vessels
from irplan.segmentation import dice, segment_liver_vessels
from irplan.segmentation.morphology import box_of

PIXEL_MM = 0.8
#: Edges of the bins of true diameter, mm.
BINS_MM = (0.0, 2.5, 3.0, 4.0, 6.0, 30.0)
RULE_MM = 3.0
MARGIN_MM = 20.0
VEINS = ("portal_vein", "hepatic_vein", "vessel", "artery")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """Crop round the liver: CT, liver, vessels, lesions (bool), centreline points with diameters.

    ``points_mm`` (N, 3) LPS, ``diameter_mm`` (N,), ``tree`` (N,) 0 portal, 1 hepatic (or venous).
    """

    name: str
    note: str
    volume: Volume
    liver: NDArray[np.bool_]
    vessels: NDArray[np.bool_]
    lesions: NDArray[np.bool_]
    points_mm: NDArray[np.float64]
    diameter_mm: NDArray[np.float64]
    tree: NDArray[np.int64]


def phantom_case(
    seed: int,
    k: int,
    *,
    noise_hu: float | None = None,
    kernel: Kernel | None = None,
    slice_mm: float | None = None,
    phase: Phase = "portal",
) -> Case:
    """Member ``k`` of the family of ``seed``, with another technique where one is given."""
    member = family(k + 1, seed)[k]
    drawn = dataclasses.replace(member.settings, phase=phase)
    if noise_hu is not None:
        drawn = dataclasses.replace(drawn, noise_hu=noise_hu)
    if kernel is not None:
        variant = dataclasses.replace(drawn.variant, kernel=kernel)
        drawn = dataclasses.replace(drawn, variant=variant)
    if slice_mm is not None:
        drawn = dataclasses.replace(drawn, spacing_mm=(slice_mm, *drawn.spacing_mm[1:]))
    member = dataclasses.replace(member, settings=drawn)
    made = member.make(spacing_mm=(drawn.spacing_mm[0], PIXEL_MM, PIXEL_MM))
    anatomy = draw_anatomy(
        drawn.seed, liver_ml=drawn.liver_ml, body_width_mm=drawn.body_width_mm,
        fat_mm=drawn.fat_mm, variant=drawn.variant,
    )  # fmt: skip
    trees = (anatomy.liver_vessels.portal, *anatomy.liver_vessels.hepatic)
    points, diameters, kinds = [], [], []
    for n, tree in enumerate(trees):
        for tube in tree.tubes().astype(np.float64):
            count = max(1, round(float(np.linalg.norm(tube[3:6] - tube[:3])) / 0.5))
            t = (np.arange(count) + 0.5)[:, None] / count
            points.append((1.0 - t) * tube[:3] + t * tube[3:6])
            diameters.append(2.0 * ((1.0 - t) * tube[6] + t * tube[7])[:, 0])
            kinds.append(np.full(count, min(n, 1)))
    labels = made.labels
    return _cropped(
        Case(
            f"phantom {seed}/{k}", member.words, made.volume, made.organ,
            labels.mask(*VEINS) & made.organ, labels.mask("tumour"),
            np.concatenate(points), np.concatenate(diameters), np.concatenate(kinds),
        )
    )  # fmt: skip


def real_case() -> Case:
    """3D-IRCADb-01 patient 1: manual liver, portal vein and venous system."""
    liver = load(REAL[0])
    masks = {}
    with zipfile.ZipFile(data_folder() / REAL[0] / "MASKS_DICOM.zip") as archive:
        lesions = [f"livertumor{n:02d}" for n in range(1, 8)]
        for name in ("portalvein", "venoussystem", *lesions):
            members = [n for n in archive.namelist() if f"/{name}/" in n and not n.endswith("/")]
            read = [pydicom.dcmread(io.BytesIO(archive.read(n))) for n in members]
            read.sort(key=lambda d: float(d.ImagePositionPatient[2]))
            masks[name] = np.stack([d.pixel_array != 0 for d in read])
    grid = liver.volume.grid
    points, diameters, kinds = [], [], []
    for n, name in enumerate(("portalvein", "venoussystem")):
        # Thinned whole, cut afterwards: thinning what the liver cut off bends its ends.
        depth = ndimage.distance_transform_edt(masks[name], grid.spacing_mm)
        line = skeletonize(masks[name]) & liver.liver
        points.append(grid.index_to_lps(np.argwhere(line).astype(np.float64)))
        diameters.append(2.0 * depth[line])
        kinds.append(np.full(int(line.sum()), n))
    lesion = np.any([masks[n] for n in lesions], axis=0)
    return _cropped(
        Case(
            REAL[0], "manual masks; diameters are twice the depth of the thinned mask's voxels",
            liver.volume, liver.liver, (masks["portalvein"] | masks["venoussystem"]) & liver.liver,
            lesion, np.concatenate(points), np.concatenate(diameters), np.concatenate(kinds),
        )
    )  # fmt: skip


def _cropped(case: Case) -> Case:
    """The box of the liver with a margin; points outside the vessels in it are dropped."""
    grid = case.volume.grid
    part = box_of(case.liver, [int(MARGIN_MM / s) + 1 for s in grid.spacing_mm])
    small = case.volume.crop([s.start for s in part], [s.stop - s.start for s in part])
    vessels = case.vessels[part]
    keep = at_points(vessels, small.grid, case.points_mm)
    return dataclasses.replace(
        case, volume=small, liver=case.liver[part], vessels=vessels, lesions=case.lesions[part],
        points_mm=case.points_mm[keep], diameter_mm=case.diameter_mm[keep], tree=case.tree[keep],
    )  # fmt: skip


def at_points(
    mask: NDArray[np.bool_], grid: Grid, points_mm: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether the voxel nearest to each point is set; False outside the grid."""
    index = np.rint(grid.lps_to_index(points_mm)).astype(np.int64)
    inside = np.all((index >= 0) & (index < mask.shape), axis=1)
    out = np.zeros(len(index), dtype=bool)
    out[inside] = mask[tuple(index[inside].T)]
    return out


def score(case: Case, found: NDArray[np.bool_]) -> dict[str, Any]:
    """The columns of the module's table for one mask."""
    grid = case.volume.grid
    ml = grid.voxel_volume_mm3 / 1000.0
    true, both = case.vessels, case.vessels & found
    hit = at_points(found, grid, case.points_mm)
    large = at_points(large_vessels(found, grid, RULE_MM), grid, case.points_mm)
    far = found & (ndimage.distance_transform_edt(~true, grid.spacing_mm) > 2.0)
    rim = case.liver & (ndimage.distance_transform_edt(case.liver, grid.spacing_mm) < 5.0)
    near = np.zeros_like(far)
    if case.lesions.any():
        near = ndimage.distance_transform_edt(~case.lesions, grid.spacing_mm) < 5.0
    which = np.digitize(case.diameter_mm, BINS_MM[1:-1])
    bins = [which == n for n in range(len(BINS_MM) - 1)]

    def mean(values: NDArray[np.bool_]) -> float:
        return float(values.mean()) if values.size else float("nan")

    return {
        "dice": dice(found, true), "precision": float(both.sum() / max(1, found.sum())),
        "recall": float(both.sum() / true.sum()), "line": mean(hit),
        "by_diameter": [mean(hit[b]) for b in bins],
        "by_tree": [mean(hit[case.tree == n]) for n in (0, 1)],
        "volume": float(found.sum() / true.sum()), "true_ml": float(true.sum() * ml),
        "far_ml": float(far.sum() * ml), "far_rim_ml": float((far & rim).sum() * ml),
        "far_lesion_ml": float((far & near).sum() * ml),
        "sinks": [mean(large[b]) for b in bins],
    }  # fmt: skip


def line_of(row: dict[str, Any]) -> str:
    """One row of the table as text."""

    def few(values: list[float]) -> str:
        return " ".join("  -" if np.isnan(v) else f"{100 * v:3.0f}" for v in values)

    return (
        f"{row['case']:<17} {row['mode']:<5} Dice {row['dice']:.3f} precision "
        f"{row['precision']:.2f} recall {row['recall']:.2f} line {row['line']:.3f} by mm "
        f"[{few(row['by_diameter'])}] by tree [{few(row['by_tree'])}] volume {row['volume']:.2f} "
        f"far {row['far_ml']:.1f} ml (rim {row['far_rim_ml']:.1f}, lesion "
        f"{row['far_lesion_ml']:.1f}) sinks [{few(row['sinks'])}] {row['seconds']:.1f} s"
        f"{'' if row.get('complete', True) else ' IN PART'}"
    )


def summary(rows: list[dict[str, Any]]) -> str:
    """Means over the phantoms, one line a mode."""
    out = []
    for mode in dict.fromkeys(r["mode"] for r in rows):
        mine = [r for r in rows if r["mode"] == mode and r["case"] != REAL[0]]
        if not mine:
            continue
        mean: dict[str, Any] = {"case": f"mean of {len(mine)}", "mode": mode}
        for key, value in mine[0].items():
            if isinstance(value, float):
                mean[key] = float(np.mean([r[key] for r in mine]))
            elif isinstance(value, list):
                mean[key] = np.nanmean([r[key] for r in mine], axis=0).tolist()
        out.append(line_of(mean))
    return "\n".join(out)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seed", type=int, default=302)
    parser.add_argument("--first", type=int, default=0, help="number of the first member")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--modes", nargs="*", default=["fast", "fine"])
    parser.add_argument("--noise", type=float, help="SD, HU")
    parser.add_argument("--kernel", choices=["soft", "standard", "sharp"])
    parser.add_argument("--slices", type=float, help="mm")
    parser.add_argument("--phase", default="portal", choices=["portal", "delayed", "arterial"])
    parser.add_argument("--no-real", action="store_true", help="phantoms only")
    parser.add_argument("--add", action="store_true", help="keep the rows that --json holds")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.add and options.json is not None and options.json.exists():
        rows = json.loads(options.json.read_text())["rows"]
    done = {r["case"] for r in rows}
    wanted: list[int | None] = [*range(options.first, options.first + options.count)]
    if not options.no_real and (data_folder() / REAL[0]).is_dir():
        wanted.append(None)
    for k in wanted:
        if (REAL[0] if k is None else f"phantom {options.seed}/{k}") in done:
            continue
        case = real_case() if k is None else phantom_case(
            options.seed, k, noise_hu=options.noise, kernel=options.kernel,
            slice_mm=options.slices, phase=options.phase,
        )  # fmt: skip
        print(f"{case.name}: {case.note}; {case.vessels.sum()} voxels of vessel", flush=True)
        for mode in options.modes:
            started = time.perf_counter()
            finding = segment_liver_vessels(case.volume, case.liver, mode=mode)
            seconds = time.perf_counter() - started
            if finding.mask is None:
                print(f"{case.name} {mode}: {finding.note}", flush=True)
                finding = dataclasses.replace(finding, mask=np.zeros_like(case.liver))
            rows.append({"case": case.name, "mode": mode, "seconds": seconds,
                         "complete": finding.complete, **score(case, finding.mask)})  # fmt: skip
            print(line_of(rows[-1]), flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    print(summary(rows))


if __name__ == "__main__":
    main()
