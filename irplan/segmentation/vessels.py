"""Vessels inside the liver as bright structures over its local parenchyma: fast and fine."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
#: Gaussians before thresholding, mm: raise a 3 mm vein over the noise; the fine mode's line mean
#: does part of that work.  The fast mode takes a wider one as well until the parenchyma's SD is at
#: most `CALM_HU` and what is found stands out (`COMPLETE_SD`); wider ones than 1.8 mm lose more
#: veins than they win [phantoms, seeds 150, 151].
FAST_SMOOTHING_MM, FINE_SMOOTHING_MM = (0.8, 1.2, 1.8), 0.6
CALM_HU = 8.0
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
#: What was found must be brighter than parenchyma by this many SD (the seeds' threshold) in its
#: median: below, thick veins were missed on phantoms (of seeds 150 and 151, more than a twentieth
#: of those of 4 to 6 mm at less than 4, almost none above).
COMPLETE_SD = 4.0
#: ... and by this, HU: veins that fade (delayed phase) show only where they happen to be over the
#: 20 HU of the seeds, so that what is found stands out well and the rest is not seen.  On phantoms
#: of seeds 150 to 162 (delayed, 6 to 24 HU of noise) the median was 17 to 21 HU where 32 to 93 %
#: of the veins over 4 mm were found, 25 HU or more where 99 % were; portal phase 26 HU or more.
COMPLETE_HU = 23.0
#: Veins at least this wide are found in noise where the finding is complete: 96 % or more of
#: those of 4 to 6 mm on each phantom of seed 302 with 24 or 30 HU and a soft kernel.
NOISY_VEIN_MM = 4.0
#: Blood must be brighter than parenchyma by this, HU, for vessels to be seen at all.
LEAST_CONTRAST_HU = 20.0
#: Where four SD are this many times that contrast, noise may be why nothing was found.
NOISE_TO_BLAME = 1.4
#: A share of the liver below this means that its vessels are not enhanced in this phase.
LEAST_SHARE = 0.003
#: Half length of the fine mode's lines, mm, and their directions on a half sphere (15 deg apart).
LINE_MM, LINE_DIRECTIONS = 4, 33
#: Peak of a blurred tube over that of blood, 1 - exp(-r^2 / 2 s^2) with s = 1.2 mm (scanner,
#: voxel, smoothing): .3 at 2 mm calibre, .55 at 3 mm.  The fine mode grows from 3 mm to 2 mm.
CALIBRE_SHARE = (0.30, 0.55)


def check_vessel_mode(mode: str) -> None:
    """Raise `InputError` unless ``mode`` is one of `VesselMode`."""
    if mode not in ("fast", "fine"):
        raise InputError(
            "vessel mode",
            got=repr(mode),
            expected="'fast' or 'fine'",
            remedy="Use 'fast' to look, 'fine' for heat sinks and counts.",
        )


@dataclass(frozen=True, eq=False)
class VesselFinding:
    """``mask`` bool or None when the phase does not allow it; ``note`` says why, in words.

    ``blood_hu`` is the intensity of the brightest blood that was measured.  ``complete`` is False
    where noise, uneven tissue or faded contrast may hide even thick veins: what is in the mask is
    vessel, what is not may be one too, and ``note`` says so.  In noise that hides only thin veins
    it is True with a note.
    """

    mask: Mask | None
    note: str
    blood_hu: float
    complete: bool = True


@dataclass(frozen=True, eq=False)
class _Seen:
    """Mask on the crop; share of the liver, parenchyma, its SD and blood over it (HU)."""

    mask: Mask
    share: float
    middle: float
    sd: float
    blood: float
    noisy: bool = False


def segment_liver_vessels(
    volume: Volume, liver: Mask, *, mode: VesselMode = "fast"
) -> VesselFinding:
    """Portal and hepatic veins (and bright arteries) inside ``liver``, on the volume's grid.

    Both modes look at what is over the *local* parenchyma (`local_parenchyma`), find candidates by
    hysteresis and put the wall part of the way to the brightest blood within 3 mm.

    ``fast`` (about 0.3 s, up to 1 s in noise): voxels of 1.2 mm, smoothed by .8 mm; in noise also
    by 1.2 and 1.8 mm, and what any of them shows counts; from 2.5 SD with seeds over 4 SD, wall
    at one half, pieces of at least 100 mm^3; veins of 3 mm and more, thinner ones in part.
    ``fine`` (1-2 s more): voxels of 1 mm; the candidates' score is the mean along the best of 33
    lines of 8 mm, from 2.5 SD with seeds over 5 SD *and* over what a tube of 2 / 3 mm calibre shows
    of the blood measured in the thick veins; the wall is taken from the field at the scan's own
    voxels.  On phantoms the line mean parts 2-3 mm veins from noise better than a Hessian
    (Sato) filter of four scales.  In noise (parenchyma over 8 HU at .8 mm) the fast mask is added.

    The mask is None when the liver's vessels are not brighter than its tissue (unenhanced or
    early arterial) or lost in it; it is not ``complete`` where they hardly stand out.  Known
    failures: bright lesions and calcifications count as vessel; a vena
    cava that the liver mask includes and that is not enhanced is missed.

    Raises `InputError` for a liver mask of another shape, an empty one, or an unknown mode.
    """
    check_vessel_mode(mode)
    if liver.shape != volume.grid.shape or not liver.any():
        raise InputError(
            "liver mask",
            got=f"shape {liver.shape} with {int(liver.sum())} voxels",
            expected=f"a mask with voxels on the volume's grid {volume.grid.shape}",
            remedy="Segment the liver first.",
        )
    part = box_of(liver)
    crop = volume.crop([s.start for s in part], [s.stop - s.start for s in part])
    inner = liver[part]
    seen = fast = _fast(crop, inner)
    if mode == "fine":
        seen = _fine(crop, inner)
        if fast.noisy:
            seen = replace(seen, mask=seen.mask | fast.mask, share=max(seen.share, fast.share))
    blood_hu = seen.middle + max(seen.blood, fast.blood)
    unsure = f"the liver's tissue varies by {fast.sd:.0f} HU (noise, nodules)"
    if seen.share < LEAST_SHARE:
        why = "the phase is unenhanced or too early"
        if COMPLETE_SD * fast.sd > NOISE_TO_BLAME * LEAST_CONTRAST_HU:
            why = f"{unsure}, which hides veins, or {why}"
        note = (
            f"Vessels inside the liver could not be assessed: only {100 * seen.share:.1f} % of it "
            f"is brighter than its tissue ({seen.middle:.0f} HU); {why}."
        )
        return VesselFinding(None, note, seen.middle, False)
    mask = np.zeros(volume.grid.shape, dtype=bool)
    mask[part] = seen.mask & inner
    if fast.blood < max(COMPLETE_SD * fast.sd, COMPLETE_HU):
        if fast.blood >= COMPLETE_SD * fast.sd:
            unsure = "they hardly stand out from its tissue (delayed phase, weak enhancement)"
        note = (
            f"Vessels inside the liver were found in part only: {unsure}, the vessels that were "
            f"found are {fast.blood:.0f} HU brighter; veins of any size may be missing."
        )
        return VesselFinding(mask, note, blood_hu, False)
    note = ""
    if fast.noisy:
        note = (
            "Vessels inside the liver were sought with more smoothing (noise, faint veins): those "
            f"under {NOISY_VEIN_MM:.0f} mm may be missing; look along each needle."
        )
    return VesselFinding(mask, note, blood_hu)


def _fast(crop: Volume, liver: Mask) -> _Seen:
    """Everything that stands out at .8 mm of smoothing, and in noise at 1.2 and 1.8 mm."""
    blocks = block_mean(crop, FAST_SPACING_MM)
    inside = mask_on(liver, crop.grid, blocks.grid)
    spacing = blocks.grid.spacing_mm
    if not inside.any():
        return _Seen(np.zeros_like(liver), 0.0, float(np.median(crop.array[liver])), 0.0, 0.0)
    image = blocks.array.astype(np.float32)
    all_found = np.zeros_like(inside)
    middle, sd, blood, used = 0.0, np.inf, 0.0, 0
    while used < len(FAST_SMOOTHING_MM):
        if used and sd <= CALM_HU and blood >= COMPLETE_SD * sd:
            break
        smooth = ndi.gaussian_filter(image, [FAST_SMOOTHING_MM[used] / s for s in spacing])
        middle = middle if used else float(np.median(smooth[inside]))
        trend, sd = local_parenchyma(smooth, inside, spacing)
        over = smooth - trend
        low = max(FAST_SD[0] * sd, 0.75 * LEAST_CONTRAST_HU)
        high = max(FAST_SD[1] * sd, LEAST_CONTRAST_HU)
        found = touching((over > low) & inside, (over > high) & inside)
        found &= over >= FAST_WALL * _blood_near(over, found, spacing)
        found = parts_of_at_least(found, FAST_PIECE_MM3 / blocks.grid.voxel_volume_mm3)
        blood = float(np.median(over[found])) if found.any() else 0.0
        all_found |= found
        used += 1
    share = float(all_found.sum()) / int(inside.sum())
    mask = mask_on(all_found, blocks.grid, crop.grid)
    return _Seen(mask, share, middle, sd, blood, used > 1)


def _fine(crop: Volume, liver: Mask) -> _Seen:
    """Lines of bright voxels, the wall from the field."""
    from irplan.compute.cpu.tubes import seg_line_mean

    image = working_image(crop, FINE_SPACING_MM)
    inside = mask_on(liver, crop.grid, image.grid)
    spacing = image.grid.spacing_mm
    none = np.zeros_like(liver)
    core = erode(inside, 2.5, spacing)
    if not core.any():
        return _Seen(none, 0.0, float(np.median(crop.array[liver])), 0.0, 0.0)
    coarse = ndi.gaussian_filter(image.hu, image.voxels(FAST_SMOOTHING_MM[0]))
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
        return _Seen(none, 0.0, middle, sd, 0.0)
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
    return _Seen(mask, share, middle, sd, blood)


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
