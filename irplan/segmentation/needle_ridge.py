"""Whether a shaft stands out from what lies beside it, as metal does and a halo does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.image import Volume
from irplan.segmentation.needle_axis import ShaftAxis, frame, sample

F64 = NDArray[np.float64]
#: Middle of the shaft, how far beside it its foot is looked for, and the steps, mm.
CORE_MM, BESIDE_MM, STEP_MM = 1.3, 5.0, 0.5
#: Directions across the shaft, over half a turn.
DIRECTIONS = 12
#: Longest HU that counts; scans are cut at 3071 or not at all.
TOP_HU = 32767.0


@dataclass(frozen=True)
class Ridge:
    """How a shaft stands out: ``rise_hu`` of its middle over the higher side, ``share`` of that in
    its height over the lowest side (1: stands alone; 0 or less: on a slope)."""

    rise_hu: float
    share: float


def ridge(volume: Volume, axis: ShaftAxis) -> Ridge:
    """The least rise of the shaft's middle over both its sides.

    The profile across, median over stations 1 mm apart, must fall on both sides in every direction.
    A needle's does.  A shaft near the slice's plane of a cone-beam scan is told by the few views
    that look along it, and through so much metal they see no difference any more: it is smeared in
    that plane, and lines beside it are as bright as metal, but they rise towards it.
    Cost: about 10 ms for 100 mm.
    """
    s = np.arange(axis.start + 2.0, axis.end - 1.5, 1.0)
    t = np.arange(-BESIDE_MM, BESIDE_MM + 0.5 * STEP_MM, STEP_MM)
    u, v = frame(axis.direction)
    angle = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    across = np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v
    line = axis.point + s[:, None] * axis.direction
    points = line[:, None, None] + t[None, None, :, None] * across[None, :, None]
    hu = sample(volume, points.reshape(-1, 3), top_hu=TOP_HU)
    profile = np.median(hu.reshape(len(s), DIRECTIONS, len(t)), axis=0)
    middle = float(profile[:, np.abs(t) < 0.5 * STEP_MM].mean())
    sides = [profile[:, sign * t > CORE_MM].min(axis=1) for sign in (-1.0, 1.0)]
    foot = np.maximum(*sides)  # of each direction
    rise = middle - float(foot.max())
    return Ridge(rise, rise / max(1.0, middle - float(foot.min())))
