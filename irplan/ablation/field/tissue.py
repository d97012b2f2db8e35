"""Conductivity of the cells from tissue, temperature, boiled-off water and field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.field.solver import PotentialSolver
from irplan.ablation.heat.march import HeatMarch
from irplan.ablation.problem import AblationProblem
from irplan.errors import InputError

#: Conductivity does not rise any further once the water boils, degC.
WARMEST_C = 100.0
#: Dried-out tissue conducts at least this share of wet tissue: two decades of collapse round
#: 100 degC, as in Trujillo et al., Int. J. Hyperthermia 32 (2016) 931 [S].
DRIEST = 0.01
#: Tissue that never was above 40 degC is looked at every so many calls: in the seconds between, its
#: conductivity moves by less than 1 %.
_FAR_EVERY = 4
_NOTHING = np.zeros((0, 0, 0), np.float32)


class Conductor:
    """Writes the conductivity of ``problem`` into solvers (`apply`; they `assemble` it)."""

    def __init__(self, problem: AblationProblem) -> None:
        tissues = problem.tissues
        self._table = np.array(
            [
                (
                    t.sigma_s_per_m,
                    t.sigma_per_k,
                    t.sigma_pulsed_s_per_m,
                    t.field_onset_v_per_cm,
                    t.field_full_v_per_cm,
                )
                for t in tissues
            ],
            dtype=np.float32,
        )
        self._kind = problem.tissue_index
        self._written: PotentialSolver | None = None
        self._calls = 0
        if not np.any(self._table[np.unique(self._kind), 0] > 0.0):
            raise InputError(
                "problem.tissues",
                got="no tissue in the box that conducts",
                expected="an electric conductivity above 0 somewhere round the electrodes",
                remedy="Check the tissue map (all gas?) and sigma_s_per_m.",
            )

    def check_electrodes(self, voxels: NDArray[np.int64], electrode: NDArray[np.int64]) -> None:
        """`InputError` where an electrode's samples (voxels) lie in insulating tissue mostly."""
        sigma = self._table[self._kind[tuple(voxels.T)], 0]
        for e in np.unique(electrode):
            share = float(np.mean(sigma[electrode == e] <= 1e-4))
            if share > 0.5:
                raise InputError(
                    f"problem.placements[{int(e)}]",
                    got=f"{100.0 * share:.0f} % of the electrode in gas or another insulator",
                    expected="an electrode in tissue",
                    remedy="Move the electrode into tissue.",
                )

    def apply(
        self,
        solver: PotentialSolver,
        march: HeatMarch,
        field_v_per_cm: NDArray[np.float32] | None = None,
        temperature_c: NDArray[np.float32] | None = None,
    ) -> None:
        """Write the conductivity at the march's temperature (and a field per padded cell)."""
        from irplan.compute.cpu import potential

        again = solver is self._written and field_v_per_cm is None and temperature_c is None
        self._written = solver if field_v_per_cm is None and temperature_c is None else None
        self._calls += 1
        if temperature_c is None:
            t, window = march.temperature_shared(again and self._calls % _FAR_EVERY != 0)
        else:
            t = temperature_c
        if not again:  # this solver, a field or a temperature is new: every cell changed
            window = np.array([0, t.shape[0], 0, t.shape[1], 0, t.shape[2]])
        mesh = solver.mesh
        dry, at = _NOTHING, np.zeros(3, np.int64)
        boiling = march.dry_box() if temperature_c is None else None
        if boiling is not None:
            dry, at = march.dry_fraction_in(boiling), np.array(boiling[::2])
        bounds = [n for a in range(3) for n in (mesh.low[a], mesh.high[a])]
        potential.conductivity(
            self._kind, t, dry, at, _NOTHING if field_v_per_cm is None else field_v_per_cm,
            self._table, np.float32(WARMEST_C), np.float32(DRIEST), *bounds, window, solver.sigma,
        )  # fmt: skip
