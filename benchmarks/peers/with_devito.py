"""Devito: forward Euler in float32, generated C with OpenMP; the probe as precomputed sparse
interpolation and injection (its Gaussian is a product of one weight an axis)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Problem, main, probe, tau_of_theta


def build(p: Problem) -> tuple[Callable[[], Any], dict[str, Any]]:
    os.environ.setdefault("DEVITO_LANGUAGE", "openmp")
    os.environ.setdefault("DEVITO_LOGGING", "ERROR")
    os.environ.setdefault("OMP_PROC_BIND", "true")
    import devito
    from devito import (
        Eq,
        Function,
        Grid,
        Max,
        Min,
        Operator,
        PrecomputedSparseTimeFunction,
        TimeFunction,
    )

    source = probe(p)
    steps = math.ceil(p.duration_s / p.explicit_limit_s)
    dt = p.duration_s / steps
    n, h = p.n, p.h_mm
    grid = Grid(shape=(n, n, n), extent=((n - 1) * h,) * 3, dtype=np.float32)
    theta = TimeFunction(name="theta", grid=grid, space_order=2, time_order=1)
    u = Function(name="u", grid=grid, space_order=0)
    drive = Function(
        name="drive", shape=(steps,), dimensions=(grid.time_dim,), dtype=np.float32, space_order=0
    )
    drive.data[:] = [p.drive((s + 0.5) * dt) for s in range(steps)]

    index = source.samples_mm / h + 0.5 * (n - 1)
    width = 2 * math.ceil(4.0 * source.sigma_mm / h)
    base = np.floor(index).astype(int)
    reach = np.arange(1 - width // 2, width // 2 + 1)  # Devito's window round a grid point
    offset = (base[:, :, None] + reach - index[:, :, None]) * h
    coefficients = np.exp(-(offset**2) / (2.0 * source.sigma_mm**2))
    coefficients /= coefficients.sum(axis=2, keepdims=True)
    line = PrecomputedSparseTimeFunction(
        name="line", grid=grid, npoint=len(base), nt=steps, r=width,
        gridpoints=base, interpolation_coeffs=coefficients.astype(np.float32),
    )  # fmt: skip

    (u_l, u_s), (au, am, af) = p.u_breaks(), p.theta_slopes()
    perfused = Min(Max((u - u_l) * 1e4, 0.0), 1.0) * u * (p.perfusion * dt / p.capacity[0])
    lap = sum(theta.subs(d, d - d.spacing) + theta.subs(d, d + d.spacing) for d in grid.dimensions)
    new_theta = au * Max(u, u_l) + am * (Min(Max(u, u_s), u_l) - u_l) + af * Min(u - u_s, 0.0)
    operator = Operator(
        [
            line.interpolate(expr=theta),
            Eq(u, u + (lap - 6.0 * theta) * (dt / h**2) - perfused),
            line.inject(field=u, expr=source.strength * dt * (drive - line)),
            Eq(theta.forward, new_theta),
        ]
    )

    def solve(count: int = steps) -> Any:
        theta.data_with_halo[:] = 0.0
        u.data[:] = 0.0
        operator.apply(time_m=0, time_M=count - 1)
        return tau_of_theta(p, np.asarray(theta.data[count % 2]))

    solve(2)  # compiles
    facts = {
        "version": devito.__version__,
        "steps": steps,
        "scheme": "forward Euler, float32, OpenMP",
    }
    return solve, facts


if __name__ == "__main__":
    main(build)
