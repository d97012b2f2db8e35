"""The chain in one call: image and target in, simulated and judged plan out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from irplan.ablation.lethal import LethalRule
from irplan.ablation.result import AblationResult
from irplan.ablation.schedule import Schedule
from irplan.image import LabelMap, Volume
from irplan.planning.evaluation import PlanEvaluation
from irplan.planning.paths import PathCandidate, PathSearch
from irplan.planning.plan import AblationPlan


@dataclass(frozen=True)
class PlanOptions:
    """What the user may choose; every default is a sourced rule (see `rules`)."""

    margin_mm: float = 5.0
    probes: int | None = None
    """Number of cryoprobes; None = as few as reach the margin goal."""
    applicator: str = "cryo-17g-rod"
    seed: int = 0
    lethal: LethalRule = field(default_factory=LethalRule)
    schedule: Schedule = field(default_factory=Schedule.freeze_thaw_freeze)


@dataclass(frozen=True, eq=False)
class PlannedCase:
    """Everything the chain produced for one case; all on or in the frame of ``volume.grid``."""

    volume: Volume
    labels: LabelMap
    target_mask: NDArray[Any]
    """bool (slice, row, column) on ``volume.grid``."""
    options: PlanOptions
    plan: AblationPlan
    paths: tuple[PathCandidate, ...]
    """The chosen path of each placement, in the plan's order."""
    search: PathSearch
    result: AblationResult
    evaluation: PlanEvaluation
    messages: tuple[str, ...] = ()
    """What the user should know: warnings of the chain in plain words."""
