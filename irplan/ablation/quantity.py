"""A number that can be trusted: value, unit, plausible range, source and how sure we are of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from irplan.ablation.given import take_numbers
from irplan.errors import InputError

#: V read in a source, M measured by irplan, S from general knowledge (to verify), X an estimate.
Status = Literal["V", "M", "S", "X"]


@dataclass(frozen=True)
class Quantity:
    """A physical constant with its plausible range ``low``..``high`` in the same ``unit``.

    Raises `InputError` when the value is not finite, lies outside its range, or when the
    source is empty.
    """

    value: float
    unit: str
    low: float
    high: float
    source: str
    status: Status

    def __post_init__(self) -> None:
        finite = dict.fromkeys(("value", "low", "high"), (-math.inf, math.inf, ""))
        take_numbers(self, "quantity", finite, "Give the value and both ends of its range.")
        if not self.low <= self.value <= self.high:
            raise InputError(
                "quantity.value",
                got=f"{self.value:g} {self.unit}",
                expected=f"{self.low:g} to {self.high:g} {self.unit}",
                remedy="Correct the value or widen the range, with a source.",
            )
        if not self.source or self.status not in ("V", "M", "S", "X"):
            raise InputError(
                "quantity.source",
                got=f"source {self.source!r}, status {self.status!r}",
                expected="a source in words and a status V, M, S or X",
                remedy="Say where the number comes from.",
            )
