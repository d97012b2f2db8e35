"""The collected table: every form of figures, what got worse, nothing dropped."""

import json
from pathlib import Path

from benchmarks.results import Finished, html_page, markdown, numbers
from benchmarks.trend import read_trend, trend_records, trend_table
from benchmarks.trend import worse_than_before as slower

PLAIN = {"rows": [{"name": "a <b>", "measured": 0.2, "unit": "s", "limit": 0.1, "met": False}]}
OTHER = {"rows": [{"method": "ours", "case": "x", "dice": 0.95, "wall_s": 3.0}], "machine": {}}


def test_rows_of_every_form_become_figures() -> None:
    assert numbers(PLAIN)[0].met is False
    assert [(r.name, r.measured, r.unit) for r in numbers(OTHER)] == [
        ("ours x dice", 0.95, ""),
        ("ours x wall_s", 3.0, "s"),
    ]
    assert numbers({"append": {"p99_ms": 4.0}})[0].name == "append p99_ms"


def test_a_cost_that_grew_is_listed_and_a_quality_is_not() -> None:
    machine = {"processor": "p", "load_average_1_5_15_min": [0.1]}

    def made(seconds: float, dice: float, commit: str) -> list[dict[str, object]]:
        rows = numbers({"rows": [{"name": "t", "measured": seconds, "unit": "s"},
                                 {"name": "d", "measured": dice, "unit": ""}]})  # fmt: skip
        return trend_records([Finished("b", machine, rows, 1.0, "")], commit, "d", quick=False)

    assert slower(made(1.0, 0.9, "a"), made(1.1, 1.5, "b")) == []
    worse = slower(made(1.0, 0.9, "a"), made(1.3, 0.9, "b"))
    assert len(worse) == 1
    assert "x 1.30" in worse[0]
    # another run of the same commit is no regression, and one bad run of an old one hides none
    assert slower(made(1.0, 0.9, "a"), made(1.3, 0.9, "a")) == []
    bad = [*made(1.0, 0.9, "a"), *made(1.0, 0.9, "b"), *made(9.0, 0.9, "c"), *made(1.0, 0.9, "d")]
    assert len(slower(bad, made(1.3, 0.9, "e"))) == 1
    # six per cent a commit: no step is over 15 %, all of them together are over 30 %
    steps = [r for n in range(6) for r in made(1.06**n, 0.9, f"c{n}")]
    found = slower(steps, made(1.34, 0.9, "x"))
    assert len(found) == 1
    table = trend_table(steps)
    assert "| b | t | s | 1 | 1.06 |" in table
    assert "| d |" not in table


def test_a_gain_that_shrank_and_a_limit_now_missed_are_listed() -> None:
    def made(gain: float, dice: float, commit: str) -> list[dict[str, object]]:
        rows = numbers({"rows": [{"name": "over a peer", "measured": gain, "unit": "x"},
                                 {"name": "d", "measured": dice, "unit": "", "limit": 0.9,
                                  "met": dice >= 0.9}]})  # fmt: skip
        return trend_records([Finished("b", {}, rows, 1.0, "")], commit, "d", quick=False)

    assert slower(made(4.0, 0.95, "a"), made(9.0, 0.91, "b")) == []
    assert "/ 2.00" in slower(made(4.0, 0.95, "a"), made(2.0, 0.95, "b"))[0]
    assert "missed now" in slower(made(4.0, 0.95, "a"), made(4.0, 0.85, "b"))[0]
    assert slower(made(4.0, 0.8, "a"), made(4.0, 0.7, "b")) == []  # it was missed before


def test_a_trend_file_that_was_cut_is_read(tmp_path: Path) -> None:
    records = trend_records(
        [Finished("b", {}, numbers(PLAIN), 1.0, "")], "c", "d", quick=False
    )  # fmt: skip
    text = json.dumps(records[0])
    (tmp_path / "t.jsonl").write_text(f"{text}\n3\n{text[:40]}", encoding="utf-8")
    assert read_trend(tmp_path / "t.jsonl") == (records, 2)
    assert read_trend(tmp_path / "none") == ([], 0)


def test_trouble_is_shown_and_text_is_escaped() -> None:
    finished = [Finished("fine", {}, numbers(PLAIN), 1.0, ""), Finished("bad", {}, (), 1.0, "oh")]
    assert "No figures: oh" in markdown(finished, "c", [])
    page = html_page(finished, "c", ["slow"])
    assert "a &lt;b&gt;" in page
    assert "No figures: oh" in page
    assert [f.missed for f in finished] == [1, 1]
