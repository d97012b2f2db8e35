"""When frozen tissue counts as dead: threshold and number of freezes, as a setting."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.errors import InputError


@dataclass(frozen=True)
class LethalRule:
    """Tissue is lethal where it fell to ``threshold_c`` or below in at least ``cycles`` freezes.

    ``hold_s`` asks that it stayed there for so long in each of them (0 to 3600 s).
    Default -20 degC in both freezes of a double freeze: -20 degC matched lung pathology
    [V, ablation specification]; -40 degC (Go-Smart) [V] is the cautious choice and is always
    reported beside it.  Raises `InputError` outside -100..0 degC,
    for cycles < 1 or a hold time out of range.
    """

    threshold_c: float = -20.0
    cycles: int = 2
    hold_s: float = 0.0

    def __post_init__(self) -> None:
        if not -100.0 <= self.threshold_c <= 0.0:
            raise InputError(
                "lethal.threshold_c",
                got=f"{self.threshold_c}",
                expected="-100 to 0 degC",
                remedy="Usual values are -20 and -40 degC.",
            )
        if self.cycles < 1:
            raise InputError(
                "lethal.cycles",
                got=f"{self.cycles}",
                expected="1 or more",
                remedy="Use 2 for a double freeze.",
            )
        if not 0.0 <= self.hold_s <= 3600.0:
            raise InputError(
                "lethal.hold_s",
                got=f"{self.hold_s}",
                expected="0 to 3600 s",
                remedy="Give seconds; 0 counts any time below the threshold.",
            )
