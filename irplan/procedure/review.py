"""The review gate: what a machine made is a draft until a named person accepts it.

A `Draft` is the record of one result (a report, a segmentation, a dose summary): what it is, by
SHA-256, who judged it and when, and where a person decided against the software.  Nothing but the
very bytes that were accepted may leave: `require_releasable` is asked by every sender.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from irplan.errors import FileFormatError, InputError, IrplanError, ReviewError
from irplan.planning.review_states import Change, Review, ReviewState, next_review
from irplan.procedure.times import parse_time

#: Name and version of a draft's record as data.
DRAFT_SCHEMA, DRAFT_SCHEMA_VERSION = "irplan-draft", 1
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Overrule:
    """A person decided against the software: ``check`` said ``found``, the person ``decision``."""

    check: str
    found: str
    decision: str
    who: str
    why: str
    when: str

    def __post_init__(self) -> None:
        for name in ("check", "decision", "who", "why"):
            _require_words(f"overrule.{name}", getattr(self, name))
        parse_time(self.when, field="overrule.when")


@dataclass(frozen=True)
class Draft:
    """The record of one result on its way through review.

    Parameters
    ----------
    draft_id : unique name of this draft, without patient data.
    kind : what it is: "report", "segmentation", "dose", ...
    made_by, made_at : software with version; ISO 8601 with zone.
    content_sha256 : SHA-256 (hex) of what the reviewer vouches for.
    files : name -> SHA-256 of each file that may leave once it is accepted.
    objections : check -> what it found, for each check that failed: none may stand unanswered at
        acceptance (`overrule`).
    revision, replaces : 1 for the first; a change makes a new draft that names the one before.
    """

    draft_id: str
    kind: str
    made_by: str
    made_at: str
    content_sha256: str
    files: Mapping[str, str] = field(default_factory=dict)
    objections: Mapping[str, str] = field(default_factory=dict)
    revision: int = 1
    replaces: str | None = None
    review: Review = field(default_factory=Review)
    history: tuple[Change, ...] = ()
    overrules: tuple[Overrule, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", dict(sorted(self.files.items())))
        object.__setattr__(self, "objections", dict(sorted(self.objections.items())))
        object.__setattr__(self, "history", tuple(self.history))
        object.__setattr__(self, "overrules", tuple(self.overrules))
        for name in ("draft_id", "kind", "made_by"):
            _require_words(f"draft.{name}", getattr(self, name))
        parse_time(self.made_at, field="draft.made_at")
        for name, value in (("content_sha256", self.content_sha256), *self.files.items()):
            if not _SHA256.match(value):
                raise InputError(
                    f"draft, SHA-256 of '{name}'",
                    got=repr(value)[:70],
                    expected="64 hexadecimal digits",
                    remedy="Take the SHA-256 of the bytes.",
                )
        if self.revision < 1 or (self.revision > 1) != (self.replaces is not None):
            raise InputError(
                "draft.revision",
                got=f"{self.revision}, replacing {self.replaces or 'nothing'}",
                expected="1 for a first draft, more for one that replaces another",
                remedy="Use revise().",
            )
        _require_history(self)

    @property
    def open_objections(self) -> tuple[str, ...]:
        """Failed checks that nobody has overruled."""
        answered = {o.check for o in self.overrules}
        return tuple(name for name in self.objections if name not in answered)


def sha256_hex(data: bytes) -> str:
    """SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def judge(
    draft: Draft,
    state: ReviewState,
    *,
    who: str,
    why: str,
    when: str,
    files: Mapping[str, str] | None = None,
) -> Draft:
    """``draft`` reviewed, accepted or rejected by ``who`` at ``when`` (ISO 8601 with zone).

    ``files`` sets what may leave, at acceptance only: a page that is set anew to say who accepted
    it has other bytes than its draft.  Raises `ReviewError` where a failed check stands unanswered
    at acceptance, `InputError` for a step that is not allowed or nobody, no reason, no time.
    """
    parse_time(when, field="review.when")
    review, change = next_review(draft.review, state, who=who, why=why, when=when)
    if state == "accepted" and draft.open_objections:
        first = draft.open_objections[0]
        raise ReviewError(
            "review",
            got=f"{len(draft.open_objections)} failed check(s) without an answer: '{first}' "
            f"({draft.objections[first]})",
            expected="every failed check mended or overruled with a reason",
            remedy="Mend the case and make a new draft, or overrule the check.",
        )
    if files is not None and state != "accepted":
        raise InputError(
            "files",
            got=f"files to release with the state '{state}'",
            expected="none before acceptance",
            remedy="Give them when the draft is accepted.",
        )
    return replace(
        draft,
        review=review,
        history=(*draft.history, change),
        files=draft.files if files is None else files,
    )


def overrule(draft: Draft, check: str, *, decision: str, who: str, why: str, when: str) -> Draft:
    """``draft`` with a person's decision against ``check``; kept with it for good, and counted.

    ``check`` is a failed check of ``draft.objections`` or any other statement of the software.
    Raises `ReviewError` once the draft is accepted or rejected: change it, which makes a new draft.
    """
    if draft.review.state not in ("draft", "reviewed"):
        raise ReviewError(
            "overrule",
            got=f"a draft that is {draft.review.state}",
            expected="one that is still under review",
            remedy="Make a new draft (revise) and overrule there.",
        )
    new = Overrule(check, draft.objections.get(check, ""), decision, who, why, when)
    change = Change(when, who, f"overruled: {check}", why)
    return replace(draft, overrules=(*draft.overrules, new), history=(*draft.history, change))


def revise(
    draft: Draft,
    draft_id: str,
    content_sha256: str,
    *,
    who: str,
    why: str,
    when: str,
    files: Mapping[str, str] | None = None,
    objections: Mapping[str, str] | None = None,
    made_by: str | None = None,
) -> Draft:
    """A new draft with other content that replaces ``draft``, which stays as it is, in any state.

    The history goes on; overrules made on the old content are kept in its record only, so a check
    that fails again must be answered again.  Raises `InputError` where nothing changes.
    """
    parse_time(when, field="revise.when")
    if content_sha256 == draft.content_sha256 or draft_id == draft.draft_id:
        raise InputError(
            "revise",
            got="the same content or the same id",
            expected="other content under a new id",
            remedy="Leave the draft as it is.",
        )
    what = f"new draft of revision {draft.revision} ({draft.draft_id}), which was "
    return Draft(
        draft_id,
        draft.kind,
        draft.made_by if made_by is None else made_by,
        when,
        content_sha256,
        files={} if files is None else files,
        objections={} if objections is None else objections,
        revision=draft.revision + 1,
        replaces=draft.draft_id,
        history=(*draft.history, Change(when, who, what + draft.review.state, why)),
    )


def require_releasable(draft: Draft, name: str, data: bytes) -> None:
    """Return only if ``data`` are the accepted bytes of the file ``name``; else `ReviewError`.

    Every sender (C-STORE, STOW-RS, export for a PACS) asks this at the moment of sending.
    """
    if draft.review.state != "accepted":
        raise ReviewError(
            f"release of '{name}'",
            got=f"a result in the state '{draft.review.state}'",
            expected="one that a named person accepted",
            remedy="Review and accept it first (irplan review).",
        )
    if draft.files.get(name) != sha256_hex(data):
        raise ReviewError(
            f"release of '{name}'",
            got="a file that is not part of what was accepted"
            if name not in draft.files
            else "other bytes than those that were accepted",
            expected="exactly the accepted file",
            remedy="Send the accepted file, or make and review a new draft.",
        )


@dataclass(frozen=True)
class ReviewCounts:
    """How a number of drafts fared: numbers by state, new drafts, overrules by check, delay."""

    states: Mapping[str, int]
    revisions: int
    overrules: Mapping[str, int]
    median_hours_to_decision: float | None


def count_reviews(drafts: Iterable[Draft]) -> ReviewCounts:
    """Numbers for a summary of drift; the delay runs from making to acceptance or rejection."""
    drafts = list(drafts)
    states = Counter(d.review.state for d in drafts)
    hours = [
        (parse_time(d.review.when) - parse_time(d.made_at)).total_seconds() / 3600.0
        for d in drafts
        if d.review.state in ("accepted", "rejected")
    ]
    return ReviewCounts(
        {state: states.get(state, 0) for state in ("draft", "reviewed", "accepted", "rejected")},
        sum(d.revision > 1 for d in drafts),
        dict(sorted(Counter(o.check for d in drafts for o in d.overrules).items())),
        median(hours) if hours else None,
    )


def draft_to_data(draft: Draft) -> dict[str, Any]:
    """The record as plain data for JSON or a database."""
    return {"schema": DRAFT_SCHEMA, "schema_version": DRAFT_SCHEMA_VERSION, **asdict(draft)}


def draft_from_data(data: Any, *, name: str = "draft") -> Draft:
    """The draft in ``data``; raises `FileFormatError` for another kind or impossible values."""
    try:
        given = dict(data)
        kind, version = given.pop("schema"), given.pop("schema_version")
        if (kind, version) != (DRAFT_SCHEMA, DRAFT_SCHEMA_VERSION):
            raise ValueError(f"schema {kind!r} {version!r}"[:80])
        given["review"] = Review(**given["review"])
        given["history"] = tuple(Change(**c) for c in given["history"])
        given["overrules"] = tuple(Overrule(**o) for o in given["overrules"])
        return Draft(**given)
    except IrplanError as error:
        raise FileFormatError(
            f"{name}, {error.field}", got=error.got, expected=error.expected, remedy=error.remedy
        ) from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise FileFormatError(
            name,
            got=f"a record that does not fit ({type(error).__name__})",
            expected=f"the record of a draft, schema '{DRAFT_SCHEMA}' {DRAFT_SCHEMA_VERSION}",
            remedy="Take the record that irplan wrote.",
        ) from error


def _require_words(field_name: str, value: str) -> None:
    if not value.strip():
        raise InputError(
            field_name, got="nothing", expected="a few words", remedy="Say it in a few words."
        )


def _require_history(draft: Draft) -> None:
    """The state must be what the history led to: a state written in by hand is refused."""
    steps: Sequence[Change] = draft.history
    if draft.replaces is not None:
        made = [n for n, c in enumerate(steps) if c.what.startswith("new draft of revision ")]
        steps = steps[made[-1] + 1 :] if made else ()
    review, last = Review(), None
    for change in steps:
        if change.what.startswith("review: "):
            state: Any = change.what.rpartition(" -> ")[2]
            review, _ = next_review(review, state, who=change.who, why=change.why, when=change.when)
            last = change
    overruled = [c.what for c in steps if c.what.startswith("overruled: ")]
    agrees = review == draft.review if last is not None else draft.review.state == "draft"
    if not agrees or overruled != [f"overruled: {o.check}" for o in draft.overrules]:
        raise InputError(
            "draft.review",
            got=f"the state '{draft.review.state}' that the history does not tell of",
            expected="the state, person, reason and overrules that the history ends in",
            remedy="Take the record as irplan wrote it.",
        )
