"""Distance between two straight segments."""

from __future__ import annotations

import numpy as np

from irplan.geometry import Point3


def segment_distance_mm(first: tuple[Point3, Point3], second: tuple[Point3, Point3]) -> float:
    """Smallest distance between two segments given by their LPS end points, mm.

    Ericson, Real-Time Collision Detection (2005), section 5.1.9.
    """
    p, q = np.array(first[0]), np.array(second[0])
    d1, d2 = np.array(first[1]) - p, np.array(second[1]) - q
    r = p - q
    a, e, f = float(d1 @ d1), float(d2 @ d2), float(d2 @ r)
    b, c = float(d1 @ d2), float(d1 @ r)
    det = a * e - b * b
    s = min(1.0, max(0.0, (b * f - c * e) / det)) if det > 1e-12 * a * e else 0.0
    t = (b * s + f) / e
    if not 0.0 <= t <= 1.0:
        t = min(1.0, max(0.0, t))
        s = min(1.0, max(0.0, (b * t - c) / a))
    return float(np.linalg.norm(p + s * d1 - q - t * d2))
