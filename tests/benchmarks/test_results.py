"""The collected table: every form of figures, what got slower, nothing dropped."""

from benchmarks.results import Finished, html_page, markdown, numbers
from benchmarks.trend import slower, trend_records, trend_table

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


def test_trouble_is_shown_and_text_is_escaped() -> None:
    finished = [Finished("fine", {}, numbers(PLAIN), 1.0, ""), Finished("bad", {}, (), 1.0, "oh")]
    assert "No figures: oh" in markdown(finished, "c", [])
    page = html_page(finished, "c", ["slow"])
    assert "a &lt;b&gt;" in page
    assert "No figures: oh" in page
    assert [f.missed for f in finished] == [1, 1]
