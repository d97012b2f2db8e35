from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from irplan import RESEARCH_USE_ONLY
from irplan.image import LabelMap, structure
from irplan.planning.case import PlannedCase
from irplan.planning.review_states import Review
from irplan.reports import plan_report
from irplan.reports.words import measured, number, point, rule, sentence


def test_numbers_are_written_for_people() -> None:
    assert number(-0.04) == "0.0"
    assert number(-12.345, 2) == "\N{MINUS SIGN}12.35" or number(-12.345, 2).endswith("12.34")
    assert measured(-20.0, "degC") == "\N{MINUS SIGN}20.0 °C"
    assert measured(3.0, "") == "3.0"
    assert point((1.0, -2.05, 3.0)).split(", ")[0] == "1.0"
    assert sentence("portal_vein") == "Portal vein"
    assert rule(">= 5 degC, <= 20 deg off") == "≥ 5 °C, ≤ 20° off"
    assert measured(62.04, "deg") == "62.0°"


def test_every_row_becomes_a_verdict_with_word_symbol_and_colour(case: PlannedCase) -> None:
    content = plan_report(case)
    assert [v.name for v in content.verdicts] == [r.name for r in case.evaluation.rows]
    looks = {(v.status, v.word, v.symbol, v.colour) for v in content.verdicts}
    assert len({w for _, w, _, _ in looks}) == 4
    assert len({s for _, _, s, _ in looks}) == 4
    assert len({c for _, _, _, c in looks}) == 4
    unmeasured = content.verdicts[-1]
    assert (unmeasured.status, unmeasured.value) == ("not_checked", "not measured")
    assert content.verdicts[0].value == "2.6 mm"


def test_summary_says_that_the_goal_is_not_reached_and_where(case: PlannedCase) -> None:
    text = " ".join(plan_report(case).summary)
    assert "2 cryoprobes (cryo-17g-rod)" in text
    assert "2.6 mm (posterior-cranial-left of the target's centre)" in text
    assert "NOT reached" in text
    assert "91.4 %" in text
    good = replace(case, evaluation=replace(case.evaluation, minimal_margin_mm=5.0, rows=()))
    assert "is reached" in " ".join(plan_report(good).summary)
    assert plan_report(good).overall.word == "OK"
    assert plan_report(case).overall.status == "error"


def test_margins_are_given_with_and_without_the_subcapsular_rule(
    case: PlannedCase, handmade: ModuleType
) -> None:
    facts = {f.name: f for f in plan_report(case).margins}
    with_rule = facts["Minimal ablative margin, subcapsular surface left out"]
    assert with_rule.value == number(handmade.MINIMAL_MARGIN_MM) + " mm"
    assert point(case.evaluation.minimal_margin_at_mm) in with_rule.note
    whole = facts["Minimal ablative margin, whole surface"]
    assert whole.value == number(handmade.MINIMAL_MARGIN_MM - 0.4) + " mm"
    assert facts["Surface left out by the subcapsular rule"].value == "5.0 %"  # cap of a sphere


def test_needles_carry_places_depth_and_angles(case: PlannedCase) -> None:
    table = plan_report(case).placements
    needle = case.plan.placements[0].needle
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["Entry, LPS x, y, z (mm)"] == point(needle.entry_mm)
    assert row["Tip, LPS x, y, z (mm)"] == point(needle.tip_mm)
    assert row["Depth (mm)"] == "78.2"
    assert row["Axial angle (°)"] == number(np.degrees(np.arctan2(28.0, 71.0)))
    assert row["Tilt to the head (°)"] == number(np.degrees(np.arcsin(17.0 / needle.depth_mm)))
    assert row["Runs towards"] == "PL"


def test_tables_are_rectangular_with_units(case: PlannedCase) -> None:
    content = plan_report(case)
    tables = (content.placements, content.schedule, content.shells, content.zones, content.organs,
              content.blocked, content.energy, content.tissues, *content.paths)  # fmt: skip
    for table in tables:
        assert all(len(row) == len(table.columns) for row in table.rows), table.title
    assert content.schedule.rows[-1][-1] == "28.0"
    assert content.zones.columns == ("Zone", "Volume (ml)")
    assert content.organs.rows[0] == ("Portal vein", "\N{MINUS SIGN}1.2 (ice reaches in)")
    assert ("10", "33.0") in content.shells.rows
    assert ("Stomach", "more than 30") in content.organs.rows
    assert content.blocked.rows[0] == ("bone closer than 3 mm", "2100")


def test_simulation_names_backend_precision_balance_and_sources(case: PlannedCase) -> None:
    content = plan_report(case)
    facts = {f.name: f for f in content.simulation}
    assert facts["Backend"].value == "cpu"
    assert facts["Precision"].value == "float32"
    assert "residual 0.0000 %" in facts["Energy balance"].value
    assert facts["Energy balance"].note.endswith("within")
    assert "70 × 70 × 70 voxels of 1.00 × 1.00 × 1.00 mm" in facts["Grid"].value
    liver = next(row for row in content.tissues.rows if row[0] == "liver")
    assert "Go-Smart" in content.tissues.note
    assert liver[1].startswith("0.302")
    assert {row[0] for row in content.tissues.rows} >= {"liver", "tumour", "vessel"}


def test_large_energy_residual_is_said(case: PlannedCase) -> None:
    energy = replace(case.result.energy, stored_j=case.result.energy.stored_j + 500.0)
    leaky = replace(case, result=replace(case.result, energy=energy))
    facts = {f.name: f for f in plan_report(leaky).simulation}
    assert facts["Energy balance"].note.endswith("EXCEEDED")


def test_structures_tell_found_from_absent_from_not_checked(case: PlannedCase) -> None:
    labels = case.labels
    more = LabelMap(labels.array, labels.grid, (*labels.labels, structure("spleen")))
    content = plan_report(replace(case, labels=more))
    state = {s.name: s for s in content.structures}
    assert state["Liver"].state == "found"
    assert state["Spleen"].state == "looked for, not found"
    assert state["Bile duct"].state == "not checked"
    expected = labels.mask("gallbladder").sum() * labels.grid.voxel_volume_mm3 / 1000.0
    assert state["Gallbladder"].volume_ml == number(float(expected))
    unseen = next(line for line in content.limits if line.startswith("Not segmented"))
    assert "bile duct" in unseen
    assert "spleen" not in unseen
    assert any(line.startswith("Distance to bile duct: bile ducts") for line in content.limits)


def test_messages_provenance_and_notices(case: PlannedCase) -> None:
    content = plan_report(case)
    assert content.banner == "DRAFT"
    assert content.research_notice == RESEARCH_USE_ONLY
    assert content.messages == (*case.messages, *case.result.warnings)
    facts = {f.name: f.value for f in content.provenance}
    assert facts["Software"] == "irplan 0.1.0"
    assert facts["Input: image (SHA-256)"] == "a" * 64
    assert content.options.rows == (("margin mm", "5"),)


def test_review_state_is_the_banner(case: PlannedCase) -> None:
    reviewed = replace(case.plan, review=Review("reviewed", "A. Reader", "checked"))
    content = plan_report(replace(case, plan=reviewed))
    assert content.banner == "REVIEWED"
    state = next(f for f in content.provenance if f.name == "Review state")
    assert state.note == "A. Reader checked"


def test_same_case_same_content(case: PlannedCase) -> None:
    assert plan_report(case) == plan_report(case)


@pytest.mark.parametrize("cycles", [1, 2])
def test_lethal_rule_in_words(case: PlannedCase, cycles: int) -> None:
    plan = replace(case.plan, lethal=replace(case.plan.lethal, cycles=cycles))
    target = {f.name: f.value for f in plan_report(replace(case, plan=plan)).target}
    times = {1: "one freeze", 2: "each of 2 freezes"}[cycles]
    assert target["Counts as lethal"] == f"\N{MINUS SIGN}20.0 °C or colder in {times}"
