"""The filter's constants by name, and the presets.  How each was chosen: docs/fluoroscopy.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

from irplan.errors import InputError


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
    line_low, line_high : the same for lines (22 x 2 pixels).
    dot_low, dot_high : the same for small dark things (6 x 6 pixels).
    follow : share of a sure change that the memories take over at once.
    forget : share of its past that a memory loses a frame where something moves.
    """

    show: float = 0.35
    short_share: float = 0.18
    short_gain: float = 0.5
    long_gain: float = 0.03
    area_low: float = 4.0
    area_high: float = 5.5
    energy_low: float = 1.9
    energy_high: float = 2.8
    line_low: float = 4.2
    line_high: float = 6.0
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
    line_low, line_high : lines of this many SD begin to be kept, and are kept whole.
    sharpen : how much of what the line's mean blurs across is restored.
    """

    keep: tuple[float, float, float] = (0.4, 0.6, 0.85)
    line_low: float = 3.2
    line_high: float = 4.8
    sharpen: float = 0.15

    def __post_init__(self) -> None:
        if len(self.keep) != 3 or not all(0.0 <= k <= 1.0 for k in self.keep):
            raise _bad("keep", self.keep, "three shares from 0 to 1")
        _within(self, "line_low", 0.0, self.line_high - 1e-3)
        _within(self, "sharpen", 0.0, 2.0)


def _within(settings: object, name: str, low: float, high: float) -> None:
    value = getattr(settings, name)
    if not (math.isfinite(value) and low <= value <= high):
        raise _bad(name, value, f"{low:g} to {high:g}")


def _bad(name: str, got: object, expected: str) -> InputError:
    return InputError(
        f"fluoroscopy setting '{name}'", got=str(got), expected=expected, remedy="Correct it."
    )
