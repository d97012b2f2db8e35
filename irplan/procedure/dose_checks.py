"""What is odd about a dose report's own numbers."""

from __future__ import annotations

from collections import Counter

from irplan.procedure.dose import DoseEvent, DoseFlag, DoseTotals, event_sum, total_of

#: Totals and the sum of events may differ by this part before it is flagged; systems round each
#: event to their last digit, so half a unit of that digit for every event is allowed as well.
SUM_TOLERANCE = 0.02

_SUMS = (
    ("dap_gy_cm2", "dose-area product", "Gy.cm2"),
    ("air_kerma_mgy", "air kerma at the reference point", "mGy"),
)
_PARTS = (
    ("fluoro_dap_gy_cm2", "acquisition_dap_gy_cm2", "dap_gy_cm2", "dose-area product", "Gy.cm2"),
    (
        "fluoro_air_kerma_mgy",
        "acquisition_air_kerma_mgy",
        "air_kerma_mgy",
        "air kerma at the reference point",
        "mGy",
    ),
)


def check_dose(
    totals: tuple[DoseTotals, ...], events: tuple[DoseEvent, ...]
) -> tuple[DoseFlag, ...]:
    """Flags on totals against events, planes, geometry and times; none means nothing was found."""
    flags: list[DoseFlag] = []
    if not totals:
        flags.append(DoseFlag("no_totals", "The file states no totals; sums of events are shown."))
    if not events:
        flags.append(
            DoseFlag("no_events", "The file has no irradiation events: no plot, table or skin map.")
        )
    flags += _sums(totals, events)
    planes = sorted({e.plane for e in events if e.plane in ("A", "B")})
    if planes == ["A", "B"]:
        flags.append(
            DoseFlag(
                "two_planes",
                "Both planes were used: air kerma summed over them is an upper bound for one "
                "place of the skin.",
            )
        )
    flags += _events(events)
    return tuple(flags)


def _sums(totals: tuple[DoseTotals, ...], events: tuple[DoseEvent, ...]) -> list[DoseFlag]:
    flags = []
    for name, words, unit in _SUMS:
        stated, summed = total_of(totals, name), event_sum(events, name)
        without = [t for t in totals if getattr(t, name) is None]
        if stated is not None and without:
            flags.append(
                DoseFlag(
                    "total_of_a_plane_missing",
                    f"{len(without)} of {len(totals)} planes state no total {words}: what is shown "
                    "is that of the others.",
                )
            )
        if stated is None or summed is None:
            if totals and events and stated is None:
                flags.append(DoseFlag("total_missing", f"The total {words} is not stated."))
            continue
        if not _close(stated, summed, _last_digit(events, name) * len(events) / 2.0):
            part = f" ({100 * (summed / stated - 1):+.1f} %)" if stated else ""
            flags.append(
                DoseFlag(
                    "event_sum",
                    f"The events' {words} adds up to {summed:.6g} {unit}, the stated total is "
                    f"{stated:.6g} {unit}{part}; both are kept.",
                )
            )
    for fluoro, acquisition, whole, words, unit in _PARTS:
        parts = [total_of(totals, fluoro), total_of(totals, acquisition)]
        stated = total_of(totals, whole)
        if stated is None or parts[0] is None or parts[1] is None:
            continue
        if not _close(stated, parts[0] + parts[1], 0.0):
            flags.append(
                DoseFlag(
                    "total_parts",
                    f"Fluoroscopy and acquisition {words} add up to {parts[0] + parts[1]:.6g} "
                    f"{unit}, the stated total is {stated:.6g} {unit}.",
                )
            )
    return flags


def _last_digit(events: tuple[DoseEvent, ...], name: str) -> float:
    """The step the system rounds events to: the smallest power of ten all values are whole in."""
    values = [v for e in events if (v := getattr(e, name)) is not None and v > 0]
    for exponent in range(3, -7, -1):
        step = 10.0**exponent
        if values and all(abs(v / step - round(v / step)) < 1e-6 for v in values):
            return step
    return 0.0


def _close(a: float, b: float, rounding: float) -> bool:
    return abs(a - b) <= SUM_TOLERANCE * max(abs(a), abs(b)) + rounding * (1.0 + 1e-9)


def _events(events: tuple[DoseEvent, ...]) -> list[DoseFlag]:
    flags = []
    total = len(events)

    def missing(code: str, count: int, words: str) -> None:
        if count:
            flags.append(DoseFlag(code, f"{count} of {total} events state no {words}."))

    missing("event_dap_missing", sum(e.dap_gy_cm2 is None for e in events), "dose-area product")
    missing("event_kerma_missing", sum(e.air_kerma_mgy is None for e in events), "air kerma")
    missing("start_missing", sum(e.started is None for e in events), "start time")
    missing(
        "angles_missing",
        sum(e.primary_angle_deg is None or e.secondary_angle_deg is None for e in events),
        "positioner angles",
    )
    missing(
        "table_missing",
        sum(None in e.table_mm for e in events),
        "complete table position (lateral, longitudinal and height)",
    )
    uids = Counter(e.uid for e in events if e.uid)
    double = sum(n - 1 for n in uids.values() if n > 1)
    if double:
        flags.append(
            DoseFlag("event_uid", f"{double} events repeat the UID of another; all are kept.")
        )
    return flags
