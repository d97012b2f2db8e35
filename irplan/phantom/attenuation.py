"""X-ray attenuation and detected spectra for the cone-beam simulator, with their sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError

#: Middles of the energy bins, keV (10 keV wide).
ENERGY_KEV = (25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 95.0, 105.0, 115.0)
#: Mass attenuation, cm^2/g, at `ENERGY_KEV`.  V: xraylib 4.3 (Schoonjans et al., Spectrochim Acta B
#: 2011;66:776), total cross sections; 304 steel Fe 71 Cr 19 Ni 10, nitinol Ni 55 Ti 45 (% weight);
#: bone: ICRU 44 cortical bone.
MASS_ATTENUATION: dict[str, tuple[float, ...]] = {
    "water": (0.5082, 0.3075, 0.2436, 0.2149, 0.1987, 0.1879, 0.1799, 0.1735, 0.1681, 0.1635),
    "bone": (2.1582, 0.9061, 0.5189, 0.3601, 0.2818, 0.2379, 0.2108, 0.1925, 0.1795, 0.1697),
    "steel": (13.5136, 5.2116, 2.5787, 1.4952, 0.9696, 0.6837, 0.5145, 0.4075, 0.3362, 0.2867),
    "nitinol": (13.275, 5.1281, 2.5432, 1.4768, 0.9591, 0.6777, 0.5108, 0.4051, 0.3347, 0.2858),
    "titanium": (8.3712, 3.2116, 1.6048, 0.9499, 0.6338, 0.4623, 0.3605, 0.2958, 0.2524, 0.2221),
}  # fmt: skip
#: Density of cortical bone, g/cm^3 (ICRU 44), and the CT number it has at 70 keV, HU.
BONE_DENSITY, BONE_HU = 1.92, 1560.0
#: Tissue above this holds bone (or iodine, which is treated like it), HU.
SOFT_HU = 100.0
#: Share of the detected signal in each bin.  V: spekpy 2.5 (Poludniowski et al., Med Phys
#: 2021;48:3637), tungsten 12 deg, 3 mm Al and 0.2 mm Cu (0.1 mm at 120 kV), times energy, times
#: absorption in 0.27 g/cm^2 CsI (0.6 mm) by xraylib.
DETECTED: dict[int, tuple[float, ...]] = {
    90: (0.0096, 0.1003, 0.2188, 0.2984, 0.2173, 0.1158, 0.0399, 0.0, 0.0, 0.0),
    100: (0.0075, 0.0822, 0.1862, 0.2894, 0.2134, 0.1243, 0.0731, 0.0239, 0.0, 0.0),
    120: (0.0151, 0.0918, 0.1659, 0.2731, 0.1868, 0.1061, 0.0765, 0.0495, 0.0269, 0.0083),
}
MATERIALS = ("water", "bone", "steel", "nitinol", "titanium")


@dataclass(frozen=True, eq=False)
class Beam:
    """What the detector sees: ``weight`` (bins,) and ``mass_attenuation`` (bins, materials).

    ``water_per_mm`` is the attenuation that water is given in the image, 1/mm.
    """

    kv: int
    weight: NDArray[np.float64]
    mass_attenuation: NDArray[np.float64]
    water_per_mm: float

    def water_signal(self, length_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """-ln of the signal behind (...,) mm of water."""
        t = 0.1 * np.asarray(length_mm, dtype=np.float64)
        out: NDArray[np.float64] = -np.log(
            np.exp(-t[..., None] * self.mass_attenuation[:, 0]) @ self.weight
        )
        return out


def beam(kv: int, *, polychromatic: bool = True) -> Beam:
    """The detected beam at 90, 100 or 120 kV; not polychromatic: one line at its mean energy.

    Raises `InputError` for another voltage.
    """
    if kv not in DETECTED:
        raise InputError(
            "kv",
            got=f"{kv}",
            expected="90, 100 or 120",
            remedy="Spectra are tabled for these tube voltages.",
        )
    weight = np.array(DETECTED[kv])
    weight /= weight.sum()
    table = np.array([MASS_ATTENUATION[m] for m in MATERIALS]).T
    if not polychromatic:
        mean = float(weight @ np.array(ENERGY_KEV))
        line = [np.exp(np.interp(mean, ENERGY_KEV, np.log(table[:, m]))) for m in range(5)]
        weight, table = np.ones(1), np.array(line)[None]
    keep = weight > 0.0
    weight, table = weight[keep], table[keep]
    return Beam(kv, weight, table, 0.1 * float(weight @ table[:, 0]))


def densities(
    hu: NDArray[np.generic],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(water, bone) densities in g/cm^3 whose mixture has the CT number ``hu`` at 70 keV.

    Up to 100 HU water of density 1 + HU/1000; above, a mixture of that and cortical bone (two
    materials, Joseph & Spital, J Comput Assist Tomogr 1978;2:100).
    """
    h = np.clip(hu, -1000.0, 3071.0).astype(np.float32)
    share = np.maximum(0.0, (h - SOFT_HU) / (BONE_HU - SOFT_HU))
    share = np.minimum(share, 1.5)
    water = np.maximum(0.0, (1.0 + np.minimum(h, SOFT_HU) / 1000.0) * np.maximum(0.0, 1.0 - share))
    return water.astype(np.float32), (BONE_DENSITY * share).astype(np.float32)
