"""Needle paths: candidates a second, the whole access map, and a NumPy ray march of the same.

    python -m benchmarks.paths [--json FILE] [--tumour livertumor07]

The case is `ircadb01_p1` with its manual masks (11 structures and the target; gas, bowel and
gallbladder have no mask there and stay "not checked") at a raster of 1 mm.  All in one run, kernels
compiled before:

- candidates a second: every skin entry to every target point, rules, score and the best of each
  entry; also counting only the paths that had to be walked (those that are not too long, too
  tilted or from below the table already);
- the access map: from the label map to the map with measured candidates;
- the peer: the same questions (same raster words, same entries and tips, no score) by a vectorised
  NumPy march in steps of half a voxel over a random sample of the paths, scaled to all of them.
  It is given the raster, and the rules on the needle first, as irplan does.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import arguments, repeated, report, row
from benchmarks.paths_case import ircadb
from irplan.planning import PathRules
from irplan.planning.access_map import MAP_MM, TARGET_MM, access_map, target_points
from irplan.planning.checks import SKIN_MM
from irplan.planning.entry_paths import EntryPaths, paths_of_entries
from irplan.planning.obstacles import ObstacleRaster, build_raster

#: Paths of the NumPy march that are measured, and walked at a time.
SAMPLE = 100_000
CHUNK = 2_000
RULE_BITS, OUTSIDE, ORGAN, TARGET, UNKNOWN = 0x7FF, 1 << 10, 1 << 11, 1 << 12, 1 << 14


def numpy_march(
    raster: ObstacleRaster, entry: NDArray[np.float64], tip: NDArray[np.float64]
) -> tuple[NDArray[np.uint32], NDArray[np.float64], int]:
    """Bits met and mm of healthy organ before the target of each path, and how many were walked."""
    rules = raster.rules
    way = tip - entry
    length = np.linalg.norm(way, axis=1)
    tilt = np.abs(np.degrees(np.arcsin(way[:, 2] / length)))
    below = np.degrees(np.arcsin(-way[:, 1] / length))
    go = (
        (length <= rules.max_length.value)
        & (tilt <= rules.max_tilt.value)
        & (below <= rules.max_below_horizontal.value)
    )
    bits = np.full(len(entry), RULE_BITS, np.uint32)
    healthy = np.zeros(len(entry))
    walk = np.flatnonzero(go)
    step = 0.5 * raster.spacing_mm
    shape = np.array(raster.words.shape)
    for first in range(0, len(walk), CHUNK):
        rows = walk[first : first + CHUNK]
        count = int(np.ceil(length[rows].max() / step))
        depth = (np.arange(count) + 0.5) * step
        a, b = raster.grid.lps_to_index(entry[rows]), raster.grid.lps_to_index(tip[rows])
        share = depth[None, :] / length[rows, None]
        index = np.rint(a[:, None] + share[..., None] * (b - a)[:, None]).astype(np.int32)
        inside = np.all((index >= 0) & (index < shape), axis=-1)
        index = np.clip(index, 0, shape - 1)
        word = raster.words[index[..., 0], index[..., 1], index[..., 2]]
        word = np.where(inside, word, OUTSIDE)
        word = np.where(share <= 1.0, word, 0).astype(np.uint32)
        skin = depth < SKIN_MM
        word[:, skin] &= np.uint32(~OUTSIDE & 0xFFFFFFFF)
        before = np.cumsum(word & TARGET != 0, axis=1) == 0
        healthy[rows] = ((word & ORGAN != 0) & before).sum(axis=1) * step
        bits[rows] = np.bitwise_or.reduce(word & 0xFFFF, axis=1)
    return bits, healthy, len(walk)


def surplus(found: EntryPaths, raster: ObstacleRaster, sampled: NDArray[np.int64]) -> float:
    """Rule-keeping paths of the sampled entries that the march finds beyond the exact ones, %.

    Steps jump over corners, so the march lets some through that the exact walk does not.
    """
    tips = len(found.tips_mm)
    keeps = 0
    for e in sampled:
        entry = np.repeat(found.entries_mm[e : e + 1], tips, axis=0)
        bits, healthy, _ = numpy_march(raster, entry, found.tips_mm)
        keeps += int(
            ((bits & RULE_BITS == 0) & (healthy >= raster.rules.min_organ_path.value)).sum()
        )
    # The march does not ask for the capsule's angle.
    capsule = found.broken[sampled, len(found.rule_names) - 2]
    exact = int((found.clear[sampled] + found.unsure[sampled] + capsule).sum())
    return 100.0 * (keeps / exact - 1.0)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tumour", default="livertumor07", help="mask folder of the target")
    options = parser.parse_args()
    case = ircadb(options.tumour)
    raster = build_raster(case.labels, case.target, PathRules(), spacing_mm=MAP_MM)
    tips, _ = target_points(case.target, case.labels.grid, TARGET_MM)
    entries = np.concatenate([raster.entries_mm, raster.edge_mm])
    total = len(entries) * len(tips)
    access_map(case.labels, case.target)  # kernels compiled

    search = repeated(lambda: paths_of_entries(raster, entries, tips), most=5, within_s=8.0)
    whole = repeated(lambda: access_map(case.labels, case.target), most=5, within_s=12.0)
    found = paths_of_entries(raster, entries, tips)
    rng = np.random.default_rng(0)
    pick = rng.choice(total, min(SAMPLE, total), replace=False)
    started = time.perf_counter()
    _, _, walked = numpy_march(raster, entries[pick // len(tips)], tips[pick % len(tips)])
    march_s = (time.perf_counter() - started) * total / len(pick)
    some = rng.choice(np.flatnonzero(found.clear > 0), 40, replace=False)
    more = surplus(found, raster, some)

    rate = total / search.median_s / 1e6
    all_walked = total * walked / len(pick)
    rows = [
        row("structures in the label map (and the target)", len(case.labels.labels)),
        row("raster, voxels", "x".join(str(n) for n in raster.words.shape)),
        row("entries x target points", f"{len(entries)} x {len(tips)}"),
        row("all paths", search.median_s, "s"),
        row("candidate paths a second", rate, "M/s", ">= 1", rate >= 1.0),
        row("of them walked through voxels", all_walked / search.median_s / 1e6, "M/s"),
        row("whole access map, median", whole.median_s, "s", "<= 3", whole.median_s <= 3.0),
        row("NumPy march of the same paths (scaled from a sample)", march_s, "s"),
        row("times as fast as the NumPy march", march_s / search.median_s, "x", ">= 50",
            march_s / search.median_s >= 50.0),
        row("rule-keeping paths that the march finds beyond the exact ones", more, "%"),
    ]  # fmt: skip
    report("Needle paths", rows, json_file=options.json)


if __name__ == "__main__":
    main()
