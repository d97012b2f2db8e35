"""The whole filter: exposure, motion, noise model, temporal, spatial, enhancement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.compute.cpu import fluoro_spatial
from irplan.compute.crew import share_rows
from irplan.errors import InputError
from irplan.fluoroscopy.exposure import ExposureWatch
from irplan.fluoroscopy.filter import (
    FilterFactory,
    Frame,
    State,
    StreamFacts,
    checked,
    own_filter,
)
from irplan.fluoroscopy.motion_control import MotionControl
from irplan.fluoroscopy.noise import NoiseModel, block_noise, fit_noise
from irplan.fluoroscopy.settings import PRESETS, FluoroSettings
from irplan.fluoroscopy.spatial import SpatialStage
from irplan.fluoroscopy.temporal import TemporalStage

#: Stages a user's function may replace; it sees variance-stabilised frames (noise SD 1).
Stage = Literal["temporal", "spatial", "enhance"]
STAGES: tuple[Stage, ...] = ("temporal", "spatial", "enhance")

_LEAST_PX = 16
_LEARN_FRAMES = 8  # frames from which the noise model is made
_JUMP = 0.05  # a change of exposure above it is counted as one


class Pipeline:
    """A causal filter of fluoroscopy frames, no delay; see `FluoroSettings`.

    Parameters
    ----------
    facts : of the stream; frames are of that size and in those units.
    settings : a preset or own constants.
    off : stages to leave out.
    own : stages replaced: a factory of filters, or its name "module:function".

    Frames whose relation to intensity is unknown (display values, lossy runs) are filtered with a
    table of noise against value that is learnt from the run; `notes` says so.
    """

    def __init__(
        self,
        facts: StreamFacts,
        settings: FluoroSettings | None = None,
        *,
        off: tuple[str, ...] = (),
        own: Mapping[str, FilterFactory | str] | None = None,
    ) -> None:
        self.facts = facts
        self.settings = PRESETS["general"] if settings is None else settings
        for name in (*off, *(own or {})):
            if name not in (*STAGES, "motion"):
                raise InputError(
                    "stage", got=repr(name), expected=", ".join((*STAGES, "motion")),
                    remedy="Use one of these.",
                )  # fmt: skip
        if min(facts.shape) < _LEAST_PX:
            raise InputError(
                "frame", got=f"{facts.shape[0]} x {facts.shape[1]} pixels",
                expected=f"{_LEAST_PX} or more a side",
                remedy="The filter looks at blocks of pixels; give the whole frame.",
            )  # fmt: skip
        self._padded = tuple(-(-n // 8) * 8 for n in facts.shape)
        shape = (self._padded[0], self._padded[1])
        inner = StreamFacts(shape, facts.rate_hz, facts.photometry, facts.pixel_mm)
        self._own = {k: own_filter(v, inner) for k, v in (own or {}).items()}
        self._off = frozenset(off)
        self._temporal = TemporalStage(shape, self.settings.temporal)
        self._spatial = SpatialStage(shape, self.settings.spatial)
        self._motion = MotionControl(shape, self.settings.motion)
        self._d, self._x = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._y = np.empty(shape, np.float32)
        self._small = np.empty((shape[0] // 2, shape[1] // 2), np.float32)
        self._detail = np.empty(shape, np.float32)
        self._model: NoiseModel | None = None
        self._learnt: list[NDArray[np.float64]] = []
        self._before: Frame | None = None
        self._light = ExposureWatch(facts.photometry.offset)
        self.frames = 0
        self.exposure_changes = 0
        self.moved_frames = 0

    # -- one frame -------------------------------------------------------------------------

    def step(self, frame: Frame) -> Frame:
        """The filtered frame, in the units it came in."""
        new = checked(frame, self.facts.shape)
        y = self._pad(new)
        light = self._light.seen(y)
        if light == "dark":  # the beam was off: shown as it came, not remembered
            return new.copy()
        if light == "new":
            self._begin_anew()
        else:
            self._rescale(light)
        self._learn(y)
        x = self._through(self._d, y)
        out = np.empty(self._padded, np.float32)
        model = self.model
        model.unstabilise(x, out)
        self.frames += 1
        rows, columns = self.facts.shape
        result: Frame = out if out.shape == self.facts.shape else out[:rows, :columns].copy()
        return result

    def _begin_anew(self) -> None:
        counts, light = (self.exposure_changes, self.moved_frames), self._light
        self.restore({})
        (self.exposure_changes, self.moved_frames), self._light = counts, light

    def stabilised(self, d: Frame) -> Frame:
        """Temporal, spatial and enhancement of a frame that is stabilised already (noise SD 1)."""
        x = self._run("temporal", d)
        x = self._run("spatial", x)
        return self._run("enhance", x)

    def filtered_difference(self, difference: Frame) -> Frame:
        """Temporal and spatial stage on a stabilised difference (frame less mask, noise SD 1)."""
        rows, columns = self.facts.shape
        if self._padded != self.facts.shape:
            down, across = self._padded[0] - rows, self._padded[1] - columns
            difference = np.pad(difference, ((0, down), (0, across)), mode="edge")
        return self.stabilised(np.ascontiguousarray(difference))[:rows, :columns].copy()

    def scale_difference(self, factor: float) -> None:
        """Differences grow by ``factor`` from now on (another dose): the memories go with it."""

        def scale(memory: Frame) -> None:
            np.multiply(memory, np.float32(factor), out=memory)

        self._temporal.convert(scale)

    def skipped(self, frames: int) -> None:
        """Tell that ``frames`` frames are missing before the next one."""
        self._temporal.forget(frames)

    @property
    def model(self) -> NoiseModel:
        """The noise model in use; `InputError` before the first frame."""
        if self._model is None:
            raise InputError(
                "noise model", got="none yet", expected="a frame", remedy="Call step first."
            )
        return self._model

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result must know."""
        photometry, said = self.facts.photometry, []
        if photometry.lossy:
            said.append("lossy compression: the noise is not that of a detector, so figures of "
                        "dose or noise do not hold for this run")  # fmt: skip
        if photometry.relation != "linear" or photometry.inverted:
            said.append("values are not in proportion to intensity: noise was learnt as a table")
        return (*said, *self.run_notes)

    @property
    def dark_frames(self) -> int:
        """Frames without light so far."""
        return self._light.dark_frames

    @property
    def run_notes(self) -> tuple[str, ...]:
        """Of `notes`, what happened in the run so far."""
        said = []
        if self.exposure_changes:
            said.append(f"exposure changed {self.exposure_changes} time(s); memories were rescaled")
        if self.dark_frames:
            said.append(f"{self.dark_frames} frame(s) without light, shown as they came")
        return tuple(said)

    def _through(self, d: Frame, y: Frame) -> Frame:
        self.model.stabilise(y, d)
        if (
            self.settings.motion.on
            and not self._off & {"motion", "temporal"}
            and "temporal" not in self._own
            and self._temporal.begun
        ):
            shifts = self._motion.shifts(d, self._temporal)
            if shifts is not None:
                self.moved_frames += 1
                self._temporal.carry(shifts, self._motion.pitch_px)
        return self.stabilised(d)

    def _run(self, stage: Stage, x: Frame) -> Frame:
        if stage in self._own:
            return checked(self._own[stage].step(x), x.shape)
        if stage in self._off:
            return x
        if stage == "temporal":
            self._temporal.prior = self._spatial.support
            return self._temporal.step(x, self._x)
        if stage == "spatial":
            return self._spatial.step(x)
        return self._enhanced(x)

    def _enhanced(self, x: Frame) -> Frame:
        amount = self.settings.enhance
        if amount == 0.0:
            return x
        small, detail, out = self._small, self._detail, np.empty_like(x)
        share_rows(len(small), lambda a, b: fluoro_spatial.halved(x, a, b, small))
        share_rows(len(x), lambda a, b: fluoro_spatial.band(x, small, a, b, detail))
        gain = np.float32(1.0 + amount)
        share_rows(len(x), lambda a, b: fluoro_spatial.joined(detail, gain, small, a, b, out))
        return out

    # -- exposure and noise ----------------------------------------------------------------

    def _pad(self, frame: Frame) -> Frame:
        if frame.shape == self._padded:
            return np.ascontiguousarray(frame)
        down, across = (p - n for p, n in zip(self._padded, frame.shape, strict=True))
        self._y[:] = np.pad(frame, ((0, down), (0, across)), mode="edge")
        return self._y

    def _rescale(self, ratio: float) -> None:
        """Memories go with a change of the tube's output (the same everywhere)."""
        if ratio == 1.0 or self._model is None or "temporal" in self._own:
            return
        if abs(ratio - 1.0) > _JUMP:
            self.exposure_changes += 1
        offset, model = np.float32(self.facts.photometry.offset), self._model
        scratch = np.empty(self._padded, np.float32)

        def rescale(memory: Frame) -> None:
            model.unstabilise(memory, scratch)
            np.subtract(scratch, offset, out=scratch)
            np.multiply(scratch, np.float32(ratio), out=scratch)
            np.add(scratch, offset, out=scratch)
            model.stabilise(scratch, memory)

        self._temporal.convert(rescale)

    def _learn(self, y: Frame) -> None:
        """Noise model from the first frames; the memories are converted when it gets better."""
        if self._before is None and self.frames > 0:
            return
        if self.frames == 0:
            mean, variance = block_noise(y, None)
        else:
            mean, variance = block_noise(y, self._before)
            self._learnt.append(np.vstack([mean, variance]))
            mean, variance = np.hstack(self._learnt)
        model = fit_noise(mean, variance, self.facts.photometry)
        old, self._model = self._model, model
        if old is not None:
            scratch = np.empty_like(y)

            def convert(memory: Frame) -> None:
                old.unstabilise(memory, scratch)
                model.stabilise(scratch, memory)

            self._temporal.convert(convert)
        if self.frames + 1 >= _LEARN_FRAMES:
            self._before, self._learnt = None, []
        else:
            self._before = y.copy()

    # -- state -----------------------------------------------------------------------------

    def state(self) -> State:
        """All it remembers; empty before the first frame."""
        if self._model is None:
            return {}
        out: State = {"frames": np.array([self.frames, self.exposure_changes, self.moved_frames])}
        parts: dict[str, Any] = {
            "temporal": self._temporal, "spatial": self._spatial, "motion": self._motion,
            "noise": self._model, "light": self._light,
            **{f"own-{k}": v for k, v in self._own.items()},
        }  # fmt: skip
        for name, part in parts.items():
            out |= {f"{name}/{k}": v for k, v in part.state().items()}
        if self._before is not None:
            out["before"] = self._before.copy()
            out |= {f"learnt/{n}": v for n, v in enumerate(self._learnt)}
        return out

    def stage_states(self) -> State:
        """States of the temporal, spatial and replaced stages (for those who stabilise)."""
        parts: dict[str, Any] = {
            "temporal": self._temporal, "spatial": self._spatial,
            **{f"own-{k}": v for k, v in self._own.items()},
        }  # fmt: skip
        return {f"{name}/{k}": v for name, part in parts.items() for k, v in part.state().items()}

    def restore_stages(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `stage_states` gave."""
        parts = _by_part(state)
        self._temporal.restore(parts.get("temporal", {}))
        self._spatial.restore(parts.get("spatial", {}))
        for name, each in self._own.items():
            each.restore(parts.get(f"own-{name}", {}))

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        fresh = Pipeline(self.facts, self.settings, off=tuple(self._off))
        own = self._own
        self.__dict__.update(fresh.__dict__)
        self._own = own
        parts = _by_part(state)
        for name, each in own.items():
            each.restore(parts.get(f"own-{name}", {}))
        if not state:
            return
        self.frames, self.exposure_changes, self.moved_frames = (int(v) for v in state["frames"])
        self._temporal.restore(parts.get("temporal", {}))
        self._spatial.restore(parts.get("spatial", {}))
        self._motion.restore(parts.get("motion", {}))
        self._model = NoiseModel.of_state(parts["noise"])
        self._light.restore(parts.get("light", {}))
        self._before = np.array(state["before"], np.float32) if "before" in state else None
        learnt = parts.get("learnt", {})
        self._learnt = [np.array(learnt[k]) for k in sorted(learnt, key=int)]


def preset_factory(settings: FluoroSettings) -> Callable[[StreamFacts], Pipeline]:
    """A `FilterFactory` of pipelines with these settings."""
    return lambda facts: Pipeline(facts, settings)


def _by_part(state: Mapping[str, NDArray[Any]]) -> dict[str, State]:
    parts: dict[str, State] = {}
    for key, value in state.items():
        name, slash, rest = key.partition("/")
        if slash:
            parts.setdefault(name, {})[rest] = value
    return parts
