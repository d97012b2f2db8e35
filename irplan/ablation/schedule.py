"""What is done over time: freeze and thaw phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from irplan.errors import InputError

PhaseKind = Literal["freeze", "passive_thaw", "active_thaw"]


@dataclass(frozen=True)
class Phase:
    """One phase: its kind and length in s (1 to 7200)."""

    kind: PhaseKind
    duration_s: float

    def __post_init__(self) -> None:
        if self.kind not in ("freeze", "passive_thaw", "active_thaw"):
            raise InputError(
                "phase.kind",
                got=repr(self.kind),
                expected="'freeze', 'passive_thaw' or 'active_thaw'",
                remedy="Use one of these.",
            )
        if not 1.0 <= self.duration_s <= 7200.0:
            raise InputError(
                "phase.duration_s",
                got=f"{self.duration_s}",
                expected="1 to 7200 s",
                remedy="Give seconds, not minutes.",
            )


@dataclass(frozen=True)
class Schedule:
    """Phases in order; at least one freeze."""

    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", tuple(self.phases))
        if not any(p.kind == "freeze" for p in self.phases):
            raise InputError(
                "schedule.phases",
                got=f"{[p.kind for p in self.phases]}",
                expected="at least one 'freeze' phase",
                remedy="For example Schedule.freeze_thaw_freeze().",
            )

    @classmethod
    def freeze_thaw_freeze(
        cls, freeze_min: float = 10.0, thaw_min: float = 8.0, refreeze_min: float = 10.0
    ) -> Schedule:
        """The usual double freeze: 10 min freeze, 8 min passive thaw, 10 min freeze."""
        return cls(
            (
                Phase("freeze", 60.0 * freeze_min),
                Phase("passive_thaw", 60.0 * thaw_min),
                Phase("freeze", 60.0 * refreeze_min),
            )
        )

    @property
    def duration_s(self) -> float:
        """Total length, s."""
        return sum(p.duration_s for p in self.phases)

    @property
    def freeze_count(self) -> int:
        """Number of freeze phases."""
        return sum(p.kind == "freeze" for p in self.phases)
