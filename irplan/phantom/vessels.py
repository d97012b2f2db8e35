"""Great vessels, and the portal and hepatic trees inside the liver."""

# ruff: noqa: RUF005 - points are arrays: + moves them
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.phantom.body import Body
from irplan.phantom.lattice import F32, Lattice
from irplan.phantom.liver import Liver
from irplan.phantom.tree import VesselTree, bend, grow_tree, sample_terminals

#: Terminal branches a tree is grown to; with Murray's law they are about 1 mm in radius.
PORTAL_TERMINALS = 140
HEPATIC_TERMINALS = 110
#: Vessel walls keep this far from the capsule, mm.
CAPSULE_GAP_MM = 4.0

Tubes = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GreatVessels:
    """Painted capsules (N, 9) by kind; ``cava_line`` (M, 3) reference mm with ``cava_radii``."""

    aorta: Tubes
    arteries: Tubes
    cava: Tubes
    veins: Tubes
    portal: Tubes
    mesenteric: Tubes
    cava_line: NDArray[np.float64]
    cava_radii: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LiverVessels:
    """Both trees; the hepatic one in three parts (right, middle, left vein)."""

    portal: VesselTree
    hepatic: tuple[VesselTree, VesselTree, VesselTree]

    def walls(self, calibre_mm: float) -> NDArray[np.float32]:
        """(N, 9) capsules of all segments of at least ``calibre_mm`` in diameter."""
        tubes = [t.tubes() for t in (self.portal, *self.hepatic)]
        radius = [t.radius for t in (self.portal, *self.hepatic)]
        keep = np.concatenate(radius) >= calibre_mm / 2
        out: NDArray[np.float32] = np.concatenate(tubes)[keep]
        return out


def tube(points: ArrayLike, radii: ArrayLike, *, step_mm: float = 5.0) -> Tubes:
    """(N, 9) capsules along a smooth curve through LPS ``points`` (M, 3) with ``radii`` (M,).

    The curve is the cubic Hermite of arc length with the points' central differences as tangents.
    """
    p, r = np.asarray(points, dtype=np.float64), np.asarray(radii, dtype=np.float64)
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    t = np.linspace(0.0, s[-1], max(2, int(np.ceil(s[-1] / step_mm)) + 1))
    tangent = np.gradient(p, s, axis=0)
    k = np.clip(np.searchsorted(s, t, side="right") - 1, 0, len(p) - 2)
    h = (s[k + 1] - s[k])[:, None]
    f = (t - s[k])[:, None] / h
    line = (1 + 2 * f) * (1 - f) ** 2 * p[k] + f * (1 - f) ** 2 * h * tangent[k]
    line += f * f * (3 - 2 * f) * p[k + 1] - f * f * (1 - f) * h * tangent[k + 1]
    width = np.interp(t, s, r)
    level = np.full(len(t) - 1, 1e6)
    out = np.column_stack([line[:-1], line[1:], width[:-1], width[1:], level])
    return out.astype(np.float32)


def cava_course(
    body: Body, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vena cava from the scan's bottom to the right atrium, reference mm, with radii."""
    z = np.array([-275.0, -200.0, -150.0, -110.0, -70.0, -40.0, -18.0, 8.0, 24.0])
    c = body.spine_line(z)
    c[:, 0] += [-20, -21, -22, -23, -25, -27, -26, -22, -20]
    c[:, 1] = np.array([c[0, 1] - 21, c[1, 1] - 23, c[2, 1] - 25, 8, 5, 1, -5, -14, -20])
    return c, np.array([9.5, 10.0, 10.5, 11.0, 11.5, 12.0, 12.5, 13.0, 13.0]) * float(
        np.clip(rng.normal(1.0, 0.08), 0.8, 1.15)
    )


def great_vessels(
    body: Body,
    cava: tuple[NDArray[np.float64], NDArray[np.float64]],
    kidneys: tuple[NDArray[np.float64], NDArray[np.float64]],
    rng: np.random.Generator,
) -> GreatVessels:
    """Aorta and branches, vena cava and renal veins, mesenteric and splenic veins."""
    to = body.to_lps
    za = np.array([60.0, 20.0, -30.0, -80.0, -130.0, -180.0, -235.0])
    ca = body.spine_line(za)
    ca[:, 0] += [20, 19, 15, 9, 9, 9, 6]
    ca[:, 1] += [-16, -20, -27, -30, -30, -29, -28]
    size = float(np.clip(rng.normal(1.0, 0.09), 0.8, 1.2))
    aorta = tube(to(ca), np.array([12.0, 11.5, 11.0, 10.5, 9.5, 8.8, 8.2]) * size)
    at = {float(zz): p for zz, p in zip(za, ca, strict=True)}
    arteries = [
        tube(to([at[-235.0], at[-235.0] + [s * 20, 0, -45]]), [6.5, 5.5]) for s in (-1.0, 1.0)
    ]
    celiac = at[-80.0] + [0.0, -10.0, -14.0]
    arteries.append(
        tube(to(np.vstack([at[-80.0] + [0, 0, -12], celiac + [0, -8, -2]])), [3.8, 3.6])
    )
    hepatic = np.vstack([celiac + [0, -8, -2], [-4, -18, -106], [-16, -16, -100], [-24, -12, -92]])
    arteries.append(tube(to(hepatic), [2.6, 2.4, 2.2, 1.8]))
    splenic = np.vstack([celiac + [0, -8, -2], [28, -4, -96], [50, 18, -88], [70, 28, -84]])
    arteries.append(tube(to(splenic), [2.8, 2.6, 2.4, 2.0]))
    top = at[-130.0] + [0.0, 0.0, 18.0]
    sma = np.vstack([top, top + [0, -18, -10], [6, -30, -150], [4, -38, -200]])
    arteries.append(tube(to(sma), [3.8, 3.5, 3.2, 2.4]))
    line, radii = cava
    veins = []
    for hilum, s in zip(kidneys, (-1.0, 1.0), strict=True):
        z = hilum[2]
        from_aorta = np.array([9.0, body.spine_line(z)[0, 1] - 29.0, z + 8.0])
        into = np.array([-22.0, body.spine_line(z)[0, 1] - 25.0, z + 6.0])
        middle = 0.5 * (from_aorta + hilum) + [0.0, 3.0 if s < 0 else 0.0, 0.0]
        arteries.append(tube(to([from_aorta, middle, hilum]), [2.9, 2.7, 2.3]))
        cross = 0.5 * (into + hilum) + [0.0, -13.0 if s > 0 else -4.0, 2.0]
        veins.append(tube(to([into, cross, hilum]), [5.0, 4.8, 4.2]))
    confluence = np.array([0.0, -16.0, -124.0])
    smv = np.vstack([[-4, -42, -215], [-5, -34, -180], [-3, -26, -150], confluence])
    portal: list[Tubes] = [tube(to(smv), [4.0, 5.0, 5.4, 5.8])]
    spv = np.vstack([[72, 30, -86], [50, 20, -92], [24, -10, -108], confluence])
    portal.append(tube(to(spv), [3.6, 4.0, 4.4, 4.8]))
    main = np.vstack([confluence, [-9, -12, -111], [-18, -7, -100], [-26, -6, -92]])
    portal.append(tube(to(main), [6.8, 6.8, 6.6, 6.4]))
    mesenteric = []
    for _ in range(14):  # mesenteric branches in the fat
        a = np.array([-4.0, -40.0, rng.uniform(-215, -160)])
        b = a + [rng.uniform(-62, 62), rng.uniform(-25, 12), rng.uniform(-45, 10)]
        bowed = 0.5 * (a + b) + rng.normal(0, 5, 3)
        mesenteric.append(tube(to([a, bowed, b]), [2.2, 1.8, 1.2]))
    return GreatVessels(
        aorta,
        np.concatenate(arteries),
        tube(to(line), radii),
        np.concatenate(veins),
        np.concatenate(portal),
        np.concatenate(mesenteric),
        line,
        radii,
    )


def pulmonary_vessels(body: Body, lattice: Lattice, lungs: F32, rng: np.random.Generator) -> Tubes:
    """Branches that fan out from both hila (above the scan) into the lung bases."""
    inside = np.argwhere(lungs < -6.0)
    index = inside[rng.permutation(len(inside))[:160]]
    ends = np.column_stack(
        [lattice.x[index[:, 2]], lattice.y[index[:, 1]], lattice.z[index[:, 0]]]
    ).astype(np.float64)
    out = []
    for end in ends:
        side = -1.0 if end[0] < 0 else 1.0
        hilum = body.to_lps([[42.0 * side, -6.0, 72.0]])[0]
        start = end + float(rng.uniform(0.35, 0.6)) * (hilum - end)
        middle = 0.5 * (start + end) + rng.normal(0.0, 2.5, 3)
        course = np.vstack([start, middle, end])
        if lattice.sample(lungs, course).max() < -3.0:
            out.append(tube(course, [rng.uniform(1.0, 2.0), 1.0, 0.5]))
    return np.concatenate(out)


def liver_vessels(
    body: Body, lattice: Lattice, liver: Liver, rng: np.random.Generator
) -> LiverVessels:
    """Portal tree from the hilum, three hepatic veins to the vena cava below the dome."""

    def inside(points: NDArray[np.float64]) -> NDArray[np.bool_]:
        out: NDArray[np.bool_] = lattice.sample(liver.field, points) < -CAPSULE_GAP_MM
        return out

    deep = np.argwhere(liver.field[liver.box] < -CAPSULE_GAP_MM - 2.0)
    z0, y0, x0 = (s.start for s in liver.box)
    at = np.column_stack(
        [lattice.x[deep[:, 2] + x0], lattice.y[deep[:, 1] + y0], lattice.z[deep[:, 0] + z0]]
    ).astype(np.float64)
    shake = rng.normal(0.0, 2.5, (8, 3))
    p = body.to_lps(
        np.array(
            [
                [-26.0, -6.0, -92.0],
                [-30.0, -7.0, -88.0],
                [-56.0, -2.0, -84.0],
                [-76.0, -22.0, -72.0],
                [-78.0, 20.0, -84.0],
                [-6.0, -28.0, -80.0],
                [10.0, -46.0, -72.0],
            ]
        )
        + np.vstack([np.zeros((2, 3)), shake[:5]])
    )
    # the trunk enters where the liver's depth is nearest to the hilum
    p[1] = at[int(np.argmin(((at - p[1]) ** 2).sum(axis=1)))]
    main = _kept(
        [(p[0], -1), (p[1], -1), (p[2], 0), (p[3], 1), (p[4], 1), (p[5], 0), (p[6], 4)], inside
    )
    ends = sample_terminals(rng, at, PORTAL_TERMINALS, 11.0)
    portal = bend(grow_tree(main, ends, root_radius_mm=6.2, inside=inside), rng, inside)
    roots = body.to_lps([[-29.0, -1.0, -34.0], [-25.0, -6.0, -26.0], [-22.0, -8.0, -24.0]])
    mains = body.to_lps(
        np.array(
            [
                [[-40.0, 4.0, -36.0], [-72.0, 16.0, -50.0], [-92.0, 18.0, -84.0]],
                [[-31.0, -16.0, -34.0], [-38.0, -34.0, -52.0], [-46.0, -46.0, -84.0]],
                [[-12.0, -18.0, -32.0], [6.0, -36.0, -40.0], [30.0, -52.0, -48.0]],
            ]
        ).reshape(9, 3)
    ).reshape(3, 3, 3)
    ends = sample_terminals(rng, at, HEPATIC_TERMINALS, 11.5)
    nearest = np.argmin(
        np.min(np.linalg.norm(ends[:, None, None] - mains[None], axis=-1), axis=2), axis=1
    )
    trees = []
    for k, radius in enumerate((5.0, 4.4, 4.2)):
        mains[k, 0] = at[int(np.argmin(((at - mains[k, 0]) ** 2).sum(axis=1)))]
        line = _kept(
            [(roots[k], -1), (mains[k, 0], -1), (mains[k, 1], 0), (mains[k, 2], 1)], inside
        )
        grown = grow_tree(line, ends[nearest == k], root_radius_mm=radius, inside=inside)
        trees.append(bend(grown, rng, inside))
    return LiverVessels(portal, (trees[0], trees[1], trees[2]))


def _kept(
    main: list[tuple[NDArray[np.float64], int]],
    inside: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
) -> list[tuple[NDArray[np.float64], int]]:
    """``main`` (see `grow_tree`) without branches whose ends this liver does not hold.

    The first segment always stays: it enters the liver from outside.
    """
    out = main[:2]
    renamed = {0: 0}
    for k, (point, up) in enumerate(main[2:], start=1):
        if up in renamed and bool(inside(point[None])[0]):
            renamed[k] = len(out) - 1
            out.append((point, renamed[up]))
    return out
