"""JSON as irplan writes and reads it: rounded, reproducible, strict."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from irplan.errors import FileFormatError, InputError

#: Floats are rounded to this many decimals, so that the last digits of a computation, which
#: differ between processors, do not reach a file.  1e-6 mm is far below any measurement.
DECIMALS = 6


def rounded(value: Any, *, field: str) -> Any:
    """``value`` (dict, list, tuple, float, int, str, bool, None) with its floats rounded.

    Raises `InputError` naming ``field`` for NaN, infinity and types JSON does not have.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(
                field,
                got=str(value),
                expected="a finite number",
                remedy="JSON has no NaN or infinity; leave the value out or write null.",
            )
        return round(float(value), DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    if isinstance(value, dict):
        return {str(k): rounded(v, field=f"{field}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v, field=f"{field}[{n}]") for n, v in enumerate(value)]
    raise InputError(
        field,
        got=f"a value of type {type(value).__name__}",
        expected="a number, text, true/false, list or mapping",
        remedy="Convert it before writing.",
    )


def dump_json(value: Any, *, field: str) -> str:
    """Indented JSON text with rounded floats, UTF-8 letters and a newline at the end."""
    text = json.dumps(rounded(value, field=field), indent=2, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def load_json(path: Path, *, what: str) -> dict[str, Any]:
    """The JSON object in ``path``; `FileFormatError` says what is wrong with it otherwise."""

    def fail(got: str, remedy: str) -> FileFormatError:
        return FileFormatError(
            f"{what} '{path.name}'", got=got, expected="a JSON object", remedy=remedy
        )

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) < len(pairs):
            raise fail("a key that occurs twice", "Remove one of the two by hand.")
        return out

    def no_constant(name: str) -> float:
        raise fail(f"the number {name}", "Replace it by a finite number.")

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise fail(f"a file that cannot be read ({reason})", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise fail("bytes that are not UTF-8 text", "Give a JSON file.") from error
    try:
        data = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
    except RecursionError as error:
        raise fail("JSON nested too deeply", "Give a file written by irplan.") from error
    except ValueError as error:
        at = getattr(error, "lineno", 0)
        if text.lstrip().startswith("{") and not text.rstrip().endswith("}"):
            raise fail(
                "JSON that breaks off at the end", "The file is truncated; write it again."
            ) from error
        raise fail(
            f"text that is not JSON (line {at})", "Give a JSON file, or mend that line."
        ) from error
    if not isinstance(data, dict):
        raise fail(f"a JSON {type(data).__name__}", "Give a file written by irplan.")
    return data
