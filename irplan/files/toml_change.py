"""Single values of a TOML document set, shifted or scaled, found by a key path.

A path names tables by keys joined with dots, and members of a list by their number from 1, by
their ``name`` or, all of them, by ``*``: ``tissue.properties.liver.perfusion_per_s``,
``applicator[2].tip_mm[1]``, ``tissue.region[hepatic vein].points_mm[*][2]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from irplan.errors import InputError

How = Literal["set", "add", "multiply"]
HOWS: tuple[How, ...] = ("set", "add", "multiply")

_PART = re.compile(r"([A-Za-z0-9_\-]+)((?:\[[^\[\]]+\])*)")


@dataclass(frozen=True)
class Change:
    """One value at ``path`` (see the module) ``set`` to, raised by or multiplied by ``value``."""

    path: str
    value: float | str | bool
    how: How = "set"


def changed(data: dict[str, Any], changes: tuple[Change, ...]) -> dict[str, Any]:
    """A copy of ``data`` with every change made, in order.

    A table on the way that is missing is made; a member of a list must exist.  Raises
    `InputError` naming the path for one that leads nowhere, and for add and multiply on what is
    no number.
    """
    out = deepcopy(data)
    for change in changes:
        steps = path_steps(change.path)
        for holder, key in _places(out, steps, change.path):
            old = holder[key] if isinstance(holder, list) else holder.get(key)
            holder[key] = _new_value(old, change)
    return out


def path_steps(path: str) -> tuple[str | tuple[str], ...]:
    """Keys (text) and list members (text in a tuple) of a path; `InputError` if it is none."""
    steps: list[str | tuple[str]] = []
    rest = path
    while rest:
        match = _PART.match(rest)
        if match is None or (match.end() < len(rest) and rest[match.end()] != "."):
            break
        steps.append(match[1])
        steps += [(m,) for m in re.findall(r"\[([^\[\]]+)\]", match[2])]
        ended = match.end() == len(rest)
        rest = rest[match.end() + 1 :]
        if ended:
            return tuple(steps)
    raise InputError(
        "key",
        got=repr(path),
        expected="keys joined by dots, list members in brackets",
        remedy="For example applicator[1].tip_mm[3], or tissue.properties.liver.perfusion_per_s",
    )


def _new_value(old: Any, change: Change) -> Any:
    if change.how == "set":
        return change.value
    number = isinstance(old, int | float) and not isinstance(old, bool)
    if not number or isinstance(change.value, str | bool):
        raise InputError(
            f"key {change.path}",
            got="nothing there" if old is None else repr(old)[:60],
            expected=f"a number to {change.how}",
            remedy='Write the value into the file, or use how = "set".',
        )
    return float(old) + change.value if change.how == "add" else float(old) * change.value


def _places(data: Any, steps: tuple[str | tuple[str], ...], path: str) -> Iterator[tuple[Any, Any]]:
    """(container, key or index) of every place that ``steps`` lead to."""
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if not isinstance(data, dict):
            raise _nowhere(path, f"no table that could hold '{step}'")
        if not rest:
            yield data, step
            return
        if step not in data:
            if not isinstance(rest[0], str):
                raise _nowhere(path, f"no list '{step}'")
            data[step] = {}
        yield from _places(data[step], rest, path)
        return
    for index in _members(data, step[0], path):
        if rest:
            yield from _places(data[index], rest, path)
        else:
            yield data, index


def _members(data: Any, name: str, path: str) -> list[int]:
    if not isinstance(data, list) or not data:
        raise _nowhere(path, f"no list at [{name}]")
    if name == "*":
        return list(range(len(data)))
    if name.isdigit():
        if not 1 <= int(name) <= len(data):
            raise _nowhere(path, f"[{name}] of a list of {len(data)} (the first is [1])")
        return [int(name) - 1]
    named = [n for n, v in enumerate(data) if isinstance(v, dict) and v.get("name") == name]
    if not named:
        known = ", ".join(repr(v["name"]) for v in data if isinstance(v, dict) and "name" in v)
        raise _nowhere(path, f"no member named '{name}' (there are: {known or 'none with a name'})")
    return named


def _nowhere(path: str, got: str) -> InputError:
    return InputError(
        f"key {path}",
        got=got,
        expected="a place in the file",
        remedy="Look the key up in the file, or in docs/simulate.md.",
    )
