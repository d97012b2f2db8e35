"""FiPy: implicit steps of the Kirchhoff variable with the chord's heat capacity, SciPy's CG.

FiPy assembles a matrix at every sweep, so forward Euler with its thousands of steps would be
several times slower; implicit steps as long as the error allows are its fastest way.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Problem, main, probe, tau_of_theta, u_of_theta

STEP_S = 4.0
SWEEPS = 1
TOLERANCE = 1e-4


def build(p: Problem) -> tuple[Callable[[], Any], dict[str, Any]]:
    os.environ["FIPY_SOLVERS"] = "scipy"
    import fipy
    from fipy import CellVariable, DiffusionTerm, Grid3D, ImplicitSourceTerm, TransientTerm
    from fipy.solvers.scipy import LinearCGSolver

    source = probe(p)
    weight, spread = source.weight, source.weight.T.tocsr()
    n, h = p.n, p.h_mm
    mesh = Grid3D(nx=n, ny=n, nz=n, dx=h, dy=h, dz=h)
    steps = math.ceil(p.duration_s / STEP_S)
    dt = p.duration_s / steps
    theta = CellVariable(mesh=mesh, value=0.0, hasOld=True)
    capacity = CellVariable(mesh=mesh, value=1.0)
    sink = CellVariable(mesh=mesh, value=0.0)  # implicit part of perfusion and probe
    heat = CellVariable(mesh=mesh, value=0.0)  # explicit part of the probe
    equation = TransientTerm(coeff=capacity) == (
        DiffusionTerm(coeff=1.0) - ImplicitSourceTerm(coeff=sink) + heat
    )
    diagonal = np.zeros(n**3)
    diagonal[source.voxels] = source.strength * (spread @ np.ones(weight.shape[0]))
    # theta = 0 one voxel beyond the grid, as a sink: a constraint on faces costs FiPy a third more
    edge = np.zeros((n, n, n))
    for a in range(3):
        layers = np.moveaxis(edge, a, 0)
        layers[[0, -1]] += 1.0 / h**2
    fixed = diagonal + edge.ravel()
    liquidus = p.theta_breaks()[0]
    slope = 1.0 / np.array(p.theta_slopes())
    solver = LinearCGSolver(tolerance=TOLERANCE, iterations=200)

    def step(number: int) -> None:
        theta.updateOld()
        old = np.asarray(theta.old.value)
        u_old = u_of_theta(p, old)
        drive = p.drive((number + 1) * dt)
        for _ in range(SWEEPS):
            now = np.asarray(theta.value)
            change = now - old
            tangent = np.where(
                now > liquidus, slope[0], np.where(now > p.theta_breaks()[1], slope[1], slope[2])
            )
            big = np.abs(change) > 1e-6
            chord = (u_of_theta(p, now) - u_old) / np.where(big, change, 1.0)
            capacity.setValue(np.where(big, chord, tangent))
            sink.setValue(np.where(now > liquidus, p.perfusion / p.conductivity[0], 0.0) + fixed)
            local = now[source.voxels]
            explicit = diagonal * now  # the probe's own diagonal is implicit
            explicit[source.voxels] += spread @ (source.strength * (drive - weight @ local))
            heat.setValue(explicit)
            equation.sweep(var=theta, dt=dt, solver=solver)

    def solve() -> Any:
        theta.setValue(0.0)
        for number in range(steps):
            step(number)
        return tau_of_theta(p, np.asarray(theta.value))

    facts = {
        "version": fipy.__version__,
        "steps": steps,
        "scheme": f"implicit, chord capacity, {SWEEPS} sweeps, SciPy CG",
    }
    return solve, facts


if __name__ == "__main__":
    main(build)
