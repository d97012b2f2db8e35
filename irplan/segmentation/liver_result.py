"""What a segmented liver is: its mask, every stage that led to it, and what is doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.clicks import Click
from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.liver_cut import LiverCut, LiverSeeds
from irplan.segmentation.liver_voi import LiverVoi
from irplan.segmentation.lumen import Lumen
from irplan.segmentation.morphology import Mask
from irplan.segmentation.supervoxels import Supervoxels
from irplan.segmentation.working import WorkingImage

Method = Literal["priors", "wu2016"]

#: Volume of an adult liver beyond which the result is doubted, ml.
PLAUSIBLE_ML = (500.0, 3500.0)
#: A liver peak below this is called unenhanced (or fatty): 70 HU parts 55 +- 7 from 100 +- 15.
UNENHANCED_HU = 75.0
#: Area of liver in the scan's last slice from which it counts as cut off, cm^2.
CUT_OFF_CM2 = 1.0


@dataclass(frozen=True, eq=False)
class LiverStages:
    """What each stage found, on the working grid, so that it can be looked at.

    ``organ`` is the cut's main part, ``refined`` what the band on working voxels (and clicks) made
    of it; the band on the scan's own voxels gives the mask of `LiverSegmentation`.
    """

    image: WorkingImage
    body: Mask
    lung: Mask
    lumen: Lumen
    landmarks: Landmarks
    voi: LiverVoi
    supervoxels: Supervoxels
    seeds: LiverSeeds
    cut: LiverCut
    organ: Mask
    refined: Mask


@dataclass(frozen=True, eq=False)
class LiverSegmentation:
    """``mask`` bool on the volume's grid, ``volume_ml``, ``mean_hu`` / ``sd_hu`` of the smoothed
    parenchyma, ``stages``, ``warnings`` in words, and the ``clicks`` that corrected it.
    """

    mask: Mask
    volume_ml: float
    mean_hu: float
    sd_hu: float
    method: Method
    stages: LiverStages
    warnings: tuple[str, ...]
    clicks: tuple[Click, ...] = ()

    @property
    def enhanced(self) -> bool:
        """True when the parenchyma is bright enough for contrast medium (75 HU)."""
        return self.mean_hu >= UNENHANCED_HU


def doubts(stages: LiverStages, volume_ml: float) -> tuple[str, ...]:
    """What a reader must know of a result: its volume, a cut-off end, missing contrast."""
    out = []
    if not PLAUSIBLE_ML[0] <= volume_ml <= PLAUSIBLE_ML[1]:
        out.append(
            f"The liver found has {volume_ml:.0f} ml, outside {PLAUSIBLE_ML[0]:.0f} to "
            f"{PLAUSIBLE_ML[1]:.0f} ml of adult livers: look at it before use."
        )
    for end, words in ((-1, "top"), (0, "bottom")):
        area_cm2 = _end_area_cm2(stages, end)
        if area_cm2 > CUT_OFF_CM2:
            out.append(
                f"The liver is cut off at the {words} of the scan ({area_cm2:.0f} cm^2 there)."
            )
    if stages.voi.mean_hu < UNENHANCED_HU:
        out.append(
            f"The liver measures {stages.voi.mean_hu:.0f} HU: unenhanced or fatty; its edge to "
            "muscle, bowel and vena cava is uncertain."
        )
    return tuple(out)


def _end_area_cm2(stages: LiverStages, end: int) -> float:
    covered: NDArray[np.intp] = np.flatnonzero(stages.body.any(axis=(1, 2)))
    return float(stages.refined[covered[end]].sum()) * stages.image.spacing_mm**2 / 100.0
