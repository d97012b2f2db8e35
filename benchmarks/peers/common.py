"""What every peer shares: the problem, the probe on the grid, the clock, the file of results.

Needs NumPy and SciPy only: it is imported by scripts that run outside irplan's environment.
Units: mm, s, W/(m K) and MJ/(m3 K), so that du/dt = lap(theta) / mm^2 has no factors.
Temperatures ``tau`` are relative to the body, as are ``theta`` = int k dT and the enthalpy ``u``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

EULER_GAMMA = 0.5772156649015329
#: A fast peer is run several times, for no longer than this in all, s.
REPEAT_WITHIN_S = 10.0
MOST_REPEATS = 7


@dataclass(frozen=True)
class Problem:
    """One probe along array axis 0 in the middle of n^3 cubic voxels of uniform tissue."""

    n: int
    h_mm: float
    duration_s: float
    ramp_s: float
    capacity: tuple[float, float, float]  # MJ/(m3 K): unfrozen, mushy (latent heat in it), frozen
    conductivity: tuple[float, float, float]  # W/(m K)
    perfusion: float  # MJ/(m3 s K); none where frozen
    tau_liquidus: float
    tau_solidus: float
    tau_probe: float
    probe_radius_mm: float
    active_length_mm: float
    time_error_mm: float  # what irplan is asked for
    threads: int

    @property
    def explicit_limit_s(self) -> float:
        """Largest stable forward Euler step of the 7-point scheme, s (98 % of it)."""
        a = max(k / c for k, c in zip(self.conductivity, self.capacity, strict=True))
        return 0.98 * self.h_mm**2 / (6.0 * a)

    def drive(self, t_s: float) -> float:
        """Theta of the probe's surface: a linear ramp, then constant."""
        tau = self.tau_probe * min(1.0, t_s / self.ramp_s)
        return float(theta_of_tau(self, np.array(tau)))

    def theta_breaks(self) -> tuple[float, float]:
        """Theta at the liquidus and at the solidus."""
        low = self.conductivity[0] * self.tau_liquidus
        return low, low + self.conductivity[1] * (self.tau_solidus - self.tau_liquidus)

    def u_breaks(self) -> tuple[float, float]:
        """Enthalpy at the liquidus and at the solidus."""
        low = self.capacity[0] * self.tau_liquidus
        return low, low + self.capacity[1] * (self.tau_solidus - self.tau_liquidus)

    def theta_slopes(self) -> tuple[float, float, float]:
        """Slopes d theta / d u: unfrozen, mushy, frozen."""
        ku, km, kf = self.conductivity
        cu, cm, cf = self.capacity
        return ku / cu, km / cm, kf / cf

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Problem:
        values = json.loads(path.read_text())
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def piecewise(
    x: NDArray[Any], breaks: tuple[float, float], slopes: tuple[float, float, float]
) -> NDArray[Any]:
    """Piecewise linear through 0: ``slopes`` above breaks[0], between, below breaks[1]."""
    high, low = breaks
    out: NDArray[Any] = (
        slopes[0] * np.maximum(x, high)
        + slopes[1] * (np.clip(x, low, high) - high)
        + slopes[2] * np.minimum(x - low, 0)
    )
    return out


def theta_of_tau(p: Problem, tau: NDArray[Any]) -> NDArray[Any]:
    return piecewise(tau, (p.tau_liquidus, p.tau_solidus), p.conductivity)


def tau_of_theta(p: Problem, theta: NDArray[Any]) -> NDArray[Any]:
    ku, km, kf = p.conductivity
    return piecewise(theta, p.theta_breaks(), (1 / ku, 1 / km, 1 / kf))


def theta_of_u(p: Problem, u: NDArray[Any]) -> NDArray[Any]:
    return piecewise(u, p.u_breaks(), p.theta_slopes())


def u_of_theta(p: Problem, theta: NDArray[Any]) -> NDArray[Any]:
    a, b, c = p.theta_slopes()
    return piecewise(theta, p.theta_breaks(), (1 / a, 1 / b, 1 / c))


@dataclass(frozen=True, eq=False)
class Probe:
    """The distributed line source: du/dt += weight.T @ (strength * (drive - weight @ theta))."""

    samples_mm: NDArray[np.float64]  # (m, 3) from the middle of the grid
    sigma_mm: float
    strength: float
    voxels: NDArray[np.int64]  # (v,) flat index into n^3
    weight: csr_matrix  # (m, v), rows sum to 1


def probe(p: Problem, symbol: Callable[[Any], Any] | None = None) -> Probe:
    """The probe as Gaussian samples with the strength that its lattice asks for.

    ``symbol(k)`` is minus the discrete Laplacian's Fourier symbol times h^2 on (..., 3)
    wave numbers k h; None is the 7-point scheme's.  A peer with another stencil gives its own, so
    that the probe has the same physical radius on each.
    """
    h, r_p = p.h_mm, p.probe_radius_mm
    sigma = max(0.75 * h, r_p)
    long_mm = p.active_length_mm + 2.0 * (0.75 * sigma - 0.6 * r_p)
    count = math.ceil(long_mm / min(sigma, h))
    ds = long_mm / count
    samples = np.zeros((count, 3))
    samples[:, 0] = (np.arange(count) + 0.5) * ds - 0.5 * long_mm
    axis_mm = (np.arange(p.n) - 0.5 * (p.n - 1)) * h
    across = np.flatnonzero(np.abs(axis_mm) <= 4.0 * sigma)
    along = np.flatnonzero(np.abs(axis_mm) <= 0.5 * long_mm + 4.0 * sigma)
    i, j, k = (v.ravel() for v in np.meshgrid(along, across, across, indexing="ij"))
    at = np.stack([axis_mm[i], axis_mm[j], axis_mm[k]], axis=1)
    d2 = ((at[None] - samples[:, None]) ** 2).sum(axis=2)
    w = np.where(d2 <= (4.0 * sigma) ** 2, np.exp(-d2 / (2.0 * sigma**2)), 0.0)
    w /= w.sum(axis=1, keepdims=True)
    sigma_e = math.sqrt(float((w * (at[:, 1] ** 2 + at[:, 2] ** 2)).sum()) / (2.0 * count))
    r_eff = _effective_radius_mm(sigma_e, h, symbol or seven_point)
    used = np.flatnonzero(w.max(axis=0) > 0.0)
    return Probe(
        samples_mm=samples,
        sigma_mm=sigma,
        strength=2.0 * math.pi / math.log(r_eff / r_p) * ds / h**3,
        voxels=((i * p.n + j) * p.n + k)[used].astype(np.int64),
        weight=csr_matrix(w[:, used]),
    )


def seven_point(k: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = (2.0 - 2.0 * np.cos(k)).sum(axis=-1)
    return out


def trilinear_lumped(k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Stiffness of trilinear hexahedra over their lumped mass."""
    stiff, mass = 2.0 - 2.0 * np.cos(k), (4.0 + 2.0 * np.cos(k)) / 6.0
    out: NDArray[np.float64] = (
        stiff[..., 0] * mass[..., 1] * mass[..., 2]
        + mass[..., 0] * stiff[..., 1] * mass[..., 2]
        + mass[..., 0] * mass[..., 1] * stiff[..., 2]
    )
    return out


def _effective_radius_mm(sigma_e_mm: float, h_mm: float, symbol: Callable[[Any], Any]) -> float:
    """ln R = ln(2 sigma_e) - gamma/2 - J, J the lattice's departure from the continuum."""
    s = sigma_e_mm / h_mm
    count = 200
    k = (np.arange(count) + 0.5) * (min(math.pi, 6.0 / s) / count)
    phi = (np.arange(64) + 0.5) * (2.0 * math.pi / 64)
    zero = np.zeros((count, 64))
    waves = np.stack([zero, np.outer(k, np.cos(phi)), np.outer(k, np.sin(phi))], axis=-1)
    mean = (1.0 / symbol(waves)).mean(axis=1) - 1.0 / k**2
    j = float(np.sum(k * np.exp(-((s * k) ** 2)) * mean) * (k[1] - k[0]))
    return 2.0 * sigma_e_mm * math.exp(-0.5 * EULER_GAMMA - j)


def main(build: Callable[[Problem], tuple[Callable[[], NDArray[Any]], dict[str, Any]]]) -> None:
    """``python PEER.py PROBLEM.json OUT.npz``: time the build and the solve, write the result.

    ``build(problem)`` imports the peer, compiles what it needs and returns (solve, facts);
    ``solve()`` runs the whole simulation from rest and returns tau, (n, n, n).
    """
    p = Problem.load(Path(sys.argv[1]))
    started = time.perf_counter()
    solve, facts = build(p)
    built = time.perf_counter() - started
    walls: list[float] = []
    while not walls or (len(walls) < MOST_REPEATS and sum(walls) + walls[0] < REPEAT_WITHIN_S):
        started = time.perf_counter()
        tau = solve()
        walls.append(time.perf_counter() - started)
    np.savez(
        sys.argv[2],
        tau=np.asarray(tau, np.float32).reshape(p.n, p.n, p.n),
        build_s=built,
        solve_s=np.array(walls),
        facts=json.dumps(facts),
    )
