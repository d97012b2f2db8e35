"""Shifts of CT numbers that follow the scan, not the tissue: darker lobe, noise swell, streaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.geometry import Grid
from irplan.image import structure
from irplan.phantom.body import Body

F32 = NDArray[np.float32]
#: Where the round ligament lies, reference mm, and the width of the change at it.
LIGAMENT_X, LIGAMENT_WIDTH_MM = 10.0, 9.0
#: Metal is what exceeds this before the scale's end is applied, HU.
METAL_HU = 3000.0
#: Pixel of the streaks' own projections and images, mm; views over half a turn.
STREAK_MM, STREAK_VIEWS = 4.0, 90
#: Attenuation of water at 70 keV, per mm.
WATER_PER_MM = 0.0193
#: Beam hardening: p - b p^2 is measured for metal path p; share of it that stays. [S: b of
#: titanium at 120 kVp such that a screw's streaks reach 100-300 HU]
HARDENING = 0.06


def darken_left_lobe(
    image: F32, labels: NDArray[np.uint8], grid: Grid, body: Body, hu: float
) -> None:
    """Add ``hu`` to the parenchyma left of the round ligament, with a soft change, in place."""
    inside = labels == structure("liver").value
    x = grid.affine[0, 3] + grid.spacing_mm[2] * np.arange(grid.shape[2])
    y = grid.affine[1, 3] + grid.spacing_mm[1] * np.arange(grid.shape[1])
    u = body.upright(x[None, :].astype(np.float32), y[:, None].astype(np.float32))[0]
    left = 1.0 / (1.0 + np.exp(-(u / body.scale[0] - LIGAMENT_X) / LIGAMENT_WIDTH_MM))
    image += np.where(inside, np.float32(hu) * left[None].astype(np.float32), np.float32(0.0))


def swell(grid: Grid, body: Body, amount: float) -> F32:
    """(1, row, column) factor of the noise's SD: larger in the body's middle, mean square 1 in it.

    A water ellipse's variance of noise grows towards its centre as exp(mu d) does (Chesler,
    Riederer & Pelc, J Comput Assist Tomogr 1977;1:64); here a smooth bump stands for it.
    """
    x = (grid.affine[0, 3] + grid.spacing_mm[2] * np.arange(grid.shape[2])) / body.half_width
    y = (grid.affine[1, 3] + grid.spacing_mm[1] * np.arange(grid.shape[1])) / body.half_depth
    r2 = x[None, :] ** 2 + y[:, None] ** 2
    factor = 1.0 + amount * np.exp(-1.5 * r2)
    factor /= np.sqrt(np.mean(factor[r2 < 1.0] ** 2))
    out: F32 = factor[None].astype(np.float32)
    return out


def metal_streaks(image: F32, grid: Grid) -> None:
    """Add what beam hardening by metal does to every slice that holds some, in place.

    The metal's path is projected (parallel beam), the second-order error of the measured line
    integral, -b (p_metal^2 + 2 p_metal p_body), is reconstructed by filtered backprojection and
    added (De Man et al., IEEE Trans Nucl Sci 1999;46:691, on what causes metal streaks).
    Scatter, photon starvation and motion are left out.
    """
    pixel = grid.spacing_mm[1:]
    rows = np.flatnonzero((image > METAL_HU).any(axis=(1, 2)))
    zoom = [p / STREAK_MM for p in pixel]
    last_z, error = -1e9, np.zeros((1, 1), dtype=np.float32)
    for k in rows:
        z = k * grid.spacing_mm[0]
        if z - last_z >= 4.0:  # streaks change little within 4 mm
            plane = image[k]
            bright = np.clip(plane - METAL_HU, 0.0, 3000.0) / 1000.0
            thick = ndimage.gaussian_filter(bright, [0.4 / f for f in zoom])
            metal = ndimage.zoom(thick, zoom, order=1)
            # the coarse pixels keep the metal's amount
            metal *= float(bright.sum()) * np.prod(zoom) / max(float(metal.sum()), 1e-6)
            body = np.clip(ndimage.zoom(plane, zoom, order=1) / 1000.0 + 1.0, 0.0, 2.0)
            error = _streaks(metal, body)
            last_z = z
        back = [n / m for n, m in zip(image.shape[1:], error.shape, strict=True)]
        image[k] += ndimage.zoom(error, back, order=1)


def _streaks(metal: NDArray[np.floating], body: NDArray[np.floating]) -> F32:
    """HU error of one slice; inputs in units of water's attenuation, pixels of `STREAK_MM`."""
    side = int(np.ceil(np.hypot(*metal.shape))) | 1
    both = []
    for plane in (metal, body):
        padded = np.zeros((side, side), dtype=np.float32)
        a, b = ((side - n) // 2 for n in plane.shape)
        padded[a : a + plane.shape[0], b : b + plane.shape[1]] = plane
        both.append(padded)
    angles = 180.0 * np.arange(STREAK_VIEWS) / STREAK_VIEWS
    unit = WATER_PER_MM * STREAK_MM
    frequency = np.abs(np.fft.rfftfreq(2 * side))
    out = np.zeros((side, side), dtype=np.float32)
    for angle in angles:
        m, w = (ndimage.rotate(p, angle, reshape=False, order=1).sum(axis=0) * unit for p in both)
        bad = -HARDENING * (m * m + 2.0 * m * w)
        ramp = np.fft.irfft(np.fft.rfft(bad, 2 * side) * 2.0 * frequency)[:side]
        smear = np.broadcast_to(ramp.astype(np.float32), (side, side))
        out += ndimage.rotate(smear, -angle, reshape=False, order=1, mode="nearest")
    out *= np.float32(np.pi / (2.0 * STREAK_VIEWS) / unit * 1000.0)
    a, b = ((side - n) // 2 for n in metal.shape)
    return out[a : a + metal.shape[0], b : b + metal.shape[1]]
