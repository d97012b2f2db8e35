"""Command-line values: what is accepted, and what a wrong one is told."""

import pytest

from irplan.cli.values import parse_point, parse_probes, parse_rules, parse_schedule
from irplan.errors import InputError


def test_point_is_three_numbers_in_order() -> None:
    assert parse_point("-62,18.5,-140") == (-62.0, 18.5, -140.0)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "a,b,c", "1,2,nan", "1,2,inf", "1;2;3"])
def test_wrong_point_names_the_option_and_shows_an_example(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_point(text)
    assert caught.value.field == "--target-point"
    assert "x" not in caught.value.got or text in caught.value.got
    assert "--target-point -62,18,-140" in caught.value.remedy


def test_probes() -> None:
    assert parse_probes("auto") is None
    assert parse_probes("3") == 3


@pytest.mark.parametrize("text", ["0", "11", "-1", "two", "1.5", "", "²"])
def test_wrong_probe_count(text: str) -> None:
    with pytest.raises(InputError, match="1 to 10"):
        parse_probes(text)


def test_schedule_is_minutes() -> None:
    schedule = parse_schedule("10-8-10")
    assert [p.duration_s for p in schedule.phases] == [600.0, 480.0, 600.0]
    assert [p.kind for p in schedule.phases] == ["freeze", "passive_thaw", "freeze"]


@pytest.mark.parametrize("text", ["10", "10-8", "10-8-10-8", "a-b-c"])
def test_wrong_schedule(text: str) -> None:
    with pytest.raises(InputError, match="--schedule"):
        parse_schedule(text)


@pytest.mark.parametrize("text", ["0-0-0", "999-8-999", "10-8-nan"])
def test_schedule_out_of_range_is_told_in_minutes(text: str) -> None:
    with pytest.raises(InputError, match="--schedule") as caught:
        parse_schedule(text)
    assert "seconds" not in caught.value.remedy


def test_rules_by_name() -> None:
    given = ["max_tilt=30", " gas or bowel.hard_mm = 3"]
    assert parse_rules(given) == {"max_tilt": 30.0, "gas or bowel.hard_mm": 3.0}


@pytest.mark.parametrize(
    "texts", [["max_tilt"], ["=3"], ["max_tilt=x"], ["max_tilt=nan"], ["a=1", "a=2"]]
)
def test_wrong_rules(texts: list[str]) -> None:
    with pytest.raises(InputError, match="--rule"):
        parse_rules(texts)
