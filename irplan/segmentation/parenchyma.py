"""The liver's own tissue as a slowly varying background: median, trend and noise."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.morphology import Mask

#: Gaussian over which parenchyma may vary (perfusion, beam hardening, fat), mm.
TREND_MM = 12.0
#: The trend is read on samples this far apart, mm.
SAMPLE_MM = 3.0
#: Voxels farther from the trend than this many SD are vessel or lesion and do not count.
OUTLIER_SD = 2.0
#: Weight of the overall median where few voxels count.
_FLOOR = 0.02


def local_parenchyma(
    smooth: NDArray[np.float32], inside: Mask, spacing_mm: tuple[float, ...]
) -> tuple[NDArray[np.float32], float]:
    """The parenchyma's expected intensity at every voxel, and its robust SD, both HU.

    ``smooth`` is a denoised image, ``inside`` the organ.  A Gaussian mean (12 mm) over the voxels
    within 2 SD of the last estimate, three rounds from the median on; lesions and vessels drop
    out.  The SD is 1.48 times the median of the deviations below, which vessels do not widen.
    """
    step = [max(1, round(SAMPLE_MM / s)) for s in spacing_mm]
    part = tuple(slice(None, None, n) for n in step)
    values, organ = smooth[part], inside[part]
    if not organ.any():
        values, organ, part, step = smooth, inside, (slice(None),) * 3, [1, 1, 1]
    middle = float(np.median(values[organ]))
    sigma = [TREND_MM / (n * s) for n, s in zip(step, spacing_mm, strict=True)]
    trend = np.full(values.shape, middle, dtype=np.float32)
    sd = _lower_sd((values - trend)[organ])
    for _ in range(3):
        weight = (organ & (np.abs(values - trend) < OUTLIER_SD * sd)).astype(np.float32)
        total = ndi.gaussian_filter((values - middle) * weight, sigma, truncate=2.5)
        count = ndi.gaussian_filter(weight, sigma, truncate=2.5)
        trend = (middle + total / (count + _FLOOR)).astype(np.float32)
        sd = _lower_sd((values - trend)[organ])
    scale = [1.0 / n for n in step]
    whole = ndi.affine_transform(
        trend, scale, output_shape=smooth.shape, order=1, mode="nearest", output=np.float32
    )
    return whole, sd


def _lower_sd(deviation: NDArray[np.floating]) -> float:
    below = deviation[deviation < 0.0]
    return max(1.4826 * float(np.median(-below)), 0.5) if below.size else 1.0
