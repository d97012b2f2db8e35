"""The collected table: every form of figures, what got slower, nothing dropped."""

from benchmarks.results import Finished, html_page, markdown, numbers, slower, trend_records

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

    def made(seconds: float, dice: float) -> list[dict[str, object]]:
        rows = numbers({"rows": [{"name": "t", "measured": seconds, "unit": "s"},
                                 {"name": "d", "measured": dice, "unit": ""}]})  # fmt: skip
        return trend_records([Finished("b", machine, rows, 1.0, "")], "c", "d", quick=False)

    assert slower(made(1.0, 0.9), made(1.1, 1.5)) == []
    worse = slower(made(1.0, 0.9), made(1.3, 0.9))
    assert len(worse) == 1
    assert "x 1.30" in worse[0]


def test_trouble_is_shown_and_text_is_escaped() -> None:
    finished = [Finished("fine", {}, numbers(PLAIN), 1.0, ""), Finished("bad", {}, (), 1.0, "oh")]
    assert "No figures: oh" in markdown(finished, "c", [])
    page = html_page(finished, "c", ["slow"])
    assert "a &lt;b&gt;" in page
    assert "No figures: oh" in page
    assert [f.missed for f in finished] == [1, 1]
