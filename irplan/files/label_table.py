"""The names of label values: a JSON table with codes, and a colour table for 3D Slicer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from irplan.errors import FileFormatError, IrplanError
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, load_json
from irplan.image import Code, Label

#: Name and version of the JSON table.
LABEL_TABLE_SCHEMA = "irplan-labels"
LABEL_TABLE_VERSION = 1


def write_label_table(labels: Sequence[Label], json_path: Path, colours_path: Path) -> None:
    """Write value, name, code and colour of each label, by value, as JSON and as ``.ctbl``.

    A label in the table that has no voxel was looked for and not found; a structure that is
    not in the table was not checked.  Raises `OutputError`.
    """
    ordered = sorted(labels, key=lambda x: x.value)
    data = {
        "schema": LABEL_TABLE_SCHEMA,
        "schema_version": LABEL_TABLE_VERSION,
        "labels": [
            {
                "value": x.value,
                "name": x.name,
                "code": {
                    "value": x.code.value,
                    "scheme": x.code.scheme,
                    "meaning": x.code.meaning,
                },
                "colour_rgb": list(x.colour),
            }
            for x in ordered
        ],
    }
    lines = ["# irplan labels: value name red green blue opacity", "0 outside 0 0 0 0"]
    for x in ordered:
        red, green, blue = x.colour
        lines.append(f"{x.value} {'_'.join(x.name.split())} {red} {green} {blue} 255")
    for path, text in (
        (json_path, dump_json(data, field="labels")),
        (colours_path, "\n".join(lines) + "\n"),
    ):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")


def read_label_table(path: str | Path) -> tuple[Label, ...]:
    """The labels of a JSON table; `FileFormatError` where it is missing or not one."""
    file = Path(path)
    if not file.exists():
        raise FileFormatError(
            "label table",
            got=f"no '{file.name}' beside the label map",
            expected="a table with the name of every voxel value",
            remedy="Keep the .json that irplan wrote beside it, or give the labels in the call.",
        )
    data = load_json(file, what="label table")
    try:
        if data["schema"] != LABEL_TABLE_SCHEMA or data["schema_version"] != LABEL_TABLE_VERSION:
            raise KeyError("schema")
        return tuple(
            Label(
                int(x["value"]),
                str(x["name"]),
                Code(*(str(x["code"][k]) for k in ("value", "scheme", "meaning"))),
                (int(x["colour_rgb"][0]), int(x["colour_rgb"][1]), int(x["colour_rgb"][2])),
            )
            for x in data["labels"]
        )
    except (KeyError, TypeError, IndexError, ValueError, IrplanError) as error:
        raise FileFormatError(
            f"label table '{file.name}'",
            got=f"a table whose {error} is missing or wrong",
            expected=f"schema '{LABEL_TABLE_SCHEMA}' version {LABEL_TABLE_VERSION}",
            remedy="Write the label map again with this irplan.",
        ) from error
