"""Review states: who and why; an accepted plan is evidence, a change makes a new draft."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from irplan.ablation import LethalRule, Placement, Schedule, applicator
from irplan.errors import InputError
from irplan.geometry import Needle
from irplan.planning.plan import AblationPlan, Provenance, Target
from irplan.planning.review import edit_plan, set_review

ROD = applicator("cryo-17g-rod")
PLACED = Placement(Needle((0.0, 0.0, 0.0), (0.0, -80.0, 0.0)), ROD)
PLAN = AblationPlan(
    Target((0.0, 0.0, 0.0), 4.2, 20.0, "mask"),
    (PLACED,),
    Schedule.freeze_thaw_freeze(),
    5.0,
    LethalRule(),
    Provenance("0.1.0", 0),
)
SIGNED = {"who": "Dr. A", "why": "margins seen", "when": "2026-11-24T10:00Z"}


def test_the_way_to_acceptance_is_kept_in_the_history() -> None:
    accepted = set_review(set_review(PLAN, "reviewed", **SIGNED), "accepted", **SIGNED)
    assert accepted.review.state == "accepted"
    assert accepted.review.by == "Dr. A"
    assert [c.what for c in accepted.history] == [
        "review: draft -> reviewed",
        "review: reviewed -> accepted",
    ]
    with pytest.raises(FrozenInstanceError):
        accepted.margin_goal_mm = 1.0  # type: ignore[misc]
    assert set_review(accepted, "rejected", **SIGNED).review.state == "rejected"


@pytest.mark.parametrize(
    ("states", "step"),
    [((), "accepted"), (("reviewed", "accepted"), "reviewed"), (("rejected",), "accepted")],
)
def test_forbidden_steps(states: tuple[str, ...], step: str) -> None:
    plan = PLAN
    for state in states:
        plan = set_review(plan, state, **SIGNED)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"review\.state"):
        set_review(plan, step, **SIGNED)  # type: ignore[arg-type]


def test_nobody_and_no_reason_are_refused() -> None:
    for field in ("who", "why", "when"):
        with pytest.raises(InputError, match=f"history.{field}"):
            set_review(PLAN, "reviewed", **{**SIGNED, field: " "})


def test_an_edit_of_an_accepted_plan_is_a_new_draft() -> None:
    accepted = set_review(set_review(PLAN, "reviewed", **SIGNED), "accepted", **SIGNED)
    moved = replace(PLACED, needle=Needle((1.0, 0.0, 0.0), (0.0, -80.0, 0.0)))
    new = edit_plan(accepted, placements=(moved,), margin_goal_mm=8.0, **SIGNED)
    assert accepted.review.state == "accepted"
    assert accepted.placements == (PLACED,)
    assert new.review.state == "draft"
    assert new.history[:2] == accepted.history
    assert new.history[2].what == (
        "needle 1 changed; margin goal 5 mm became 8 mm (new draft of a plan that was accepted)"
    )
    with pytest.raises(InputError, match="nothing that differs"):
        edit_plan(PLAN, placements=(PLACED,), **SIGNED)
