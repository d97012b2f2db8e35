"""py-pde: its numba backend's Laplacian and explicit stepper (forward Euler, fixed step).

On a small grid its parallel regions can cost more than they gain, so with one thread nothing is
compiled parallel; the benchmark runs both and judges the faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
from common import Problem, main, probe, tau_of_theta, theta_of_u


def build(p: Problem) -> tuple[Callable[[], Any], dict[str, Any]]:
    import pde

    parallel = p.threads > 1
    pde.config["backend.numba.multithreading"] = "always" if parallel else "never"
    source = probe(p)
    strength, voxels = source.strength, source.voxels
    w = source.weight
    ptr, column, value = w.indptr.astype(np.int64), w.indices.astype(np.int64), w.data
    steps = math.ceil(p.duration_s / p.explicit_limit_s)
    dt = p.duration_s / steps
    (u_l, u_s), (au, am, af) = p.u_breaks(), p.theta_slopes()
    keep = p.perfusion / p.capacity[0]
    ku, km, kf = p.conductivity
    tau_l, tau_s, tau_probe, ramp = p.tau_liquidus, p.tau_solidus, p.tau_probe, p.ramp_s
    n, h = p.n, p.h_mm

    @nb.njit(fastmath=True, parallel=parallel)
    def theta_of(u: Any, out: Any) -> None:
        for i in nb.prange(u.shape[0]):
            for j in range(u.shape[1]):
                for k in range(u.shape[2]):
                    x = u[i, j, k]
                    out[i, j, k] = (
                        au * max(x, u_l) + am * (min(max(x, u_s), u_l) - u_l) + af * min(x - u_s, 0)
                    )

    @nb.njit(fastmath=True, parallel=parallel)
    def perfuse(u: Any, rate: Any) -> None:
        for i in nb.prange(u.shape[0]):
            for j in range(u.shape[1]):
                for k in range(u.shape[2]):
                    x = u[i, j, k]
                    rate[i, j, k] -= keep * x if x > u_l else 0.0

    @nb.njit(fastmath=True)
    def add_probe(theta: Any, rate: Any, t: float) -> None:
        tau = tau_probe * min(1.0, t / ramp)
        drive = (
            ku * max(tau, tau_l)
            + km * (min(max(tau, tau_s), tau_l) - tau_l)
            + kf * min(tau - tau_s, 0.0)
        )
        flat, out = theta.reshape(-1), rate.reshape(-1)
        for m in range(ptr.size - 1):
            mean = 0.0
            for e in range(ptr[m], ptr[m + 1]):
                mean += value[e] * flat[voxels[column[e]]]
            heat = strength * (drive - mean)
            for e in range(ptr[m], ptr[m + 1]):
                out[voxels[column[e]]] += value[e] * heat

    class Freezing(pde.PDEBase):
        """du/dt = lap(theta(u)) - perfusion + probe."""

        def evolution_rate(self, state: Any, t: float = 0) -> Any:
            raise NotImplementedError("the numba backend is used")

        def make_evolution_rate(self, state: Any, backend: Any) -> Any:
            laplace = state.grid.make_operator(
                "laplace", bc={"value": 0}, backend=backend, dtype=state.dtype
            )

            @nb.njit
            def rate_of(u: Any, t: float = 0) -> Any:
                theta = np.empty_like(u)
                theta_of(u, theta)
                rate = laplace(theta)
                perfuse(u, rate)
                add_probe(theta, rate, t + 0.5 * dt)
                return rate

            return rate_of

    grid = pde.CartesianGrid([[0, n * h]] * 3, [n] * 3)
    dtype = np.float32
    solver = pde.EulerSolver(Freezing(), backend="numba")
    stepper = solver.make_stepper(pde.ScalarField(grid, 0.0, dtype=dtype), dt=dt)

    def solve(count: int = steps) -> Any:
        state = pde.ScalarField(grid, 0.0, dtype=dtype)
        stepper(state, 0.0, count * dt)
        return tau_of_theta(p, theta_of_u(p, state.data))

    solve(2)  # compiles
    facts = {
        "version": pde.__version__,
        "steps": steps,
        "scheme": f"forward Euler, {np.dtype(dtype).name}, numba, threads: {p.threads}",
    }
    return solve, facts


if __name__ == "__main__":
    main(build)
