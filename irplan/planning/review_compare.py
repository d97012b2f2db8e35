"""Two plans side by side: needles matched by place, every term with its difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import Placement
from irplan.errors import InputError
from irplan.planning.evaluation import Row, Status
from irplan.planning.plan import AblationPlan

#: Needles whose tips lie farther apart than this are not the same needle, mm.
SAME_NEEDLE_MM = 40.0
_WORSE: dict[Status, int] = {"ok": 0, "not_checked": 1, "warning": 2, "error": 3}


@dataclass(frozen=True)
class ComparedTerm:
    """One term of both plans; ``difference`` is B minus A where both have a number.

    ``verdict`` is "same", "differs", "A better", "B better" (by the rows' status) or "only A",
    "only B".
    """

    name: str
    a: str
    b: str
    difference: float | None
    unit: str
    verdict: str


@dataclass(frozen=True)
class NeedlePair:
    """Needles taken for the same, by number from 1 (None: the other plan has none like it)."""

    a: int | None
    b: int | None
    tip_mm: float | None
    entry_mm: float | None
    angle_deg: float | None
    same_applicator: bool | None


@dataclass(frozen=True)
class PlanComparison:
    """Terms of the plans, pairs of needles, and what was judged of both."""

    plan_terms: tuple[ComparedTerm, ...]
    needles: tuple[NeedlePair, ...]
    judged_terms: tuple[ComparedTerm, ...]
    notes: tuple[str, ...]


def compare_plans(
    a: AblationPlan,
    b: AblationPlan,
    rows_a: Sequence[Row] | None = None,
    rows_b: Sequence[Row] | None = None,
) -> PlanComparison:
    """Compare two plans and, where both were evaluated, the rows of their verdicts.

    Needles are matched so that the sum of the distances of their tips and entries is least
    (assignment, Kuhn 1955); pairs with tips more than 40 mm apart are separated.  Raises
    `InputError` for plans in different frames of reference: their positions mean nothing together.
    """
    frames = a.frame_of_reference_uid, b.frame_of_reference_uid
    if None not in frames and frames[0] != frames[1]:
        raise InputError(
            "plans",
            got="two frames of reference",
            expected="plans made on one image",
            remedy="Register the images and move one plan into the other's frame first.",
        )
    notes = []
    if None in frames and frames != (None, None):
        notes.append("One plan names no frame of reference: that both lie in one is assumed.")
    gap = float(np.linalg.norm(np.subtract(a.target.centroid_mm, b.target.centroid_mm)))
    if gap > 1.0:
        notes.append(f"The targets' centres lie {gap:.1f} mm apart: they may be two targets.")
    if (rows_a is None) != (rows_b is None):
        notes.append(f"Only plan {'B' if rows_a is None else 'A'} was evaluated.")
    elif rows_a is None:
        notes.append("Neither plan was evaluated: margins and risks are not compared.")
    return PlanComparison(
        tuple(_plan_terms(a, b)),
        tuple(_pairs(a.placements, b.placements)),
        tuple(_judged(rows_a, rows_b)) if rows_a is not None and rows_b is not None else (),
        tuple(notes),
    )


def _plan_terms(a: AblationPlan, b: AblationPlan) -> list[ComparedTerm]:
    def words(plan: AblationPlan) -> dict[str, tuple[str, float | None, str]]:
        depth = [p.needle.depth_mm for p in plan.placements]
        tilt = [abs(p.needle.craniocaudal_tilt_deg) for p in plan.placements]
        names = sorted({p.applicator.name for p in plan.placements})
        kind = plan.placements[0].applicator.kind
        cold = kind == "cryo"
        return {
            "modality": (kind, None, ""),
            "review": (plan.review.state, None, ""),
            "target volume": ("", plan.target.volume_ml, "ml"),
            "margin goal": ("", plan.margin_goal_mm, "mm"),
            "needles": ("", float(len(depth)), ""),
            "applicators": (", ".join(names), None, ""),
            "schedule": (_schedule(plan), None, ""),
            "duration": ("", None if kind == "ire" else plan.schedule.duration_s / 60.0, "min"),
            "lethal threshold": ("", plan.lethal.threshold_c if cold else None, "degC"),
            "lethal freezes": ("", float(plan.lethal.cycles) if cold else None, ""),
            "total needle length": ("", sum(depth), "mm"),
            "longest needle": ("", max(depth), "mm"),
            "largest tilt": ("", max(tilt), "deg"),
        }

    out = []
    for (name, (text_a, value_a, unit)), (text_b, value_b, _) in zip(
        words(a).items(), words(b).values(), strict=True
    ):
        if value_a is None or value_b is None:
            text_a, text_b = (
                (text or "-") if value is None else f"{value:.1f}"
                for text, value in ((text_a, value_a), (text_b, value_b))
            )
            out.append(ComparedTerm(name, text_a, text_b, None, unit, _equal(text_a == text_b)))
        else:
            gap = value_b - value_a
            same = abs(gap) < 0.05
            text_a, text_b = (f"{v:.1f}" if unit else f"{v:g}" for v in (value_a, value_b))
            out.append(ComparedTerm(name, text_a, text_b, gap, unit, _equal(same)))
    return out


def _schedule(plan: AblationPlan) -> str:
    """What is done over time, with power; electroporation's pulses are timed by its protocol."""
    if plan.placements[0].applicator.kind == "ire":
        return "pulses"
    words = []
    for phase in plan.schedule.phases:
        power = "" if phase.power_w is None else f" {phase.power_w:g} W"
        words.append(f"{phase.kind.replace('_', ' ')}{power} {phase.duration_s / 60:g} min")
    return " - ".join(words)


def _equal(same: bool) -> str:
    return "same" if same else "differs"


def _pairs(a: Sequence[Placement], b: Sequence[Placement]) -> list[NeedlePair]:
    from scipy.optimize import linear_sum_assignment

    cost: NDArray[np.float64] = np.array(
        [[_apart(p, q, "tip_mm") + _apart(p, q, "entry_mm") for q in b] for p in a]
    )
    out = []
    left_a, left_b = set(range(len(a))), set(range(len(b)))
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        p, q = a[int(i)], b[int(j)]
        tip = _apart(p, q, "tip_mm")
        if tip > SAME_NEEDLE_MM:
            continue
        left_a.discard(int(i))
        left_b.discard(int(j))
        cosine = float(np.clip(p.needle.direction @ q.needle.direction, -1.0, 1.0))
        out.append(
            NeedlePair(
                int(i) + 1,
                int(j) + 1,
                tip,
                _apart(p, q, "entry_mm"),
                float(np.degrees(np.arccos(cosine))),
                p.applicator.name == q.applicator.name,
            )
        )
    out += [NeedlePair(i + 1, None, None, None, None, None) for i in sorted(left_a)]
    out += [NeedlePair(None, j + 1, None, None, None, None) for j in sorted(left_b)]
    return out


def _apart(p: Placement, q: Placement, point: str) -> float:
    return float(np.linalg.norm(np.subtract(getattr(p.needle, point), getattr(q.needle, point))))


def _judged(rows_a: Sequence[Row], rows_b: Sequence[Row]) -> list[ComparedTerm]:
    by_a, by_b = {r.name: r for r in rows_a}, {r.name: r for r in rows_b}
    out = []
    for name in dict.fromkeys((*by_a, *by_b)):
        a, b = by_a.get(name), by_b.get(name)
        one = a or b
        assert one is not None  # the name comes from one of them
        gap = None
        if a is None or b is None:
            verdict = "only B" if a is None else "only A"
        else:
            if a.value is not None and b.value is not None:
                gap = b.value - a.value
            worse = _WORSE[b.status] - _WORSE[a.status]
            equal = abs(gap) < 0.05 if gap is not None else a.value is None and b.value is None
            same = "same" if equal else "differs"
            verdict = "A better" if worse > 0 else "B better" if worse < 0 else same
        out.append(ComparedTerm(name, _shown(a), _shown(b), gap, one.unit, verdict))
    return out


def _shown(row: Row | None) -> str:
    if row is None:
        return "-"
    status = row.status.replace("_", " ")
    return status if row.value is None else f"{row.value:.1f} ({status})"
