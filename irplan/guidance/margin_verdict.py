"""Achieved margin against the wanted one, with the error of the registration stated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from irplan.errors import InputError
from irplan.geometry import Point3, as_point
from irplan.planning import PlanEvaluation

MarginState = Literal["complete", "margin short", "not assessable"]
#: Points of the target's surface this near to the worst of a place belong to it, mm.
PLACE_MM = 10.0
_MOST_PLACES = 5


@dataclass(frozen=True)
class ShortPlace:
    """A part of the target's surface where the margin is short: its worst point, its size."""

    at_mm: Point3
    margin_mm: float
    area_mm2: float
    certain: bool
    """True: short even if the whole error were in the margin's favour."""


@dataclass(frozen=True)
class MarginVerdict:
    """Whether target and margin lie inside the zone.

    "complete" (A0): the smallest counted margin less the error reaches ``wanted_mm``; "margin
    short": it does not even with the error added; "not assessable": the error decides, or is not
    known (``error_mm`` None).  ``reason`` says it in words; ``places`` where it is short.
    """

    state: MarginState
    minimal_mm: float | None
    at_mm: Point3 | None
    wanted_mm: float
    error_mm: float | None
    reason: str
    places: tuple[ShortPlace, ...] = ()


def not_assessable(wanted_mm: float, reason: str) -> MarginVerdict:
    """A verdict where nothing could be measured."""
    return MarginVerdict("not assessable", None, None, wanted_mm, None, reason)


def check_margin_error(wanted_mm: float, error_mm: float | None) -> None:
    """`InputError` for an error that is negative or a wanted margin outside 0 to 30 mm."""
    if not 0.0 <= wanted_mm <= 30.0:
        raise InputError(
            "wanted_mm", got=f"{wanted_mm}", expected="0 to 30 mm", remedy="Liver: 5 mm is usual."
        )
    if error_mm is not None and not (math.isfinite(error_mm) and error_mm >= 0.0):
        raise InputError(
            "registration_error_mm",
            got=f"{error_mm}",
            expected="an error of 0 mm or more",
            remedy="Give the target registration error of the quality report, in mm.",
        )


def judge_margin(
    evaluation: PlanEvaluation, *, wanted_mm: float, error_mm: float | None
) -> MarginVerdict:
    """The verdict on an evaluation's margin surface.

    ``wanted_mm`` is the margin that counts as complete ablation (a setting; the plan's goal as a
    rule); ``error_mm`` the error with which zone and target lie on each other (registration, and
    for a simulated zone the needles' positions), None where nobody stated it.  It shifts the
    margin by at most its size, which is what the two comparisons take.  Raises `InputError` for
    an error that is negative or a wanted margin outside 0 to 30 mm.
    """
    check_margin_error(wanted_mm, error_mm)
    low = evaluation.minimal_margin_mm
    at = evaluation.minimal_margin_at_mm
    worst = 0.0 if error_mm is None else error_mm
    places = _places(evaluation, wanted_mm, worst)
    if error_mm is None:
        return MarginVerdict(
            "not assessable", low, at, wanted_mm, None,
            f"measured {low:.1f} mm, but the registration error is not known", places,
        )  # fmt: skip
    said = f"{low:.1f} mm with an error of {error_mm:.1f} mm, wanted {wanted_mm:g} mm"
    if low - error_mm >= wanted_mm:
        return MarginVerdict("complete", low, at, wanted_mm, error_mm, f"A0: {said}")
    if low + error_mm < wanted_mm:
        return MarginVerdict("margin short", low, at, wanted_mm, error_mm, said, places)
    return MarginVerdict(
        "not assessable", low, at, wanted_mm, error_mm, f"the error decides: {said}", places
    )


def _places(evaluation: PlanEvaluation, wanted: float, error: float) -> tuple[ShortPlace, ...]:
    """Where the counted margin may be short, the worst first."""
    m = evaluation.margin
    left = m.counted & (m.margin_mm - error < wanted)
    out: list[ShortPlace] = []
    while left.any() and len(out) < _MOST_PLACES:
        worst = int(np.argmin(np.where(left, m.margin_mm, np.inf)))
        near = left & (np.linalg.norm(m.points_mm - m.points_mm[worst], axis=1) <= PLACE_MM)
        least = float(m.margin_mm[worst])
        out.append(
            ShortPlace(
                as_point(m.points_mm[worst], field="place"),
                least,
                float(m.area_mm2[near].sum()),
                least + error < wanted,
            )
        )
        left &= ~near
    return tuple(out)
