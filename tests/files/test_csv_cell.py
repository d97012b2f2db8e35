"""Cells of tables made from text that came from outside."""

from __future__ import annotations

import pytest

from irplan.files.csv_cell import plain_cell


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("Cerebral 2fps", "Cerebral 2fps"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\x1b[31mred", "?[31mred"),
        ("a-b\nc", "a-b\nc"),
    ],
)
def test_no_cell_is_a_formula_or_steers_a_terminal(text: str, cell: str) -> None:
    assert plain_cell(text) == cell
