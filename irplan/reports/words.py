"""Numbers and names as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNITS = {"degC": "°C", "deg": "°", "ml": "ml", "cm3": "cm³", "mm2": "mm²"}
_WRITTEN = tuple(
    (re.compile(pattern), written)
    for pattern, written in ((r"\bdegC\b", "°C"), (r"(?<=\d) deg\b", "°"), (">=", "≥"), ("<=", "≤"))
)
_MINUS = "\N{MINUS SIGN}"


def number(value: float, decimals: int = 1) -> str:
    """Fixed decimals, a real minus sign, never "-0.0"."""
    text = f"{value:.{decimals}f}"
    if float(text) == 0.0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def measured(value: float, unit: str) -> str:
    """Value with its unit, e.g. ``"2.6 mm"``, ``"−20.0 °C"``, ``"100.0 %"``."""
    written = _UNITS.get(unit, unit)
    if unit == "%" and 99.9 < value < 100.0:
        return "> 99.9 %"  # never rounded up to all of it
    return f"{number(value)}{'' if written == '°' else ' '}{written}".rstrip()


def rule(words: str) -> str:
    """A rule or note as people write it: ``">= 5 degC"`` -> ``"≥ 5 °C"``."""
    for pattern, written in _WRITTEN:
        words = pattern.sub(written, words)
    return words


def point(values: Sequence[float]) -> str:
    """An LPS point as ``"x, y, z"`` with one decimal (mm)."""
    return ", ".join(number(v) for v in values)


def plain(name: str) -> str:
    """A structure's or term's name in words: ``"portal_vein"`` -> ``"portal vein"``."""
    return name.replace("_", " ")


def sentence(name: str) -> str:
    """`plain` with a capital letter."""
    words = plain(name)
    return words[:1].upper() + words[1:]


def counted(count: int, one: str) -> str:
    """``"1 needle"``, ``"3 needles"``."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
