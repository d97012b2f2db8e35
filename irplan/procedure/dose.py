"""What an X-ray system says it gave: totals, irradiation events, and what is odd about them.

Content only: readers are in `irplan.dicom.rdsr`.  Air kerma is that at the interventional
reference point (IEC 60601-2-43), not skin dose.  DICOM PS3.16, TID 10001 to 10004.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

from irplan.errors import InputError

#: Which tube: a biplane system has "A" and "B"; "" where the file does not say.
Plane = Literal["single", "A", "B", ""]
#: Irradiation event type (TID 10003, 113721).
EventKind = Literal["fluoroscopy", "stationary", "stepping", "rotational", "unknown"]
#: Where the numbers come from.
DoseSource = Literal["RDSR", "image header"]


@dataclass(frozen=True)
class DoseFlag:
    """Something in the file a reader should know: a short ``code`` and one sentence."""

    code: str
    text: str


@dataclass(frozen=True)
class XrayFilter:
    """A filter in the beam: its material in words and its thickness, mm (None: not stated)."""

    material: str
    thickness_min_mm: float | None
    thickness_max_mm: float | None


@dataclass(frozen=True)
class DoseTotals:
    """Accumulated values of one plane as the system states them (TID 10002, 10004).

    Dose-area products in Gy.cm2, air kerma at the reference point in mGy, times in s.  None: not
    stated.  ``reference_point`` is the file's own words.
    Raises `InputError` for a negative or infinite number.
    """

    plane: Plane = ""
    dap_gy_cm2: float | None = None
    air_kerma_mgy: float | None = None
    fluoro_dap_gy_cm2: float | None = None
    fluoro_air_kerma_mgy: float | None = None
    acquisition_dap_gy_cm2: float | None = None
    acquisition_air_kerma_mgy: float | None = None
    fluoro_time_s: float | None = None
    acquisition_time_s: float | None = None
    frames: int | None = None
    reference_point: str = ""

    def __post_init__(self) -> None:
        _require_amounts(self, "totals")


@dataclass(frozen=True)
class DoseEvent:
    """One irradiation event (TID 10003); None or an empty tuple: not stated.

    Parameters
    ----------
    uid : irradiation event UID; may be "".
    started : local time of the system, without a zone unless the file gives one.
    dap_gy_cm2, air_kerma_mgy : of this event.
    primary_angle_deg, secondary_angle_deg : positioner at the start: LAO and cranial positive.
    end_primary_angle_deg, end_secondary_angle_deg : at the end of a rotational run.
    kvp, tube_current_ma, pulse_width_ms : one value, or one a pulse (or a group of pulses).
    pulse_rate_per_s, pulses : pulses are frames of a fluoroscopy or an acquisition.
    duration_s : irradiation duration as stated.
    source_detector_mm, source_isocentre_mm : distances from the focal spot.
    field_area_cm2 : collimated field at the detector.
    table_mm : (lateral, longitudinal, height); a component is None where it is not stated.

    Raises `InputError` for a negative dose, area, distance, time or count, or a number that is
    not finite.
    """

    uid: str = ""
    kind: EventKind = "unknown"
    plane: Plane = ""
    started: datetime | None = None
    dap_gy_cm2: float | None = None
    air_kerma_mgy: float | None = None
    primary_angle_deg: float | None = None
    secondary_angle_deg: float | None = None
    end_primary_angle_deg: float | None = None
    end_secondary_angle_deg: float | None = None
    kvp: tuple[float, ...] = ()
    tube_current_ma: tuple[float, ...] = ()
    pulse_width_ms: tuple[float, ...] = ()
    pulse_rate_per_s: float | None = None
    pulses: int | None = None
    duration_s: float | None = None
    source_detector_mm: float | None = None
    source_isocentre_mm: float | None = None
    filters: tuple[XrayFilter, ...] = ()
    field_area_cm2: float | None = None
    table_mm: tuple[float | None, float | None, float | None] = (None, None, None)
    target_region: str = ""
    protocol: str = ""

    def __post_init__(self) -> None:
        _require_amounts(self, "event", but=("table_mm",))
        for name in ("kvp", "tube_current_ma", "pulse_width_ms"):
            _require_amount(f"event.{name}", *getattr(self, name))
        _require_finite("event.table_mm", *(v for v in self.table_mm if v is not None))

    @property
    def beam_on_s(self) -> float | None:
        """The stated duration, else pulses over pulse rate, else None."""
        if self.duration_s is not None:
            return self.duration_s
        if self.pulses is None or not self.pulse_rate_per_s:
            return None
        return self.pulses / self.pulse_rate_per_s


@dataclass(frozen=True)
class DoseReport:
    """The dose of one procedure from one file.

    Parameters
    ----------
    source : what kind of file the numbers come from.
    file_name, sha256 : of that file.
    manufacturer, model : of the X-ray system; "" where not stated.  No patient data is kept.
    totals : one a plane as stated; empty where the file has none.
    events : sorted by start; those without a start come last in the file's order.
    flags : what is odd about the file.
    study_uid : to bring reports and images of one study together; may be "".
    template : the template identifier ("10001"), "" when missing.
    """

    source: DoseSource
    file_name: str
    sha256: str
    manufacturer: str = ""
    model: str = ""
    totals: tuple[DoseTotals, ...] = ()
    events: tuple[DoseEvent, ...] = ()
    flags: tuple[DoseFlag, ...] = ()
    study_uid: str = ""
    template: str = ""

    @property
    def dap_gy_cm2(self) -> float | None:
        """Dose-area product over the planes: stated, else the events' sum, else None, Gy.cm2."""
        return _stated_or_summed(self, "dap_gy_cm2")

    @property
    def air_kerma_mgy(self) -> float | None:
        """Air kerma at the reference points over the planes, mGy, as `dap_gy_cm2`.

        With two planes it is a sum over two reference points: an upper bound for one place.
        """
        return _stated_or_summed(self, "air_kerma_mgy")

    def unstated(self, name: str) -> str:
        """What the sum ``dap_gy_cm2`` or ``air_kerma_mgy`` lacks, in words; "" where it is whole.

        A plane whose total is missing beside one that has it, or, where sums of events stand in
        for totals, events without a value: the true dose is then higher.
        """
        known = [getattr(t, name) is not None for t in self.totals]
        if any(known):
            missing = known.count(False)
            return f"{missing} of {len(known)} planes state no total" if missing else ""
        missing = sum(getattr(e, name) is None for e in self.events)
        return f"{missing} of {len(self.events)} events state no value" if missing else ""

    @property
    def fluoro_time_s(self) -> float | None:
        """Fluoroscopy time over the planes: stated, else from the events, else None, s."""
        stated = total_of(self.totals, "fluoro_time_s")
        if stated is not None:
            return stated
        times = [e.beam_on_s for e in self.events if e.kind == "fluoroscopy"]
        known = [t for t in times if t is not None]
        return math.fsum(known) if known and len(known) == len(times) else None


def total_of(totals: tuple[DoseTotals, ...], name: str) -> float | None:
    """Sum of the field ``name`` over the planes that state it; None where none does."""
    values = [v for t in totals if (v := getattr(t, name)) is not None]
    return math.fsum(values) if values else None


def event_sum(
    events: tuple[DoseEvent, ...], name: str, *, kind: EventKind | None = None
) -> float | None:
    """Sum of the field ``name`` over the events (of one ``kind``); None where none states it."""
    values = [
        v
        for e in events
        if (kind is None or e.kind == kind) and (v := getattr(e, name)) is not None
    ]
    return math.fsum(values) if values else None


def _stated_or_summed(report: DoseReport, name: str) -> float | None:
    stated = total_of(report.totals, name)
    return event_sum(report.events, name) if stated is None else stated


def _require_amounts(item: object, field: str, *, but: tuple[str, ...] = ()) -> None:
    """Angles may be negative; every other number of ``item`` is an amount."""
    for each in fields(item):  # type: ignore[arg-type]
        value = getattr(item, each.name)
        if each.name in but or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if each.name.endswith("_deg"):
            _require_finite(f"{field}.{each.name}", value)
        else:
            _require_amount(f"{field}.{each.name}", value)


def _require_finite(field: str, *values: float) -> None:
    for value in values:
        if not math.isfinite(value):
            raise InputError(
                field,
                got=str(value),
                expected="a finite number, or None where it is not stated",
                remedy="Leave the value out.",
            )


def _require_amount(field: str, *values: float) -> None:
    _require_finite(field, *values)
    for value in values:
        if value < 0:
            raise InputError(
                field,
                got=f"{value:g}",
                expected="zero or more",
                remedy="Leave the value out where it is not known.",
            )
