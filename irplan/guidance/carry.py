"""A plan carried over to a control scan's frame, as points, and said so in its history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from irplan.errors import RegistrationError
from irplan.geometry import Needle, as_point
from irplan.planning import AblationPlan
from irplan.planning.review_states import Change, Review
from irplan.registration import Registration


def carry_plan(
    plan: AblationPlan, registration: Registration, *, who: str, when: str
) -> AblationPlan:
    """``plan`` with its target and needles mapped into the control scan; a new draft.

    Each needle's tip (with the organ) and entry (with the wall: `Registration.wall`, the organ
    slides along it) are mapped as points and joined by a straight line.  The frame of
    reference becomes the control scan's, the review is a draft again, and the history says what was
    done and how good the registration was.  Raises `RegistrationError` when the registration failed
    its quality report, or belongs to another frame of reference than the plan.
    """
    registration.require_usable()
    own, there = registration.frames
    if plan.frame_of_reference_uid and own and plan.frame_of_reference_uid != own:
        raise RegistrationError(
            "frame of reference",
            got="a plan made in another frame than the registered planning scan",
            expected="the scan on which the plan was made",
            remedy="Register the scan of the plan.",
        )
    carry = registration.mapping.forward
    wall = registration.wall.apply
    placements = tuple(
        replace(
            p,
            needle=Needle(
                as_point(carry(np.array(p.needle.tip_mm)[None])[0], field="tip"),
                as_point(wall(np.array(p.needle.entry_mm)), field="entry"),
            ),
        )
        for p in plan.placements
    )
    centre = carry(np.array(plan.target.centroid_mm)[None])[0]
    rows = [
        f"{r.name} {r.shown}"
        for r in registration.quality.rows
        if r.value is not None and r.key in ("correlation", "inverse", "landmarks")
    ]
    note = Change(
        when,
        who,
        "target and needles carried over to a control scan by registration",
        f"registration {registration.quality.status}: " + ("; ".join(rows) or "no figures"),
    )
    return replace(
        plan,
        target=replace(plan.target, centroid_mm=as_point(centre, field="target")),
        placements=placements,
        frame_of_reference_uid=there,
        review=Review(),
        history=(*plan.history, note),
    )
