"""Review states of anything a person must check: which follow which, who set them, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from irplan.errors import InputError

ReviewState = Literal["draft", "reviewed", "accepted", "rejected"]

#: States that each state may be followed by.  Evidence is never deleted: what was accepted can only
#: be withdrawn (rejected), and what was rejected only be changed, which makes a new draft.
FOLLOWS: dict[ReviewState, tuple[ReviewState, ...]] = {
    "draft": ("reviewed", "rejected"),
    "reviewed": ("accepted", "rejected"),
    "accepted": ("rejected",),
    "rejected": (),
}


@dataclass(frozen=True)
class Review:
    """State of review; ``by`` is required once it is no longer a draft.

    ``when`` is the time in words that whoever set the state gave (ISO 8601, UTC); it may be empty.
    """

    state: ReviewState = "draft"
    by: str = ""
    reason: str = ""
    when: str = ""

    def __post_init__(self) -> None:
        if self.state not in FOLLOWS:
            raise InputError(
                "review.state",
                got=f"'{self.state}'",
                expected="one of " + ", ".join(FOLLOWS),
                remedy="Give one of these states.",
            )
        if self.state != "draft" and not self.by:
            raise InputError(
                "review.by",
                got="nobody",
                expected=f"who set the state '{self.state}'",
                remedy="Name the reviewer.",
            )


@dataclass(frozen=True)
class Change:
    """One entry of a history: who changed what, why and when (ISO 8601, UTC)."""

    when: str
    who: str
    what: str
    why: str

    def __post_init__(self) -> None:
        for name in ("when", "who", "what", "why"):
            if not getattr(self, name).strip():
                raise InputError(
                    f"history.{name}",
                    got="nothing",
                    expected="when, who, what and why of a change",
                    remedy="Say it in a few words.",
                )


def next_review(
    review: Review, state: ReviewState, *, who: str, why: str, when: str
) -> tuple[Review, Change]:
    """``review`` taken to ``state``, and the line of history that says so.

    draft -> reviewed or rejected; reviewed -> accepted or rejected; accepted -> rejected.  ``when``
    is ISO 8601 in UTC.  Raises `InputError` for any other step, or where who, why or when is empty.
    """
    allowed = FOLLOWS[review.state]
    if state not in allowed:
        raise InputError(
            "review.state",
            got=f"'{state}' after '{review.state}'",
            expected="one of " + ", ".join(allowed) if allowed else "no further state",
            remedy="Review before accepting; what is to change again is edited, which makes "
            "a new draft.",
        )
    change = Change(when, who, f"review: {review.state} -> {state}", why)
    return Review(state, who, why, when), change
