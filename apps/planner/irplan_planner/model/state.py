"""The state of a case: immutable, valid when constructed, every part with its revision."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image import LabelMap, Volume

if TYPE_CHECKING:
    from irplan.ablation import AblationResult
    from irplan.ablation.history import History as TimeCourse
    from irplan.ablation.placement import Placement
    from irplan.planning.access_map import AccessMap
    from irplan.planning.case import Alternative, PlannedAblation, PlanOptions
    from irplan.planning.evaluation import PlanEvaluation
    from irplan.planning.margins import TargetGeometry
    from irplan.planning.paths import PathCandidate
    from irplan.planning.plan import AblationPlan
    from irplan.procedure.report_document import ReportDocument
    from irplan.segmentation.clicks import Click
    from irplan.segmentation.liver_result import LiverSegmentation
    from irplan_planner.model.typed_fields import Worded

#: How a zone was come by: "carried" along with its needles, not computed; "quick": computed, cryo
#: in two levels on the full grid (its error says how far off), heat on coarse voxels; "full".
Grade = Literal["carried", "quick", "full"]
_numbers = itertools.count(1)


def next_revision() -> int:
    """A number that no part has carried yet."""
    return next(_numbers)


@dataclass(frozen=True, eq=False)
class Target:
    """The target's mask, kept as the part of the image that holds it.

    ``start`` is the index of ``mask[0, 0, 0]`` in the image; ``words`` say where it came from.
    """

    start: tuple[int, int, int]
    mask: NDArray[np.bool_]
    words: str

    @classmethod
    def of(cls, mask: NDArray[np.bool_], words: str) -> Target:
        """The box of a mask on the whole image; it must not be empty."""
        index = np.argwhere(mask)
        low, high = index.min(axis=0), index.max(axis=0) + 1
        part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        start = (int(low[0]), int(low[1]), int(low[2]))
        return cls(start, np.ascontiguousarray(mask[part]), words)

    def full(self, grid: Grid) -> NDArray[np.bool_]:
        """The mask on the whole grid."""
        out = np.zeros(grid.shape, dtype=bool)
        out[self.part] = self.mask
        return out

    @property
    def part(self) -> tuple[slice, slice, slice]:
        """Where the mask lies in the image."""
        a, b, c = (slice(s, s + n) for s, n in zip(self.start, self.mask.shape, strict=True))
        return a, b, c

    def centre_mm(self, grid: Grid) -> NDArray[np.float64]:
        """(3,) LPS mm of the mask's middle."""
        index: NDArray[np.float64] = np.argwhere(self.mask).mean(axis=0) + np.asarray(self.start)
        return grid.index_to_lps(index)

    def volume_ml(self, grid: Grid) -> float:
        """Its volume, ml."""
        return float(np.count_nonzero(self.mask)) * grid.voxel_volume_mm3 / 1000.0


@dataclass(frozen=True, eq=False)
class Simulation:
    """What was simulated of a plan's ``placements``, and from which parts.

    ``evaluation`` and ``paths`` are None until the rows have been worked out.
    """

    result: AblationResult
    margin_points_mm: NDArray[np.float64]
    margin_mm: NDArray[np.float64]
    minimal_margin_mm: float
    target_share: float
    margin_share: float
    zone_ml: float
    grade: Grade
    placements: tuple[Placement, ...]
    made_from: tuple[int, ...]
    geometry: TargetGeometry | None = None
    evaluation: PlanEvaluation | None = None
    paths: tuple[PathCandidate, ...] = ()

    @property
    def exact(self) -> bool:
        """Simulated in full: what a report may stand on."""
        return self.grade == "full"

    def provenance(self, placements: tuple[Placement, ...]) -> str:
        """What to know of it where ``placements`` are shown; empty for their full simulation."""
        if self.placements != placements:
            return "of where the needle was"
        if self.grade == "full":
            return ""
        if self.grade == "carried":
            return "preview: carried along, not computed"
        error = getattr(self.result, "error", None)
        if error is None or placements[0].applicator.kind != "cryo":
            return "preview: simulated on coarse voxels"
        return f"computed in two levels, front within about {error.total_mm:.1f} mm"


@dataclass(frozen=True)
class Draft:
    """A draft report as shown: its text (HTML for a text browser) and what it was made from.

    ``procedure``: the procedure's report in words (`irplan.reports`), with what failed its checks;
    ``worded``: its page with what may be typed, and its content (neither is saved with the case).
    """

    html: str
    made_from: tuple[int, ...]
    procedure: str = ""
    objections: tuple[str, ...] = ()
    worded: Worded | None = None
    document: ReportDocument | None = None


@dataclass(frozen=True, eq=False)
class RankedPlan:
    """A plan that was found, with what it is ranked by; ``full``: its simulation, where kept."""

    plan: AblationPlan
    names: tuple[str, ...]
    minimal_margin_mm: float
    margin_share: float
    healthy_ml: float
    risk: float
    full: Alternative | None = None


@dataclass(frozen=True)
class Revisions:
    """The revision of each part; 0 where the part is absent."""

    image: int = 0
    labels: int = 0
    target: int = 0
    options: int = 0
    plan: int = 0


@dataclass(frozen=True, eq=False)
class CaseState:
    """Everything of a case that is saved and undone.

    ``labels`` lists what was looked for; ``accepted`` the structures that a person has accepted;
    ``planned`` is the search's outcome (paths, alternatives), ``kept`` the alternatives of a search
    that was made before the case was opened, ``plan`` the plan as it is now, which
    may have been edited since; ``chosen_why`` the reason for the alternative that was chosen;
    ``achieved`` the needles as they are in the patient.
    """

    title: str = ""
    source: str = ""
    volume: Volume | None = None
    labels: LabelMap | None = None
    liver: LiverSegmentation | None = None
    accepted: frozenset[str] = frozenset()
    target: Target | None = None
    options: PlanOptions | None = None
    planned: PlannedAblation | None = None
    plan: AblationPlan | None = None
    planned_from: tuple[int, ...] = ()
    kept: tuple[RankedPlan, ...] = ()
    chosen: int = 0
    chosen_why: str = ""
    simulation: Simulation | None = None
    achieved: tuple[Placement, ...] = ()
    report: Draft | None = None
    report_note: str = ""
    messages: tuple[str, ...] = ()
    revisions: Revisions = field(default_factory=Revisions)

    @property
    def review(self) -> str:
        """State of the plan's review; "draft" where there is no plan."""
        return "draft" if self.plan is None else self.plan.review.state

    @property
    def simulated_from(self) -> tuple[int, ...]:
        """Revisions that a simulation of this state comes from."""
        r = self.revisions
        return (r.image, r.labels, r.target, r.plan)

    @property
    def planning_from(self) -> tuple[int, ...]:
        """Revisions that a search for a plan comes from."""
        r = self.revisions
        return (r.image, r.labels, r.target, r.options)

    @property
    def report_from(self) -> tuple[int, ...]:
        """Revisions that a report of this state comes from."""
        return (*self.simulated_from, hash(self.report_note), hash(self.review))

    @property
    def clicks(self) -> tuple[Click, ...]:
        """Clicks on the liver that count now."""
        return () if self.liver is None else self.liver.clicks

    @property
    def grid(self) -> Grid:
        """The image's grid; only where there is an image."""
        assert self.volume is not None
        return self.volume.grid

    def target_mask(self) -> NDArray[np.bool_] | None:
        """The target on the image's grid."""
        if self.target is None or self.volume is None:
            return None
        return self.target.full(self.volume.grid)


@dataclass(frozen=True, eq=False)
class Extras:
    """What is shown with a state but can be made again at any time: neither saved nor undone."""

    access: tuple[tuple[int, ...], AccessMap] | None = None
    time_course: tuple[tuple[int, ...], TimeCourse] | None = None
    coverage: tuple[tuple[int, ...], Any] | None = None
    guidance: tuple[tuple[int, ...], Any] | None = None
    verification: tuple[tuple[object, ...], Any] | None = None


def join_words(words: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]
