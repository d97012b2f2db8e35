"""One line of the evidence table, and the function that makes some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Rule = Literal["within", "at_most", "at_least", "shown"]


@dataclass(frozen=True)
class EvidenceRow:
    """What was measured, against what, and whether that is good enough.

    Parameters
    ----------
    case, quantity : what was run, what of it is looked at.
    reference : where ``expected`` comes from.
    unit : of the numbers.
    expected : the reference's value; None where there is only a limit.
    measured : irplan's value.
    rule : "within": |measured - expected| <= ``limit``; "at_most" / "at_least": measured against
        ``limit``; "shown": no demand, the residual is printed.
    limit : see ``rule``; None for "shown".
    seconds : time of the whole case; filled by `gather`.
    note : what else a reader should know.
    """

    case: str
    quantity: str
    reference: str
    unit: str
    expected: float | None
    measured: float
    rule: Rule
    limit: float | None = None
    seconds: float = 0.0
    note: str = ""

    @property
    def residual(self) -> float | None:
        """measured - expected, where there is something expected."""
        return None if self.expected is None else self.measured - self.expected

    @property
    def verdict(self) -> Literal["met", "MISSED", "shown"]:
        """Whether the demand is met; NaN never is."""
        if self.rule == "shown" or self.limit is None:
            return "shown"
        if self.rule == "within":
            ok = self.expected is not None and abs(self.measured - self.expected) <= self.limit
        elif self.rule == "at_most":
            ok = self.measured <= self.limit
        else:
            ok = self.measured >= self.limit
        return "met" if ok else "MISSED"

    @property
    def demand(self) -> str:
        """The rule in a few characters."""
        if self.rule == "shown" or self.limit is None:
            return "none"
        sign = {"within": "±", "at_most": "≤", "at_least": "≥"}[self.rule]
        return f"{sign} {self.limit:.3g}"


@dataclass(frozen=True)
class EvidenceCase:
    """A case by name; ``run(quick)`` gives its rows.  ``in_quick``: part of the quick table."""

    name: str
    run: Callable[[bool], tuple[EvidenceRow, ...]]
    in_quick: bool = True
