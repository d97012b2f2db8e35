"""Published tables simulated row by row; residuals are returned, none is left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.applicator import Applicator
from irplan.ablation.bench import bench_problem
from irplan.ablation.calibrate import (
    Calibration,
    ZoneResidual,
    calibrate,
    single_phase,
    tissue_of_zone,
    with_constant,
    zone_residuals,
)
from irplan.ablation.catalogue import AUTOMATIC_CRYOPROBES, applicator
from irplan.ablation.cryo import simulate_cryo
from irplan.ablation.device import Kind
from irplan.ablation.library.heat_applicators import RFA_PERFUSIONS
from irplan.ablation.schedule import Phase, Schedule
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import tissue
from irplan.ablation.zone_size import zone_size
from irplan.ablation.zones import PublishedZone
from irplan.compute import Progress, no_progress
from irplan.compute.progress import portion
from irplan.image import Volume

LITTRUP_SOURCE = "Littrup 2009, J Vasc Interv Radiol 20:1343, PMC2762356, abstract [V]"
#: Agar at the start, degC; length of the freeze, min; distance between neighbours, mm.
LITTRUP_START_C, LITTRUP_MINUTES, LITTRUP_SPACING_MM = 39.0, 15.0, 20.0
#: Probes -> (diameter of the -30 degC isotherm, mm; its share of the ice's area, %).
LITTRUP_TABLE = {1: (12.0, 13.0), 2: (33.0, 46.0), 3: (41.0, 51.0), 4: (49.0, 56.0)}
_LETHAL_C = -30.0


@dataclass(frozen=True)
class GelRow:
    """One array of probes in agar: published and simulated at the end of the freeze.

    ``around_mm`` and ``ice_around_mm`` : diameter of the -30 and 0 degC isotherm through the
    probes, that is, of the circle round the array's middle that holds it.  It is what is compared
    (``error_percent``): the paper's thermocouples stood in a jig at distances from the probes, and
    its shares of area are the squares of such diameters.  ``equal_area_mm`` is the diameter of
    the circle of the isotherm's area in the middle plane; ``area_percent`` its share of the
    ice's there, ``circle_percent`` the share that the two circles give.
    """

    probes: int
    published_mm: float
    published_area_percent: float
    around_mm: float
    error_percent: float
    ice_around_mm: float
    circle_percent: float
    equal_area_mm: float
    area_percent: float


@dataclass(frozen=True)
class GelTest:
    """Rows of the agar test and the one constant, fitted to the single 2.4 mm probe alone.

    ``thin_probe`` : the paper's 1.7 mm probe, predicted with the same constant.
    """

    calibration: Calibration
    rows: tuple[GelRow, ...]
    thin_probe: ZoneResidual
    source: str


@dataclass(frozen=True)
class FittedZones:
    """Residuals at the catalogue's constants, and a fit of one constant to the same zones."""

    residuals: tuple[ZoneResidual, ...]
    calibration: Calibration


def array_offsets(probes: int, spacing_mm: float) -> tuple[tuple[float, float], ...]:
    """(x, y) of 1 to 4 parallel probes: a point, a pair, a triangle or a square, centred."""
    if probes == 1:
        return ((0.0, 0.0),)
    radius = 0.5 * spacing_mm / math.sin(math.pi / probes)
    turn = [2.0 * math.pi * (n + 0.5) / probes for n in range(probes)]
    return tuple((radius * math.cos(t), radius * math.sin(t)) for t in turn)


def littrup_gel(
    *,
    constant: str | None = None,
    spacing_mm: float = 2.0,
    progress: Progress = no_progress,
) -> GelTest:
    """1 to 4 probes of 2.4 mm in agar at 39 degC: one fitted, three predicted.

    The contact resistance (or ``constant``) of the class "cryo-2.4mm" is fitted to the published
    -30 degC diameter of a single probe; the three arrays and the 1.7 mm probe follow from it.
    Agar freezes as water (table's "gel"), nothing perfuses it.  Some 13 simulations; seconds
    at 2 mm.
    """
    probe = applicator("cryo-2.4mm")
    single = tuple(z for z in probe.zones if z.tissue == "gel")
    found = calibrate(
        probe,
        single,
        constant=constant,
        spacing_mm=spacing_mm,
        body_temperature_c=LITTRUP_START_C,
        progress=portion(progress, 0.0, 0.65),
    )
    thin = zone_residuals(
        with_constant(applicator("cryo-1.7mm"), found.constant, found.value),
        spacing_mm=spacing_mm,
        body_temperature_c=LITTRUP_START_C,
        progress=portion(progress, 0.65, 0.7),
    )
    rows = []
    for n, (diameter, share) in LITTRUP_TABLE.items():
        start = 0.7 + 0.075 * (n - 1)
        rows.append(
            _gel_row(found.applicator, n, diameter, share, spacing_mm,
                     portion(progress, start, start + 0.075))
        )  # fmt: skip
    return GelTest(found, tuple(rows), thin[0], LITTRUP_SOURCE)


def _gel_row(
    probe: Applicator,
    probes: int,
    diameter_mm: float,
    share: float,
    spacing_mm: float,
    progress: Progress,
) -> GelRow:
    problem = bench_problem(
        probe,
        tissue("gel"),
        Schedule((Phase("freeze", 60.0 * LITTRUP_MINUTES),)),
        offsets_mm=array_offsets(probes, LITTRUP_SPACING_MM),
        spacing_mm=spacing_mm,
        body_temperature_c=LITTRUP_START_C,
    )
    result = simulate_cryo(problem, progress=progress)
    temperature = result.volumes()["temperature"]
    cold = zone_size(result, problem.placements, _LETHAL_C)
    ice = zone_size(result, problem.placements, 0.0)
    areas = [_middle_area_mm2(temperature, level) for level in (_LETHAL_C, 0.0)]
    return GelRow(
        probes=probes,
        published_mm=diameter_mm,
        published_area_percent=share,
        around_mm=cold.around_mm,
        error_percent=100.0 * (cold.around_mm / diameter_mm - 1.0),
        ice_around_mm=ice.around_mm,
        circle_percent=100.0 * (cold.around_mm / ice.around_mm) ** 2,
        equal_area_mm=2.0 * math.sqrt(areas[0] / math.pi),
        area_percent=100.0 * areas[0] / areas[1],
    )


def _middle_area_mm2(volume: Volume, level: float) -> float:
    """Area at or below ``level`` half way up the bench, from eight times finer samples."""
    from scipy.ndimage import zoom

    middle = volume.array.shape[0] // 2
    plane: NDArray[np.float32] = 0.5 * (volume.array[middle - 1] + volume.array[middle])
    fine = zoom(plane, 8, order=1, grid_mode=True, mode="nearest")
    h = volume.grid.spacing_mm[1]
    return float(np.count_nonzero(fine <= level) * (h / 8.0) ** 2)


def hinshaw_lung(
    *, spacing_mm: float = 2.0, progress: Progress = no_progress
) -> dict[str, FittedZones]:
    """The 2.4 mm probe in pig lung, two 10 min freezes: 0, -20 and -40 degC diameters.

    By tissue: "lung" (aerated) and "soft tissue", which stands for lung that the first freeze has
    filled with fluid.  The length of the thaw is not in the abstract; 8 min is taken.
    """
    probe = applicator("cryo-2.4mm")
    zones = tuple(z for z in probe.zones if z.tissue == "lung")
    return {
        name: _fitted(
            probe,
            tuple(replace(z, tissue=name) for z in zones),
            lambda zone: Schedule.freeze_thaw_freeze(10.0, 8.0, 10.0),
            spacing_mm,
            portion(progress, 0.5 * n, 0.5 * (n + 1)),
        )
        for n, name in enumerate(("lung", "soft tissue"))
    }


def makers_zones(
    *, spacing_mm: float = 2.0, progress: Progress = no_progress
) -> dict[str, FittedZones]:
    """The 17G probes against the zones listed for them, in gel at 37 degC, by applicator.

    Duration and temperature are mostly not stated with these zones; 10 min is taken.
    """
    return {
        name: _fitted(
            applicator(name),
            applicator(name).zones,
            _last_freeze,
            spacing_mm,
            portion(progress, n / 3.0, (n + 1) / 3.0),
        )
        for n, name in enumerate(AUTOMATIC_CRYOPROBES)
    }


def _fitted(
    probe: Applicator,
    zones: tuple[PublishedZone, ...],
    schedule_of: Callable[[PublishedZone], Schedule],
    spacing_mm: float,
    progress: Progress,
) -> FittedZones:
    before = zone_residuals(
        probe,
        zones,
        spacing_mm=spacing_mm,
        schedule_of=schedule_of,
        progress=portion(progress, 0.0, 0.1),
    )
    fitted = calibrate(
        probe,
        zones,
        spacing_mm=spacing_mm,
        schedule_of=schedule_of,
        progress=portion(progress, 0.1, 1.0),
    )
    return FittedZones(before, fitted)


def _last_freeze(zone: PublishedZone) -> Schedule:
    if "3, 7 and 10 min" in zone.setting:
        return Schedule(
            (
                Phase("freeze", 180.0),
                Phase("passive_thaw", 180.0),
                Phase("freeze", 420.0),
                Phase("passive_thaw", 420.0),
                Phase("freeze", 600.0),
            )
        )
    return single_phase(zone)


def heat_zones(
    name: str, *, spacing_mm: float = 1.0, progress: Progress = no_progress
) -> tuple[ZoneResidual, ...]:
    """All zones published for the heat applicator ``name``, at the catalogue's constants.

    "mwa-15g-cooled-2450": He 2010, 14 rows; "rfa-17g-cooled-2cm" and "-3cm" (with the liver's
    perfusion of each row).
    """
    return zone_residuals(
        applicator(name), spacing_mm=spacing_mm, tissue_of=_heated_tissue, progress=progress
    )


def _heated_tissue(zone: PublishedZone, kind: Kind) -> TissueProperties:
    """The zone's tissue, at its row's perfusion where the table varies it."""
    properties = tissue_of_zone(zone, kind)
    if zone not in RFA_PERFUSIONS:
        return properties
    # ml/min/100 g times g/ml of tissue is 100 ml/min a litre
    per_s = RFA_PERFUSIONS[zone] / 60.0 / 100.0 * properties.density_kg_per_m3 / 1000.0
    return replace(properties, perfusion_per_s=per_s)
