"""Dose content: sums, checks, alerts, reference levels, and what a skin map needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from irplan.errors import InputError
from irplan.files.dose_levels_file import read_dose_levels
from irplan.procedure.dose import DoseEvent, DoseReport, DoseTotals, XrayFilter, event_sum
from irplan.procedure.dose_checks import check_dose
from irplan.procedure.dose_levels import alert_rows, reference_rows
from irplan.procedure.skin_dose import skin_map_gaps

EVENT = DoseEvent(
    "1.2.3", "fluoroscopy", "single", datetime(2026, 1, 2, 3, 4, 5), 0.5, 3.0, 10.0, -5.0,
    kvp=(70.0,), pulse_rate_per_s=7.5, pulses=15, source_detector_mm=1200.0,
    source_isocentre_mm=785.0, filters=(XrayFilter("Copper", 0.3, 0.3),), field_area_cm2=400.0,
    table_mm=(1.0, 2.0, 3.0),
)  # fmt: skip


def report(*events: DoseEvent, **totals: float) -> DoseReport:
    stated = (DoseTotals("single", **totals),) if totals else ()
    return DoseReport("RDSR", "a.dcm", "0" * 64, totals=stated, events=events)


def test_sums_and_what_is_not_stated() -> None:
    other = replace(EVENT, uid="1.2.4", kind="stationary", dap_gy_cm2=None, air_kerma_mgy=4.0)
    r = report(EVENT, other)
    assert r.dap_gy_cm2 == 0.5
    assert r.air_kerma_mgy == 7.0
    assert r.fluoro_time_s == pytest.approx(2.0)  # 15 pulses at 7.5/s
    assert event_sum(r.events, "air_kerma_mgy", kind="stationary") == 4.0
    assert report(dap_gy_cm2=2.0).air_kerma_mgy is None
    assert report(EVENT, dap_gy_cm2=2.0).dap_gy_cm2 == 2.0  # the stated total stands


def test_an_event_s_last_digit_is_no_difference() -> None:
    """Ten events of 0.01 each, rounded, may add up to 0.05 more or less than the total."""
    events = tuple(replace(EVENT, uid=str(n), dap_gy_cm2=0.01) for n in range(10))
    codes = {f.code for f in check_dose((DoseTotals(dap_gy_cm2=0.14),), events)}
    assert "event_sum" not in codes
    codes = {f.code for f in check_dose((DoseTotals(dap_gy_cm2=0.16),), events)}
    assert "event_sum" in codes


def test_alerts_and_reference_levels() -> None:
    levels = read_dose_levels()
    r = report(EVENT, dap_gy_cm2=250.0, air_kerma_mgy=6000.0, fluoro_time_s=1800.0)
    rows = {row.name: row for row in alert_rows(r, levels, why="no map")}
    assert rows["dose-area product"].status == "warning"
    assert rows["air kerma at the reference point"].status == "error"
    assert rows["fluoroscopy time"].status == "ok"
    assert rows["fluoroscopy time"].value == 30.0
    assert rows["peak skin dose"].status == "not_checked"
    assert rows["peak skin dose"].note == "no map"
    assert alert_rows(r, levels, skin_dose_mgy=3500.0)[-1].status == "error"
    tace = reference_rows(r, levels.reference("tace"))
    # Phys. Med. 2021;89:63: 189 Gy.cm2, 1186 mGy, 27.5 min
    assert [row.status for row in tace] == ["warning", "warning", "warning"]
    assert tace[0].note.startswith("132 %")
    assert [r.dap_gy_cm2 for r in levels.references if r.key == "evar"] == [162.0]
    with pytest.raises(InputError, match="No level is known for ablation"):
        levels.reference("ablation")
    header = replace(r, source="image header")
    assert {row.status for row in alert_rows(header, levels)} == {"not_checked"}


def test_a_sum_that_lacks_something_alarms_but_never_clears() -> None:
    levels = read_dose_levels()
    events = report(EVENT, replace(EVENT, uid="2", air_kerma_mgy=None, dap_gy_cm2=900.0))
    rows = {row.name: row for row in alert_rows(events, levels)}
    assert rows["air kerma at the reference point"].status == "not_checked"
    assert "At least 3 mGy: 1 of 2 events" in rows["air kerma at the reference point"].note
    assert rows["dose-area product"].status == "error"  # 900.5 and no value missing
    planes = (DoseTotals("A", dap_gy_cm2=100.0), DoseTotals("B"))
    two = DoseReport("RDSR", "a.dcm", "0" * 64, totals=planes, events=(EVENT,))
    assert alert_rows(two, levels)[-1].status == "not_checked"
    assert {r.name: r.status for r in alert_rows(two, levels)}["dose-area product"] == "not_checked"
    tace = reference_rows(two, levels.reference("tace"))[0]
    assert (tace.status, tace.note) == (
        "not_checked", "At least 53 % of the level: 1 of 2 planes state no total.",
    )  # fmt: skip
    assert "total_of_a_plane_missing" in {f.code for f in check_dose(planes, (EVENT,))}


def test_skin_map_is_refused_for_what_is_missing() -> None:
    assert skin_map_gaps(report(EVENT)) == ()
    gaps = skin_map_gaps(report(EVENT, replace(EVENT, table_mm=(1.0, 2.0, None), filters=())))
    assert [g.split(" (")[0] for g in gaps] == ["table position", "X-ray filters"]
    assert "(1 of 2 events)" in gaps[0]
    assert skin_map_gaps(replace(report(EVENT), source="image header"))[0].startswith("a dose")


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(InputError):
        replace(EVENT, dap_gy_cm2=-1.0)
    with pytest.raises(InputError):
        replace(EVENT, kvp=(float("nan"),))
    with pytest.raises(InputError):
        DoseTotals(air_kerma_mgy=float("inf"))
    assert replace(EVENT, primary_angle_deg=-30.0).primary_angle_deg == -30.0
