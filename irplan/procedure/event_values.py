"""An event's fields from text, as typed on a command line or found in a table's cell."""

from __future__ import annotations

from typing import Any

from irplan.errors import InputError
from irplan.procedure.event_kinds import KINDS, Field

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def value_from_text(kind: str, name: str, text: str) -> Any:
    """The value of the field ``name`` of ``kind``; lists of numbers by ",", of texts by ";".

    Raises `InputError` naming the field for an unknown field or text that is no such value.
    """
    known = KINDS.get(kind)
    spec = next((f for f in known.fields if f.name == name), None) if known else None
    if spec is None:
        listed = ", ".join(f.name for f in known.fields) if known else ", ".join(KINDS)
        raise InputError(
            f"{kind}.{name}"[:80] if known else "kind",
            got="an unknown name",
            expected=f"one of {listed}",
            remedy="See 'irplan log kinds'.",
        )
    try:
        return _value(spec, text.strip())
    except ValueError as error:
        raise InputError(
            f"{kind}.{name}",
            got="text that is no such value" if len(text) > 40 else repr(text),
            expected=f"{spec.type}: {spec.words}",
            remedy="Numbers with a point; lists of numbers by commas, of texts by semicolons.",
        ) from error


def _value(spec: Field, text: str) -> Any:
    if spec.type == "text":
        return text
    if spec.type == "number":
        return float(text)
    if spec.type == "integer":
        return int(text)
    if spec.type == "boolean":
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    if spec.type == "texts":
        return [part.strip() for part in text.split(";")]
    convert: Any = int if spec.type == "integers" else float
    return [convert(part) for part in text.split(",")]
