"""The physical problem: tissue, sources and schedule on a cubic grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import Kind
from irplan.ablation.given import check_items, check_kind
from irplan.ablation.given import check_range as check_range
from irplan.ablation.placement import Placement
from irplan.ablation.pull_back import check_apart, pull_backs, wrong
from irplan.ablation.schedule import Schedule
from irplan.ablation.segments import segment_distance_mm
from irplan.ablation.tissue import TissueProperties
from irplan.errors import InputError
from irplan.geometry import Grid, Point3, as_point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from irplan.image import LabelMap

#: Active zones closer than this are refused: their kernels would overlap and the needles touch.
#: Electrodes of a cluster stand closer than cryoprobes.
CLOSEST_MM: dict[Kind, float] = {"cryo": 5.0, "mwa": 5.0, "rfa": 3.0, "ire": 3.0}
#: Voxel sizes the line source was tried on.
SPACING_LIMITS_MM = (0.25, 4.0)
#: A voxel may be so many times as long one way as another.
FLATTEST_VOXEL = 4.0
#: Tissues that an active zone must not lie in.
_NO_ABLATION = ("gas", "bone", "room air")
#: Phases that each kind of applicator knows.
_PHASES: dict[Kind, tuple[str, ...]] = {
    "cryo": ("freeze", "passive_thaw", "active_thaw", "pause"),
    "rfa": ("power", "pause"),
    "mwa": ("power", "pause"),
    "ire": ("power", "pause"),
}


@dataclass(frozen=True, eq=False)
class AblationProblem:
    """Everything the bioheat solver needs.

    Parameters
    ----------
    grid : solver grid, voxels of 0.25 to 4 mm, typically cubic of 1 mm; at most 4 times as long
        one way as another.
    tissue_index : uint8 (slice, row, column), index into ``tissues``.
    tissues : property sets; one whose ``fixed_temperature_c`` is set is a heat source held at
        that temperature (a large vessel at blood temperature, warm saline).  All share one
        freezing interval.
    placements : one or more applicators of one kind.
    schedule : common to all applicators, or one for each.
    body_temperature_c : start, perfusing-blood and outer-boundary temperature, 30 to 42 degC.
    notes : what the user should know about how it was built; they become warnings of the result.

    Raises
    ------
    InputError : wrong array, voxels outside 0.25..4 mm or too flat, no placement, applicators of
        different kinds, outside the grid or too close to each other, a schedule that does not
        fit them, breaks a device's limit or pulls one back out of the grid, through gas or bone
        or too close to another, tissues that freeze over different intervals, no free
        tissue, body temperature out of range.
    """

    grid: Grid
    tissue_index: NDArray[np.uint8]
    tissues: tuple[TissueProperties, ...]
    placements: tuple[Placement, ...]
    schedule: Schedule | tuple[Schedule, ...]
    body_temperature_c: float = 37.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        index = np.asarray(self.tissue_index)
        check_kind("problem.grid", self.grid, Grid, "Grid.from_spacing makes one.")
        for name, kind in (
            ("placements", Placement),
            ("tissues", TissueProperties),
            ("notes", str),
        ):
            given = getattr(self, name)
            remedy = f"Give a tuple of {kind.__name__}."
            object.__setattr__(self, name, check_items(f"problem.{name}", given, kind, remedy))
        if index.dtype != np.uint8 or index.shape != self.grid.shape:
            raise InputError(
                "problem.tissue_index",
                got=f"{index.dtype} of shape {index.shape}",
                expected=f"uint8 of shape {self.grid.shape}",
                remedy="Build the problem with AblationProblem.from_labels.",
            )
        if int(index.max()) >= len(self.tissues):
            raise InputError(
                "problem.tissue_index",
                got=f"index {int(index.max())}",
                expected=f"0 to {len(self.tissues) - 1}",
                remedy="List the properties of every tissue.",
            )
        body = check_range(
            "problem.body_temperature_c",
            self.body_temperature_c,
            30.0,
            42.0,
            "degC",
            "Give the patient's temperature in degrees Celsius.",
        )
        object.__setattr__(self, "body_temperature_c", body)
        _check_spacing(self.grid)
        _check_tissues(self.tissues)
        check_placements(self.placements, self.grid)
        if not isinstance(self.schedule, Schedule):
            remedy = "Give a Schedule, or one for each placement."
            own = check_items("problem.schedule", self.schedule, Schedule, remedy)
            object.__setattr__(self, "schedule", own)
        check_schedules(self.schedule, self.placements)
        notes = self._active_zones_met(index) + self._pull_backs_met(index) + self._too_warm()
        object.__setattr__(self, "notes", (*self.notes, *notes))
        view = index.view()
        view.setflags(write=False)
        object.__setattr__(self, "tissue_index", view)

    def _active_zones_met(self, index: NDArray[np.uint8]) -> list[str]:
        """Raise for an active zone in gas or bone; notes for one in tissue that cannot change."""
        notes = []
        for n, placement in enumerate(self.placements):
            met = self._tissues_on(placement.active_segment, index)
            for name in sorted({_plain(t) for t in met} & set(_NO_ABLATION)):
                raise InputError(
                    f"problem.placements[{n}]",
                    got=f"an active zone that lies partly in {name}",
                    expected="an active zone inside soft tissue",
                    remedy="Push it deeper, choose a shorter active zone or another path.",
                )
            held = sum(t.fixed_temperature_c is not None for t in met) / len(met)
            if held > 0.0:
                notes.append(
                    f"{100 * held:.0f} % of the active zone of applicator {n + 1} lies in tissue "
                    "held at a fixed temperature (a vessel?), which it cannot change."
                )
        return notes

    def _too_warm(self) -> list[str]:
        """Notes for cryoprobes that cannot freeze."""
        freezes = max(t.liquidus_c for t in self.tissues)
        return [
            f"Applicator {n + 1} works at {p.applicator.working_temperature_c:g} degC, which "
            "freezes nothing."
            for n, p in enumerate(self.placements)
            if p.applicator.kind == "cryo" and p.applicator.working_temperature_c >= freezes
        ]

    def _pull_backs_met(self, index: NDArray[np.uint8]) -> list[str]:
        """Raise for a pull-back out of the grid, into gas or bone or too close to another probe."""
        notes = []
        moves = pull_backs(self.placements, self.schedules)
        check_apart(moves, CLOSEST_MM[self.kind], self.grid)
        for move in moves:
            for n in range(len(self.placements)):
                if not move.moved(n):
                    continue
                met = self._tissues_on(move.way(n), index)
                for name in sorted({_plain(t) for t in met} & set(_NO_ABLATION)):
                    raise wrong(move, n, f"through {name}", "a way inside soft tissue")
                zone = self._tissues_on(move.after[n].active_segment, index)
                held = sum(t.fixed_temperature_c is not None for t in zone) / len(zone)
                if held > 0.0:
                    notes.append(
                        f"Pulled back at {move.time_s:g} s, {100 * held:.0f} % of the active zone "
                        f"of applicator {n + 1} lies in tissue held at a fixed temperature (a "
                        "vessel?), which it cannot change."
                    )
        return notes

    def _tissues_on(
        self, segment: tuple[Point3, Point3], index: NDArray[np.uint8]
    ) -> list[TissueProperties]:
        """Tissue at points of a segment half a voxel apart or nearer."""
        ends = self.grid.lps_to_index(np.array(segment))
        count = 2 * math.ceil(float(np.linalg.norm(ends[1] - ends[0]))) + 65
        points = ends[0] + np.linspace(0.0, 1.0, count)[:, None] * (ends[1] - ends[0])
        at = np.clip(np.rint(points).astype(np.int64), 0, np.asarray(self.grid.shape) - 1)
        return [self.tissues[int(i)] for i in index[tuple(at.T)]]

    @property
    def kind(self) -> Kind:
        """Modality of the applicators."""
        return self.placements[0].applicator.kind

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """One schedule a placement."""
        if isinstance(self.schedule, Schedule):
            return (self.schedule,) * len(self.placements)
        return self.schedule

    @property
    def duration_s(self) -> float:
        """Until the last schedule ends, s."""
        return max(s.duration_s for s in self.schedules)

    @classmethod
    def from_labels(
        cls,
        labels: LabelMap,
        placements: Sequence[Placement],
        schedule: Schedule | Sequence[Schedule],
        *,
        spacing_mm: float | Sequence[float] = 1.0,
        margin_mm: float | None = None,
        body_temperature_c: float = 37.0,
        sink_calibre_mm: float | None = None,
    ) -> AblationProblem:
        """The problem in a box round the probes' active zones, aligned with the image's axes.

        Labels go to the solver's grid by nearest neighbour and to tissues by
        `TISSUE_OF_STRUCTURE`; beyond the image its edge is repeated, with a note.

        Parameters
        ----------
        labels : structures; 0 is outside the body and counts as gas.
        spacing_mm : voxel of the solver, 0.25 to 4 mm (1 for a result, 2 for a search); three
            numbers along the image's slices, rows and columns for voxels that are not cubic.
        margin_mm : tissue round the active zones, 15 to 100 mm; None chooses 32 mm.
        sink_calibre_mm : vessels at least this wide stay at blood temperature, narrower ones
            become the tissue round them (its perfusion stands for them); None takes 3 mm.

        Raises
        ------
        InputError : as the constructor; an active zone outside the image, outside the body or in
            gas or bone; options out of range.
        """
        from irplan.ablation.tissue_map import TissueMap

        tissue_map = TissueMap.from_labels(
            labels,
            placements,
            schedule=schedule,
            margin_mm=margin_mm,
            sink_calibre_mm=sink_calibre_mm,
        )
        return tissue_map.problem(
            placements,
            schedule,
            spacing_mm=spacing_mm,
            margin_mm=margin_mm,
            body_temperature_c=body_temperature_c,
        )


def _plain(tissue: TissueProperties) -> str:
    """The name of a tissue without what a file adds in brackets."""
    return tissue.name.split(" (")[0]


def check_placements(placements: Sequence[Placement], grid: Grid) -> None:
    """Raise `InputError` unless these are of one kind, inside ``grid`` and far enough apart."""
    if not placements:
        raise InputError(
            "problem.placements",
            got="none",
            expected="at least one applicator",
            remedy="Add a placement.",
        )
    for n, placement in enumerate(placements):
        kind = placements[0].applicator.kind
        if placement.applicator.kind != kind:
            raise InputError(
                f"problem.placements[{n}]",
                got=f"an applicator of kind '{placement.applicator.kind}'",
                expected=f"'{kind}' as the first one",
                remedy="Simulate one modality at a time.",
            )
        if not bool(np.all(grid.contains(placement.active_segment))):
            raise InputError(
                f"problem.placements[{n}]",
                got="an active zone that reaches outside the image",
                expected="the whole active zone inside the image",
                remedy="Move the probe, or use an image that covers it.",
            )
        _check_depth(n, placement)
        for m in range(n):
            gap = segment_distance_mm(placement.active_segment, placements[m].active_segment)
            closest = CLOSEST_MM[kind]
            if gap < closest - 1e-6:
                raise InputError(
                    f"problem.placements[{n}]",
                    got=f"an active zone {gap:.1f} mm from that of probe {m + 1}",
                    expected=f"at least {closest:g} mm between active zones",
                    remedy="Move the probes apart; 10 to 20 mm is usual.",
                )
            _check_shafts(n, placement, m, placements[m])
            _check_shafts(m, placements[m], n, placement)


def _check_depth(number: int, placement: Placement) -> None:
    """Raise `InputError` for an active zone that reaches out of the entry."""
    needs, depth = placement.active_end_mm, placement.needle.depth_mm
    if needs > depth + 1e-6:
        raise InputError(
            f"problem.placements[{number}]",
            got=f"a needle {depth:.1f} mm deep whose active zone reaches {needs:.1f} mm from its "
            "tip",
            expected="an active zone that ends before the entry",
            remedy="Insert it deeper, or choose an applicator with a shorter active zone.",
        )


def _check_shafts(own: int, shaft: Placement, other: int, zone: Placement) -> None:
    """Raise `InputError` where one applicator's shaft runs through another's active zone."""
    start = min(shaft.active_end_mm, shaft.needle.depth_mm)
    if shaft.needle.depth_mm - start < 1e-6:
        return
    line = shaft.needle.segment(start, shaft.needle.depth_mm)
    gap = segment_distance_mm(line, zone.active_segment)
    diameters = shaft.applicator.shaft_diameter_mm + zone.applicator.shaft_diameter_mm
    if gap < 0.5 * diameters:
        raise InputError(
            f"problem.placements[{own}]",
            got=f"a shaft {gap:.1f} mm from the axis of probe {other + 1} within its active zone",
            expected=f"at least {0.5 * diameters:.1f} mm, where the two do not touch",
            remedy="Choose another path for one of them.",
        )


def check_schedules(
    schedule: Schedule | Sequence[Schedule], placements: Sequence[Placement]
) -> None:
    """Raise `InputError` unless the schedules fit the applicators and their devices' limits."""
    schedules = [schedule] * len(placements) if isinstance(schedule, Schedule) else list(schedule)
    if len(schedules) != len(placements):
        raise InputError(
            "problem.schedule",
            got=f"{len(schedules)} schedules",
            expected=f"one, or one for each of {len(placements)} applicators",
            remedy="Give one schedule for all, or as many as there are applicators.",
        )
    for n, (own, placement) in enumerate(zip(schedules, placements, strict=True)):
        applicator = placement.applicator
        field = "problem.schedule" if isinstance(schedule, Schedule) else f"problem.schedule[{n}]"
        allowed = _PHASES[applicator.kind]
        for k, phase in enumerate(own.phases):
            if phase.kind not in allowed:
                raise InputError(
                    f"{field}.phases[{k}]",
                    got=f"a '{phase.kind}' phase for {applicator.name}",
                    expected="for this kind of applicator: " + ", ".join(allowed),
                    remedy="Use the phases of its modality.",
                )
            device = applicator.device
            longest = getattr(device, "max_phase_s", math.inf)
            if phase.duration_s > longest:
                raise InputError(
                    f"{field}.phases[{k}].duration_s",
                    got=f"{phase.duration_s:g} s",
                    expected=f"at most {longest:g} s, the limit of {applicator.name}",
                    remedy="Shorten the phase, or add a pause between two.",
                )
            strongest = getattr(device, "max_power_w", math.inf)
            if phase.power_w is not None and phase.power_w > strongest:
                raise InputError(
                    f"{field}.phases[{k}].power_w",
                    got=f"{phase.power_w:g} W",
                    expected=f"at most {strongest:g} W, the limit of {applicator.name}",
                    remedy="Lower the power or choose another applicator.",
                )
    for placement in placements:
        most = getattr(placement.applicator.device, "max_probes", len(placements))
        if len(placements) > most:
            raise InputError(
                "problem.placements",
                got=f"{len(placements)} applicators",
                expected=f"at most {most}, what one console of {placement.applicator.name} drives",
                remedy="Use fewer applicators or another device.",
            )


def _check_spacing(grid: Grid) -> None:
    low, high = SPACING_LIMITS_MM
    spacing = grid.spacing_mm
    for value in spacing:
        check_range("problem.spacing_mm", value, low, high, "mm", "1 suits a 1.5 mm probe.")
    if max(spacing) > FLATTEST_VOXEL * min(spacing) * (1.0 + 1e-6):
        raise InputError(
            "problem.grid",
            got="voxels of " + " x ".join(f"{s:.3f}" for s in spacing) + " mm",
            expected=f"voxels at most {FLATTEST_VOXEL:g} times as long one way as another",
            remedy="Build the problem with AblationProblem.from_labels.",
        )


def _check_tissues(tissues: tuple[TissueProperties, ...]) -> None:
    if all(t.fixed_temperature_c is not None for t in tissues):
        raise InputError(
            "problem.tissues",
            got="only tissues held at a fixed temperature",
            expected="some tissue whose temperature can change",
            remedy="Leave fixed_temperature_c out for soft tissue.",
        )
    intervals = {(t.solidus_c, t.liquidus_c) for t in tissues}
    if len(intervals) != 1:
        raise InputError(
            "problem.tissues",
            got=f"freezing intervals {sorted(intervals)}",
            expected="one solidus and one liquidus for all tissues of a problem",
            remedy="Give every tissue the same interval; -8 to -1 degC is usual.",
        )


def monitor_indices(problem: AblationProblem, points: Sequence[Point3]) -> NDArray[np.float64]:
    """(n, 3) fractional grid indices of LPS points; `InputError` for one outside the grid."""
    given = check_items("monitor_points_mm", points, object, "Give a list of LPS points.")
    lps = np.array([as_point(p, field="monitor_points_mm") for p in given]).reshape(-1, 3)  # type: ignore[arg-type]
    outside = ~problem.grid.contains(lps)
    if outside.any():
        raise InputError(
            "monitor_points_mm",
            got=f"point {int(np.argmax(outside)) + 1} outside the simulated box",
            expected="LPS points within the box round the probes",
            remedy="Leave the point out or enlarge margin_mm.",
        )
    return problem.grid.lps_to_index(lps)
