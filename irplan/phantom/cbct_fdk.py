"""Filtered back-projection of a circular cone-beam short scan (Feldkamp, with Parker weights)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from irplan.compute import Progress, no_progress
from irplan.compute.cpu.cone_beam import back_project
from irplan.compute.threads import thread_cap
from irplan.errors import InputError
from irplan.geometry import Grid, Point3
from irplan.phantom.cbct_projections import RayGeometry
from irplan.phantom.cbct_system import CbctSystem

F32 = NDArray[np.float32]
#: Views filtered and back-projected at a time.
CHUNK = 40
#: Columns beyond the detector into which a truncated projection is faded out, as a share of it.
FADE = 0.5


def reconstruct(
    projections: F32,
    system: CbctSystem,
    isocentre_mm: Point3,
    grid: Grid,
    *,
    cutoff: float = 0.9,
    progress: Progress = no_progress,
) -> F32:
    """Attenuation per mm on ``grid`` from -ln projections (views, rows, columns).

    Feldkamp, Davis & Kress 1984 for a flat detector: cosine weight, short-scan weights (Parker, Med
    Phys 1982;9:254), ramp filter with a Hann window that ends at ``cutoff`` (0.2 to 1.5) of the
    pixel's Nyquist frequency, weighted back-projection.  Truncated rows are faded out
    by a cosine over half a detector's width before they are filtered (after Ohnesorge et al., Med
    Phys 2000;27:39), which keeps the rim from shining but leaves HU off by tens there.
    Cost: voxels x views / 1e8 s a core.
    """
    if projections.shape != (system.views, *system.detector_shape):
        raise InputError(
            "projections",
            got=f"shape {projections.shape}",
            expected=f"{(system.views, *system.detector_shape)}",
            remedy="Give the projections of this system.",
        )
    if not 0.2 <= cutoff <= 1.5:
        raise InputError(
            "cutoff",
            got=f"{cutoff:g}",
            expected="0.2 to 1.5",
            remedy="0.9 is usual; less is softer.",
        )
    poses = system.poses(isocentre_mm)
    rays = RayGeometry.from_poses(poses)
    rows, columns = system.detector_shape
    iso = system.pixel_mm * system.source_isocentre_mm / system.source_detector_mm
    u = (np.arange(columns) - 0.5 * (columns - 1)) * iso
    v = (np.arange(rows) - 0.5 * (rows - 1)) * iso
    d = system.source_isocentre_mm
    cosine = (d / np.sqrt(d * d + u[None, :] ** 2 + v[:, None] ** 2)).astype(np.float32)
    weights = short_scan_weights(system, u)
    step = math.radians(system.arc_deg / system.views)
    kernel = _ramp(columns + 2 * round(FADE * columns), iso, cutoff)
    image = np.zeros(grid.shape, dtype=np.float32)
    to_index = rays.matrix @ grid.affine
    for start in range(0, system.views, CHUNK):
        progress(start / system.views, "reconstructing")
        part = slice(start, min(start + CHUNK, system.views))
        filtered = _filtered(projections[part] * cosine, weights[part], kernel)
        with thread_cap(None):
            back_project(filtered * np.float32(step), to_index[part], d, image)
    progress(1.0, "reconstructing")
    return image


def short_scan_weights(system: CbctSystem, u_mm: NDArray[np.floating]) -> F32:
    """(views, columns) Parker weights; a ray and its opposite add up to 1.

    ``u_mm``: columns at the isocentre.  The arc may be longer than 180 degrees plus the fan: the
    excess widens the transition (Wesarg et al., Phys Med Biol 2002;47:3217, over-scan).  A full
    turn weighs 1/2 everywhere.
    """
    arc = math.radians(system.arc_deg)
    if system.arc_deg >= 359.9:
        return np.full((system.views, len(u_mm)), 0.5, dtype=np.float32)
    beta = arc * (np.arange(system.views) + 0.5) / system.views
    # angle of each ray from the central one, positive where the opposite ray comes later
    gamma = np.arctan(u_mm / system.source_isocentre_mm)
    delta = 0.5 * (arc - math.pi)
    b, g = np.meshgrid(beta, gamma, indexing="ij")
    out = np.ones_like(b)
    rise = b < 2.0 * (delta - g)
    out[rise] = np.sin(0.25 * math.pi * b[rise] / np.maximum(1e-9, delta - g[rise])) ** 2
    fall = b > math.pi - 2.0 * g
    out[fall] = (
        np.sin(
            0.25 * math.pi * (math.pi + 2.0 * delta - b[fall]) / np.maximum(1e-9, delta + g[fall])
        )
        ** 2
    )
    weights: F32 = out.astype(np.float32)
    return weights


def _ramp(length: int, pixel_mm: float, cutoff: float) -> F32:
    """Transfer function of the band-limited ramp (Kak & Slaney 1988, eq. 3.61) with Hann window."""
    size = 2 * fft.next_fast_len(length)
    n = np.minimum(np.arange(size), size - np.arange(size))
    kernel = np.zeros(size)
    kernel[0] = 0.25 / pixel_mm**2
    odd = n % 2 == 1
    kernel[odd] = -1.0 / (math.pi * n[odd] * pixel_mm) ** 2
    transfer = np.real(fft.rfft(kernel)) * pixel_mm
    f = np.linspace(0.0, 1.0, len(transfer)) / cutoff
    window = np.where(f < 1.0, 0.5 * (1.0 + np.cos(math.pi * np.minimum(f, 1.0))), 0.0)
    out: F32 = (transfer * window).astype(np.float32)
    return out


def _filtered(projections: F32, weights: F32, transfer: F32) -> F32:
    """Weighted, faded out beyond both ends and filtered along the columns."""
    views, rows, columns = projections.shape
    pad = round(FADE * columns)
    fade = np.cos(0.5 * math.pi * (np.arange(pad) + 1.0) / (pad + 1.0)).astype(np.float32) ** 2
    size = 2 * (len(transfer) - 1)
    wide = np.zeros((views, rows, size), dtype=np.float32)
    body = projections * weights[:, None, :]
    wide[..., pad : pad + columns] = body
    wide[..., pad + columns : 2 * pad + columns] = body[..., -1:] * fade
    wide[..., :pad] = body[..., :1] * fade[::-1]
    spectrum = fft.rfft(wide, axis=2, workers=-1)
    spectrum *= transfer
    out = fft.irfft(spectrum, n=size, axis=2, workers=-1)[..., pad : pad + columns]
    return np.ascontiguousarray(out, dtype=np.float32)
