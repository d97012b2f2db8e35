"""The content items of a dose report: totals (TID 10002, 10004) and events (TID 10003)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset

from irplan.dicom.dose_units import Kind, factor
from irplan.dicom.reading import READ_ERRORS, text
from irplan.procedure.dose import DoseEvent, DoseFlag, DoseTotals, EventKind, Plane, XrayFilter

_PLANES: dict[str, Plane] = {"113620": "A", "113621": "B", "113622": "single"}
_KINDS: dict[str, EventKind] = {
    "P5-06000": "fluoroscopy",
    "44491008": "fluoroscopy",
    "113611": "stationary",
    "113612": "stepping",
    "113613": "rotational",
}
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d{1,6})?([+-]\d{4})?")


def parts(data: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; none where it is absent or empty."""
    found = data.get(keyword)
    return [] if found is None else list(found)


def item_code(item: Dataset) -> str:
    """The code value of an item's concept name, or ""."""
    for name in parts(item, "ConceptNameCodeSequence"):
        return text(name, "CodeValue")
    return ""


class Items:
    """The children of one container, by code value; what cannot be used is noted."""

    def __init__(self, container: Dataset, notes: list[DoseFlag] | None = None) -> None:
        self._notes: list[DoseFlag] = [] if notes is None else notes
        self._by_code: dict[str, list[Dataset]] = {}
        for item in parts(container, "ContentSequence"):
            self._by_code.setdefault(item_code(item), []).append(item)

    def all(self, code: str) -> list[Dataset]:
        """Every child with this concept."""
        return self._by_code.get(code, [])

    def code(self, concept: str) -> str:
        """The code value of the first child ``concept``, or ""."""
        for item in self.all(concept):
            for value in parts(item, "ConceptCodeSequence"):
                return text(value, "CodeValue")
        return ""

    def words(self, concept: str) -> str:
        """The text, or the meaning of the code, of the first child ``concept``."""
        for item in self.all(concept):
            said = text(item, "TextValue")
            for value in parts(item, "ConceptCodeSequence"):
                said = said or text(value, "CodeMeaning")
            if said:
                return said
        return ""

    def uid(self, concept: str) -> str:
        """The UID of the first child ``concept``, or ""."""
        for item in self.all(concept):
            return text(item, "UID")
        return ""

    def when(self, concept: str) -> datetime | None:
        """The date and time of the first child ``concept``; noted where it cannot be read."""
        for item in self.all(concept):
            said = text(item, "DateTime")
            found = date_time(said)
            if found is not None:
                return found
            if said:
                self._note("time_unreadable", f"The time of {concept} cannot be read.")
        return None

    def numbers(self, concept: str, kind: Kind) -> tuple[float, ...]:
        """Every number of every child ``concept``, in irplan's unit of ``kind``."""
        out: list[float] = []
        for item in self.all(concept):
            for measured in parts(item, "MeasuredValueSequence"):
                values = _values(measured)
                if values is None:
                    self._note("number_unreadable", f"A value of {concept} is no number: left out.")
                    continue
                if not values:
                    continue
                units = [
                    text(u, "CodeValue") for u in parts(measured, "MeasurementUnitsCodeSequence")
                ]
                scale = factor(units[0], kind) if units else None
                if scale is None:
                    given = f"unit '{units[0][:16]}'" if units else "no unit"
                    self._note(
                        "unit", f"A value of {concept} ({_meaning(item)}) has {given}: left out."
                    )
                    continue
                out += [v * scale for v in values]
        return tuple(out)

    def number(self, concept: str, kind: Kind, *, signed: bool = False) -> float | None:
        """The one number ``concept``; several different, or a negative amount, are left out."""
        found = self.numbers(concept, kind)
        if not found:
            return None
        if any(v != found[0] for v in found):
            self._note("several_values", f"{concept} has several different values: left out.")
            return None
        return self._checked(concept, found[0], signed=signed)

    def count(self, concept: str) -> int | None:
        """The whole number ``concept``."""
        found = self.number(concept, "count")
        return None if found is None else round(found)

    def amounts(self, concept: str, kind: Kind) -> tuple[float, ...]:
        """Every number of ``concept`` that is not negative."""
        return tuple(
            v for v in self.numbers(concept, kind) if self._checked(concept, v) is not None
        )

    def _checked(self, concept: str, value: float, *, signed: bool = False) -> float | None:
        if value < 0 and not signed:
            self._note("negative", f"A value of {concept} is negative: left out.")
            return None
        return value

    def _note(self, code: str, said: str) -> None:
        self._notes.append(DoseFlag(code, said))


def read_plane(said: str) -> Plane:
    """The plane from an image type ("... SINGLE PLANE ...", "BIPLANE A")."""
    upper = said.upper()
    if "BIPLANE A" in upper:
        return "A"
    if "BIPLANE B" in upper:
        return "B"
    return "single" if "SINGLE PLANE" in upper else ""


def read_totals(items: Items) -> DoseTotals:
    """Accumulated values of one plane."""
    return DoseTotals(
        plane=_PLANES.get(items.code("113764"), ""),
        dap_gy_cm2=items.number("113722", "dap"),
        air_kerma_mgy=items.number("113725", "kerma"),
        fluoro_dap_gy_cm2=items.number("113726", "dap"),
        fluoro_air_kerma_mgy=items.number("113728", "kerma"),
        acquisition_dap_gy_cm2=items.number("113727", "dap"),
        acquisition_air_kerma_mgy=items.number("113729", "kerma"),
        fluoro_time_s=items.number("113730", "time"),
        acquisition_time_s=items.number("113855", "time"),
        frames=items.count("113731"),
        reference_point=items.words("113780"),
    )


def event(items: Items) -> DoseEvent:
    """One irradiation event."""
    return DoseEvent(
        uid=items.uid("113769"),
        kind=_KINDS.get(items.code("113721"), "unknown"),
        plane=_PLANES.get(items.code("113764"), ""),
        started=items.when("111526"),
        dap_gy_cm2=items.number("122130", "dap"),
        air_kerma_mgy=items.number("113738", "kerma"),
        primary_angle_deg=items.number("112011", "angle", signed=True),
        secondary_angle_deg=items.number("112012", "angle", signed=True),
        end_primary_angle_deg=items.number("113739", "angle", signed=True),
        end_secondary_angle_deg=items.number("113740", "angle", signed=True),
        kvp=items.amounts("113733", "voltage"),
        tube_current_ma=items.amounts("113734", "current"),
        pulse_width_ms=items.amounts("113793", "time_ms"),
        pulse_rate_per_s=items.number("113791", "rate"),
        pulses=items.count("113768"),
        duration_s=items.number("113742", "time"),
        source_detector_mm=items.number("113750", "length"),
        source_isocentre_mm=items.number("113748", "length"),
        filters=_filters(items),
        field_area_cm2=items.number("113790", "area"),
        table_mm=(
            items.number("113752", "length", signed=True),
            items.number("113751", "length", signed=True),
            items.number("113753", "length", signed=True),
        ),
        target_region=items.words("123014"),
        protocol=items.words("125203"),
    )


def _filters(items: Items) -> tuple[XrayFilter, ...]:
    out = []
    for container in items.all("113771"):
        inner = Items(container)
        material = inner.words("113757")
        if not material:
            continue
        out.append(
            XrayFilter(material, inner.number("113758", "length"), inner.number("113773", "length"))
        )
    return tuple(out)


def _values(measured: Dataset) -> list[float] | None:
    """The numbers of one measured value, none where it is empty; None where they are no numbers."""
    try:
        value = measured.get("NumericValue")
        if value is None or value == "":
            return []
        several = [value] if isinstance(value, int | float | str) else list(value)
        numbers = [float(v) for v in several]
    except READ_ERRORS:
        return None
    return numbers if all(math.isfinite(v) for v in numbers) else None


def _meaning(item: Dataset) -> str:
    for name in parts(item, "ConceptNameCodeSequence"):
        return text(name, "CodeMeaning")
    return ""


def date_time(said: str) -> datetime | None:
    """A DICOM DT value with at least a day; None where it is anything else."""
    found = _TIME.fullmatch(said)
    if found is None or found[3] is None:
        return None
    year, month, day, hour, minute, second = (int(g or 0) for g in found.groups()[:6])
    micro = min(round(float(found[7] or 0) * 1e6), 999999)
    try:
        zone = None
        if found[8]:
            sign = 1 if found[8][0] == "+" else -1
            away = timedelta(hours=int(found[8][1:3]), minutes=int(found[8][3:5]))
            zone = timezone(sign * away)
        return datetime(year, month, day, hour, minute, min(second, 59), micro, zone)
    except ValueError:
        return None
