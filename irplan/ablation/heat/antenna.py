"""The specific absorption pattern of a coaxial microwave antenna, solved once and kept.

A metal needle with a ring slot lies along z in one tissue; everything is axisymmetric.  With
psi = r H_phi (the current through a disc over 2 pi) Maxwell's equations become one scalar equation

    d/dz((1/r) dpsi/dz) + d/dr((1/r) dpsi/dr) + k^2 psi / r = 0,
    k^2 = (2 pi f / c)^2 (eps_r - j sigma / (2 pi f eps_0)),
    E_z = (1/r) dpsi/dr / (j w eps),  E_r = -(1/r) dpsi/dz / (j w eps),

(transverse magnetic fields, e.g. Harrington, Time-Harmonic Electromagnetic Fields, 1961, ch. 3 and
5; time factor e^{jwt}).  On metal the tangential field vanishes, which is a zero flux; across the
slot the coaxial line holds a uniform E_z (the delta-gap feed of antenna theory), which is a given
flux; on the axis psi = 0; outer faces absorb (dpsi/dn = -j k psi).  Finite volumes on a graded
grid, sparse LU.  Power balance (absorbed + outflow = delivered through the slot) holds to
rounding; only the pattern is used, its strength comes from generator power times efficiency.

Known limits: one tissue round the whole antenna, no dielectric sheath, no choke, no field inside
the coaxial line (its reflection is in `MwaDevice.efficiency`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import MwaDevice
from irplan.ablation.placement import Placement
from irplan.ablation.tissue import TissueProperties
from irplan.errors import InputError

_LIGHT_M_PER_S = 299792458.0
_EPS0 = 8.8541878128e-12
#: The pattern reaches this far from the slot, in units of the power's attenuation length, mm within
#: the limits that follow.
_REACH_LENGTHS = 5.0
_LEAST_REACH_MM, _MOST_REACH_MM = 35.0, 70.0
#: The table leaves out this part of the power at its far edges (it is added to the rest in
#: proportion when power is put on a grid).
_TAIL = 0.004
#: Step of the table, mm.
TABLE_STEP_MM = (0.2, 0.1)


@dataclass(frozen=True, eq=False)
class AntennaPattern:
    """Power density per watt delivered to tissue, around the needle's axis.

    ``table`` (nz, nr) float32, W/m3 per W, at z = ``first_z_mm`` + i ``TABLE_STEP_MM[0]`` behind
    the tip (negative: ahead of it) and r = (j + 0.5) ``TABLE_STEP_MM[1]``; zero in the metal.
    ``captured`` is the part of the power that falls inside the table (the rest lies beyond).
    ``balance`` is (absorbed + outflow) / delivered in the solution, 1 in theory.
    ``attenuation_np_per_m`` is that of a plane wave's field in the tissue.
    """

    table: NDArray[np.float32]
    first_z_mm: float
    radius_mm: float
    captured: float
    balance: float
    attenuation_np_per_m: float

    @property
    def reach_mm(self) -> tuple[float, float, float]:
        """(least z, greatest z, greatest r) of the table, mm."""
        nz, nr = self.table.shape
        last = self.first_z_mm + (nz - 1) * TABLE_STEP_MM[0]
        return self.first_z_mm, last, nr * TABLE_STEP_MM[1]


def antenna_pattern(placement: Placement, tissue: TissueProperties) -> AntennaPattern:
    """The pattern of ``placement``'s antenna in ``tissue``; about a second, then from memory."""
    applicator = placement.applicator
    device = applicator.device
    if not isinstance(device, MwaDevice):
        raise InputError(
            f"applicator '{applicator.name}'.device",
            got=f"kind '{applicator.kind}'",
            expected="an MwaDevice",
            remedy="Give the antenna's slot and frequency.",
        )
    return solve_pattern(
        device.frequency_mhz,
        0.5 * applicator.shaft_diameter_mm,
        device.slot_offset_mm,
        device.slot_length_mm,
        tissue.permittivity,
        tissue.sigma_microwave_s_per_m,
    )


@lru_cache(maxsize=32)
def solve_pattern(
    frequency_mhz: float,
    radius_mm: float,
    slot_offset_mm: float,
    slot_length_mm: float,
    permittivity: float,
    sigma_s_per_m: float,
    fine_mm: float = 0.15,
) -> AntennaPattern:
    """Solve for the pattern; see `AntennaPattern`.  ``fine_mm``: finest cell, at slot and tip."""
    if slot_offset_mm < 0.5 * slot_length_mm:
        raise InputError(
            "MwaDevice.slot_offset_mm",
            got=f"{slot_offset_mm} mm with a slot of {slot_length_mm} mm",
            expected="a slot wholly on the shaft",
            remedy="The offset is from the tip to the slot's middle.",
        )
    if sigma_s_per_m <= 0.0:
        raise InputError(
            "tissue.sigma_microwave_s_per_m",
            got=f"{sigma_s_per_m}",
            expected="more than 0 S/m round an antenna",
            remedy="1.7 suits liver at 2.45 GHz.",
        )
    field = solve_field(
        frequency_mhz, radius_mm, slot_offset_mm, slot_length_mm, permittivity, sigma_s_per_m,
        fine_mm,
    )  # fmt: skip
    return _tabulate(field, radius_mm)


@dataclass(frozen=True, eq=False)
class AntennaField:
    """The solved field: nodes ``r_mm`` (n,), ``z_mm`` (m,) behind the tip, ``psi`` (n, m) complex.

    ``cell_w`` (n - 1, m - 1) is the power absorbed in each cell, ``outflow_w`` and ``delivered_w``
    those through the outer faces and the slot, all in the same arbitrary unit.
    """

    r_mm: NDArray[np.float64]
    z_mm: NDArray[np.float64]
    psi: NDArray[np.complex128]
    cell_w: NDArray[np.float64]
    outflow_w: float
    delivered_w: float
    wave_number_per_mm: complex


def wave_number_per_mm(frequency_mhz: float, permittivity: float, sigma_s_per_m: float) -> complex:
    """k = beta - j alpha of a plane wave in the tissue, 1/mm."""
    omega = 2.0e6 * math.pi * frequency_mhz
    eps = permittivity - 1j * sigma_s_per_m / (omega * _EPS0)
    return complex(omega / _LIGHT_M_PER_S * np.sqrt(eps) * 1e-3)


def _graded(
    knots: list[float], fine: float, coarse: float, growth: float, ends: tuple[float, float]
) -> NDArray[np.float64]:
    """Nodes through all ``knots`` and to ``ends``: ``fine`` at a knot, growing away from it."""
    marks = sorted({ends[0], *knots, ends[1]})
    nodes = [marks[0]]
    for a, b in pairwise(marks):
        at = np.linspace(a, b, max(3, math.ceil((b - a) / (0.2 * fine))))
        gap = np.min([np.abs(at - k) for k in knots], axis=0)
        density = 1.0 / np.minimum(fine + growth * gap, coarse)
        sums = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(at))])
        count = max(1, math.ceil(sums[-1]))
        nodes += list(np.interp(np.linspace(0.0, sums[-1], count + 1), sums, at)[1:])
    return np.array(nodes)


def solve_field(
    frequency_mhz: float, radius_mm: float, slot_offset_mm: float, slot_length_mm: float,
    permittivity: float, sigma_s_per_m: float, fine_mm: float,
) -> AntennaField:  # fmt: skip
    """Solve the boundary-value problem of the module's text by finite volumes."""
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    k = wave_number_per_mm(frequency_mhz, permittivity, sigma_s_per_m)
    reach = float(np.clip(_REACH_LENGTHS / (-2.0 * k.imag), _LEAST_REACH_MM, _MOST_REACH_MM))
    coarse = min(1.2, 2.0 * math.pi / (24.0 * k.real))
    low, high = slot_offset_mm - 0.5 * slot_length_mm, slot_offset_mm + 0.5 * slot_length_mm
    z = _graded(
        [0.0, low, high], fine_mm, coarse, 0.12, (min(0.0, slot_offset_mm - reach), high + reach)
    )
    r = _graded([radius_mm], fine_mm, coarse, 0.12, (0.0, radius_mm + reach))
    n, m = r.size, z.size
    dr, dz, middle = np.diff(r), np.diff(z), 0.5 * (r[1:] + r[:-1])
    tissue = ~((middle[:, None] < radius_mm) & (0.5 * (z[1:] + z[:-1])[None, :] > 0.0))
    # integrals over the inner and outer half of each cell of dr / r
    with np.errstate(divide="ignore"):
        inner, outer = np.log(middle / r[:-1]), np.log(r[1:] / middle)
    inner[0] = 0.0  # psi = 0 on the axis: its half cell carries nothing
    half_z = 0.5 * dz
    shape = (n - 1, m - 1)
    # coupling along r of a cell's lower and upper edge (the same), along z of inner, outer edge
    c_r = np.where(tissue, half_z[None, :] / (middle * dr)[:, None], 0.0)
    c_in = np.where(tissue, inner[:, None] / dz[None, :], 0.0)
    c_out = np.where(tissue, outer[:, None] / dz[None, :], 0.0)
    node = np.arange(n * m).reshape(n, m)
    corner = [node[:-1, :-1], node[1:, :-1], node[:-1, 1:], node[1:, 1:]]
    rows, cols, vals = [], [], []

    def couple(a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.float64]) -> None:
        for i, j, sign in ((a, b, 1.0), (b, a, 1.0), (a, a, -1.0), (b, b, -1.0)):
            rows.append(i.ravel())
            cols.append(j.ravel())
            vals.append((sign * c).ravel().astype(complex))

    couple(corner[0], corner[1], c_r)
    couple(corner[2], corner[3], c_r)
    couple(corner[0], corner[2], c_in)
    couple(corner[1], corner[3], c_out)
    mass_in = np.where(tissue, inner[:, None] * half_z[None, :], 0.0)
    mass_out = np.where(tissue, outer[:, None] * half_z[None, :], 0.0)
    for nodes, mass in zip(corner, (mass_in, mass_out, mass_in, mass_out), strict=True):
        rows.append(nodes.ravel())
        cols.append(nodes.ravel())
        vals.append((k * k * mass).ravel())
    # absorbing faces: outflow -j k psi times the face's measure
    face = np.zeros((n, m))
    edge_z = np.zeros(m)
    edge_z[:-1] += half_z
    edge_z[1:] += half_z
    face[-1, :] += edge_z / r[-1]
    for side, column in ((0, 0), (-1, m - 1)):
        face[:-1, column] += np.where(tissue[:, side], inner, 0.0)
        face[1:, column] += np.where(tissue[:, side], outer, 0.0)
    rows.append(node.ravel())
    cols.append(node.ravel())
    vals.append((-1j * k * face).ravel())
    # nodes without equation: axis and inside of the metal
    live = np.zeros((n, m), bool)
    for cells, (i, j) in zip([tissue] * 4, [(0, 0), (1, 0), (0, 1), (1, 1)], strict=True):
        live[i : i + shape[0], j : j + shape[1]] |= cells
    live[0, :] = False
    number = np.cumsum(live.ravel()) - 1
    row, col, val = np.concatenate(rows), np.concatenate(cols), np.concatenate(vals)
    keep = live.ravel()[row] & live.ravel()[col]
    size = int(live.sum())
    matrix = csc_array((val[keep], (number[row[keep]], number[col[keep]])), shape=(size, size))
    # the slot's uniform field: flux 1 per mm through the shaft's surface
    surface = int(np.argmin(np.abs(r - radius_mm)))
    slot = np.zeros((n, m))
    in_slot = (0.5 * (z[1:] + z[:-1]) > low) & (0.5 * (z[1:] + z[:-1]) < high)
    slot[surface, :-1] += np.where(in_slot, half_z, 0.0)
    slot[surface, 1:] += np.where(in_slot, half_z, 0.0)
    psi = np.zeros((n, m), complex)
    psi[live] = splu(matrix).solve(slot[live].astype(complex))
    lossy = -(k * k).imag  # sigma / (w eps_0 ...) share: absorbed = Im part of the balance
    step_r = np.abs(np.diff(psi, axis=0)) ** 2
    step_z = np.abs(np.diff(psi, axis=1)) ** 2
    gradient = (
        c_r * (step_r[:, :-1] + step_r[:, 1:]) + c_in * step_z[:-1, :] + c_out * step_z[1:, :]
    )
    # dividing the balance by k^2 makes it: delivered = absorbed + outflow
    square = k * k
    return AntennaField(
        r_mm=r,
        z_mm=z,
        psi=psi,
        cell_w=gradient * lossy / abs(square) ** 2,
        outflow_w=float(-(np.sum(face * np.abs(psi) ** 2) * (-1j * k) / square).imag),
        delivered_w=float(-(np.sum(slot * np.conj(psi)) / square).imag),
        wave_number_per_mm=k,
    )


def _tabulate(field: AntennaField, radius_mm: float) -> AntennaPattern:
    """Cell powers as a table of density at equal steps, per watt; conserves power exactly."""
    from scipy.interpolate import RegularGridInterpolator

    r, z = field.r_mm, field.z_mm
    total = float(field.cell_w.sum()) + field.outflow_w
    inside_w = np.zeros((r.size, z.size))  # power at smaller r and z than each node
    inside_w[1:, 1:] = np.cumsum(np.cumsum(field.cell_w, axis=0), axis=1) / total
    step_z, step_r = TABLE_STEP_MM
    nz, nr = int((z[-1] - z[0]) / step_z), int(r[-1] / step_r)
    face_r, face_z = step_r * np.arange(nr + 1), z[0] + step_z * np.arange(nz + 1)
    look = RegularGridInterpolator((r**2, z), inside_w)
    sums = look(np.stack(np.meshgrid(face_r**2, face_z, indexing="ij"), axis=-1))
    ring_w = np.maximum(np.diff(np.diff(sums, axis=0), axis=1).T, 0.0)  # rounding of sums
    at_r, at_z = 0.5 * (face_r[1:] + face_r[:-1]), 0.5 * (face_z[1:] + face_z[:-1])
    table = ring_w / (math.pi * np.diff(face_r**2) * step_z) * 1e9
    ring = table * (2.0 * math.pi * at_r * TABLE_STEP_MM[0] * TABLE_STEP_MM[1] * 1e-9)
    inside = np.cumsum(ring.sum(axis=0)) < (1.0 - 0.4 * _TAIL) * ring.sum()
    along = np.cumsum(ring.sum(axis=1)) / ring.sum()
    rows = (along > 0.3 * _TAIL) & (along < 1.0 - 0.3 * _TAIL)
    table = table[rows][:, inside]
    return AntennaPattern(
        table=table.astype(np.float32),
        first_z_mm=float(at_z[rows][0]),
        radius_mm=radius_mm,
        captured=float(field.cell_w.sum())
        / total
        * float(ring[rows][:, inside].sum() / ring.sum()),
        balance=total / field.delivered_w,
        attenuation_np_per_m=-field.wave_number_per_mm.imag * 1e3,
    )
