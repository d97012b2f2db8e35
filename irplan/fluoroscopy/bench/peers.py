"""Published filters to measure against, each as a stream filter in the stabilised domain.

All get what irplan's own filter gets: gain and electronic noise of the detector.  The noise SD they
need is measured on the run itself (differences of frames), since the detector's blur lowers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.compute.cpu.fluoro_nvca import conditioned_average
from irplan.errors import InputError, MissingExtraError
from irplan.fluoroscopy.filter import FilterFactory, Frame, State, StreamFacts, checked
from irplan.image import Photometry

#: Takes the last frames (stabilised, SD 1 after scaling), gives the filtered one.
_Kernel = Callable[[NDArray[np.float32]], Frame]


def stabilised(frame: Frame, photometry: Photometry) -> Frame:
    """Generalised Anscombe transform, f = (2/a) sqrt(a y + 3/8 a^2 + s^2); noise of SD 1."""
    gain, sd = _noise(photometry)
    y = np.asarray(frame, np.float64) - photometry.offset
    out = 2.0 / gain * np.sqrt(np.maximum(gain * y + 0.375 * gain**2 + sd**2, 0.0))
    return out.astype(np.float32)


def restored(image: Frame, photometry: Photometry) -> Frame:
    """Its unbiased inverse for smoothed images, y = a (D/2)^2 - a/8 - s^2/a."""
    gain, sd = _noise(photometry)
    d = np.asarray(image, np.float64)
    out = gain * np.square(d / 2.0) - gain / 8.0 - sd**2 / gain + photometry.offset
    return out.astype(np.float32)


def _noise(photometry: Photometry) -> tuple[float, float]:
    if photometry.gain is None:
        raise InputError(
            "peer filters",
            got="a run whose noise is not known (no gain)",
            expected="a detector's gain and electronic noise",
            remedy="Use simulated scenes, or name the gain.",
        )
    return photometry.gain, photometry.electronic_sd or 0.0


class PeerFilter:
    """Holds the last stabilised frames and calls a kernel on them, scaled to noise of SD 1.

    ``latency_frames``: how many frames late it answers (methods that look ahead);
    ``memory_frames``: earlier frames do not matter to it; those before are only watched.
    """

    def __init__(
        self, facts: StreamFacts, kernel: _Kernel, *, frames: int = 1, latency_frames: int = 0
    ) -> None:
        _noise(facts.photometry)
        self._facts, self._kernel, self._count = facts, kernel, frames
        self.latency_frames = latency_frames
        self.memory_frames = frames
        self._last: list[Frame] = []
        self._sd = 0.0

    def step(self, frame: Frame) -> Frame:
        """The filtered frame (of ``latency_frames`` ago)."""
        self.watch(frame)
        stack = np.stack([self._last[0]] * (self._count - len(self._last)) + self._last)
        scale = np.float32(self._sd or 0.8)
        return restored(self._kernel(stack / scale) * scale, self._facts.photometry)

    def watch(self, frame: Frame) -> None:
        """Take a frame whose result nobody asks for (the slow part is left out)."""
        new = stabilised(checked(frame, self._facts.shape), self._facts.photometry)
        if self._last:
            change = np.abs(new - self._last[-1])[::2, ::2]
            sd = float(np.median(change)) * 1.4826 / np.sqrt(2.0)
            self._sd = sd if self._sd == 0.0 else 0.8 * self._sd + 0.2 * sd
        self._last = [*self._last, new][-self._count :]

    def state(self) -> State:
        """The frames it holds, and the noise."""
        if not self._last:
            return {}
        return {"last": np.stack(self._last), "sd": np.array(self._sd)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._last = [np.array(f) for f in state["last"]] if "last" in state else []
        self._sd = float(state["sd"]) if "sd" in state else 0.0


@dataclass(frozen=True)
class Peer:
    """A peer: its ``name``, what it is, the module it ``needs`` ("" none) and its maker."""

    name: str
    title: str
    needs: str
    factory: FilterFactory

    @property
    def installed(self) -> bool:
        """Whether its module can be imported."""
        return not self.needs or find_spec(self.needs) is not None


def peer(name: str) -> FilterFactory:
    """The factory of a peer; `MissingExtraError` where its module is absent."""
    found = PEERS[name]
    if not found.installed:
        raise MissingExtraError(f"peer filter '{name}'", package=found.needs, extra="peers")
    return found.factory


#: Strengths were chosen on the tuning seeds for the best device SNR (docs/fluoroscopy.md).
_NLM_H, _NVCA_LIMIT, _TV_WEIGHT = 0.7, 2.5, 1.2
_EIGHT_BIT = 16.0  # grey levels a noise SD


def _nl_means(facts: StreamFacts) -> PeerFilter:
    import cv2

    def kernel(stack: NDArray[np.float32]) -> Frame:
        low = float(stack[2].min())
        grey = [np.clip(np.rint((f - low) * _EIGHT_BIT) + 8, 0, 255).astype(np.uint8)
                for f in stack]  # fmt: skip
        done = cv2.fastNlMeansDenoisingMulti(
            grey, 2, 5, h=_NLM_H * _EIGHT_BIT, templateWindowSize=7, searchWindowSize=21
        )
        out: Frame = (np.asarray(done, np.float32) - 8) / np.float32(_EIGHT_BIT) + np.float32(low)
        return out

    return PeerFilter(facts, kernel, frames=5, latency_frames=2)


def _nvca(facts: StreamFacts) -> PeerFilter:
    def kernel(stack: NDArray[np.float32]) -> Frame:
        out: Frame = np.empty_like(stack[-1])
        conditioned_average(stack, 2, _NVCA_LIMIT, out)
        return out

    return PeerFilter(facts, kernel, frames=5)


def _bm3d(facts: StreamFacts) -> PeerFilter:
    import bm3d

    psd: list[NDArray[np.float64]] = []

    def kernel(stack: NDArray[np.float32]) -> Frame:
        rows, columns = stack.shape[1:]
        if not psd:  # spectrum of the noise, from the first difference of two frames
            change = (stack[-1] - stack[-2]) / np.sqrt(2.0)
            if not change.any():
                return np.array(stack[-1], np.float32)
            spectrum = np.abs(np.fft.fft2(change - change.mean())) ** 2
            psd.append(_smoothed(spectrum, rows, columns))
        with _old_trapz():
            out: Frame = np.asarray(bm3d.bm3d(stack[-1], psd[0]), np.float32)
        return out

    return PeerFilter(facts, kernel, frames=2)


@contextmanager
def _old_trapz() -> Iterator[None]:
    """bm4d 4.2.5 calls numpy.trapz, which numpy 2.4 no longer has."""
    absent = not hasattr(np, "trapz")
    if absent:
        setattr(np, "trapz", np.trapezoid)  # noqa: B010
    try:
        yield
    finally:
        if absent:
            delattr(np, "trapz")


def _smoothed(spectrum: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """A noise spectrum that depends on the distance from zero frequency only."""
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None, :])
    ring = np.minimum((radius * 64).astype(int), 31)
    mean = np.bincount(ring.ravel(), spectrum.ravel()) / np.bincount(ring.ravel())
    out: NDArray[np.float64] = mean[ring]
    return out


def _tv(facts: StreamFacts) -> PeerFilter:
    from skimage.restoration import denoise_tv_chambolle

    def kernel(stack: NDArray[np.float32]) -> Frame:
        return np.asarray(denoise_tv_chambolle(stack[-1], weight=_TV_WEIGHT), np.float32)

    return PeerFilter(facts, kernel)


def _wavelet(facts: StreamFacts) -> PeerFilter:
    from skimage.restoration import denoise_wavelet

    shrink = partial(
        denoise_wavelet, sigma=1.0, method="BayesShrink", wavelet="db2", rescale_sigma=False
    )

    def kernel(stack: NDArray[np.float32]) -> Frame:
        return np.asarray(shrink(stack[-1]), np.float32)

    return PeerFilter(facts, kernel)


PEERS: dict[str, Peer] = {
    p.name: p
    for p in (
        Peer("cv2-nlm", "OpenCV NlMeansMulti, 5 frames, 2 frames late", "cv2", _nl_means),
        Peer("nvca", "noise-variance conditioned average, 5 x 5 x 5", "", _nvca),
        Peer("bm3d", "BM3D with the noise's spectrum, frame by frame", "bm3d", _bm3d),
        Peer("tv", "total variation (Chambolle), frame by frame", "", _tv),
        Peer("wavelet", "wavelets (BayesShrink), frame by frame", "pywt", _wavelet),
    )
}
