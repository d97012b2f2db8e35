"""What is done over time: phases of cold, heat and rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from irplan.ablation.given import check_items, check_range, check_text, take_numbers
from irplan.errors import InputError

PhaseKind = Literal["freeze", "passive_thaw", "active_thaw", "power", "pause"]
_ACTS = ("freeze", "power")


@dataclass(frozen=True)
class Phase:
    """One phase of one applicator.

    Parameters
    ----------
    kind : "freeze", "passive_thaw", "active_thaw" (cryo); "power", "pause" (heat).  "pause" and
        "passive_thaw" both mean that the applicator does nothing.
    duration_s : length, s (1 to 7200).
    power_w : generator's power in a "power" phase, W (0.1 to 1000); None elsewhere.
    withdraw_mm : the applicator is pulled back by this before the phase begins, mm (0 to 100).

    Raises
    ------
    InputError : an unknown kind, a value out of range, power where there is none or the reverse.
    """

    kind: PhaseKind
    duration_s: float
    power_w: float | None = None
    withdraw_mm: float = 0.0

    def __post_init__(self) -> None:
        check_text("phase.kind", self.kind, get_args(PhaseKind))
        take_numbers(
            self, "phase", {"duration_s": (1.0, 7200.0, "s")}, "Give seconds, not minutes."
        )
        if (self.kind == "power") != (self.power_w is not None):
            raise InputError(
                "phase.power_w",
                got=f"{self.power_w} in a '{self.kind}' phase",
                expected="a power in a 'power' phase and none in any other",
                remedy="Give power_w with kind 'power' only.",
            )
        if self.power_w is not None:
            take_numbers(
                self,
                "phase",
                {"power_w": (0.1, 1000.0, "W")},
                "Give watts; use a 'pause' for no power.",
            )
        take_numbers(
            self,
            "phase",
            {"withdraw_mm": (0.0, 100.0, "mm")},
            "Give how far the applicator is pulled back before the phase.",
        )


@dataclass(frozen=True)
class Schedule:
    """Phases in order; at least one "freeze" or "power"."""

    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        phases = check_items("schedule.phases", self.phases, Phase, "Give a tuple of Phase.")
        object.__setattr__(self, "phases", phases)
        kinds = [p.kind for p in self.phases]
        if not any(k in _ACTS for k in kinds):
            raise InputError(
                "schedule.phases",
                got=f"{kinds}",
                expected="at least one 'freeze' or 'power' phase",
                remedy="For example Schedule.freeze_thaw_freeze() or Schedule.constant_power().",
            )
        if "power" in kinds and set(kinds) & {"freeze", "active_thaw"}:
            raise InputError(
                "schedule.phases",
                got=f"{kinds}",
                expected="phases of one modality",
                remedy="Simulate cold and heat as two problems.",
            )

    @classmethod
    def freeze_thaw_freeze(
        cls, freeze_min: float = 10.0, thaw_min: float = 8.0, refreeze_min: float = 10.0
    ) -> Schedule:
        """The usual double freeze: 10 min freeze, 8 min passive thaw, 10 min freeze."""
        minutes = {"freeze_min": freeze_min, "thaw_min": thaw_min, "refreeze_min": refreeze_min}
        freeze, thaw, refreeze = (
            60.0
            * check_range(name, value, 1 / 60, 120.0, "min", "Give minutes; 10, 8, 10 is usual.")
            for name, value in minutes.items()
        )
        return cls(
            (Phase("freeze", freeze), Phase("passive_thaw", thaw), Phase("freeze", refreeze))
        )

    @classmethod
    def constant_power(cls, power_w: float, minutes: float) -> Schedule:
        """One phase of constant power."""
        long = check_range("minutes", minutes, 1 / 60, 120.0, "min", "Give minutes.")
        return cls((Phase("power", 60.0 * long, power_w),))

    @property
    def duration_s(self) -> float:
        """Total length, s."""
        return sum(p.duration_s for p in self.phases)

    @property
    def freeze_count(self) -> int:
        """Number of freezes; freeze phases in a row are one."""
        kinds = [p.kind for p in self.phases]
        return sum(
            k == "freeze" and before != "freeze"
            for k, before in zip(kinds, [None, *kinds[:-1]], strict=True)
        )
