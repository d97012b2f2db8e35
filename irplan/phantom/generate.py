"""The public entry: a seeded abdominal CT with its truth."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from irplan.compute import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import STRUCTURES, LabelMap, Volume
from irplan.phantom.anatomy import Anatomy, draw_anatomy, stream
from irplan.phantom.artefact import darken_left_lobe, metal_streaks, swell
from irplan.phantom.extras import arm_reach_mm
from irplan.phantom.lesion import (
    CALIBRE_MM,
    Tumour,
    centre_point,
    distance_to_walls,
    liver_surface,
    nearest_distance,
    place_tumours,
)
from irplan.phantom.liver import LIVER_RANGE_ML
from irplan.phantom.noise import correlated_noise
from irplan.phantom.painter import organ_mask, paint_anatomy, paint_tumour
from irplan.phantom.result import (
    Phantom,
    PhantomFacts,
    PhantomSettings,
    TumourFacts,
    TumourSpec,
)
from irplan.phantom.tissues import PHASES, TISSUES, Phase, tissue
from irplan.phantom.variant import FAT_HU, KERNELS, PLAIN, Variant

#: Structures that the phantom does not have; its vessels are all known.
UNDRAWN = ("bile_duct", "vessel_in_part")
#: Contents of a stomach that is not as drawn, HU [S: food 40-70, dilute oral contrast 150-300].
STOMACH_HU = {"food": 58.0, "contrast": 220.0}
LEAST_HEIGHT_MM = 20.0
SPACING_RANGE_MM = (0.4, 10.0)
MAX_VOXELS = 120_000_000


def abdominal_ct(
    seed: int = 0,
    *,
    phase: Phase = "portal",
    spacing_mm: tuple[float, float, float] = (2.5, 0.9, 0.9),
    tumours: Sequence[TumourSpec] = (TumourSpec(20.0),),
    noise_hu: float = 15.0,
    liver_ml: float | None = None,
    body_width_mm: float | None = None,
    fat_mm: float | None = None,
    table: bool = True,
    variant: Variant = PLAIN,
    progress: Progress = no_progress,
) -> Phantom:
    """A synthetic abdominal CT of the patient that ``seed`` draws.

    The scan runs from above the liver's dome (lung bases, heart) to below the kidneys, about
    310 mm, and holds the whole body in plane.  Anatomy, CT numbers and noise come from
    independent streams of the seed: another phase, noise or spacing leaves the anatomy as it is.

    Parameters
    ----------
    seed : 0..2^63-1; the same seed and settings give the same bytes.
    phase : "unenhanced", "arterial", "portal" or "delayed"; CT numbers in `TISSUES`.
    spacing_mm : voxel size (slice, row, column), 0.4..10 mm each.
    tumours : tumours of the liver, none to ten; see `TumourSpec`.
    noise_hu : standard deviation of the noise (see `correlated_noise`), 0..100 HU.
    liver_ml : organ volume, 1000..2200 ml; None draws it (mean 1500 ml, SD 190).
    body_width_mm : body's greatest width, 260..420 mm; None draws it.
    fat_mm : typical subcutaneous fat, 5..35 mm; None draws it.
    table : whether the patient lies on a table.
    variant : disease and technique; see `Variant`.
    progress : called with a fraction and a few words.

    Returns
    -------
    Phantom : volume (int16 HU), labels and facts on an axis-aligned LPS grid; feet at slice 0.

    Raises
    ------
    InputError : a setting outside its range, a tumour or liver volume that does not fit.
    """
    settings = PhantomSettings(
        _integer(seed),
        phase,
        _spacing(spacing_mm),
        tuple(tumours),
        _number("noise_hu", noise_hu, 0.0, 100.0),
        _optional("liver_ml", liver_ml, *LIVER_RANGE_ML),
        _optional("body_width_mm", body_width_mm, 260.0, 420.0),
        _optional("fat_mm", fat_mm, 5.0, 35.0),
        bool(table),
        variant,
    )
    tissue("liver").hu(phase)
    if len(settings.tumours) > 10 or not all(isinstance(t, TumourSpec) for t in settings.tumours):
        raise InputError(
            "tumours",
            got=f"{len(settings.tumours)} entries",
            expected="none to ten TumourSpec",
            remedy="Give a list of TumourSpec(diameter_mm=...).",
        )
    if not isinstance(variant, Variant):
        raise InputError(
            "variant",
            got=repr(variant),
            expected="a Variant",
            remedy="For example Variant(steatosis=0.2).",
        )
    progress(0.0, "drawing the patient")
    anatomy = draw_anatomy(
        settings.seed,
        liver_ml=settings.liver_ml,
        body_width_mm=settings.body_width_mm,
        fat_mm=settings.fat_mm,
        variant=variant,
        progress=portion(progress, 0.0, 0.25),
    )
    grid = _grid(anatomy, settings)
    progress(0.25, "placing tumours")
    capsule = liver_surface(anatomy.lattice, anatomy.liver)
    walls = anatomy.heat_sink_walls(CALIBRE_MM)
    lesions = place_tumours(
        settings.tumours, anatomy.lattice, anatomy.liver, capsule, walls, stream(settings.seed, 20)
    )
    hu = _patient_hu(settings.seed, phase)
    hu["liver"] -= FAT_HU * variant.steatosis
    hu["stomach_content"] = STOMACH_HU.get(variant.stomach, hu["stomach_content"])
    half_frequency, blur_mm = KERNELS[variant.kernel]
    image, labels = paint_anatomy(
        anatomy,
        grid,
        hu,
        table=settings.table,
        variant=variant,
        progress=portion(progress, 0.3, 0.7),
    )
    if variant.left_lobe_hu:
        darken_left_lobe(image, labels, grid, anatomy.body, variant.left_lobe_hu)
    for lesion, spec in zip(lesions, settings.tumours, strict=True):
        paint_tumour(image, labels, grid, lesion, hu["liver"] + spec.contrast_hu, blur_mm)
    organ = organ_mask(anatomy, grid, labels)
    if variant.metal != "none":
        metal_streaks(image, grid)
    noise = correlated_noise(
        grid.shape,
        settings.spacing_mm,
        settings.noise_hu,
        stream(settings.seed, 30, PHASES.index(phase)),
        half_frequency_per_mm=half_frequency,
        progress=portion(progress, 0.7, 0.97),
    )
    if variant.noise_swell:
        noise *= swell(grid, anatomy.body, variant.noise_swell)
    image += noise
    np.clip(np.rint(image, out=image), -1024, 3071, out=image)
    facts = _facts(anatomy, lesions, capsule, walls, hu, settings)
    progress(1.0, "done")
    hu16 = image.astype(np.int16)
    if variant.prone:
        hu16, labels, organ, grid = _from_the_front(hu16, labels, organ, grid)
    return Phantom(
        Volume(hu16, grid, "HU"),
        LabelMap(labels, grid, tuple(s for s in STRUCTURES if s.name not in UNDRAWN)),
        organ,
        facts,
        settings,
    )


def _from_the_front(
    hu: NDArray[np.int16], labels: NDArray[np.uint8], organ: NDArray[np.bool_], grid: Grid
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.bool_], Grid]:
    """The same voxels with rows from back to front and columns from left to right (prone)."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.index_to_lps([0, grid.shape[1] - 1, grid.shape[2] - 1])
    affine[:3, 1:3] *= -1.0
    turned = [np.ascontiguousarray(a[:, ::-1, ::-1]) for a in (hu, labels, organ)]
    return (*turned, Grid(grid.shape, affine, grid.frame_of_reference_uid))  # type: ignore[return-value]


def _grid(anatomy: Anatomy, settings: PhantomSettings) -> Grid:
    """Field of view: the body and 14 mm of air, 30 mm more below when there is a table."""
    body, variant = anatomy.body, settings.variant
    half_x = arm_reach_mm(body) if variant.arms_down else 1.03 * body.half_width + 14.0
    half_y = 1.06 * body.half_depth + 14.0
    bottom, top = body.bottom_mm, body.top_mm
    z = anatomy.lattice.z[(anatomy.liver.field < 0.0).any(axis=(1, 2))]
    if variant.cut_top_mm:
        top = float(z[-1]) - variant.cut_top_mm
    if variant.cut_bottom_mm:
        bottom = float(z[0]) + variant.cut_bottom_mm
    if top - bottom < LEAST_HEIGHT_MM:
        raise InputError(
            "variant.cut_top_mm and cut_bottom_mm",
            got=f"{variant.cut_top_mm:g} and {variant.cut_bottom_mm:g} mm, which leave "
            f"{top - bottom:.0f} mm",
            expected=f"a scan of at least {LEAST_HEIGHT_MM:g} mm",
            remedy="Cut less.",
        )
    in_front = 30.0 if settings.table and variant.prone else 0.0
    extent = np.array(
        [
            top - bottom,
            2 * half_y + (30.0 if settings.table else 0.0),
            2 * half_x,
        ]
    )
    spacing = np.array(settings.spacing_mm)
    shape = np.maximum(1, np.rint(extent / spacing)).astype(int)
    if int(np.prod(shape)) > MAX_VOXELS:
        raise InputError(
            "spacing_mm",
            got=f"{settings.spacing_mm}, {int(np.prod(shape)) / 1e6:.0f} million voxels",
            expected=f"at most {MAX_VOXELS / 1e6:.0f} million voxels",
            remedy="Use larger voxels.",
        )
    origin = (
        -half_x + 0.5 * spacing[2],
        -half_y - in_front + 0.5 * spacing[1],
        bottom + 0.5 * spacing[0],
    )
    key: tuple[object, ...] = (
        settings.seed, settings.liver_ml, settings.body_width_mm, settings.fat_mm
    )  # fmt: skip
    if variant != PLAIN:
        key = (*key, variant)
    digest = hashlib.sha256(f"irplan.phantom {key}".encode()).digest()
    uid = f"2.25.{int.from_bytes(digest[:15], 'big')}"
    return Grid.from_spacing(shape.tolist(), settings.spacing_mm, origin, uid)


def _patient_hu(seed: int, phase: Phase) -> dict[str, float]:
    """This patient's CT numbers: the table's mean plus its spread times one draw a tissue.

    All tissues of one ``kind`` share a draw: it is the same blood in every vessel.
    """
    out = {}
    for row in TISSUES:
        key = int.from_bytes(hashlib.sha256(row.kind.encode()).digest()[:4], "big")
        draw = float(np.clip(stream(seed, 15, key).standard_normal(), -2.0, 2.0))
        out[row.name] = row.hu(phase) + row.spread(phase) * draw
    return out


def _facts(
    anatomy: Anatomy,
    lesions: list[Tumour],
    capsule: cKDTree[None],
    walls: NDArray[np.float32],
    hu: dict[str, float],
    settings: PhantomSettings,
) -> PhantomFacts:
    rows = []
    for lesion, spec in zip(lesions, settings.tumours, strict=True):
        surface = lesion.surface()
        vessel = max(0.0, float(distance_to_walls(surface, walls).min()))
        rows.append(
            TumourFacts(
                math.pi * spec.diameter_mm**3 / 6e3,
                spec.diameter_mm,
                centre_point(lesion),
                vessel,
                float(nearest_distance(capsule, surface).min()),
                spec.contrast_hu,
                hu["liver"] + spec.contrast_hu,
            )
        )
    return PhantomFacts(
        tuple(rows),
        anatomy.liver.volume_ml,
        settings.phase,
        settings.seed,
        settings.noise_hu,
        tuple(sorted(hu.items())),
        len(anatomy.liver_vessels.portal.radius),
        sum(len(t.radius) for t in anatomy.liver_vessels.hepatic),
    )


def _integer(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError(
            "seed",
            got=repr(seed),
            expected="a whole number from 0 to 2^63 - 1",
            remedy="Give a whole number; the same one gives the same phantom.",
        )
    return int(seed)


def _number(field: str, value: object, low: float, high: float) -> float:
    number = float(value) if isinstance(value, int | float | np.number) else math.nan
    if not low <= number <= high:
        raise InputError(
            field,
            got=repr(value),
            expected=f"a number from {low:g} to {high:g}",
            remedy="Give a value in that range.",
        )
    return number


def _optional(field: str, value: object, low: float, high: float) -> float | None:
    return None if value is None else _number(field, value, low, high)


def _spacing(value: Sequence[float]) -> tuple[float, float, float]:
    try:
        a, b, c = value
    except (TypeError, ValueError):
        raise InputError(
            "spacing_mm",
            got=repr(value),
            expected="three voxel sizes (slice, row, column) in mm",
            remedy="For example (2.5, 0.9, 0.9).",
        ) from None
    low, high = SPACING_RANGE_MM
    return (
        _number("spacing_mm[0]", a, low, high),
        _number("spacing_mm[1]", b, low, high),
        _number("spacing_mm[2]", c, low, high),
    )
