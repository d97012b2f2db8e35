"""Classes of radiofrequency electrode and microwave antenna: geometry, limits, published zones."""

from __future__ import annotations

import math

from irplan.ablation.applicator import Applicator
from irplan.ablation.device import MwaDevice, RfaDevice
from irplan.ablation.zones import PublishedZone

Tine = tuple[tuple[float, float, float], ...]

_TIP_2CM = "2 cm cooled tip, 12 min, impedance control"
_TIP_SOURCE = "2 cm tip, 12 min [V, ablation specification]"
_PERFUSION = "Acad Radiol 2012: short axis 3.925 - 0.044 x cm [V, ablation specification]"
_COOLED = (
    "17G shaft, cooled by iced water, 200 W generator: typical of the class, to verify [S]; "
    "film coefficient: estimate [X]"
)
_HE = "He 2010, microwave tables [V, ablation specification]"


def _tip_zone(short_mm: float, long_mm: float, tissue: str) -> PublishedZone:
    return PublishedZone(short_mm, long_mm, _TIP_2CM, 720.0, None, 200.0, tissue, _TIP_SOURCE)


def _perfused(perfusion_ml_per_min_100g: float) -> PublishedZone:
    """Short axis that the published regression gives at a liver perfusion, ml/min/100 g."""
    x = perfusion_ml_per_min_100g
    setting = f"3 cm cooled tip, 12 min, liver perfused at {x:g} ml/min/100 g"
    return PublishedZone(39.25 - 0.44 * x, None, setting, 720.0, None, 200.0, "liver", _PERFUSION)


def _cooled_tip(name: str, length_mm: float, zones: tuple[PublishedZone, ...]) -> Applicator:
    return Applicator(
        name=name,
        kind="rfa",
        shaft_diameter_mm=1.5,
        active_length_mm=length_mm,
        tip_offset_mm=0.0,
        working_temperature_c=10.0,
        ramp_s=0.0,
        max_insertion_mm=200.0,
        source=_COOLED,
        device=RfaDevice(max_power_w=200.0, cooled=True),
        zones=zones,
    )


def _parallel_tines(count: int, spacing_mm: float, length_mm: float) -> tuple[Tine, ...]:
    """Straight tips side by side at the corners of a regular polygon of side ``spacing_mm``."""
    radius = 0.5 * spacing_mm / math.sin(math.pi / count)
    out = []
    for n in range(count):
        u = radius * math.cos(2.0 * math.pi * n / count)
        v = radius * math.sin(2.0 * math.pi * n / count)
        out.append(((0.0, u, v), (length_mm, u, v)))
    return tuple(out)


def _umbrella_tines(count: int, diameter_mm: float) -> tuple[Tine, ...]:
    """Tines that leave the tip forwards, curve outwards and turn back, as half ellipses.

    The umbrella is ``diameter_mm`` wide and reaches a quarter of that in front of the tip.
    """
    half, front, points = 0.5 * diameter_mm, 0.25 * diameter_mm, 9
    out = []
    for n in range(count):
        phi = 2.0 * math.pi * n / count
        line = []
        for k in range(points):
            turn = math.pi * k / (points - 1)
            across = 0.5 * half * (1.0 - math.cos(turn))
            line.append((-front * math.sin(turn), across * math.cos(phi), across * math.sin(phi)))
        out.append(tuple(line))
    return tuple(out)


def _umbrella(diameter_cm: int) -> Applicator:
    return Applicator(
        name=f"rfa-15g-umbrella-{diameter_cm}cm",
        kind="rfa",
        shaft_diameter_mm=1.9,
        active_length_mm=10.0,
        tip_offset_mm=0.0,
        working_temperature_c=37.0,
        ramp_s=0.0,
        max_insertion_mm=250.0,
        source=f"expandable electrode of the 15G class, 10 tines {diameter_cm} cm across, 200 W "
        "generator: typical, to verify [S]; shape of the tines, 10 mm live shaft: estimate [X]",
        device=RfaDevice(
            max_power_w=200.0, tines=_umbrella_tines(10, 10.0 * diameter_cm), max_probes=1
        ),
    )


#: Zone of the 3 cm tip -> perfusion of the liver, ml/min/100 g.
RFA_PERFUSIONS = {_perfused(x): x for x in (10.0, 30.0, 50.0)}

RFA_ELECTRODES = (
    _cooled_tip(
        "rfa-17g-cooled-2cm",
        20.0,
        (_tip_zone(26.2, 30.1, "liver ex vivo"), _tip_zone(20.0, 26.2, "liver")),
    ),
    _cooled_tip("rfa-17g-cooled-3cm", 30.0, tuple(RFA_PERFUSIONS)),
    Applicator(
        name="rfa-17g-cooled-cluster",
        kind="rfa",
        shaft_diameter_mm=1.5,
        active_length_mm=25.0,
        tip_offset_mm=0.0,
        working_temperature_c=10.0,
        ramp_s=0.0,
        max_insertion_mm=200.0,
        source=f"three 2.5 cm tips 5 mm apart; {_COOLED}",
        device=RfaDevice(
            max_power_w=200.0,
            cooled=True,
            tines=_parallel_tines(3, 5.0, 25.0),
            tine_diameter_mm=1.5,
            max_probes=1,
        ),
    ),
    *(_umbrella(d) for d in (3, 4, 5)),
)


#: Fitted to the 14 rows of He 2010 (`calibrate`, 2 mm voxels, dead by Arrhenius): mean error in
#: diameter 0, root mean square over diameters and lengths 5.1 mm.
HE_EFFICIENCY = 0.81


def _he(
    tissue: str, minutes: float, rows: tuple[tuple[float, float, float], ...]
) -> tuple[PublishedZone, ...]:
    """Rows of (power W, short mm, long mm)."""
    where = "pig liver, excised" if tissue == "liver ex vivo" else "dog liver, living"
    return tuple(
        PublishedZone(
            short, long, f"{where}, {minutes:g} min at {watt:g} W", 60.0 * minutes, None, watt,
            tissue, _HE,
        )
        for watt, short, long in rows
    )  # fmt: skip


_HE_ZONES = (
    *_he("liver ex vivo", 10, ((30, 30, 43), (40, 32, 45), (50, 37, 50))),
    *_he("liver ex vivo", 16, ((30, 43, 45), (40, 42, 50), (50, 45, 55))),
    *_he("liver", 10, ((30, 21, 27), (40, 28, 30), (50, 29, 40), (60, 31, 45))),
    *_he("liver", 20, ((30, 24, 38), (40, 33, 47), (50, 32, 45), (60, 35, 50))),
)


def _antenna(
    name: str,
    diameter_mm: float,
    device: MwaDevice,
    length_mm: float,
    words: str,
    zones: tuple[PublishedZone, ...] = (),
) -> Applicator:
    return Applicator(
        name=name,
        kind="mwa",
        shaft_diameter_mm=diameter_mm,
        active_length_mm=length_mm,
        tip_offset_mm=0.0,
        working_temperature_c=20.0,
        ramp_s=0.0,
        max_insertion_mm=200.0,
        source=f"{words}: typical of the class, to verify [S]; slot, film coefficient and, where "
        "not fitted, efficiency: estimates [X]",
        device=device,
        zones=zones,
    )


MWA_ANTENNAS = (
    _antenna(
        "mwa-14g-cooled-2450",
        2.1,
        MwaDevice(max_power_w=100.0, slot_offset_mm=11.0),
        15.0,
        "cooled 14G antenna, 2450 MHz, slot 11 mm from the tip",
    ),
    _antenna(
        "mwa-15g-cooled-2450",
        1.9,
        MwaDevice(max_power_w=100.0, slot_offset_mm=11.0, efficiency=HE_EFFICIENCY),
        15.0,
        "cooled-shaft 15G antenna, 2450 MHz, slot 11 mm from the tip; efficiency fitted to the "
        "14 zones of He 2010 [M]",
        _HE_ZONES,
    ),
    _antenna(
        "mwa-17g-cooled-2450",
        1.5,
        MwaDevice(max_power_w=65.0, slot_offset_mm=10.0, efficiency=0.55),
        15.0,
        "cooled 17G antenna, 2450 MHz",
    ),
    _antenna(
        "mwa-13g-915",
        2.4,
        MwaDevice(frequency_mhz=915.0, max_power_w=60.0, slot_offset_mm=36.0, slot_length_mm=2.0),
        40.0,
        "cooled 13G antenna, 915 MHz, gap 36 mm from the tip",
    ),
)
