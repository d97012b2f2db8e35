"""The kidneys: bean-shaped bodies in the fat beside the spine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, box_of, closed, dilate, filled_slices
from irplan.segmentation.organ_finding import OrganFinding, bodies, fills_its_box, spans_mm
from irplan.segmentation.working import WorkingImage

#: Where the centre of a kidney lies: beside the spine's midline and before the front of the
#: vertebral bodies (negative: behind), mm.
BESIDE_MM, BEFORE_MM = (40.0, 84.0), (-50.0, 30.0)
#: Volume and length of adult kidneys, small to hydronephrotic.
VOLUME_ML, LENGTH_MM = (45.0, 450.0), (60.0, 180.0)
#: Least share of its principal box: beans .45, muscle strands and bowel less.
LEAST_FILL = 0.33
#: Least thickness, mm, and least share of fat in the shell 3-8 mm outside: spleen and muscle lie
#: against others, psoas is a strand.
LEAST_THICK_MM, LEAST_FAT = 28.0, 0.35
#: Enhanced kidney over the liver, HU.
OVER_LIVER_HU = 22.0
#: Radii that cut a kidney from its neighbours, mm.
CUT_MM = (3.0, 6.0, 9.0)


def segment_kidneys(
    image: WorkingImage,
    smooth: NDArray[np.float32],
    liver: Mask,
    liver_hu: float,
    marks: Landmarks,
) -> tuple[OrganFinding, OrganFinding]:
    """(right, left) on the working grid, with the sinus as far as a closing of 6 mm fills it.

    Parts brighter than the liver beside the spine are cut from their neighbours by erosion; the
    one of a kidney's size, place, fullness and fat round it wins.  Known failures: horseshoe and
    pelvic kidneys, large cysts and tumours.  None = not found, and always so without contrast
    medium: there kidneys, muscle and bowel are too much alike to claim one.
    """
    shape = smooth.shape
    right = np.broadcast_to(marks.right_of_spine(shape) * image.spacing_mm, shape)
    front = np.broadcast_to(marks.before_spine(shape) * image.spacing_mm, shape)
    zone = (front > -70.0) & (front < 50.0) & ~liver & ~marks.bone & image.covered
    found = []
    for side, name in ((1.0, "right"), (-1.0, "left")):
        here = zone & (side * right > 14.0) & (side * right < 125.0)
        mask = _best(here, side * right, front, smooth, liver_hu, image)
        if mask is None:
            found.append(
                OrganFinding(
                    None,
                    f"The {name} kidney was not found: it is not checked (absent, cut off, "
                    "unenhanced, or not parted from its neighbours).",
                )
            )
        else:
            found.append(OrganFinding(mask))
    return found[0], found[1]


def _best(
    here: Mask,
    beside: NDArray[np.float64],
    front: NDArray[np.float64],
    smooth: NDArray[np.float32],
    liver_hu: float,
    image: WorkingImage,
) -> Mask | None:
    spacing = image.grid.spacing_mm
    # In the arterial phase only the cortex is bright: closing and filling take the medulla in.
    bright = closed(here & (smooth > liver_hu + OVER_LIVER_HU) & (smooth < 400.0), 6.0, spacing)
    bright = filled_slices(bright) & here
    best, winner = 0.0, None
    for radius in CUT_MM:
        for mask in bodies(bright, radius, image, VOLUME_ML[0]):
            ml = float(np.count_nonzero(mask)) * image.voxel_ml
            at = float(beside[mask].mean()), float(front[mask].mean())
            placed = (
                ml <= VOLUME_ML[1]
                and BESIDE_MM[0] <= at[0] <= BESIDE_MM[1]
                and BEFORE_MM[0] <= at[1] <= BEFORE_MM[1]
            )
            if not placed:
                continue
            length, _, thick = (float(v) for v in spans_mm(mask, image))
            fill, fat = fills_its_box(mask, image), _fat_share(mask, smooth, image)
            fits = (
                LENGTH_MM[0] <= length <= LENGTH_MM[1]
                and fill >= LEAST_FILL
                and fat >= LEAST_FAT
                and thick >= LEAST_THICK_MM
            )
            score = fill * fat * min(ml, 150.0)
            if fits and score > best:
                best, winner = score, mask
    if winner is not None:
        low = liver_hu + OVER_LIVER_HU - 60.0
        rim = dilate(winner, 4.0, spacing) & here & (smooth > low)
        return closed(winner | rim, 6.0, spacing) & here
    return None


def _fat_share(mask: Mask, smooth: NDArray[np.float32], image: WorkingImage) -> float:
    """Share of fat 3-8 mm outside."""
    box = box_of(mask, (4, 4, 4))
    spacing = image.grid.spacing_mm
    shell = dilate(mask[box], 8.0, spacing) & ~dilate(mask[box], 3.0, spacing)
    values = smooth[box][shell]
    return float(np.mean(values < -20.0)) if values.size else 0.0
