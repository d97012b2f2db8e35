"""Where things are in this patient: spine, rib cage, abdominal cavity, diaphragm.

All on the upright working grid: index 0 runs to the head, 1 to the back, 2 to the patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve
from scipy.spatial import ConvexHull, QhullError

from irplan.segmentation.morphology import Mask, erode, parts_of_at_least, touching
from irplan.segmentation.working import WorkingImage

#: Hysteresis for the landmark bone: marrow / cortical bone, HU.
BONE_LOW_HU, BONE_HIGH_HU = 180.0, 300.0
#: Half height of the slab whose bone makes one slice's rib hull, mm [spec note 1].
RIB_SLAB_MM = 20.0
#: The costal arch leaves the front open: there the hull of this height above a slice holds, mm.
ARCH_MM = 80.0
#: From the outside of the ribs to the inside of the wall, mm (rib 8-10 mm, pleura, muscle).
WALL_MM = 10.0
#: A hull of bone below this part of the body's cross-section is no rib cage.
CAGE_FRACTION = 0.3
#: The dome map needs lung over this part of the cage in the top slices; else the scan stops
#: below the dome and the harmonic fill would cut into the liver.
DOME_LUNG_FRACTION = 0.3
#: Wall of the trunk where no ribs guide (fat and muscle), mm.
SOFT_WALL_MM = 20.0


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Positions in voxels of the working grid.

    ``spine_x``, ``spine_front_y``: per slice, the spine's midline and the front of the vertebral
    bodies.  ``bone``: coarse bone.  ``cage``: per-slice hull of the ribs (empty where there are
    none).  ``cavity``: inside of the trunk's wall, in front of the spine.  ``dome_z``: per
    (row, column) the first slice above the diaphragm, infinite where unlimited; None where
    the scan does not reach above the dome.
    """

    spine_x: NDArray[np.float64]
    spine_front_y: NDArray[np.float64]
    bone: Mask
    cage: Mask
    cavity: Mask
    dome_z: NDArray[np.float64] | None

    def below_dome(self, shape: tuple[int, ...]) -> Mask:
        """(slice, row, column) True below the diaphragm; all True without a dome map."""
        if self.dome_z is None:
            return np.ones(shape, dtype=bool)
        out: Mask = np.arange(shape[0])[:, None, None] < self.dome_z[None]
        return out

    def right_of_spine(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(slice, 1, column) voxels to the patient's right of the spine's midline."""
        out: NDArray[np.float64] = self.spine_x[:, None, None] - np.arange(shape[2])[None, None, :]
        return out

    def before_spine(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(slice, row, 1) voxels in front of the vertebral bodies."""
        y = np.arange(shape[1])[None, :, None]
        out: NDArray[np.float64] = self.spine_front_y[:, None, None] - y
        return out


def find_landmarks(image: WorkingImage, body: Mask, lung: Mask) -> Landmarks:
    """Locate spine, rib cage, cavity and diaphragm.

    Without any bone (a phantom without spine) the body's own axis and centre stand in.
    """
    bone = _coarse_bone(image, body)
    spine_x, front_y = _spine(image, body, bone)
    cage = _rib_hulls(image, body, bone)
    cavity = _cavity(image, body, cage, spine_x, front_y)
    return Landmarks(spine_x, front_y, bone, cage, cavity, _dome(image, cage, body, lung))


def _coarse_bone(image: WorkingImage, body: Mask) -> Mask:
    high = parts_of_at_least((image.hu > BONE_HIGH_HU) & body, 0.5 / image.voxel_ml)
    return touching((image.hu > BONE_LOW_HU) & body, high)


def _spine(
    image: WorkingImage, body: Mask, bone: Mask
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nz, ny, nx = body.shape
    x, y = np.arange(nx), np.arange(ny)
    weight = body.sum(axis=(1, 2))
    filled = weight > 0
    centre_x = np.full(nz, np.nan)
    centre_y = np.full(nz, np.nan)
    centre_x[filled] = (body.sum(axis=1) @ x)[filled] / weight[filled]
    centre_y[filled] = (body.sum(axis=2) @ y)[filled] / weight[filled]
    midline, front = np.full(nz, np.nan), np.full(nz, np.nan)
    for k in np.flatnonzero(filled):
        near = bone[k] & (np.abs(x - centre_x[k]) < image.voxels(50.0))[None]
        near &= (y > centre_y[k] - image.voxels(25.0))[:, None]
        if near.sum() * image.spacing_mm**2 < 200.0:  # less than 2 cm^2 of bone: a disc or nothing
            continue
        midline[k] = np.median(np.nonzero(near)[1])
        # A vertebral body has bone on both sides of the midline, solid or as a ring of cortex;
        # an enhanced aorta lies on one side.
        offset = (x - midline[k]) * image.spacing_mm
        both = near[:, (offset > 13.0) & (offset < 30.0)].any(axis=1)
        both &= near[:, (offset < -13.0) & (offset > -30.0)].any(axis=1)
        rows = np.flatnonzero(
            ndi.binary_opening(both, np.ones(round(image.voxels(6.0)), dtype=bool))
        )
        if rows.size:
            front[k] = rows[0]
    return (
        _smooth_profile(midline, centre_x, image.voxels(40.0), 0.5),
        # Discs and open rings read too far back, so the front is a low quantile.
        _smooth_profile(front, centre_y, image.voxels(40.0), 0.3),
    )


def _smooth_profile(
    values: NDArray[np.float64], fallback: NDArray[np.float64], reach: float, quantile: float
) -> NDArray[np.float64]:
    """Fill gaps along the body axis, then a running quantile over +-``reach`` slices."""
    source = values if np.isfinite(values).any() else fallback
    known = np.flatnonzero(np.isfinite(source))
    whole = np.interp(np.arange(source.size), known, source[known])
    out: NDArray[np.float64] = ndi.percentile_filter(
        whole, 100.0 * quantile, 2 * int(reach) + 1, mode="reflect"
    )
    return out


def _rib_hulls(image: WorkingImage, body: Mask, bone: Mask) -> Mask:
    """Per slice: hull of the bone within +-20 mm, and what the bone to 80 mm above spans.

    The latter counts in front, which the costal arch leaves open, and at the flanks 10 mm inside
    the skin: below the last rib the hull of the bone that is left is a spine with stumps, and a
    right lobe that reaches there lay outside it.
    """
    near, above = round(image.voxels(RIB_SLAB_MM)), round(image.voxels(ARCH_MM))
    hulls = np.zeros_like(body)
    inner = _deeper(body, SOFT_WALL_MM - WALL_MM, image)
    # How many of the slices up to here hold bone: a difference tells whether a slab does.
    count = np.zeros((body.shape[0] + 1, *body.shape[1:]), dtype=np.int16)
    np.cumsum(bone, axis=0, dtype=np.int16, out=count[1:])
    for k in range(body.shape[0]):
        low, top = max(0, k - near), min(k + near + 1, body.shape[0])
        hull = _hull(count[top] > count[low])
        if hull.any():
            arch = _hull(count[min(k + above + 1, body.shape[0])] > count[low])
            hull |= arch & (_before(hull, image) | inner[k])
        area = np.count_nonzero(body[k])
        if area and np.count_nonzero(hull) >= CAGE_FRACTION * area:
            hulls[k] = hull & body[k]
    return hulls


def _hull(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The convex hull of a 2-D mask, rasterised; empty for fewer than three points."""
    out = np.zeros_like(mask)
    rows = np.flatnonzero(mask.any(axis=1))
    # The first and the last voxel of each row span the same hull.
    first = np.argmax(mask[rows], axis=1)
    last = mask.shape[1] - 1 - np.argmax(mask[rows, ::-1], axis=1)
    points = np.concatenate([np.stack([rows, first], axis=1), np.stack([rows, last], axis=1)])
    if len(np.unique(points, axis=0)) < 3:
        return out
    try:
        planes = ConvexHull(points).equations
    except QhullError:  # all points on one line
        return out
    y = np.arange(rows[0], rows[-1] + 1)[:, None]
    a, b, c = planes.T
    level = 1e-9 - (a * y + c)  # inside: b x <= level for every side
    with np.errstate(divide="ignore", invalid="ignore"):
        side = level / b
    high = np.min(np.where(b > 0.0, side, np.inf), axis=1)
    low = np.max(np.where(b < 0.0, side, -np.inf), axis=1)
    x = np.arange(mask.shape[1])[None, :]
    out[rows[0] : rows[-1] + 1] = (x >= low[:, None]) & (x <= high[:, None])
    return out


def _cavity(
    image: WorkingImage,
    body: Mask,
    cage: Mask,
    spine_x: NDArray[np.float64],
    front_y: NDArray[np.float64],
) -> Mask:
    ribbed = np.asarray(cage.any(axis=(1, 2)))
    inside = np.zeros_like(body)
    inside[~ribbed] = _deeper(body[~ribbed], SOFT_WALL_MM, image)
    if ribbed.any():
        front = np.stack([_before(hull, image) for hull in cage[ribbed]])
        front &= _deeper(body[ribbed], SOFT_WALL_MM - WALL_MM, image)
        inside[ribbed] = _deeper(cage[ribbed] | front, WALL_MM, image)
    shape = body.shape
    sideways = np.abs(np.arange(shape[2])[None, None, :] - spine_x[:, None, None])
    behind = np.arange(shape[1])[None, :, None] - front_y[:, None, None]
    column = (behind > 0.0) & (sideways < image.voxels(25.0))
    back = behind > image.voxels(60.0)
    return inside & ~column & ~back


def _deeper(outlines: Mask, wall_mm: float, image: WorkingImage) -> Mask:
    """Outlines per slice without a rim of ``wall_mm``; the image's border counts as outside."""
    # Slices so far apart that the distance stays in plane.
    apart = (10.0 * wall_mm, image.spacing_mm, image.spacing_mm)
    return erode(np.pad(outlines, ((0, 0), (1, 1), (1, 1))), wall_mm, apart)[:, 1:-1, 1:-1]


def _before(hull: NDArray[np.bool_], image: WorkingImage) -> NDArray[np.bool_]:
    """In front of a 2-D hull, within its width less 15 mm on either side."""
    columns = np.flatnonzero(hull.any(axis=0))
    inset = round(image.voxels(15.0))
    out = np.logical_not(np.logical_or.accumulate(hull, axis=0))
    out[:, : columns[0] + inset] = False
    out[:, max(0, columns[-1] - inset + 1) :] = False
    return out


def _dome(image: WorkingImage, cage: Mask, body: Mask, lung: Mask) -> NDArray[np.float64] | None:
    """The diaphragm as a height map: lowest lung voxel per column, harmonic in between."""
    if not lung.any():
        return None
    top = int(np.flatnonzero(body.any(axis=(1, 2)))[-1])
    first = max(0, top - round(image.voxels(10.0)))
    outline = cage if cage[first : top + 1].any() else body
    share = lung[first : top + 1].any(axis=0).sum() / max(
        1, outline[first : top + 1].any(axis=0).sum()
    )
    if share < DOME_LUNG_FRACTION:
        return None
    columns = np.asarray(lung.any(axis=0))
    height = np.full(columns.shape, np.inf)
    height[columns] = np.argmax(lung, axis=0)[columns]
    unknown = _hull(columns) & ~columns
    if unknown.any():
        height[unknown] = _harmonic(height, columns, unknown)
    return height


def _harmonic(
    height: NDArray[np.float64], known: NDArray[np.bool_], unknown: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Solve Laplace's equation on ``unknown`` with values on ``known``, no flux elsewhere."""
    number = np.full(unknown.shape, -1)
    number[unknown] = np.arange(np.count_nonzero(unknown))
    n = int(unknown.sum())
    rows, cols, data = [], [], []
    diagonal, right = np.zeros(n), np.zeros(n)
    here = np.argwhere(unknown)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        there = here + np.array([dy, dx])
        inside = np.all((there >= 0) & (there < unknown.shape), axis=1)
        i = np.flatnonzero(inside)
        ty, tx = there[inside].T
        free = unknown[ty, tx]
        fixed = known[ty, tx]
        np.add.at(diagonal, i, (free | fixed).astype(float))
        np.add.at(right, i[fixed], height[ty[fixed], tx[fixed]])
        rows.append(i[free])
        cols.append(number[ty[free], tx[free]])
        data.append(np.full(int(free.sum()), -1.0))
    # A patch that touches no known column keeps a small pull to the mean, so the matrix is regular.
    mean = float(height[known].mean())
    diagonal += 1e-6
    right += 1e-6 * mean
    matrix = sp.csr_array(
        (np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))), shape=(n, n)
    ) + sp.diags_array(diagonal)
    out: NDArray[np.float64] = spsolve(matrix.tocsc(), right)
    return out
