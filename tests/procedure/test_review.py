"""The review gate: only what a named person accepted leaves, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from irplan.errors import FileFormatError, InputError, ReviewError
from irplan.procedure.review import (
    Draft,
    count_reviews,
    draft_from_data,
    draft_to_data,
    judge,
    overrule,
    require_releasable,
    revise,
    sha256_hex,
)

SEG = b"the bytes of a segmentation"
AT = "2026-11-30T09:00:00Z"
LATER = "2026-11-30T11:00:00+00:00"
SIGNED: dict[str, Any] = {"who": "Dr. A", "why": "looked at it", "when": LATER}


def draft(**changes: Any) -> Draft:
    given: dict[str, Any] = {
        "draft_id": "d1",
        "kind": "segmentation",
        "made_by": "irplan 0.2",
        "made_at": AT,
        "content_sha256": sha256_hex(SEG),
        "files": {"seg.dcm": sha256_hex(SEG)},
    }
    return Draft(**(given | changes))


def accepted(**changes: Any) -> Draft:
    return judge(judge(draft(**changes), "reviewed", **SIGNED), "accepted", **SIGNED)


def test_only_the_accepted_bytes_leave() -> None:
    require_releasable(accepted(), "seg.dcm", SEG)
    for given, name, data in (
        (draft(), "seg.dcm", SEG),
        (judge(draft(), "reviewed", **SIGNED), "seg.dcm", SEG),
        (judge(draft(), "rejected", **SIGNED), "seg.dcm", SEG),
        (judge(accepted(), "rejected", **SIGNED), "seg.dcm", SEG),
        (accepted(), "seg.dcm", SEG + b" "),
        (accepted(), "other.dcm", SEG),
    ):
        with pytest.raises(ReviewError, match="release"):
            require_releasable(given, name, data)


def test_a_failed_check_needs_an_answer_that_is_kept_and_counted() -> None:
    wrong_side = draft(objections={"laterality": "plan: left, log: right"})
    with pytest.raises(ReviewError, match="laterality"):
        judge(judge(wrong_side, "reviewed", **SIGNED), "accepted", **SIGNED)
    answered = overrule(wrong_side, "laterality", decision="right is right", **SIGNED)
    assert answered.overrules[0].found == "plan: left, log: right"
    done = judge(judge(answered, "reviewed", **SIGNED), "accepted", **SIGNED)
    with pytest.raises(ReviewError, match="accepted"):
        overrule(done, "laterality", decision="left after all", **SIGNED)
    counts = count_reviews([done, draft(), judge(draft(), "rejected", **SIGNED)])
    assert counts.states == {"draft": 1, "reviewed": 0, "accepted": 1, "rejected": 1}
    assert counts.overrules == {"laterality": 1}
    assert counts.median_hours_to_decision == 2.0


def test_a_change_after_acceptance_is_a_new_draft() -> None:
    old = accepted(objections={})
    new = revise(old, "d2", sha256_hex(b"other"), **SIGNED, objections={"side": "differs"})
    assert old.review.state == "accepted"
    assert (new.review.state, new.revision, new.replaces) == ("draft", 2, "d1")
    assert new.files == {}
    assert new.open_objections == ("side",)
    assert [c.what for c in new.history][-1] == "new draft of revision 1 (d1), which was accepted"
    with pytest.raises(ReviewError):
        require_releasable(new, "seg.dcm", SEG)
    again = judge(overrule(new, "side", decision="seen", **SIGNED), "reviewed", **SIGNED)
    assert judge(again, "accepted", files={"a": sha256_hex(b"a")}, **SIGNED).files.keys() == {"a"}
    with pytest.raises(InputError, match="same content"):
        revise(old, "d2", old.content_sha256, **SIGNED)


def test_the_record_goes_through_json_and_a_forged_one_is_refused() -> None:
    record = accepted()
    data = json.loads(json.dumps(draft_to_data(record)))
    assert draft_from_data(data) == record
    forged = draft_to_data(draft()) | {
        "review": {"state": "accepted", "by": "Dr. A", "reason": "x", "when": LATER}
    }
    dropped = json.loads(json.dumps(data))
    dropped["history"].pop()
    for bad in (
        forged,
        dropped,
        data | {"schema_version": 9},
        data | {"extra": 1},
        {k: v for k, v in data.items() if k != "history"},
        data | {"content_sha256": "0" * 63},
        data | {"review": {"state": "published", "by": "x", "reason": "y", "when": LATER}},
        None,
        [],
    ):
        with pytest.raises(FileFormatError):
            draft_from_data(bad)


def test_nobody_no_reason_no_zone() -> None:
    for field, value in (("who", " "), ("why", ""), ("when", "2026-11-30T11:00:00")):
        with pytest.raises(InputError):
            judge(draft(), "reviewed", **(SIGNED | {field: value}))
    with pytest.raises(InputError, match="after 'draft'"):
        judge(draft(), "accepted", **SIGNED)
    with pytest.raises(InputError, match="files"):
        judge(draft(), "reviewed", files={}, **SIGNED)
