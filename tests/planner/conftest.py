"""A case of known geometry on the planner's desk; windows are drawn off-screen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from irplan_planner.model.planner import Planner
from irplan_planner.model.state import CaseState, Revisions, Simulation, Target, next_revision

from irplan.planning.case import PlannedCase


@pytest.fixture(autouse=True)
def planner_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recent list and unsaved cases of this test alone."""
    home = tmp_path / "planner-home"
    monkeypatch.setenv("IRPLAN_PLANNER_HOME", str(home))
    return home


@pytest.fixture
def planner() -> Iterator[Planner]:
    made = Planner(background=False)
    yield made
    made.close()
    assert not made.desk.jobs.active()


@pytest.fixture(scope="session")
def handmade_state(case: PlannedCase, handmade: ModuleType) -> CaseState:
    """The handmade case as a state: isotherms are balls of known radius round a known point."""
    e = case.evaluation
    state = CaseState(
        title="handmade",
        volume=case.volume,
        labels=case.labels,
        target=Target.of(case.target_mask, "mask"),
        planned=case,
        plan=case.plan,
        revisions=Revisions(*(next_revision() for _ in range(5))),
    )
    found = Simulation(
        case.result, e.margin.points_mm, e.margin.margin_mm, e.minimal_margin_mm,
        e.target_coverage, e.margin_coverage, 15.9, "full", case.plan.placements,
        state.simulated_from, evaluation=e, paths=case.paths,
    )  # fmt: skip
    return replace(state, simulation=found, planned_from=state.planning_from)


@pytest.fixture
def with_case(planner: Planner, handmade_state: CaseState) -> Planner:
    planner.desk.begin(handmade_state)
    return planner
