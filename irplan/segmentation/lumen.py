"""The lumen of stomach and bowel, gas and what it lies on: liver ends a wall's width from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import (
    Mask,
    box_of,
    chosen,
    closed,
    opened,
    parts,
    short_distance_mm,
    touching,
)
from irplan.segmentation.organ_finding import fills_its_box
from irplan.segmentation.working import WorkingImage

#: Gas on the working grid, HU: half the step to soft tissue.
GAS_HU = -450.0
#: Least gas of a lumen, ml, and its least distance from the lung, mm (partial volume there).
LEAST_GAS_ML, FROM_LUNG_MM = 0.3, 4.0
#: Gas of the stomach: least volume, ml, its middle at most this far right of the spine and below
#: the middle of the liver's core, mm.
STOMACH_GAS_ML, STOMACH_RIGHT_MM, STOMACH_BELOW_MM = 0.5, 20.0, 60.0
#: The level of its contents is looked for this far from the gas, mm.
LEVEL_MM = (4.0, 10.0)
#: Contents: fatty food to solid food, or oral contrast above; clear of the liver's mean by 1.5 SD.
CONTENT_HU, CONTRAST_HU, CLEAR_SD = (-40.0, 75.0), 160.0, 1.5
#: Half width of the intensities of one stomach's contents (2 SD of food, smoothed), HU; upwards
#: they end half way to the liver's, but no farther than this from their mode.
WIDTH_HU, HALF_STEP_HU = 16.0, 30.0
#: Half of the least thickness of contents that are followed, mm; their reach from the gas, mm.
HALF_MM, REACH_MM = 5.0, 110.0
#: Volume of believed contents, ml, and their least share of their principal box: ascites, which
#: wraps round organs, has less.
CONTENT_ML, LEAST_FILL = (4.0, 1500.0), 0.19
#: Wall of a filled stomach (distended 3 to 5 mm [S]) and of a filled bowel (1 to 3 mm [S]), mm.
STOMACH_WALL_MM, BOWEL_WALL_MM = 4.0, 2.0
#: A wall shows between gas and fluid where the median profile rises over the fluid by this, HU.
WALL_RISE_HU = 14.0
#: A fluid level: this share of the lines of rows through the gas end within a voxel of one row (on
#: a ball of gas at most .4 do).  Below it lie contents, as deep as the place is far from the
#: level's edge (a half ball is deeper), at most this, mm.  Only for gas of at least this, ml, with
#: its middle this far left of the spine, mm: colon may lie before the liver.
FLAT_SHARE, BELOW_LEVEL_MM, LEVEL_GAS_ML, LEVEL_LEFT_MM = 0.6, 30.0, 3.0, 15.0
#: Depths in walls are exact up to this far outside of them, mm.
FAR_MM = 6.0


@dataclass(frozen=True, eq=False)
class Lumen:
    """Gas and contents of ``stomach`` and the gas of other ``bowel``, on the working grid."""

    stomach: Mask
    bowel: Mask

    @property
    def mask(self) -> Mask:
        """Both."""
        return self.stomach | self.bowel

    def beyond_wall_mm(
        self, voxel_mm: float, part: tuple[slice, ...] = (slice(None),) * 3
    ) -> NDArray[np.float32]:
        """Distance outside of the walls' outer surface, mm: negative in wall and lumen, at most 6.

        ``part``: the box of the working grid that is wanted.
        """
        out = np.full(self.stomach[part].shape, np.float32(FAR_MM))
        for mask, wall in ((self.stomach, STOMACH_WALL_MM), (self.bowel, BOWEL_WALL_MM)):
            lumen = mask[part]
            if lumen.any():
                reach = FAR_MM + wall + voxel_mm
                near = box_of(lumen, (int(reach / voxel_mm) + 1,) * 3)
                away = short_distance_mm(lumen[near], reach, voxel_mm)
                away -= np.float32(wall + 0.5 * voxel_mm)
                np.minimum(out[near], away, out=out[near])
        return out

    @classmethod
    def none(cls, like: Mask) -> Lumen:
        """No lumen at all."""
        return cls(np.zeros_like(like), np.zeros_like(like))


def find_lumen(
    image: WorkingImage,
    smooth: NDArray[np.float32],
    body: Mask,
    lung: Mask,
    marks: Landmarks,
    core: Mask,
    liver_hu: float,
    liver_sd: float,
) -> Lumen:
    """Gas in the gut, and the contents that the stomach's gas lies on, on the working grid.

    The stomach's gas has its middle left of the spine or little right of it, not far below the
    liver.  Contents lie behind the gas of a supine patient and before that of a prone one; the
    larger of the two is believed.  Their intensity is the mode 4 to 10 mm from the gas, their
    extent what is as bright, thicker than 10 mm and joined to that level.  What is within 1.5 SD
    of the liver is not followed, nor what lies behind a wall (ascites), nor any part of ``core``,
    the certain liver.  Directly below a flat level soft tissue is contents whatever its
    intensity.  Known failure: a stomach without gas is not found.
    """
    found = Lumen.none(body)
    room = body & ~lung & ~marks.bone & marks.cavity
    gas = (image.hu < GAS_HU) & room
    if not gas.any():
        return found
    box = box_of(gas, (round(image.voxels(REACH_MM)),) * 3)
    voxel = image.spacing_mm
    airy = gas[box] & (short_distance_mm(lung[box], FROM_LUNG_MM, voxel) >= FROM_LUNG_MM)
    labels, counts = parts(airy)
    ml = counts * image.voxel_ml
    ml[0] = 0.0
    right = (marks.right_of_spine(body.shape) * voxel)[box[0], :, box[2]]
    slices = np.flatnonzero(core.any(axis=(1, 2)))
    lowest = 0.5 * (slices[0] + slices[-1]) - image.voxels(STOMACH_BELOW_MM) - box[0].start
    free = room[box] & ~core[box] & ~airy
    hu, sharp = smooth[box], image.hu[box]
    soft = free & (hu > CONTENT_HU[0]) & ((hu < CONTENT_HU[1]) | (hu > CONTRAST_HU))
    soft &= np.abs(hu - liver_hu) > CLEAR_SD * liver_sd
    stomach, below = np.zeros_like(airy), np.zeros_like(airy)
    bowel = chosen(airy, labels, ml >= LEAST_GAS_ML)
    for n in np.flatnonzero(ml >= STOMACH_GAS_ML):
        own = labels == n
        z, _, x = np.nonzero(own)
        aside = float(right[z, 0, x].mean())
        if float(z.mean()) < lowest or aside > STOMACH_RIGHT_MM:
            continue
        stomach |= own
        levels = [_below_level(own, hu, side, image) for side in (1, -1)]
        left = ml[n] >= LEVEL_GAS_ML and aside < -LEVEL_LEFT_MM
        if left and not all(m.any() for m in levels):  # a slit is flat both ways
            below |= levels[0] | levels[1]
        part = box_of(own, (round(image.voxels(REACH_MM)),) * 3)
        both = [
            _contents(own[part], hu[part], sharp[part], soft[part], liver_hu, image, side)
            for side in (1, -1)
        ]
        stomach[part] |= max(both, key=np.count_nonzero)
    stomach = (closed(stomach, 4.0, image.grid.spacing_mm) & (free | airy)) | (below & room[box])
    found.stomach[box] = stomach
    found.bowel[box] = bowel & ~stomach
    return found


def _contents(
    gas: Mask,
    hu: NDArray[np.float32],
    hu_sharp: NDArray[np.float32],
    soft: Mask,
    liver_hu: float,
    image: WorkingImage,
    side: int,
) -> Mask:
    """What one part of gas lies on, behind (``side`` 1) or before it (-1); may be empty."""
    none = np.zeros_like(gas)
    level = np.zeros_like(gas)
    first, last = (round(image.voxels(d)) for d in LEVEL_MM)
    for step in range(first, last + 1):
        level |= _moved(gas, side * step)
    level &= soft
    values = hu[level]
    if values.size < 20:
        return none
    edges = np.arange(CONTENT_HU[0], 404.0, 4.0)
    counts = ndi.gaussian_filter1d(np.histogram(values, edges)[0].astype(float), 2.0)
    mode = float(edges[int(np.argmax(counts))] + 2.0)
    high = mode + max(WIDTH_HU, min(HALF_STEP_HU, 0.5 * (liver_hu - mode)))
    alike = soft & (hu > mode - WIDTH_HU) & (hu < high)
    if _wall_between(gas, hu_sharp, alike, mode, image, side):
        return none
    content = touching(opened(alike, HALF_MM, image.grid.spacing_mm), level & alike)
    ml = np.count_nonzero(content) * image.voxel_ml
    if not CONTENT_ML[0] <= ml <= CONTENT_ML[1] or fills_its_box(content, image) < LEAST_FILL:
        return none
    return content


def _below_level(gas: Mask, hu: NDArray[np.float32], side: int, image: WorkingImage) -> Mask:
    """Soft tissue below a flat face of ``gas``, in a cone on that face; empty without one."""
    voxel = image.spacing_mm
    last = gas & ~_moved(gas, -side)
    rows = np.nonzero(last)[1]
    row = int(np.argmax(np.bincount(rows, minlength=gas.shape[1])))
    level = np.abs(rows - row) <= 1
    out = np.zeros_like(gas)
    if np.count_nonzero(level) < FLAT_SHARE * level.size:
        return out
    at_level = last & (np.abs(np.arange(gas.shape[1]) - row) <= 1)[:, None]
    flat = np.asarray(at_level.any(axis=1))
    inset = short_distance_mm(~flat[:, None], BELOW_LEVEL_MM, voxel, axes=(0, 2))[:, 0]
    for step in range(1, round(image.voxels(BELOW_LEVEL_MM))):
        at = row + side * step
        if not 0 <= at < gas.shape[1]:
            break
        # The partial volume below the gas passes through fat's intensities.
        soft = hu[:, at] > CONTENT_HU[0] if step > 3 else flat
        out[:, at] = flat & soft & (inset >= step * voxel) & ~gas[:, at]
        flat = flat & soft
    return out


def _wall_between(
    gas: Mask,
    hu: NDArray[np.float32],
    alike: Mask,
    mode: float,
    image: WorkingImage,
    side: int,
) -> bool:
    """Does a wall part the gas from what is behind it?  The median profile then has a peak.

    Profiles run from the last voxel of gas on each line of rows to 10 mm, where the fluid is.
    """
    steps = round(image.voxels(LEVEL_MM[1]))
    last = gas & ~_moved(gas, -side)
    last &= _moved(alike, -side * steps)
    if not last.any():
        return False
    profile = [
        float(np.median(hu[_moved(last, side * step) & ~gas])) for step in range(1, steps + 1)
    ]
    return max(profile) > mode + WALL_RISE_HU


def _moved(mask: Mask, rows: int) -> Mask:
    """``mask`` moved along its rows; what leaves the array is lost."""
    out = np.zeros_like(mask)
    if rows > 0:
        out[:, rows:] = mask[:, :-rows]
    else:
        out[:, :rows] = mask[:, -rows:]
    return out
