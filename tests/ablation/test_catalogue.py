"""The applicator catalogue: limits, published zones, and what automatic planning may take."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from irplan.ablation import APPLICATORS, PublishedZone, applicator, tissue
from irplan.ablation.catalogue import AUTOMATIC_CRYOPROBES
from irplan.errors import InputError

#: He 2010 as in the ablation specification: (power W, minutes) -> (short, long) mm.
_HE_DOG = {
    (30, 10): (21, 27), (40, 10): (28, 30), (50, 10): (29, 40), (60, 10): (31, 45),
    (30, 20): (24, 38), (40, 20): (33, 47), (50, 20): (32, 45), (60, 20): (35, 50),
}  # fmt: skip
_HE_PIG = {
    (30, 10): (30, 43), (40, 10): (32, 45), (50, 10): (37, 50),
    (30, 16): (43, 45), (40, 16): (42, 50), (50, 16): (45, 55),
}  # fmt: skip


@pytest.mark.parametrize("name", list(APPLICATORS))
def test_every_entry_is_sourced_and_its_zones_make_sense(name):
    a = APPLICATORS[name]
    assert a.name == name
    assert a.device is not None
    assert a.device.kind == a.kind
    assert any(f"[{label}" in a.source for label in "VSMX")
    for zone in a.zones:
        tissue(zone.tissue)  # known
        assert "[V" in zone.source
        assert (zone.power_w is None) == (a.kind == "cryo")
        assert zone.long_mm is None or zone.long_mm >= zone.short_mm
        limit = getattr(a.device, "max_power_w", math.inf)
        assert zone.power_w is None or zone.power_w <= limit


def test_every_modality_is_there():
    kinds = [a.kind for a in APPLICATORS.values()]
    assert {k: kinds.count(k) for k in ("cryo", "rfa", "mwa", "ire")} == {
        "cryo": 6, "rfa": 6, "mwa": 4, "ire": 6,
    }  # fmt: skip
    assert {a.device.frequency_mhz for a in APPLICATORS.values() if a.kind == "mwa"} == {915, 2450}


def test_automatic_planning_still_chooses_among_the_same_probes():
    from irplan.planning.modality import automatic

    assert AUTOMATIC_CRYOPROBES == ("cryo-17g-seed", "cryo-17g-sphere", "cryo-17g-rod")
    numbers = [
        (a.shaft_diameter_mm, a.active_length_mm, a.tip_offset_mm, a.working_temperature_c,
         a.ramp_s, a.device.contact_resistance_mk_per_w)
        for a in map(applicator, automatic("cryo"))
    ]  # fmt: skip
    assert numbers == [
        (1.5, 20.0, 3.0, -140.0, 60.0, 0.0),
        (1.5, 25.0, 3.0, -140.0, 60.0, 0.0),
        (1.5, 45.0, 3.0, -130.0, 60.0, 0.0),
    ]


def test_microwave_table():
    zones = applicator("mwa-15g-cooled-2450").zones
    for name, table in (("liver", _HE_DOG), ("liver ex vivo", _HE_PIG)):
        found = {
            (z.power_w, z.duration_s / 60.0): (z.short_mm, z.long_mm)
            for z in zones
            if z.tissue == name
        }
        assert found == table


def test_radiofrequency_regression_against_perfusion():
    short = [z.short_mm for z in applicator("rfa-17g-cooled-3cm").zones]
    assert short == pytest.approx([34.85, 26.05, 17.25])


def test_tines_have_their_nominal_size():
    for cm in (3, 4, 5):
        tines = applicator(f"rfa-15g-umbrella-{cm}cm").device.tines
        points = np.array(tines)  # (tine, point, (along, u, v))
        across = np.linalg.norm(points[..., 1:], axis=-1)
        assert len(tines) == 10
        assert across[:, -1] == pytest.approx(5.0 * cm)
        assert across[:, 0] == pytest.approx(0.0, abs=1e-9)
        assert points[..., 0].min() == pytest.approx(-2.5 * cm)
    tips = np.array(applicator("rfa-17g-cooled-cluster").device.tines)[:, 0, 1:]
    gaps = [np.linalg.norm(tips[i] - tips[j]) for i in range(3) for j in range(i)]
    assert gaps == pytest.approx([5.0, 5.0, 5.0])


def test_bad_input():
    with pytest.raises(InputError, match="did you mean 'cryo-17g-rod'"):
        applicator("cryo-17g-rodd")
    with pytest.raises(InputError, match="shaft_diameter_mm"):
        replace(applicator("cryo-2.4mm"), shaft_diameter_mm=-2.4)
    with pytest.raises(InputError, match="device data of a 'ire'"):
        replace(applicator("ire-19g-20mm"), device=applicator("cryo-2.4mm").device)
    with pytest.raises(InputError, match="short_mm"):
        PublishedZone(-3.0, None, "x", 600.0, 0.0, None, "gel", "test [X]")
    with pytest.raises(InputError, match="duration_s"):
        PublishedZone(3.0, None, "x", 0.1, 0.0, None, "gel", "test [X]")
