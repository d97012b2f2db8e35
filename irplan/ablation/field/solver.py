"""The quasi-static potential: div(sigma grad V) = 0 with electrodes, on the cells of a mesh."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.field.electrode import Samples
from irplan.ablation.field.mesh import FieldMesh
from irplan.compute.threads import ThreadChoice
from irplan.errors import InputError, SolverError

Boundary = Literal["monopole", "dipole", "insulated"]
_ORDER = {"monopole": 1.0, "dipole": 2.0, "insulated": 0.0}
#: Voxels below this conductivity take no current from an electrode directly, S/m.
_INSULATOR = 1e-4
#: Samples whose metal sits in gas keep this conductivity, S/m, so that none is left undefined.
_LEAST_SIGMA = 1e-6
_MOST_ITERATIONS = 200


@contextmanager
def at_most(threads: int | ThreadChoice | None) -> Iterator[None]:
    """No more than ``threads`` numba threads inside, and the old number after."""
    import numba

    before = int(numba.get_num_threads())
    if isinstance(threads, int):
        if threads < 1:
            raise InputError(
                "threads", got=f"{threads}", expected="1 or more", remedy="None takes all."
            )
        numba.set_num_threads(min(threads, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


@dataclass(frozen=True)
class Drive:
    """What holds the electrodes.

    ``fixed_v``: potential of each, V.  ``floating``: groups of electrodes (by index) that share an
    unknown potential, added to ``fixed_v``, such that the group's net current is zero.
    """

    fixed_v: tuple[float, ...]
    floating: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def monopolar(cls, volts: Sequence[float]) -> Drive:
        """Electrodes at these potentials against a far ground."""
        return cls(tuple(volts))

    @classmethod
    def pair(cls, positive: int, negative: int, volts: float, count: int) -> Drive:
        """``volts`` between two of ``count`` electrodes; all others float without net current."""
        fixed = [0.0] * count
        fixed[positive], fixed[negative] = 0.5 * volts, -0.5 * volts
        others = tuple((e,) for e in range(count) if e not in (positive, negative))
        return cls(tuple(fixed), ((positive, negative), *others))


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved drive: ``potentials_v`` and ``currents_a`` of each electrode (into the tissue)."""

    potentials_v: NDArray[np.float64]
    currents_a: NDArray[np.float64]
    sample_a: NDArray[np.float64]
    power_w: float
    iterations: int
    error: float
    """Estimated relative error in the energy norm (the resistance's is about its square)."""


class PotentialSolver:
    """Solves for one set of electrodes again and again as the conductivity changes.

    Set `sigma` (S/m per cell), call `solve`; then `heat` and `field` read the last solution.
    Warm start: each solve begins from the last potential, scaled by the caller through `scale`.

    Cost: some 20 ns a cell and iteration on one core, 4 to 8 iterations from scratch to 1e-3.
    Memory: 60 bytes a cell.
    """

    def __init__(
        self,
        mesh: FieldMesh,
        samples: Samples,
        boundary: Boundary,
        threads: ThreadChoice | int | None = None,
    ) -> None:
        self.mesh, self.samples = mesh, samples
        self._threads = threads if isinstance(threads, ThreadChoice) else ThreadChoice(threads or 1)
        self._order = _ORDER[boundary]
        size, padded = mesh.levels.size, mesh.levels.padded
        self._g = np.zeros((8, size), np.float32)
        self._x, self._y, self._d, self._b = (np.zeros(size, np.float32) for _ in range(4))
        self.v = np.zeros(padded, np.float32)
        self._p = np.zeros(self.v.size, np.float32)
        self.sigma = np.zeros(padded, np.float32)
        self._cell = mesh.padded_flat(samples.voxel)
        self._link = np.zeros(samples.link_m.size)
        self._weight = samples.weight
        self._c = np.zeros(0)
        self._last: Solution | None = None
        centre = samples.box_mm.mean(axis=0)
        self._middles = [m - c for m, c in zip(mesh.middles, centre, strict=True)]

    # -- conductivity --------------------------------------------------------------------

    def assemble(self) -> None:
        """Take over `sigma` (its inner part was written): conductances, levels, links."""
        from irplan.compute.cpu import potential

        mesh, s, g = self.mesh, self.samples, self._g
        inner = [self._finest(g[n]) for n in range(4)]
        potential.faces(self.sigma, *mesh.widths, *self._middles, self._order, *inner)
        near = np.maximum(self.sigma.reshape(-1)[self._cell], _LEAST_SIGMA).astype(np.float64)
        resist = s.near_weight / near[s.near_local]
        self._link = s.link_m / np.add.reduceat(resist, s.near_ptr[:-1])
        # no current enters an insulator: its weight goes to the sample's other voxels
        live = s.weight * (self.sigma.reshape(-1)[self._cell] > _INSULATOR)[s.local]
        total = np.add.reduceat(live, s.ptr[:-1])
        self._link *= total > 0.0
        self._weight = live / np.repeat(np.maximum(total, np.float32(1e-9)), np.diff(s.ptr))
        spread = np.repeat(self._link, np.diff(s.ptr)) * self._weight
        self._lump = np.bincount(s.local, spread, self._cell.size).astype(np.float32)
        np.add.at(g[3], self._cell, self._lump)
        levels = mesh.levels
        potential.build_levels(
            g,
            levels.shape,
            levels.table_at,
            levels.side,
            levels.share,
            levels.span_at,
            levels.child,
        )

    def _finest(self, flat: NDArray[np.float32]) -> NDArray[np.float32]:
        return flat[: self.v.size].reshape(self.v.shape)

    # -- solve ---------------------------------------------------------------------------

    def solve(self, drive: Drive, tolerance: float = 1e-3) -> Solution:
        """Potential for ``drive`` from the present one; `SolverError` if it does not converge."""
        import numba

        from irplan.compute.cpu import multigrid

        s, levels = self.samples, self.mesh.levels
        fixed = np.asarray(drive.fixed_v, np.float64)[s.electrode]
        modes = np.zeros((len(drive.floating), s.electrode.size))
        for f, group in enumerate(drive.floating):
            modes[f] = np.isin(s.electrode, group)
        if self._c.size != len(drive.floating):
            self._c = np.zeros(len(drive.floating))
        threads, allowed = self._threads.pick(), int(numba.get_num_threads())
        numba.set_num_threads(threads)
        started = time.perf_counter()
        iterations, error = multigrid.solve(
            self.v.reshape(-1), self._c, fixed, self._p, self._x, self._y, self._d, self._b,
            self._g, levels.shape, levels.table_at, levels.parent, levels.side,
            levels.span_at, levels.child, self._cell, s.local, self._weight, s.ptr,
            self._link, modes, self._lump, tolerance, _MOST_ITERATIONS,
        )  # fmt: skip
        numba.set_num_threads(allowed)
        self._threads.learn(threads, iterations + 1.0, time.perf_counter() - started)
        if not np.isfinite(error) or error > max(10.0 * tolerance, 1e-4):
            raise SolverError(
                "potential",
                got=f"a relative error of {error:.1e} after {iterations} iterations",
                expected=f"{tolerance:.0e}",
                remedy="Check the conductivities round the electrodes; none may be cut off.",
            )
        gathered = np.zeros(s.electrode.size)
        multigrid.gather(self.v.reshape(-1), self._cell, s.local, self._weight, s.ptr, gathered)
        metal = fixed + self._c @ modes
        sample_a = self._link * (metal - gathered)
        potentials = np.array(
            [metal[np.argmax(s.electrode == e)] for e in range(s.count)], dtype=np.float64
        )
        currents = np.bincount(s.electrode, sample_a, s.count).astype(np.float64)
        self._last = Solution(
            potentials_v=potentials,
            currents_a=currents,
            sample_a=sample_a,
            power_w=float(potentials @ currents),
            iterations=iterations,
            error=error,
        )
        return self._last

    def scale(self, factor: float) -> None:
        """Multiply the potential by ``factor``: a warm start for another voltage."""
        self.v *= np.float32(factor)
        self._c *= factor

    # -- reading -------------------------------------------------------------------------

    def heat(self, kept: NDArray[np.float64] | None = None) -> NDArray[np.float32]:
        """Joule heat per cell, W/m3, padded; its sum over the volumes is the power in the mesh.

        Face heat of the mesh plus each sample's unseen heat, spread by the closed form; ``kept``
        is the share of each sample's unseen heat that stays in tissue (None: all of it).
        """
        from irplan.compute.cpu import potential

        last = self._solved()
        out = np.zeros(self.v.shape, np.float32)
        potential.heat(self.v, self.sigma, *self._faces(), *self.mesh.widths, out)
        s = self.samples
        unseen = last.sample_a**2 / self._link
        if kept is not None:
            unseen = unseen * kept
        near = np.maximum(self.sigma.reshape(-1)[self._cell], _LEAST_SIGMA).astype(np.float64)
        share = s.near_weight / near[s.near_local]
        share /= np.repeat(np.add.reduceat(share, s.near_ptr[:-1]), np.diff(s.near_ptr))
        watts = np.bincount(
            s.near_local, share * np.repeat(unseen, np.diff(s.near_ptr)), self._cell.size
        )
        volume = np.prod([w[c] for w, c in zip(self.mesh.widths, self._cells_of(), strict=True)], 0)
        out.reshape(-1)[self._cell] += (watts / (volume * 1e-9)).astype(np.float32)
        return out

    def field_v_per_cm(self) -> NDArray[np.float32]:
        """|E| per cell, V/cm, padded; within 3 kernel widths of a wire at least the wire's own.

        There E is I' / (2 pi sigma r) of the nearest sample's current per length I'.
        """
        from irplan.compute.cpu import potential

        last, s = self._solved(), self.samples
        out = np.zeros(self.v.shape, np.float32)
        potential.field_strength(self.v, self.sigma, *self._faces(), *self.mesh.widths, out)
        h = np.array([w.min() for w in self.mesh.widths])
        owner = np.repeat(np.arange(s.link_m.size), np.diff(s.ptr))
        offset = s.voxel[s.local] * h - s.point_mm[owner]
        along = np.sum(offset * s.axis[owner], axis=1)
        r = np.sqrt(np.maximum(np.sum(offset**2, axis=1) - along**2, 0.0))
        beside = (np.abs(along) <= 0.5 * s.ds_mm[owner] + 1e-9) & (r <= 2.0 * h.max())
        per_mm = np.abs(last.sample_a / s.ds_mm)[owner]
        sigma = np.maximum(self.sigma.reshape(-1)[self._cell[s.local]], _LEAST_SIGMA)
        line = 1e4 * per_mm / (2.0 * np.pi * sigma * np.maximum(r, s.radius_mm[owner]))
        flat = out.reshape(-1)
        at = self._cell[s.local][beside]
        np.maximum.at(
            flat, at, np.where(sigma[beside] > _LEAST_SIGMA, line[beside], 0.0).astype(np.float32)
        )
        return out

    def _faces(self) -> tuple[NDArray[np.float32], ...]:
        return tuple(self._finest(self._g[n]) for n in range(3))

    def _cells_of(self) -> tuple[NDArray[np.int64], ...]:
        return tuple(self.mesh.cell_of[a][self.samples.voxel[:, a]] for a in range(3))

    def _solved(self) -> Solution:
        if self._last is None:
            raise RuntimeError("solve() comes first")
        return self._last
