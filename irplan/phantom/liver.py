"""The liver: what the diaphragm, the wall and its neighbours leave of the right upper abdomen.

The upper and lateral faces follow the diaphragm and the body wall; the visceral face is a smooth
union of the right lobe (no limit behind) and a wedge that thins towards the left; the lower edge
rises from right to left.  Fossae are cut for gallbladder, hilum, round ligament, vena cava and
right kidney.  The visceral faces are then shifted together until the organ has its volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irplan.errors import InputError
from irplan.phantom.body import Body
from irplan.phantom.lattice import (
    F32,
    STEP_MM,
    Lattice,
    chain,
    ellipsoid,
    smooth_max,
    smooth_min,
)
from irplan.phantom.trunk import Trunk
from irplan.phantom.variant import PLAIN, Variant

#: Organ volumes that `abdominal_ct` makes (adult range), ml.
LIVER_RANGE_ML = (1000.0, 2200.0)
#: Fat between liver and wall, under the diaphragm, and before the right kidney, mm.
WALL_GAP_MM, DOME_GAP_MM, KIDNEY_GAP_MM = 3.0, 3.4, 4.0
#: Thickness of the diaphragm that `fill_scene` paints, mm; 1 mm where organs touch it.
DIAPHRAGM_MM = 2.5
#: Correlation length and amplitude of cirrhotic nodules [S: macronodular 3-15 mm], mm.
NODULE_MM, NODULE_HEIGHT_MM = 9.0, 2.6
#: How much of the fitted shift the visceral, lower and left faces take.
SHIFT_SHARE = (0.15, 1.0, 0.3)


@dataclass(frozen=True, eq=False)
class Liver:
    """The organ's field (distance-like, negative inside), its volume and its gallbladder."""

    field: F32
    volume_ml: float
    gallbladder: F32
    box: tuple[slice, slice, slice]


def build_liver(
    body: Body,
    lattice: Lattice,
    xyz: tuple[F32, F32, F32],
    trunk: Trunk,
    *,
    carve: F32,
    cava: F32,
    volume_ml: float | None,
    rng: np.random.Generator,
    variant: Variant = PLAIN,
    own: np.random.Generator | None = None,
) -> Liver:
    """A liver of ``volume_ml`` (None: drawn, mean 1500 ml) beside ``carve`` (kidney) and ``cava``.

    ``variant`` gives cirrhosis, contact and ascites; nodules are drawn from ``own``.

    Raises `InputError` when this patient's trunk cannot hold the volume asked for.
    """
    x, y, z = xyz
    left = float(np.clip(rng.normal(72.0, 14.0), 42.0, 100.0))
    turn = float(rng.normal(0.0, 0.05))
    slope = float(np.clip(rng.normal(0.50, 0.07), 0.36, 0.64))
    size = float(np.prod(body.scale)) ** 0.8
    target = float(np.clip(rng.normal(1560.0, 170.0) * size, 1150.0, 1950.0))
    lump = lattice.noise(rng, 45.0) * 2.2
    sick = variant.cirrhosis
    left += 30.0 * sick  # the left lobe grows, the right one shrinks from below
    target *= 1.0 - 0.15 * sick
    angle = 0.60 + turn
    wedge = np.sin(angle) * (x + 38.0) + np.cos(angle) * (y - 32.0)
    visceral = smooth_min((x + 40.0).astype(np.float32), wedge.astype(np.float32), 18.0)
    lower = -152.0 + slope * (x + 125.0) + 0.30 * (y + 10.0)
    if sick:
        lower = lower + 22.0 * sick * np.clip((40.0 - x) / 120.0, 0.0, 1.0)
    inferior = ((lower - z) * 0.84).astype(np.float32)
    faces: tuple[F32, ...] = (
        visceral + lump,
        inferior + lump,
        (x - left + lump).astype(np.float32),
    )
    fluid = variant.ascites_mm * _bare_area(xyz) if variant.ascites_mm else 0.0
    wall_gap = WALL_GAP_MM - 2.6 * variant.contact + fluid
    dome_gap = DOME_GAP_MM - 1.9 * variant.contact + 0.7 * fluid
    hull = smooth_max(
        (trunk.cavity + wall_gap).astype(np.float32),
        (dome_gap - trunk.below_dome).astype(np.float32),
        9.0,
    )
    hull = (hull + 0.35 * (1.0 - variant.contact) * lump).astype(np.float32)
    if sick:
        nodules = NODULE_HEIGHT_MM * sick * lattice.noise(_need(own), NODULE_MM)
        faces = tuple((f + nodules).astype(np.float32) for f in faces)
        hull = (hull + np.maximum(nodules, 0.0)).astype(np.float32)
    tall = float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.2))
    gallbladder = _gallbladder(xyz, tall)
    cuts = _fossae(xyz, gallbladder)
    cuts = np.maximum(
        cuts, np.maximum(KIDNEY_GAP_MM - 2.5 * variant.contact - carve, -1.0 - cava)
    ).astype(np.float32)
    wanted = target if volume_ml is None else volume_ml
    field, got = _fit(lattice, hull, faces, cuts, wanted)
    if abs(got - wanted) > 0.02 * wanted and volume_ml is not None:
        raise InputError(
            "liver_ml",
            got=f"{volume_ml:.0f} ml",
            expected=f"a liver that this trunk can hold (nearest possible {got:.0f} ml)",
            remedy="Choose another liver volume, a wider body or another seed.",
        )
    return Liver(field, got, np.maximum(gallbladder, -900.0), _box(field))


def _bare_area(xyz: tuple[F32, F32, F32]) -> F32:
    """0 behind, where the liver has no peritoneum and no fluid goes, 1 elsewhere."""
    behind = np.clip((xyz[1] - 10.0) / 25.0, 0.0, 1.0)
    out: F32 = (1.0 - 0.85 * behind).astype(np.float32)
    return out


def _need(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise InputError(
            "own",
            got="no stream for the nodules",
            expected="a random generator",
            remedy="Pass own= when the variant has cirrhosis.",
        )
    return rng


def _gallbladder(xyz: tuple[F32, F32, F32], tall: float) -> F32:
    points = np.array([[-31.0, -12.0, -104.0], [-38.0, -30.0, -113.0], [-47.0, -54.0, -128.0]])
    return chain(xyz, points, [5.5, 11.0 * tall, 15.0 * tall])


def _fossae(xyz: tuple[F32, F32, F32], gallbladder: F32) -> F32:
    """Positive where no liver is: gallbladder bed, porta hepatis, round-ligament fissure."""
    x, y, z = xyz
    hilum = chain(
        xyz, np.array([[0.0, 12.0, -116.0], [-20.0, 3.0, -98.0], [-34.0, 0.0, -91.0]]), [11, 8, 4]
    )
    open_z = np.clip((-58.0 - z) / 60.0, 0.0, 1.0)
    sheet = np.maximum(np.abs(x - 12.0 - 0.12 * (y + 60.0)) - 1.5 - 4.0 * open_z, z + 62.0)
    sheet = np.maximum(sheet, y + 44.0)
    notch = ellipsoid(xyz, (16.0, -92.0, -100.0), (9.0, 20.0, 34.0))
    spine = ellipsoid(xyz, (8.0, 34.0, -60.0), (34.0, 26.0, 400.0))
    out = np.maximum(0.8 - gallbladder, -hilum)
    out = np.maximum(out, np.maximum(-sheet, -notch))
    result: F32 = np.maximum(out, -spine).astype(np.float32)
    return result


def _fit(
    lattice: Lattice, hull: F32, faces: tuple[F32, ...], cuts: F32, wanted: float
) -> tuple[F32, float]:
    """Shift the visceral, lower and left ``faces`` together until the organ has ``wanted`` ml."""
    box = _box(np.maximum(hull, faces[1] - 60.0))
    part = tuple(f[box] for f in (hull, *faces, cuts))
    low, high = -70.0, 70.0
    for _ in range(14):
        middle = 0.5 * (low + high)
        if _soft_ml(_organ(part[0], part[1:4], part[4], middle)) < wanted:
            low = middle
        else:
            high = middle
    shift = 0.5 * (low + high)
    for _ in range(2):  # the B-spline's own volume differs a little from the lattice's
        field = _organ(hull, faces, cuts, shift)
        volume, area = spline_volume_ml(lattice, field, _box(field))
        shift += float(np.clip((wanted - volume) * 1000.0 / max(0.35 * area, 1.0), -4.0, 4.0))
    field = _organ(hull, faces, cuts, shift)
    return field, spline_volume_ml(lattice, field, _box(field))[0]


def _organ(hull: F32, faces: tuple[F32, ...], cuts: F32, shift: float) -> F32:
    """The lower face takes the whole ``shift`` (mm), the visceral and left ones a part of it."""
    visceral, lower, left = (
        f - np.float32(share * shift) for f, share in zip(faces, SHIFT_SHARE, strict=True)
    )
    out = smooth_max(smooth_max(visceral, lower, 16.0), left, 24.0)
    return smooth_max(smooth_max(hull, out, 10.0), cuts, 5.0)


def _soft_ml(field: F32) -> float:
    return float(np.clip(0.5 - field / STEP_MM, 0.0, 1.0).sum(dtype=np.float64)) * STEP_MM**3 / 1e3


def _box(field: F32) -> tuple[slice, slice, slice]:
    """Lattice box of ``field < 8`` mm."""
    near = field < 8.0
    parts = []
    for axis in range(3):
        other = tuple(k for k in range(3) if k != axis)
        hit = np.flatnonzero(near.any(axis=other))
        parts.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return parts[0], parts[1], parts[2]


def spline_volume_ml(
    lattice: Lattice, field: F32, box: tuple[slice, slice, slice]
) -> tuple[float, float]:
    """Volume (ml) and area (mm^2) of the B-spline's inside, on a lattice refined twice.

    Midpoint rule with the local tangent plane's partial cells; error below 0.2 % for an organ.
    """
    fine, _ = lattice.refine(field, box, 2)
    step = STEP_MM / 2
    gz, gy, gx = np.gradient(fine, step)
    slope = np.maximum(np.sqrt(gx * gx + gy * gy + gz * gz), 0.2)
    distance = fine / slope
    volume = float(np.clip(0.5 - distance / step, 0.0, 1.0).sum(dtype=np.float64)) * step**3
    area = float((np.abs(distance) < step).sum()) * step**3 / (2 * step)
    return volume / 1e3, area
