"""Each hard rule blocks what it should, on shapes whose distances are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from irplan.errors import GridMismatchError, InputError, NoAdmissiblePathError
from irplan.image import LabelMap, structure
from irplan.planning import PathRules, PathSearch, find_paths

from .conftest import LIVER_RADIUS, Scene
from .slow_march import structures_met

FORBIDDEN = {"bone", "lung", "gas", "gallbladder", "vessel", "outside"}


def paths(scene: Scene, **rules: float) -> PathSearch:
    return find_paths(
        scene.labels,
        scene.target,
        tip_points_mm=[scene.points[scene.target].mean(axis=0)],
        rules=PathRules().with_values(**rules),
    )


def test_free_body_finds_the_short_way(scene: Callable[..., Scene]) -> None:
    found = paths(scene())
    best = found.candidates[0].needle
    # The front is 60 mm away, the sides 80: straight in from the front.
    assert best.depth_mm == pytest.approx(60.0, abs=3.0)
    assert abs(best.craniocaudal_tilt_deg) < 8.0
    assert best.direction[1] > 0.98
    assert found.admissible <= found.tested
    terms = {t.name: t for t in found.candidates[0].terms}
    assert terms["angle to the capsule"].value == pytest.approx(90.0, abs=6.0)
    assert terms["healthy organ before the target"].value == pytest.approx(
        LIVER_RADIUS - 8.0, abs=2.5
    )
    assert found.candidates[0].cost == pytest.approx(sum(t.cost for t in terms.values()))
    costs = [c.cost for c in found.candidates]
    assert costs == sorted(costs)
    entries = np.array([c.needle.entry_mm for c in found.candidates])
    gaps = np.linalg.norm(entries[:, None] - entries[None], axis=-1)
    assert gaps[np.triu_indices(len(entries), 1)].min() > 9.0


def test_table_blocks_the_back(scene: Callable[..., Scene]) -> None:
    for c in paths(scene()).candidates:
        # At most 15 degrees from below the horizontal: direction y >= -sin 15.
        assert c.needle.direction[1] >= -np.sin(np.radians(15.0)) - 0.02
    prone = paths(scene(), max_below_horizontal=90.0)
    assert prone.admissible > paths(scene()).admissible


@pytest.mark.parametrize(
    ("name", "keep_mm"), [("bone", 2.0), ("lung", 5.0), ("gas", 5.0), ("gallbladder", 5.0)]
)
@pytest.mark.parametrize("oblique", [False, True])
def test_slab_in_front_is_kept_at_its_distance(
    scene: Callable[..., Scene], name: str, keep_mm: float, oblique: bool
) -> None:
    plain = scene((2.5, 1.5, 2.0), oblique=oblique)
    p = plain.points
    # A wall in front with a hole of 30 x 30 mm off the middle.
    wall = (p[..., 1] > -54.0) & (p[..., 1] < -48.0)
    hole = (np.abs(p[..., 0] - 25.0) < 15.0) & (np.abs(p[..., 2]) < 15.0)
    with_wall = plain.with_structure(name, wall & ~hole & (plain.labels.array > 0))
    found = paths(with_wall)
    group = "gas or bowel" if name == "gas" else name
    inner = 15.0 - keep_mm
    for c in found.candidates:
        met = structures_met(c.needle, with_wall.labels)
        assert not FORBIDDEN & {k for k, v in met.items() if v > 2.0}
        assert name not in met
        # Closed form: where the axis crosses the wall it is inside the hole by the hard distance
        # (a voxel's half diagonal of rounding at the hole's edge).
        n = c.needle
        t = (-51.0 - n.entry_mm[1]) / n.direction[1] if n.direction[1] > 0.2 else np.inf
        if 0.0 < t < n.depth_mm:
            x, _, z = n.point_at(t)
            assert abs(x - 25.0) <= inner + 1.8
            assert abs(z) <= inner + 1.8
        assert c.clearance_mm[group] >= keep_mm
    assert any(f"{group} closer" in rule for rule, _ in found.blocked_by)


def test_vessel_rule_counts_from_three_millimetres(scene: Callable[..., Scene]) -> None:
    plain = scene((1.0, 1.0, 1.0))
    p = plain.points
    from_axis = np.hypot(p[..., 0], p[..., 1] + 25.0)
    thick = plain.with_structure("vessel", from_axis <= 4.0)
    thin = plain.with_structure("vessel", from_axis <= 0.8)
    kept = paths(thick)
    assert all(c.clearance_mm["vessel"] >= 2.0 for c in kept.candidates)
    assert any("vessel" in rule for rule, _ in kept.blocked_by)
    assert not any("vessel" in rule for rule, _ in paths(thin).blocked_by)


def test_geometric_rules(scene: Callable[..., Scene]) -> None:
    s = scene()
    assert all(c.needle.depth_mm <= 66.0 for c in paths(s, max_length=66).candidates)
    flat = paths(s, max_tilt=10).candidates
    assert all(abs(c.needle.craniocaudal_tilt_deg) <= 10.0 for c in flat)
    with pytest.raises(NoAdmissiblePathError, match="healthy organ") as caught:
        paths(s, min_organ_path=45)
    assert "healthy organ" in caught.value.nearest_miss
    with pytest.raises(NoAdmissiblePathError, match="longer than 40") as caught:
        paths(s, max_length=40)
    assert caught.value.blocked_by[0][0].startswith("longer than 40")
    # 60 mm is the shortest way: the nearest miss is 20 mm too long.
    assert "too long" in caught.value.nearest_miss


def test_capsule_angle_closed_form(scene: Callable[..., Scene]) -> None:
    s = scene((1.0, 1.0, 1.0), centre=(0.0, -30.0, 0.0), radius=6.0)
    for c in paths(s, min_organ_path=0.0).candidates:
        n = c.needle
        # Where the axis enters the liver ball, by the quadratic formula.
        e, d = np.array(n.entry_mm), n.direction
        half, rest = float(e @ d), float(e @ e) - LIVER_RADIUS**2
        at = e + (-half - np.sqrt(half**2 - rest)) * d
        want = np.degrees(np.arcsin(abs(at @ d) / np.linalg.norm(at)))
        got = next(t.value for t in c.terms if t.name == "angle to the capsule")
        assert got == pytest.approx(want, abs=7.0)  # steps of 1 mm on a 45 mm ball


def test_encased_in_bone_names_the_rule(scene: Callable[..., Scene]) -> None:
    s = scene()
    r = np.linalg.norm(s.points, axis=-1)
    shell = s.with_structure("bone", (r > 20.0) & (r < 28.0))
    with pytest.raises(NoAdmissiblePathError) as caught:
        paths(shell)
    error = caught.value
    assert error.blocked_by[0][0].startswith("bone closer than 2 mm")
    assert error.blocked_by[0][1] > 1000
    # Straight through: 8 mm of bone and 2 mm before and behind it, less a raster voxel or two.
    assert "bone" in error.nearest_miss
    blocked = float(error.nearest_miss.split(": ")[1].split(" mm of it")[0])
    assert blocked == pytest.approx(10.5, abs=2.5)
    assert "Nearest miss" in str(error)


def test_target_in_a_forbidden_structure_is_named(scene: Callable[..., Scene]) -> None:
    """Whatever else blocks more paths: the rule of the nearest one, and where the target lies."""
    s = scene()
    inside = s.labels.with_mask(structure("gallbladder"), s.target)
    with pytest.raises(NoAdmissiblePathError) as caught:
        find_paths(inside, s.target)
    assert "every point tried lies in or within 5 mm of gallbladder" in caught.value.got
    assert "the nearest breaks 'gallbladder closer than 5 mm'" in caught.value.got
    assert "no direction helps" in caught.value.nearest_miss


def test_not_looked_for_is_never_clear(scene: Callable[..., Scene]) -> None:
    s = scene()
    keep = tuple(x for x in s.labels.labels if x.name != "gallbladder")
    blind = LabelMap(s.labels.array, s.labels.grid, keep)
    found = find_paths(blind, s.target)
    assert all("gallbladder" not in c.clearance_mm for c in found.candidates)
    assert all("gallbladder" not in t.name for c in found.candidates for t in c.terms)


def test_every_orientation_and_spacing_gives_admissible_needles(
    scene: Callable[..., Scene],
) -> None:
    s = scene((3.0, 1.0, 1.4), oblique=True, centre=(10.0, 5.0, -8.0))
    found = paths(s)
    for c in found.candidates:
        met = structures_met(c.needle, s.labels)
        assert met.get("outside", 0.0) < 0.5
        assert not {"bone", "lung"} & set(met)
    assert found.candidates[0].needle.depth_mm == pytest.approx(65.0, abs=6.0)


def test_rigid_turn_changes_no_length(scene: Callable[..., Scene]) -> None:
    a = paths(scene((2.0, 2.0, 2.0)))
    b = paths(scene((2.0, 2.0, 2.0), oblique=True))
    assert a.candidates[0].needle.depth_mm == pytest.approx(
        b.candidates[0].needle.depth_mm, abs=3.0
    )


def test_image_border_is_no_skin() -> None:
    """A body cut off by the image on every side offers no entry at all."""
    from .conftest import make_scene, upright_grid

    grid = upright_grid((2.0, 2.0, 2.0)).crop((20, 20, 20), (20, 30, 40))
    s = make_scene(grid, radius=6.0)
    assert s.labels.array.min() > 0
    with pytest.raises(NoAdmissiblePathError, match="no skin"):
        find_paths(s.labels, s.target)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        (lambda s: np.zeros_like(s.target), InputError, "no voxel"),
        (lambda s: s.target[1:], GridMismatchError, "target mask"),
        (lambda s: s.target * np.linspace(0, 1, s.target.size).reshape(s.target.shape),
         InputError, "different values"),
        (lambda s: np.where(s.target, np.nan, 0.0), InputError, "NaN"),
        (lambda s: np.linalg.norm(s.points - [0, 66, 0], axis=-1) < 5, InputError, "outside"),
        (lambda s: s.labels.array > 0, InputError, "ml"),
    ],
)  # fmt: skip
def test_bad_targets(
    scene: Callable[..., Scene], change: Callable[[Scene], Any], error: type[Exception], word: str
) -> None:
    s = scene()
    with pytest.raises(error, match=word):
        find_paths(s.labels, change(s))


def test_bad_tip_points(scene: Callable[..., Scene]) -> None:
    s = scene()
    for bad in ([[0.0, 0.0]], [[0.0, 0.0, 900.0]]):
        with pytest.raises(InputError, match="tip_points_mm"):
            find_paths(s.labels, s.target, tip_points_mm=bad)


def test_cancel_passes_through(scene: Callable[..., Scene]) -> None:
    class StopError(Exception):
        pass

    def stop(fraction: float, message: str) -> None:
        raise StopError

    s = scene()
    with pytest.raises(StopError):
        find_paths(s.labels, s.target, progress=stop)


def test_arguments_are_not_changed(scene: Callable[..., Scene]) -> None:
    s = scene()
    bone = s.with_structure("bone", np.linalg.norm(s.points - [0, -50, 0], axis=-1) < 4)
    labels, target = bone.labels.array.copy(), s.target.copy()
    find_paths(bone.labels, s.target)
    assert np.array_equal(labels, bone.labels.array)
    assert np.array_equal(target, s.target)
    assert structure("bone") in bone.labels.labels


def test_healthy_organ_before_the_target_is_a_rule_of_the_liver(
    scene: Callable[..., Scene],
) -> None:
    liver = scene(centre=(0.0, -40.0, 0.0), radius=6.0)  # bulges from the front of the ball
    kidney = Scene(
        LabelMap.from_masks(
            liver.labels.grid,
            [
                (structure("body"), liver.labels.array > 0),
                (structure("kidney_left"), liver.labels.mask("liver")),
            ],
        ),
        liver.target,
        liver.points,
    )

    def before(found: PathSearch) -> list[float]:
        return [
            t.value for c in found.candidates for t in c.terms
            if t.name == "healthy organ before the target"
        ]  # fmt: skip

    assert min(before(paths(liver))) >= 4.0
    # Straight in from the front: no kidney lies before a tumour that bulges from it.
    assert min(before(paths(kidney))) < 1.0
    assert min(before(paths(kidney, min_organ_path=5.0))) >= 4.0  # set by the user: it holds
