"""Paths where not everything was seen: clear only when seen from skin to tip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Needle
from irplan.planning import PathRules
from irplan.planning.paths import UNKNOWN
from irplan.planning.seen_paths import seen_paths

from .conftest import Scene

FRONT_MM = -60.0  # the body's front face


def met(needle: Needle, scene: Scene, mask: NDArray[np.bool_]) -> bool:
    """Whether points every 0.5 mm of the needle lie in the mask (nearest voxels)."""
    tip, entry = np.array(needle.tip_mm), np.array(needle.entry_mm)
    steps = np.linspace(0.0, 1.0, int(needle.depth_mm / 0.5) + 2)[:, None]
    index = np.rint(scene.labels.grid.lps_to_index(tip + steps * (entry - tip))).astype(int)
    return bool(mask[tuple(np.clip(index, 0, np.array(mask.shape) - 1).T)].any())


def test_skin_outside_the_field_is_never_clear(scene: Callable[..., Scene]) -> None:
    s = scene()
    dark = np.hypot(s.points[..., 0], s.points[..., 1]) > 50.0
    _, _, found, words = seen_paths(s.labels, s.target, PathRules(), dark, lambda *_: None)
    assert found.candidates
    for c in found.candidates:
        assert UNKNOWN in c.not_checked
        x, y, _ = c.needle.entry_mm
        assert np.hypot(x, y) == pytest.approx(50.0, abs=5.0)  # two voxels of raster and labels
    assert any("NOT CHECKED" in w for w in words)


def test_paths_that_are_seen_are_preferred(scene: Callable[..., Scene]) -> None:
    s = scene()
    dark = s.points[..., 1] > -5.0
    dark &= ~s.target
    _, _, found, words = seen_paths(s.labels, s.target, PathRules(), dark, lambda *_: None)
    assert words == ()
    for c in found.candidates:
        assert UNKNOWN not in c.not_checked
        assert not met(c.needle, s, dark)
        assert c.needle.entry_mm[1] < -5.0


def test_metal_inside_the_field_is_gone_round(scene: Callable[..., Scene]) -> None:
    s = scene()
    metal = np.linalg.norm(s.points - [0.0, -35.0, 0.0], axis=-1) < 10.0
    _, _, found, words = seen_paths(s.labels, s.target, PathRules(), metal, lambda *_: None)
    assert words == ()
    assert found.candidates
    assert not any(met(c.needle, s, metal) for c in found.candidates)


def test_target_that_was_not_seen_is_refused(scene: Callable[..., Scene]) -> None:
    s = scene()
    with pytest.raises(InputError, match="nothing was seen"):
        seen_paths(s.labels, s.target, PathRules(), s.target.copy(), lambda *_: None)
    with pytest.raises(GridMismatchError, match="unknown"):
        seen_paths(s.labels, s.target, PathRules(), np.zeros((2, 2, 2), bool), lambda *_: None)
