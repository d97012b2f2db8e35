"""How much neighbouring voxels' correlation enlarges the errors of a fitted needle: calibration.

python -m benchmarks.needle_calibration [--ct A:B] [--cbct A:B] [--records FOLDER] [--scans FOLDER]

`irplan.segmentation.needle_tip.CORRELATION` multiplies the standard deviation of every voxel in the
fit.  Each scene's needles are fitted with each of `FACTORS`; printed is the root mean square of
(error over stated standard deviation) along the needle, across it and of its angle, which is 1
where the factor is right.  Seeds differ from those that `benchmarks.needles` reports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import arguments, kept, report, row, seeds_or_none
from benchmarks.needles import scan_of, score
from irplan.segmentation import needle_tip

FACTORS = (1.0, 1.5, 2.0, 2.5, 3.5)
#: Per axis: across the needle and the angle have two components, along it one.
PARTS = (
    ("along", "along_mm", "along_sd_mm"),
    ("across", "lateral_mm", "lateral_sd_mm"),
    ("angle", "angle_deg", "angle_sd_deg"),
)


def fitted(kind: str, seed: int, scans: Path | None) -> dict[str, Any]:
    """The needles of one scene for each factor."""
    scan, needles = scan_of(kind, seed, scans)
    own = needle_tip.CORRELATION
    out = {}
    try:
        for factor in FACTORS:
            needle_tip.CORRELATION = factor
            out[f"{factor:g}"] = score(scan, needles)["needles"]
    finally:
        needle_tip.CORRELATION = own
    return out


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--ct", type=seeds_or_none, default=range(40, 56))
    parser.add_argument("--cbct", type=seeds_or_none, default=range(40, 50))
    parser.add_argument("--records", type=Path, help="keep each scan's figures here")
    parser.add_argument("--scans", type=Path, help="keep the simulated scans here")
    given = parser.parse_args()
    rows = []
    for kind, numbers in (("CT", given.ct), ("CBCT", given.cbct)):
        scans = []
        for seed in numbers:
            scans.append(
                kept(
                    given.records, f"{kind}_{seed}",
                    lambda: fitted(kind, seed, given.scans),  # noqa: B023
                )
            )  # fmt: skip
            print(f"  {kind} {seed}: {len(scans[-1]['1'])} needles", flush=True)
        for factor in FACTORS:
            needles = [n for s in scans for n in s[f"{factor:g}"]]
            if not needles:
                continue
            shown = []
            for words, error, sd in PARTS:
                z = np.array([n[error] / n[sd] for n in needles])
                shown.append(f"{words} {np.sqrt((z * z).mean()):.2f}")
            tips = np.array([n["tip_mm"] for n in needles])
            shown.append(f"tip {np.median(tips):.2f} / {np.percentile(tips, 95):.2f} mm")
            rows.append(row(f"{kind}, {len(needles)} needles, factor {factor:g}", ", ".join(shown)))
    report("Errors over stated standard deviation, root mean square", rows, json_file=given.json)


if __name__ == "__main__":
    main()
