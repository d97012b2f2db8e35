"""Paths on a 1 mm label map with ten structures against the brute-force oracle: the same hits.

Lengths agree to 1e-4 mm (float32 results of up to 100 mm); a soft deficit to its step of 1/255.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.image import LabelMap, structure
from irplan.planning import PathRules
from irplan.planning.checks import SKIN_MM, check_paths
from irplan.planning.entry_paths import COMFORTABLE_ORGAN_PATH_MM, paths_of_entries
from irplan.planning.obstacles import ObstacleRaster, build_raster
from irplan.planning.paths import NeedleError, PathWeights
from tests.reference.path_march import World, path_facts

NAMES = (
    "bone", "lung", "gas", "gallbladder", "hepatic_vein", "bile_duct", "heart", "spleen",
    "kidney_left",
)  # fmt: skip
SIZE = 64
RULES = PathRules().with_values(min_vessel_diameter=0.5, max_length=70, min_capsule_angle=0)
WEIGHTS = PathWeights(capsule_angle=0.0, sweep=0.0)


@pytest.fixture(scope="module")
def made() -> tuple[ObstacleRaster, World]:
    """A ball of body with ten structures strewn in it, a dark slab, a target in the liver."""
    rng = np.random.default_rng(7)
    p = np.moveaxis(np.indices((SIZE,) * 3), 0, -1) - (SIZE - 1) / 2
    r = np.linalg.norm(p, axis=-1)
    grid = Grid.from_spacing((SIZE,) * 3, (1.0, 1.0, 1.0), (-31.5, -31.5, -31.5))
    array = np.where(r < 29.0, structure("body").value, 0).astype(np.uint8)
    array[r < 15.0] = structure("liver").value
    for name in NAMES:
        for _ in range(3):
            way = rng.normal(size=3)
            middle = way / np.linalg.norm(way) * rng.uniform(14.0, 26.0)
            ball = np.linalg.norm(p - middle, axis=-1) < rng.uniform(1.0, 2.6)
            array[ball & (r < 29.0)] = structure(name).value
    target = r < 4.0
    dark = (np.abs(p[..., 0] - 10.0) < 3.0) & (p[..., 1] < -4.0)
    labels = LabelMap(array, grid, tuple(structure(n) for n in ("body", "liver", *NAMES)))
    raster = build_raster(labels, target, RULES, spacing_mm=1.0, unknown=dark)
    assert np.array_equal(raster.labels.array, array)  # nothing cropped away
    vessels = ("portal_vein", "hepatic_vein", "vessel", "artery", "vena_cava")
    obstacles = [
        (o.name, labels.mask(*o.structures), o.hard_mm, o.soft_mm) for o in raster.obstacles
    ]
    assert len(obstacles) == 8
    assert any(set(o.structures) & set(vessels) for o in raster.obstacles)
    whole = raster.words & (1 << 11) != 0
    wide = (np.abs(p[..., 0] - 10.0) < 4.0) & (p[..., 1] < -3.0)  # a raster voxel more, all round
    world = World(1.0, (array == 0) & ~wide, wide, whole, target, obstacles)
    return raster, world


def test_the_raster_says_what_distances_say(made: tuple[ObstacleRaster, World]) -> None:
    raster, world = made
    deficit = np.zeros(world.target.shape)
    for number, (_, _, hard, soft) in enumerate(world.obstacles):
        assert np.array_equal(raster.words & (1 << number) != 0, world.hard(number))
        share = np.clip((soft - world.gap_mm[number]) / (soft - hard), 0.0, 1.0)
        deficit = np.maximum(deficit, share)
    assert np.abs(((raster.words >> 16) & 0xFF) - 255.0 * deficit).max() <= 1.0 + 1e-3


def test_every_path_against_the_oracle(made: tuple[ObstacleRaster, World]) -> None:
    raster, world = made
    rng = np.random.default_rng(1)
    entry = raster.entries_mm[rng.choice(len(raster.entries_mm), 120, replace=False)]
    tip = raster.grid.index_to_lps(np.argwhere(world.target)[::9])
    found = paths_of_entries(raster, entry, tip, WEIGHTS)
    a, b = np.repeat(entry, len(tip), axis=0), np.tile(tip, (len(entry), 1))
    checks = check_paths(raster, a, b)
    names = [o.name for o in raster.obstacles]
    k = len(names)
    want = {
        n: np.zeros(len(entry))
        for n in ("clear", "unsure", "tested", "organ", *names, "outside", "long", "tilt", "below")
    }
    cost = np.full((len(entry), 2), np.inf)
    for row in range(len(a)):
        e = row // len(tip)
        facts = path_facts(
            world, raster.grid.lps_to_index(a[row]), raster.grid.lps_to_index(b[row]), SKIN_MM
        )
        assert {names[n] for n in range(k) if checks.broken[row, n]} == facts.broken - {"outside"}
        assert bool(checks.broken[row, k]) == ("outside" in facts.broken)
        assert bool(checks.broken[row, k + 6]) == facts.unknown
        assert checks.blocked_mm[row] == pytest.approx(facts.blocked_mm, abs=1e-4)
        assert checks.organ_path_mm[row] == pytest.approx(facts.healthy_mm, abs=1e-4)
        assert checks.target_at_mm[row] == pytest.approx(facts.target_at_mm, abs=1e-4)
        assert checks.soft[row] == pytest.approx(facts.deficit, abs=1.01 / 255)
        way = (b[row] - a[row]) / facts.length_mm
        tilt = abs(math.degrees(math.asin(way[2])))
        below = math.degrees(math.asin(-way[1]))
        want["tested"][e] += 1
        needle = [facts.length_mm > 70.0, tilt > 45.0, below > 15.0]
        for name, off in zip(("long", "tilt", "below"), needle, strict=True):
            want[name][e] += off
        if any(needle):
            continue
        short = facts.healthy_mm < 5.0
        want["organ"][e] += short
        for name in facts.broken:
            want[name][e] += 1
        if not facts.broken and not short:
            kind = 1 if facts.unknown else 0
            want["unsure" if kind else "clear"][e] += 1
            room = np.clip((COMFORTABLE_ORGAN_PATH_MM - facts.healthy_mm) / 10.0, 0.0, 1.0)
            score = facts.length_mm / 70.0 + 0.5 * tilt / 45.0 + checks.soft[row] ** 2 + 0.3 * room
            cost[e, kind] = min(cost[e, kind], score)
    assert np.array_equal(found.tested, want["tested"])
    assert np.array_equal(found.clear, want["clear"])
    assert np.array_equal(found.unsure, want["unsure"])
    columns = (*names, "outside", "long", "tilt", "below", "organ")
    for n, name in enumerate(columns):
        assert np.array_equal(found.broken[:, n], want[name]), name
    assert found.cost == pytest.approx(cost, abs=1e-9)
    assert found.clear.sum() > 100
    assert found.unsure.sum() > 20
    assert (found.clear == 0).sum() > 5


def test_the_sweep_is_one_where_the_needle_could_touch(made: tuple[ObstacleRaster, World]) -> None:
    raster, _ = made
    entry, tip = raster.entries_mm[::7], raster.grid.index_to_lps([[31.5, 31.5, 31.5]])
    plain = paths_of_entries(raster, entry, tip, PathWeights(sweep=0.0))
    none = paths_of_entries(raster, entry, tip, PathWeights(error=NeedleError(0.0, 0.0)))
    wide = paths_of_entries(raster, entry, tip, PathWeights(error=NeedleError(20.0, 0.0)))
    near = plain.clear > 0
    assert np.array_equal(plain.cost[near], none.cost[near])
    added = wide.cost[near, 0] - plain.cost[near, 0]
    soft = plain.soft[near, 0] > 0.0
    # 20 mm off is more than any hard distance and soft zone together: the whole weight is paid.
    assert added[soft] == pytest.approx(0.5)
    assert added[~soft] == pytest.approx(0.0)


def test_threads_change_nothing(made: tuple[ObstacleRaster, World], monkeypatch: object) -> None:
    import irplan.compute.parts as parts

    raster, world = made
    tip = raster.grid.index_to_lps(np.argwhere(world.target)[::20])
    one = paths_of_entries(raster, raster.entries_mm, tip)
    monkeypatch.setattr(parts, "cores", lambda: 1)  # type: ignore[attr-defined]
    two = paths_of_entries(raster, raster.entries_mm, tip)
    for name in ("clear", "unsure", "broken", "cost", "best_tip", "soft", "miss", "miss_tip"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
