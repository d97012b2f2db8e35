from __future__ import annotations

import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume, structure
from irplan.planning.case import PlannedCase
from irplan.planning.evaluation import MarginSurface
from irplan.viz import (
    margin_map,
    needles_eye,
    path_terms,
    png_bytes,
    style,
    temperature_over_time,
    three_planes,
)
from irplan.viz.margin_map import longitude_latitude, margin_by_direction
from irplan.viz.overlay import draw_reslice
from irplan.viz.reslice import anatomical_plane

_UNIT = re.compile(r"\((mm|°|°C|min|cm³|%|–|dimensionless[^)]*)\)")


@pytest.fixture(scope="module")
def figures(case: PlannedCase) -> dict[str, Figure]:
    made = {
        "planes": three_planes(case, 0),
        "needle": needles_eye(case, 1),
        "margin": margin_map(case),
        "temperature": temperature_over_time(case),
        "paths": path_terms(case),
    }
    for figure in made.values():
        figure.canvas.draw()
    return made


def _panels(figure: Figure) -> list[Any]:
    return [a for a in figure.axes if a.get_title() or a.get_title(loc="left")]


@pytest.mark.parametrize("name", ["planes", "needle", "margin", "temperature", "paths"])
def test_every_axis_carries_a_unit(figures: dict[str, Figure], name: str) -> None:
    labels = []
    for axes in figures[name].axes:
        mollweide = axes.name == "mollweide"
        hidden_x = not mollweide and not axes.xaxis.get_tick_params().get("labelbottom", True)
        if not mollweide and not hidden_x:
            labels.append(axes.get_xlabel())
        if axes.get_yticklabels() and axes.get_label() != "<colorbar>":
            labels.append(axes.get_ylabel())
    assert labels
    for label in labels:
        assert _UNIT.search(label) or "(mm)" in label, label


def test_planes_have_the_letters_of_their_sides(figures: dict[str, Figure]) -> None:
    expected = {"Axial": "RLAP", "Coronal": "RLHF", "Sagittal": "APHF"}
    for axes in figures["planes"].axes[:3]:
        found = [t.get_text() for t in axes.texts if t.get_gid() == "orientation"]
        assert "".join(found) == expected[axes.get_title(loc="left").split(",")[0]]
        places = [t.get_position() for t in axes.texts if t.get_gid() == "orientation"]
        left, right, top, bottom = places
        assert left[0] < 0.1 < 0.9 < right[0]
        assert bottom[1] < 0.1 < 0.9 < top[1]


@pytest.mark.parametrize("which", ["case", "coronal_case"])
@pytest.mark.parametrize(
    ("plane_name", "side_u", "side_v"),
    [("axial", "left", "top"), ("coronal", "left", "top"), ("sagittal", "left", "top")],
)
def test_marker_on_the_patients_right_front_head_is_drawn_there(
    request: pytest.FixtureRequest, handmade: ModuleType, which: str, plane_name: str,
    side_u: str, side_v: str,
) -> None:  # fmt: skip
    """Pixels of the drawn picture: the marker is right (R), anterior (A), towards the head (H)."""
    planned = request.getfixturevalue(which)
    centre = handmade.MARKER_CENTRE
    # A field of view whose middle is 30 mm to the left, back and feet of the marker.
    middle = centre + np.array([30.0, 30.0, -30.0])
    at = {"axial": (middle[0], -middle[1]), "coronal": (middle[0], middle[2]),
          "sagittal": (middle[1], middle[2])}[plane_name]  # fmt: skip
    plane = anatomical_plane(plane_name, centre, (at[0] - 50, at[0] + 50), (at[1] - 50, at[1] + 50))
    hu = plane.sample(planned.volume.array, planned.volume.grid, outside=-1000.0)
    u, v = np.meshgrid(plane.u_axis_mm, plane.v_axis_mm)
    expected, _ = plane.project(centre)
    near = np.hypot(u - expected[0], v - expected[1]) < 6.0
    assert np.median(hu[near]) > 300
    figure = style.new_figure(5, 5)
    axes = figure.subplots()
    draw_reslice(axes, planned, plane, placement_index=0)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].min(axis=-1)  # type: ignore[attr-defined]
    x, y = axes.transData.transform(expected)
    row, column = pixels.shape[0] - round(y), round(x)
    assert (pixels[row - 3 : row + 4, column - 3 : column + 4] > 230).all()
    box = axes.get_window_extent()
    assert side_u == ("left" if x < (box.x0 + box.x1) / 2 else "right")
    assert side_v == ("top" if y > (box.y0 + box.y1) / 2 else "bottom")


@pytest.mark.parametrize("which", ["case", "coronal_case"])
@pytest.mark.parametrize("celsius", [0.0, -20.0, -40.0])
def test_isotherms_lie_where_the_field_says(
    request: pytest.FixtureRequest, handmade: ModuleType, which: str, celsius: float
) -> None:
    planned = request.getfixturevalue(which)
    tip = planned.plan.placements[0].needle.tip_mm
    checked = 0
    for axes, name in zip(three_planes(planned).axes, ("axial", "coronal", "sagittal"),
                          strict=False):  # fmt: skip
        plane = anatomical_plane(name, tip, (-1.0, 1.0), (-1.0, 1.0))
        centre, off = plane.project(handmade.ZONE_CENTRE)
        for drawn in axes.collections:
            levels = getattr(drawn, "levels", None)
            colours = [to_hex(c) for c in np.atleast_2d(drawn.get_edgecolor())]
            if levels is None or style.ISOTHERMS[celsius] not in colours:
                continue
            vertices = np.vstack([p.vertices for p in drawn.get_paths() if len(p.vertices)])
            radius = np.sqrt(((vertices - centre) ** 2).sum(axis=1) + float(off) ** 2)
            assert np.abs(radius - handmade.isotherm_radius_mm(celsius)).max() < 0.5
            checked += 1
    assert checked == 3


def test_margin_contour_is_the_goal_away_from_the_target(
    case: PlannedCase, handmade: ModuleType
) -> None:
    axes = three_planes(case).axes[0]
    plane = anatomical_plane("axial", case.plan.placements[0].needle.tip_mm, (0, 1), (0, 1))
    centre, off = plane.project(handmade.TUMOUR_CENTRE)
    found = []
    for drawn in axes.collections:
        if getattr(drawn, "levels", None) is None:
            continue
        if list(drawn.levels) == [case.plan.margin_goal_mm]:
            vertices = np.vstack([p.vertices for p in drawn.get_paths() if len(p.vertices)])
            found.append(np.sqrt(((vertices - centre) ** 2).sum(1) + float(off) ** 2))
    assert len(found) == 1
    expected = handmade.TUMOUR_RADIUS_MM + case.plan.margin_goal_mm
    assert np.abs(found[0] - expected).max() < 0.5


def test_needle_is_solid_only_near_the_slice(case: PlannedCase) -> None:
    axes = three_planes(case, 0).axes[0]
    tip = np.array(case.plan.placements[0].needle.tip_mm)
    solid = [x for x in axes.lines if x.get_linestyle() == "-" and x.get_linewidth() == 2.8]
    assert len(solid) == 1
    uv = np.column_stack(solid[0].get_data())
    uv = uv[np.isfinite(uv[:, 0])]
    needle = case.plan.placements[0].needle
    along = np.linalg.norm(uv - uv[-1], axis=1).max() / np.hypot(*needle.direction[:2])
    assert abs(along * abs(needle.direction[2]) - 2.5) < 0.3
    assert np.allclose(uv[-1], (tip[0], -tip[1]), atol=1e-6)


def test_lengthwise_view_starts_at_the_skin(case: PlannedCase) -> None:
    figure = needles_eye(case, 0)
    lengthwise = [a for a in figure.axes if "depth from the skin" in a.get_xlabel()]
    assert len(lengthwise) == 2
    needle = case.plan.placements[0].needle
    for axes in lengthwise:
        solid = next(x for x in axes.lines if x.get_linewidth() == 2.8)
        x, y = solid.get_data()
        assert np.isclose(np.nanmin(x), 0.0, atol=1e-6)
        assert np.isclose(np.nanmax(x), needle.depth_mm, atol=1e-6)
        assert np.nanmax(np.abs(y)) < 1e-6


@pytest.mark.parametrize("index", [-1, 2])
@pytest.mark.parametrize("figure", [three_planes, needles_eye])
def test_unknown_placement_is_refused(case: PlannedCase, figure: Any, index: int) -> None:
    with pytest.raises(InputError, match="placement_index"):
        figure(case, index)


def test_margin_map_minimum_is_where_it_was_made(case: PlannedCase, handmade: ModuleType) -> None:
    lon, lat = np.meshgrid(np.linspace(-np.pi, np.pi, 181), np.linspace(-1.5, 1.5, 91))
    directions = np.stack(
        [np.cos(lat) * np.sin(lon), -np.cos(lat) * np.cos(lon), np.sin(lat)], axis=-1
    )
    centre = handmade.TUMOUR_CENTRE
    margin, _ = margin_by_direction(case.evaluation.margin, centre, directions)
    worst = directions.reshape(-1, 3)[int(margin.argmin())]
    made = -handmade.OFFSET_MM / np.linalg.norm(handmade.OFFSET_MM)
    assert np.degrees(np.arccos(worst @ made)) < 5.0
    exact = handmade.LETHAL_RADIUS_MM - np.linalg.norm(
        centre + handmade.TUMOUR_RADIUS_MM * directions - handmade.ZONE_CENTRE, axis=-1
    )
    assert np.abs(margin - exact).max() < 0.1


def test_margin_map_marks_the_minimum_in_words(
    figures: dict[str, Figure], case: PlannedCase
) -> None:
    axes = next(a for a in figures["margin"].axes if a.name == "mollweide")
    title = axes.get_title(loc="left")
    assert "2.6 mm" in title
    assert "posterior-cranial-left" in title
    star = next(x for x in axes.lines if x.get_gid() == "minimum")
    lon, lat = longitude_latitude(
        np.array(case.evaluation.minimal_margin_at_mm) - np.array(case.plan.target.centroid_mm)
    )
    assert np.allclose([star.get_xdata()[0], star.get_ydata()[0]], [lon, lat])
    assert star.get_xdata()[0] > np.pi / 2  # left and behind: the right end of the map
    letters = {t.get_text() for t in axes.texts if t.get_gid() == "orientation"}
    assert letters == set("RALPHF")


def test_folded_surface_shows_its_smallest_margin(case: PlannedCase) -> None:
    surface = case.evaluation.margin
    inner = np.array(case.plan.target.centroid_mm) + 0.4 * (
        surface.points_mm - np.array(case.plan.target.centroid_mm)
    )
    both = MarginSurface(
        np.vstack([surface.points_mm, inner]), np.vstack([surface.normals] * 2),
        np.tile(surface.area_mm2, 2), np.concatenate([surface.margin_mm, surface.margin_mm - 4.0]),
        np.tile(surface.counted, 2),
    )  # fmt: skip
    directions = surface.normals[::50]
    centre = np.array(case.plan.target.centroid_mm)
    alone, _ = margin_by_direction(surface, centre, directions)
    folded, _ = margin_by_direction(both, centre, directions)
    assert np.all(folded <= alone - 3.5)


def test_temperature_figure_shades_the_schedule(figures: dict[str, Figure]) -> None:
    words = [t.get_text() for t in figures["temperature"].axes[0].texts]
    assert words == ["freeze\n10 min", "passive thaw\n8 min", "freeze\n10 min"]


def test_path_figure_has_every_term(figures: dict[str, Figure], case: PlannedCase) -> None:
    axes = figures["paths"].axes[0]
    shown = {t.get_text() for t in axes.get_yticklabels()}
    paid = [t for t in case.paths[0].terms if t.cost > 0]
    assert shown == {t.name.replace("_", " ") for t in paid}
    assert "No cost for any needle: healthy liver before tumour." in axes.get_xlabel()
    assert len(axes.patches) == 2 * len(paid)


def test_figures_leave_matplotlib_alone(case: PlannedCase) -> None:
    before = dict(matplotlib.rcParams)
    first = png_bytes(temperature_over_time(case))
    assert dict(matplotlib.rcParams) == before
    assert first == png_bytes(temperature_over_time(case))
    assert first.startswith(b"\x89PNG")
    assert b"matplotlib" not in first.lower()


def test_sparse_case_is_drawn_without_a_warning(case: PlannedCase) -> None:
    """One needle, no margin goal, no organ labels, no ice on the slice, four surface points."""
    surface = case.evaluation.margin
    few = MarginSurface(*(getattr(surface, f)[::500] for f in (
        "points_mm", "normals", "area_mm2", "margin_mm", "counted")))  # fmt: skip
    body = LabelMap.from_masks(
        case.labels.grid, [(structure("body"), np.asarray(case.labels.array > 0))]
    )
    warm = Volume(np.full((4, 4, 4), 37.0, np.float32), Grid.from_spacing((4, 4, 4), (1, 1, 1)),
                  "degC")  # fmt: skip
    sparse = replace(
        case,
        labels=body,
        plan=replace(case.plan, placements=case.plan.placements[:1], margin_goal_mm=0.0),
        paths=case.paths[:1],
        result=replace(case.result, end_of_freeze_c=warm, cycle_minimum_c=(warm,)),
        evaluation=replace(case.evaluation, margin=few),
    )
    for figure in (three_planes(sparse), needles_eye(sparse), margin_map(sparse),
                   path_terms(sparse)):  # fmt: skip
        assert png_bytes(figure).startswith(b"\x89PNG")
    words = [t.get_text() for t in three_planes(sparse).legends[0].get_texts()]
    assert "Target" in words
    assert not any(w.startswith(("Target +", "Liver")) for w in words)


def test_globes_are_not_mirrored() -> None:
    """Right x up points to the viewer, and the letters name the edges' sides."""
    from irplan.viz.margin_map import _VIEWS
    from irplan.viz.orientation import orientation_letters

    for _, near, right, up, letters in _VIEWS:
        right, up = np.array(right), np.array(up)
        assert tuple(np.cross(right, up)) == near
        assert [orientation_letters(w) for w in (right, -right, up, -up)] == list(letters)
