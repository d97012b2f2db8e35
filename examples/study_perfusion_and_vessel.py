"""A study from Python: perfusion and vessel distance against the margin of one cryoprobe."""

from __future__ import annotations

import csv
import tempfile
from dataclasses import replace
from pathlib import Path

from irplan.studies import Design, Study, read_study, run_study

STUDY = Path(__file__).with_name("perfusion_and_vessel.toml")


def setup(runs: int = 32) -> Study:
    """The study file next to this script with another number of base points."""
    study = read_study(STUDY)
    return replace(study, design=Design("sensitivity", runs, seed=1))


def run(study: Study, folder: Path) -> dict[str, tuple[float, float]]:
    """Factor -> its first-order and total share of the margin's variance."""
    run_study(study, folder)
    with (folder / "sensitivity.csv").open(encoding="utf-8") as file:
        return {
            row["factor"]: (float(row["first_order"]), float(row["total"]))
            for row in csv.DictReader(file)
            if row["output"] == "minimal_margin_mm"
        }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, (first, total) in run(setup(), Path(folder)).items():
            print(f"{name:<20} alone {100 * first:4.0f} %, with others {100 * total:4.0f} %")
