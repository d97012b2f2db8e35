"""The filter's constants by name, and the presets.  How each was chosen: docs/fluoroscopy.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from irplan.errors import InputError


def _within(settings: object, name: str, low: float, high: float) -> None:
    value = getattr(settings, name)
    if not (math.isfinite(value) and low <= value <= high):
        raise _bad(name, value, f"{low:g} to {high:g}")


def _bad(name: str, got: object, expected: str) -> InputError:
    return InputError(
        f"fluoroscopy setting '{name}'", got=str(got), expected=expected, remedy="Correct it."
    )


@dataclass(frozen=True)
class TemporalSettings:
    """The temporal stage.  Values are shares of a frame unless said otherwise.

    Parameters
    ----------
    show : least share of the new frame in what is displayed (a0 of the noise/motion trade-off).
    short_share, short_gain : share and gain of the short memory (a1, K1).
    long_gain : least gain of the long memory (K2), about 1 / frames it averages.
    area_low, area_high : an area (12 x 12 pixels) that differs from the memory by this many SD
        begins to be followed, and is followed wholly.
    energy_low, energy_high : the same for structure: mean square over 20 x 20 pixels, in units of
        the noise.
    line_low, line_high : the same for lines (22 x 2 pixels); the limits fall by ``line_drop`` near
        sure lines, and ``lift`` is the least share of the new frame shown there.
    dot_low, dot_high : the same for small dark things (6 x 6 pixels).
    follow : share of a sure change that the memories take over at once.
    forget : share of its past that a memory loses a frame where something moves.
    """

    show: float = 0.34
    short_share: float = 0.24
    short_gain: float = 0.4
    long_gain: float = 0.03
    area_low: float = 4.0
    area_high: float = 5.5
    energy_low: float = 1.9
    energy_high: float = 2.8
    line_low: float = 3.8
    line_high: float = 4.8
    line_drop: float = 1.5
    lift: float = 0.0
    dot_low: float = 4.8
    dot_high: float = 6.5
    follow: float = 0.8
    forget: float = 0.4

    def __post_init__(self) -> None:
        _within(self, "show", 0.02, 1.0)
        _within(self, "long_gain", 0.016, 1.0)
        _within(self, "short_gain", 0.02, 1.0)
        _within(self, "short_share", 0.0, 1.0 - self.show)
        _within(self, "follow", 0.0, 1.0)
        _within(self, "forget", 0.0, 1.0)
        for name in ("area", "energy", "line", "dot"):
            _within(self, f"{name}_low", 0.0, getattr(self, f"{name}_high") - 1e-3)


@dataclass(frozen=True)
class SpatialSettings:
    """The spatial stage.

    Parameters
    ----------
    keep : share of the finest, next and third band that stays where there is no line.
    line_low, line_high : lines of this many SD begin to be kept, and are kept whole; the limits
        fall by ``line_drop`` near sure lines.
    sharpen : how much of what the line's mean blurs across is restored.
    """

    keep: tuple[float, float, float] = (0.4, 0.7, 1.0)
    line_low: float = 3.5
    line_high: float = 4.5
    line_drop: float = 1.8
    sharpen: float = 0.6

    def __post_init__(self) -> None:
        if len(self.keep) != 3 or not all(0.0 <= k <= 1.0 for k in self.keep):
            raise _bad("keep", self.keep, "three shares from 0 to 1")
        _within(self, "line_low", 0.0, self.line_high - 1e-3)
        _within(self, "sharpen", 0.0, 2.0)


@dataclass(frozen=True)
class MotionSettings:
    """Motion control: memories are carried along where that clearly explains the frame.

    Parameters
    ----------
    on : whether at all.
    reach_px : largest shift a frame beyond that of the frame before (multiple of 4).
    gain : mean square (in units of the noise) a shift must explain.
    """

    on: bool = True
    reach_px: int = 12
    gain: float = 0.4

    def __post_init__(self) -> None:
        if not (0 < self.reach_px <= 64 and self.reach_px % 4 == 0):
            raise _bad("reach_px", self.reach_px, "a multiple of 4 up to 64")
        _within(self, "gain", 0.0, 100.0)


@dataclass(frozen=True)
class FluoroSettings:
    """All constants of the pipeline; ``enhance`` is added contrast of detail (0: none)."""

    name: str = "general"
    temporal: TemporalSettings = field(default_factory=TemporalSettings)
    spatial: SpatialSettings = field(default_factory=SpatialSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    enhance: float = 0.0

    def __post_init__(self) -> None:
        _within(self, "enhance", 0.0, 4.0)

    def with_show(self, show: float) -> FluoroSettings:
        """The noise / motion knob: another display gain, the memories going with it.

        Small: less noise of what is still, moving weak objects lose more; 1: no temporal filter.
        """
        base = self.temporal
        if not 0.05 <= show <= 1.0:
            raise _bad("show", show, "0.05 to 1")
        part = show / base.show
        temporal = replace(
            base,
            show=show,
            long_gain=min(1.0, max(0.016, base.long_gain * part**2)),
            short_share=base.short_share * (1.0 - show) / (1.0 - base.show),
        )
        return replace(self, temporal=temporal)


_GENERAL = FluoroSettings()
#: "general" is the setting all figures are reported for.  The others move along the knob for the
#: motion their procedures show (cardiac: beats of 5 to 30 px a frame; neuro: a still head, finer
#: wires; peripheral: slow; abdomen: breathing, needles) and add enhancement.
PRESETS: dict[str, FluoroSettings] = {
    "general": _GENERAL,
    "cardiac": replace(_GENERAL.with_show(0.42), name="cardiac", enhance=0.3),
    "neuro": replace(_GENERAL.with_show(0.30), name="neuro", enhance=0.4),
    "peripheral": replace(_GENERAL.with_show(0.32), name="peripheral", enhance=0.3),
    "abdomen": replace(_GENERAL, name="abdomen", enhance=0.3),
    "needle": replace(_GENERAL, name="needle", enhance=0.4),
}


def preset(name: str) -> FluoroSettings:
    """The named preset; `InputError` lists the names."""
    if name not in PRESETS:
        raise InputError(
            "preset", got=repr(name), expected=", ".join(PRESETS), remedy="Use one of these."
        )
    return PRESETS[name]
