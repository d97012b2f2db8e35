"""Classes of cryoprobe: geometry, limits, and the zones published for them."""

from __future__ import annotations

from irplan.ablation.applicator import Applicator
from irplan.ablation.device import CryoDevice
from irplan.ablation.zones import PublishedZone

_LENGTHS = "active length and 1.5 mm shaft: maker's data [V, ablation specification]"
_REST = "60 s ramp, 3 mm tip and 175 mm shaft: typical, to verify [S]"
_FREEZE = "-140 degC during the freeze [V, ablation specification]"
_MAKER = "maker's isotherm table, zone of ice [V, ablation specification]"
_IN_USE = "ellipsoid in use for planning [V, ablation specification]"
_LITTRUP = "Littrup 2009, J Vasc Interv Radiol 20:1343, PMC2762356"
_HINSHAW = "Hinshaw 2010, J Vasc Interv Radiol 21 (August), abstract"

#: Calibrated to Littrup's single probe in 39 degC agar (`irplan.ablation.library.published`); the
#: source status is M: fitted by irplan.
LITTRUP_CONTACT_MK_PER_W = 0.1


def _ice(
    short_mm: float, long_mm: float, minutes: float, setting: str, source: str
) -> PublishedZone:
    return PublishedZone(short_mm, long_mm, setting, 60.0 * minutes, 0.0, None, "gel", source)


def _probe_17g(
    name: str,
    length_mm: float,
    temperature_c: float,
    temperature: str,
    zones: tuple[PublishedZone, ...],
) -> Applicator:
    return Applicator(
        name=name,
        kind="cryo",
        shaft_diameter_mm=1.5,
        active_length_mm=length_mm,
        tip_offset_mm=3.0,
        working_temperature_c=temperature_c,
        ramp_s=60.0,
        max_insertion_mm=175.0,
        source=f"{_LENGTHS}; {temperature}; {_REST}",
        zones=zones,
    )


_AGAR = "15 min freeze of one probe in agar at 39 degC"
_LUNG = "second of two 10 min freezes in pig lung"

CRYOPROBES = (
    _probe_17g(
        "cryo-17g-seed",
        20.0,
        -140.0,
        _FREEZE,
        (_ice(20.0, 25.0, 10.0, "10 min freeze taken, not stated", _IN_USE),),
    ),
    _probe_17g(
        "cryo-17g-sphere",
        25.0,
        -140.0,
        _FREEZE,
        (
            _ice(32.0, 37.0, 10.0, "10 min freeze taken, not stated", _MAKER),
            _ice(
                22.5,
                31.5,
                10.0,
                "last of freezes of 3, 7 and 10 min in saline gel",
                "saline gel, 3-7-10 min [V, ablation specification]",
            ),
        ),
    ),
    _probe_17g(
        "cryo-17g-rod",
        45.0,
        -130.0,
        "-130 degC as listed for IceRod [V]",
        (_ice(25.0, 35.0, 10.0, "10 min freeze taken, not stated", _IN_USE),),
    ),
    Applicator(
        name="cryo-2.4mm",
        kind="cryo",
        shaft_diameter_mm=2.4,
        active_length_mm=40.0,
        tip_offset_mm=3.0,
        working_temperature_c=-140.0,
        ramp_s=60.0,
        max_insertion_mm=170.0,
        source=f"2.4 mm shaft [V, {_LITTRUP}]; {_FREEZE}; contact resistance fitted to the "
        "single probe of that paper [M]; 40 mm active length, 60 s ramp, 3 mm tip, 170 mm shaft: "
        "typical, to verify [S]",
        device=CryoDevice(contact_resistance_mk_per_w=LITTRUP_CONTACT_MK_PER_W, max_probes=8),
        zones=(
            PublishedZone(12.0, None, _AGAR, 900.0, -30.0, None, "gel", f"{_LITTRUP} [V]"),
            PublishedZone(31.0, None, _LUNG, 600.0, 0.0, None, "lung", f"{_HINSHAW} [V]"),
            PublishedZone(23.0, None, _LUNG, 600.0, -20.0, None, "lung", f"{_HINSHAW} [V]"),
            PublishedZone(18.0, None, _LUNG, 600.0, -40.0, None, "lung", f"{_HINSHAW} [V]"),
        ),
    ),
    Applicator(
        name="cryo-1.7mm",
        kind="cryo",
        shaft_diameter_mm=1.7,
        active_length_mm=30.0,
        tip_offset_mm=3.0,
        working_temperature_c=-140.0,
        ramp_s=60.0,
        max_insertion_mm=170.0,
        source=f"1.7 mm shaft [V, {_LITTRUP}]; {_FREEZE}; contact resistance as the 2.4 mm class "
        "[X]; 30 mm active length, 60 s ramp, 3 mm tip, 170 mm shaft: typical, to verify [S]",
        device=CryoDevice(contact_resistance_mk_per_w=LITTRUP_CONTACT_MK_PER_W, max_probes=8),
        zones=(
            PublishedZone(
                10.1,
                None,
                _AGAR,
                900.0,
                -30.0,
                None,
                "gel",
                f"{_LITTRUP}: 84 % of the 2.4 mm probe's diameter, mean of all arrays [V]",
            ),
        ),
    ),
    Applicator(
        name="cryo-10g-edge",
        kind="cryo",
        shaft_diameter_mm=2.4,
        active_length_mm=33.0,
        tip_offset_mm=3.0,
        working_temperature_c=-150.0,
        ramp_s=60.0,
        max_insertion_mm=175.0,
        source="-150 degC as listed for this class [V, ablation specification]; 2.4 mm shaft, "
        f"33 mm active length: to verify [S]; {_REST}",
    ),
)
