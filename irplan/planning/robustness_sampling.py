"""Random needles and tissue constants: common random numbers, one stream a source and needle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import Placement
from irplan.ablation.problem import CLOSEST_MM
from irplan.ablation.segments import segment_distance_mm
from irplan.geometry import Needle, as_point
from irplan.planning.robustness_uncertainty import Uncertainty

_NEEDLE, _REGISTRATION, _PERFUSION, _CONDUCTIVITY = range(4)


@dataclass(frozen=True, eq=False)
class Normals:
    """Standard normal numbers behind the samples; scaled by an `Uncertainty` they are errors.

    ``needle`` (needles, n, 5): across u, across v, depth, angle u, angle v; ``registration``
    (n, 3); ``perfusion`` and ``conductivity`` (n,).  Every source and needle has a stream of
    its own: with or without one source, or with one needle more, all others stay the same.
    """

    needle: NDArray[np.float64]
    registration: NDArray[np.float64]
    perfusion: NDArray[np.float64]
    conductivity: NDArray[np.float64]

    @classmethod
    def drawn(cls, needles: int, count: int, seed: int) -> Normals:
        """``count`` samples for a seed >= 0."""

        def stream(*key: int) -> np.random.Generator:
            return np.random.default_rng([seed, *key])

        return cls(
            np.stack([stream(_NEEDLE, k).standard_normal((count, 5)) for k in range(needles)]),
            stream(_REGISTRATION).standard_normal((count, 3)),
            stream(_PERFUSION).standard_normal(count),
            stream(_CONDUCTIVITY).standard_normal(count),
        )

    def swapped(self, other: Normals, source: str) -> Normals:
        """These numbers, but those of one source (a field of `Uncertainty`) from ``other``."""
        columns = {"lateral_mm": [0, 1], "depth_mm": [2], "angle_deg": [3, 4]}.get(source)
        if columns is not None:
            needle = self.needle.copy()
            needle[..., columns] = other.needle[..., columns]
            return replace(self, needle=needle)
        field = source.rsplit("_", 1)[0]
        return replace(self, **{field: getattr(other, field)})

    def first(self, count: int) -> Normals:
        """The first ``count`` samples."""
        return Normals(
            self.needle[:, :count],
            self.registration[:count],
            self.perfusion[:count],
            self.conductivity[:count],
        )


@dataclass(frozen=True, eq=False)
class MovedNeedles:
    """n samples of every needle: ``tip_mm`` and ``direction`` (needles, n, 3), in the anatomy.

    ``log_perfusion`` and ``log_conductivity`` (n,) are logarithms of the tissue's factors.
    """

    tip_mm: NDArray[np.float64]
    direction: NDArray[np.float64]
    log_perfusion: NDArray[np.float64]
    log_conductivity: NDArray[np.float64]

    def placements(self, plan: Sequence[Placement], sample: int) -> tuple[Placement, ...]:
        """The plan's placements as sample number ``sample`` has them, each of its own depth."""
        out = []
        for k, placement in enumerate(plan):
            tip, way = self.tip_mm[k, sample], self.direction[k, sample]
            needle = Needle(
                as_point(tip, field="tip"),
                as_point(tip - placement.needle.depth_mm * way, field="entry"),
            )
            out.append(replace(placement, needle=needle))
        return tuple(out)


def too_close(placements: Sequence[Placement], moved: MovedNeedles) -> NDArray[np.bool_]:
    """(n,) samples in which two active zones lie closer than a simulation takes (`CLOSEST_MM`)."""
    out = np.zeros(moved.tip_mm.shape[1], dtype=bool)
    active = [np.array([p.applicator.tip_offset_mm, p.applicator.active_length_mm])
              for p in placements]  # fmt: skip
    ends = [
        np.stack([tips - a[0] * ways, tips - a.sum() * ways], axis=1)
        for tips, ways, a in zip(moved.tip_mm, moved.direction, active, strict=True)
    ]
    closest = CLOSEST_MM[placements[0].applicator.kind]
    for b in range(len(placements)):
        for a in range(b):
            # Active zones of which the middles lie farther apart than this cannot touch.
            reach = 0.5 * (active[a][1] + active[b][1]) + closest
            apart = np.linalg.norm((ends[a] - ends[b]).mean(axis=1), axis=1)
            for n in np.flatnonzero((apart < reach) & ~out).tolist():
                out[n] = segment_distance_mm(ends[a][n], ends[b][n]) < closest
    return out


def needle_frame(placement: Placement) -> NDArray[np.float64]:
    """(3, 3) two unit vectors across the needle and its direction."""
    d = placement.needle.direction
    u = np.cross(d, np.eye(3)[int(np.argmin(np.abs(d)))])
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(d, u), d])


def moved_needles(
    placements: Sequence[Placement], normals: Normals, uncertainty: Uncertainty
) -> MovedNeedles:
    """Needles with their errors: the tip is moved, the direction turned about the tip.

    A registration error moves the target; seen from the anatomy all needles move the other way.
    """
    shift = -uncertainty.registration_mm * normals.registration
    tips, ways = [], []
    for placement, z in zip(placements, normals.needle, strict=True):
        u, v, d = needle_frame(placement)
        across = uncertainty.lateral_mm * (z[:, 0, None] * u + z[:, 1, None] * v)
        tips.append(
            np.array(placement.needle.tip_mm)
            + across
            + uncertainty.depth_mm * z[:, 2, None] * d
            + shift
        )
        turn = np.tan(np.radians(np.clip(uncertainty.angle_deg * z[:, 3:5], -60.0, 60.0)))
        way = d + turn[:, 0, None] * u + turn[:, 1, None] * v
        ways.append(way / np.linalg.norm(way, axis=1)[:, None])
    return MovedNeedles(
        np.stack(tips),
        np.stack(ways),
        np.log(uncertainty.perfusion_factor) * normals.perfusion,
        np.log(uncertainty.conductivity_factor) * normals.conductivity,
    )
