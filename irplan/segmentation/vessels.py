"""Vessels inside the liver as bright structures over its local parenchyma: fast and fine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.image.volume import Volume
from irplan.segmentation.interpolate import field_on, mask_on
from irplan.segmentation.morphology import (
    Mask,
    box_of,
    dilate,
    erode,
    parts_of_at_least,
    touching,
)
from irplan.segmentation.parenchyma import local_parenchyma
from irplan.segmentation.working import block_mean, working_image

VesselMode = Literal["fast", "fine"]

#: Voxel sizes of the fast and the fine mode, mm (a 3 mm vein is 2-3 voxels across).
FAST_SPACING_MM, FINE_SPACING_MM = 1.2, 1.0
#: Gaussian before thresholding, mm: raises a 3 mm vein over the noise; the fine mode's line mean
#: does part of that work.
FAST_SMOOTHING_MM, FINE_SMOOTHING_MM = 0.8, 0.6
#: Hysteresis over the local parenchyma in robust SD: grow above the first from seeds above the
#: second; of the smoothed image (fast) and of the mean along lines (fine).
FAST_SD, FINE_SD = (2.5, 4.0), (2.5, 5.0)
#: Where a vessel's wall is: this share of the way from parenchyma to the blood in its middle.  At
#: one half a blurred tube has its true width; the fine mode's field also shows tubes as thin as
#: the blur, whose middle is lowered by it, and .4 gives phantoms their true volume.
FAST_WALL, FINE_WALL = 0.5, 0.4
#: The blood in a vessel's middle is the brightest candidate within this, mm; veins of unlike
#: enhancement (portal, hepatic) are each measured by their own.
MIDDLE_MM = 3.0
#: Least volume of a vessel piece: a 3 mm tube 15 mm (fast) or 8 mm (fine) long, mm^3.
FAST_PIECE_MM3, FINE_PIECE_MM3 = 100.0, 60.0
#: Blood must be brighter than parenchyma by this, HU, for vessels to be seen at all.
LEAST_CONTRAST_HU = 20.0
#: A share of the liver below this means that its vessels are not enhanced in this phase.
LEAST_SHARE = 0.003
#: Half length of the fine mode's lines, mm, and their directions on a half sphere (15 deg apart).
LINE_MM, LINE_DIRECTIONS = 4, 33
#: Peak of a blurred tube over that of blood, 1 - exp(-r^2 / 2 s^2) with s = 1.2 mm (scanner,
#: voxel, smoothing): .3 at 2 mm calibre, .55 at 3 mm.  The fine mode grows from 3 mm to 2 mm.
CALIBRE_SHARE = (0.30, 0.55)


@dataclass(frozen=True, eq=False)
class VesselFinding:
    """``mask`` bool or None when the phase does not allow it; ``note`` says why, in words.

    ``blood_hu`` is the intensity of the brightest blood that was measured.
    """

    mask: Mask | None
    note: str
    blood_hu: float


def segment_liver_vessels(
    volume: Volume, liver: Mask, *, mode: VesselMode = "fast"
) -> VesselFinding:
    """Portal and hepatic veins (and bright arteries) inside ``liver``, on the volume's grid.

    Both modes look at what is over the *local* parenchyma (`local_parenchyma`), find candidates by
    hysteresis and put the wall part of the way to the brightest blood within 3 mm.

    ``fast`` (about 0.3 s): voxels of 1.2 mm, smoothed; from 2.5 SD with seeds over 4 SD, wall at
    one half, pieces of at least 100 mm^3; veins of 3 mm and more, thinner ones in part.
    ``fine`` (about 1-2 s): voxels of 1 mm; the candidates' score is the mean along the best of 33
    lines of 8 mm, from 2.5 SD with seeds over 5 SD *and* over what a tube of 2 / 3 mm calibre shows
    of the blood measured in the thick veins; the wall is taken from the field at the scan's own
    voxels.  On phantoms the line mean parts 2-3 mm veins from noise better than a Hessian
    (Sato) filter of four scales.

    The mask is None when the liver's vessels are not brighter than its tissue (unenhanced or
    early arterial).  Known failures: bright lesions and calcifications count as vessel; a vena
    cava that the liver mask includes and that is not enhanced is missed.

    Raises `InputError` for a liver mask of another shape, an empty one, or an unknown mode.
    """
    if mode not in ("fast", "fine"):
        raise InputError(
            "vessel mode",
            got=repr(mode),
            expected="'fast' or 'fine'",
            remedy="Use 'fast' to look, 'fine' for heat sinks and counts.",
        )
    if liver.shape != volume.grid.shape or not liver.any():
        raise InputError(
            "liver mask",
            got=f"shape {liver.shape} with {int(liver.sum())} voxels",
            expected=f"a mask with voxels on the volume's grid {volume.grid.shape}",
            remedy="Segment the liver first.",
        )
    part = box_of(liver)
    crop = volume.crop([s.start for s in part], [s.stop - s.start for s in part])
    found, share, middle, blood = (_fast if mode == "fast" else _fine)(crop, liver[part])
    if share < LEAST_SHARE:
        return VesselFinding(
            None,
            f"Vessels inside the liver could not be assessed: only {100 * share:.1f} % of it is "
            f"brighter than its tissue ({middle:.0f} HU); the phase is unenhanced or too early.",
            middle,
        )
    mask = np.zeros(volume.grid.shape, dtype=bool)
    mask[part] = found & liver[part]
    return VesselFinding(mask, "", middle + blood)


def _fast(crop: Volume, liver: Mask) -> tuple[Mask, float, float, float]:
    """Mask on the crop, share of the liver, parenchyma HU, blood over it."""
    blocks = block_mean(crop, FAST_SPACING_MM)
    inside = mask_on(liver, crop.grid, blocks.grid)
    spacing = blocks.grid.spacing_mm
    smooth = ndi.gaussian_filter(
        blocks.array.astype(np.float32), [FAST_SMOOTHING_MM / s for s in spacing]
    )
    if not inside.any():
        return np.zeros_like(liver), 0.0, float(np.median(crop.array[liver])), 0.0
    middle = float(np.median(smooth[inside]))
    trend, sd = local_parenchyma(smooth, inside, spacing)
    over = smooth - trend
    low = max(FAST_SD[0] * sd, 0.75 * LEAST_CONTRAST_HU)
    high = max(FAST_SD[1] * sd, LEAST_CONTRAST_HU)
    found = touching((over > low) & inside, (over > high) & inside)
    found &= over >= FAST_WALL * _blood_near(over, found, spacing)
    found = parts_of_at_least(found, FAST_PIECE_MM3 / blocks.grid.voxel_volume_mm3)
    share = float(found.sum()) / int(inside.sum())
    blood = float(np.median(over[found])) if found.any() else 0.0
    return mask_on(found, blocks.grid, crop.grid), share, middle, blood


def _fine(crop: Volume, liver: Mask) -> tuple[Mask, float, float, float]:
    """As `_fast`."""
    from irplan.compute.cpu.tubes import seg_line_mean

    image = working_image(crop, FINE_SPACING_MM)
    inside = mask_on(liver, crop.grid, image.grid)
    spacing = image.grid.spacing_mm
    none = np.zeros_like(liver)
    core = erode(inside, 2.5, spacing)
    if not core.any():
        return none, 0.0, float(np.median(crop.array[liver])), 0.0
    coarse = ndi.gaussian_filter(image.hu, image.voxels(FAST_SMOOTHING_MM))
    middle = float(np.median(coarse[inside]))
    trend, _ = local_parenchyma(coarse, inside, spacing)
    over = ndi.gaussian_filter(
        np.where(inside, image.hu - trend, np.float32(0.0)), image.voxels(FINE_SMOOTHING_MM)
    )
    over[~inside] = 0.0
    below = over[core & (over < 0.0)]
    sd = 1.4826 * float(np.median(-below)) if below.size else 1.0
    bright = (over > max(FINE_SD[1] * sd, LEAST_CONTRAST_HU)) & inside
    thick = erode(bright, 1.2, spacing)
    measured = over[thick] if np.count_nonzero(thick) > 20 else over[bright]
    if measured.size == 0:
        return none, 0.0, middle, 0.0
    blood = float(np.percentile(measured, 75.0))
    low = max(CALIBRE_SHARE[0] * blood, FINE_SD[0] * sd)
    high = max(CALIBRE_SHARE[1] * blood, FINE_SD[1] * sd)
    where = (over > 0.7 * low) & inside
    score = seg_line_mean(over, where, _half_lines())
    found = touching((score > low) & where, (score > high) & where)
    found = parts_of_at_least(found, FINE_PIECE_MM3 / image.grid.voxel_volume_mm3)
    level = np.maximum(FINE_WALL * _blood_near(over, found, spacing), 0.5 * low)
    field = np.where(dilate(found, 1.5, spacing) & inside, over - level, -level)
    share = float(np.count_nonzero(field > 0.0)) / int(inside.sum())
    mask: Mask = field_on(field, image.grid, crop.grid, -1.0) > 0.0
    return mask, share, middle, blood


def _blood_near(
    over: NDArray[np.float32], found: Mask, spacing: tuple[float, ...]
) -> NDArray[np.float32]:
    """Brightest candidate within `MIDDLE_MM`, 0 where there is none."""
    size = [2 * round(MIDDLE_MM / s) + 1 for s in spacing]
    out: NDArray[np.float32] = ndi.maximum_filter(np.where(found, over, np.float32(0.0)), size)
    return out


def _half_lines() -> NDArray[np.int64]:
    """(direction, step, 3) voxel offsets of half lines, spread evenly on a half sphere."""
    # A spiral of equal areas on the whole sphere, of which the upper half is kept.
    n = np.arange(2 * LINE_DIRECTIONS) + 0.5
    z = 1.0 - n / LINE_DIRECTIONS
    turn = np.pi * (1.0 + np.sqrt(5.0)) * n
    flat = np.sqrt(1.0 - z * z)
    unit = np.stack([z, flat * np.sin(turn), flat * np.cos(turn)], axis=1)[z >= 0.0]
    steps = np.arange(1, round(LINE_MM / FINE_SPACING_MM) + 1)
    return np.rint(unit[:, None, :] * steps[None, :, None]).astype(np.int64)
