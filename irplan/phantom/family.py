"""A family of varied patients and scans: parameters drawn first, recorded with what they make."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from irplan.compute import Progress, no_progress
from irplan.errors import InputError
from irplan.phantom.generate import abdominal_ct
from irplan.phantom.result import Phantom, PhantomSettings, TumourSpec
from irplan.phantom.tissues import Phase
from irplan.phantom.variant import Kernel, Metal, StomachContent, Variant

T = TypeVar("T")

#: How often a phase is scanned.  [S: most liver CT for planning is portal venous]
PHASE_SHARE: dict[Phase, float] = {
    "portal": 0.5, "arterial": 0.15, "delayed": 0.15, "unenhanced": 0.2
}  # fmt: skip
#: Slice spacing (mm) and its share.  [S: thin multi-slice series, and 5 mm archives]
SLICE_SHARE = {1.25: 0.15, 2.0: 0.2, 2.5: 0.25, 3.0: 0.15, 4.0: 0.1, 5.0: 0.15}
#: Noise SD in HU, log-uniform.  [S: 8 for a soft kernel and thick slices to 30 for thin ones; V: 17
#: in 3D-IRCADb-01 patient 1 (its README)]
NOISE_RANGE_HU = (8.0, 30.0)
#: Share of patients with each finding.  V steatosis: 6 % at or below 40 HU, 46 % with milder
#: degrees (Boyce et al., AJR 2010;194:623); the rest S, raised above their prevalence on purpose so
#: that twenty patients hold each several times.
SHARE = {
    "steatosis": 0.3, "cirrhosis": 0.2, "ascites": 0.5, "splenomegaly": 0.6, "lesions": 0.7,
    "touching stomach": 0.5, "lean": 0.5, "high colon": 0.3, "darker left lobe": 0.25,
    "metal": 0.15, "arms down": 0.1, "prone": 0.1, "cut": 0.2, "no table": 0.25,
}  # fmt: skip


@dataclass(frozen=True)
class FamilyMember:
    """What was drawn for one member: everything `abdominal_ct` needs."""

    settings: PhantomSettings

    @property
    def words(self) -> str:
        """Phase, slices, noise, lesions and variant in a few words."""
        s = self.settings
        lesions = ", ".join(
            f"{t.diameter_mm:.0f} mm{' capsule' if t.at_capsule else ''} {t.contrast_hu:+.0f} HU"
            for t in s.tumours
        )
        return (
            f"seed {s.seed}, {s.phase}, {s.spacing_mm[0]:g} mm slices, noise {s.noise_hu:.0f} HU"
            f", lesions: {lesions or 'none'}; {s.variant.words}"
        )

    def make(
        self,
        *,
        spacing_mm: tuple[float, float, float] | None = None,
        progress: Progress = no_progress,
    ) -> Phantom:
        """The phantom; another ``spacing_mm`` than drawn makes the same patient quicker.

        Raises `InputError` as `abdominal_ct` does.
        """
        given = {f.name: getattr(self.settings, f.name) for f in fields(self.settings)}
        if spacing_mm is not None:
            given["spacing_mm"] = spacing_mm
        return abdominal_ct(**given, progress=progress)


def family(count: int, seed: int = 0) -> tuple[FamilyMember, ...]:
    """``count`` members; the k-th depends on ``seed`` and k only.

    Each option of `Variant`, phase, slice, noise, habitus and lesions is drawn on its own with the
    shares above and uniformly within the plausible part of its range (`variant.RANGES`).
    Raises `InputError` for a count outside 1..10000 or a negative seed.
    """
    for field, value, low, high in (("count", count, 1, 10_000), ("seed", seed, 0, 2**31 - 1)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputError(
                field,
                got=repr(value),
                expected=f"a whole number from {low} to {high}",
                remedy="Give a whole number in that range.",
            )
    return tuple(
        _member(np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, k, 77]))))
        for k in range(count)
    )


def _member(rng: np.random.Generator) -> FamilyMember:
    phase = _pick(rng, PHASE_SHARE)
    slice_mm = _pick(rng, SLICE_SHARE)
    pixel = round(float(rng.uniform(0.68, 0.95)), 2)
    low, high = np.log(NOISE_RANGE_HU)
    noise = round(float(np.exp(rng.uniform(low, high))), 1)
    width = round(float(rng.uniform(285.0, 380.0)), 0)
    fat = round(float(rng.uniform(8.0, min(30.0, width / 2 - 110.0))), 0)
    variant = _variant(rng, phase)
    return FamilyMember(
        PhantomSettings(
            int(rng.integers(1, 1_000_000)),
            phase,
            (slice_mm, pixel, pixel),
            _lesions(rng),
            noise,
            None,
            width,
            fat,
            not _chance(rng, "no table"),
            variant,
        )
    )


def _variant(rng: np.random.Generator, phase: Phase) -> Variant:
    def some(what: str, low: float, high: float, default: float = 0.0) -> float:
        value = round(float(rng.uniform(low, high)), 2)
        return value if _chance(rng, what) else default

    # all draws are made whatever the others say, so that a new option moves none of them
    cirrhosis = some("cirrhosis", 0.4, 1.0)
    ascites = some("ascites", 4.0, 20.0)
    spleen = some("splenomegaly", 1.5, 3.5, 1.0)
    most_fat = 0.2 if phase == "unenhanced" else 0.3  # below the liver leaves soft tissue's range
    contents: dict[StomachContent, float] = {
        "drawn": 0.4, "gas": 0.2, "fluid": 0.2, "food": 0.15, "contrast": 0.05
    }  # fmt: skip
    metals: dict[Metal, float] = {"clips": 0.5, "spine": 0.5}
    kernels: dict[Kernel, float] = {"soft": 0.25, "standard": 0.5, "sharp": 0.25}
    steatosis = some("steatosis", 0.05, most_fat)
    touching = some("touching stomach", 8.0, 26.0)
    fill = round(float(rng.uniform(0.75, 1.25)), 2)
    content = _pick(rng, contents)
    lean = some("lean", 0.4, 1.0)
    rise = some("high colon", 15.0, 55.0)
    left = some("darker left lobe", -15.0, -5.0)
    metal = _pick(rng, metals)
    has_metal = _chance(rng, "metal")
    arms, prone = _chance(rng, "arms down"), _chance(rng, "prone")
    cut = some("cut", 10.0, 45.0)
    at_top = rng.uniform() < 0.5
    kernel = _pick(rng, kernels)
    swell = round(float(rng.uniform(0.0, 0.6)), 2)
    sick = cirrhosis > 0.0
    return Variant(
        steatosis=0.0 if sick else steatosis,
        cirrhosis=cirrhosis,
        ascites_mm=ascites if sick else 0.0,
        spleen=spleen if sick else 1.0,
        stomach=content,
        stomach_fill=fill,
        stomach_shift_mm=touching,
        contact=lean,
        bowel_rise_mm=rise,
        left_lobe_hu=left,
        metal=metal if has_metal else "none",
        arms_down=arms,
        prone=prone,
        cut_top_mm=cut if at_top else 0.0,
        cut_bottom_mm=0.0 if at_top else cut,
        kernel=kernel,
        noise_swell=swell,
    )


def _lesions(rng: np.random.Generator) -> tuple[TumourSpec, ...]:
    """None, a large one at the capsule, an isodense one, or several: dark, bright or isodense.

    [S: metastases 5-40 mm, 20-60 HU darker in the portal phase; hepatocellular carcinoma
    20-70 mm; 3D-IRCADb-01 patient 1: seven of 9-54 mm, one of them isodense (its README)]
    """
    kind = _pick(rng, {"capsule": 0.3, "isodense": 0.2, "several": 0.5})
    if not _chance(rng, "lesions"):
        return ()
    if kind == "capsule":
        size = round(float(rng.uniform(30.0, 65.0)), 1)
        contrast = round(float(rng.uniform(-60.0, -20.0)), 0)
        return (TumourSpec(size, contrast_hu=contrast, at_capsule=True),)
    if kind == "isodense":
        return (
            TumourSpec(
                round(float(rng.uniform(12.0, 34.0)), 1),
                contrast_hu=round(float(rng.uniform(-8.0, 12.0)), 0),
            ),
        )
    return tuple(
        TumourSpec(
            round(float(rng.uniform(6.0, 22.0)), 1),
            contrast_hu=round(float(rng.uniform(-60.0, 30.0)), 0),
        )
        for _ in range(int(rng.integers(2, 6)))
    )


def _pick(rng: np.random.Generator, shares: dict[T, float]) -> T:
    keys = list(shares)
    weights = np.array([shares[k] for k in keys])
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def _chance(rng: np.random.Generator, what: str) -> bool:
    return bool(rng.uniform() < SHARE[what])
