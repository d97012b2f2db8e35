"""Figures of a simulation: what they show, where, and that nothing is left out silently."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from irplan.ablation import simulate
from irplan.ablation.simulated_case import SimulatedCase
from irplan.files.problem_file import problem_from_text
from irplan.viz import (
    extra_curves,
    png_bytes,
    simulation_planes,
    temperature_curves,
    temperature_gif,
    zone_profile,
)
from irplan.viz.simulation_planes import needle_planes

PROBLEM = """
schema = "irplan-problem"
schema_version = 1
[tissue]
uniform = "liver"
margin_mm = 24
[[tissue.region]]
shape = "halfspace"
tissue = "fat"
point_mm = [14, 0, 0]
normal = [1, 0, 0]
[[applicator]]
name = "cryo-17g-seed"
tip_mm = [-6, 0, 0]
entry_mm = [-6, 0, 100]
[[applicator]]
name = "cryo-17g-seed"
tip_mm = [6, 0, 0]
entry_mm = [6, 0, 100]
[schedule]
phases = [{kind = "freeze", minutes = 3}, {kind = "passive_thaw", minutes = 1}]
[[monitor]]
name = "between"
point_mm = [0, 0, 13]
[solver]
spacing_mm = 2.0
"""


@pytest.fixture(scope="module")
def frozen() -> SimulatedCase:
    asked = problem_from_text(PROBLEM, name="p", folder=Path())
    result = simulate(asked.problem, monitor_points_mm=tuple(asked.monitors.values()), history=True)
    return SimulatedCase.of(
        "small", asked.problem, result, lethal=asked.lethal, monitors=asked.monitors
    )


def test_the_plane_holds_both_needles(frozen):
    along, across = needle_planes(frozen)
    for placement in frozen.problem.placements:
        _, off = along.project(np.array(placement.active_segment))
        assert off == pytest.approx(0.0, abs=1e-6)
    assert along.up == pytest.approx((0, 0, 1), abs=1e-9)  # entry at the top
    assert across.towards_viewer == pytest.approx(along.up) or across.towards_viewer == (
        pytest.approx(-along.up)
    )


def test_the_picture_shows_every_zone_where_it_is(frozen):
    figure = simulation_planes(frozen)
    left, right = (a for a in figure.axes if a.get_title(loc="left"))
    assert "mm" in left.get_xlabel()
    assert "mm" in left.get_ylabel()
    shown = left.images[0].get_array()
    assert np.nanmin(shown) < -40.0
    words = [t.get_text() for t in figure.legends[0].get_texts()]
    assert len(words) == len(frozen.zones) + 2  # needle, tissue
    ice = next(m for m in frozen.measures if m.name == "ice")
    widest = max(
        np.ptp(path.vertices[:, 0])
        for collection in right.collections
        for path in collection.get_paths()
        if collection.get_edgecolor().shape[0] and len(path.vertices) > 10
    )
    assert widest == pytest.approx(ice.most_width_mm, abs=1.5)
    assert figure.axes[-1].get_ylabel() == "temperature (°C)"


def test_curves_name_the_monitors_and_phases(frozen):
    figure = temperature_curves(frozen)
    assert "between" in [t.get_text() for t in figure.legends[0].get_texts()]
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert "freeze\n3 min" in texts
    assert extra_curves(frozen) is None


def test_the_profile_reaches_the_measured_radius(frozen):
    axes = zone_profile(frozen).axes[0]
    ice = next(n for n, z in enumerate(frozen.zones) if z.name == "ice")
    line = axes.lines[ice]
    assert max(line.get_ydata()) == pytest.approx(frozen.measures[ice].radius_mm.max())
    assert all("mm" in label for label in (axes.get_xlabel(), axes.get_ylabel()))


def test_the_animation_moves(frozen):
    data = temperature_gif(frozen, frozen.frames(3), count=3)
    assert data is not None
    film = Image.open(io.BytesIO(data))
    assert film.n_frames == 3
    pictures = []
    for n in range(3):
        film.seek(n)
        pictures.append(np.asarray(film.convert("RGB"), int))
    assert np.abs(pictures[0] - pictures[1]).max() > 50
    assert temperature_gif(frozen, iter(())) is None


def test_the_same_case_gives_the_same_picture(frozen):
    assert png_bytes(zone_profile(frozen)) == png_bytes(zone_profile(frozen))
