"""What a caller gave, taken as what it should be or refused by name.

NumPy's scalars count as numbers, truth values and text do not; a number that is whole counts as a
whole number.  Every function raises `InputError` with field, got, expected and remedy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from irplan.errors import InputError

Item = TypeVar("Item")
#: (low, high, unit) by name of a field.
Limits = Mapping[str, tuple[float, float, str]]


def check_range(
    field: str, value: object, low: float, high: float, unit: str, remedy: str
) -> float:
    """``value`` as a float with low <= value <= high."""
    if not (_is_number(value) and low <= float(value) <= high):  # type: ignore[arg-type]
        raise InputError(
            field,
            got=_shown(value),
            expected=f"{low:g} to {high:g} {unit}".rstrip()
            if math.isfinite(high - low)
            else "a finite number",
            remedy=remedy,
        )
    return float(value)  # type: ignore[arg-type]


def check_whole(field: str, value: object, low: int, high: int, remedy: str) -> int:
    """``value`` as an int with low <= value <= high."""
    good = _is_number(value) and float(value).is_integer()  # type: ignore[arg-type]
    if not (good and low <= int(value) <= high):  # type: ignore[call-overload]
        raise InputError(
            field, got=_shown(value), expected=f"a whole number from {low} to {high}", remedy=remedy
        )
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_text(field: str, value: object, choices: Iterable[str] = ()) -> None:
    """``value`` is text, one of ``choices`` where there are any."""
    known = tuple(choices)
    if isinstance(value, str) and (not known or value in known):
        return
    raise InputError(
        field,
        got=_shown(value),
        expected="one of " + ", ".join(repr(k) for k in known) if known else "text",
        remedy="Use one of these." if known else "Give it in words.",
    )


def check_flag(field: str, value: object) -> None:
    """``value`` is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(
            field, got=_shown(value), expected="True or False", remedy="Give a truth value."
        )


def check_kind(
    field: str, value: object, kind: type[Any] | tuple[type[Any], ...], remedy: str
) -> None:
    """``value`` is an instance of ``kind``."""
    if not isinstance(value, kind):
        names = kind if isinstance(kind, tuple) else (kind,)
        raise InputError(
            field,
            got=_shown(value),
            expected=" or ".join(f"a {k.__name__}" for k in names),
            remedy=remedy,
        )


def check_items(field: str, value: object, kind: type[Item], remedy: str) -> tuple[Item, ...]:
    """``value`` (any iterable) as a tuple of instances of ``kind``."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(
            field,
            got=_shown(value),
            expected="a list" if kind is object else f"a tuple of {kind.__name__}",
            remedy=remedy,
        )
    items = tuple(value)
    for n, item in enumerate(items):
        check_kind(f"{field}[{n}]", item, kind, remedy)
    return items


def take_numbers(made: object, name: str, limits: Limits, remedy: str) -> None:
    """Fields of a frozen dataclass under construction: checked, and made plain floats."""
    for field, (low, high, unit) in limits.items():
        value = check_range(f"{name}.{field}", getattr(made, field), low, high, unit, remedy)
        object.__setattr__(made, field, value)


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _shown(value: object) -> str:
    """A number as it is, anything else with its type."""
    if not isinstance(value, bool) and isinstance(value, Real):
        return f"{value}"
    text = repr(_plainly(value))
    return f"{text if len(text) <= 60 else type(value).__name__} ({type(value).__name__})"


def _plainly(value: object) -> object:
    """NumPy's numbers, alone or in a tuple or list, as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return type(value)(_plainly(v) for v in value) if type(value) in (tuple, list) else value
    return value
