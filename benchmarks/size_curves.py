"""What fluoroscopy and the path search cost against size: frames, pixels of a frame, paths.

    python -m benchmarks.size_curves [--quick] [--json FILE] [--png FILE]

Medians of warm, repeated public calls with the exponent of a power law fitted to them; voxels,
probes and simulated time of a freeze are in `benchmarks.ablation_curves`.  Frames and pixels: the
preset "general" over a simulated run.  Paths: every rule and the score for a growing part of the
skin's entries to every target point of a phantom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.ablation_curves import Curve, draw
from benchmarks.measure import Timing, arguments, repeated, report
from irplan.fluoroscopy import (
    DETECTORS,
    Exposure,
    StreamFacts,
    filtered,
    make_filter,
    scene,
    simulate,
)
from irplan.phantom import TumourSpec, abdominal_ct
from irplan.planning import PathRules
from irplan.planning.access_map import TARGET_MM, target_points
from irplan.planning.entry_paths import paths_of_entries
from irplan.planning.obstacles import build_raster


def timed(works: Sequence[Callable[[], object]], most: int) -> tuple[Timing, ...]:
    """Each warmed up, then repeated."""
    out = []
    for work in works:
        work()
        out.append(repeated(work, most=most, within_s=10.0))
    return tuple(out)


def filter_work(side: int, frames: int) -> Callable[[], object]:
    """Filter ``frames`` frames of ``side`` x ``side`` px."""
    made = scene("abdomen", seed=1, shape=(side, side), frames=min(frames, 16))
    run, _ = simulate(made, Exposure(), DETECTORS["flat-panel-0.2"])
    facts = StreamFacts((side, side), rate_hz=15.0, photometry=run.photometry)

    def work() -> None:
        for n, _shown in enumerate(
            filtered(
                make_filter("general", facts),
                (run.frames[k % len(run.frames)] for k in range(frames)),
            )
        ):
            del n

    return work


def path_works(parts: Sequence[int]) -> tuple[tuple[float, ...], list[Callable[[], object]]]:
    """Numbers of paths, and the search for the paths of every ``part``-th entry."""
    patient = abdominal_ct(3, tumours=(TumourSpec(18.0),), spacing_mm=(3.0, 1.5, 1.5))
    target = patient.labels.mask("tumour")
    raster = build_raster(patient.labels, target, PathRules(), spacing_mm=1.5)
    tips, _ = target_points(target, patient.labels.grid, TARGET_MM)
    counts, works = [], []
    for part in parts:
        entries = raster.entries_mm[::part]
        counts.append(float(len(entries) * len(tips)))
        works.append(lambda e=entries: paths_of_entries(raster, e, tips))
    return tuple(counts), works


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, no evidence")
    parser.add_argument("--png", type=Path, default=None, help="draw the curves here")
    given = parser.parse_args()
    most = 2 if given.quick else 5
    frames = (16, 32, 64) if given.quick else (16, 32, 64, 128, 256)
    sides = (64, 128, 192) if given.quick else (128, 256, 512, 1024)
    side, long = (96, 8) if given.quick else (256, 24)
    counts, works = path_works((16, 8, 4) if given.quick else (32, 16, 8, 4, 2, 1))
    found = [
        Curve(
            "frames", "", tuple(float(n) for n in frames),
            timed([filter_work(side, n) for n in frames], most),
        ),
        Curve(
            "pixels of a frame", "", tuple(float(n) ** 2 for n in sides),
            timed([filter_work(n, long) for n in sides], most),
        ),
        Curve("paths", "", counts, timed(works, most)),
    ]  # fmt: skip
    if given.png is not None:
        draw(found, given.png)
    words = " (--quick: no evidence)" if given.quick else ""
    report("Cost against size" + words, [r for c in found for r in c.rows()], json_file=given.json)


if __name__ == "__main__":
    main()
