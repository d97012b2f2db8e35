"""Every example runs and says what its text claims."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_listed_and_tested() -> None:
    names = {p.stem for p in EXAMPLES.glob("*.py")}
    assert names == {
        "ice_of_one_probe",
        "perfusion_of_a_problem_file",
        "plan_synthetic_patient",
        "study_dose_detectability",
        "study_perfusion_and_vessel",
        "study_probe_spacing",
    }
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}.py`" in readme for name in names)


def test_the_vessel_or_the_blood_decides_the_margin(tmp_path: Path) -> None:
    example = load("study_perfusion_and_vessel")
    shares = example.run(example.setup(2), tmp_path / "o")
    assert set(shares) == {"perfusion_per_s", "vessel_distance_mm"}
    assert len(example.draw(shares).axes[0].patches) == 4
    assert len((tmp_path / "o" / "table.csv").read_text().splitlines()) == 1 + 2 * 4


def test_more_dose_and_a_filter_make_a_still_disc_clearer(tmp_path: Path) -> None:
    example = load("study_dose_detectability")
    study = example.setup(("raw", "recursive:0.25"), (2.5, 10.0), (0.0,))
    found = example.run(study, tmp_path / "o")
    with (tmp_path / "o" / "table.csv").open(encoding="utf-8") as file:
        low, high = (
            [float(r["d_prime_low"]), float(r["d_prime_high"])]
            for r in csv.DictReader(file) if r["filter"] == "raw"
        )  # fmt: skip
    # Where quanta alone make the noise d' follows the square root of dose (Rose), where electronics
    # alone make it, dose itself: at four times the dose it is two to four times as large, within
    # the 95 % intervals.
    assert high[0] <= 4.0 * low[1]
    assert high[1] >= 2.0 * low[0]
    assert found["raw", 10.0, 0.0] > found["raw", 2.5, 0.0]
    assert found["recursive:0.25", 2.5, 0.0] > 1.3 * found["raw", 2.5, 0.0]
    assert len(example.draw(found).axes[0].lines) == 2


def test_more_probes_cover_more_of_a_kidney_tumour(tmp_path: Path) -> None:
    example = load("study_probe_spacing")
    found = example.run(example.setup(1, (1, 3), 2), tmp_path / "o")
    assert found[3, 10.0] > found[1, 10.0]
    assert found[1, 10.0] == found[1, 25.0]  # one probe has no spacing
    assert len(example.draw(found).axes[0].lines) == 2


def test_a_vessel_beside_the_probe_costs_ice() -> None:
    example = load("ice_of_one_probe")
    free, beside = example.run(example.setup(None)), example.run(example.setup(8.0))
    assert 3.0 < free < 20.0
    assert beside < 0.95 * free
    assert example.draw({None: free, 8.0: beside}).axes[0].get_ylabel() == "lethal zone (ml)"


def test_the_chain_from_python_reaches_its_margin() -> None:
    example = load("plan_synthetic_patient")
    case = example.run(example.setup())
    assert case.evaluation.target_coverage >= 0.9995
    assert case.evaluation.margin_coverage >= 0.99
    assert example.draw(case).axes


def test_perfusion_costs_more_ice_than_lethal_zone() -> None:
    example = load("perfusion_of_a_problem_file")
    low, high = (example.run(example.setup(flow, 3.0)) for flow in (0.0005, 0.015))
    assert high["ice"] < 0.6 * low["ice"]
    # perfusion stops where tissue is frozen: the cold core feels it less
    assert high["lethal"] / low["lethal"] > high["ice"] / low["ice"]
    assert len(example.draw({0.0005: low, 0.015: high}).axes[0].lines) == 2
