"""Strict TOML: what is refused, and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from irplan.ablation import CryoDevice
from irplan.errors import FileFormatError
from irplan.files.toml_table import load_toml, parse_toml, toml_value


def table(text: str):
    return parse_toml(text, name="x.toml", what="problem file")


def test_an_unknown_key_is_refused_with_the_nearest_name():
    with pytest.raises(FileFormatError) as refused:
        table("tip_m = 1").only("tip_mm", "entry_mm")
    assert refused.value.field == "'x.toml' tip_m"
    assert "'tip_mm'" in refused.value.remedy


@pytest.mark.parametrize(
    "text", ["a = '1'", "a = true", "a = nan", "a = inf", "a = 11", "a = [1]", "b = 1"]
)
def test_a_number_is_a_finite_number_in_range(text: str):
    with pytest.raises(FileFormatError):
        table(text).number("a", low=0, high=10)


@pytest.mark.parametrize("value", ["1.5", "'2'", "1e9"])
def test_a_whole_number_is_whole(value: str):
    with pytest.raises(FileFormatError):
        table(f"a = {value}").whole("a", low=0, high=10)
    assert table("a = 3").whole("a", low=0, high=10) == 3


@pytest.mark.parametrize("value", ["[1, 2]", "[1, 2, '3']", "[1, 2, nan]", "5", "[1, 2, true]"])
def test_a_point_is_three_finite_numbers(value: str):
    with pytest.raises(FileFormatError, match="LPS mm"):
        table(f"p = {value}").point("p")


def test_a_default_counts_only_where_the_key_is_absent():
    assert table("").number("a", None) is None
    assert table("").text("a", "x", choices=("y",)) == "x"
    with pytest.raises(FileFormatError):
        table("a = 'z'").text("a", "x", choices=("y",))


def test_tables_know_their_path():
    inner = table("[[a]]\n[[a]]\nb = {c = 1}").tables("a")[1].table("b")
    assert inner.where("c") == "'x.toml' a[2].b.c"


def test_what_a_constructor_refuses_is_told_with_its_place():
    with pytest.raises(FileFormatError) as refused:
        table("[d]\nmax_probes = 900").table("d").build(CryoDevice)
    assert refused.value.field == "'x.toml' d.max_probes"
    assert table("[d]\nmax_probes = 9").table("d").build(CryoDevice).max_probes == 9


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a = ", "not TOML"), (b"\xff\xfe", "UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes | None, words: str):
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileFormatError, match=words):
        load_toml(path, what="problem file")


@pytest.mark.parametrize("value", [True, 3, 2.5, 1e-9, 4.0, 'a "b" \\ c\n', [[0.0, 1.0], [2.0]]])
def test_written_values_read_back(value):
    assert table(f"a = {toml_value(value)}").data["a"] == value
