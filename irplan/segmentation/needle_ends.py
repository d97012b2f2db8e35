"""What makes a shaft a needle: thin, straight, in the body, and leaving it at one end only."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation.needle_axis import ShaftAxis, frame, sample
from irplan.segmentation.needle_body import BodyOutline
from irplan.segmentation.needle_candidates import Candidate
from irplan.segmentation.needle_result import NOT_SCANNED_HU, NeedleOptions

F64 = NDArray[np.float64]
BodyEnd = Literal["skin", "edge of the scan", "inside"]
#: A shaft that is seen to within this of where the scan ends, along it, may go on there, mm.
#: [M: cone-beam tuning scenes: 100 shafts that leave the field, 0 to 1.0 mm]
GOES_ON_MM = 1.5
#: Voxels that were not scanned lie this near to the scan's edge at most, mm; others are just dark.
EDGE_MM = 8.0
#: An end less deep than this has come to the skin, mm (the outline is coarse) ...
SKIN_MM = 4.0
#: ... unless tissue is around its last `AROUND_MM`, `RING_MM` beside it, from this HU on.
TISSUE_HU, AROUND_MM, RING_MM = -500.0, 10.0, 4.5
#: Widest narrow full width at half maximum that a needle of the largest diameter blooms to, mm
#: beyond its diameter. [M: 2.4 mm of steel, 3071 HU, 1.1 mm kernel: 4.5 mm]
BLOOM_MM = 2.6
#: A shaft may deviate this much from a straight line, as a share of its length.
MOST_BEND = 0.04
#: Share of stations that must show metal.
LEAST_FILLED = 0.6


def why_not(volume: Volume, axis: ShaftAxis, body: BodyOutline, options: NeedleOptions) -> str:
    """Why the shaft is no needle, in words; empty when it is one."""
    length = axis.end - axis.start
    if length < options.min_length_mm:
        return f"only {length:.0f} mm long"
    if axis.width_mm > options.max_diameter_mm + BLOOM_MM:
        return f"{axis.width_mm:.1f} mm wide"
    if axis.bend_mm > max(1.5, MOST_BEND * length):
        return f"bent by {axis.bend_mm:.1f} mm"
    if axis.filled < LEAST_FILLED:
        return f"metal on {100 * axis.filled:.0f} % of its length only"
    s = np.arange(axis.start, axis.end + 0.5, 1.0)
    depth = body.depth_at(axis.point + s[:, None] * axis.direction)
    if depth.max() < 5.0 or np.count_nonzero(depth > 2.0) < options.min_depth_mm:
        return "outside the body"
    ends = end_kinds(volume, axis, body)
    if "inside" not in ends:
        if "edge of the scan" in ends:
            return "it goes on beyond the scan's edge: no tip in view"
        return "it goes through the body: neither end is a tip"
    if ends == ("inside", "inside"):
        return "both ends lie inside the body"
    return ""


def tip_end(volume: Volume, axis: ShaftAxis, body: BodyOutline) -> tuple[float, BodyEnd]:
    """Which end is the tip (+1: the axis's end), and how the other end leaves the body."""
    first, last = end_kinds(volume, axis, body)
    return (1.0, first) if last == "inside" else (-1.0, last)


def end_kinds(volume: Volume, axis: ShaftAxis, body: BodyOutline) -> tuple[BodyEnd, BodyEnd]:
    """How the shaft ends at its start and at its end.

    Where both seem to leave the body, one that does not touch the scan's edge, with tissue around
    it, is inside all the same: streaks and truncation cut holes into a coarse outline.
    """
    ends = [axis.point + s * axis.direction for s in (axis.start, axis.end)]
    ways = (-axis.direction, axis.direction)
    depth = body.depth_at(np.array(ends))
    left = [scan_left_mm(volume, body, e, w) for e, w in zip(ends, ways, strict=True)]
    kinds: list[BodyEnd] = [
        "skin" if deep < SKIN_MM else "edge of the scan" if space < GOES_ON_MM else "inside"
        for deep, space in zip(depth, left, strict=True)
    ]
    if "inside" not in kinds:
        for k in np.argsort(-depth):
            if depth[k] > 0.0 and left[k] >= GOES_ON_MM and _in_tissue(volume, ends[k], ways[k]):
                kinds[k] = "inside"
                break
    return kinds[0], kinds[1]


def scan_left_mm(
    volume: Volume, body: BodyOutline, end: F64, way: F64, far_mm: float = 12.0
) -> float:
    """How far the scan goes on from ``end`` along ``way``, mm; ``far_mm`` where it is farther."""
    s = np.arange(0.0, far_mm, 0.5)
    points = end + s[:, None] * way
    index = volume.grid.lps_to_index(points)
    out = ~_within(volume.grid, index)
    near = np.rint(np.clip(index, 0, np.array(volume.grid.shape) - 1)).astype(int)
    dark = volume.array[tuple(near.T)] <= NOT_SCANNED_HU
    out |= dark & (body.edge_at(points) < EDGE_MM)
    return float(s[np.argmax(out)]) if out.any() else far_mm


def _within(grid: Grid, index: F64) -> NDArray[np.bool_]:
    """Whether indices lie between the outermost voxels' centres."""
    last = np.array(grid.shape) - 1.0
    inside: NDArray[np.bool_] = np.all((index >= 0.0) & (index <= last), axis=1)
    return inside


def _in_tissue(volume: Volume, end: F64, way: F64) -> bool:
    s = np.arange(0.0, AROUND_MM, 1.0)
    u, v = frame(way)
    angle = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
    ring = RING_MM * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v)
    points = (end - s[:, None] * way)[:, None] + ring[None]
    return float(np.median(sample(volume, points.reshape(-1, 3)))) > TISSUE_HU


def free_of_body(line: Candidate, body: BodyOutline) -> bool:
    """Whether the whole line, 15 mm longer at both ends, lies outside the body."""
    s = np.arange(line.start - 15.0, line.end + 15.5, 1.0)
    return float(body.depth_at(line.point + s[:, None] * line.direction).max()) < 4.0
