"""Registration of a planning CT to simulated cone-beam CT, and 20 provoked failures.

python -m benchmarks.registration [--scenes A:B] [--provoked A:B] [--records FOLDER] [--json FILE]

With ``--records`` each case's figures are kept in FOLDER: run it in pieces (``--scenes 300:303
--provoked none``), then whole.

Target error: mean over 200 points of the tumour against the known motion (rigid to 6 degrees and 25
mm, breathing to 14 mm, squeeze and bend of the liver, organs that slide along the wall, breathing
during the scan); wall error: mean over bone, which does not breathe.  Provoked failures: see
`PROVOKED`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import arguments, kept, report, row, seeds_or_none
from benchmarks.registration_scenes import make_scene
from irplan.errors import RegistrationError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.phantom import Phantom, abdominal_ct
from irplan.registration import register

#: Seeds 100 to 199 and 330 to 349 (good), 720 to 799 and 800 to 899 (provoked) were for tuning.
REPORTED, PROVOKED_FROM = 300, 700
#: What is done to the control scan (or the start), one after the other.
PROVOKED = (
    "another patient",
    "another patient, truncated and noisy",
    "mirrored left to right",
    "turned by 90 degrees about the long axis",
    "turned by 180 degrees about the long axis",
    "head and feet exchanged",
    "another region of the body",
    "a field of 30 mm radius",
    "metal and streaks",
    "a third of the spacing wrong",
    "empty",
    "noise",
    "wrong landmarks",
)
SPACING_MM, NOISE_HU = (3.0, 1.8, 1.8), 15.0


def provoke(kind: str, patient: Phantom, seed: int) -> Volume:
    """The control scan of a registration that cannot succeed."""
    control = patient.volume
    grid, array = control.grid, np.asarray(control.array)
    rng = np.random.default_rng([seed, 3])
    at = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    liver = grid.index_to_lps(np.argwhere(patient.organ).mean(axis=0))
    around = np.hypot(at[..., 0] - liver[0], at[..., 1] - liver[1])
    if kind.startswith("another patient"):
        other = abdominal_ct(seed + 50, spacing_mm=SPACING_MM, noise_hu=NOISE_HU).volume
        if kind == "another patient":
            return other
        at = other.grid.index_to_lps(np.moveaxis(np.indices(other.grid.shape), 0, -1))
        around = np.hypot(at[..., 0] - liver[0], at[..., 1] - liver[1])
        noisy = other.array + rng.normal(0.0, 40.0, other.grid.shape)
        return Volume(np.where(around < 115.0, noisy, -1024).astype(np.float32), other.grid, "HU")
    if kind == "mirrored left to right":
        return Volume(array[:, :, ::-1].copy(), grid, "HU")
    if kind == "turned by 90 degrees about the long axis":
        turned = np.rot90(array, axes=(1, 2)).copy()
        return Volume(turned, Grid(turned.shape, grid.affine), "HU")
    if kind == "turned by 180 degrees about the long axis":
        return Volume(array[:, ::-1, ::-1].copy(), grid, "HU")
    if kind == "head and feet exchanged":
        return Volume(array[::-1, :, ::-1].copy(), grid, "HU")
    if kind == "another region of the body":
        n = grid.shape
        return control.crop((0, 0, 0), (n[0] // 4, n[1], n[2]))
    if kind == "a field of 30 mm radius":
        return Volume(np.where(around < 30.0, array, -1024), grid, "HU")
    if kind == "metal and streaks":
        streaks = 500.0 * np.sin(at @ np.array([0.5, 0.3, 0.0]))
        bad = array + streaks + rng.normal(0.0, 200.0, grid.shape)
        return Volume(np.where(around < 30.0, 3071.0, bad).astype(np.float32), grid, "HU")
    if kind == "a third of the spacing wrong":
        affine = grid.affine.copy()
        affine[:3, :3] *= 1.35
        return Volume(array, Grid(grid.shape, affine), "HU")
    if kind == "empty":
        return Volume(np.full(grid.shape, -1000.0, dtype=np.float32), grid, "HU")
    if kind == "noise":
        return Volume(rng.normal(0.0, 100.0, grid.shape).astype(np.float32), grid, "HU")
    return control


def provoked(number: int) -> dict[str, Any]:
    """What the report says of the provoked case ``number``."""
    kind = PROVOKED[number % len(PROVOKED)]
    seed = number
    patient = abdominal_ct(seed, spacing_mm=SPACING_MM, noise_hu=NOISE_HU)
    landmarks = None
    if kind == "wrong landmarks":
        p = patient.volume.grid.centre_lps_mm + 60.0 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
        landmarks = (p, p[:, [1, 2, 0]] * [1.0, -1.0, -1.0])
    try:
        found = register(
            patient.volume, provoke(kind, patient, seed), organ=patient.organ, landmarks=landmarks
        )
    except RegistrationError as error:
        return {"kind": kind, "status": "failed", "why": error.got}
    bad = {r.key: r.value for r in found.quality.rows if r.status == "failed"}
    return {
        "kind": kind, "status": found.quality.status, "why": bad,
        "values": {r.key: r.value for r in found.quality.rows},
    }  # fmt: skip


def good(seed: int) -> dict[str, Any]:
    """Target error, seconds and report of the scene ``seed``."""
    scene = make_scene(seed)
    started, cpu = time.perf_counter(), time.process_time()
    found = register(scene.phantom.volume, scene.control, organ=scene.liver)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    gap = found.mapping.forward(scene.targets) - scene.truth(scene.targets)
    bone = scene.phantom.volume.grid.index_to_lps(
        np.argwhere(scene.phantom.labels.mask("bone"))[::200]
    )
    bone = bone[scene.control.grid.contains(scene.rigid.apply(bone))]
    wall = np.linalg.norm(found.mapping.forward(bone) - scene.rigid.apply(bone), axis=1)
    return {
        "target_mm": float(np.linalg.norm(gap, axis=1).mean()),
        "wall_mm": float(wall.mean()), "seconds": seconds, "cpu_s": cpu,
        "status": found.quality.status,
        "values": {r.key: r.value for r in found.quality.rows},
    }  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--scenes", type=seeds_or_none, default=range(REPORTED, REPORTED + 20))
    parser.add_argument(
        "--provoked", type=seeds_or_none, default=range(PROVOKED_FROM, PROVOKED_FROM + 20)
    )
    parser.add_argument("--records", type=Path, help="keep each case's figures here")
    given = parser.parse_args()
    scenes, cases = [], []
    for seed in given.scenes:
        one = kept(given.records, f"scene_{seed}", lambda: good(seed))  # noqa: B023
        scenes.append(one)
        print(
            f"  scene {seed}: target {one['target_mm']:.2f} mm, wall {one['wall_mm']:.2f} mm, "
            f"{one['seconds']:.1f} s (processor {one['cpu_s']:.1f} s), {one['status']}, "
            f"{_short(one['values'])}",
            flush=True,
        )
    for seed in given.provoked:
        one = kept(given.records, f"provoked_{seed}", lambda: provoked(seed))  # noqa: B023
        cases.append(one)
        why = _short(one["why"]) if isinstance(one["why"], dict) else one["why"]
        print(f"  provoked {seed}, {one['kind']}: {one['status']}, {why}", flush=True)
    rows = []
    if scenes:
        errors = [s["target_mm"] for s in scenes]
        median, high = float(np.median(errors)), float(np.percentile(errors, 95))
        slow = max(s["seconds"] for s in scenes)
        states = [s["status"] for s in scenes]
        rows += [
            row("target error, median", median, "mm", 1.5, median <= 1.5),
            row("target error, 95 %", high, "mm", 3.0, high <= 3.0),
            row("wall error, median", float(np.median([s["wall_mm"] for s in scenes])), "mm"),
            row("slowest", slow, "s", 30.0, slow <= 30.0),
            row("slowest, processor time", max(s["cpu_s"] for s in scenes), "s"),
            row("good scenes called failed", states.count("failed"), f"of {len(states)}"),
            row("good scenes called warning", states.count("warning"), f"of {len(states)}"),
        ]
    if cases:
        detected = [c["status"] for c in cases].count("failed")
        rows.append(
            row("provoked failures detected", detected, "", len(cases), detected == len(cases))
        )
    report("Registration, simulated cone-beam CT", rows, json_file=given.json)


def _short(values: dict[str, float | None]) -> str:
    return ", ".join(
        f"{k} {v:.2f}" if v is not None else f"{k} not computable" for k, v in values.items()
    )


if __name__ == "__main__":
    main()
