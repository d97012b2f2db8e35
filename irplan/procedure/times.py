"""Times of the record: ISO 8601 with a zone; a time without one is refused, never guessed."""

from __future__ import annotations

from datetime import UTC, datetime

from irplan.errors import InputError


def utc_text(when: datetime) -> str:
    """``when`` (with a zone) as ISO 8601 in UTC: 2026-11-30T09:00:00.000000Z.

    Raises `InputError` for a time without a zone.
    """
    if when.tzinfo is None:
        raise InputError(
            "time", got="a time without a zone", expected="a zone", remedy="Say which zone it is."
        )
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str, *, field: str = "time") -> datetime:
    """The time in ``text`` in UTC; raises `InputError` naming ``field`` where it has no zone."""
    try:
        when = datetime.fromisoformat(text)
        when.astimezone(UTC)
    except (ValueError, TypeError, OverflowError) as error:
        raise _refused(field, text, "a time in ISO 8601") from error
    if when.tzinfo is None:
        raise _refused(field, text, "a time with its zone, e.g. 2026-11-30T09:00:00+01:00")
    return when.astimezone(UTC)


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def _refused(field: str, text: object, expected: str) -> InputError:
    return InputError(
        field, got=repr(text)[:60], expected=expected, remedy="Write date, time and zone."
    )
