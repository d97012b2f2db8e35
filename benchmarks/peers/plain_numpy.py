"""Plain NumPy: forward Euler in float32, whole domain, arrays reused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Problem, main, probe, tau_of_theta


def build(p: Problem) -> tuple[Callable[[], Any], dict[str, Any]]:
    source = probe(p)
    weight = source.weight.astype(np.float32)
    spread = weight.T.tocsr()
    steps = math.ceil(p.duration_s / p.explicit_limit_s)
    dt = p.duration_s / steps
    (u_l, u_s), (au, am, af) = p.u_breaks(), p.theta_slopes()
    keep = np.float32(p.perfusion * dt / p.capacity[0])

    def solve() -> Any:
        n = p.n
        u = np.zeros((n, n, n), np.float32)
        padded = np.zeros((n + 2,) * 3, np.float32)  # theta, at rest outside
        theta = padded[1:-1, 1:-1, 1:-1]
        lap, part = np.empty_like(u), np.empty_like(u)
        flat = u.reshape(-1)
        for step in range(steps):
            drive = np.float32(p.drive((step + 0.5) * dt))
            heat = source.strength * dt * (drive - weight @ theta.reshape(-1)[source.voxels])
            np.add(padded[2:, 1:-1, 1:-1], padded[:-2, 1:-1, 1:-1], out=lap)
            lap += padded[1:-1, 2:, 1:-1]
            lap += padded[1:-1, :-2, 1:-1]
            lap += padded[1:-1, 1:-1, 2:]
            lap += padded[1:-1, 1:-1, :-2]
            np.multiply(theta, np.float32(6.0), out=part)
            lap -= part
            lap *= np.float32(dt / p.h_mm**2)
            np.multiply(u, -keep, out=part)  # perfusion, where unfrozen
            part *= u > u_l
            u += lap
            u += part
            flat[source.voxels] += spread @ heat.astype(np.float32)
            np.maximum(u, np.float32(u_l), out=part)
            part *= np.float32(au)
            np.clip(u, np.float32(u_s), np.float32(u_l), out=lap)
            lap *= np.float32(am)
            part += lap
            np.subtract(u, np.float32(u_s), out=lap)
            np.minimum(lap, np.float32(0.0), out=lap)
            lap *= np.float32(af)
            part += lap
            np.subtract(part, np.float32(am * u_l), out=theta)
        return tau_of_theta(p, theta)

    return solve, {"version": np.__version__, "steps": steps, "scheme": "forward Euler, float32"}


if __name__ == "__main__":
    main(build)
