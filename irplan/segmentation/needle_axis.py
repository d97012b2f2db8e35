"""A shaft's middle line, station by station, and the straight axis through it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.image import Volume
from irplan.segmentation.needle_candidates import Candidate
from irplan.segmentation.needle_result import NOT_SCANNED_HU, is_cone_beam

F64 = NDArray[np.float64]
#: Stations along the axis and samples across it, mm.
STATION_MM, ACROSS_MM, REACH_MM = 1.0, 0.5, 5.0
#: Middle of the shaft: samples within this of the last middle count, mm.
WINDOW_MM = 2.5
#: Sections that the scan's edge cuts within this do not tell the middle, unless more than the rest
#: of `MOST_OF` are cut, mm.
WHOLE_MM, MOST_OF = 3.0, 0.5
#: A station belongs to the shaft when its middle is this share of the shaft's usual brightness.
PRESENT = 0.45
#: How far beyond its ends a candidate may turn out to go on in one turn, mm, and the gaps allowed
#: there.  A hardened shaft is bright near its tip only: turns go on while it grows by so much.
EXTEND_MM, GAP_MM, GROWS_MM, MOST_TURNS = 25.0, 6.0, 3.0, 10
#: The middles' deviations are averaged over pieces of this length, mm: streaks that cross the shaft
#: shift neighbouring stations together.  What is left of them in the straight line makes its errors
#: `UNSEEN` times what the pieces tell.  [M: cone-beam scenes 40 to 44 of benchmarks/needles.py, 11
#: needles: with 12 mm the errors have 1.4 (across) and 1.6 (angle) times the size; 5 mm 1.8, 1.9]
#: A course that leans all along the shaft leaves nothing for the pieces to show: the direction's
#: error is `LEANING` times larger still.
PIECE_MM, UNSEEN, LEANING = 12.0, 1.5, 1.5
#: A piece at the tip's end that is at most so long, beyond a gap of at least this, is other metal,
#: mm.  [M: 250 needles of tuning scenes: two gaps there, one before a clip, one before a needle]
OTHER_LONG_MM, OTHER_GAP_MM = 12.0, 2.0


@dataclass(frozen=True, eq=False)
class ShaftAxis:
    """A straight axis and how well the shaft keeps to it.

    ``point`` LPS mm, ``direction`` unit; the shaft is seen from ``start`` to ``end`` (mm along it).
    ``width_mm`` narrowest full width at half maximum across, ``bend_mm`` largest smooth deviation,
    ``lateral_sd_mm`` standard deviation of its ends across it (both components together),
    ``angle_sd_deg`` of its direction.
    ``base_hu`` what surrounds it (median), ``peak_hu`` the middle's (median); ``seen`` whether each
    station from ``start`` to ``end``, `STATION_MM` apart, shows it.
    """

    point: F64
    direction: F64
    start: float
    end: float
    width_mm: float
    bend_mm: float
    lateral_sd_mm: float
    angle_sd_deg: float
    filled: float
    base_hu: float
    peak_hu: float
    seen: NDArray[np.bool_]


def refine_axis(volume: Volume, line: Candidate) -> ShaftAxis | None:
    """The axis by a robust straight line through the middles of cross-sections; None: no shaft.

    At stations 1 mm apart the brightness above half of its range (less the surroundings) is
    averaged within 2.5 mm of the last middle; a line is fitted with weights that leave outliers
    out (Tukey's biweight), three times over, and again while that makes the shaft longer.
    """
    point, way = line.point.copy(), line.direction.copy()
    start, end = line.start, line.end
    ruler = np.arange(-REACH_MM, REACH_MM + 1e-6, ACROSS_MM)
    gu, gv = np.meshgrid(ruler, ruler, indexing="ij")
    radius = np.hypot(gu, gv)
    ring = (radius > 3.6) & (radius <= REACH_MM)
    result = None
    left = 3
    for _ in range(MOST_TURNS):
        reach = EXTEND_MM if left > 1 else 8.0
        s = np.arange(start - reach, end + reach + 0.5, STATION_MM)
        u, v = frame(way)
        places = (
            point + s[:, None, None, None] * way + gu[None, ..., None] * u + gv[None, ..., None] * v
        )
        hu = sample(volume, places.reshape(-1, 3)).reshape(len(s), *gu.shape)
        base = np.median(hu[:, ring], axis=1)
        core = hu[:, radius < 1.3].max(axis=1)
        known = (s >= start) & (s <= end)
        peak = float(np.median(core[known]))
        level = np.median(base[known])
        floor = np.minimum(base, level)  # a dark streak darkens the shaft in it as well
        strong = core > floor + PRESENT * (peak - floor)
        run = _stretch(strong, known, round(GAP_MM / STATION_MM))
        if run is None:
            return None
        lo, hi = run
        mid = np.zeros((len(s), 2))
        for _ in range(3):
            near = (
                np.hypot(gu[None] - mid[:, 0, None, None], gv[None] - mid[:, 1, None, None])
                < WINDOW_MM
            )
            top = base + 0.4 * (core - base)
            w = np.where(near, np.maximum(0.0, hu - top[:, None, None]), 0.0)
            total = np.maximum(w.sum(axis=(1, 2)), 1e-6)
            mid = np.stack([(w * gu).sum((1, 2)), (w * gv).sum((1, 2))], axis=1) / total[:, None]
        use = strong.copy()
        use[:lo] = False
        use[hi + 1 :] = False
        if use.sum() < 6:
            return None
        whole = use & _scanned(volume, places, hu)[:, radius < WHOLE_MM].all(axis=1)
        if whole.sum() >= MOST_OF * use.sum():
            use = whole  # half of a section draws the middle to itself
        fit, weight = _robust_line(s[use], mid[use])
        point = point + fit[0, 0] * u + fit[0, 1] * v
        way = way + fit[1, 0] * u + fit[1, 1] * v
        way /= np.linalg.norm(way)
        left -= 1
        if left == 1 and s[hi] - s[lo] > end - start + GROWS_MM:
            left = 2
        start, end = float(s[lo]), float(s[hi])
        rest = mid[use] - (fit[0] + s[use][:, None] * fit[1])
        sd = _line_sd(s[use], rest, weight)
        half = hu > (base + 0.5 * (core - base))[:, None, None]
        result = ShaftAxis(
            point,
            way,
            start,
            end,
            _narrow_width(half[use], gu, gv),
            _bend(s[use], rest, weight),
            2.0 * sd,
            math.degrees(LEANING * math.sqrt(12.0) * sd / max(10.0, end - start)),
            float(strong[lo : hi + 1].mean()),
            float(np.median(base[use])),
            float(np.median(core[use])),
            strong[lo : hi + 1],
        )
        if left == 0:
            break
    return result


def shaft_to_tip(axis: ShaftAxis, sign: float) -> tuple[ShaftAxis, float]:
    """``axis`` without metal beyond its tip (``sign`` +1: the axis's end), and mm that it reached.

    A short piece beyond a gap is another needle or a clip that the axis's prolongation meets.
    """
    seen = axis.seen if sign > 0 else axis.seen[::-1]
    dark = np.flatnonzero(~seen)
    if len(dark) == 0:
        return axis, 0.0
    piece = len(seen) - 1 - int(dark[-1])
    keep = int(np.flatnonzero(seen[: dark[-1]])[-1]) + 1  # stations before the gap
    cut = (len(seen) - keep) * STATION_MM
    if piece * STATION_MM > OTHER_LONG_MM or cut - piece * STATION_MM < OTHER_GAP_MM:
        return axis, 0.0
    if sign > 0:
        return replace(axis, end=axis.end - cut, seen=seen[:keep]), cut
    return replace(axis, start=axis.start + cut, seen=seen[:keep][::-1]), cut


def frame(way: F64) -> tuple[F64, F64]:
    """Two unit vectors that make a right-handed frame with ``way``."""
    helper = np.eye(3)[int(np.argmin(np.abs(way)))]
    u = np.cross(way, helper)
    u /= np.linalg.norm(u)
    return u, np.cross(way, u)


def sample(volume: Volume, points: F64, outside: float = -1024.0, top_hu: float = 3500.0) -> F64:
    """(N,) trilinear HU at (N, 3) LPS points, at most ``top_hu``; ``outside`` beyond the scan."""
    index = volume.grid.lps_to_index(points)
    low = np.maximum(0, np.floor(index.min(axis=0)).astype(int) - 1)
    high = np.minimum(volume.grid.shape, np.ceil(index.max(axis=0)).astype(int) + 2)
    if np.any(high <= low):
        return np.full(len(points), outside)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = np.minimum(volume.array[box].astype(np.float32), top_hu)
    out: F64 = ndimage.map_coordinates(
        part, (index - low).T, order=1, mode="constant", cval=outside, output=np.float64
    )
    return out


def _scanned(volume: Volume, places: F64, hu: F64) -> NDArray[np.bool_]:
    """Which of (stations, across, across, 3) LPS places with HU ``hu`` the scan shows."""
    index = volume.grid.lps_to_index(places.reshape(-1, 3))
    last = np.array(volume.grid.shape) - 1.0
    shown = np.all((index >= 0.0) & (index <= last), axis=1).reshape(hu.shape)
    if is_cone_beam(volume.grid.spacing_mm):  # in CT this may be air
        shown &= hu > NOT_SCANNED_HU
    out: NDArray[np.bool_] = shown
    return out


def _stretch(
    strong: NDArray[np.bool_], known: NDArray[np.bool_], gap: int
) -> tuple[int, int] | None:
    """First and last station of the run (gaps up to ``gap``) that holds most of the known part."""
    closed = ndimage.binary_closing(np.pad(strong, gap + 1), iterations=max(1, gap // 2 + 1))
    labels, count = ndimage.label(closed[gap + 1 : -gap - 1] | strong)
    if count == 0:
        return None
    held = np.bincount(labels[known], minlength=count + 1)[1:]
    own = np.flatnonzero((labels == 1 + int(np.argmax(held))) & strong)
    return (int(own[0]), int(own[-1])) if len(own) >= 4 else None


def _robust_line(s: F64, mid: F64) -> tuple[F64, F64]:
    """((2, 2) offset and slope, weights) of mid = offset + s slope, biweight."""
    a = np.stack([np.ones_like(s), s], axis=1)
    w = np.ones(len(s))
    fit = np.zeros((2, 2))
    for _ in range(8):
        root = np.sqrt(w)[:, None]
        fit = np.linalg.lstsq(a * root, mid * root, rcond=None)[0]
        rest = np.linalg.norm(mid - a @ fit, axis=1)
        scatter = max(0.03, 1.2 * float(np.median(rest)))
        w = np.clip(1.0 - (rest / (4.0 * scatter)) ** 2, 0.0, None) ** 2
    return fit, w


def _line_sd(s: F64, rest: F64, weight: F64) -> float:
    """Standard deviation of a fitted line in its middle, mm, from the deviations of its pieces.

    It is twice that at the line's ends, and sqrt(12) times that over its length for its slope.
    """
    piece = np.floor((s - s[0]) / min(PIECE_MM, 0.2 * np.ptp(s) + 1e-6)).astype(int)
    total = np.bincount(piece, weight)
    held = total > 0.2 * total.max()
    means = np.stack([np.bincount(piece, weight * r) for r in rest.T], axis=1)
    means = means[held] / total[held, None]
    count = len(means)
    variance = float((means**2).sum(axis=1).mean()) * count / max(1, count - 2)
    return UNSEEN * math.sqrt(variance / count)


def _bend(s: F64, rest: F64, weight: F64) -> float:
    """Largest deviation of a parabola through the middles from their straight line, mm."""
    if len(s) < 12 or np.ptp(s) < 20.0:
        return 0.0
    t = (s - s.mean()) / (0.5 * np.ptp(s))
    root = np.sqrt(weight)[:, None]
    a = np.stack([np.ones_like(t), t, t * t], axis=1)
    fit = np.linalg.lstsq(a * root, rest * root, rcond=None)[0]
    return float(np.linalg.norm(fit[2]))


def _narrow_width(half: NDArray[np.bool_], gu: F64, gv: F64) -> float:
    """Least full width at half maximum over directions across the shaft, median of stations."""
    counts = half.reshape(len(half), -1).astype(np.float64)
    connected = counts.mean(axis=0).reshape(gu.shape) > 0.5
    labels, _ = ndimage.label(connected)
    centre = labels[labels.shape[0] // 2, labels.shape[1] // 2]
    if centre == 0:
        return 1.0
    own = labels == centre
    widths = []
    for angle in np.arange(0.0, np.pi, np.pi / 12):
        t = (gu * np.cos(angle) + gv * np.sin(angle))[own]
        widths.append(float(t.max() - t.min()) + ACROSS_MM)
    return min(widths)
