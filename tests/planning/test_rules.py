from __future__ import annotations

import pytest

from irplan.errors import InputError
from irplan.planning import Obstacle, PathRules


def test_every_rule_has_unit_and_labelled_source() -> None:
    rules = PathRules()
    for name in rules.as_options():
        if "mm" not in name.rsplit(".", 1)[-1]:
            limit = getattr(rules, name.removeprefix("rule."))
            assert limit.unit
            assert "[S]" in limit.source or "[V]" in limit.source
    assert all("[S]" in o.source or "[V]" in o.source for o in rules.obstacles)


def test_override_with_and_without_unit() -> None:
    rules = PathRules().with_values(max_length_mm=120, max_tilt=30)
    assert (rules.max_length.value, rules.max_tilt.value) == (120.0, 30.0)
    assert rules.max_length.source == "set by the user"
    assert PathRules().max_length.value == 150.0
    closer = rules.with_obstacle("lung", hard_mm=1.0, soft_mm=2.0)
    assert next(o for o in closer.obstacles if o.name == "lung").hard_mm == 1.0


@pytest.mark.parametrize(
    "values",
    [
        {"max_length_mm": -1},
        {"max_length_mm": float("nan")},
        {"min_capsule_angle": 100},
        {"no_such_rule": 1},
        {"min_probe_spacing": 30},  # above the largest spacing of 20
        {"max_probes": 50},
        {"gallbladder.hard_mm": 12},  # above its soft distance of 10
        {"moon.hard_mm": 1},
    ],
)
def test_bad_values(values: dict[str, float]) -> None:
    with pytest.raises(InputError):
        PathRules().with_values(**values)


def test_bad_obstacles() -> None:
    with pytest.raises(InputError, match="hard"):
        Obstacle("x", ("bone",), 5.0, 2.0, False, "")
    with pytest.raises(InputError, match="obstacle"):
        PathRules().with_obstacle("moon", hard_mm=1.0, soft_mm=2.0)
    with pytest.raises(InputError, match="each name once"):
        PathRules(obstacles=(PathRules().obstacles[0],) * 2)


def test_obstacles_by_name_and_what_a_plan_recorded() -> None:
    changed = PathRules().with_values(
        **{"gas_or_bowel.hard_mm": 3, "bone.hard_mm": 6, "bone.soft_mm": 8, "max_tilt": 30}
    )
    by = {o.name: (o.hard_mm, o.soft_mm) for o in changed.obstacles}
    assert by["gas or bowel"] == (3.0, 10.0)
    assert by["bone"] == (6.0, 8.0)
    again = PathRules().recorded(changed.as_options())
    assert again.as_options() == changed.as_options()
    assert again.max_tilt.source == "set by the user"
    assert again.max_length == PathRules().max_length
    assert PathRules().recorded({"modality": "cryo", "rule.moon.hard_mm": 1.0}) == PathRules()
