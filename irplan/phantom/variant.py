"""How a patient and the scan may differ from the plain phantom: disease, neighbours, technique."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

from irplan.errors import InputError

#: What the stomach holds: as the seed draws it, mostly air, water, solid food, oral contrast.
StomachContent = Literal["drawn", "gas", "fluid", "food", "contrast"]
#: Metal in the patient: clips in the bed of a removed gallbladder, screws and rods in the spine.
Metal = Literal["none", "clips", "spine"]
#: Reconstruction kernel: half height of its apodisation and edge, see `KERNELS`.
Kernel = Literal["soft", "standard", "sharp"]

#: Half frequency of the apodisation (cycles/mm) and full width of the edge ramp (mm).
#: S: 10 % MTF of abdominal kernels about 0.5 (soft), 0.7 (standard), 1.1 (sharp) cycles/mm.
KERNELS: dict[Kernel, tuple[float, float]] = {
    "soft": (0.28, 1.7),
    "standard": (0.42, 1.1),
    "sharp": (0.72, 0.8),
}

#: HU that a liver loses per unit of fat fraction.  V: 65 HU at 0.5 %, 23 HU at 25 %, -3 HU at 40 %
#: (Starekova et al., Radiology 2021;301:250, figure 2).
FAT_HU = 170.0

#: Range of every numeric setting, with the source of its plausible part.
RANGES: dict[str, tuple[float, float, str]] = {
    "steatosis": (0.0, 0.4, "V: fat fraction 0-40 %, Starekova 2021, Radiology 301:250"),
    "cirrhosis": (0.0, 1.0, "S: 0 none, 1 coarse nodules of 10 mm, shrunken right lobe"),
    "ascites_mm": (0.0, 30.0, "S: film of fluid round liver and spleen and in the gutters"),
    "spleen": (0.7, 4.0, "V: normal 195 +- 78 ml (Jasper, JCDR 2019;13:TC01); S: to 1000 ml"),
    "stomach_fill": (0.6, 1.4, "S: width of the stomach, fasting to after a meal"),
    "stomach_shift_mm": (0.0, 30.0, "S: towards the liver until wall meets capsule"),
    "contact": (0.0, 1.0, "S: 0 some fat round the liver, 1 a lean patient without"),
    "bowel_rise_mm": (0.0, 60.0, "S: colon below the liver, to interposed before it"),
    "left_lobe_hu": (-15.0, 0.0, "V: the left lobe can be 15 HU darker (project notes)"),
    "noise_swell": (0.0, 1.0, "S: noise in the middle of the body over its rim, minus 1"),
    "cut_top_mm": (0.0, 120.0, "how far below the liver's top the scan ends; 0: it does not"),
    "cut_bottom_mm": (0.0, 120.0, "how far above the liver's bottom it begins; 0: it does not"),
}


@dataclass(frozen=True)
class Variant:
    """One patient's disease and one scan's technique; the defaults change nothing.

    Parameters
    ----------
    steatosis : fat fraction of the liver, 0..0.4; it loses 1.7 HU a percent in every phase.
    cirrhosis : 0..1; nodular contour and parenchyma, small right and large left lobe.
    ascites_mm : thickness of the fluid round liver and spleen and along the wall, 0..30 mm.
    spleen : volume over the drawn one, 0.7..4 (what the cavity does not hold is lost).
    stomach : what it holds; ``stomach_fill`` its width over the drawn one, 0.6..1.4;
        ``stomach_shift_mm`` how far it lies towards the liver (they touch from about 12 mm on).
    contact : 0..1, how much of the fat between liver, wall, diaphragm, kidney and heart is gone.
    bowel_rise_mm : how much higher the right half of the colon lies, 0..60 mm.
    left_lobe_hu : liver to the left of the round ligament against the right, -15..0 HU.
    metal : see `Metal`; with streaks (`metal_streaks`).
    arms_down : arms beside the trunk, in a wider field of view.
    prone : the patient lies on the belly: gas to the back, table in front, rows run to the front.
    cut_top_mm, cut_bottom_mm : how much of the liver's height the scan misses; 0 misses nothing.
    kernel : reconstruction kernel, for edges and noise.
    noise_swell : how much stronger the noise is in the middle of the body than at its rim, 0..1;
        the mean square over the body stays.

    Raises `InputError` for a value outside its range.
    """

    steatosis: float = 0.0
    cirrhosis: float = 0.0
    ascites_mm: float = 0.0
    spleen: float = 1.0
    stomach: StomachContent = "drawn"
    stomach_fill: float = 1.0
    stomach_shift_mm: float = 0.0
    contact: float = 0.0
    bowel_rise_mm: float = 0.0
    left_lobe_hu: float = 0.0
    metal: Metal = "none"
    arms_down: bool = False
    prone: bool = False
    cut_top_mm: float = 0.0
    cut_bottom_mm: float = 0.0
    kernel: Kernel = "standard"
    noise_swell: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high, _) in RANGES.items():
            value = getattr(self, name)
            number = float(value) if isinstance(value, int | float) else math.nan
            if not low <= number <= high:
                raise InputError(
                    f"variant.{name}",
                    got=repr(value),
                    expected=f"a number from {low:g} to {high:g}",
                    remedy="Give a value in that range.",
                )
        for name, choices in (
            ("stomach", get_args(StomachContent)),
            ("metal", get_args(Metal)),
            ("kernel", get_args(Kernel)),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"variant.{name}",
                    got=repr(getattr(self, name)),
                    expected="one of " + ", ".join(choices),
                    remedy="Use one of these words.",
                )

    @property
    def words(self) -> str:
        """What differs from the plain phantom, in a few words; "plain" for nothing."""
        parts = []
        for f in fields(self):
            value = getattr(self, f.name)
            if value == f.default:
                continue
            if value is True:
                parts.append(f.name.replace("_", " "))
            elif isinstance(value, str):
                parts.append(f"{f.name} {value}")
            else:
                parts.append(f"{f.name.removesuffix('_mm').replace('_', ' ')} {value:g}")
        return ", ".join(parts) or "plain"


PLAIN = Variant()
