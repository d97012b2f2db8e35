"""When frozen tissue counts as dead: threshold and number of freezes, as a setting."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.ablation.given import check_whole, take_numbers


@dataclass(frozen=True)
class LethalRule:
    """Tissue is lethal where it fell to ``threshold_c`` or below in at least ``cycles`` freezes.

    ``hold_s`` asks that it stayed there for so long in each of them (0 to 3600 s).
    Default -20 degC in both freezes of a double freeze: -20 degC matched lung pathology
    [V, ablation specification]; -40 degC (Go-Smart) [V] is the cautious choice and is always
    reported beside it.  Raises `InputError` outside -100..0 degC,
    for cycles that are not 1 to 20 or a hold time out of range.
    """

    threshold_c: float = -20.0
    cycles: int = 2
    hold_s: float = 0.0

    def __post_init__(self) -> None:
        take_numbers(
            self,
            "lethal",
            {"threshold_c": (-100.0, 0.0, "degC")},
            "Usual values are -20 and -40 degC.",
        )
        cycles = check_whole("lethal.cycles", self.cycles, 1, 20, "Use 2 for a double freeze.")
        object.__setattr__(self, "cycles", cycles)
        take_numbers(
            self,
            "lethal",
            {"hold_s": (0.0, 3600.0, "s")},
            "Give seconds; 0 counts any time below the threshold.",
        )
