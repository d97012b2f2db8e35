"""A cone-beam CT of a known patient: projections, physics, motion, metal, reconstruction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan import __version__
from irplan.compute import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.geometry import Grid, Point3, as_point
from irplan.image import Volume
from irplan.phantom.attenuation import Beam, beam
from irplan.phantom.cbct_fdk import reconstruct
from irplan.phantom.cbct_projections import take_projections
from irplan.phantom.cbct_system import CbctPhysics, CbctSystem
from irplan.phantom.metal import MetalPart

#: What voxels outside the reconstructed field hold, HU.
OUTSIDE_HU = -1024
#: Longest water path in the water correction's table, mm.
WATER_TABLE_MM = 900.0


@dataclass(frozen=True, eq=False)
class SimulatedCbct:
    """A simulated scan: ``volume`` int16 HU, -1024 outside ``inside`` (bool, same grid).

    ``projections`` are the -ln values it was made from (views, rows, columns).  ``shift_mm``
    (views, 3) is how far the patient stood from the reference position in each view.
    """

    volume: Volume
    inside: NDArray[np.bool_]
    projections: NDArray[np.float32]
    shift_mm: NDArray[np.float64]
    system: CbctSystem
    physics: CbctPhysics
    isocentre_mm: Point3
    seed: int
    version: str


def breathing(
    system: CbctSystem, amplitude_mm: Sequence[float], *, period_s: float = 4.0, scan_s: float = 8.0
) -> NDArray[np.float64]:
    """(views, 3) LPS shift of a patient who breathes: amplitude x (1 - cos^4), exhale at 0.

    The cos^4 course dwells at exhale (Lujan et al., Med Phys 1999;26:715).
    """
    t = scan_s * (np.arange(system.views) + 0.5) / system.views
    course = 1.0 - np.cos(np.pi * t / period_s) ** 4
    return np.asarray(course[:, None] * np.asarray(amplitude_mm, dtype=np.float64)[None])


def cbct_grid(
    system: CbctSystem,
    isocentre_mm: Point3,
    voxel_mm: float = 1.0,
    frame_of_reference_uid: str | None = None,
) -> Grid:
    """An isotropic upright grid over everything the scan sees."""
    radius = system.field_radius_mm
    half = 0.5 * system.detector_shape[0] * system.pixel_mm
    height = half * system.source_isocentre_mm / system.source_detector_mm
    n = max(2, round(2.0 * radius / voxel_mm))
    nz = max(2, round(2.0 * height / voxel_mm))
    origin = np.array(isocentre_mm) - 0.5 * voxel_mm * np.array([n - 1, n - 1, nz - 1])
    return Grid.from_spacing((nz, n, n), (voxel_mm,) * 3, origin.tolist(), frame_of_reference_uid)


def simulate_cbct(
    ct: Volume,
    *,
    isocentre_mm: Point3 | None = None,
    system: CbctSystem = CbctSystem(),  # noqa: B008 - frozen
    physics: CbctPhysics = CbctPhysics(),  # noqa: B008 - frozen
    metal: Sequence[MetalPart] = (),
    shift_mm: NDArray[np.float64] | None = None,
    voxel_mm: float = 1.0,
    cutoff: float = 0.9,
    seed: int = 0,
    progress: Progress = no_progress,
) -> SimulatedCbct:
    """A cone-beam CT of the patient in ``ct`` (HU), with everything known.

    ``isocentre_mm`` (default: the CT's middle) is the middle of the field; ``metal`` is projected
    exactly, not by voxels; ``shift_mm`` (views, 3) moves the patient with its metal in each view
    (`breathing`).  The water correction is that of the system: -ln values are mapped to water
    lengths.  The new grid has a frame of reference of its own.
    Cost: with the defaults about 1e9 ray samples and 3e9 voxel updates: about a minute on 2 cores.

    Raises `InputError` when ``ct`` is not HU, the isocentre lies outside it, or for settings out of
    range.
    """
    if ct.quantity != "HU":
        raise InputError(
            "ct",
            got=f"numbers in {ct.quantity}",
            expected="Hounsfield units",
            remedy="Give the CT itself.",
        )
    centre = as_point(
        ct.grid.centre_lps_mm if isocentre_mm is None else isocentre_mm, field="isocentre_mm"
    )
    if not bool(ct.grid.contains(np.array(centre))):
        raise InputError(
            "isocentre_mm",
            got=", ".join(f"{v:.1f}" for v in centre),
            expected="a point inside the CT",
            remedy="Give LPS mm of a point in the patient, for example the target.",
        )
    move = np.zeros((system.views, 3)) if shift_mm is None else np.asarray(shift_mm, np.float64)
    if move.shape != (system.views, 3) or not np.isfinite(move).all():
        raise InputError(
            "shift_mm",
            got=f"shape {move.shape}",
            expected=f"finite numbers of shape {(system.views, 3)}",
            remedy="One LPS shift a view; irplan.phantom.cbct.breathing makes one.",
        )
    if not 0.2 <= voxel_mm <= 5.0:
        raise InputError(
            "voxel_mm",
            got=f"{voxel_mm:g} mm",
            expected="0.2 to 5 mm",
            remedy="1 mm is usual; 0.5 mm takes 8 times as long.",
        )
    rays = beam(physics.kv, polychromatic=physics.polychromatic)
    raw = take_projections(
        ct, system.poses(centre), rays, physics, metal=metal, shift_mm=move, seed=seed,
        progress=portion(progress, 0.0, 0.5),
    )  # fmt: skip
    uid = _frame_uid(ct.grid, centre, seed)
    grid = cbct_grid(system, centre, voxel_mm, uid)
    mu = reconstruct(
        water_corrected(raw, rays), system, centre, grid, cutoff=cutoff,
        progress=portion(progress, 0.5, 1.0),
    )  # fmt: skip
    hu = 1000.0 * (mu / rays.water_per_mm - 1.0)
    inside = field_mask(system, centre, grid)
    hu = np.where(inside, np.clip(np.rint(hu), -1023, 32767), OUTSIDE_HU)
    return SimulatedCbct(
        Volume(hu.astype(np.int16), grid, "HU"), inside, raw, move, system, physics, centre, seed,
        __version__,
    )  # fmt: skip


def water_corrected(raw: NDArray[np.float32], rays: Beam) -> NDArray[np.float32]:
    """-ln values with water of one attenuation: its beam hardening is undone."""
    length = np.linspace(0.0, WATER_TABLE_MM, 1801)
    out = np.interp(raw.reshape(-1), rays.water_signal(length), length * rays.water_per_mm)
    below = raw.reshape(-1) < 0.0
    out[below] = raw.reshape(-1)[below]  # noise of the open beam stays symmetric
    return out.reshape(raw.shape).astype(np.float32)


def field_mask(system: CbctSystem, isocentre_mm: Point3, grid: Grid) -> NDArray[np.bool_]:
    """(bool) voxels that every view of a full turn would see: a cylinder with conical ends."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij", sparse=True)
    a = grid.affine
    r2 = (a[0, 2] * x + a[0, 3] - isocentre_mm[0]) ** 2
    r2 = r2 + (a[1, 1] * y + a[1, 3] - isocentre_mm[1]) ** 2
    r = np.sqrt(r2)
    half = 0.5 * system.detector_shape[0] * system.pixel_mm
    slope = half / system.source_detector_mm
    height = np.abs(a[2, 0] * z + a[2, 3] - isocentre_mm[2])
    inside: NDArray[np.bool_] = (r <= system.field_radius_mm) & (
        height <= slope * (system.source_isocentre_mm - r)
    )
    return inside


def _frame_uid(grid: Grid, centre: Point3, seed: int) -> str:
    key = f"irplan.cbct {grid.shape} {grid.affine.tolist()} {centre} {seed}"
    return f"2.25.{int.from_bytes(hashlib.sha256(key.encode()).digest()[:15], 'big')}"
