"""PSNR and SSIM against a clean truth: reported because readers ask; they flatter smoothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from irplan.fluoroscopy.quality.frames import require_image, require_positive, require_same_shape


def psnr_db(
    shown: NDArray[np.float64],
    truth: NDArray[np.float64],
    *,
    peak: float | None = None,
    where: NDArray[np.bool_] | None = None,
) -> float:
    """10 log10(peak^2 / mean squared error), dB; infinite for equal images.

    ``peak``: value range (default: the truth's); ``where``: only these pixels.
    """
    image, true, span = _checked(shown, truth, peak)
    squared = (image - true) ** 2
    mse = float(squared.mean() if where is None else squared[where].mean())
    return float("inf") if mse == 0 else 10.0 * float(np.log10(span**2 / mse))


def ssim(
    shown: NDArray[np.float64], truth: NDArray[np.float64], *, peak: float | None = None
) -> float:
    """Mean structural similarity (Wang et al., IEEE Trans. Image Process. 13:600, 2004).

    Gaussian window of 1.5 px, K1 = 0.01, K2 = 0.03; ``peak`` as `psnr_db`.
    """
    image, true, span = _checked(shown, truth, peak)
    return float(
        structural_similarity(
            image, true, data_range=span, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
    )  # fmt: skip


def _checked(
    shown: NDArray[np.float64], truth: NDArray[np.float64], peak: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    image, true = require_image(shown, "shown"), require_image(truth, "truth")
    require_same_shape(image, true, "truth")
    span = float(true.max() - true.min()) if peak is None else peak
    return image, true, require_positive(span, "peak", "value units")
