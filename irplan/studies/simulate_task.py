"""The task ``simulate``: a problem file of ``irplan simulate`` with factors put into it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from irplan.ablation.simulated_case import SimulatedCase
from irplan.errors import InputError
from irplan.files.problem_file import ProblemFile, problem_from_text
from irplan.files.toml_change import Change
from irplan.files.toml_table import parse_toml, read_toml_text
from irplan.geometry import Grid
from irplan.image import LabelMap, structure
from irplan.studies.factor import Factor
from irplan.studies.study import Case, Outputs, Parameters

if TYPE_CHECKING:
    from irplan.planning.margins import TargetGeometry

#: Depth of margin beyond which no organ or shell is looked at; only the target's surface counts.
_REACH_MM = 11.0


@dataclass(frozen=True)
class SimulateTask:
    """Simulate the problem file that is the case's source; sizes of every zone come out.

    ``target`` names a region of the file: its minimal margin and coverage by the lethal zone
    (cryo: the file's [lethal]; ``zone`` names another) come out as well.
    """

    target: str | None = None
    zone: str | None = None

    @property
    def name(self) -> str:
        """In a few words."""
        return "simulate" + (f", margin of '{self.target}'" if self.target else "")

    def content(self, case: Case) -> str:
        """Digest of the problem file and of every file that it names."""
        path = Path(case.source)
        text = read_toml_text(path, what="problem file")
        root = parse_toml(text, name=path.name, what="problem file")
        digest = hashlib.sha256(f"simulate {self.target} {self.zone}\n{text}".encode())
        tissue, head = root.data.get("tissue"), root.data.get("problem")
        for table, keys in ((tissue, ("labels", "label_table")), (head, ("applicators",))):
            for key in keys:
                if isinstance(table, dict) and isinstance(table.get(key), str):
                    file = path.resolve().parent / Path(table[key]).expanduser()
                    if file.is_file():
                        digest.update(file.read_bytes())
        return digest.hexdigest()

    def check(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> None:
        """Read the file with these values; see `read_problem` for what it raises."""
        asked = _asked(case, factors, parameters)
        if self.target is not None:
            self._target(asked)

    def compute(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> Outputs:
        """Volume (ml), length and width (mm) of every zone, energy balance, margin, warnings."""
        from irplan.case.simulate_case import solve

        asked = _asked(case, factors, parameters)
        asked = replace(asked, solver=replace(asked.solver, frames=0))
        result = solve(asked)
        simulated = SimulatedCase.of(asked.name, asked.problem, result, lethal=asked.lethal)
        out: Outputs = {}
        for m in simulated.measures:
            out |= {
                f"{m.name}_volume_ml": m.volume_ml,
                f"{m.name}_length_mm": m.length_mm,
                f"{m.name}_width_mm": m.width_mm,
                f"{m.name}_cut_off_by_box": m.cut_off,
            }
        out["energy_residual_fraction"] = result.energy.residual_fraction
        out["boundary_rise_c"] = result.boundary_rise_c
        if self.target is not None:
            out |= self._margin(asked, simulated)
        out["warnings"] = " ".join(result.warnings)
        return out

    def _target(self, asked: ProblemFile) -> np.ndarray:
        names = [t.name for t in asked.problem.tissues]
        wanted = [
            n for n, name in enumerate(names)
            if name == self.target or name.endswith(f"({self.target})")
        ]  # fmt: skip
        if not wanted:
            raise InputError(
                "target",
                got=f"'{self.target}'",
                expected="a tissue or region of the problem: " + ", ".join(names),
                remedy="Name the tissue that the target is made of.",
            )
        return np.isin(asked.problem.tissue_index, wanted)

    def _margin(self, asked: ProblemFile, simulated: SimulatedCase) -> Outputs:
        from irplan.planning.margins import measure_margins

        geometry = _geometry(asked.problem.grid, np.packbits(self._target(asked)).tobytes())
        named = {z.name: z for z in simulated.zones}
        wanted = self.zone or ("lethal" if "lethal" in named else simulated.zones[0].name)
        if wanted not in named:
            raise InputError(
                "zone", got=f"'{wanted}'", expected="one of " + ", ".join(named),
                remedy="Use one of these.",
            )  # fmt: skip
        zone = named[wanted]
        field = replace(zone.field, array=-zone.signed())
        axes = np.array([p.active_segment for p in asked.problem.placements])
        report = measure_margins(
            field, 0.0, geometry, margin_goal_mm=5.0, subcapsular_mm=0.0, shells_mm=(5.0,),
            probe_axes_mm=axes,
        )  # fmt: skip
        return {
            "minimal_margin_mm": report.minimal_mm,
            "target_covered_percent": 100.0 * report.target_coverage,
            "shell_5mm_covered_percent": 100.0 * report.shell_coverage[5.0],
        }


@lru_cache(maxsize=4)
def _geometry(grid: Grid, packed: bytes) -> TargetGeometry:
    """The target's surface; runs that leave the target where it is share it."""
    from irplan.planning.margins import TargetGeometry

    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=int(np.prod(grid.shape)))
    mask = bits.astype(bool).reshape(grid.shape)
    labels = LabelMap.from_masks(grid, [(structure("tumour"), mask)])
    return TargetGeometry.from_mask(mask, labels, None, reach_mm=_REACH_MM)


def changes_of(factors: tuple[Factor, ...], parameters: Parameters) -> tuple[Change, ...]:
    """What the factors' values change in a document."""
    return tuple(Change(key, parameters[f.name], f.how) for f in factors for key in f.keys)


def _asked(case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> ProblemFile:
    path = Path(case.source)
    return problem_from_text(
        _text(str(path.resolve()), path.stat().st_mtime_ns),
        name=path.name,
        folder=path.resolve().parent,
        changes=changes_of(factors, parameters),
    )


@lru_cache(maxsize=64)
def _text(path: str, changed_ns: int) -> str:
    """The file's text; read again when the file changed."""
    del changed_ns
    return read_toml_text(path, what="problem file")
