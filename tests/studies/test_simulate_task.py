"""Factors put into problem files and plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from irplan.errors import InputError
from irplan.files.problem_file import example_problem
from irplan.files.toml_change import Change, changed, path_steps
from irplan.studies import Case, Factor
from irplan.studies.simulate_task import SimulateTask

PERFUSION = Factor(
    "perfusion_per_s", ("tissue.properties.liver.perfusion_per_s",), low=0.001, high=0.01
)


def test_changes_find_their_places() -> None:
    data = {
        "a": {"b": 1.0},
        "probe": [{"name": "left", "at": [1.0, 2.0]}, {"name": "right", "at": [3.0, 4.0]}],
    }
    new = changed(
        data,
        (
            Change("a.b", 2.0, "multiply"),
            Change("a.c.d", "text"),
            Change("probe[right].at[1]", 10.0),
            Change("probe[*].at[2]", 0.5, "add"),
        ),
    )
    assert new == {
        "a": {"b": 2.0, "c": {"d": "text"}},
        "probe": [{"name": "left", "at": [1.0, 2.5]}, {"name": "right", "at": [10.0, 4.5]}],
    }
    assert data["a"] == {"b": 1.0}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("probe[3].at[1]", "of a list of 2"),
        ("probe[middle].at[1]", "'left', 'right'"),
        ("a[1]", "no list"),
        ("a..b", "keys joined by dots"),
        ("", "keys joined by dots"),
        ("a.b[1", "keys joined by dots"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(path: str, words: str) -> None:
    data = {"a": {"b": 1.0}, "probe": [{"name": "left", "at": [1]}, {"name": "right", "at": [2]}]}
    with pytest.raises(InputError, match=words):
        changed(data, (Change(path, 1.0),))


def test_path_steps() -> None:
    assert path_steps("a.b[hepatic vein][*].c") == ("a", "b", ("hepatic vein",), ("*",), "c")


def small_problem(folder: Path) -> Case:
    text = example_problem("cryo").replace("spacing_mm = 1.0", "spacing_mm = 3.0")
    (folder / "p.toml").write_text(text, encoding="utf-8")
    return Case("two probes", str(folder / "p.toml"))


def test_more_perfusion_makes_less_ice_and_the_margin_is_measured(tmp_path: Path) -> None:
    case, task = small_problem(tmp_path), SimulateTask("tumour")
    few, many = (task.compute(case, (PERFUSION,), {"perfusion_per_s": p}) for p in (0.001, 0.01))
    assert float(few["ice_volume_ml"]) > 1.2 * float(many["ice_volume_ml"])  # type: ignore[arg-type]
    assert -9.0 < float(few["minimal_margin_mm"]) < 9.0  # type: ignore[arg-type]
    assert 50.0 < float(few["target_covered_percent"]) <= 100.0  # type: ignore[arg-type]
    assert few["energy_residual_fraction"] <= 0.01  # type: ignore[operator]


def test_what_the_simulation_warns_of_is_in_the_table(tmp_path: Path) -> None:
    case = small_problem(tmp_path)
    factor = Factor("centre", ("tissue.region[tumour].centre_mm[1]",), low=0.0, high=900.0)
    words = SimulateTask().compute(case, (factor,), {"centre": 900.0})["warnings"]
    assert "'tumour' has no voxel" in str(words)


def test_what_a_result_depends_on_is_in_its_content(tmp_path: Path) -> None:
    case = small_problem(tmp_path)
    before = SimulateTask("tumour").content(case)
    assert SimulateTask(None).content(case) != before
    path = Path(case.source)
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert SimulateTask("tumour").content(case) != before


def test_values_out_of_physical_range_and_unknown_targets_are_refused(tmp_path: Path) -> None:
    case = small_problem(tmp_path)
    with pytest.raises(Exception, match="perfusion_per_s"):
        SimulateTask(None).check(case, (PERFUSION,), {"perfusion_per_s": -1.0})
    with pytest.raises(InputError, match="tumour"):
        SimulateTask("nothing").check(case, (PERFUSION,), {"perfusion_per_s": 0.003})
