"""Straight lines among metal voxels: RANSAC, one line after the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from irplan.errors import InputError
from irplan.image import Volume
from irplan.segmentation.needle_result import NeedleOptions

#: Points farther than this from a line do not belong to it, mm.
INLIER_MM = 1.1
#: A line may miss metal for this long (partial volume, streaks), mm.
GAP_MM = 4.0
#: Metal voxels within this of a line that was found belong to it, mm.
CLAIM_MM = 2.2
#: Shortest line worth a look, mm.
SHORTEST_MM = 8.0
#: Pairs of points tried for each line, and points of an object that are looked at.
PAIRS, MOST_POINTS = 400, 3000
#: Collinear pieces are joined when they agree to this.
JOIN_DEG, JOIN_MM, JOIN_GAP_MM = 5.0, 1.6, 15.0
#: More metal voxels than this are no needles but a scan that is not in HU.
MOST_VOXELS = 3_000_000

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A line piece among metal voxels: point, unit direction, both ends along it, mm."""

    point: F64
    direction: F64
    start: float
    end: float

    @property
    def ends(self) -> tuple[F64, F64]:
        """Both end points, LPS mm."""
        return (
            self.point + self.start * self.direction,
            self.point + self.end * self.direction,
        )

    @property
    def length_mm(self) -> float:
        """Length of the piece, mm."""
        return self.end - self.start


def metal_voxels(volume: Volume, options: NeedleOptions) -> tuple[F64, F64]:
    """(N, 3) LPS mm of all voxels from ``metal_hu`` on, and (N,) their HU (capped at 3071)."""
    flat = np.flatnonzero(volume.array.reshape(-1) >= options.metal_hu)
    index = np.stack(np.unravel_index(flat, volume.grid.shape), axis=1)
    hu = np.minimum(volume.array.reshape(-1)[flat].astype(np.float64), 3071.0)
    return volume.grid.index_to_lps(index), hu


def find_lines(volume: Volume, options: NeedleOptions) -> list[Candidate]:
    """All straight line pieces of metal, joined where they go on after a gap.

    Sequential RANSAC (Fischler & Bolles, Commun ACM 1981;24:381) in each connected object that
    holds a voxel of ``core_hu``: the line with the longest unbroken run of metal wins, its
    voxels are taken away, and the next one is looked for.  Deterministic.  Raises `InputError`
    where so much is as bright as metal that the scan cannot be in HU.
    """
    points, hu = metal_voxels(volume, options)
    if len(points) == 0:
        return []
    if len(points) > MOST_VOXELS:
        raise InputError(
            "needles",
            got=f"{len(points):,} voxels of {options.metal_hu:g} HU or more",
            expected=f"a CT in HU: at most {MOST_VOXELS:,} of metal and bone",
            remedy="Check that the scan is a CT and its values are Hounsfield units.",
        )
    labels = _objects(volume, options)
    out: list[Candidate] = []
    for own in labels:
        if hu[own].max() < options.core_hu:
            continue
        p, h = points[own], hu[own]
        if np.linalg.norm(np.ptp(p, axis=0)) < SHORTEST_MM:
            continue
        out += _lines(p, h, max(volume.grid.spacing_mm))
    return _joined(out)


def _objects(volume: Volume, options: NeedleOptions) -> list[NDArray[np.int64]]:
    """Numbers (in `metal_voxels` order) of the voxels of each connected object (26 neighbours)."""
    mask = volume.array >= options.metal_hu
    flat = np.flatnonzero(mask)
    index = np.stack(np.unravel_index(flat, mask.shape), axis=1)
    low, high = index.min(axis=0), index.max(axis=0) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    labels, count = ndimage.label(mask[box], structure=np.ones((3, 3, 3)))
    own = labels[tuple((index - low).T)]
    order = np.argsort(own, kind="stable")
    cuts = np.searchsorted(own[order], np.arange(1, count + 2))
    return [order[a:b] for a, b in pairwise(cuts) if b - a >= 6]


def _lines(points: F64, hu: F64, slice_mm: float) -> list[Candidate]:
    rng = np.random.default_rng(12345)
    gap = max(GAP_MM, 1.6 * slice_mm)
    left = np.ones(len(points), dtype=bool)
    out: list[Candidate] = []
    for _ in range(12):
        own = np.flatnonzero(left)
        if len(own) < 6 or np.linalg.norm(np.ptp(points[own], axis=0)) < SHORTEST_MM:
            break
        best = _best_line(points[own], hu[own], gap, rng)
        if best is None:
            break
        best, width = _widened(points[own], hu[own], best)
        out.append(best)
        s, r = _along(points, best)
        inside = (s > best.start - 1.0) & (s < best.end + 1.0)
        # blooming: what is around the line for as wide as it is bright there
        left &= ~(inside & (r < max(CLAIM_MM, width + 0.8)))
    return out


def _widened(points: F64, hu: F64, line: Candidate) -> tuple[Candidate, float]:
    """The line through the middle of what it lies in, and that object's half width, mm.

    A screw or rod is wider than a needle: its whole width makes one line, not many.
    """
    width = 0.0
    for _ in range(3):
        s, r = _along(points, line)
        own = (s > line.start) & (s < line.end)
        width = _half_width(r[own])
        near = own & (r < width + 0.5)
        if near.sum() < 6:
            break
        centre, way = _main_axis(points[near], hu[near])
        way *= np.sign(way @ line.direction) or 1.0
        if width < 3.0 or way @ line.direction < 0.9:
            break
        a, b = (float((e - centre) @ way) for e in line.ends)
        line = Candidate(centre, way, min(a, b), max(a, b))
    return line, width


def _main_axis(points: F64, weight: F64) -> tuple[F64, F64]:
    """Weighted centre and direction of largest spread of (N, 3) points."""
    centre = np.average(points, axis=0, weights=weight)
    q = points - centre
    return centre, np.linalg.eigh((q * weight[:, None]).T @ q)[1][:, 2]


def _half_width(r: F64) -> float:
    """How far the metal around a line reaches without a gap, mm (at most 6)."""
    counts, edges = np.histogram(r, bins=np.arange(0.0, 8.0, 0.5))
    density = counts / np.diff(edges**2)
    thin = np.flatnonzero(density < 0.4 * density[:3].max(initial=1e-9))
    return float(min(6.0, edges[thin[0]])) if len(thin) else 6.0


def _along(points: F64, line: Candidate) -> tuple[F64, F64]:
    q = points - line.point
    s = q @ line.direction
    return s, np.linalg.norm(q - s[:, None] * line.direction, axis=1)


def _best_line(points: F64, hu: F64, gap: float, rng: np.random.Generator) -> Candidate | None:
    if len(points) > MOST_POINTS:  # the brightest half and a sample of the rest
        keep = rng.choice(len(points), MOST_POINTS, replace=False)
        points, hu = points[keep], hu[keep]
    weight = hu / hu.sum()
    pick = rng.choice(len(points), size=(PAIRS, 2), p=weight)
    a, b = points[pick[:, 0]], points[pick[:, 1]]
    d = b - a
    length = np.linalg.norm(d, axis=1)
    good = length > 6.0
    a, d = a[good], d[good] / length[good, None]
    best, best_score = None, 0.0
    for p0, way in zip(a, d, strict=True):
        q = points - p0
        s = q @ way
        near = np.einsum("ij,ij->i", q, q) - s * s < INLIER_MM**2
        run = _longest_run(s[near], gap)
        if run is None:
            continue
        score = (run[1] - run[0]) + 0.02 * run[2]
        if score > best_score:
            best, best_score = Candidate(p0, way, run[0], run[1]), score
    if best is None or best.length_mm < SHORTEST_MM:
        return None
    for radius in (1.8, 1.5, 1.5):  # least squares on what lies along it
        s, r = _along(points, best)
        own = (r < radius) & (s > best.start - 3.0) & (s < best.end + 3.0)
        if own.sum() < 4:
            return None
        centre, way = _main_axis(points[own], hu[own])
        way *= np.sign(way @ best.direction) or 1.0
        line = Candidate(centre, way, 0.0, 0.0)
        s, r = _along(points, line)
        run = _longest_run(s[r < radius], gap)
        if run is None:
            return None
        best = Candidate(centre, way, run[0], run[1])
    return best if best.length_mm >= SHORTEST_MM else None


def _longest_run(s: F64, gap: float) -> tuple[float, float, int] | None:
    """(start, end, points) of the longest stretch of ``s`` without a gap over ``gap`` mm."""
    if len(s) < 3:
        return None
    t = np.sort(s)
    cut = np.flatnonzero(np.diff(t) > gap)
    first = np.concatenate([[0], cut + 1])
    last = np.concatenate([cut, [len(t) - 1]])
    k = int(np.argmax(t[last] - t[first]))
    return float(t[first[k]]), float(t[last[k]]), int(last[k] - first[k] + 1)


def _joined(lines: list[Candidate]) -> list[Candidate]:
    """Pieces of one straight line become one."""
    n = len(lines)
    if n < 2:
        return lines
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if _go_on(lines[i], lines[j])]
    links = coo_matrix(
        (np.ones(len(pairs)), tuple(np.array(pairs, dtype=int).reshape(-1, 2).T)), shape=(n, n)
    )
    _, group = connected_components(links, directed=False)
    out = []
    for g in np.unique(group):
        own = [lines[k] for k in np.flatnonzero(group == g)]
        if len(own) == 1:
            out.append(own[0])
            continue
        ends = np.array([e for line in own for e in line.ends])
        weight = np.repeat([line.length_mm for line in own], 2)
        centre, way = _main_axis(ends, weight)
        s = (ends - centre) @ way
        out.append(Candidate(centre, way, float(s.min()), float(s.max())))
    return out


def _go_on(a: Candidate, b: Candidate) -> bool:
    if a.length_mm < b.length_mm:
        a, b = b, a
    s = np.array([(e - a.point) @ a.direction for e in b.ends])
    q = np.array([e - a.point for e in b.ends]) - s[:, None] * a.direction
    off = np.linalg.norm(q, axis=1)
    gap = max(s.min() - a.end, a.start - s.max())
    nearest = off[np.argmin(np.minimum(np.abs(s - a.start), np.abs(s - a.end)))]
    slack = JOIN_MM + 0.02 * max(0.0, gap)
    cosine = abs(float(a.direction @ b.direction))
    straight = cosine > np.cos(np.radians(JOIN_DEG + 200.0 / (10.0 + b.length_mm)))
    return bool(gap < JOIN_GAP_MM and nearest < slack and straight and off.max() < 2.5 * JOIN_MM)
