"""Electrodes thinner than a voxel, at any angle and offset, as distributed line sources.

An electrode is one or more straight wires of one metal.  Along each wire lie samples; sample m
puts its current I_m into the voxels by Gaussian weights W_m and sees their gathered potential
W_m V.  The logarithmic profile between the wire's surface (radius a) and the radius r_eff at which
a line current's potential equals the gathered one joins the two:

    I_m = 2 pi sigma_m ds / ln(r_eff / a) (U - W_m V).

All samples share the metal's potential U, so the current's density along the wire is part of
the solution.  It is the well model of Peaceman (SPE J. 23 (1983) 531) with the equivalent radius
from the lattice's Green's function, as for the cryoprobe (ablation specification, "The probe on
the grid decides the result", steps 1 to 5), for voxels of unequal edges and bent wires.  Heat
between a and r_eff that the grid does not see, I_m^2 / link_m, is laid into the voxels as the
closed form says: the density 1/r^2 outside the wire less what the grid's own smeared field has.

Known limits: tissue that changes within 2 voxels of a wire (its conductivity is averaged with
the weights of that heat), wires closer than two voxels to each other, |E| within 1.5 voxels of
a wire from the grid alone (`near_field` gives the closed form there).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import RfaDevice
from irplan.ablation.placement import Placement
from irplan.ablation.segments import segment_distance_mm
from irplan.errors import InputError
from irplan.geometry import Grid, as_point

_EULER_GAMMA = 0.5772156649015329
#: Gaussian weights are cut here; 3.2 sigma already biases the radii [M, specification].
_CUT_SIGMAS = 4.0
#: Width of the Gaussian in voxel edges (never below the wire's radius).
_SIGMA_VOXELS = 0.75
#: A free end of a closed cylinder is worth this much more length: so many widths of the kernel less
#: so many radii.  Fitted to the method-of-moments resistance of cylinders of 10 to 30 mm and 1 to
#: 2 mm diameter in eight poses; they then agree within 0.4 % [M].
_CAP_SIGMA, _CAP_RADIUS = 0.75, 0.5
#: Quadrature of a sample's unseen heat: radii, angles, places along the wire.
_RADII, _ANGLES, _PLACES = 12, 16, 4
#: mm in a metre.
_MM = 1e-3


@dataclass(frozen=True, eq=False)
class Wire:
    """A straight piece of an electrode, in mm along the grid's axes (0 at voxel 0's middle).

    ``caps``: the start and the end are free tips of a closed cylinder.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    radius_mm: float
    caps: tuple[bool, bool] = (True, True)


@dataclass(frozen=True, eq=False)
class Samples:
    """All samples of all electrodes.

    ``voxel`` (v, 3) grid indices.  Sample m owns ``ptr[m]:ptr[m + 1]`` of ``local`` (into
    ``voxel``) and ``weight`` (sums to 1), and of ``near_ptr`` in ``near_local`` and
    ``near_weight`` for its unseen heat.  ``link_m``: conductance to its metal per
    conductivity, m.  ``electrode``: which metal.  ``ds_mm``, ``radius_mm``, ``point_mm``, ``axis``:
    length, wire's radius, place and direction.  ``box_mm`` (2, 3) holds all wires.
    """

    voxel: NDArray[np.int64]
    local: NDArray[np.int64]
    weight: NDArray[np.float32]
    ptr: NDArray[np.int64]
    near_local: NDArray[np.int64]
    near_weight: NDArray[np.float64]
    near_ptr: NDArray[np.int64]
    link_m: NDArray[np.float64]
    electrode: NDArray[np.int64]
    ds_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    point_mm: NDArray[np.float64]
    axis: NDArray[np.float64]
    box_mm: NDArray[np.float64]
    count: int
    """Number of electrodes."""


def wires_of(placement: Placement, grid: Grid) -> list[Wire]:
    """The metal in contact with tissue: tines where there are any, else the active tip."""
    spacing = np.asarray(grid.spacing_mm)
    needle, device = placement.needle, placement.applicator.device
    if not isinstance(device, RfaDevice) or not device.tines:
        ends = grid.lps_to_index(np.array(placement.active_segment)) * spacing
        return [Wire(ends[0], ends[1], 0.5 * placement.applicator.shaft_diameter_mm)]
    axis = -needle.direction
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    u = np.cross(axis, helper)
    u /= np.linalg.norm(u)
    frame = np.stack([axis, u, np.cross(axis, u)])
    out = []
    for tine in device.tines:
        points = np.array(needle.tip_mm) + np.array(tine) @ frame
        mm = grid.lps_to_index(points) * spacing
        last = len(mm) - 2
        free = math.hypot(*tine[0][1:]) > placement.applicator.shaft_diameter_mm
        out += [
            Wire(a, b, 0.5 * device.tine_diameter_mm, (free and n == 0, n == last))
            for n, (a, b) in enumerate(itertools.pairwise(mm))
        ]
    return out


def sample_wires(
    electrodes: Sequence[Sequence[Wire]], grid: Grid, *, field: str = "problem.placements"
) -> Samples:
    """Lay the wires of each electrode onto ``grid``.

    Raises `InputError` where a wire's kernel leaves the grid or a wire is too thick for it.
    """
    shape = np.asarray(grid.shape)
    spacing = np.asarray(grid.spacing_mm)
    parts = [(e, _Piece.of(wire, spacing)) for e, wires in enumerate(electrodes) for wire in wires]
    for e, piece in parts:
        if piece.voxel.min() < 0 or np.any(piece.voxel.reshape(-1, 3).max(axis=0) >= shape):
            raise InputError(
                f"{field}[{e}]",
                got="an electrode outside the simulated box, or within "
                f"{_CUT_SIGMAS * float(piece.sigma_mm.max()):.1f} mm of its edge",
                expected="the whole active length well inside the box",
                remedy="Move the electrode or enlarge the box (margin_mm).",
            )

    def flat(voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        out: NDArray[np.int64] = np.ravel_multi_index(tuple(voxels.T), grid.shape).astype(np.int64)
        return out

    wide = np.concatenate([flat(p.voxel[p.used]) for _, p in parts])
    near = np.concatenate([flat(p.near_voxel.reshape(-1, 3)) for _, p in parts])
    unique, inverse = np.unique(np.concatenate([wide, near]), return_inverse=True)
    per_near = _RADII * _ANGLES * _PLACES
    near_ptr, near_local, near_weight = _merged(inverse[wide.size :].reshape(-1, per_near))
    counts = np.concatenate([p.used.sum(axis=1) for _, p in parts])
    ends = np.array([q for _, p in parts for q in (p.wire.start, p.wire.end)])
    return Samples(
        voxel=np.stack(np.unravel_index(unique, grid.shape), axis=1).astype(np.int64),
        local=inverse[: wide.size].astype(np.int64),
        weight=np.concatenate([p.weight[p.used] for _, p in parts]).astype(np.float32),
        ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        near_local=near_local,
        near_weight=near_weight,
        near_ptr=near_ptr,
        link_m=np.concatenate([p.link_m for _, p in parts]),
        electrode=np.concatenate([np.full(p.link_m.size, e) for e, p in parts]).astype(np.int64),
        ds_mm=np.concatenate([np.full(p.link_m.size, p.ds_mm) for _, p in parts]),
        radius_mm=np.concatenate([np.full(p.link_m.size, p.wire.radius_mm) for _, p in parts]),
        point_mm=np.concatenate([p.point for _, p in parts]),
        axis=np.concatenate([np.tile(p.axis, (p.link_m.size, 1)) for _, p in parts]),
        box_mm=np.stack([ends.min(axis=0), ends.max(axis=0)]),
        count=len(electrodes),
    )


def check_apart(electrodes: Sequence[Sequence[Wire]], *, field: str = "problem.placements") -> None:
    """`InputError` where wires of two electrodes cross or touch."""
    for e, own in enumerate(electrodes):
        for f in range(e):
            for a in own:
                for b in electrodes[f]:
                    ends = [as_point(p, field=field) for p in (a.start, a.end, b.start, b.end)]
                    gap = segment_distance_mm((ends[0], ends[1]), (ends[2], ends[3]))
                    if gap < a.radius_mm + b.radius_mm:
                        raise InputError(
                            f"{field}[{e}]",
                            got=f"an electrode whose axis passes {gap:.2f} mm from that of "
                            f"electrode {f + 1}",
                            expected=f"more than {a.radius_mm + b.radius_mm:.2f} mm, both radii",
                            remedy="Move the electrodes apart: they would touch.",
                        )


def effective_radius_mm(
    spread_mm2: NDArray[np.float64], spacing_mm: NDArray[np.float64], axis: NDArray[np.float64]
) -> float:
    """Radius at which a line current's potential equals the gathered one, mm.

    ``spread_mm2`` (3, 3): realised covariance of the weights.  With |W(k)|^2 = exp(-k C k) in the
    plane across the wire, Lam(k) the lattice's Laplacian and s^2 = tr C / 2,

        ln r_eff = ln 2s - gamma/2 - int k dk <|W|^2 / Lam - exp(-s^2 k^2) / k^2>_phi,

    which for an isotropic kernel is step 4 of the specification's recipe (midpoint rule, 1e-5).
    """
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    e1 = np.cross(axis, helper)
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(axis, e1)
    phi = (np.arange(64) + 0.5) * (2.0 * math.pi / 64)
    direction = np.cos(phi)[:, None] * e1 + np.sin(phi)[:, None] * e2
    across = np.einsum("pi,ij,pj->p", direction, spread_mm2, direction)
    s = math.sqrt(float(across.mean()))
    most = min(math.pi / float(spacing_mm.min()), 6.0 / s)
    k = (np.arange(160) + 0.5) * (most / 160)
    lam = ((2.0 - 2.0 * np.cos(k[:, None, None] * direction * spacing_mm)) / spacing_mm**2).sum(-1)
    kernel = np.exp(-(k[:, None] ** 2) * across) / lam
    plain = np.exp(-((s * k) ** 2)) / k**2
    j = float(np.sum(k * (kernel.mean(axis=1) - plain)) * (k[1] - k[0]))
    return 2.0 * s * math.exp(-0.5 * _EULER_GAMMA - j)


@dataclass(frozen=True, eq=False)
class _Piece:
    """One wire on the grid; rows are its samples."""

    wire: Wire
    axis: NDArray[np.float64]
    point: NDArray[np.float64]
    ds_mm: float
    sigma_mm: NDArray[np.float64]
    voxel: NDArray[np.int64]
    used: NDArray[np.bool_]
    weight: NDArray[np.float64]
    near_voxel: NDArray[np.int64]
    link_m: NDArray[np.float64]

    @classmethod
    def of(cls, wire: Wire, spacing: NDArray[np.float64]) -> _Piece:
        a = wire.radius_mm
        sigma = np.maximum(_SIGMA_VOXELS * spacing, a)
        axis = wire.end - wire.start
        length = float(np.linalg.norm(axis))
        axis = axis / length
        across2 = float(np.sum(sigma**2) - np.sum((axis * sigma) ** 2))
        cap = _CAP_SIGMA * math.sqrt(0.5 * across2) - _CAP_RADIUS * a
        before, after = (cap if c else 0.0 for c in wire.caps)
        whole = length + before + after
        count = max(1, math.ceil(whole / float(spacing.min())))
        ds = whole / count
        place = (np.arange(count) + 0.5) * ds - before
        point = wire.start + place[:, None] * axis
        reach = np.ceil(_CUT_SIGMAS * sigma / spacing).astype(int) + 1
        box = np.stack(
            np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), axis=-1
        ).reshape(-1, 3)
        voxel = np.rint(point / spacing).astype(np.int64)[:, None, :] + box
        offset = voxel * spacing - point[:, None, :]
        scaled2 = np.sum((offset / sigma) ** 2, axis=-1)
        used = scaled2 <= _CUT_SIGMAS**2
        weight = np.where(used, np.exp(-0.5 * scaled2), 0.0)
        weight /= weight.sum(axis=1, keepdims=True)
        spread = np.einsum("mi,mia,mib->ab", weight, offset, offset) / count
        r_eff = effective_radius_mm(spread, spacing, axis)
        if r_eff <= 1.02 * a:
            raise InputError(
                "problem.grid",
                got=f"voxels of {spacing.max():g} mm, which stand for a wire of {r_eff:.2f} mm",
                expected=f"more than the electrode's own radius of {a:.2f} mm",
                remedy="Use a coarser spacing_mm; 1 mm suits electrodes of 1 to 2 mm.",
            )
        across = spread - np.outer(axis, axis) @ spread
        s = math.sqrt(0.5 * max(1e-6, float(np.trace(across))))
        return cls(
            wire=wire,
            axis=axis,
            point=point,
            ds_mm=ds,
            sigma_mm=sigma,
            voxel=voxel,
            used=used,
            weight=weight,
            near_voxel=np.rint(_near_points(point, axis, a, s, ds) / spacing).astype(np.int64),
            link_m=np.full(count, 2.0 * math.pi * ds * _MM / math.log(r_eff / a)),
        )


def _near_points(
    point: NDArray[np.float64], axis: NDArray[np.float64], a: float, s: float, ds: float
) -> NDArray[np.float64]:
    """(m, n, 3) equal shares of the heat that a kernel of width ``s`` hides round a wire.

    Density over r > a: [1 - (1 - exp(-r^2 / 2 s^2))^2] / r, the line's heat less the smeared one's.
    """
    r = np.geomspace(a, max(6.0 * s, 2.0 * a), 400)
    density = 1.0 - (1.0 - np.exp(-0.5 * (r / s) ** 2)) ** 2
    share = np.concatenate(
        [[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(np.log(r)))]
    )
    radii = np.interp((np.arange(_RADII) + 0.5) / _RADII, share / share[-1], r)
    phi = (np.arange(_ANGLES) + 0.5) * (2.0 * math.pi / _ANGLES)
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    e1 = np.cross(axis, helper)
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(axis, e1)
    ring = np.cos(phi)[:, None] * e1 + np.sin(phi)[:, None] * e2
    along = ((np.arange(_PLACES) + 0.5) / _PLACES - 0.5) * ds
    offset = radii[:, None, None, None] * ring[None, :, None, :] + along[:, None] * axis
    out: NDArray[np.float64] = point[:, None, :] + offset.reshape(1, -1, 3)
    return out


def _merged(
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(ptr, voxel, share) of equal shares per row, those in one voxel added up."""
    count, each = rows.shape
    most = int(rows.max()) + 1
    key, times = np.unique(np.arange(count)[:, None] * most + rows, return_counts=True)
    sample, local = np.divmod(key, most)
    ptr = np.searchsorted(sample, np.arange(count + 1)).astype(np.int64)
    return ptr, local.astype(np.int64), times / each
