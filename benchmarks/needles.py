"""Needles in 50 simulated scans (25 CT, 25 cone-beam CT), seeds not tuned on.

python -m benchmarks.needles [--ct A:B] [--cbct A:B] [--records FOLDER] [--scans FOLDER]
    [--json FILE]

With ``--records`` each scan's figures are kept in FOLDER: run it in pieces (``--ct 500:505 --cbct
none``), then whole.  With ``--scans`` the simulated scans are (about 20 MB each; a minute each to
make): another folder of records then measures changed recognition on the same scans in seconds.

Truth is exact: needles are solids, added by their own line integrals (cone-beam) or point spread
(CT).  Scenes: 1 to 4 needles (13 to 18 G; steel, nitinol, titanium), near-parallel, crossing or
free; contrast phases, ribs, clips, spinal rods (CT), a cable and a wire outside the body; noise,
truncation, beam hardening, scatter.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import arguments, kept, report, row, seeds_or_none
from irplan.geometry import Grid, Needle
from irplan.image import Volume
from irplan.phantom import Variant, abdominal_ct
from irplan.phantom.cbct import simulate_cbct
from irplan.phantom.cbct_system import CbctSystem
from irplan.phantom.metal import MetalNeedle
from irplan.phantom.needle_scan import ScanSharpness, scan_with_metal
from irplan.phantom.needle_scene import NeedleScene, draw_needles
from irplan.segmentation.needles import find_needles

#: Seeds from here on are reported; those below 500 were for tuning.
REPORTED = 500
PHASES = ("arterial", "portal", "unenhanced", "delayed")
#: A finding farther than this from every needle's tip is false, mm.
FALSE_MM = 8.0


def ct_scene(seed: int) -> tuple[Volume, NeedleScene]:
    r = np.random.default_rng([seed, 9])
    pixel = float(r.uniform(0.65, 0.9))
    spacing = (float(r.choice([1.0, 1.5, 2.0, 2.5])), pixel, pixel)
    metal = ("none", "none", "clips", "spine")[int(r.integers(4))]
    patient = abdominal_ct(
        1000 + seed, phase=PHASES[seed % 4], spacing_mm=spacing, noise_hu=0.0,
        variant=Variant(metal=metal),
    )  # fmt: skip
    scene = draw_needles(patient.labels, 1 + seed % 4, seed)
    scan = scan_with_metal(
        patient.volume, scene.parts, noise_hu=float(r.uniform(8.0, 30.0)), seed=seed,
        sharpness=ScanSharpness(float(r.uniform(0.9, 1.4))),
    )  # fmt: skip
    return scan, scene


def cbct_scene(seed: int, system: CbctSystem = CbctSystem(views=200)) -> tuple[Volume, NeedleScene]:  # noqa: B008
    patient = abdominal_ct(
        1000 + seed, phase=PHASES[seed % 4], spacing_mm=(2.0, 1.2, 1.2), noise_hu=0.0
    )
    scene = draw_needles(patient.labels, 1 + seed % 4, seed)
    middle = np.mean([m.needle.tip_mm for m in scene.needles], axis=0)
    scan = simulate_cbct(
        patient.volume, isocentre_mm=tuple(middle), system=system, metal=scene.parts,
        voxel_mm=0.9, seed=seed,
    )  # fmt: skip
    return scan.volume, scene


def scan_of(kind: str, seed: int, folder: Path | None) -> tuple[Volume, tuple[MetalNeedle, ...]]:
    """The simulated scan and its needles: from ``folder``, or made (and written there)."""
    file = None if folder is None else folder / f"{kind}_{seed}.npz"
    if file is not None and file.is_file():
        with np.load(file) as data:
            return Volume(data["array"], Grid(data["array"].shape, data["affine"]), "HU"), tuple(
                MetalNeedle(Needle(tuple(r[:3]), tuple(r[3:6])), *map(float, r[6:9]), str(alloy))
                for r, alloy in zip(data["needles"], data["alloys"], strict=True)
            )
    scan, scene = (ct_scene if kind == "CT" else cbct_scene)(seed)
    if file is not None:
        rows = [
            (*n.needle.tip_mm, *n.needle.entry_mm, n.diameter_mm, n.tip_length_mm, n.outside_mm)
            for n in scene.needles
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez_compressed(
            part, array=scan.array, affine=scan.grid.affine, needles=np.array(rows),
            alloys=[n.alloy for n in scene.needles],
        )  # fmt: skip
        part.replace(file)
    return scan, scene.needles


def score(scan: Volume, made_needles: Sequence[MetalNeedle]) -> dict[str, Any]:
    """Seconds, how many needles were missed and false, and each found needle's errors and sd."""
    started = time.perf_counter()
    cpu = time.process_time()
    found = find_needles(scan)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    needles, used = [], set()
    for made in made_needles:
        tip, way = np.array(made.needle.tip_mm), made.needle.direction
        gaps = [float(np.linalg.norm(np.array(n.tip_mm) - tip)) for n in found.needles]
        k = int(np.argmin(gaps)) if gaps else -1
        if k < 0 or gaps[k] > FALSE_MM or k in used:
            continue
        used.add(k)
        n = found.needles[k]
        off = np.array(n.tip_mm) - tip
        along = float(off @ way)
        cosine = float(np.array(n.direction) @ way)
        needles.append({
            "tip_mm": gaps[k],
            "along_mm": along,
            "lateral_mm": float(np.linalg.norm(off - along * way)),
            "angle_deg": float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))),
            "along_sd_mm": n.tip_along_sd_mm,
            "lateral_sd_mm": n.tip_lateral_sd_mm,
            "angle_sd_deg": n.angle_sd_deg,
            "diameter_mm": n.diameter_mm - made.diameter_mm,
            "diameter_sd_mm": n.diameter_sd_mm,
        })  # fmt: skip
    return {
        "needles": needles, "missed": len(made_needles) - len(used),
        "false": len(found.needles) - len(used), "seconds": seconds, "cpu_s": cpu,
    }  # fmt: skip


def table(kind: str, scans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one kind of scan."""
    found = [n for s in scans for n in s["needles"]]
    missed, false = sum(s["missed"] for s in scans), sum(s["false"] for s in scans)
    rows = [
        row(f"{kind}: scans, needles", f"{len(scans)}, {len(found) + missed}"),
        row(f"{kind}: needles missed", missed, "", 0, missed == 0),
        row(f"{kind}: false needles", false, "", 0, false == 0),
    ]
    if not found:
        return rows
    f = {key: np.array([n[key] for n in found]) for key in found[0]}
    median, high = float(np.median(f["tip_mm"])), float(np.percentile(f["tip_mm"], 95))
    off, slow = float(f["angle_deg"].max()), max(s["seconds"] for s in scans)
    rows += [
        row(f"{kind}: tip error, median", median, "mm", 0.5, median <= 0.5),
        row(f"{kind}: tip error, 95 %", high, "mm", 1.0, high <= 1.0),
        row(f"{kind}: tip error, largest", float(f["tip_mm"].max()), "mm"),
        row(f"{kind}: axis error, largest", off, "deg", 0.5, off <= 0.5),
        row(f"{kind}: slowest volume", slow, "s", 5.0, slow <= 5.0),
        row(f"{kind}: slowest volume, processor time", max(s["cpu_s"] for s in scans), "s"),
    ]
    for words, error, sd in (
        ("along", "along_mm", "along_sd_mm"), ("across", "lateral_mm", "lateral_sd_mm"),
        ("angle", "angle_deg", "angle_sd_deg"), ("diameter", "diameter_mm", "diameter_sd_mm"),
    ):  # fmt: skip
        z = np.abs(f[error]) / f[sd]
        shown = f"{100 * (z <= 1).mean():.0f} / {100 * (z <= 2).mean():.0f}"
        rows.append(row(f"{kind}: {words}: within one / two stated sd", shown, "%"))
        rows.append(row(f"{kind}: {words}: root mean square of error over sd",
                        float(np.sqrt((z * z).mean()))))  # fmt: skip
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--ct", type=seeds_or_none, default=range(REPORTED, REPORTED + 25))
    parser.add_argument("--cbct", type=seeds_or_none, default=range(REPORTED, REPORTED + 25))
    parser.add_argument("--records", type=Path, help="keep each scan's figures here")
    parser.add_argument("--scans", type=Path, help="keep the simulated scans here")
    given = parser.parse_args()
    rows = []
    for kind, numbers in (("CT", given.ct), ("CBCT", given.cbct)):
        scans = []
        for seed in numbers:
            s = kept(
                given.records, f"{kind}_{seed}",
                lambda: score(*scan_of(kind, seed, given.scans)),  # noqa: B023
            )  # fmt: skip
            scans.append(s)
            tips = ", ".join(f"{n['tip_mm']:.2f}" for n in s["needles"])
            print(f"  {kind} {seed}: missed {s['missed']}, false {s['false']}, tips {tips} mm, "
                  f"{s['seconds']:.1f} s", flush=True)  # fmt: skip
        if scans:
            rows += table(kind, scans)
    report("Needle recognition, simulated scans", rows, json_file=given.json)


if __name__ == "__main__":
    main()
