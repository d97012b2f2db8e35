"""The plan: evidence, immutable, versioned, with an explicit review state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Schedule
from irplan.errors import InputError
from irplan.geometry import Point3
from irplan.planning.review_states import Change, Review


@dataclass(frozen=True)
class Target:
    """What is to be ablated.

    ``source`` says in words where it came from (``"mask"`` or ``"point and diameter"``).
    ``diameter_mm`` is the diameter of the ball of equal volume.
    """

    centroid_mm: Point3
    volume_ml: float
    diameter_mm: float
    source: str


@dataclass(frozen=True)
class Provenance:
    """How the plan was made: nothing here depends on clock, machine or user name."""

    irplan_version: str
    seed: int
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Name -> SHA-256 of the voxel data used (image, target mask)."""
    options: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    backend: str = "cpu"
    precision: str = "float32"


@dataclass(frozen=True)
class AblationPlan:
    """Target, placements, schedule and goal, in the image's frame (LPS mm)."""

    target: Target
    placements: tuple[Placement, ...]
    schedule: Schedule
    margin_goal_mm: float
    lethal: LethalRule
    provenance: Provenance
    frame_of_reference_uid: str | None = None
    review: Review = field(default_factory=Review)
    history: tuple[Change, ...] = ()
    """Every change since the plan was made, the oldest first."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "placements", tuple(self.placements))
        object.__setattr__(self, "history", tuple(self.history))
        if not self.placements:
            raise InputError(
                "plan.placements",
                got="none",
                expected="at least one applicator",
                remedy="Add a placement.",
            )
        if not 0.0 <= self.margin_goal_mm <= 30.0:
            raise InputError(
                "plan.margin_goal_mm",
                got=f"{self.margin_goal_mm}",
                expected="0 to 30 mm",
                remedy="Liver: 5 to 10 mm is usual.",
            )
