"""Text from outside as a cell of a table that somebody opens in a spreadsheet."""

from __future__ import annotations


def plain_cell(text: str) -> str:
    """``text`` with an apostrophe before what a spreadsheet would take for a formula.

    Control characters other than the line end and the tabulator become "?".
    """
    shown = "".join(c if c in "\n\t" or ord(c) > 31 else "?" for c in text)
    return "'" + shown if shown[:1] in ("=", "+", "-", "@", "\t") else shown
