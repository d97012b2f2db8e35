"""What one click changes: a small region is cut anew, everything else stays as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from irplan.segmentation.clicks import Click
from irplan.segmentation.liver_band import Ball
from irplan.segmentation.liver_cut import FORBIDDEN, SUPERVOXEL_MM
from irplan.segmentation.liver_finish import BAND_WEIGHT
from irplan.segmentation.morphology import Mask, distance_mm, parts
from irplan.segmentation.supervoxels import Supervoxels, describe, make_supervoxels
from irplan.segmentation.voxel_cut import cut_voxels
from irplan.segmentation.working import WorkingImage

#: Nothing farther than this from a click ever changes, mm; the volume of interest grows by as
#: much [spec note 3].
REACH_MM = 35.0
#: Least radius of the region that is looked at, mm.
LEAST_REACH_MM = 16.0
#: Radius round a click that keeps its label whatever the image says, mm.
SEED_MM = 3.0
#: How strongly a click speaks next to it, nats a voxel: twice the largest evidence and prior.
CLICK_NATS = 12.0
#: A wrong part is about as thick as its deepest point is deep: the click speaks for tissue up to
#: this multiple of its own depth, and this much more, mm.
CLAIM_DEPTHS, CLAIM_MORE_MM = 1.3, 3.0
#: Along a thin wrong part (a sheet of muscle) it speaks farther than across it: to this multiple
#: of its depth (click inside, outside: there liver itself is at stake), and this much more, mm.
SPREAD_DEPTHS, SPREAD_MORE_MM = {True: 3.0, False: 2.0}, 4.0
#: Share of the intensity evidence that counts beside the click.
LOCAL_EVIDENCE = 0.15
#: Between two clicks of opposite labels the geodesically nearer one speaks: its share is
#: 1 / (1 + (own way / other's way)^this).  Without it a click would undo an earlier one's region.
RIVALRY = 4.0


@dataclass(frozen=True, eq=False)
class Recut:
    """``mask`` of the whole working grid after the click; ``changing`` where it may differ."""

    mask: Mask
    changing: Mask


def balls_of(clicks: tuple[Click, ...]) -> tuple[Ball, ...]:
    """The ball of each click that keeps its label: 3 mm, less where an opposite click is near."""
    out = []
    for click in clicks:
        radius = SEED_MM
        for other in clicks:
            if other.inside != click.inside:
                gap = float(np.linalg.norm(np.subtract(other.point_mm, click.point_mm)))
                radius = min(radius, 0.49 * gap)
        out.append((click.point_mm, radius, click.inside))
    return tuple(out)


def recut(
    mask: Mask,
    clicks: tuple[Click, ...],
    image: WorkingImage,
    smooth: NDArray[np.float32],
    evidence: NDArray[np.float32],
    supervoxels: Supervoxels,
    forbidden: Mask,
    sd_hu: float,
) -> Recut:
    """Cut the region round the last of ``clicks`` anew; the earlier ones keep their balls.

    The click's depth is its distance to the present surface; it speaks for tissue within 3 depths
    (2 for a click outside) + 4 mm by geodesic distance on the supervoxel graph (a step costs its
    length, more across a change of intensity), and not for places deeper than 1.3 depths + 3 mm.
    Where an earlier click of the other label is nearer, that one speaks.  A click inside only adds,
    one outside only takes away.  The cut runs on working voxels within at most 35 mm, its
    surroundings held.
    """
    click = clicks[-1]
    spacing = image.spacing_mm
    middle = image.grid.lps_to_index(click.point_mm)
    nearest = np.clip(np.rint(middle), 0, np.asarray(mask.shape) - 1).astype(int)
    box = _box(nearest, REACH_MM / spacing, mask.shape)
    now = mask[box]
    at = tuple(nearest - [s.start for s in box])
    distance = _from_point(middle - [s.start for s in box], now.shape) * spacing
    wrong = now if not click.inside else ~now
    depth = distance_mm(~wrong, (spacing,) * 3) if not wrong.all() else distance
    own = float(depth[at])
    claim = CLAIM_DEPTHS * own + CLAIM_MORE_MM
    spread = min(max(claim, SPREAD_DEPTHS[click.inside] * own + SPREAD_MORE_MM), REACH_MM - 6.0)
    reach = float(np.clip(1.3 * spread + 6.0, LEAST_REACH_MM, REACH_MM))
    region = distance <= reach
    if click.inside:
        region &= ~forbidden[box] | now | (distance <= SEED_MM)
    pieces = _pieces(supervoxels, smooth, region, box, image, sd_hu)
    away = geodesic_mm(pieces, int(pieces.labels[at]), spacing, sd_hu)
    path = np.append(away, np.inf)[pieces.labels]
    path = np.minimum(path, np.where(distance <= SEED_MM + spacing, distance, np.inf))
    said = 1.0 / (1.0 + np.exp(np.clip((path - spread) / (0.15 * spread), -30.0, 30.0)))
    said *= depth <= claim
    said *= _nearer(path, _rival_mm(clicks, pieces, image, box, sd_hu))
    sign = 1.0 if click.inside else -1.0
    gain = LOCAL_EVIDENCE * np.clip(evidence[box], -CLICK_NATS, CLICK_NATS)
    # What nobody contradicts stays as it is: the present label counts where the click is silent.
    gain = gain * said + np.where(now, 1.0, -1.0) * (1.0 - said)
    gain += sign * LOCAL_EVIDENCE * CLICK_NATS * said
    held = now.copy()
    for centre, radius, inside in balls_of(clicks):
        from_centre = image.grid.lps_to_index(centre) - [s.start for s in box]
        ball = _from_point(from_centre, now.shape) * spacing <= max(radius, 0.5 * spacing)
        gain[ball] = FORBIDDEN if inside else -FORBIDDEN
    new = cut_voxels(gain, smooth[box], 1.5 * sd_hu, BAND_WEIGHT * 0.2, region, held)
    # A click inside never takes liver away, one outside never adds any.
    new = now | new if click.inside else now & new
    new = _tidy(new, region, clicks, image, box)
    out = mask.copy()
    out[box] = new
    changing = np.zeros_like(mask)
    changing[box] = distance <= reach + spacing
    return Recut(out, changing)


def _nearer(path: NDArray[np.float64], rival: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.zeros_like(rival)
    near = np.isfinite(rival)
    share[near] = np.minimum(path[near], 1e6) / np.maximum(rival[near], 1e-3)
    return 1.0 / (1.0 + share**RIVALRY)


def _rival_mm(
    clicks: tuple[Click, ...],
    pieces: Supervoxels,
    image: WorkingImage,
    box: tuple[slice, slice, slice],
    sd_hu: float,
) -> NDArray[np.float64]:
    """Geodesic distance of each voxel to the nearest earlier click of the other label, mm."""
    out = np.full(pieces.labels.shape, np.inf)
    for other in clicks[:-1]:
        if other.inside == clicks[-1].inside:
            continue
        at = np.rint(image.grid.lps_to_index(other.point_mm)).astype(int) - [b.start for b in box]
        if np.all((at >= 0) & (at < out.shape)) and pieces.labels[tuple(at)] >= 0:
            away = geodesic_mm(pieces, int(pieces.labels[tuple(at)]), image.spacing_mm, sd_hu)
            out = np.minimum(out, np.append(away, np.inf)[pieces.labels])
    return out


def _tidy(
    new: Mask,
    region: Mask,
    clicks: tuple[Click, ...],
    image: WorkingImage,
    box: tuple[slice, slice, slice],
) -> Mask:
    """Drop new specks and fill new holes of the region that hold no click."""
    clicked = np.zeros_like(new)
    for click in clicks:
        i = np.rint(image.grid.lps_to_index(click.point_mm)).astype(int) - [s.start for s in box]
        if np.all((i >= 0) & (i < new.shape)):
            clicked[tuple(i)] = True
    out = new.copy()
    for value in (True, False):
        labels, counts = parts(out == value)
        if counts.size < 3:
            continue
        fixed = np.zeros(counts.size, dtype=bool)
        fixed[labels[~region]] = True
        fixed[labels[clicked]] = True
        fixed[1 + int(np.argmax(counts[1:]))] = True
        fixed[0] = True
        loose = ~fixed[labels]
        out[loose] = not value
    return out


def _pieces(
    supervoxels: Supervoxels,
    smooth: NDArray[np.float32],
    region: Mask,
    box: tuple[slice, slice, slice],
    image: WorkingImage,
    sd_hu: float,
) -> Supervoxels:
    """The supervoxels of a region: those that exist, new ones where there were none."""
    labels = np.where(region, supervoxels.labels[box], -1)
    known = labels >= 0
    present, numbered = np.unique(labels[known], return_inverse=True)
    labels[known] = numbered
    bare = region & ~known
    if bare.any():
        step = max(2, round(image.voxels(SUPERVOXEL_MM)))
        more = make_supervoxels(smooth[box], bare, step=step, weight=sd_hu)
        labels = np.where(bare, more.labels + present.size, labels)
    return describe(labels.astype(np.int32), smooth[box])


def geodesic_mm(
    pieces: Supervoxels, start: int, voxel_mm: float, sd_hu: float
) -> NDArray[np.float64]:
    """Length of the shortest way from supervoxel ``start`` to each other one, mm.

    A step is as long as its centres are apart times 1 + (difference of means / 1.5 sd)^2.
    """
    inside = pieces.labels >= 0
    where = np.argwhere(inside)
    label = pieces.labels[inside]
    centre = np.stack(
        [np.bincount(label, weights=where[:, a]) / pieces.voxels for a in range(3)], axis=1
    )
    a, b = pieces.edges.T
    contrast = (pieces.mean[a] - pieces.mean[b]) / (1.5 * sd_hu)
    length = np.linalg.norm(centre[a] - centre[b], axis=1) * voxel_mm * (1.0 + contrast**2)
    n = pieces.count
    graph = sp.csr_array((np.maximum(length, 1e-3), (a, b)), shape=(n, n))
    out: NDArray[np.float64] = dijkstra(graph, directed=False, indices=np.array([start]))[0]
    return out


def _box(
    middle: NDArray[np.int_], reach: float, shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    n = int(np.ceil(reach)) + 2
    a, b, c = (
        slice(max(0, int(m) - n), min(size, int(m) + n + 1))
        for m, size in zip(middle, shape, strict=True)
    )
    return a, b, c


def _from_point(point: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Distance of each voxel of an array from ``point``, voxels."""
    z, y, x = (
        np.arange(n, dtype=np.float32) - np.float32(p) for n, p in zip(shape, point, strict=True)
    )
    out: NDArray[np.float32] = np.sqrt(
        z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    )
    return out
