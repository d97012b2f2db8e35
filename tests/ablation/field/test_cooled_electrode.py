"""A cooled electrode against the closed form of a cooled cylinder with heat q / r^2."""

from __future__ import annotations

import math

import numpy as np
import pytest

from irplan.ablation.field.near_cooling import cooled_share

A, R = 0.75, 20.0  # mm


def lattice(film_log: float, shift: tuple[float, float], share: bool) -> tuple:
    """(r, T) on a 1 mm lattice across the wire, k = q = 1, coolant 0, exact from ``R`` on.

    The recipe of the solver in the plane: Gaussian kernel, line sink, smeared and unseen heat.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    from irplan.ablation.field.electrode import _near_points, effective_radius_mm

    n = 51
    x = np.arange(n) - (n - 1) / 2
    X, Y = np.meshgrid(x - shift[0], x - shift[1], indexing="ij")
    r2 = X**2 + Y**2
    s = 0.75
    w = np.where(r2 <= (4 * s) ** 2, np.exp(-r2 / (2 * s * s)), 0.0)
    w /= w.sum()
    spread = np.diag([(w * X**2).sum(), (w * Y**2).sum(), s * s])
    log = math.log(effective_radius_mm(spread, np.ones(3), np.array([0.0, 0.0, 1.0])) / A)
    held = r2 > R**2
    number = np.arange(n * n).reshape(n, n)
    pairs = [(number[1:], number[:-1]), (number[:, 1:], number[:, :-1])]
    i = np.concatenate([p[0].ravel() for p in pairs] + [p[1].ravel() for p in pairs])
    j = np.concatenate([p[1].ravel() for p in pairs] + [p[0].ravel() for p in pairs])
    lap = coo_matrix((np.ones(i.size), (i, j)), shape=(n * n, n * n)).tocsr()
    free = np.flatnonzero(~held.ravel())
    matrix = coo_matrix((np.full(n * n, 4.0), (range(n * n),) * 2)).tocsr() - lap
    lu = splu(matrix[free][:, free].tocsc())

    r = np.sqrt(r2).ravel()
    rim = lap[free][:, np.flatnonzero(held.ravel())]

    def solve(rhs, outside):
        out = np.zeros(n * n)
        out[held.ravel()] = outside
        out[free] = lu.solve(rhs + rim @ outside)
        return out

    # face heat of the line current's own lattice potential
    wf = w.ravel()
    v = solve(2 * math.pi * wf[free], -np.log(r[held.ravel()])).reshape(n, n)
    face = np.zeros((n, n))
    for axis in (0, 1):
        d = np.diff(v, axis=axis) ** 2
        lo = [slice(None)] * 2
        hi = [slice(None)] * 2
        lo[axis], hi[axis] = slice(None, -1), slice(1, None)
        face[tuple(lo)] += 0.5 * d
        face[tuple(hi)] += 0.5 * d
    points = _near_points(np.array([[*shift, 0.0]]), np.array([0.0, 0.0, 1.0]), A, s, 1.0)[0]
    at = np.rint(points[:, :2] + (n - 1) / 2).astype(int)
    hidden = np.zeros((n, n))
    np.add.at(hidden, tuple(at.T), 2 * math.pi * log / len(at))
    kept = 1.0 - float(cooled_share(log, np.array([film_log]))[0]) if share else 1.0
    heat = (face + kept * hidden).ravel()
    strength = 2 * math.pi / (log + film_log)
    base = solve(heat[free], exact(r[held.ravel()], film_log))
    unit = solve(strength * wf[free], np.zeros(int(held.sum())))
    gathered = (wf @ base) / (1.0 + wf @ unit)
    return np.sqrt(r2), (base - gathered * unit).reshape(n, n)


def exact(r, film_log):
    """Closed form: T = f (film + s) - s^2 / 2 with T(R) = 0."""
    s, end = np.log(r / A), math.log(R / A)
    f = 0.5 * end**2 / (film_log + end)
    return f * (film_log + s) - 0.5 * s**2


@pytest.mark.parametrize("film_log", [0.05, 0.13, 0.6])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, 0.5), (0.2, 0.37)])
def test_cooled_cylinder(film_log, shift):
    """From 2 mm on within 3 % of the highest temperature, and nearer than without the share."""
    r, t = lattice(film_log, shift, True)
    look = (r > 2.0) & (r < 15.0)
    wanted = exact(r[look], film_log)
    highest = exact(np.geomspace(A, R, 400), film_log).max()
    assert np.abs(t[look] - wanted).max() < 0.03 * highest
    _, plain = lattice(film_log, shift, False)
    assert np.abs(plain[look] - wanted).max() > 1.2 * np.abs(t[look] - wanted).max()


def test_share():
    """A perfect film takes nearly half of the heat next to it, an insulating one none."""
    share = cooled_share(0.45, np.array([0.0, 0.13, 1e4]))
    assert 0.35 < share[0] < 0.6
    assert np.all(np.diff(share) < 0.0)
    assert share[2] < 1e-3
