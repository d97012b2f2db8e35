"""A simulation with what was asked, what came out and how large its zones are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import Kind
from irplan.ablation.lethal import LethalRule
from irplan.ablation.problem import AblationProblem
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
        """Measure the zones of ``result`` along the applicators of ``problem``."""
        axis = ZoneAxis.of(problem.placements)
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
