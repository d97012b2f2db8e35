"""Digital subtraction angiography as a causal filter: mask, pixel shift, subtraction, filter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.exposure import block_levels, exposure_ratio
from irplan.fluoroscopy.filter import FilterFactory, Frame, State, StreamFacts, checked
from irplan.fluoroscopy.noise import NoiseModel, block_noise, fit_noise
from irplan.fluoroscopy.pipeline import Pipeline
from irplan.fluoroscopy.registration import PixelShift, moved, pixel_shift, shift_field
from irplan.fluoroscopy.settings import FluoroSettings
from irplan.fluoroscopy.shift_track import ShiftTrack
from irplan.image import FluoroSequence

_BLOCKS = 12
#: Stages of the pipeline that a subtraction leaves out, whatever the preset.
OFF_IN_SUBTRACTION = ("motion", "enhance")


class Subtraction:
    """ln(mask) - ln(live), mask shifted to the live frame, noise filtered after subtraction.

    The first ``mask_frames`` frames are averaged to the mask and give a picture of zeros; then
    each frame is registered against it (`pixel_shift`, steadied by `ShiftTrack`; a change of the
    exposure that is the same everywhere is given to the mask), subtracted on
    variance-stabilised values, filtered there by the `Pipeline`'s temporal and spatial stages (the
    anatomy is gone, so they work on vessels alone), and turned into the logarithm of the ratio of
    intensities: contrast agent is positive, in units of mu times thickness.

    Parameters
    ----------
    facts, settings : as for `Pipeline`; its motion control is off (the mask is moved instead).
    mask_frames : how many first frames make the mask.
    shift : "none", "rigid" or "elastic".
    filtered : False subtracts only.
    off, own : stages left out and replaced, as for `Pipeline` (motion and enhancement are off).
    """

    def __init__(
        self,
        facts: StreamFacts,
        settings: FluoroSettings | None = None,
        *,
        mask_frames: int = 4,
        shift: str = "rigid",
        filtered: bool = True,
        off: tuple[str, ...] = (),
        own: Mapping[str, FilterFactory | str] | None = None,
    ) -> None:
        if shift not in ("none", "rigid", "elastic"):
            raise InputError(
                "shift", got=repr(shift), expected="none, rigid or elastic", remedy="Use one."
            )
        if mask_frames < 1:
            raise InputError(
                "mask_frames", got=f"{mask_frames}", expected="1 or more", remedy="Use 4."
            )
        if facts.photometry.relation != "linear":
            raise InputError(
                "subtraction",
                got=f"values that are '{facts.photometry.relation}'",
                expected="values in proportion to intensity",
                remedy="Subtract the run as stored by the X-ray system (relation LIN).",
            )
        self.facts, self._shift, self._count = facts, shift, mask_frames
        self._pipeline = Pipeline(facts, settings, off=(*off, *OFF_IN_SUBTRACTION), own=own)
        self._filtered = filtered
        self._mask: Frame | None = None
        self._ratio = 1.0  # exposure of the last frame over the mask's
        self._sum = np.zeros(facts.shape, np.float64)
        self._seen = 0
        self._model: NoiseModel | None = None
        self._last: Frame | None = None
        self._track = ShiftTrack()
        #: The shift of the last frame.
        self.shift = PixelShift((0.0, 0.0), None)

    def step(self, frame: Frame) -> Frame:
        """The subtracted frame (zeros while the mask is made)."""
        new = checked(frame, self.facts.shape)
        self._seen += 1
        if self._seen <= self._count:
            self._sum += new
            mean, variance = block_noise(new, self._last)
            self._model = fit_noise(mean, variance, self.facts.photometry)
            self._last = new.copy()
            if self._seen == self._count:
                self._mask = np.empty(self.facts.shape, np.float32)
                self._model.stabilise((self._sum / self._count).astype(np.float32), self._mask)
            return np.zeros(self.facts.shape, np.float32)
        model, mask = self._model, self._mask
        if model is None or mask is None:
            raise InputError("mask", got="none", expected="a mask", remedy="Restore a whole state.")
        live = np.empty(self.facts.shape, np.float32)
        model.stabilise(new, live)
        ratio = self._exposure(new)
        lit = ratio is not None  # else the beam was off: the frame moves and teaches nothing
        mask = self._at_exposure(mask, model, self._ratio if ratio is None else ratio)
        if not lit:
            mask = moved(mask, self.shift)
        elif self._shift != "none":
            first = self._seen == self._count + 1
            start = None if first else self._track.predicted()
            rigid = self._track.step(pixel_shift(mask, live, start=start).rigid)
            self.shift = PixelShift(rigid, None)
            if self._shift == "elastic":
                self.shift = shift_field(mask, live, rigid, _BLOCKS)
            mask = moved(mask, self.shift)
        difference = live - mask
        if self._filtered and lit:
            difference = self._pipeline.filtered_difference(difference)
        before, now = np.empty_like(live), np.empty_like(live)
        model.unstabilise(mask, before)
        model.unstabilise(mask + difference, now)
        least = np.float32(0.02 * max(float(np.median(before)) - model.offset, 1e-6))
        out: Frame = np.log(
            np.maximum(before - np.float32(model.offset), least)
            / np.maximum(now - np.float32(model.offset), least)
        )
        return out

    def _exposure(self, new: Frame) -> float | None:
        """That of a frame over the mask's; None for one without light."""
        offset = self.facts.photometry.offset
        ratio = exposure_ratio(block_levels(new, offset), block_levels(self._plain_mask, offset))
        return ratio if isinstance(ratio, float) else None

    @property
    def _plain_mask(self) -> Frame:
        return (self._sum / self._count).astype(np.float32)

    def _at_exposure(self, mask: Frame, model: NoiseModel, ratio: float) -> Frame:
        """The mask as it would be at ``ratio`` times its exposure."""
        if ratio != self._ratio:  # stabilised differences grow as the root of the dose
            self._pipeline.scale_difference(math.sqrt(ratio / self._ratio))
            self._ratio = ratio
        if ratio == 1.0:
            return mask
        out = np.empty(self.facts.shape, np.float32)
        offset = np.float32(self.facts.photometry.offset)
        model.stabilise((self._plain_mask - offset) * np.float32(ratio) + offset, out)
        return out

    def state(self) -> State:
        """Mask, sums and the stages' states."""
        if self._seen == 0:
            return {}
        out: State = {"seen": np.array(self._seen), "sum": self._sum.copy()}
        out["ratio"] = np.array(self._ratio)
        out["rigid"], out["track"] = np.array(self.shift.rigid), self._track.state()
        if self._mask is not None:
            out["mask"] = self._mask.copy()
        if self._last is not None:
            out["last"] = self._last.copy()
        if self._model is not None:
            out |= {f"noise/{k}": v for k, v in self._model.state().items()}
        return out | {f"stages/{k}": v for k, v in self._pipeline.stage_states().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._seen = int(state["seen"]) if "seen" in state else 0
        self._sum = np.array(state["sum"]) if "sum" in state else np.zeros(self.facts.shape)
        self._mask = np.array(state["mask"], np.float32) if "mask" in state else None
        self._ratio = float(state["ratio"]) if "ratio" in state else 1.0
        self._last = np.array(state["last"], np.float32) if "last" in state else None
        row, column = (float(v) for v in state.get("rigid", np.zeros(2)))
        self.shift = PixelShift((row, column), None)
        self._track = ShiftTrack()
        if "track" in state:
            self._track.restore(np.asarray(state["track"]))
        noise = {k[6:]: v for k, v in state.items() if k.startswith("noise/")}
        self._model = NoiseModel.of_state(noise) if noise else None
        self._pipeline.restore_stages(
            {k[7:]: v for k, v in state.items() if k.startswith("stages/")}
        )


def choose_mask(run: FluoroSequence, *, most: int = 8) -> tuple[int, ...]:
    """Frames for the mask: those the file names, else the first ones before contrast arrives.

    Contrast arrives where the darkest hundredth of 16 x 16 block means falls by more than 4 SD
    of what it did in the first frames; at most ``most`` frames, at least one.
    """
    if run.mask_frames:
        return run.mask_frames
    rows, columns = (n // 16 * 16 for n in run.shape)
    darkest = np.empty(len(run))
    first = None
    for n, frame in enumerate(run.frames):
        blocks = frame[:rows, :columns].reshape(rows // 16, 16, columns // 16, 16)
        mean = blocks.mean(axis=(1, 3), dtype=np.float64)
        first = mean if first is None else first
        darkest[n] = np.percentile(mean / np.maximum(first, 1e-9), 1.0)
        settled = darkest[1 : n + 1]
        if n >= 3 and darkest[n] < settled[:2].mean() - 4.0 * max(settled[:2].std(), 0.004):
            return tuple(range(max(1, min(n - 1, most))))
        if n >= most:
            break
    return tuple(range(max(1, min(len(run) - 1, most))))
