"""Makes `irplan/fluoroscopy/spectra_table.py`: ``python -m benchmarks.fluoroscopy_spectra FILE``.

Needs spekpy 2.5 (spectra; MIT) and xraylib 4.3 (attenuation; BSD), which are no dependencies.
Tungsten anode of 12 degrees, inherent 2.5 mm aluminium; 2 keV bins.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np

#: name -> (kV, what the beam passes before the detector)
BEAMS: dict[str, tuple[float, tuple[tuple[str, float], ...]]] = {
    "RQA3": (50.0, (("Al", 10.0),)),
    "RQA5": (70.0, (("Al", 21.0),)),
    "RQA7": (90.0, (("Al", 30.0),)),
    "RQA9": (120.0, (("Al", 40.0),)),
    "70kV-20cm": (70.0, (("Water, Liquid", 200.0),)),
    "70kV-0.3Cu-20cm": (70.0, (("Cu", 0.3), ("Water, Liquid", 200.0))),
    "80kV-0.9Cu-20cm": (80.0, (("Cu", 0.9), ("Water, Liquid", 200.0))),
    "100kV-0.1Cu-30cm": (100.0, (("Cu", 0.1), ("Water, Liquid", 300.0))),
}
MATERIALS = {
    "water": "Water, Liquid", "bone": "Bone, Cortical (ICRP)", "aluminium": "Al", "iron": "Fe",
    "platinum": "Pt", "iodine": "I", "CsI": "CsI",
}  # fmt: skip
BIN_KEV, FIRST_KEV, LAST_KEV = 2.0, 15.0, 119.0


def main(out: Path) -> None:
    """Compute and write the table."""
    import spekpy
    import xraylib

    energies = np.arange(FIRST_KEV, LAST_KEV + 1.0, BIN_KEV)
    edges = np.concatenate([energies - 1.0, [energies[-1] + 1.0]])
    text = [
        '"""X-ray beams at the detector and mass attenuation, as numbers.',
        "",
        f"Made by benchmarks/fluoroscopy_spectra.py with spekpy {spekpy.__version__} (Bujila,",
        "Omar and Poludniowski 2020) and xraylib 4.3 (Schoonjans et al. 2011); not edited by hand.",
        '"""', "", "# fmt: off", "",
        "#: Middle of the 2 keV bins.",
        f"ENERGIES_KEV = {_row(energies)}", "",
        "#: Beam -> (tube voltage, kV; what it passes besides 2.5 mm aluminium; photons a mm2, uGy",
        "#: of air kerma and bin).",
        "BEAM_TABLE: dict[str, tuple[float, str, tuple[float, ...]]] = {",
    ]  # fmt: skip
    for name, (kv, passed) in BEAMS.items():
        beam = spekpy.Spek(kvp=kv, th=12, dk=0.5)
        for material, thickness in (("Al", 2.5), *passed):
            beam.filter(material, thickness)
        at, fluence = beam.get_spectrum()  # photons a cm2 and keV
        bins = np.histogram(at, edges, weights=0.5 * fluence / 100.0)[0] / beam.get_kerma()
        words = " + ".join(f"{t:g} mm {m.split(',')[0]}" for m, t in passed)
        text.append(f'    "{name}": ({kv:g}.0, "{words}", {_row(bins)}),')
    text += ["}", "", "#: Material -> mass attenuation in the bins, cm2/g.",
             "ATTENUATION_CM2_G: dict[str, tuple[float, ...]] = {"]  # fmt: skip
    for name, compound in MATERIALS.items():
        fine = np.array(
            [
                np.mean([xraylib.CS_Total_CP(compound, e + d) for d in np.arange(-0.9, 1.0, 0.2)])
                for e in energies
            ]
        )
        text.append(f'    "{name}": {_row(fine)},')
    air = [xraylib.CS_Energy_CP("Air, Dry (near sea level)", float(e)) for e in energies]
    text += ["}", "", "#: Mass energy absorption of air in the bins, cm2/g.",
             f"AIR_ABSORPTION_CM2_G = {_row(np.array(air))}", ""]  # fmt: skip
    out.write_text("\n".join(text), encoding="utf-8")


def _row(values: np.ndarray) -> str:
    words = ", ".join(f"{v:.4g}" for v in np.where(np.abs(values) < 1e-3, 0.0, values))
    return "(\n" + textwrap.fill(words, 90, initial_indent="  ", subsequent_indent="  ") + ",\n)"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
