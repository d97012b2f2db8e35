"""Structure a filter loses, and structure it invents, against the clean truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from irplan.errors import InputError
from irplan.fluoroscopy.quality.frames import require_image, require_positive, require_same_shape

#: Radii (px) of the bands, each a difference of Gaussians tuned to a spot of that radius.
_RADII_PX = (1.5, 3.0, 6.0)


@dataclass(frozen=True)
class StructureChange:
    """Lost and invented structure of one frame.

    ``lost`` : share of the truth's structure (pixels and bands above the threshold) shown with
    less than half its contrast, or with the wrong sign.
    ``invented_per_mpx`` : peaks above the threshold, per million pixels, where the truth has less
    than half of it within two radii.  Peaks, not connected areas: dense noise is one area.
    ``threshold`` : relative contrast that counts as structure.
    ``structure_px`` : how many pixel-bands of the truth exceed it.
    """

    lost: float
    invented_per_mpx: float
    threshold: float
    structure_px: int


def structure_change(
    shown: NDArray[np.float64], truth: NDArray[np.float64], *, threshold: float = 0.03
) -> StructureChange:
    """Compare two frames band by band (spots of 1.5, 3 and 6 px), both as relative contrast.

    Parameters
    ----------
    shown, truth : (row, column), linear in intensity, in one unit, positive on average.
    threshold : relative contrast of a spot that counts as structure.

    The unfiltered frame has invented spots too: they are noise.  Compare filters with it.
    Raises `InputError` for images that do not fit or a truth without light.
    """
    image, true = require_image(shown, "shown"), require_image(truth, "truth")
    require_same_shape(image, true, "truth")
    limit = require_positive(threshold, "threshold", "relative contrast")
    level = gaussian_filter(true, 25.0)
    if float(level.min()) <= 0:
        raise InputError(
            "truth",
            got="parts without light",
            expected="a truth above zero: the offset taken off, not logarithmic",
            remedy="Give frames linear in intensity.",
        )
    lost = structure = invented = 0
    for radius in _RADII_PX:
        seen, there = (_band(x / level, radius) for x in (image, true))
        strong = np.abs(there) >= limit
        structure += int(strong.sum())
        lost += int((seen[strong] * np.sign(there[strong]) < 0.5 * np.abs(there[strong])).sum())
        reach = 2 * round(radius) + 1  # peaks nearer than a radius are one spot
        for sign in (1.0, -1.0):
            peaks = (sign * seen >= limit) & (sign * seen == maximum_filter(sign * seen, reach))
            near = maximum_filter(sign * there, 2 * reach + 1) >= 0.5 * limit
            invented += int((peaks & ~near).sum())
    return StructureChange(
        lost / structure if structure else 0.0,
        invented / (image.size * 1e-6),
        limit,
        structure,
    )


def _band(relative: NDArray[np.float64], radius_px: float) -> NDArray[np.float64]:
    """Response to spots of a radius, scaled so that such a disc of contrast c answers with c."""
    inner = radius_px / np.sqrt(2.0)
    response = gaussian_filter(relative, inner) - gaussian_filter(relative, 1.6 * inner)
    # centre of a disc of radius R under a Gaussian s: 1 - exp(-R^2 / 2 s^2)
    gain = np.exp(-(radius_px**2) / (2 * (1.6 * inner) ** 2)) - np.exp(
        -(radius_px**2) / (2 * inner**2)
    )
    out: NDArray[np.float64] = response / gain
    return out
