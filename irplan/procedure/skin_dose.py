"""Whether a dose report holds what a skin-dose map needs, and what a map says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from irplan.procedure.dose import DoseEvent, DoseReport


@dataclass(frozen=True)
class SkinDose:
    """Peak skin dose, mGy, as another program computed it.

    ``program`` with its version; ``assumptions`` in words: phantom, table, where the patient lies.
    ``air_kerma_mgy`` the sum it started from.
    """

    peak_mgy: float
    air_kerma_mgy: float
    program: str
    assumptions: str


def skin_map_gaps(report: DoseReport) -> tuple[str, ...]:
    """What is missing for a skin-dose map, in words; empty: nothing.

    A map needs, for every event, air kerma, both angles, the three table coordinates, both
    distances, the field's area, tube voltage and filters.  Nothing is guessed.
    """
    if report.source != "RDSR":
        return ("a dose report (an image's header is not the whole procedure)",)
    events = [e for e in report.events if e.air_kerma_mgy is None or e.air_kerma_mgy > 0]
    if not events:
        return ("irradiation events",)
    checks: tuple[tuple[str, Callable[[DoseEvent], bool]], ...] = (
        ("air kerma at the reference point", lambda e: e.air_kerma_mgy is None),
        ("positioner angles", lambda e: None in (e.primary_angle_deg, e.secondary_angle_deg)),
        ("table position (lateral, longitudinal, height)", lambda e: None in e.table_mm),
        ("distance source to isocentre", lambda e: e.source_isocentre_mm is None),
        ("distance source to detector", lambda e: e.source_detector_mm is None),
        ("collimated field area", lambda e: e.field_area_cm2 is None),
        ("tube voltage", lambda e: not e.kvp),
        ("X-ray filters", lambda e: not e.filters),
    )
    gaps = []
    for words, missing in checks:
        count = sum(missing(e) for e in events)
        if count:
            gaps.append(f"{words} ({count} of {len(events)} events)")
    return tuple(gaps)
