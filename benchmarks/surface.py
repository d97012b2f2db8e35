"""Surface registration (Open3D) of a synthetic skin: known motion, noise, part of it, outliers.

python -m benchmarks.surface [--runs N] [--json FILE]

The skin is the front of an uneven trunk.  Error: mean over three targets deep under it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.measure import arguments, report, row
from irplan.registration.surface import register_surface
from irplan.registration.transform import RigidTransform

F64 = NDArray[np.float64]
TARGETS = np.array([[0.0, -40.0, 0.0], [60.0, -60.0, -30.0], [-60.0, -60.0, 30.0]])
#: Noise (mm), extent of the moving surface along the body (mm), turn (deg), shift (mm), share of
#: points that lie anywhere within 60 mm.
CASES = {
    "no noise": (0.0, (-100.0, 100.0), 8.0, (10.0, -6.0, 12.0), 0.0),
    "noise of 1 mm": (1.0, (-100.0, 100.0), 8.0, (10.0, -6.0, 12.0), 0.0),
    "60 % of the skin": (1.0, (-100.0, 20.0), 8.0, (10.0, -6.0, 12.0), 0.0),
    "60 %, and 5 % outliers": (1.0, (-100.0, 20.0), 8.0, (10.0, -6.0, 12.0), 0.05),
    "15 deg and 30 mm off": (1.0, (-100.0, 100.0), 15.0, (18.0, -12.0, 20.0), 0.0),
}


def skin(count: int, rng: np.random.Generator, low: float, high: float) -> F64:
    """(count, 3) points, mm: an ellipse's front with a belly and a fold below the chest."""
    z, angle = rng.uniform(low, high, count), rng.uniform(-1.2, 1.2, count)
    size = 1.0 + 0.12 * np.exp(-(((z + 30.0) / 45.0) ** 2)) * np.cos(angle)
    size += 0.06 * np.exp(-(((z - 50.0) / 30.0) ** 2)) * np.cos(2.0 * angle + 0.6)
    return np.stack([150.0 * size * np.sin(angle), -110.0 * size * np.cos(angle), z], axis=1)


def error(name: str, seed: int) -> float:
    """Mean target error of one run, mm."""
    noise, extent, turn_deg, shift, outliers = CASES[name]
    rng = np.random.default_rng(seed)
    fixed, moving = skin(12_000, rng, -100.0, 100.0), skin(3_000, rng, *extent)
    axis = rng.standard_normal(3)
    turn = Rotation.from_rotvec(np.radians(turn_deg) * axis / np.linalg.norm(axis)).as_matrix()
    truth = RigidTransform.from_rotation(turn, np.array(shift))
    moving = truth.inverse.apply(moving) + noise * rng.standard_normal(moving.shape)
    stray = round(outliers * len(moving))
    moving[:stray] += rng.uniform(-60.0, 60.0, (stray, 3))
    fixed = fixed + 0.5 * noise * rng.standard_normal(fixed.shape)
    found = register_surface(moving, fixed)
    gap = found.transform.apply(truth.inverse.apply(TARGETS)) - TARGETS
    return float(np.linalg.norm(gap, axis=1).mean())


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=10)
    given = parser.parse_args()
    rows = []
    for name in CASES:
        errors = [error(name, seed) for seed in range(given.runs)]
        rows.append(row(f"{name}: target error, median", float(np.median(errors)), "mm"))
        rows.append(row(f"{name}: target error, largest", max(errors), "mm"))
    report("Surface registration, synthetic skin", rows, json_file=given.json)


if __name__ == "__main__":
    main()
