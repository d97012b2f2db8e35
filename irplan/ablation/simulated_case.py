"""A simulation with what was asked, what came out and how large its zones are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import Kind
from irplan.ablation.drive import placements_at
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.pull_back import pull_backs
from irplan.ablation.result import AblationResult
from irplan.ablation.schedule import Schedule
from irplan.ablation.zone_measure import (
    ZoneAxis,
    ZoneField,
    ZoneMeasure,
    measure_zone,
    zone_fields,
)
from irplan.geometry import Point3
from irplan.image import Volume


class History(Protocol):
    """Temperature kept at some times of a run."""

    @property
    def times_s(self) -> Sequence[float] | NDArray[np.floating]:
        """Times of the frames, s."""

    def temperature_c(self, index: int) -> Volume:
        """Temperature of frame ``index``, degC."""


@dataclass(frozen=True, eq=False)
class SimulatedCase:
    """What figures, reports and files of a simulation are made from.

    ``zones`` and ``measures`` go together, in the order of `zone_fields`; ``monitors`` are the
    named LPS points whose temperature is in the trace.
    """

    name: str
    problem: AblationProblem
    result: AblationResult
    axis: ZoneAxis
    zones: tuple[ZoneField, ...]
    measures: tuple[ZoneMeasure, ...]
    lethal: LethalRule | None
    monitors: Mapping[str, Point3]

    @classmethod
    def of(
        cls,
        name: str,
        problem: AblationProblem,
        result: AblationResult,
        *,
        lethal: LethalRule | None = None,
        monitors: Mapping[str, Point3] | None = None,
    ) -> SimulatedCase:
        """Measure the zones of ``result`` along the applicators of ``problem``.

        Where these are pulled back, the axis reaches over all their active zones.
        """
        axis = ZoneAxis.of(_positions(problem))
        rule = lethal if problem.placements[0].applicator.kind == "cryo" else None
        zones = zone_fields(result, rule)
        return cls(
            name,
            problem,
            result,
            axis,
            zones,
            tuple(measure_zone(z, axis) for z in zones),
            rule,
            dict(monitors or {}),
        )

    @property
    def kind(self) -> Kind:
        """Modality."""
        return self.problem.placements[0].applicator.kind

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Where the applicators lie when the last freeze or power phase ends."""
        ends = []
        for schedule in self.problem.schedules:
            at = 0.0
            for phase in schedule.phases:
                at += phase.duration_s
                if phase.kind in ("freeze", "power"):
                    ends.append(at)
        return tuple(placements_at(self.problem, max(ends)))

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The common schedule alone, or one a placement where they differ."""
        schedule = self.problem.schedule
        return (schedule,) if isinstance(schedule, Schedule) else schedule

    @property
    def trace_names(self) -> tuple[str, ...]:
        """Names of the trace's points, the monitors by their own."""
        names, own = list(self.result.trace.names), list(self.monitors)
        if own and len(names) >= len(own):
            names[len(names) - len(own) :] = own
        return tuple(names)

    @property
    def main_volume(self) -> tuple[str, Volume]:
        """Name and volume that a picture shows: the field for ire, else the temperature."""
        volumes = self.result.volumes()
        name = "field" if self.kind == "ire" else "temperature"
        return name, volumes[name]

    def frames(self, most: int) -> Iterator[tuple[float, Volume]]:
        """(time in s, temperature) of at most ``most`` moments kept by the solver, evenly spread.

        Nothing where the solver keeps no history.
        """
        history: History | None = getattr(self.result, "history", None)
        if history is None or most < 1:
            return
        count = len(history.times_s)
        chosen = sorted({round(k * (count - 1) / max(1, most - 1)) for k in range(most)})
        for index in chosen:
            yield float(history.times_s[index]), history.temperature_c(index)


def _positions(problem: AblationProblem) -> tuple[Placement, ...]:
    """The applicators as placed and after every pull-back."""
    moves = pull_backs(problem.placements, problem.schedules)
    after = [p for m in moves for n, p in enumerate(m.after) if m.moved(n)]
    return (*problem.placements, *after)
