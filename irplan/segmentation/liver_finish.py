"""From the supervoxel cut to the liver: one organ, lesions kept in, a voxel-sharp edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.morphology import (
    Mask,
    box_of,
    closed,
    dilate,
    erode,
    filled,
    filled_slices,
    largest_part,
    opened,
    parts,
)
from irplan.segmentation.voxel_cut import cut_voxels
from irplan.segmentation.working import WorkingImage

#: Half width of the band that is cut anew voxel by voxel, mm [spec].
BAND_MM = 5.0
#: Weight of the boundary term in the band [spec].
BAND_WEIGHT = 5.0
#: Share of the regional evidence that counts in the band: there every voxel is a mixture, whose
#: intensity lies between the tissues by partial volume; the edge itself must decide.
BAND_EVIDENCE = 0.15
#: Radius below which bridges to neighbours are cut, mm.
BRIDGE_MM = 4.0
#: Lesions: darker than liver but denser than bile, HU [spec note 6].
LESION_LEAST_HU = 25.0
#: A large lesion is darker than the liver by this, HU, and of this volume, ml.
LESION_DARKER_HU = 12.0
LARGE_LESION_ML = (1.0, 250.0)
#: Least share of liver around it, and largest of other soft tissue.
LARGE_CONTACT, LARGE_OTHER = 0.4, 0.25
#: The same for one as dark as fluid (necrosis, cyst, a fatty liver's lesion), 4 to 8 mm from it: on
#: 18 phantoms (seed 101) lesions there had .61 to .89 of liver and .09 to .14 of other soft tissue,
#: gallbladders .38 to .54 of liver, or .66 and then .27 of other tissue.
FLUID_CONTACT, FLUID_OTHER = 0.58, 0.16
#: Part of a lesion's surface that must face liver.
LESION_CONTACT = 0.6


def one_organ(mask: Mask, image: WorkingImage) -> Mask:
    """The main part: bridges thinner than 8 mm cut, largest part kept, its rim given back."""
    spacing = image.grid.spacing_mm
    main = largest_part(erode(mask, BRIDGE_MM, spacing))
    if not main.any():
        return largest_part(mask)
    whole = dilate(main, BRIDGE_MM + 2.0, spacing) & mask
    return fill_enclosed(largest_part(whole))


def fill_enclosed(mask: Mask) -> Mask:
    """Holes in 3-D, and holes of each axial slice (vessels and lesions in the parenchyma)."""
    out: Mask = filled_slices(filled(mask))
    return out


def keep_lesions(
    mask: Mask,
    smooth: NDArray[np.float32],
    mean_hu: float,
    allowed: Mask,
    likely: Mask,
    image: WorkingImage,
) -> Mask:
    """Add dark or bright parts at the capsule whose surface mostly faces liver.

    Small ones are the gaps of the liver's closing by 10 mm; fat, lung and bile (below 25 HU on
    enhanced scans) stay out.  Large ones are pieces of ``likely`` soft tissue, darker than the
    liver, thicker than 8 mm: kept when liver is 40 % or more of what is 4 mm around them and other
    soft tissue of the cavity 25 % or less: a lesion bulges into fat, lung or the wall, a stomach
    goes on.  Those as dark as fluid need 58 % and at most 16 %, 4 to 8 mm away (their rim is as
    bright as a lesion): a gallbladder has less of the first or more of the second.
    """
    spacing = image.grid.spacing_mm
    dense = smooth > min(LESION_LEAST_HU, mean_hu - 15.0)
    gaps = closed(mask, 10.0, spacing) & ~mask & allowed & dense
    labels, counts = parts(gaps)
    out = mask
    if counts.size > 1:
        facing = np.zeros(counts.size)
        surface = np.zeros(counts.size)
        padded = np.pad(labels, 1)
        inside = np.pad(mask, 1)
        core = (slice(1, -1),) * 3
        for axis in range(3):
            for step in (-1, 1):
                neighbour = np.roll(padded, step, axis)[core]
                liver = np.roll(inside, step, axis)[core]
                edge = (labels > 0) & (neighbour != labels)
                surface += np.bincount(labels[edge], minlength=counts.size)
                facing += np.bincount(labels[edge & liver], minlength=counts.size)
        keep = facing >= LESION_CONTACT * np.maximum(surface, 1.0)
        keep[0] = False
        out = mask | keep[labels]
    dark = dense & (smooth < mean_hu - LESION_DARKER_HU)
    rules = LARGE_CONTACT, LARGE_OTHER, 0.0
    out = out | _large_lesions(out, dark & likely, dense & allowed, likely, image, rules)
    rules = FLUID_CONTACT, FLUID_OTHER, 4.0
    return out | _large_lesions(out, ~dense & likely, allowed, likely, image, rules)


def _large_lesions(
    mask: Mask,
    dark: Mask,
    soft: Mask,
    likely: Mask,
    image: WorkingImage,
    rules: tuple[float, float, float],
) -> Mask:
    least, most, from_mm = rules
    spacing = image.grid.spacing_mm
    box = box_of(mask, (round(image.voxels(40.0)),) * 3)
    liver, tissue, inner = mask[box], soft[box], likely[box]
    labels, counts = parts(opened(dark[box] & tissue & ~liver, 4.0, spacing))
    out = np.zeros_like(mask)
    for n in range(1, counts.size):
        ml = counts[n] * image.voxel_ml
        if not LARGE_LESION_ML[0] <= ml <= LARGE_LESION_ML[1]:
            continue
        piece = labels == n
        part = box_of(piece, (round(image.voxels(from_mm + 6.0)),) * 3)
        rim = dilate(piece[part], from_mm, spacing) if from_mm else piece[part]
        shell = dilate(piece[part], from_mm + 4.0, spacing) & ~rim
        total = np.count_nonzero(shell)
        faces = np.count_nonzero(shell & liver[part]) / total
        others = np.count_nonzero(shell & tissue[part] & ~liver[part] & inner[part]) / total
        if faces >= least and others <= most:
            grown = dilate(piece[part], 4.0, spacing) & tissue[part]
            out[box][part] |= grown
    return out


def refine_band(
    mask: Mask,
    hu: NDArray[np.float32],
    evidence: NDArray[np.float32],
    sd_hu: float,
    forbidden: Mask,
    image: WorkingImage,
) -> Mask:
    """Voxel-level minimum cut within +-5 mm of the surface.

    Regional term: 0.15 of the evidence; boundary term: lambda exp(-dI^2 / (2 (1.5 sd)^2)) per
    face on the lightly smoothed image.  Inside and outside of the band are fixed.
    """
    spacing = image.grid.spacing_mm
    near = dilate(mask, BAND_MM, spacing)
    box = box_of(near, (1, 1, 1))
    out = erode(mask, BAND_MM, spacing)
    deep = out[box]
    gain = np.where(forbidden[box], -50.0, BAND_EVIDENCE * evidence[box])
    out[box] = cut_voxels(gain, hu[box], 1.5 * sd_hu, BAND_WEIGHT, near[box] & ~deep, deep)
    return out
