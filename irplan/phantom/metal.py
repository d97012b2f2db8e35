"""Metal in a simulated scan: needles with a pointed tip, wires, clips, as exact solids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Needle, Point3, as_point

Alloy = Literal["steel", "nitinol", "titanium"]
#: Density, g/cm^3.  S: handbook values of 304 steel, NiTi and titanium.
ALLOY_DENSITY: dict[Alloy, float] = {"steel": 7.9, "nitinol": 6.45, "titanium": 4.51}
#: CT number at 70 keV, HU, from the attenuation of `irplan.phantom.attenuation` and the density.
ALLOY_HU: dict[Alloy, float] = {"steel": 32000.0, "nitinol": 25700.0, "titanium": 11500.0}
#: Slices in which a conical tip is built; each has the volume of its part of the cone.
CONE_SLICES = 10


@dataclass(frozen=True)
class MetalNeedle:
    """A straight needle: a cylinder that ends in a cone at the tip.

    Parameters
    ----------
    needle : tip (the cone's apex) and entry on the skin, LPS mm.
    diameter_mm : of the shaft, 0.4 to 5 mm (22 G is 0.72, 17 G 1.47, 13 G 2.41 mm).
    tip_length_mm : length of the cone, 0 to 10 mm.
    outside_mm : how far the shaft goes on outside the skin, 0 to 200 mm.
    alloy : "steel", "nitinol" or "titanium".

    Raises `InputError` for a value out of range.
    """

    needle: Needle
    diameter_mm: float = 1.5
    tip_length_mm: float = 1.5
    outside_mm: float = 60.0
    alloy: Alloy = "steel"

    def __post_init__(self) -> None:
        _range("metal.diameter_mm", self.diameter_mm, 0.4, 5.0)
        _range("metal.tip_length_mm", self.tip_length_mm, 0.0, 10.0)
        _range("metal.outside_mm", self.outside_mm, 0.0, 200.0)
        _alloy(self.alloy)

    @property
    def cylinders(self) -> NDArray[np.float64]:
        """(N, 7) solid cylinders: start x, y, z, end x, y, z, radius, mm; they do not overlap."""
        d, radius = self.needle.direction, 0.5 * self.diameter_mm
        tip = np.array(self.needle.tip_mm)
        back = tip - d * (self.needle.depth_mm + self.outside_mm)
        shoulder = tip - d * self.tip_length_mm
        rows = [np.concatenate([back, shoulder, [radius]])]
        if self.tip_length_mm > 0.0:
            edges = np.linspace(0.0, 1.0, CONE_SLICES + 1)
            for a, b in pairwise(edges):  # from the apex backwards
                r = radius * math.sqrt((a * a + a * b + b * b) / 3.0)
                ends = [tip - d * self.tip_length_mm * v for v in (a, b)]
                rows.append(np.concatenate([*ends, [r]]))
        return np.array(rows)


@dataclass(frozen=True)
class MetalWire:
    """A wire or clip along a line of points (LPS mm), 0.2 to 8 mm thick."""

    points_mm: tuple[Point3, ...]
    diameter_mm: float = 0.9
    alloy: Alloy = "steel"

    def __post_init__(self) -> None:
        points = tuple(as_point(p, field="wire.points_mm") for p in self.points_mm)
        object.__setattr__(self, "points_mm", points)
        if len(points) < 2:
            raise InputError(
                "wire.points_mm",
                got=f"{len(points)} points",
                expected="two or more",
                remedy="Give the line that the wire follows.",
            )
        _range("wire.diameter_mm", self.diameter_mm, 0.2, 8.0)
        _alloy(self.alloy)

    @property
    def cylinders(self) -> NDArray[np.float64]:
        """(N, 7) one cylinder a piece of the line, as `MetalNeedle.cylinders`."""
        p = np.array(self.points_mm)
        radius = np.full((len(p) - 1, 1), 0.5 * self.diameter_mm)
        return np.hstack([p[:-1], p[1:], radius])


MetalPart = MetalNeedle | MetalWire


def point_masses(
    cylinders: NDArray[np.float64], step_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 3) points in the solids and (N,) their volumes in mm^3, at most ``step_mm`` apart.

    The volumes of one cylinder add up to its own exactly.
    """
    points, volumes = [], []
    for row in cylinders:
        a, b, radius = row[:3], row[3:6], float(row[6])
        length = float(np.linalg.norm(b - a))
        d = (b - a) / length
        u = np.cross(d, [1.0, 0.0, 0.0] if abs(d[0]) < 0.9 else [0.0, 1.0, 0.0])
        u /= np.linalg.norm(u)
        v = np.cross(d, u)
        along = max(1, math.ceil(length / step_mm))
        rings = max(1, math.ceil(radius / step_mm))
        s = (np.arange(along) + 0.5) / along * length
        disc, share = [], []
        for k in range(rings):  # rings of equal width, each with points at its mean radius
            r0, r1 = radius * k / rings, radius * (k + 1) / rings
            rm = 2.0 / 3.0 * (r1**3 - r0**3) / (r1**2 - r0**2)
            n = max(3, math.ceil(2.0 * math.pi * rm / step_mm))
            angle = 2.0 * math.pi * (np.arange(n) + 0.5 * (k % 2)) / n
            disc.append(rm * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v))
            share.append(np.full(n, math.pi * (r1**2 - r0**2) / n))
        ring, area = np.concatenate(disc), np.concatenate(share)
        points.append((a + s[:, None, None] * d + ring[None]).reshape(-1, 3))
        volumes.append(np.tile(area * length / along, along))
    return np.concatenate(points), np.concatenate(volumes)


def by_alloy(parts: Sequence[MetalPart]) -> dict[Alloy, NDArray[np.float64]]:
    """The cylinders of all parts, joined for each alloy that occurs."""
    out: dict[Alloy, NDArray[np.float64]] = {}
    for alloy in get_args(Alloy):
        own = [p.cylinders for p in parts if p.alloy == alloy]
        if own:
            out[alloy] = np.concatenate(own)
    return out


def _range(field: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(
            field,
            got=f"{value:g} mm",
            expected=f"{low:g} to {high:g} mm",
            remedy="Give a value in that range.",
        )


def _alloy(name: str) -> None:
    if name not in get_args(Alloy):
        raise InputError(
            "metal.alloy",
            got=repr(name),
            expected="one of " + ", ".join(get_args(Alloy)),
            remedy="Use one of these words.",
        )
