"""A needle's tip and shaft by a fitted model of how the scanner shows a pointed cylinder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr

from irplan.image import Volume
from irplan.segmentation.needle_axis import ShaftAxis, frame
from irplan.segmentation.needle_result import NOT_SCANNED_HU, NeedleOptions, is_cone_beam

F64 = NDArray[np.float64]
#: Part of the scan that is fitted: this far behind and beyond the first guess, and across, mm.
BEHIND_MM, BEYOND_MM, ACROSS_MM = 30.0, 8.0, 3.2
#: Standard deviation of the point spread's prior along the slices, over their spacing, and in the
#: plane, mm: what a box and a Gaussian of usual kernels give, with how far it may be off.
SLICE_SIGMA, PLANE_SIGMA_MM, SIGMA_SPREAD = 0.36, 0.5, 0.35
#: The same in the plane over the voxel's size where voxels are cubes, as cone-beam CT has them: a
#: Hann window that ends near the detector's Nyquist frequency, a pixel and interpolation make 0.83
#: of a voxel.
CUBE_SIGMA = 0.83
#: Metal is seen with this many HU (logarithmic mean and spread): titanium 11,500 to steel 32,000 at
#: 70 keV (`irplan.phantom.metal.ALLOY_HU`), less where the beam is hardened.
METAL_HU, METAL_SPREAD = 17000.0, 0.5
#: Rays along the shaft are hardened and starved of photons until they hardly see how thin it is:
#: it is widened in the slice's plane by up to about this, mm, and a dark line goes on beyond its
#: tip, as a share of its brightness.  Zero is expected, with these spreads.
WIDENING_MM, DARK_LINE = 1.0, 0.2
#: The model's own error as a share of the metal's brightness.
MODEL_ERROR = 0.06
#: Correlation of neighbouring voxels makes errors larger than independent ones.  [M:
#: benchmarks/needle_calibration.py, CT seeds 40 to 43 (10 needles), cone-beam 40 to 45 (13): errors
#: along the needle over their stated sd have a root mean square of 0.69 and 0.77 (0.80 and 0.84
#: with 2, 1.00 and 0.99 with 1.5, 1.22 and 1.45 with 1); the tips hardly depend on it above 1.5.
#: More than needed there: few scenes, and all of one simulator]
CORRELATION = 2.5
#: The model's own error at the tip, as a share of the diameter: a thick needle's cone, seen up to
#: the end of the HU scale, is longer or shorter than the residuals tell.  [M: CT scenes 0 to 29
#: of benchmarks/needles.py, 72 needles: without it 7 % of errors are beyond two deviations]
SHAPE_ERROR = 0.08
#: Voxels that are fitted at most (a sample of them where there are more).
MOST_VOXELS = 2500
#: Natural steps of the parameters (see `fit_tip`).
STEPS = (0.2, 0.2, 0.01, 0.01, 0.3, 0.3, 30.0, 0.1, 0.1, 0.2, 0.3, 0.05, 0.3)
#: A fit this good needs no second start.
GOOD_CHI = 1.6
#: Least standard deviation that is ever claimed, mm.
LEAST_SD_MM = 0.08
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True, eq=False)
class TipFit:
    """Result of the fit: `tip` LPS mm; `residual` is reduced chi."""

    tip: F64
    diameter_mm: float
    diameter_sd_mm: float
    along_sd_mm: float
    residual: float


def fit_tip(
    volume: Volume, axis: ShaftAxis, sign: float, options: NeedleOptions, clip_hu: float
) -> TipFit | None:
    """The tip at the axis's end (``sign`` +1) or start (-1), sub-voxel; None: too few voxels.

    Model: a cylinder with a conical end, convolved with a Gaussian point spread that differs along
    and within slices, seen through a scale that ends at ``clip_hu``:
    I(x) = B + Q G2(r; S_rr + R^2/4 + W^2 a a') (F(s - s_tip - k r) - D), with S the spread's
    covariance in the needle's frame, k = S_sr / S_rr and F the cone's and cylinder's section
    convolved with the Gaussian of the rest variance; W and D are what hardening does: a wider shaft
    in the slice's plane (a: across the needle in it) and a dark line that goes on beyond the tip.
    Without them a wide shaft would be taken for a wide point spread, and so for a thin needle with
    a short cone: tips came out short by 0.4 mm in cone-beam scans.  All are fitted by least squares
    with a soft-L1 loss to the voxels around the tip; the spreads, the metal's HU, R, the cone's
    length, W and D have priors.  The thin-cylinder form is good while R is below the spread's
    width; `MODEL_ERROR` covers the rest.
    """
    way = sign * axis.direction
    guess = axis.point + (axis.end if sign > 0 else axis.start) * axis.direction
    length = axis.end - axis.start
    behind = min(BEHIND_MM, max(8.0, length - 2.0))
    u, v = frame(way)
    corners = np.array(
        [
            guess + a * way + b * u + c * v
            for a in (-behind, BEYOND_MM)
            for b in (-ACROSS_MM, ACROSS_MM)
            for c in (-ACROSS_MM, ACROSS_MM)
        ]
    )
    start, shape = volume.grid.box_around(corners, 1.0)
    box = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    index = np.stack(
        np.meshgrid(
            *[np.arange(a, a + n) for a, n in zip(start, shape, strict=True)], indexing="ij"
        ),
        axis=-1,
    ).reshape(-1, 3)
    hu = volume.array[box].reshape(-1).astype(np.float64)
    q = volume.grid.index_to_lps(index) - guess
    s = q @ way
    ru, rv = q @ u, q @ v
    own = (s > -behind) & (s < BEYOND_MM) & (ru * ru + rv * rv < ACROSS_MM**2)
    own &= hu > NOT_SCANNED_HU
    if own.sum() < 30:
        return None
    s, ru, rv, hu = s[own], ru[own], rv[own], np.minimum(hu[own], clip_hu)
    if len(s) > MOST_VOXELS:
        keep = np.random.default_rng(1).choice(len(s), MOST_VOXELS, replace=False)
        s, ru, rv, hu = s[keep], ru[keep], rv[keep], hu[keep]
    spacing = np.asarray(volume.grid.spacing_mm)
    normal = volume.grid.direction[:, 0]
    local = np.stack([u, v, way]) @ normal  # slice normal in the needle's frame
    outer = np.outer(local, local)
    rest = np.eye(3) - outer
    across = np.cross(way, normal)  # its length: sine of the angle between needle and normal
    across = np.array([u @ across, v @ across])
    plane = np.outer(across, across)
    prior_z = max(0.45, SLICE_SIGMA * spacing[0])
    prior_p = max(PLANE_SIGMA_MM, 0.5 * float(spacing[1:].max()))
    if is_cone_beam(volume.grid.spacing_mm):
        prior_p = max(PLANE_SIGMA_MM, CUBE_SIGMA * float(spacing[0]))
    far = hu[(ru * ru + rv * rv > 4.0) | (s > 5.0)]
    base = float(np.median(far)) if len(far) > 5 else axis.base_hu
    noise = max(15.0, 1.4826 * float(np.median(np.abs(far - base)))) if len(far) > 5 else 40.0
    radius0 = 0.5 * max(0.7, min(2.4, axis.width_mm - 1.0))
    cone0, cone_sd = options.tip_cone

    def model(p: F64) -> F64:
        du, dv, su, sv, tip, log_q, b, log_p, log_z, log_r, cone, dark, wider = p
        radius, sp, sz = math.exp(log_r), math.exp(log_p), math.exp(log_z)
        cov = sz * sz * outer + sp * sp * rest + 1e-6 * np.eye(3)
        rr = cov[:2, :2]
        k = np.linalg.solve(rr, cov[:2, 2])
        sigma = math.sqrt(max(0.02, cov[2, 2] - cov[2, :2] @ k))
        a, c = ru - du - su * s, rv - dv - sv * s
        wide = rr + 0.25 * radius * radius * np.eye(2) + wider * wider * plane
        det = float(np.linalg.det(wide))
        inv = np.linalg.inv(wide)
        g = np.exp(-0.5 * (inv[0, 0] * a * a + 2.0 * inv[0, 1] * a * c + inv[1, 1] * c * c))
        g /= 2.0 * math.pi * math.sqrt(det)
        along = s - tip - k[0] * a - k[1] * c
        light = math.exp(log_q) * math.pi * radius * radius * g
        value = b + light * (_section(along, abs(cone) * 2.0 * radius, sigma) - dark)
        out: F64 = np.minimum(value, clip_hu)
        return out

    scale = np.sqrt(noise**2 + (MODEL_ERROR * np.clip(hu - base, 0.0, 4000.0)) ** 2)
    priors = (
        (7, math.log(prior_p), SIGMA_SPREAD),
        (8, math.log(prior_z), SIGMA_SPREAD),
        (10, cone0, cone_sd),
        (9, math.log(radius0), 0.5),
        (5, math.log(METAL_HU), METAL_SPREAD),
        (11, 0.0, DARK_LINE),
        (12, 0.0, WIDENING_MM),
    )

    def rests(p: F64) -> F64:
        data = (model(p) - hu) / scale
        loss = np.sign(data) * np.sqrt(2.0 * (np.sqrt(1.0 + data * data / 9.0) - 1.0) * 9.0)
        extra = [CORRELATION * (p[i] - mean) / sd for i, mean, sd in priors]
        return np.concatenate([loss, extra])

    best = None
    for metal in (math.log(15000.0), math.log(6000.0), math.log(30000.0)):
        if best is not None and 2.0 * best.cost < GOOD_CHI**2 * len(hu):
            break
        x0 = np.array(
            [0.0, 0.0, 0.0, 0.0, 0.5, metal, base,
             math.log(prior_p), math.log(prior_z), math.log(radius0), cone0, 0.0, 0.3]
        )  # fmt: skip
        low = [-2, -2, -0.1, -0.1, -8, 7.3, base - 400, math.log(0.2), math.log(0.2),
               math.log(0.25), 0.1, -0.5, 0.0]  # fmt: skip
        high = [2, 2, 0.1, 0.1, 8, 11.6, base + 400,
                math.log(max(1.6, 2.0 * prior_p)), math.log(max(3.0, 2.0 * prior_z)),
                math.log(1.8), 2.5, 0.7, 3.0]  # fmt: skip
        found = least_squares(
            rests, x0, bounds=(low, high), x_scale=STEPS,
            max_nfev=30, ftol=1e-4, xtol=1e-5,
        )  # fmt: skip
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    p = best.x
    tip = guess + (p[0] + p[2] * p[4]) * u + (p[1] + p[3] * p[4]) * v + p[4] * way
    count = len(hu)
    chi = math.sqrt(float((best.fun[:count] ** 2).sum()) / max(1, count - len(p)))
    try:
        jac = np.asarray(best.jac)
        cov = np.linalg.inv(jac.T @ jac) * max(1.0, chi**2) * CORRELATION**2
    except np.linalg.LinAlgError:
        cov = np.ones((len(p), len(p)))
    sd = np.sqrt(np.clip(np.diag(cov), 0.0, 4.0))
    radius = math.exp(p[9])
    return TipFit(
        tip,
        2.0 * radius,
        max(0.15, 2.0 * radius * sd[9]),
        max(LEAST_SD_MM, math.hypot(float(sd[4]), SHAPE_ERROR * 2.0 * radius)),
        chi,
    )


def _section(t: F64, cone_mm: float, sigma: float) -> F64:
    """Share of the shaft's section seen at ``t`` mm beyond the apex (negative: behind it)."""
    out = ndtr((-cone_mm - t) / sigma)
    if cone_mm > 1e-3:
        x = -0.5 * cone_mm * (1.0 - _NODES)  # from -cone to 0
        w = 0.5 * cone_mm * _WEIGHTS * (x / cone_mm) ** 2
        norm = 1.0 / (math.sqrt(2.0 * math.pi) * sigma)
        for node, weight in zip(x, w, strict=True):
            out += weight * norm * np.exp(-0.5 * ((t - node) / sigma) ** 2)
    result: F64 = out
    return result
