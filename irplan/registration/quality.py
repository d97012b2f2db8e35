"""How good a registration is: what was measured, its limits, and a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.registration.prepare import Prepared
from irplan.registration.transform import PointMap

Status = Literal["ok", "warning", "failed", "not checked"]
F64 = NDArray[np.float64]
#: Bone is above this after smoothing, HU.
BONE_HU = 180.0
#: Smoothing before scans are compared, mm.
SMOOTH_MM = 2.5


@dataclass(frozen=True)
class Limit:
    """From where a value warns and from where it fails; ``low``: small values are bad."""

    name: str
    unit: str
    warn: float
    fail: float
    low: bool
    source: str


#: The limits.  M: chosen on tuning scenes (docs/registration.md), between what registrations with
#: an error below 3 mm and failed ones gave; V: published.
LIMITS: dict[str, Limit] = {
    "correlation": Limit(
        "correlation of the organ and its surroundings", "1", 0.60, 0.45, True, "M"
    ),
    "edges": Limit("edges of the organ found again within 1.5 mm", "%", 62.0, 55.0, True, "M"),
    "bones": Limit("edges of bone found again within 0.75 mm", "%", 55.0, 45.0, True, "M"),
    "identity": Limit("same patient: mean share of both edges", "%", 65.0, 62.0, True, "M"),
    "bone": Limit("overlap of bone (Dice)", "1", 0.30, 0.15, True, "M"),
    "overlap": Limit("organ inside the control scan", "%", 70.0, 40.0, True, "S"),
    "inverse": Limit("inverse consistency, 95th percentile", "mm", 2.5, 6.0, False, "M"),
    "jacobian_low": Limit("least local volume ratio", "1", 0.6, 0.4, True, "S"),
    "jacobian_high": Limit("largest local volume ratio", "1", 1.6, 2.5, False, "S"),
    "displacement": Limit("largest deformation", "mm", 20.0, 35.0, False, "S"),
    "rotation": Limit("rotation", "deg", 20.0, 45.0, False, "S"),
    "landmarks": Limit(
        "landmarks, mean distance (TRE)", "mm", 3.0, 6.0, False,
        "V: 4.1 mm is reached liver CT to CT (PMC2952665)",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class QualityRow:
    """One measurement: ``value`` None means not checked, and ``note`` says why."""

    key: str
    name: str
    value: float | None
    unit: str
    warn: float
    fail: float
    status: Status
    note: str = ""

    @property
    def shown(self) -> str:
        """The value with its unit, in words for a person."""
        if self.value is None:
            return "not known"
        return f"{self.value:.2f}" + ("" if self.unit == "1" else f" {self.unit}")


@dataclass(frozen=True)
class QualityReport:
    """All rows and the worst of them; ``tre_mm`` each landmark's distance, if there were any."""

    rows: tuple[QualityRow, ...]
    tre_mm: tuple[float, ...] = ()

    @property
    def status(self) -> Status:
        """ "failed" or "warning" where any row is; else "ok".  Rows not checked do not count."""
        found = {row.status for row in self.rows}
        if "failed" in found:
            return "failed"
        return "warning" if "warning" in found else "ok"

    def value(self, key: str) -> float | None:
        """The value of row ``key`` of `LIMITS`; None where it was not checked."""
        return next((r.value for r in self.rows if r.key == key), None)


def row(key: str, value: float | None, note: str = "") -> QualityRow:
    """A row judged by `LIMITS`; a value that is not finite fails."""
    limit = LIMITS[key]
    if value is None:
        return QualityRow(
            key, limit.name, None, limit.unit, limit.warn, limit.fail, "not checked", note
        )
    status: Status = "ok"
    if not np.isfinite(value):
        return QualityRow(
            key, limit.name, None, limit.unit, limit.warn, limit.fail, "failed",
            note or "could not be computed",
        )  # fmt: skip
    sign = -1.0 if limit.low else 1.0
    if sign * value > sign * limit.fail:
        status = "failed"
    elif sign * value > sign * limit.warn:
        status = "warning"
    return QualityRow(
        key, limit.name, float(value), limit.unit, limit.warn, limit.fail, status, note
    )


def correlation(
    plan: Prepared, control: Prepared, mapping: PointMap, region: NDArray[np.bool_]
) -> float | None:
    """Normalised cross-correlation of both smoothed scans over ``region`` (planning grid)."""
    a, b, ok = _sampled(plan, control, mapping, region)
    if ok.sum() < 500:
        return None
    x, y = a[ok] - a[ok].mean(), b[ok] - b[ok].mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / norm) if norm > 1e-6 else 0.0


def bone_overlap(plan: Prepared, control: Prepared, mapping: PointMap) -> float | None:
    """Dice of bone in both scans where both were scanned; None without 5 ml of bone in either."""
    region = plan.valid & ndimage.binary_dilation(
        ndimage.gaussian_filter(plan.hu, SMOOTH_MM / plan.grid.spacing_mm[0]) > BONE_HU - 80.0,
        iterations=max(1, round(10.0 / plan.grid.spacing_mm[0])),
    )
    a, b, ok = _sampled(plan, control, mapping, region)
    # the level at which both scans show as much bone: cone-beam numbers are off by tens of HU
    first = a[ok] > BONE_HU
    count = int(first.sum())
    least = 5000.0 / plan.grid.voxel_volume_mm3
    if count < least or ok.sum() < 2 * least:
        return None
    level = float(np.partition(b[ok], len(b[ok]) - count)[len(b[ok]) - count])
    second = b[ok] >= max(level, 60.0)
    return float(2.0 * (first & second).sum() / max(1, first.sum() + second.sum()))


def _sampled(
    plan: Prepared, control: Prepared, mapping: PointMap, region: NDArray[np.bool_]
) -> tuple[F64, F64, NDArray[np.bool_]]:
    index = np.argwhere(region & plan.valid)
    if len(index) > 120_000:
        index = index[:: len(index) // 120_000 + 1]
    sigma = SMOOTH_MM / plan.grid.spacing_mm[0]
    a = ndimage.gaussian_filter(plan.hu, sigma)[tuple(index.T)].astype(np.float64)
    at = control.grid.lps_to_index(mapping.forward(plan.grid.index_to_lps(index))).T
    smooth = ndimage.gaussian_filter(control.hu, SMOOTH_MM / control.grid.spacing_mm[0])
    b = ndimage.map_coordinates(smooth, at, order=1, mode="nearest").astype(np.float64)
    ok = (
        ndimage.map_coordinates(
            control.valid.astype(np.float32), at, order=1, mode="constant", output=np.float32
        )
        > 0.75
    )
    return a, b, ok


def share_inside(points_mm: F64, control: Prepared, mapping: PointMap) -> float:
    """Share (%) of planning points that lie in the control scan's field."""
    at = control.grid.lps_to_index(mapping.forward(points_mm)).T
    seen = ndimage.map_coordinates(
        control.scanned.astype(np.float32), at, order=0, mode="constant", output=np.float32
    )
    return 100.0 * float((seen > 0.5).mean())
