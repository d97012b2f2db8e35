"""Several probes' schedules as one sequence of segments in which no probe changes its phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from irplan.ablation.schedule import Phase, Schedule


@dataclass(frozen=True)
class Segment:
    """From ``start_s`` on for ``duration_s`` s, probe p is in ``phases[p]`` since ``since_s[p]``.

    A probe whose schedule has ended has None.  ``began[p]`` says that its phase begins here;
    ``number`` of ``of`` that it is the n-th; ``ends`` that no further part of it follows.
    """

    start_s: float
    duration_s: float
    phases: tuple[Phase | None, ...]
    since_s: tuple[float, ...]
    began: tuple[bool, ...]
    number: int = 1
    of: int = 1
    ends: bool = True

    @property
    def freezing(self) -> bool:
        """Some probe freezes."""
        return any(p is not None and p.kind == "freeze" for p in self.phases)

    @property
    def driven(self) -> bool:
        """Some applicator is on."""
        return any(p is not None and p.kind not in ("passive_thaw", "pause") for p in self.phases)

    @property
    def words(self) -> str:
        """What happens, for a progress line."""
        kinds = {p.kind for p in self.phases if p is not None}
        for kind in ("freeze", "active_thaw", "passive_thaw", "power"):
            if kind in kinds:
                return f"{kind.replace('_', ' ')} {self.number} of {self.of}"
        return f"pause {self.number} of {self.of}"


def timeline(schedules: Sequence[Schedule], *, from_s: float = 0.0) -> tuple[Segment, ...]:
    """The segments of ``schedules`` (one a probe) after ``from_s``, in order."""
    edges = {0.0, from_s}
    spans: list[list[tuple[float, Phase]]] = []
    for schedule in schedules:
        at = 0.0
        own = []
        for phase in schedule.phases:
            own.append((at, phase))
            at += phase.duration_s
            edges.add(at)
        spans.append(own)
    times = sorted(edges)
    out = []
    for start, end in pairwise(times):
        if start < from_s or end - start < 1e-9:
            continue
        now = [_phase_at(own, start) for own in spans]
        out.append(
            Segment(
                start_s=start,
                duration_s=end - start,
                phases=tuple(p for _, p in now),
                since_s=tuple(s for s, _ in now),
                began=tuple(p is not None and abs(s - start) < 1e-9 for s, p in now),
            )
        )
    return tuple(replace(s, number=n + 1, of=len(out)) for n, s in enumerate(out))


def _phase_at(own: list[tuple[float, Phase]], time_s: float) -> tuple[float, Phase | None]:
    for start, phase in own:
        if start <= time_s + 1e-9 < start + phase.duration_s:
            return start, phase
    return time_s, None
