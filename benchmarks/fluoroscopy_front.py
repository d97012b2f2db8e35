"""What any linear temporal filter can do for discs: ``python -m benchmarks.fluoroscopy_front``.

In white frame noise a causal filter h shows a disc that moves v px/frame as sum h_k s(x - k v),
with the noise power of one frame times sum h^2.  d' over raw of a Hotelling observer in place is
then sqrt(h' G h / h' h), with G = T S^-1 T' over its value for one frame (rows of T: channel
outputs of the disc k frames ago; S: the channels' covariance).  The filters that cannot be bettered
maximise a sum of these squares with non-negative weights: its first eigenvectors, scanned here.
The channels, the detector's MTF and its noise at 10 nGy are the benchmark's; its lag is left out.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from numpy.typing import NDArray

from irplan.cli.columns import columns
from irplan.compute.cpu import fluoro_draw
from irplan.fluoroscopy.bench.disc_observers import place_channels
from irplan.fluoroscopy.bench.disc_runs import HALF_PATCH_PX, DiscCell, DiscSetting
from irplan.fluoroscopy.settings import FluoroSettings
from irplan.fluoroscopy.temporal import Tables

FRAMES = 24  # taps: as many frames as the benchmark's runs have
_SIDE = 2 * HALF_PATCH_PX + 1
_RADII, _SPEEDS = (2.0, 3.0, 5.0, 8.0), (0.0, 1.0, 3.0, 5.0)
Vector = NDArray[np.float64]


def gram(radius_px: float, speed_px: float) -> Vector:
    """G over its first element, (tap, tap)."""
    setting = DiscSetting(10.0, (192, 192))
    d = setting.detector
    channels = place_channels(DiscCell(radius_px, 0.05, speed_px))
    f = np.fft.fftfreq(192, d.pixel_mm)
    transfer = d.mtf(np.hypot(f[:, None], f[None, :]))
    power = d.quanta(10.0) * transfer**2 + d.electronic_sd_quanta**2
    padded = np.zeros((channels.shape[1], 192, 192))
    padded[:, :_SIDE, :_SIDE] = channels.T.reshape(-1, _SIDE, _SIDE)
    spectra = np.fft.fft2(padded).reshape(channels.shape[1], -1)
    covariance = ((spectra * power.ravel()) @ spectra.conj().T).real / 192**2
    outputs = np.zeros((FRAMES, channels.shape[1]))
    for k in range(FRAMES):
        column = HALF_PATCH_PX + 60.0 - k * speed_px
        if column < -radius_px - 4.0:
            break
        disc = np.zeros((192, 192), np.float32)
        fluoro_draw.disc(HALF_PATCH_PX + 30.0, column, radius_px, 1.0, disc)
        blurred = np.fft.ifft2(np.fft.fft2(disc) * transfer).real
        outputs[k] = blurred[30 : 30 + _SIDE, 60 : 60 + _SIDE].ravel() @ channels
    g = outputs @ np.linalg.solve(covariance, outputs.T)
    return g / g[0, 0]


def of_preset(settings: FluoroSettings) -> Vector:
    """The taps of the temporal stage's last frame of `FRAMES`, where nothing is sure."""
    t = Tables(settings.temporal)
    taps = np.zeros(FRAMES)
    for n in range(FRAMES):  # a frame of one among zeros, the n-th
        m1 = m2 = float(n == 0)
        count, shown = 4, m1
        for frame in range(1, FRAMES):
            d = float(frame == n)
            m = t.mix * m1 + (1 - t.mix) * m2
            shown = m + float(t.show[count]) * (d - m)
            m1 += float(t.gain1[count]) * (d - m1)
            m2 += float(t.gain2[count]) * (d - m2)
            count = min(count + 4, t.most)
        taps[FRAMES - 1 - n] = shown
    return taps


def front(grams: dict[tuple[float, float], Vector]) -> list[Vector]:
    """Filters that cannot be bettered for 2 px discs at all four speeds."""
    weights = np.geomspace(0.02, 50.0, 14)
    out = []
    for a, b, c in product(weights, (0.0, *weights), weights):
        total = grams[2.0, 0.0] + a * grams[2.0, 1.0] + b * grams[2.0, 3.0] + c * grams[2.0, 5.0]
        out.append(np.abs(np.linalg.eigh(total)[1][:, -1]))
    return out


def main() -> None:
    """Print the front beside irplan's temporal stage, recursive 0.5 and the mean of five."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    grams = {(r, v): gram(r, v) for r, v in product(_RADII, _SPEEDS)}

    def gain(h: Vector, radius: float, speed: float) -> float:
        return float(np.sqrt(h @ grams[radius, speed] @ h / (h @ h)))

    five = np.r_[np.ones(5), np.zeros(FRAMES - 5)]
    rows = {
        "general, temporal stage": of_preset(FluoroSettings()),
        "recursive 0.5": 0.5 ** np.arange(1, FRAMES + 1),
        "mean of 5 frames": five,
    }
    best = front(grams)
    for still, fast in ((2.4, 0.88), (2.4, 0.90), (2.4, 0.92), (2.4, 0.94), (1.0, 0.90)):
        able = [h for h in best if gain(h, 2.0, 0.0) >= still and gain(h, 2.0, 5.0) >= fast]
        name = f"best with still >= {still:g}, 5 px/frame >= {fast:g}"
        if able:
            rows[name] = max(able, key=lambda h: gain(h, 2.0, 1.0))
    heads = ("d' over raw, in place", *(f"r {r:g}, v {v:g}" for r, v in _COLUMNS))
    print(columns(heads, [(n, *(f"{gain(h, r, v):.2f}" for r, v in _COLUMNS))
                          for n, h in rows.items()]))  # fmt: skip


_COLUMNS = ((2.0, 0.0), *product((2.0, 3.0, 8.0), (1.0, 3.0, 5.0)))


if __name__ == "__main__":
    main()
