"""From a CT or labels to a folder with the access map: table, JSON, surface and figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan.case.open import open_image_and_notes, open_labels, open_mask_and_notes
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.files import OutputFolder, nifti
from irplan.files.access_map_file import (
    surface_values,
    write_access_map,
    write_access_surface,
    write_access_table,
)
from irplan.geometry import Point3
from irplan.image import LabelMap
from irplan.planning.access_map import ENTRY_MM, MAP_MM, TARGET_MM, AccessMap, access_map
from irplan.planning.case import paint_target, voxel_hash
from irplan.planning.obstacles import target_organ
from irplan.planning.paths import PathWeights
from irplan.planning.rules import PathRules
from irplan.planning.target import as_target_mask
from irplan.segmentation import segment_abdomen, target_from_point
from irplan.viz import png_bytes
from irplan.viz.access_map import access_figure
from irplan.viz.meshes import mask_surface

#: Voxel of the skin that is drawn and written, mm, and its smoothing.
_SKIN_MM, _SMOOTH_MM = 4.0, 3.0


@dataclass(frozen=True)
class AccessRequest:
    """What ``irplan access-map`` is asked: a CT or a label map, a target, a folder.

    ``source`` is a label map where its table (``.json``) lies beside it.  ``labels`` are used
    instead of a segmentation of the CT.  Raises `InputError` unless the target is given one way.
    """

    source: Path
    out: Path
    labels: Path | None = None
    target_mask: Path | None = None
    target_point_mm: Point3 | None = None
    target_diameter_mm: float | None = None
    unknown: Path | None = None
    series_uid: str | None = None
    rules: PathRules = field(default_factory=PathRules)
    weights: PathWeights = field(default_factory=PathWeights)
    raster_mm: float = MAP_MM
    entry_spacing_mm: float = ENTRY_MM
    target_spacing_mm: float = TARGET_MM
    backend: str = "auto"

    def __post_init__(self) -> None:
        point, diameter = self.target_point_mm is not None, self.target_diameter_mm is not None
        if (self.target_mask is not None) == (point or diameter) or point != diameter:
            raise InputError(
                "target",
                got="none, half of one, or two",
                expected="--target-mask M, or --target-point x,y,z with --target-diameter mm",
                remedy="Give the tumour one way.",
            )


@dataclass(frozen=True, eq=False)
class AccessOutcome:
    """The map, the files written, and what the user should know."""

    found: AccessMap
    files: tuple[str, ...]
    messages: tuple[str, ...]


def run_access_map(request: AccessRequest, *, progress: Progress = no_progress) -> AccessOutcome:
    """Read, segment where needed, make the map and write it; the folder is whole or absent.

    Raises the named `IrplanError` subclasses of each stage.  That nothing reaches the target is
    an answer (the map says why), not an error.
    """
    with OutputFolder(request.out) as folder:
        labels, target, notes = _opened(request, portion(progress, 0.0, 0.6))
        dark = None
        if request.unknown is not None:
            dark, more = open_mask_and_notes(request.unknown, labels.grid)
            notes += more
        found = access_map(
            labels,
            target,
            rules=request.rules,
            weights=request.weights,
            unknown=dark,
            raster_mm=request.raster_mm,
            entry_spacing_mm=request.entry_spacing_mm,
            target_spacing_mm=request.target_spacing_mm,
            backend=request.backend,
            progress=portion(progress, 0.6, 0.85),
        )
        inputs = {"labels": voxel_hash(labels.array), "target mask": voxel_hash(target)}
        if dark is not None:
            inputs["unknown mask"] = voxel_hash(dark)
        progress(0.86, "writing: map")
        write_access_map(found, folder / "access_map.json", inputs=inputs)
        write_access_table(found, folder / "access_map.csv")
        skin = mask_surface(labels.array > 0, labels.grid, voxel_mm=_SKIN_MM,
                            smooth_mm=_SMOOTH_MM, closed=False)  # fmt: skip
        if skin is not None:
            write_access_surface(
                skin.vertices, skin.faces, surface_values(found, skin.vertices),
                folder / "access_map.vtp",
            )  # fmt: skip
        progress(0.92, "writing: figure")
        (folder / "access_map.png").write_bytes(png_bytes(access_figure(found, skin)))
        files = tuple(sorted(p.name for p in folder.iterdir()))
    progress(1.0, "writing: done")
    return AccessOutcome(found, files, tuple(dict.fromkeys((*notes, *found.messages))))


def _opened(
    request: AccessRequest, progress: Progress
) -> tuple[LabelMap, NDArray[np.bool_], tuple[str, ...]]:
    """Labels with the target painted, the target, notes."""
    source = request.source
    given = request.labels
    if given is None and source.is_file() and nifti.sidecar(source, ".json").exists():
        given = source
    if given is not None:
        labels = open_labels(given)
        target, notes = _target(request, labels)
        organ = target_organ(labels, target)
        return paint_target(labels, target, organ), target, notes
    volume, notes = open_image_and_notes(
        source, series_uid=request.series_uid, progress=portion(progress, 0.0, 0.2)
    )
    if request.target_mask is not None:
        target, more = open_mask_and_notes(request.target_mask, volume.grid)
    elif request.target_point_mm is not None and request.target_diameter_mm is not None:
        target = target_from_point(volume, request.target_point_mm, request.target_diameter_mm)
        more = ()
    abdomen = segment_abdomen(volume, target_mask=target, progress=portion(progress, 0.2, 1.0))
    return abdomen.labels, target, (*notes, *more, *abdomen.warnings)


def _target(request: AccessRequest, labels: LabelMap) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    if request.target_mask is not None:
        return open_mask_and_notes(request.target_mask, labels.grid)
    point = np.asarray(request.target_point_mm, dtype=np.float64)
    radius = float(request.target_diameter_mm or 0.0) / 2.0
    if not labels.grid.contains(point) or not radius > 0.0:
        raise InputError(
            "target",
            got=f"a ball of {2 * radius:g} mm at {tuple(point.tolist())}",
            expected="a diameter above 0 mm at a point inside the labels",
            remedy="Points are LPS mm: x to the left, y to the back, z to the head.",
        )
    start, shape = labels.grid.box_around(point, radius + 2.0)
    part = labels.grid.crop(start, shape)
    index = np.moveaxis(np.indices(shape), 0, -1)
    ball = np.linalg.norm(part.index_to_lps(index) - point, axis=-1) <= radius
    mask = np.zeros(labels.grid.shape, dtype=bool)
    mask[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))] = ball
    return as_target_mask(mask, labels.grid), ()
