"""Review of plans: states, who set them and why; a change always makes a new draft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from irplan.ablation import LethalRule, Placement, Schedule
from irplan.errors import InputError
from irplan.planning.plan import AblationPlan
from irplan.planning.review_states import Change, Review, ReviewState, next_review


def set_review(
    plan: AblationPlan, state: ReviewState, *, who: str, why: str, when: str
) -> AblationPlan:
    """A copy of ``plan`` in another review state; needles and all else stay the same.

    ``when`` is ISO 8601 in UTC.  Raises `InputError` as `next_review` does.
    """
    review, change = next_review(plan.review, state, who=who, why=why, when=when)
    return replace(plan, review=review, history=(*plan.history, change))


def edit_plan(
    plan: AblationPlan,
    *,
    who: str,
    why: str,
    when: str,
    placements: Sequence[Placement] | None = None,
    schedule: Schedule | None = None,
    margin_goal_mm: float | None = None,
    lethal: LethalRule | None = None,
) -> AblationPlan:
    """A new draft with some parts changed; the plan given, whatever its state, stays as it is.

    The history says what was changed, and which state the plan had.  Raises `InputError` where
    nothing changes, or who, why or when is empty.
    """
    new = replace(
        plan,
        placements=plan.placements if placements is None else tuple(placements),
        schedule=plan.schedule if schedule is None else schedule,
        margin_goal_mm=plan.margin_goal_mm if margin_goal_mm is None else margin_goal_mm,
        lethal=plan.lethal if lethal is None else lethal,
    )
    what = _differences(plan, new)
    if not what:
        raise InputError(
            "edit",
            got="nothing that differs",
            expected="other placements, schedule, margin goal or lethal rule",
            remedy="Leave the plan as it is.",
        )
    words = "; ".join(what)
    if plan.review.state != "draft":
        words += f" (new draft of a plan that was {plan.review.state})"
    return replace(new, review=Review(), history=(*plan.history, Change(when, who, words, why)))


def _differences(old: AblationPlan, new: AblationPlan) -> list[str]:
    out = []
    if len(new.placements) != len(old.placements):
        out.append(f"{len(old.placements)} needles became {len(new.placements)}")
    else:
        moved = [
            str(n)
            for n, (a, b) in enumerate(zip(old.placements, new.placements, strict=True), start=1)
            if a != b
        ]
        if moved:
            out.append(f"needle {', '.join(moved)} changed")
    if new.schedule != old.schedule:
        out.append("schedule changed")
    if new.margin_goal_mm != old.margin_goal_mm:
        out.append(f"margin goal {old.margin_goal_mm:g} mm became {new.margin_goal_mm:g} mm")
    if new.lethal != old.lethal:
        out.append("lethal rule changed")
    return out
