"""One colour scale a quantity, so that the same colour means the same in every picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap

from irplan.image import Volume

#: Cold: deep blue at the probe over white at freezing to a warm grey at body temperature.
_COLD = LinearSegmentedColormap.from_list(
    "irplan_cold",
    [
        (0.0, "#081d58"), (0.45, "#225ea8"), (0.62, "#41a6d4"), (0.7895, "#eef8ff"),
        (0.79, "#f7ead9"), (1.0, "#d9b99b"),
    ],
)  # fmt: skip
#: Heat: body temperature light, 60 degC orange, boiling nearly black; safe for colour-blind eyes.
_HEAT = LinearSegmentedColormap.from_list(
    "irplan_heat", ["#fbf3e6", "#fdd49e", "#fc8d59", "#d7301f", "#7f0000", "#2d0008"]
)
_WORDS = {
    "degC": "temperature (°C)",
    "V/cm": "electric field (V/cm)",
    "1": "value",
    "probability": "fraction dead",
    "min": "CEM43 (min)",
    "K/min": "cooling rate (K/min)",
    "W/kg": "SAR (W/kg)",
}


@dataclass(frozen=True)
class ColourScale:
    """Colour map, its ends and what the bar says."""

    colours: Colormap
    low: float
    high: float
    words: str


def colour_scale(volume: Volume, *, cold: bool) -> ColourScale:
    """The scale for ``volume``; ``cold`` takes the one in which 0 degC is a visible edge."""
    words = _WORDS.get(volume.quantity, volume.quantity)
    if volume.quantity == "degC" and cold:
        return ColourScale(_COLD, -150.0, 40.0, words)
    if volume.quantity == "degC":
        return ColourScale(_HEAT, 36.0, 110.0, words)
    if volume.quantity == "V/cm":
        return ColourScale(_FIELD, 0.0, 2000.0, words)
    high = float(np.quantile(volume.array, 0.9995))
    return ColourScale(_FIELD, 0.0, max(high, 1e-6), words)


_FIELD = LinearSegmentedColormap.from_list(
    "irplan_field", ["#f7fbf4", "#c7e4bf", "#6dbf9a", "#2b8a9e", "#1f4f8c", "#180f3d"]
)
