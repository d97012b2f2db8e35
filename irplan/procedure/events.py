"""Events of a procedure: typed, valid when constructed, corrected only by later events."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from irplan.errors import InputError
from irplan.procedure.event_kinds import EVENT_VERSION, KINDS, MAX_TEXT, EventKind, Field
from irplan.procedure.times import parse_time

Origin = Literal["typed", "rdsr", "device", "recognition", "plan", "verification", "stream", "log"]
ORIGINS: tuple[Origin, ...] = (
    "typed",
    "rdsr",
    "device",
    "recognition",
    "plan",
    "verification",
    "stream",
    "log",
)
#: Kind of the event that replaces or withdraws an earlier one.
CORRECTION = "correction"
#: Most items of a list in one event.
MAX_ITEMS = 200
#: Fields whose values no message repeats.
_PERSONAL = ("case.", "staff.", "clinical.")


@dataclass(frozen=True)
class Source:
    """Where an event comes from: ``who`` typed or sent it, ``ref`` names the file and place in it.

    ``ref`` is "sha256:<hex>" with "#place" behind it where the source is a file.
    """

    how: Origin
    who: str = ""
    ref: str = ""

    def __post_init__(self) -> None:
        if self.how not in ORIGINS:
            raise _refused("source.how", self.how, "one of " + ", ".join(ORIGINS))
        for name in ("who", "ref"):
            _check_text(f"source.{name}", getattr(self, name), empty=True)


@dataclass(frozen=True)
class NewEvent:
    """An event to be appended.  ``at`` is when it happened (None: now); ``data`` as its kind asks.

    Raises `InputError` naming the field for an unknown kind or field, a missing one, a wrong type,
    a number out of range or not finite, or text with control characters.
    """

    kind: str
    data: Mapping[str, Any]
    source: Source
    at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", check_data(self.kind, self.data))
        if self.at is not None and self.at.tzinfo is None:
            raise _refused("at", self.at.isoformat(), "a time with its zone")


@dataclass(frozen=True)
class Event:
    """An event as it stands in the log; times are ISO 8601 in UTC.

    ``recorded`` is the wall clock when it was written, ``boot`` and ``steady_s`` the steady clock
    (seconds since that start of the machine), by which intervals are right when the wall clock
    jumps.  ``sha256`` covers all the rest and, through ``prev``, every event before.
    """

    seq: int
    kind: str
    at: str
    recorded: str
    boot: str
    steady_s: float
    source: Source
    data: Mapping[str, Any]
    prev: str
    sha256: str
    version: int = EVENT_VERSION


@dataclass(frozen=True)
class Effective:
    """An event as it counts now: its data after corrections, and which events made them so."""

    event: Event
    data: Mapping[str, Any]
    corrected_by: Event | None = None
    history: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def seq(self) -> int:
        """Number of the event whose data count."""
        return (self.corrected_by or self.event).seq


def check_data(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` as plain JSON values in the kind's own order; `InputError` where it does not fit."""
    if kind == CORRECTION:
        return _check_correction(data)
    known = KINDS.get(kind)
    if known is None:
        shown = ", ".join([k for k, v in KINDS.items() if not v.internal] + [CORRECTION])
        raise _refused("kind", kind, f"one of {shown}")
    if not isinstance(data, Mapping):
        raise _refused(f"{kind}.data", data, "names with values")
    fields = {f.name: f for f in known.fields}
    for name in data:
        if name not in fields:
            raise _refused(f"{kind}.{str(name)[:40]}", "an unknown field", _listed(known))
    out: dict[str, Any] = {}
    for name, spec in fields.items():
        value = data.get(name)
        if value is None:
            if spec.required:
                raise _refused(f"{kind}.{name}", "nothing", spec.words)
            continue
        out[name] = _checked(f"{kind}.{name}", spec, value)
    if not out:
        raise _refused(f"{kind}.data", "nothing", f"at least one of {_listed(known)}")
    return out


def effective_events(events: Iterable[Event]) -> tuple[Effective, ...]:
    """What counts after all corrections, in the order of the log; withdrawn events are left out.

    The last correction of an event counts.  Corrections that name no earlier event are kept out
    (the log refuses them on append).
    """
    held: dict[int, Effective | None] = {}
    for event in events:
        if event.kind != CORRECTION:
            held[event.seq] = Effective(event, event.data)
            continue
        old = held.get(event.data["corrects"])
        if old is None:
            continue
        past = (*old.history, event)
        if event.data["action"] == "withdraw":
            held[old.event.seq] = None
        else:
            held[old.event.seq] = Effective(old.event, event.data["data"], event, past)
    return tuple(e for e in held.values() if e is not None)


def seconds_between(first: Event, second: Event) -> float:
    """Seconds from ``first`` to ``second``: by the steady clock where both were recorded live."""
    live = all(e.at == e.recorded for e in (first, second))
    if live and first.boot and first.boot == second.boot:
        return second.steady_s - first.steady_s
    return (parse_time(second.at) - parse_time(first.at)).total_seconds()


def _check_correction(data: Mapping[str, Any]) -> dict[str, Any]:
    allowed = {"corrects", "action", "why", "data", "kind"}
    extra = sorted(set(data) - allowed)
    if extra:
        raise _refused(f"correction.{extra[0][:40]}", "an unknown field", ", ".join(allowed))
    number = data.get("corrects")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise _refused("correction.corrects", number, "the number of an earlier event")
    why = _check_text("correction.why", data.get("why", ""))
    action = data.get("action")
    out: dict[str, Any] = {"corrects": number, "action": action, "why": why}
    if action == "replace":
        kind = str(data.get("kind", ""))
        if kind not in KINDS or KINDS[kind].internal:
            raise _refused("correction.kind", kind, "the kind of the event that is corrected")
        out |= {"kind": kind, "data": check_data(kind, data.get("data", {}))}
    elif action != "withdraw" or "data" in data:
        raise _refused("correction.action", action, "'replace' with data, or 'withdraw' without")
    return out


def _checked(where: str, spec: Field, value: Any) -> Any:
    if spec.type == "text":
        text = _check_text(where, value)
        if spec.choices and text not in spec.choices:
            raise _refused(where, text, "one of " + ", ".join(spec.choices))
        return text
    if spec.type == "boolean":
        if not isinstance(value, bool):
            raise _refused(where, value, "true or false")
        return value
    if spec.type in ("number", "integer"):
        return _check_number(where, spec, value, whole=spec.type == "integer")
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise _refused(where, value, f"a list ({spec.words})")
    if spec.length is not None and len(value) != spec.length:
        raise _refused(where, f"{len(value)} values", f"{spec.length} values ({spec.words})")
    if not 0 < len(value) <= MAX_ITEMS:
        raise _refused(where, f"{len(value)} values", f"1 to {MAX_ITEMS} values")
    if spec.type == "texts":
        return [_check_text(where, v) for v in value]
    return [_check_number(where, spec, v, whole=spec.type == "integers") for v in value]


def _check_number(where: str, spec: Field, value: Any, *, whole: bool) -> float | int:
    expected = f"{spec.low:g} to {spec.high:g} ({spec.words})" if spec.low is not None else "number"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refused(where, value, expected)
    if whole and not isinstance(value, int):
        raise _refused(where, value, f"a whole number, {expected}")
    if not whole and (not math.isfinite(value)):
        raise _refused(where, value, expected)
    if (spec.low is not None and value < spec.low) or (spec.high is not None and value > spec.high):
        raise _refused(where, value, expected)
    return value if whole else float(value)


def _check_text(where: str, value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise _refused(where, value, "text")
    text = unicodedata.normalize("NFC", value)
    if not text.strip() and not empty:
        raise _refused(where, "nothing", "text")
    if len(text) > MAX_TEXT:
        raise _refused(where, f"{len(text)} characters", f"at most {MAX_TEXT}")
    for c in text:
        if unicodedata.category(c) in ("Cs", "Cc", "Cn") and c not in "\n\t":
            raise _refused(
                where, f"the character U+{ord(c):04X}", "text without control characters"
            )
    return text


def _listed(kind: EventKind) -> str:
    return ", ".join(f.name + ("" if f.required else " (optional)") for f in kind.fields)


def _refused(field_name: str, got: object, expected: str) -> InputError:
    shown = got if isinstance(got, str) else repr(got)
    if len(shown) > 60 or field_name.startswith(_PERSONAL):
        shown = f"a {type(got).__name__} of {len(shown)} characters"
    return InputError(
        field_name,
        got=shown.encode("ascii", "backslashreplace").decode(),
        expected=expected,
        remedy="See 'irplan log kinds' for what each event holds.",
    )
