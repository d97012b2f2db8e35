"""Beams against IEC 61267 and IEC 62220-1, and what they make of detector and scene."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.fluoroscopy import DETECTORS, scene
from irplan.fluoroscopy.detector import SNR2_PER_MM2_UGY
from irplan.fluoroscopy.spectra import BEAMS, beam, behind, seen_in


@pytest.mark.parametrize(
    ("name", "half_value_mm"), [("RQA3", 3.8), ("RQA5", 6.8), ("RQA7", 9.2), ("RQA9", 11.6)]
)
def test_qualities_of_the_standard(name: str, half_value_mm: float) -> None:
    """First half-value layers of IEC 61267:2005; quanta of IEC 62220-1:2003, table 2."""
    assert beam(name).first_half_value_mm_al == pytest.approx(half_value_mm, rel=0.01)
    # nominal voltages here; the standard trims them to the half-value layer
    assert beam(name).snr2_per_mm2_ugy == pytest.approx(SNR2_PER_MM2_UGY[name], rel=0.05)


def test_harder_beams_show_less() -> None:
    soft, hard = beam("70kV-20cm"), beam("80kV-0.9Cu-20cm")
    assert hard.mean_kev > soft.mean_kev + 8.0
    for material in ("iodine", "iron", "platinum", "bone"):
        assert hard.attenuation_cm2_g(material) < 0.75 * soft.attenuation_cm2_g(material)
    # mu/rho of water at 60 keV is 0.2059 cm2/g (NIST); the beam's mean is 62.6 keV
    assert hard.attenuation_cm2_g("water") == pytest.approx(0.205, abs=0.004)


def test_scene_and_detector_in_a_beam() -> None:
    made = scene("abdomen", shape=(96, 96), frames=2)
    same = seen_in(made, beam("RQA5"))
    assert np.allclose(same.path("guidewire", 0), made.path("guidewire", 0), rtol=1e-6)
    hard = BEAMS["RQA9"]
    ratio = hard.attenuation_cm2_g("iron") / BEAMS["RQA5"].attenuation_cm2_g("iron")
    found = seen_in(made, hard).path("guidewire", 0).sum() / made.path("guidewire", 0).sum()
    assert found == pytest.approx(ratio, rel=1e-3)
    panel = behind(DETECTORS["flat-panel-0.2"], hard)
    assert panel.snr2_per_mm2_ugy == pytest.approx(hard.snr2_per_mm2_ugy)
    assert panel.efficiency == pytest.approx(0.75 * hard.absorbed / BEAMS["RQA5"].absorbed)


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="RQA5"):
        beam("RQA4")
    with pytest.raises(InputError, match="platinum"):
        beam("RQA5").attenuation_cm2_g("gold")
