"""Projections of a CT as a C-arm's flat detector would take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.compute import Progress, no_progress
from irplan.compute.cpu.cone_beam import attenuate, project_cylinders, project_pair
from irplan.compute.threads import thread_cap
from irplan.geometry import Grid
from irplan.geometry.c_arm import CArm
from irplan.image import Volume
from irplan.phantom.attenuation import MATERIALS, Beam, densities
from irplan.phantom.cbct_system import CbctPhysics
from irplan.phantom.metal import ALLOY_DENSITY, MetalPart, by_alloy

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
#: Views that are made at a time, and rays (squared) averaged in a pixel that metal touches.
CHUNK, FINE = 16, 4
#: Shortest signal that is recorded, as a share of the open beam.
LEAST_SIGNAL = 1e-6
#: Scatter is worked out on pixels this many times coarser.
SCATTER_BINNING = 8


@dataclass(frozen=True, eq=False)
class RayGeometry:
    """Poses as arrays, LPS mm: matrices (V, 3, 4), source, pixel (0, 0), pixel steps (V, 3)."""

    matrix: F64
    source: F64
    corner: F64
    step_u: F64
    step_v: F64
    detector_shape: tuple[int, int]
    source_isocentre_mm: float

    @classmethod
    def from_poses(cls, poses: Sequence[CArm]) -> RayGeometry:
        """Of one or more poses with the same detector."""
        corner = np.array([p.detector_points([0.0, 0.0]) for p in poses])
        return cls(
            np.array([p.projection_matrix for p in poses]),
            np.array([p.source_mm for p in poses]),
            corner,
            np.array([p.detector_points([1.0, 0.0]) for p in poses]) - corner,
            np.array([p.detector_points([0.0, 1.0]) for p in poses]) - corner,
            poses[0].detector_shape,
            poses[0].source_isocentre_mm,
        )


def line_integrals(
    first: F32, second: F32, grid: Grid, rays: RayGeometry, *, shift_mm: F64 | None = None
) -> F32:
    """(2, V, rows, columns) integrals over mm of two volumes on ``grid``, along every ray.

    ``shift_mm`` (V, 3): how far the volume stands from its place in each view (LPS).
    Agreement: with the closed form of a ball within 0.5 % (1 mm voxels, 60 mm ball); with
    itk-rtk 2.7's Joseph projector within 1e-3 of the maximum (see ``docs/registration.md``).
    """
    views = len(rays.source)
    move = np.zeros((views, 3)) if shift_mm is None else np.asarray(shift_mm, dtype=np.float64)
    linear = grid.inverse[:3, :3]
    out = np.zeros((2, views, *rays.detector_shape), dtype=np.float32)
    with thread_cap(None):
        project_pair(
            np.ascontiguousarray(first, dtype=np.float32),
            np.ascontiguousarray(second, dtype=np.float32),
            np.array(grid.spacing_mm),
            grid.lps_to_index(rays.source - move),
            grid.lps_to_index(rays.corner - move),
            rays.step_u @ linear.T,
            rays.step_v @ linear.T,
            out,
        )
    return out


def metal_lengths(
    parts: Sequence[MetalPart], rays: RayGeometry, *, shift_mm: F64 | None = None
) -> dict[str, F32]:
    """For each alloy (V, rows, columns) mm of metal on every ray; exact up to pixel averaging."""
    out: dict[str, F32] = {}
    views = len(rays.source)
    move = np.zeros((views, 3)) if shift_mm is None else shift_mm
    matrix = rays.matrix.copy()
    matrix[:, :, 3] += np.einsum("vij,vj->vi", matrix[:, :, :3], move)
    for alloy, cylinders in by_alloy(parts).items():
        lengths = np.zeros((views, *rays.detector_shape), dtype=np.float32)
        with thread_cap(None):
            project_cylinders(
                cylinders, matrix, rays.source - move, rays.corner - move, rays.step_u,
                rays.step_v, FINE, lengths,
            )  # fmt: skip
        out[alloy] = lengths
    return out


def take_projections(
    ct: Volume,
    poses: Sequence[CArm],
    beam: Beam,
    physics: CbctPhysics,
    *,
    metal: Sequence[MetalPart] = (),
    shift_mm: F64 | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> F32:
    """(V, rows, columns) -ln(signal / open beam), float32.

    Densities of water and bone from the CT's numbers (`densities`) are projected, metal is added
    as exact lengths, all energies of ``beam`` are attenuated and summed; scatter is the low-pass of
    I p (I signal, p its -ln; Ohnesorge et al., Eur Radiol 1999;9:563) scaled to ``physics.scatter``
    behind 200 mm of water, less what is removed; then Poisson (as Gaussian) and electronic noise.
    The noise depends on ``seed`` only.
    """
    water, bone = densities(ct.array)
    rng = np.random.default_rng([seed, 91])
    full = RayGeometry.from_poses(poses)
    out = np.zeros((len(poses), *full.detector_shape), dtype=np.float32)
    for start in range(0, len(poses), CHUNK):
        progress(start / len(poses), "projecting the patient")
        part = slice(start, min(start + CHUNK, len(poses)))
        rays = RayGeometry.from_poses(poses[part])
        move = None if shift_mm is None else np.asarray(shift_mm, dtype=np.float64)[part]
        paths = [*(0.1 * line_integrals(water, bone, ct.grid, rays, shift_mm=move))]
        used = [0, 1]
        for alloy, lengths in metal_lengths(metal, rays, shift_mm=move).items():
            paths.append(0.1 * ALLOY_DENSITY[alloy] * lengths)  # type: ignore[index]
            used.append(MATERIALS.index(alloy))
        signal = np.empty(paths[0].shape, dtype=np.float32)
        with thread_cap(None):
            attenuate(
                np.stack(paths).astype(np.float32), beam.weight,
                np.ascontiguousarray(beam.mass_attenuation[:, used]), signal,
            )  # fmt: skip
        left = physics.scatter * (1.0 - physics.scatter_removed)
        scatter = _scatter(signal, beam, physics, poses[0]) if physics.scatter > 0.0 else None
        if physics.photons > 0.0:
            total = signal if scatter is None else signal + physics.scatter * scatter
            sd = np.sqrt(physics.photons * total + physics.electronic**2) / physics.photons
            signal = signal + sd * rng.standard_normal(signal.shape, dtype=np.float32)
        if scatter is not None and left > 0.0:
            signal = signal + np.float32(left) * scatter
        out[part] = -np.log(np.maximum(signal, LEAST_SIGNAL))
    progress(1.0, "projecting the patient")
    return out


def _scatter(signal: F32, beam: Beam, physics: CbctPhysics, pose: CArm) -> F32:
    """Scatter for a ratio of 1 behind 200 mm of water, (V, rows, columns) of the open beam."""
    b = SCATTER_BINNING
    views, rows, columns = signal.shape
    coarse = signal[:, : rows // b * b, : columns // b * b]
    coarse = coarse.reshape(views, rows // b, b, columns // b, b).mean(axis=(2, 4))
    forward = coarse * -np.log(np.maximum(coarse, LEAST_SIGNAL))
    forward /= float(beam.water_signal(np.array(200.0)))
    sigma = physics.scatter_width_mm / (b * pose.pixel_spacing_mm[0])
    smooth = ndimage.gaussian_filter(forward, (0.0, sigma, sigma), mode="nearest")
    zoom = (1.0, rows / smooth.shape[1], columns / smooth.shape[2])
    out: F32 = ndimage.zoom(smooth, zoom, order=1, mode="nearest", grid_mode=True)
    return out.astype(np.float32)
