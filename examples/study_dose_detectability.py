"""Dose against detectability over filters: a study of a physicist's own function."""

from __future__ import annotations

import csv
import tempfile
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from irplan.fluoroscopy import make_filter
from irplan.fluoroscopy.bench.disc_observers import EmptyFrames, observe_cell
from irplan.fluoroscopy.bench.disc_runs import DiscCell, DiscSetting, empty_run
from irplan.studies import Case, Design, Factor, PythonTask, Study, run_study
from irplan.viz import style

#: Side of a frame, px, and simulated runs.
SHAPE, SEEDS = (256, 256), (100, 101)


def detectability(source: str, filter: str, dose_ngy: float, speed_px: float) -> dict[str, float]:
    """d' of a disc of 5 px radius and 10 % contrast; ``source`` names the observer."""
    setting = DiscSetting(dose_ngy=dose_ngy, shape=SHAPE, seeds=SEEDS)
    runs = [empty_run(setting, seed) for seed in SEEDS]
    (found,) = observe_cell(
        DiscCell(5.0, 0.10, speed_px),
        setting,
        runs,
        {filter: partial(make_filter, filter)},
        EmptyFrames(),
        draws=50,
    )
    value = found.d_prime[source]
    return {"d_prime": value.d_prime, "d_prime_low": value.low, "d_prime_high": value.high}


def setup(
    filters: tuple[str, ...] = ("raw", "recursive:0.25", "needle"),
    doses_ngy: tuple[float, ...] = (1.4, 2.5, 4.0, 10.0),
    speeds_px: tuple[float, ...] = (0.0, 1.0),
) -> Study:
    """Every filter at every dose, still and moving, by the trail-aware observer."""
    return Study(
        "Dose against detectability over filters",
        PythonTask(str(Path(__file__).resolve()), "detectability"),
        (Case("trail-aware observer", "trail-aware"),),
        (
            Factor("filter", choices=filters),
            Factor("dose_ngy", choices=doses_ngy),
            Factor("speed_px", choices=speeds_px),
        ),
        Design(),
    )


def run(study: Study, folder: Path) -> dict[tuple[str, float, float], float]:
    """(filter, dose in nGy a frame, speed in px/frame) -> d'."""
    run_study(study, folder)
    with (folder / "table.csv").open(encoding="utf-8") as file:
        return {
            (r["filter"], float(r["dose_ngy"]), float(r["speed_px"])): float(r["d_prime"])
            for r in csv.DictReader(file)
        }


def draw(found: dict[tuple[str, float, float], float]) -> Figure:
    """d' over dose, a line a filter; still and moving discs."""
    names, doses, speeds = ({k[n]: None for k in found} for n in range(3))
    with style.styled():
        figure = style.new_figure(4.2 * len(speeds), 3.4)
        axes = figure.subplots(1, len(speeds), sharey=True, squeeze=False)[0]
        for axis, speed in zip(axes, speeds, strict=True):
            for name in names:
                axis.plot(list(doses), [found[name, d, speed] for d in doses], "o-", label=name)
            axis.set(title=f"{speed:g} px a frame", xlabel="dose a frame (nGy)", xscale="log")
            axis.set_xticks(list(doses), [f"{d:g}" for d in doses])
            axis.minorticks_off()
        axes[0].set_ylabel("d' of a disc, r 5 px, 10 %")
        axes[0].legend()
    return figure


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = run(setup(), Path(folder))
    for (name, dose, speed), d_prime in found.items():
        print(f"{name:<16} {dose:5.1f} nGy, {speed:g} px/frame: d' {d_prime:5.2f}")
    draw(found).savefig("study_dose_detectability.png")
