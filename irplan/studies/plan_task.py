"""The task ``evaluate``: a plan that ``irplan plan`` wrote, simulated and judged otherwise."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem, Placement, Schedule
from irplan.case.open import open_mask_and_notes
from irplan.errors import FileFormatError, InputError
from irplan.files import read_labels, read_plan
from irplan.geometry import as_point
from irplan.image import LabelMap
from irplan.planning import AblationPlan, TargetGeometry, evaluate_plan
from irplan.planning.modality import modality
from irplan.planning.obstacles import target_organ
from irplan.studies.factor import Factor
from irplan.studies.study import Case, Outputs, Parameters

_FILES = ("plan.json", "labels.nii.gz", "labels.json", "target.nii.gz")
_TISSUE = re.compile(r"tissue\.([a-z_]+)\.([a-z_0-9]+)")
_NEEDLE = re.compile(r"needle\[(\d+|\*)\]\.(shift_[xyz]_mm|depth_mm)")
_PHASE = re.compile(r"schedule\[(\d+)\]\.(minutes)")
_SHAPES = (
    "tissue.NAME.CONSTANT, needle[N or *].shift_x_mm (y, z), needle[N or *].depth_mm, "
    "schedule[N].minutes"
)


@dataclass(frozen=True)
class PlanTask:
    """Simulate and judge the plan in the case's source, a folder that ``irplan plan`` wrote.

    Keys of factors: a tissue's constant (``tissue.liver.perfusion_per_s``), a needle's shift in
    LPS mm or along itself (``needle[*].depth_mm``, deeper is positive; these always add), and a
    phase's length (``schedule[1].minutes``).
    """

    @property
    def name(self) -> str:
        """In a few words."""
        return "evaluate"

    def content(self, case: Case) -> str:
        """Digest of the plan's files."""
        digest = hashlib.sha256(b"evaluate\n")
        for name in _FILES:
            file = Path(case.source) / name
            if file.is_file():
                digest.update(file.read_bytes())
            elif name != "labels.json":
                raise FileFormatError(
                    f"case '{case.name}'", got=f"no '{name}' in its folder",
                    expected="a folder that irplan plan wrote", remedy="Check source.",
                )  # fmt: skip
        return digest.hexdigest()

    def check(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> None:
        """Build the problem with these values."""
        opened = _open(str(Path(case.source).resolve()))
        _problem(opened, factors, parameters)

    def compute(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> Outputs:
        """Minimal margin, coverage, shells and zone volumes."""
        opened = _open(str(Path(case.source).resolve()))
        plan, problem = _problem(opened, factors, parameters)
        way = modality(plan.placements[0].applicator.kind, lethal=plan.lethal)
        result = way.simulate(problem, search=False)
        judged = evaluate_plan(plan, result, opened.labels, opened.mask, target=opened.geometry)
        out: Outputs = {
            "minimal_margin_mm": judged.minimal_margin_mm,
            "target_covered_percent": 100.0 * judged.target_coverage,
            "margin_covered_percent": 100.0 * judged.margin_coverage,
            "energy_residual_fraction": result.energy.residual_fraction,
        }
        out |= {f"volume_{_column(k)}_ml": ml for k, ml in judged.zone_volume_ml.items()}
        return out


@dataclass(frozen=True, eq=False)
class _Opened:
    plan: AblationPlan
    labels: LabelMap
    mask: NDArray[np.bool_]
    geometry: TargetGeometry


@lru_cache(maxsize=2)
def _open(folder: str) -> _Opened:
    plan = read_plan(Path(folder) / "plan.json")
    labels = read_labels(Path(folder) / "labels.nii.gz")
    mask, _ = open_mask_and_notes(Path(folder) / "target.nii.gz", labels.grid)
    geometry = TargetGeometry.from_mask(mask, labels, target_organ(labels, mask))
    return _Opened(plan, labels, mask, geometry)


def _problem(
    opened: _Opened, factors: tuple[Factor, ...], parameters: Parameters
) -> tuple[AblationPlan, AblationProblem]:
    placements = list(opened.plan.placements)
    schedule = opened.plan.schedule
    tissues: list[tuple[str, str, Factor, float]] = []
    for factor in factors:
        for key in factor.keys:
            value = parameters[factor.name]
            if isinstance(value, str | bool):
                raise _wrong(factor, key, repr(value), "a number")
            if found := _TISSUE.fullmatch(key):
                tissues.append((found[1], found[2], factor, value))
            elif found := _NEEDLE.fullmatch(key):
                _move(placements, factor, key, found[1], found[2], value)
            elif found := _PHASE.fullmatch(key):
                schedule = _timed(schedule, factor, key, int(found[1]), value)
            else:
                raise _wrong(factor, key, repr(key), _SHAPES)
    plan = replace(opened.plan, placements=tuple(placements), schedule=schedule)
    spacing = modality(placements[0].applicator.kind, lethal=plan.lethal).final_mm
    problem = AblationProblem.from_labels(opened.labels, placements, schedule, spacing_mm=spacing)
    return plan, _with_tissues(problem, tissues)


def _with_tissues(
    problem: AblationProblem, changes: Sequence[tuple[str, str, Factor, float]]
) -> AblationProblem:
    tissues = {t.name: t for t in problem.tissues}
    for name, constant, factor, value in changes:
        key = f"tissue.{name}.{constant}"
        if name not in tissues:
            raise _wrong(factor, key, f"no {name} here", "one of " + ", ".join(tissues))
        old: Any = getattr(tissues[name], constant, None)
        if not isinstance(old, int | float) or isinstance(old, bool):
            raise _wrong(factor, key, f"'{constant}'", "a constant of `irplan tissue`")
        new = {"set": value, "add": old + value, "multiply": old * value}[factor.how]
        tissues[name] = replace(tissues[name], **_one(constant, float(new)))
    return replace(problem, tissues=tuple(tissues[t.name] for t in problem.tissues))


def _move(
    placements: list[Placement], factor: Factor, key: str, which: str, how: str, value: float
) -> None:
    numbers = range(len(placements)) if which == "*" else [int(which) - 1]
    for n in numbers:
        if not 0 <= n < len(placements):
            raise _wrong(factor, key, f"needle {which}", f"1 to {len(placements)}, or *")
        needle = placements[n].needle
        axis = np.subtract(needle.tip_mm, needle.entry_mm)
        shift = axis / np.linalg.norm(axis) if how == "depth_mm" else np.eye(3)["xyz".index(how[6])]
        tip, entry = (
            as_point(np.add(p, value * shift), field=key) for p in (needle.tip_mm, needle.entry_mm)
        )
        # Deeper: the entry stays at the skin.
        moved = replace(
            needle, tip_mm=tip, entry_mm=needle.entry_mm if how == "depth_mm" else entry
        )
        placements[n] = replace(placements[n], needle=moved)


def _timed(schedule: Schedule, factor: Factor, key: str, number: int, value: float) -> Schedule:
    phases = list(schedule.phases)
    if not 1 <= number <= len(phases):
        raise _wrong(factor, key, f"phase {number}", f"1 to {len(phases)}")
    old = phases[number - 1].duration_s
    new = {"set": 60.0 * value, "add": old + 60.0 * value, "multiply": old * value}[factor.how]
    phases[number - 1] = replace(phases[number - 1], duration_s=float(new))
    return replace(schedule, phases=tuple(phases))


def _one(name: str, value: float) -> dict[str, Any]:
    return {name: value}


def _column(zone: str) -> str:
    """``-20 degC`` as part of a column's name: ``minus_20_degc``."""
    return zone.replace("-", "minus_").replace(" ", "_").lower()


def _wrong(factor: Factor, key: str, got: str, expected: str) -> InputError:
    return InputError(
        f"factor '{factor.name}', key {key}", got=got, expected=expected,
        remedy="docs/studies.md lists what the task evaluate can vary.",
    )  # fmt: skip
