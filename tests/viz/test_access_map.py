"""The access map's figure: clear, not checked and blocked are told apart; sides are right."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.image import LabelMap, structure
from irplan.planning.access_map import BLOCKED, CLEAR, NOT_CHECKED, AccessMap, access_map
from irplan.viz import png_bytes
from irplan.viz.access_map import access_figure, unwrapped
from irplan.viz.meshes import mask_surface


@pytest.fixture(scope="module")
def made() -> tuple[AccessMap, LabelMap]:
    grid = Grid.from_spacing((40, 60, 70), (3.0, 2.5, 2.5), (-86.0, -74.0, -58.0))
    p = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    body = (np.abs(p[..., 0]) < 75.0) & (np.abs(p[..., 1]) < 60.0)
    liver = np.linalg.norm(p, axis=-1) < 40.0
    target = np.linalg.norm(p, axis=-1) < 8.0
    nothing = np.zeros(grid.shape, bool)
    masks = [(structure("body"), body), (structure("liver"), liver)]
    names = ("bone", "lung", "gas", "gallbladder", "vessel")
    masks += [(structure(n), nothing) for n in names]
    labels = LabelMap.from_masks(grid, masks)
    dark = (p[..., 0] > 25.0) & (p[..., 1] < -45.0)
    found = access_map(
        labels, target, unknown=dark, raster_mm=2.5, entry_spacing_mm=8.0, target_spacing_mm=8.0
    )
    return found, labels


def test_angles_are_the_patient_s_sides() -> None:
    points = np.array([[0, -10, 5], [10, 0, 6], [-10, 0, 7]], dtype=float)
    angle, height = unwrapped(points, np.zeros(3))
    assert angle == pytest.approx([0.0, 90.0, -90.0])  # front, left, right
    assert height.tolist() == [5.0, 6.0, 7.0]


def test_the_three_answers_are_apart(made: tuple[AccessMap, LabelMap]) -> None:
    found, labels = made
    assert {int(s) for s in found.status} == {CLEAR, NOT_CHECKED, BLOCKED}
    skin = mask_surface(labels.array > 0, labels.grid, voxel_mm=6.0, smooth_mm=3.0, closed=False)
    figure = access_figure(found, skin)
    axes = [a for sub in figure.subfigs for a in sub.axes]
    shown = {c.get_gid(): c for a in axes for c in a.collections if c.get_gid()}
    for status in (CLEAR, NOT_CHECKED):
        drawn = shown[f"status-{status}"]
        assert len(drawn.get_offsets()) == int((found.status == status).sum())
        assert drawn.get_array().max() <= 100.0
    legends = [legend for a in axes if (legend := a.get_legend()) is not None]
    words = " ".join(t.get_text() for legend in legends for t in legend.get_texts())
    assert "not all checked, not clear" in words
    labels_of = [a.get_ylabel() for a in axes]
    assert any("share of the target that needles reach (%)" in text for text in labels_of)
    letters = [t.get_text() for t in axes[2].texts if t.get_gid() == "orientation"]
    assert letters == ["R", "L", "H", "F"]  # seen from the front
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_without_any_path_and_without_skin(made: tuple[AccessMap, LabelMap]) -> None:
    _, labels = made
    from irplan.planning.rules import PathRules

    p = labels.grid.index_to_lps(np.moveaxis(np.indices(labels.grid.shape), 0, -1))
    target = np.linalg.norm(p, axis=-1) < 8.0
    rules = PathRules().with_values(max_length=30)
    found = access_map(labels, target, rules=rules, raster_mm=3.0, entry_spacing_mm=10.0,
                       target_spacing_mm=10.0)  # fmt: skip
    assert found.candidates == ()
    assert png_bytes(access_figure(found, None)).startswith(b"\x89PNG")
