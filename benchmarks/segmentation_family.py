"""The automatic liver on a family of phantoms: Dice, and what it takes in of other organs.

    python -m benchmarks.segmentation_family [--seed N] [--first K] [--count N]
        [--json FILE] [--add]

Members of `irplan.phantom.family` with voxels of at least 2.5 x 1.2 x 1.2 mm.  Seed 101 is the
set that constants are chosen on, 202 the one that is reported.  A leak is what of the excess lies
in the heart, spleen or stomach; more than 20 ml is marked.  A refusal counts as Dice 0.  ``--add``
keeps the rows that ``--json`` holds, so that a long table can be made in parts.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from benchmarks.measure import arguments, machine
from benchmarks.segmentation_cases import LEAST_MM
from irplan.errors import IrplanError
from irplan.phantom import family
from irplan.segmentation import dice, segment_liver

LEAK_ML = 20.0
ORGANS = ("heart", "spleen", "stomach")


def row(seed: int, k: int) -> dict[str, Any]:
    """Dice, excess and missing ml by structure, and the time, of one member."""
    member = family(k + 1, seed)[k]
    drawn = member.settings.spacing_mm
    made = member.make(spacing_mm=(max(drawn[0], LEAST_MM[0]), *LEAST_MM[1:]))
    ml = made.volume.grid.voxel_volume_mm3 / 1000.0
    out: dict[str, Any] = {"seed": seed, "member": k, "note": member.words, "dice": 0.0}
    started = time.perf_counter()
    try:
        mask = segment_liver(made.volume).mask
    except IrplanError as error:
        return {**out, "refused": str(error), "excess_ml": {}, "missing_ml": {}, "seconds": 0.0}
    out["seconds"] = time.perf_counter() - started
    out["dice"] = dice(mask, made.organ)
    for name, wrong in (("excess_ml", mask & ~made.organ), ("missing_ml", made.organ & ~mask)):
        count = np.bincount(made.labels.array[wrong], minlength=256) * ml
        out[name] = {x.name: round(float(count[x.value]), 1) for x in made.labels.labels
                     if count[x.value] >= 1.0}  # fmt: skip
    return out


def leak_ml(found: dict[str, Any]) -> float:
    """The largest leak into one of `ORGANS`, ml."""
    return max((found["excess_ml"].get(name, 0.0) for name in ORGANS), default=0.0)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seed", type=int, default=202)
    parser.add_argument("--first", type=int, default=0, help="number of the first member")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--add", action="store_true", help="keep the rows that --json holds")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.add and options.json is not None and options.json.exists():
        rows = json.loads(options.json.read_text())["rows"]
    done = {(r["seed"], r["member"]) for r in rows}
    for k in range(options.first, options.first + options.count):
        if (options.seed, k) in done:
            continue
        found = row(options.seed, k)
        rows.append(found)
        flag = "  LEAK" if leak_ml(found) > LEAK_ML else ""
        print(
            f"{options.seed} {k:3d}  {found['dice']:.4f}  excess {found['excess_ml']} missing "
            f"{found['missing_ml']}{flag}  {found['seconds']:.1f} s  {found['note']}",
            flush=True,
        )
        if options.json is not None:
            options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    scores = np.array([r["dice"] for r in rows])
    leaks = sum(leak_ml(r) > LEAK_ML for r in rows)
    print(
        f"{scores.size} phantoms: Dice mean {scores.mean():.3f}, median {np.median(scores):.3f}, "
        f"least {scores.min():.3f}; {np.count_nonzero(scores >= 0.95)} of at least .95; "
        f"{leaks} with a leak over {LEAK_ML:.0f} ml"
    )


if __name__ == "__main__":
    main()
