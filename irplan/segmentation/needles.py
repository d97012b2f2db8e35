"""The needles in a CT or cone-beam CT: axis, tip, shaft, and how sure each is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from irplan import __version__
from irplan.compute import Progress, no_progress
from irplan.geometry import as_point
from irplan.image import Volume
from irplan.segmentation.needle_axis import (
    ShaftAxis,
    frame,
    refine_axis,
    sample,
    shaft_to_tip,
)
from irplan.segmentation.needle_body import BodyOutline, body_outline
from irplan.segmentation.needle_candidates import MOST_VOXELS, Candidate, find_lines
from irplan.segmentation.needle_ends import BodyEnd, free_of_body, tip_end, why_not
from irplan.segmentation.needle_result import (
    FoundNeedle,
    NeedleFindings,
    NeedleOptions,
    RejectedObject,
    is_cone_beam,
)
from irplan.segmentation.needle_ridge import Ridge, ridge
from irplan.segmentation.needle_tip import LEAST_SD_MM, TipFit, fit_tip

F64 = NDArray[np.float64]
#: Least `Ridge.share` of a needle.  [M: cone-beam scenes with needles near the slices' plane, or of
#: thick steel beside thin titanium: needles 0.29 to 0.95, lines in their halos -0.35 to 0.02]
LEAST_RISE = 0.2
#: The same of one found at the second look, and how far from others it must keep, mm.
FAINT_RISE, FAINT_FAR_MM = 0.5, 8.0
#: Skin is where the ring around the shaft passes this, HU.
SKIN_HU = -450.0
#: Least standard deviation of a direction that is ever claimed, degrees.
LEAST_SD_DEG = 0.03
#: Two findings nearer than this, for so long at so small an angle within `FRONT_MM` of its tip, are
#: one needle, mm and degrees: shafts cannot lie in each other.  So are two whose tips are nearer
#: than the last.
SAME_MM, SAME_FOR_MM, SAME_DEG, FRONT_MM, SAME_TIP_MM = 2.0, 12.0, 8.0, 50.0, 3.0
#: A line of which more than this share lies so near to others (mm) leads from one to the next.
#: [M: tuning scenes: needles share up to a fifth of their length, two such lines 0.7 and 0.8]
ALONG_MM, MOST_ALONG = 2.5, 0.5


def find_needles(
    volume: Volume,
    *,
    options: NeedleOptions = NeedleOptions(),  # noqa: B008
    progress: Progress = no_progress,
) -> NeedleFindings:
    """All straight metal needles that enter the body, with tip, axis, diameter and uncertainty.

    Lines of metal voxels (`find_lines`) are refined (`refine_axis`) and kept when they are thin,
    straight, reach into the body, and leave it through the skin or the scan's edge at one end
    only; so clips, screws and rods (inside), cables and wires (outside), ribs and contrast (not
    metal) are set aside.  The tip is fitted (`fit_tip`).

    ``volume``: HU, any grid; voxels up to about 3 mm.  Cost: about 1 to 3 s for 512 x 512 x 130
    on one core.  Known failures: bent needles (reported by ``bend_mm``), needles closer than 4 mm
    side by side, a needle that lies along a rod, catheters with a metal braid (curved: set aside).

    An empty result means: looked for and none found.  Raises `InputError` for a scan that cannot be
    in HU: more than 3 million voxels as bright as metal.
    """
    cone_beam = is_cone_beam(volume.grid.spacing_mm)
    metal, core = options.faint_hu
    faint = replace(
        options, metal_hu=min(metal, options.metal_hu), core_hu=min(core, options.core_hu)
    )
    least = faint.core_hu if cone_beam else options.core_hu
    progress(0.0, "looking for metal")
    highest = float(volume.array.max())
    clip, clipped = _scale_end(volume, highest)
    notes: list[str] = []
    if highest < least:
        progress(1.0, "done")
        notes.append(f"No voxel reaches {least:.0f} HU: there is no metal in this scan.")
        return NeedleFindings((), (), True, highest, clipped, options, __version__, tuple(notes))
    lines = find_lines(volume, options)
    progress(0.4, "outlining the body")
    body = body_outline(volume)
    progress(0.6, "fitting needles")
    rejected: list[RejectedObject] = []
    shafts = _distinct(volume, _shafts(volume, lines, body, options, rejected), body)
    if cone_beam and np.count_nonzero(volume.array >= faint.metal_hu) <= MOST_VOXELS:
        lines = [line for line in find_lines(volume, faint) if not _beside(line, shafts)]
        more = _shafts(volume, lines, body, faint, [])
        more = [m for m in more if m[1].share >= FAINT_RISE and not _beside(m[0], shafts)]
        shafts += _distinct(volume, more, body)
    rejected = _distinct_objects(rejected)
    needles = []
    for number, shaft in enumerate(shafts):
        progress(0.6 + 0.4 * number / len(shafts), "fitting needles")
        sign, end = tip_end(volume, shaft, body)
        axis, beyond = shaft_to_tip(shaft, sign)
        fit = fit_tip(volume, axis, sign, options, clip)
        if fit is None:
            middle = axis.point + 0.5 * (axis.start + axis.end) * axis.direction
            rejected.append(
                RejectedObject(as_point(middle, field="middle"), axis.end - axis.start,
                               "too few voxels around its tip")
            )  # fmt: skip
            continue
        needles.append(_needle(volume, axis, sign, end, fit, body, beyond))
    needles.sort(key=lambda n: -n.length_mm)
    progress(1.0, "done")
    return NeedleFindings(
        tuple(needles), tuple(rejected), body.skin_seen, highest, clipped, options, __version__,
        tuple(notes),
    )  # fmt: skip


def _shafts(
    volume: Volume, lines: list[Candidate], body: BodyOutline, options: NeedleOptions,
    rejected: list[RejectedObject],
) -> list[tuple[ShaftAxis, Ridge]]:  # fmt: skip
    """The lines that are needles; what is none is added to ``rejected``."""
    kept = []
    for line in lines:
        if free_of_body(line, body):
            rejected.append(_rejected(line, None, "outside the body"))
            continue
        axis = refine_axis(volume, line)
        reason = "no thin straight shaft" if axis is None else why_not(volume, axis, body, options)
        stands = None if axis is None or reason else ridge(volume, axis)
        if stands is not None and stands.share < LEAST_RISE:
            reason = "a halo: it rises towards brighter metal beside it"
        if reason or axis is None or stands is None:
            if line.length_mm >= 0.5 * options.min_length_mm:
                rejected.append(_rejected(line, axis, reason))
            continue
        kept.append((axis, stands))
    return kept


def _beside(axis: ShaftAxis | Candidate, shafts: list[ShaftAxis]) -> bool:
    """Whether a faint line comes within `FAINT_FAR_MM` of one that was found before."""
    s = np.linspace(axis.start, axis.end, 40)
    points = axis.point + s[:, None] * axis.direction
    for other in shafts:
        q = points - other.point
        t = np.clip(q @ other.direction, other.start, other.end)
        if np.linalg.norm(q - t[:, None] * other.direction, axis=1).min() < FAINT_FAR_MM:
            return True
    return False


def _scale_end(volume: Volume, highest: float) -> tuple[float, bool]:
    """(HU at which the scale ends, whether voxels pile up there)."""
    if highest < 2500.0:
        return 1e9, False
    at_top = int(np.count_nonzero(volume.array >= highest - 0.5))
    return (highest, True) if at_top >= 6 else (1e9, False)


def _distinct(
    volume: Volume, found: list[tuple[ShaftAxis, Ridge]], body: BodyOutline
) -> list[ShaftAxis]:
    """One of each two that lie along each other: the longer and higher ridge.

    A line that leads from one needle over to its neighbour at a small angle is a lower one; it
    begins at the first's tip.  Needles that meet far behind their tips are two.
    """
    order = sorted(found, key=lambda f: -(f[0].end - f[0].start) * f[1].rise_hu)
    out: list[ShaftAxis] = []
    tips: list[F64] = []
    for axis, _ in order:
        s = np.linspace(axis.start, axis.end, 40)
        points = axis.point + s[:, None] * axis.direction
        sign, _ = tip_end(volume, axis, body)
        front = s > axis.end - FRONT_MM if sign > 0 else s < axis.start + FRONT_MM
        step = float(s[1] - s[0])
        tip = points[-1] if sign > 0 else points[0]
        double = any(float(np.linalg.norm(tip - t)) < SAME_TIP_MM for t in tips)
        along = np.zeros(len(s), dtype=bool)
        for other in out:
            q = points - other.point
            t = q @ other.direction
            r = np.linalg.norm(q - t[:, None] * other.direction, axis=1)
            beside = (t > other.start - 3.0) & (t < other.end + 3.0)
            along |= beside & (r < ALONG_MM)
            if abs(float(axis.direction @ other.direction)) > math.cos(math.radians(SAME_DEG)):
                near = beside & (r < SAME_MM)
                double |= bool(np.count_nonzero(near & front) * step > SAME_FOR_MM)
        double |= float(along.mean()) > MOST_ALONG
        if not double:
            out.append(axis)
            tips.append(tip)
    return out


def _distinct_objects(found: list[RejectedObject]) -> list[RejectedObject]:
    """One entry for what was found twice."""
    out: list[RejectedObject] = []
    for item in sorted(found, key=lambda r: -r.length_mm):
        if all(math.dist(item.centre_mm, o.centre_mm) > 4.0 for o in out):
            out.append(item)
    return out


def _needle(
    volume: Volume,
    axis: ShaftAxis,
    sign: float,
    end: BodyEnd,
    fit: TipFit,
    body: BodyOutline,
    beyond_mm: float,
) -> FoundNeedle:
    tail_at = axis.start if sign > 0 else axis.end
    tail = axis.point + tail_at * axis.direction
    # the whole shaft tells the direction better than the fitted part; the fit tells the tip
    way = sign * axis.direction
    tip = axis.point + ((fit.tip - axis.point) @ axis.direction) * axis.direction
    length = float((tip - tail) @ way)
    entry = _entry(volume, tip, way, length, body) if end == "skin" else None
    notes = []
    if axis.bend_mm > 1.0:
        notes.append(f"The shaft is bent by {axis.bend_mm:.1f} mm; the axis is the straight fit.")
    if beyond_mm > 0.0:
        notes.append(
            f"Up to {beyond_mm:.0f} mm beyond the tip, after a gap, there is more metal on the "
            "axis: taken for another object."
        )
    if end != "skin":
        notes.append("The shaft leaves the scan before the skin: the entry point is not seen.")
    return FoundNeedle(
        as_point(tip, field="tip"),
        as_point(way, field="direction"),
        as_point(tail, field="tail"),
        None if entry is None else as_point(entry, field="entry"),
        "skin" if end == "skin" else "edge of the scan",
        length,
        fit.diameter_mm,
        fit.diameter_sd_mm,
        fit.along_sd_mm,
        max(LEAST_SD_MM, axis.lateral_sd_mm),
        max(LEAST_SD_DEG, axis.angle_sd_deg),
        axis.bend_mm,
        fit.residual,
        tuple(notes),
    )


def _entry(volume: Volume, tip: F64, way: F64, length: float, body: BodyOutline) -> F64 | None:
    """Where the axis leaves the tissue: a ring of 5 mm around it falls below `SKIN_HU`."""
    s = np.arange(0.0, length + 10.0, 0.5)
    depth = body.depth_at(tip - s[:, None] * way)
    near = np.flatnonzero(depth < 0.0)
    if len(near) == 0:
        return None
    first = float(s[near[0]])
    u, v = frame(way)
    angle = np.linspace(0.0, 2.0 * math.pi, 12, endpoint=False)
    ring = 5.0 * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v)
    t = np.arange(max(0.0, first - 15.0), first + 15.0, 0.5)
    points = tip - t[:, None, None] * way + ring[None]
    hu = np.clip(sample(volume, points.reshape(-1, 3)).reshape(len(t), -1), -1024, 200)
    mean = np.median(hu, axis=1)
    below = np.flatnonzero((mean[1:] < SKIN_HU) & (mean[:-1] >= SKIN_HU))
    at = first
    if len(below):
        k = int(below[np.argmin(np.abs(t[below] - first))])
        at = float(t[k] + 0.5 * (mean[k] - SKIN_HU) / max(1e-6, mean[k] - mean[k + 1]))
    out: F64 = tip - at * way
    return out


def _rejected(line: Candidate, axis: ShaftAxis | None, reason: str) -> RejectedObject:
    if axis is None:
        middle = line.point + 0.5 * (line.start + line.end) * line.direction
        return RejectedObject(as_point(middle, field="middle"), line.length_mm, reason)
    middle = axis.point + 0.5 * (axis.start + axis.end) * axis.direction
    return RejectedObject(as_point(middle, field="middle"), axis.end - axis.start, reason)
