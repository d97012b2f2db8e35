"""A run of X-ray projection frames with what is known about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError

#: How a pixel value follows the X-ray intensity: in proportion, its logarithm, or unknown
#: (already windowed, enhanced or compressed for a screen).
Relation = Literal["linear", "log", "display"]


@dataclass(frozen=True)
class Photometry:
    """What pixel values mean.

    Parameters
    ----------
    relation : of value to detected intensity.
    gain : value units for one detected quantum (``a`` of var = a mean + electronic_sd^2, with the
        mean taken above ``offset``); None where unknown.
    electronic_sd : SD of the noise without X-rays, value units; None where unknown.
    offset : value without X-rays.
    saturation : values at or above it are clipped; None where unknown.
    inverted : True where more X-rays give a *smaller* value.
    lossy : the frames went through lossy compression: noise models do not hold.
    bits : bits stored a pixel; None for computed frames.
    """

    relation: Relation = "linear"
    gain: float | None = None
    electronic_sd: float | None = None
    offset: float = 0.0
    saturation: float | None = None
    inverted: bool = False
    lossy: bool = False
    bits: int | None = None

    def __post_init__(self) -> None:
        if self.relation not in ("linear", "log", "display"):
            raise InputError(
                "photometry.relation",
                got=repr(self.relation),
                expected="'linear', 'log' or 'display'",
                remedy="Use 'display' where it is unknown.",
            )
        for name in ("gain", "electronic_sd", "saturation"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise _bad(f"photometry.{name}", value, "a positive number, or None where unknown")
        if not math.isfinite(self.offset):
            raise _bad("photometry.offset", self.offset, "a finite number")


@dataclass(frozen=True)
class Technique:
    """How a run was taken; None where unknown.  Angles as DICOM's positioner angles, degrees."""

    tube_kv: float | None = None
    tube_ma: float | None = None
    pulse_ms: float | None = None
    primary_angle_deg: float | None = None
    secondary_angle_deg: float | None = None
    source_detector_mm: float | None = None
    source_isocentre_mm: float | None = None


@dataclass(frozen=True, eq=False)
class FluoroSequence:
    """Frames of one fluoroscopy or angiography run.

    Parameters
    ----------
    frames : (frame, row, column) float32 or uint16, finite; a read-only view, not copied.
    times_s : (frame,) start of each frame, strictly increasing; a gap is a dropped frame.
    photometry : what the values mean.
    pixel_spacing_mm : (between rows, between columns) on the detector; None where unknown.
    isocentre_spacing_mm : the same referred to the isocentre; None where unknown.
    technique : tube, geometry.
    detector_dose_ngy : (frame,) air kerma at the detector, nGy a frame; None where unknown.
    mask_frames : frames without contrast agent, for subtraction; may be empty.

    Raises
    ------
    InputError : not 3-D, wrong type, NaN or infinite, times that do not increase, spacing <= 0.
    """

    frames: NDArray[Any]
    times_s: NDArray[np.float64]
    photometry: Photometry = field(default_factory=Photometry)
    pixel_spacing_mm: tuple[float, float] | None = None
    isocentre_spacing_mm: tuple[float, float] | None = None
    technique: Technique = field(default_factory=Technique)
    detector_dose_ngy: NDArray[np.float64] | None = None
    mask_frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames)
        if frames.ndim != 3 or min(frames.shape) < 1:
            raise _bad("sequence.frames", f"shape {frames.shape}", "(frame, row, column)")
        if frames.dtype not in (np.dtype(np.float32), np.dtype(np.uint16)):
            raise _bad("sequence.frames", f"type {frames.dtype}", "float32 or uint16")
        if frames.dtype.kind == "f":
            for n, frame in enumerate(frames):
                if not np.isfinite(frame).all():
                    raise _bad("sequence.frames", f"NaN or infinity in frame {n}", "finite values")
        view = frames.view()
        view.setflags(write=False)
        object.__setattr__(self, "frames", view)
        times = np.array(self.times_s, dtype=np.float64)
        if times.shape != frames.shape[:1] or not np.isfinite(times).all():
            raise _bad(
                "sequence.times_s", f"shape {times.shape}", f"{frames.shape[0]} finite times"
            )
        if times.size > 1 and not (np.diff(times) > 0.0).all():
            raise _bad("sequence.times_s", "times that do not increase", "increasing times")
        times.setflags(write=False)
        object.__setattr__(self, "times_s", times)
        for name in ("pixel_spacing_mm", "isocentre_spacing_mm"):
            value = getattr(self, name)
            if value is not None and not all(math.isfinite(v) and v > 0.0 for v in value):
                raise _bad(f"sequence.{name}", value, "two positive numbers, mm, or None")
        if self.detector_dose_ngy is not None:
            dose = np.array(self.detector_dose_ngy, dtype=np.float64)
            if dose.shape != frames.shape[:1] or not (np.isfinite(dose) & (dose > 0.0)).all():
                raise _bad("sequence.detector_dose_ngy", f"shape {dose.shape}", "nGy > 0 a frame")
            dose.setflags(write=False)
            object.__setattr__(self, "detector_dose_ngy", dose)
        if any(not 0 <= n < frames.shape[0] for n in self.mask_frames):
            raise _bad("sequence.mask_frames", self.mask_frames, "numbers of frames of the run")

    def __len__(self) -> int:
        return int(self.frames.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of a frame."""
        return int(self.frames.shape[1]), int(self.frames.shape[2])

    @property
    def rate_hz(self) -> float | None:
        """Frames a second (median interval); None for a single frame."""
        if len(self) < 2:
            return None
        return float(1.0 / np.median(np.diff(self.times_s)))

    def with_frames(self, frames: NDArray[Any], photometry: Photometry) -> FluoroSequence:
        """The same run with other pixels (as many frames)."""
        return replace(self, frames=frames, photometry=photometry)


def _bad(field_name: str, got: object, expected: str) -> InputError:
    return InputError(
        field_name, got=str(got), expected=expected, remedy="Correct the run, or read it again."
    )
