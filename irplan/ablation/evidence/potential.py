"""The electric potential against closed forms: two spheres, and a half space by its image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from irplan.ablation.evidence import closed_forms
from irplan.ablation.evidence.row import EvidenceRow
from irplan.ablation.field.electrode import Wire, sample_wires
from irplan.ablation.field.mesh import FieldMesh
from irplan.ablation.field.solver import Drive, PotentialSolver
from irplan.geometry import Grid

_SIGMA = 0.33
#: Conductivity that stands for metal, S/m: 3000 times the tissue's.
_METAL = 1000.0


def _solver(
    needles: Sequence[tuple[tuple[float, float, float], int, float]],
    *,
    n: int,
    h: float,
    boundary: str,
    core_mm: float,
    reach_mm: float = 100.0,
) -> PotentialSolver:
    """Needles (middle relative to the grid's centre mm, array axis, length mm) of 1.5 mm."""
    grid = Grid.from_spacing((n, n, n), (h, h, h))
    centre = np.full(3, 0.5 * (n - 1) * h)
    wires = []
    for middle, axis, length in needles:
        half = 0.5 * length * np.eye(3)[axis]
        at = centre + np.array(middle)
        wires.append([Wire(at - half, at + half, 0.75)])
    samples = sample_wires(wires, grid)
    mesh = FieldMesh.around(
        grid.shape, grid.spacing_mm, samples.box_mm, core_mm=core_mm, reach_mm=reach_mm
    )
    solver = PotentialSolver(mesh, samples, boundary, 1)  # type: ignore[arg-type]
    solver.sigma[1:-1, 1:-1, 1:-1] = _SIGMA
    return solver


def two_spheres(quick: bool) -> tuple[EvidenceRow, ...]:
    """Metal spheres of 16 mm, 24 mm apart, painted on voxels and fed by a needle within."""
    radius, distance = 8.0, 24.0
    exact = closed_forms.two_spheres_siemens(radius, distance, _SIGMA)
    rows = []
    for h in (2.0, 1.0):
        if quick and h < 2.0:
            continue
        n = round(80.0 / h)
        solver = _solver(
            [((0.0, -0.5 * distance, 0.0), 0, 8.0), ((0.0, 0.5 * distance, 0.0), 0, 8.0)],
            n=n, h=h, boundary="dipole", core_mm=14.0,
        )  # fmt: skip
        z, y, x = np.meshgrid(*solver.mesh.middles, indexing="ij")
        c = 0.5 * (n - 1) * h
        metal = np.zeros(z.shape, bool)
        for side in (-0.5, 0.5):
            y0 = c + side * distance
            metal |= (z - c) ** 2 + (y - y0) ** 2 + (x - c) ** 2 < radius**2
        solver.sigma[1:-1, 1:-1, 1:-1][metal] = _METAL
        solver.assemble()
        found = solver.solve(Drive.pair(0, 1, 1.0, 2), 1e-5)
        rows.append(
            EvidenceRow(
                "Laplace, two spheres", f"conductance, h = {h:g} mm", "closed form, images", "mS",
                1e3 * exact, 1e3 * found.power_w, "within" if h == 1.0 else "shown",
                20.0 * exact if h == 1.0 else None, note="demand: 2 %" if h == 1.0 else "",
            )
        )  # fmt: skip
    return tuple(rows)


def half_space(quick: bool) -> tuple[EvidenceRow, ...]:
    """A needle of 20 mm, 8 mm before an insulator or a better conductor: its image."""
    del quick
    rows = []

    def resistance(beyond: float) -> float:
        solver = _solver(
            [((0.0, -8.0, 0.0), 0, 20.0)], n=64, h=1.0, boundary="monopole", core_mm=8.0,
            reach_mm=150.0,
        )  # fmt: skip
        plane = int(np.searchsorted(solver.mesh.middles[1], 31.5))  # 8 mm from the needle
        solver.sigma[1:-1, 1 + plane : -1, 1:-1] = beyond
        solver.assemble()
        return 1.0 / float(solver.solve(Drive.monopolar([1.0]), 1e-5).power_w)

    alone = resistance(_SIGMA)
    mutual = closed_forms.parallel_lines_ohm(20.0, 16.0, _SIGMA)
    for words, beyond in (("an insulator", 1e-5), ("three times the conductivity", 0.99)):
        exact = alone + (_SIGMA - beyond) / (_SIGMA + beyond) * mutual
        rows.append(
            EvidenceRow(
                "Laplace, needle before a half space", f"resistance before {words}, h = 1 mm",
                "closed form, image", "ohm", exact, resistance(beyond), "within", 0.02 * exact,
            )
        )  # fmt: skip
    return tuple(rows)
