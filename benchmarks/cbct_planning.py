"""Planning on simulated cone-beam CTs with known truth: grey scale, carried structures, paths.

    python -m benchmarks.cbct_planning [--seeds 300 301 ...] [--json FILE]

The scenes are those of the registration benchmark (motion, breathing, scatter, noise, truncation);
the scan's grey values are given another scale, HU = 0.7 x grey - 1100.  Structures of the planning
CT are the phantom's own, so that what is measured is the carrying, not a segmentation.  Each path
that is called clear is followed through the truth.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import arguments, report, row
from benchmarks.registration_scenes import Scene, breath_at, make_scene
from irplan.case.cbct_input import CbctInput
from irplan.case.cbct_labels import CbctScene, scene_alone, scene_with_ct
from irplan.errors import IrplanError
from irplan.image import Volume
from irplan.planning import PathRules
from irplan.planning.paths import UNKNOWN, PathCandidate
from irplan.planning.seen_paths import seen_paths
from irplan.segmentation.cone_beam import read_cone_beam

SLOPE, SHIFT = 0.7, -1100.0
#: What no clear path may cross.
FORBIDDEN = ("bone", "lung", "gas", "gallbladder", "stomach", "bowel", "heart")


def back(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Planning points of control points (fixed-point iteration of the known motion)."""
    y = scene.rigid.inverse.apply(points)
    x = y.copy()
    for _ in range(8):
        x = y - breath_at(scene, x)
    return x


def met(scene: Scene, path: PathCandidate) -> list[str]:
    """Forbidden structures of the truth that a path crosses, followed in steps of 0.5 mm."""
    needle, labels = path.needle, scene.phantom.labels
    points = np.stack([needle.point_at(d) for d in np.arange(0.0, needle.depth_mm, 0.5)])
    index = np.rint(labels.grid.lps_to_index(back(scene, points))).astype(int)
    index = index[np.all((index >= 0) & (index < labels.grid.shape), axis=1)]
    return [n for n in FORBIDDEN if labels.checked(n) and labels.mask(n)[tuple(index.T)].any()]


def seed_rows(seed: int) -> list[dict[str, Any]]:
    """One scene: the scale, the carried tumour, and paths with and without the CT."""
    scene = make_scene(seed)
    control = scene.control
    padded = np.asarray(control.array) <= -1024
    value = np.where(padded, 0, np.rint((control.array - SHIFT) / SLOPE))
    started = time.perf_counter()
    scan = read_cone_beam(Volume(value.astype(np.int16), control.grid, "HU"))
    read_s = time.perf_counter() - started
    rows = [
        row(f"scene {seed}: reading the cone-beam CT", read_s, "s"),
        row(f"scene {seed}: slope found over true", scan.slope / SLOPE, "", "0.9 to 1.1",
            0.9 <= scan.slope / SLOPE <= 1.1),
    ]  # fmt: skip
    labels = scene.phantom.labels
    tumour = labels.mask("tumour")
    try:
        with_ct = scene_with_ct(scan, scene.phantom.volume, labels, ct_target=tumour)
    except IrplanError as error:
        return [*rows, row(f"scene {seed}: registration refused", str(error)[:80])]
    assert with_ct.target is not None
    there = with_ct.volume.grid.index_to_lps(np.argwhere(with_ct.target)).mean(axis=0)
    want = scene.truth(labels.grid.index_to_lps(np.argwhere(tumour))).mean(axis=0)
    off = float(np.linalg.norm(there - want))
    rows.append(row(f"scene {seed}: carried tumour off by", off, "mm"))
    for name, made, rules in (
        ("with CT", with_ct, CbctInput(prior_ct=Path("ct")).rules(PathRules())),
        ("alone", scene_alone(scan), PathRules()),
    ):
        rows += _paths(seed, name, scene, made, with_ct, rules)
    return rows


def _paths(
    seed: int, name: str, scene: Scene, made: CbctScene, with_ct: CbctScene, rules: PathRules
) -> list[dict[str, Any]]:
    target = with_ct.target if made is with_ct else _on(with_ct, made)
    assert target is not None
    try:
        _, _, found, _ = seen_paths(made.labels, target, rules, made.unknown, lambda *_: None)
    except IrplanError as error:
        return [row(f"scene {seed}, {name}: no path", str(error)[:80])]
    clear = [c for c in found.candidates if not c.not_checked]
    unseen = [c for c in found.candidates if UNKNOWN in c.not_checked]
    wrong = [m for c in clear for m in met(scene, c)]
    return [
        row(f"scene {seed}, {name}: candidates clear / unseen / other not checked",
            f"{len(clear)} / {len(unseen)} / {len(found.candidates) - len(clear) - len(unseen)}"),
        row(f"scene {seed}, {name}: clear paths that cross a forbidden structure", len(wrong), "",
            0, not wrong),
    ]  # fmt: skip


def _on(source: CbctScene, to: CbctScene) -> NDArray[np.bool_]:
    """The carried target on the cone-beam CT's own grid."""
    assert source.target is not None
    index = np.argwhere(source.target)
    at = np.rint(to.volume.grid.lps_to_index(source.volume.grid.index_to_lps(index))).astype(int)
    at = at[np.all((at >= 0) & (at < to.volume.grid.shape), axis=1)]
    out = np.zeros(to.volume.grid.shape, bool)
    out[tuple(at.T)] = True
    return out


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", nargs="*", type=int, default=[300, 301, 302])
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        rows += seed_rows(seed)
    report("Planning on cone-beam CT", rows, json_file=options.json)


if __name__ == "__main__":
    main()
