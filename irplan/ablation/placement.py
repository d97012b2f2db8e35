"""An applicator on a needle: planned or achieved, never both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from irplan.ablation.applicator import Applicator
from irplan.ablation.given import check_kind, check_text
from irplan.errors import InputError
from irplan.geometry import Needle, Point3


@dataclass(frozen=True)
class Placement:
    """A `Needle` with an `Applicator`; ``status`` says whether it is planned or was achieved.

    Raises `InputError` when the needle is deeper than the applicator can be inserted.
    """

    needle: Needle
    applicator: Applicator
    status: Literal["planned", "achieved"] = "planned"

    def __post_init__(self) -> None:
        check_kind("placement.needle", self.needle, Needle, "Needle(tip_mm, entry_mm), LPS mm.")
        check_kind(
            "placement.applicator",
            self.applicator,
            Applicator,
            "irplan.ablation.applicator(name) gives one of the catalogue.",
        )
        check_text("placement.status", self.status, ("planned", "achieved"))
        if self.needle.depth_mm > self.applicator.max_insertion_mm:
            raise InputError(
                "placement.needle",
                got=f"a depth of {self.needle.depth_mm:.1f} mm",
                expected=f"at most {self.applicator.max_insertion_mm:.0f} mm "
                f"for {self.applicator.name}",
                remedy="Choose a shorter path or a longer applicator.",
            )

    @property
    def active_segment(self) -> tuple[Point3, Point3]:
        """Distal and proximal end of the active zone on the needle's axis, LPS mm."""
        return self.needle.segment(self.applicator.tip_offset_mm, self.active_end_mm)

    @property
    def active_end_mm(self) -> float:
        """From the tip to the proximal end of the active zone, mm."""
        return self.applicator.tip_offset_mm + self.applicator.active_length_mm

    def withdrawn(self, distance_mm: float) -> Placement:
        """The same applicator pulled back along its own axis, its entry where it was.

        Raises `InputError` unless at least 1 mm of the needle stays in.
        """
        if distance_mm > self.needle.depth_mm - 1.0:
            raise InputError(
                "schedule.withdraw_mm",
                got=f"a pull-back by {distance_mm:g} mm of a needle {self.needle.depth_mm:.1f} mm "
                "deep",
                expected="a tip that stays behind the entry",
                remedy="Pull it back by less.",
            )
        tip = self.needle.segment(distance_mm, self.needle.depth_mm)[0]
        return replace(self, needle=Needle(tip, self.needle.entry_mm))
