"""Tables for the terminal: aligned columns, the last one wrapped to the window."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

#: Numbers stand to the right.
_DIGITS = set("0123456789.-+eE\N{MINUS SIGN}")


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = 0) -> str:
    """``rows`` under ``heads`` as text; ``width`` characters (0: the terminal's, at least 80)."""
    room = width or max(80, shutil.get_terminal_size((110, 24)).columns)
    cells = [tuple(heads), *(tuple(r) for r in rows)]
    wide = [max(len(row[k]) for row in cells) for k in range(len(heads))]
    last = max(24, room - sum(wide[:-1]) - 2 * (len(heads) - 1))
    right = [all(set(row[k]) <= _DIGITS for row in rows) and bool(rows) for k in range(len(heads))]
    lines = []
    for n, row in enumerate(cells):
        parts = [
            c.rjust(w) if r else c.ljust(w)
            for c, w, r in zip(row[:-1], wide[:-1], right[:-1], strict=True)
        ]
        wrapped = textwrap.wrap(row[-1], last) or [""]
        start = "  ".join(parts)
        for k, text in enumerate(wrapped):
            lines.append(f"{start if k == 0 else ' ' * len(start)}  {text}".rstrip())
        if n == 0:
            lines.append("-" * min(room, max(len(lines[0]), 20)))
    return "\n".join(lines)
