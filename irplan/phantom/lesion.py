"""Tumours: star-shaped, slightly irregular, of exactly the volume asked for; their facts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from irplan.errors import InputError
from irplan.geometry import Point3
from irplan.phantom.lattice import F32, STEP_MM, Lattice
from irplan.phantom.liver import Liver
from irplan.phantom.result import TumourSpec

F64 = NDArray[np.float64]
#: A seeded tumour keeps at least this from the capsule, and seeks this much from vessels, mm.
CAPSULE_CLEARANCE_MM = 8.0
VESSEL_CLEARANCE_MM = 10.0
BETWEEN_TUMOURS_MM = 10.0
#: Tissue that a tumour at the capsule leaves between itself and the surface, mm.
CAP_MM = 0.3
#: How far under the surface the centre of one lies, over its radius.
CAP_DEPTH = 0.75
#: Vessels of at least this calibre count for the distance to the nearest vessel.
CALIBRE_MM = 3.0
_DIRECTIONS = 4000
_WAVES = 14


@dataclass(frozen=True, eq=False)
class Tumour:
    """Star-shaped: r(u) = ``scale_mm`` (``level`` + sum_k a_k cos(k_k . u + p_k)).

    ``u`` is a unit vector from ``origin`` (LPS mm).  With a ``cap`` (a lattice and its field) it
    ends where the field rises above -`CAP_MM`: flattened by the liver's capsule.
    """

    origin: F64
    scale_mm: float
    level: float
    wave: F64
    amplitude: F64
    phase: F64
    cap: tuple[Lattice, F32] | None = None

    def radius(self, directions: F64) -> F64:
        """(...,) radius in mm along (..., 3) unit vectors, without the cap."""
        out: F64 = self.scale_mm * (
            self.level + _ripple(directions, self.wave, self.amplitude, self.phase)
        )
        np.maximum(out, 0.2 * self.scale_mm, out=out)
        return out

    def surface(self) -> F64:
        """(4000, 3) LPS points evenly spread in direction on the surface."""
        u = fibonacci(_DIRECTIONS)
        out: F64 = self.origin + self.reach(u)[:, None] * u
        return out

    def reach(self, directions: F64) -> F64:
        """(N,) distance in mm from ``origin`` to the surface along (N, 3) unit vectors."""
        radius = self.radius(directions)
        if self.cap is None:
            return radius
        lattice, field = self.cap
        share = np.linspace(0.0, 1.0, 41)[1:]
        at = self.origin + (radius[:, None] * share)[..., None] * directions[:, None]
        value = lattice.sample(field, at) + CAP_MM
        out = value > 0.0
        first = np.argmax(out, axis=1)
        rows = np.arange(len(first))
        a = np.where(first > 0, value[rows, np.maximum(first - 1, 0)], -1.0)
        b = value[rows, first]
        cut = share[first] - (b / np.maximum(b - a, 1e-9)) * (share[1] - share[0])
        result: F64 = np.where(out.any(axis=1), cut, 1.0) * radius
        return result

    def centre_of_mass(self) -> F64:
        """(3,) LPS mm: integral of r^4/4 u over that of r^3/3."""
        u = fibonacci(_DIRECTIONS)
        r = self.reach(u)
        out: F64 = self.origin + (r[:, None] ** 4 / 4 * u).sum(axis=0) / (r**3 / 3).sum()
        return out

    def signed_distance(self, points: F64) -> F64:
        """(...,) radial distance to the surface of (..., 3) LPS points, negative inside, mm."""
        d = points - self.origin
        length = np.linalg.norm(d, axis=-1)
        unit = d / np.maximum(length, 1e-9)[..., None]
        out: F64 = length - self.radius(unit)
        if self.cap is not None:
            lattice, field = self.cap
            out = np.maximum(out, lattice.sample(field, points) + CAP_MM)
        return out


def fibonacci(count: int) -> F64:
    """(count, 3) unit vectors, equal-area spiral (Gonzalez, Math Geosci 2010;42:49)."""
    i = np.arange(count) + 0.5
    z = 1.0 - 2.0 * i / count
    angle = np.pi * (1.0 + np.sqrt(5.0)) * i
    ring = np.sqrt(1.0 - z * z)
    return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), z])


def make_tumour(spec: TumourSpec, centre: F64, rng: np.random.Generator) -> Tumour:
    """A seeded surface whose volume is pi d^3 / 6 and whose centre of mass is ``centre``."""
    wave = rng.normal(0.0, 2.2, (_WAVES, 3))
    amplitude = rng.uniform(0.5, 1.0, _WAVES)
    phase = rng.uniform(0.0, 2 * np.pi, _WAVES)
    u = fibonacci(_DIRECTIONS)
    ripple = _ripple(u, wave, amplitude, phase)
    factor = spec.irregularity / float(ripple.std())
    level = 1.0 - factor * float(ripple.mean())
    unit = Tumour(np.zeros(3), 1.0, level, wave, factor * amplitude, phase)
    unit_mm3 = 4 * np.pi / 3 * float((unit.radius(u) ** 3).mean())
    scale = float((np.pi * spec.diameter_mm**3 / 6 / unit_mm3) ** (1 / 3))
    origin = np.asarray(centre, dtype=np.float64) - scale * unit.centre_of_mass()
    return Tumour(origin, scale, level, wave, factor * amplitude, phase)


def _ripple(u: F64, wave: F64, amplitude: F64, phase: F64) -> F64:
    out: F64 = np.cos(u @ wave.T + phase) @ amplitude
    return out


def liver_surface(lattice: Lattice, liver: Liver) -> cKDTree[None]:
    """LPS points of the capsule about 1 mm apart: crossings of the refined B-spline."""
    factor = 3
    fine, first = lattice.refine(liver.field, liver.box, factor)
    step = STEP_MM / factor
    parts = []
    for axis in range(3):
        a = np.moveaxis(fine, axis, 0)[:-1]
        b = np.moveaxis(fine, axis, 0)[1:]
        hit = np.argwhere((a < 0) != (b < 0))
        fa, fb = a[tuple(hit.T)], b[tuple(hit.T)]
        where = hit.astype(np.float64)
        where[:, 0] += fa / (fa - fb)
        order = [axis, *[k for k in range(3) if k != axis]]
        back = np.empty_like(where)
        for column, target in enumerate(order):
            back[:, target] = where[:, column]
        parts.append(first + back[:, ::-1] * step)
    return cKDTree(np.concatenate(parts))


def nearest_distance(cloud: cKDTree[None], points: F64) -> F64:
    """(N,) distance from (N, 3) ``points`` to the nearest point of ``cloud``."""
    return np.asarray(cloud.query(points)[0], dtype=np.float64)


def distance_to_walls(points: F64, walls: NDArray[np.float32]) -> F64:
    """(N,) distance of (N, 3) LPS points to the nearest wall of (M, 9) capsules; < 0 inside."""
    best = np.full(len(points), np.inf)
    for t in walls.astype(np.float64):
        d = t[3:6] - t[0:3]
        g = np.clip((points - t[0:3]) @ d / max(float(d @ d), 1e-9), 0.0, 1.0)
        gap = np.linalg.norm(points - t[0:3] - g[:, None] * d, axis=1)
        np.minimum(best, gap - (t[6] + g * (t[7] - t[6])), out=best)
    return best


def place_tumours(
    specs: tuple[TumourSpec, ...],
    lattice: Lattice,
    liver: Liver,
    capsule: cKDTree[None],
    walls: NDArray[np.float32],
    rng: np.random.Generator,
) -> list[Tumour]:
    """Tumours at their given or seeded places; `InputError` for one that does not fit."""
    least = 3.0 if any(s.at_capsule for s in specs) else CAPSULE_CLEARANCE_MM
    inside = np.argwhere(liver.field[liver.box] < -least)
    z0, y0, x0 = (s.start for s in liver.box)
    places = np.column_stack(
        [lattice.x[inside[:, 2] + x0], lattice.y[inside[:, 1] + y0], lattice.z[inside[:, 0] + z0]]
    ).astype(np.float64)
    places = places[rng.permutation(len(places))[:1500]]
    depth = nearest_distance(capsule, places)
    vessel = distance_to_walls(places, walls)
    done: list[Tumour] = []
    order = sorted(
        range(len(specs)), key=lambda k: (specs[k].centre_mm is None, -specs[k].diameter_mm)
    )
    made: dict[int, Tumour] = {}
    for k in order:
        spec, own = specs[k], np.random.default_rng(rng.integers(2**63))
        field = f"tumours[{k}]"
        shape = make_tumour(spec, np.zeros(3), own)
        reach = float(np.linalg.norm(shape.surface(), axis=1).max())
        if spec.at_capsule:
            tumour = _at_capsule(field, spec, shape, lattice, liver, places, depth, done, own)
            done.append(tumour)
            made[k] = tumour
            continue
        if spec.centre_mm is None:
            centre = _choose(field, spec, reach, places, depth, vessel, done, own)
        else:
            centre = np.asarray(spec.centre_mm)
        tumour = replace(shape, origin=shape.origin + centre)
        _check_fit(field, spec, tumour, lattice, liver)
        for other in done:
            gap = float(other.signed_distance(tumour.surface()).min())
            if gap < 0.0:
                raise InputError(
                    field,
                    got=f"a tumour that overlaps another by {-gap:.1f} mm",
                    expected="tumours apart from each other",
                    remedy="Move its centre or leave centre_mm to the seed.",
                )
        done.append(tumour)
        made[k] = tumour
    return [made[k] for k in range(len(specs))]


def _at_capsule(
    field: str,
    spec: TumourSpec,
    shape: Tumour,
    lattice: Lattice,
    liver: Liver,
    places: F64,
    depth: F64,
    done: list[Tumour],
    rng: np.random.Generator,
) -> Tumour:
    """A tumour flattened by the capsule, grown until it has its volume again."""
    wanted = CAP_DEPTH * spec.diameter_mm / 2
    fits = np.abs(depth - wanted) < max(2.0, 0.15 * wanted)
    for other in done:
        apart = np.linalg.norm(places - other.origin, axis=1)
        fits &= apart >= 0.8 * spec.diameter_mm + 1.2 * other.scale_mm + BETWEEN_TUMOURS_MM
    volume = np.pi * spec.diameter_mm**3 / 6
    u = fibonacci(_DIRECTIONS)
    for index in rng.permutation(np.flatnonzero(fits))[:12]:
        start = replace(shape, origin=places[index], cap=(lattice, liver.field))
        low, high = start.scale_mm, 1.6 * start.scale_mm
        for _ in range(30):
            middle = 0.5 * (low + high)
            tried = replace(start, scale_mm=middle)
            small = 4 * np.pi / 3 * float((tried.reach(u) ** 3).mean()) < volume
            low, high = (middle, high) if small else (low, middle)
        made = replace(start, scale_mm=high)
        got = 4 * np.pi / 3 * float((made.reach(u) ** 3).mean())
        clear = all(float(other.signed_distance(made.surface()).min()) > 0.0 for other in done)
        if abs(got - volume) < 1e-3 * volume and clear:
            return made
    raise InputError(
        f"{field}.diameter_mm",
        got=f"{spec.diameter_mm:g} mm at the capsule",
        expected="a tumour that fits under this liver's surface",
        remedy="Make it smaller, or choose another seed or liver_ml.",
    )


def _choose(
    field: str,
    spec: TumourSpec,
    reach: float,
    places: F64,
    depth: F64,
    vessel: F64,
    done: list[Tumour],
    rng: np.random.Generator,
) -> F64:
    """A seeded place: capsule and other tumours are hard limits, vessels as far as they allow."""
    fits = depth >= reach + CAPSULE_CLEARANCE_MM
    for other in done:
        apart = np.linalg.norm(places - other.origin, axis=1)
        fits &= apart >= reach + other.scale_mm * 1.2 + BETWEEN_TUMOURS_MM
    if not fits.any():
        raise InputError(
            f"{field}.diameter_mm",
            got=f"{spec.diameter_mm:g} mm, reaching {reach:.1f} mm from its centre",
            expected=f"a tumour that keeps {CAPSULE_CLEARANCE_MM:g} mm from the capsule "
            f"(deepest point of this liver: {depth.max(initial=0.0):.1f} mm)",
            remedy="Make it smaller, give centre_mm yourself, or choose another seed or liver_ml.",
        )
    clearance = np.where(fits, np.minimum(vessel - reach, VESSEL_CLEARANCE_MM), -np.inf)
    good = np.flatnonzero(clearance >= clearance.max() - 0.5)
    chosen: F64 = places[int(rng.choice(good))]
    return chosen


def _check_fit(
    field: str, spec: TumourSpec, tumour: Tumour, lattice: Lattice, liver: Liver
) -> None:
    out = float(lattice.sample(liver.field, tumour.surface()).max())
    if out > -0.5:
        raise InputError(
            f"{field}.centre_mm",
            got=f"a place where the tumour of {spec.diameter_mm:g} mm reaches {out + 0.5:.1f} mm "
            "beyond the liver",
            expected="a tumour wholly inside the liver, 0.5 mm from its capsule",
            remedy="Move the centre deeper, make it smaller, or leave centre_mm to the seed.",
        )


def centre_point(tumour: Tumour) -> Point3:
    """The centre of mass as a point."""
    c = tumour.centre_of_mass()
    return (float(c[0]), float(c[1]), float(c[2]))
