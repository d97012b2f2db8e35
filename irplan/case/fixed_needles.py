"""Needles that are in already, from a file: a plan, a table, Slicer's markups or plain JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irplan.ablation import Placement, applicator
from irplan.errors import FileFormatError
from irplan.files import read_plan
from irplan.files.json_text import load_json
from irplan.files.needle_lines import NamedNeedle, read_needle_table, read_needles_markups
from irplan.geometry import Needle, as_point

_EXPECTED = (
    "a plan.json, a needle table (.csv), Slicer markups (.mrk.json), or "
    '{"needles": [{"entry_mm": [x, y, z], "tip_mm": [x, y, z], "applicator": "name"}]}, LPS mm'
)


def read_fixed_needles(path: Path, *, default: str | None = None) -> tuple[Placement, ...]:
    """The applicators in ``path``, as achieved; ``default`` names those the file does not.

    Raises `FileFormatError` for a file of another form or a needle without an applicator, and
    `InputError` for an applicator that is not in the catalogue.
    """
    if path.suffix == ".csv":
        return _placed(read_needle_table(path), path, default)
    if path.name.endswith(".mrk.json"):
        return _placed(read_needles_markups(path), path, default)
    data = load_json(path, what="needle file")
    if data.get("schema") == "irplan-plan":
        return tuple(
            Placement(p.needle, p.applicator, "achieved") for p in read_plan(path).placements
        )
    if not isinstance(data.get("needles"), list) or not data["needles"]:
        raise FileFormatError(
            f"needle file '{path.name}'",
            got="keys " + (", ".join(sorted(data))[:80] or "none"),
            expected=_EXPECTED,
            remedy="List the needles that are in.",
        )
    return needles_from_data(data["needles"], name=path.name, default=default)


def needles_from_data(
    listed: list[Any], *, name: str, default: str | None = None
) -> tuple[Placement, ...]:
    """Achieved applicators from JSON's list of entry_mm, tip_mm, applicator; errors as above."""
    named = [_from_json(n, name, item) for n, item in enumerate(listed, start=1)]
    return _placed(named, Path(name), default)


def _from_json(number: int, file: str, item: Any) -> NamedNeedle:
    where = f"needle file '{file}', needle {number}"
    if not isinstance(item, dict) or set(item) - {"name", "applicator", "entry_mm", "tip_mm"}:
        raise FileFormatError(
            where, got=f"{item!r}"[:80], expected=_EXPECTED, remedy="Mend that needle."
        )
    points = []
    for key in ("tip_mm", "entry_mm"):
        value = item.get(key)
        good = isinstance(value, list) and len(value) == 3
        if not isinstance(value, list) or not good or not all(map(_number, value)):
            raise FileFormatError(
                f"{where}, {key}",
                got=repr(value)[:60],
                expected="three numbers, LPS mm",
                remedy="Give x, y and z.",
            )
        points.append(as_point(value, field=f"{where}, {key}"))
    needle = Needle(points[0], points[1])
    return NamedNeedle(str(item.get("name", number)), needle, item.get("applicator"))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _placed(
    named: tuple[NamedNeedle, ...] | list[NamedNeedle], path: Path, default: str | None
) -> tuple[Placement, ...]:
    out = []
    for n, one in enumerate(named, start=1):
        name = one.applicator or default
        if name is None:
            raise FileFormatError(
                f"needle file '{path.name}', needle {n}",
                got="no applicator",
                expected="the catalogue name of what is on the needle",
                remedy="Add it to the file, or give --applicator NAME for all of them.",
            )
        out.append(Placement(one.needle, applicator(name), "achieved"))
    return tuple(out)
