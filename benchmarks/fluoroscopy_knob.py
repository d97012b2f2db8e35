"""The noise / motion trade-off of ``--show`` as a curve: ``python -m benchmarks.fluoroscopy_knob``.

Discs of 2 and 8 px radius and 5 % contrast at 0, 1, 3 and 5 px/frame, 10 nGy a frame, on seeds that
no constant was chosen on; d' over raw of the in-place and the trail-aware observer.  Prints a table
and writes ``fluoro_knob.png``.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from irplan.cli.columns import columns
from irplan.fluoroscopy.bench.disc_observers import EmptyFrames, observe_cell
from irplan.fluoroscopy.bench.disc_runs import DiscCell, DiscSetting, empty_run
from irplan.fluoroscopy.filter import FilterFactory, StreamFacts, make_filter
from irplan.fluoroscopy.pipeline import Pipeline
from irplan.fluoroscopy.settings import FluoroSettings
from irplan.viz import style

SHOWS = (0.2, 0.26, 0.34, 0.42, 0.5, 0.7, 1.0)


def _at(show: float, facts: StreamFacts) -> Pipeline:
    return Pipeline(facts, FluoroSettings().with_show(show))


def measure(
    shows: tuple[float, ...], seeds: tuple[int, ...], side: int
) -> dict[float, tuple[float, float, float, float]]:
    """show -> least d' over raw: still, 1 px/frame, in place of all, trail-aware of all."""
    setting = DiscSetting(10.0, (side, side), seeds=seeds)
    runs, empty = [empty_run(setting, s) for s in seeds], EmptyFrames()
    filters: dict[str, FilterFactory] = {"raw": partial(make_filter, "raw")}
    filters |= {f"{s:g}": partial(_at, s) for s in shows}
    found: dict[str, list[tuple[float, float, float]]] = {f"{s:g}": [] for s in shows}
    for speed in (0.0, 1.0, 3.0, 5.0):
        for radius in (2.0, 8.0):
            cell = DiscCell(radius, 0.05, speed)
            rows = {r.filter_name: r.d_prime for r in
                    observe_cell(cell, setting, runs, filters, empty, draws=0)}  # fmt: skip
            for name in found:
                place, trail = (rows[name][k].d_prime / rows["raw"][k].d_prime
                                for k in ("in-place", "trail-aware"))  # fmt: skip
                found[name].append((speed, place, trail))
            print(cell, flush=True)
    return {
        s: (
            min(p for v, p, _ in found[f"{s:g}"] if v == 0.0),
            min(p for v, p, _ in found[f"{s:g}"] if v == 1.0),
            min(p for _, p, _ in found[f"{s:g}"]),
            min(t for _, _, t in found[f"{s:g}"]),
        )
        for s in shows
    }


def draw(curve: dict[float, tuple[float, float, float, float]], out: Path) -> None:
    """The curve: what is gained for still discs against what is left for the fastest."""
    with style.styled():
        figure = style.new_figure(6.4, 4.4)
        axes = figure.subplots()
        shows = sorted(curve)
        still = [curve[s][0] for s in shows]
        for k, (label, marker) in ((2, ("in place, worst", "o")), (3, ("trail-aware, worst", "s"))):
            axes.plot(still, [curve[s][k] for s in shows], marker=marker, label=label)
        for s in shows:
            axes.annotate(f"{s:g}", (curve[s][0], curve[s][2]), (6, 5),
                          textcoords="offset points", fontsize=8.5)  # fmt: skip
        axes.axhline(1.0, color=style.MUTED, linewidth=1.0)
        axes.set_xlabel("d′ of still discs over raw (least)")
        axes.set_ylabel("d′ of moving discs over raw (least)")
        axes.set_title("--show: noise against motion at 10 nGy a frame")
        axes.margins(x=0.07)
        axes.grid(True, color=style.GRID, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend()
        figure.savefig(out, dpi=120)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shows", type=float, nargs="+", default=list(SHOWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--out", type=Path, default=Path("fluoro_knob.png"))
    given = parser.parse_args()
    curve = measure(tuple(given.shows), tuple(given.seeds), given.side)
    heads = ("--show", "still", "1 px/frame", "in place, worst", "trail-aware, worst")
    print(columns(heads, [(f"{s:g}", *(f"{v:.2f}" for v in curve[s])) for s in sorted(curve)]))
    draw(curve, given.out)


if __name__ == "__main__":
    main()
