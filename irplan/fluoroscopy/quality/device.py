"""Devices in a filtered run: contrast kept, signal to noise, and what stays when they have gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from irplan.errors import InputError
from irplan.fluoroscopy.quality.frames import require_image, require_same_shape

_RING_FROM_PX, _RING_TO_PX, _NEAR_PX = 3, 12, 4
_DISC = np.hypot(*np.mgrid[-1:2, -1:2]) < 1.5


@dataclass(frozen=True)
class DeviceQuality:
    """One device in one frame.

    ``retention`` : contrast shown over contrast in truth, both against the frame's surroundings
    beside the device; 1 is faithful.
    ``snr`` : mean contrast shown over the SD of the error within 4 px of it, a pixel.  The device's
    own pixels count, so a halo, a smear or a lost part is an error as noise is.
    ``contrast`` : mean true contrast over the device's pixels, value units (positive: darker).
    ``noise_sd`` : that SD, value units.
    ``pixels`` : of the device.
    """

    retention: float
    snr: float
    contrast: float
    noise_sd: float
    pixels: int


def device_mask(
    truth: NDArray[np.float64], truth_without: NDArray[np.float64], *, share: float = 0.5
) -> NDArray[np.bool_]:
    """Where the device takes at least ``share`` of its 95th percentile contrast in clean frames."""
    difference = np.abs(np.asarray(truth_without) - np.asarray(truth))
    top = float(difference.max())
    if not top > 0:
        return np.zeros(difference.shape, dtype=np.bool_)
    strong = difference[difference >= 0.2 * top]
    out: NDArray[np.bool_] = difference >= share * float(np.percentile(strong, 95.0))
    return out


def device_quality(
    shown: NDArray[np.float64],
    truth: NDArray[np.float64],
    truth_without: NDArray[np.float64],
    *,
    avoid: NDArray[np.bool_] | None = None,
) -> DeviceQuality:
    """Retention and SNR of a device in one frame.

    Retention is the least-squares factor of the true contrast in ``shown`` less the truth without
    the device, after the mean error of the ring around it is taken off: noise moves it by its
    own average only.

    Parameters
    ----------
    shown : the filter's frame, in the truth's units (row, column).
    truth, truth_without : the clean frame with and without the device, blurred by the detector.
    avoid : pixels of other devices, left out beside the device.

    Raises `InputError` for a device that is not in the frame.
    """
    image = require_image(shown, "shown")
    require_same_shape(image, np.asarray(truth), "truth")
    require_same_shape(image, np.asarray(truth_without), "truth_without")
    contrast = np.asarray(truth_without, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    mask = device_mask(np.asarray(truth), np.asarray(truth_without))
    ring = ring_of(np.abs(contrast) > 0.05 * np.abs(contrast).max(), avoid)
    if mask.sum() < 4 or ring.sum() < 50:
        raise InputError(
            "device",
            got=f"{int(mask.sum())} pixels of it, {int(ring.sum())} beside it",
            expected="a device in the frame, with ground beside it",
            remedy="Measure a frame that shows it.",
        )
    error = image - np.asarray(truth, dtype=np.float64)
    offset = float(error[ring].mean())
    loss = image[mask] - offset - np.asarray(truth_without, dtype=np.float64)[mask]
    true = contrast[mask]
    retention = -float(loss @ true) / float(true @ true)
    near = binary_dilation(mask, _DISC, iterations=_NEAR_PX)
    if avoid is not None:
        near &= ~avoid | mask
    sd = float(error[near].std(ddof=1))
    mean = float(true.mean())
    return DeviceQuality(
        retention, retention * abs(mean) / max(sd, 1e-300), mean, sd, int(mask.sum())
    )


def device_residual(
    shown: NDArray[Any],
    shown_never: NDArray[Any],
    contrast: NDArray[Any],
) -> float:
    """Part of a device's contrast still shown where it was, after it has gone.

    Parameters
    ----------
    shown : frame some time after the device left.
    shown_never : the same frame of a run with the same noise in which it never was.
    contrast : true contrast (without less with) when it was last there; all (row, column).
    """
    require_same_shape(shown, shown_never, "shown_never")
    require_same_shape(shown, contrast, "contrast")
    where = np.abs(contrast) >= 0.5 * np.abs(contrast).max()
    true = contrast[where].astype(np.float64)
    left = (np.asarray(shown_never, dtype=np.float64) - shown)[where]
    return float(left @ true) / float(true @ true)


def ring_of(
    object_mask: NDArray[np.bool_], avoid: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """The pixels 3 to 12 px off an object, without ``avoid``."""
    inner = binary_dilation(object_mask, _DISC, iterations=_RING_FROM_PX)
    outer = binary_dilation(inner, _DISC, iterations=_RING_TO_PX - _RING_FROM_PX)
    ring: NDArray[np.bool_] = outer & ~inner
    return ring if avoid is None else ring & ~avoid
