"""Rigid registration: a global search for the shift, then mutual information."""

from __future__ import annotations

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import fft, ndimage

from irplan.compute import Progress, no_progress
from irplan.errors import CancelledError, RegistrationError
from irplan.geometry import Grid
from irplan.image.resample import to_sitk
from irplan.registration.prepare import Prepared
from irplan.registration.transform import RigidTransform

F64 = NDArray[np.float64]
#: Voxel of the global search, mm, and the overlap it asks for as a share of the smaller scan.
SEARCH_MM, LEAST_OVERLAP = 8.0, 0.3
#: Histogram bins of the mutual information; samples a level; seed of the sampling.
BINS, SAMPLES, SEED = 40, (40_000, 60_000), 1
#: Shrink factor and smoothing (mm) of each level.
LEVELS = ((3, 4.0), (1, 2.0))


def search_shift(plan: Prepared, control: Prepared) -> RigidTransform:
    """The pure shift with the best masked normalised cross-correlation.

    All shifts at once by Fourier transforms with both masks (Padfield, IEEE Trans Image Process
    2012;21:2706), on 8 mm voxels along the planning grid's axes.  Raises `RegistrationError` when
    no shift lets the scans overlap.
    """
    step = SEARCH_MM
    grid = plan.grid.resized(step)
    a, ma = _coarse(plan, grid)
    # the control scan's own box, on the planning scan's lattice
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in control.grid.shape])).reshape(3, -1).T
    index = grid.lps_to_index(control.grid.index_to_lps(corners))
    low, high = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int)
    shape = high - low + 1
    affine = grid.affine.copy()
    affine[:3, 3] = grid.index_to_lps(low)
    b, mb = _coarse(control, Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine))
    size = [fft.next_fast_len(int(n)) for n in np.array(a.shape) + shape - 1]

    def cross(x: F64, y: F64) -> F64:
        f = fft.rfftn(x, size, workers=-1) * np.conj(fft.rfftn(y, size, workers=-1))
        out: F64 = fft.irfftn(f, size, workers=-1)
        return out

    count = np.maximum(cross(ma, mb), 1e-9)
    sum_a, sum_b = cross(a, mb), cross(ma, b)
    cov = cross(a, b) - sum_a * sum_b / count
    var_a = cross(a * a, mb) - sum_a**2 / count
    var_b = cross(ma, b * b) - sum_b**2 / count
    denominator = np.sqrt(np.maximum(var_a, 0.0) * np.maximum(var_b, 0.0))
    enough = count > LEAST_OVERLAP * min(ma.sum(), mb.sum())
    score = np.where(enough & (denominator > 1e-6), cov / np.maximum(denominator, 1e-6), -1.0)
    if not enough.any():
        raise RegistrationError(
            "registration",
            got="scans that share no common region",
            expected=f"an overlap of {100 * LEAST_OVERLAP:.0f} % of the smaller scan",
            remedy="Check that both show the same part of the same patient.",
        )
    best = np.array(np.unravel_index(int(np.argmax(score)), score.shape))
    best = np.where(best >= np.array(a.shape), best - np.array(size), best)
    # control index k lies at planning index k + best; from planning to control is the other way
    shift = grid.affine[:3, :3] @ (low - best)
    return RigidTransform.from_rotation(np.eye(3), shift)


def _coarse(scan: Prepared, grid: Grid) -> tuple[F64, F64]:
    sigma = 0.4 * SEARCH_MM / scan.grid.spacing_mm[0]
    mean = float(scan.hu[scan.valid].mean()) if scan.valid.any() else 0.0
    weight = ndimage.gaussian_filter(scan.valid.astype(np.float32), sigma)
    value = ndimage.gaussian_filter(np.where(scan.valid, scan.hu - mean, 0.0), sigma)
    index = np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3)
    at = scan.grid.lps_to_index(grid.index_to_lps(index)).T
    w = ndimage.map_coordinates(weight, at, order=1, mode="constant").reshape(grid.shape)
    v = ndimage.map_coordinates(value, at, order=1, mode="constant").reshape(grid.shape)
    mask = w > 0.5
    return np.where(mask, v / np.maximum(w, 1e-3), 0.0).astype(np.float64), mask.astype(np.float64)


def register_rigid(
    plan: Prepared,
    control: Prepared,
    start: RigidTransform,
    *,
    region: NDArray[np.bool_] | None = None,
    levels: tuple[tuple[int, float], ...] = LEVELS,
    progress: Progress = no_progress,
) -> RigidTransform:
    """Refine ``start`` (planning -> control) by Mattes mutual information (SimpleITK).

    Mattes et al., IEEE Trans Med Imaging 2003;22:120, over ``plan.valid`` (within ``region`` where
    given) and ``control.valid``; regular-step gradient descent on three angles and a shift.
    Deterministic.  Raises `RegistrationError` where too little of the region is seen.
    """
    mask = plan.valid if region is None else plan.valid & region
    fixed = to_sitk(plan.hu, plan.grid)
    moving = to_sitk(control.hu, control.grid)
    transform = SimpleITK.Euler3DTransform()
    centre = plan.grid.index_to_lps(np.argwhere(mask).mean(axis=0)) if mask.any() else np.zeros(3)
    transform.SetCenter(centre.tolist())
    r, t = start.matrix[:3, :3], start.matrix[:3, 3]
    transform.SetMatrix(r.reshape(-1).tolist(), 1e-6)
    transform.SetTranslation((r @ centre + t - centre).tolist())
    for number, (shrink, sigma) in enumerate(levels):
        method = SimpleITK.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetMetricFixedMask(to_sitk(mask, plan.grid))
        method.SetMetricMovingMask(to_sitk(control.valid, control.grid))
        count = int(mask.sum()) / shrink**3
        share = min(1.0, SAMPLES[min(number, 1)] / max(1.0, count))
        method.SetMetricSamplingStrategy(method.RANDOM if share < 1.0 else method.NONE)
        method.SetMetricSamplingPercentage(share, SEED)
        method.SetInterpolator(SimpleITK.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            2.0 if number == 0 else 0.7, 0.01, 80, 0.6, 1e-5
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([shrink])
        method.SetSmoothingSigmasPerLevel([sigma])
        method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
        method.SetInitialTransform(transform, inPlace=True)
        run(method, fixed, moving, progress)
    m = np.array(transform.GetMatrix()).reshape(3, 3)
    u, _, vt = np.linalg.svd(m)
    m = u @ vt
    shift = np.array(transform.GetTranslation()) + centre - m @ centre
    return RigidTransform.from_rotation(m, shift)


def run(
    method: SimpleITK.ImageRegistrationMethod,
    fixed: SimpleITK.Image,
    moving: SimpleITK.Image,
    progress: Progress,
) -> None:
    """Execute with progress and cancel; SimpleITK's failures become `RegistrationError`."""
    cancelled: list[BaseException] = []

    def each() -> None:
        try:
            progress(0.5, "registering")
        except (CancelledError, KeyboardInterrupt) as error:
            cancelled.append(error)
            method.StopRegistration()

    method.AddCommand(SimpleITK.sitkIterationEvent, each)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        if cancelled:
            raise cancelled[0] from None
        raise RegistrationError(
            "registration",
            got="scans whose compared parts no longer overlap, or are uniform",
            expected="at least a quarter of the samples in both scans",
            remedy="Give landmarks of both scans to start from.",
        ) from error
    if cancelled:
        raise cancelled[0]
