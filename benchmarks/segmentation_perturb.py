"""How much the automatic liver changes when the scan changes and the patient does not.

    python -m benchmarks.segmentation_perturb [--quick] [--cases NAME ...] [--changes WORD ...]
        [--json FILE] [--markdown FILE] [--add]

Both real scans of ``IRPLAN_DATA`` and 20 phantoms of `irplan.phantom.family`, each as it is and
with slices of 1-5 mm, a soft and a sharp kernel, noise x 0.5-3, the liver cut at the top and at
the bottom, the patient shifted, stored along other axes and rolled, another table.  Printed and
written: Dice against the reference, and its change against the unperturbed scan (for cut scans
within the slices that are left).  A fall of more than 0.03 is a row "FALL"; the exit code is 1.
``--quick`` takes three phantoms and five changes.  ``--add`` keeps what ``--json`` already holds
and runs only what is missing, so that a long table can be made in parts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import arguments, machine
from benchmarks.segmentation_cases import Case, load, names
from benchmarks.segmentation_change import CHANGES, QUICK, Change, noise_sd
from irplan.errors import IrplanError
from irplan.segmentation import dice, segment_liver

LARGEST_FALL = 0.03
QUICK_CASES = ("phantom_00", "phantom_01", "phantom_02")
UNCHANGED = "as it is"


def found_liver(case: Case) -> tuple[NDArray[np.bool_] | None, str, float]:
    """The automatic liver (None: refused), its warnings or the refusal, and the wall time, s."""
    started = time.perf_counter()
    try:
        result = segment_liver(case.volume)
    except IrplanError as error:
        return None, str(error), time.perf_counter() - started
    return result.mask, " | ".join(result.warnings), time.perf_counter() - started


def restricted(case: Case, smaller: Case, mask: NDArray[np.bool_]) -> float:
    """Dice of the unperturbed result within the slices that a cut scan still has."""
    first = round(
        float(case.volume.grid.lps_to_index(smaller.volume.grid.index_to_lps([0, 0, 0]))[0])
    )
    part = slice(first, first + smaller.liver.shape[0])
    return dice(mask[part], case.liver[part])


def measure(
    case: Case, changes: list[Change], done: set[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """One row for the case as it is and one a change, without those already ``done``."""
    mask, words, seconds = found_liver(case)
    base = 0.0 if mask is None else dice(mask, case.liver)
    if (case.name, UNCHANGED) not in done:
        yield {
            "case": case.name, "note": case.note, "change": UNCHANGED, "group": "",
            "dice": base, "against": base, "seconds": seconds, "words": words,
            "noise_hu": noise_sd(case.volume, case.liver), "liver_ml": _ml(case, case.liver),
            "found_ml": 0.0 if mask is None else _ml(case, mask),
        }  # fmt: skip
    for change in changes:
        if (case.name, change.name) in done:
            continue
        other = change.apply(case)
        again, words, seconds = found_liver(other)
        against = base
        if change.group.startswith("crop") and mask is not None:
            against = restricted(case, other, mask)
        yield {
            "case": case.name, "change": change.name, "group": change.group,
            "dice": 0.0 if again is None else dice(again, other.liver),
            "against": against, "seconds": seconds, "words": words,
            "found_ml": 0.0 if again is None else _ml(other, again),
            "liver_ml": _ml(other, other.liver),
        }  # fmt: skip


def _ml(case: Case, mask: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(mask)) * case.volume.grid.voxel_volume_mm3 / 1000.0


def falls(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose Dice lies more than 0.03 below what it is held against."""
    return [r for r in rows if r["dice"] < r["against"] - LARGEST_FALL]


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: Dice as it is, then the change of Dice, one column a case; falls in bold."""
    cases = list(dict.fromkeys(r["case"] for r in rows))
    changes = list(dict.fromkeys(r["change"] for r in rows))
    cell = {(r["case"], r["change"]): r for r in rows}
    short = [c.replace("phantom_", "ph ").replace("totalsegmentator_example", "ts") for c in cases]
    out = ["| change | " + " | ".join(short) + " | median | worst |"]
    out.append("|---|" + "---|" * (len(cases) + 2))
    for change in changes:
        line, values = [], []
        for name in cases:
            r = cell.get((name, change))
            if r is None:
                line.append("")
                continue
            value = r["dice"] if change == UNCHANGED else r["dice"] - r["against"]
            values.append(value)
            words = f"{value:.3f}" if change == UNCHANGED else f"{value:+.3f}"
            line.append(f"**{words}**" if r["dice"] < r["against"] - LARGEST_FALL else words)
        sign = "" if change == UNCHANGED else "+"
        line += [f"{np.median(values):{sign}.3f}", f"{min(values):{sign}.3f}"]
        out.append(f"| {change} | " + " | ".join(line) + " |")
    notes = [f"- {r['case']}: {r['note']}" for r in rows if "note" in r]
    lost = [
        f"- FALL {r['case']}, {r['change']}: {r['dice']:.3f} against {r['against']:.3f} "
        f"({r['found_ml']:.0f} of {r['liver_ml']:.0f} ml)"
        for r in falls(rows)
    ]
    return "\n".join([*out, "", *notes, "", *(lost or ["No fall of more than 0.03."]), ""])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="three phantoms, five changes")
    parser.add_argument("--cases", nargs="*", default=None, help="only these cases")
    parser.add_argument("--changes", nargs="*", default=None, help="changes holding one of these")
    parser.add_argument("--markdown", type=Path, default=None, help="write the table here")
    parser.add_argument("--add", action="store_true", help="keep the rows that --json holds")
    options = parser.parse_args()
    wanted = options.cases or (list(QUICK_CASES) if options.quick else names())
    changes = [c for c in CHANGES if not options.quick or c.name in QUICK]
    if options.changes is not None:
        changes = [c for c in changes if any(w in c.name for w in options.changes)]
    rows: list[dict[str, Any]] = []
    if options.add and options.json is not None and options.json.exists():
        rows = json.loads(options.json.read_text())["rows"]
    done = {(r["case"], r["change"]) for r in rows}
    for name in wanted:
        if {(name, c) for c in (UNCHANGED, *(c.name for c in changes))} <= done:
            continue
        for row in measure(load(name), changes, done):
            rows.append(row)
            print(
                f"{name:<26} {row['change']:<44} {row['dice']:.3f} "
                f"{row['dice'] - row['against']:+.3f}  {row['seconds']:.1f} s",
                file=sys.stderr,
                flush=True,
            )
            if options.json is not None:
                text = json.dumps({"machine": machine(), "rows": rows}, indent=1)
                options.json.write_text(text)
    text = table(rows)
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text)
    sys.exit(1 if falls(rows) else 0)


if __name__ == "__main__":
    main()
