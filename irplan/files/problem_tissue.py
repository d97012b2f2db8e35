"""The tissue of a problem file: a uniform box or a label map, bodies inside, other constants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import Kind
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.pull_back import zones_over_time
from irplan.ablation.quantity import Quantity
from irplan.ablation.regions import Box, Cylinder, Halfspace, Shape, Sphere, Tube, mask_of
from irplan.ablation.schedule import Schedule
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import AT_BLOOD_TEMPERATURE, TISSUES
from irplan.errors import FileFormatError, IrplanError
from irplan.files.label_table import read_label_table
from irplan.files.nifti import read_labels
from irplan.files.toml_table import TomlTable
from irplan.geometry import Grid, Point3

#: Tissue round the active zones where no box is given, mm.
DEFAULT_MARGIN_MM = 32.0
_PROPERTIES = tuple(f.name for f in fields(TissueProperties) if f.name != "name")
_SHAPES: dict[str, tuple[str, ...]] = {
    "sphere": ("centre_mm", "radius_mm"),
    "cylinder": ("from_mm", "to_mm", "radius_mm"),
    "tube": ("points_mm", "radius_mm"),
    "box": ("centre_mm", "size_mm"),
    "halfspace": ("point_mm", "normal"),
}


@dataclass(frozen=True)
class Region:
    """A body of one tissue that covers what was there before."""

    name: str
    shape: Shape
    properties: TissueProperties


def read_problem_tissue(
    table: TomlTable,
    placements: Sequence[Placement],
    schedule: Schedule | tuple[Schedule, ...],
    *,
    spacing_mm: tuple[float, float, float],
    body_temperature_c: float,
    folder: Path,
) -> AblationProblem:
    """The `AblationProblem` of the table ``[tissue]``; see docs/simulate.md.

    ``spacing_mm`` runs x, y, z; ``folder`` is where relative paths start.  Raises
    `FileFormatError` and what `AblationProblem` raises, with the place in the file.
    """
    table.only(
        "uniform", "box_mm", "centre_mm", "labels", "label_table", "margin_mm",
        "sink_calibre_mm", "region", "properties",
    )  # fmt: skip
    if table.has("uniform") == table.has("labels"):
        raise table.wrong(
            "uniform",
            "both uniform and labels" if table.has("labels") else "neither uniform nor labels",
            'uniform = "a tissue" or labels = "file.nii.gz"',
            'For example uniform = "liver"',
        )
    kind = placements[0].applicator.kind if placements else None
    own, notes = _own_tissues(table, body_temperature_c, kind)
    regions = [_region(t, own) for t in table.tables("region")]
    margin = table.number("margin_mm", DEFAULT_MARGIN_MM, low=15.0, high=100.0)
    if table.has("uniform"):
        for key in ("label_table", "sink_calibre_mm"):
            if table.has(key):
                raise table.wrong(key, "a key without labels", "labels as well", "Remove it.")
        name = table.text("uniform", choices=tuple(own))
        with _named(table):
            ends = np.concatenate(zones_over_time(placements, schedule))
        grid = _uniform_grid(table, ends, margin, spacing_mm)
        index = np.zeros(grid.shape, np.uint8)
        tissues: list[TissueProperties] = [own[name]]
    else:
        base = _from_labels(
            table, placements, schedule, margin, spacing_mm, body_temperature_c, folder
        )
        grid, index = base.grid, base.tissue_index.copy()
        tissues = [own.get(t.name, t) for t in base.tissues]
        notes = [*base.notes, *notes]
    for region in regions:
        inside = mask_of(region.shape, grid)
        if not inside.any():
            notes.append(f"The region '{region.name}' has no voxel in the simulated box.")
        index[inside] = len(tissues)
        tissues.append(region.properties)
    index, tissues = _used(index, tissues)
    with _named(table):
        return AblationProblem(
            grid=grid,
            tissue_index=index,
            tissues=tuple(tissues),
            placements=tuple(placements),
            schedule=schedule,
            body_temperature_c=body_temperature_c,
            notes=tuple(notes),
        )


def _own_tissues(
    table: TomlTable, body_temperature_c: float, kind: Kind | None
) -> tuple[dict[str, TissueProperties], list[str]]:
    """The table's tissues with the file's constants, its new tissues, and what is unusual."""
    own = {name: record.properties(kind=kind) for name, record in TISSUES.items()}
    for name in AT_BLOOD_TEMPERATURE:
        own[name] = replace(own[name], fixed_temperature_c=body_temperature_c)
    notes: list[str] = []
    given = table.table("properties")
    for name in given.data:
        settings = given.table(name)
        settings.only("like", *_PROPERTIES)
        if name in own and not settings.has("like"):
            base = own[name]
        elif name in own:
            raise settings.wrong(
                "like", f"a base for '{name}', which exists", "no 'like' here", "Remove it."
            )
        else:
            like = settings.text("like", choices=tuple(TISSUES))
            base = replace(own[like], name=name)
        changes = _changes(settings, also=("like",))
        with settings.located():
            own[name] = replace(base, **changes)
        if name in TISSUES:
            notes += _unusual(settings, TISSUES[name].quantities, changes)
    return own, notes


def _changes(table: TomlTable, *, also: Sequence[str]) -> dict[str, Any]:
    return {k: table.number(k) for k in table.data if k not in also}


def _unusual(
    table: TomlTable, quantities: Mapping[str, Quantity], changes: dict[str, Any]
) -> list[str]:
    """A sentence for each constant outside its published range: allowed, but said."""
    out = []
    for key, value in changes.items():
        q = quantities.get(key)
        if q is not None and not q.low <= value <= q.high:
            out.append(
                f"{table.path}.{key} = {value:g} {q.unit} lies outside the published range "
                f"{q.low:g} to {q.high:g} ({q.source})."
            )
    return out


def _region(table: TomlTable, own: dict[str, TissueProperties]) -> Region:
    kind = table.text("shape", choices=tuple(_SHAPES))
    table.only("name", "shape", "tissue", *_SHAPES[kind], *_PROPERTIES)
    name = table.text("name", f"{table.path}")
    with table.located():
        shape = _shape(kind, table)
    tissue = own[table.text("tissue", choices=tuple(own))]
    changes = _changes(table, also=("name", "shape", "tissue", *_SHAPES[kind]))
    if changes:
        with table.located():
            tissue = replace(tissue, name=f"{tissue.name} ({name})", **changes)
    return Region(name, shape, tissue)


def _shape(kind: str, table: TomlTable) -> Shape:
    if kind == "sphere":
        return Sphere(table.point("centre_mm"), table.number("radius_mm"))
    if kind == "cylinder":
        return Cylinder(table.point("from_mm"), table.point("to_mm"), table.number("radius_mm"))
    if kind == "box":
        return Box(
            table.point("centre_mm"),
            table.numbers("size_mm", 3, words="[x, y, z] lengths in mm"),
        )
    if kind == "halfspace":
        return Halfspace(
            table.point("point_mm"), table.numbers("normal", 3, words="a direction [x, y, z]")
        )
    raw = table.data.get("points_mm")
    if not isinstance(raw, list) or len(raw) < 2:
        raise table.wrong(
            "points_mm", "no list of points", "two or more points [[x, y, z], ...] in LPS mm",
            "For example points_mm = [[0, 0, -40], [0, 0, 40]]",
        )  # fmt: skip
    points: list[Point3] = []
    for n, value in enumerate(raw):
        one = TomlTable(table.file, f"{table.path}.points_mm", {f"[{n + 1}]": value})
        points.append(one.point(f"[{n + 1}]"))
    return Tube(tuple(points), table.number("radius_mm"))


def _uniform_grid(
    table: TomlTable,
    ends: NDArray[np.float64],
    margin_mm: float,
    spacing_mm: tuple[float, float, float],
) -> Grid:
    low, high = ends.min(axis=0) - margin_mm, ends.max(axis=0) + margin_mm
    size = table.numbers("box_mm", 3, tuple(high - low), words="[x, y, z] lengths in mm")
    centre = np.array(table.point("centre_mm", tuple(0.5 * (low + high))))
    for value in size:
        if not 10.0 <= value <= 500.0:
            raise table.wrong(
                "box_mm", f"{list(size)}", "lengths of 10 to 500 mm", "Give full lengths in mm."
            )
    count = np.maximum(4, np.rint(np.array(size) / spacing_mm).astype(int))
    if int(np.prod(count)) > 2**28:
        raise table.wrong(
            "box_mm",
            f"{count[0]} x {count[1]} x {count[2]} voxels, {np.prod(count) / 1e6:.0f} million",
            f"at most {2**28 / 1e6:.0f} million",
            "Make the box smaller or solver.spacing_mm larger.",
        )
    origin = centre - 0.5 * (count - 1) * spacing_mm
    return Grid.from_spacing(
        [int(n) for n in count[::-1]], spacing_mm[::-1], [float(v) for v in origin]
    )


def _from_labels(
    table: TomlTable,
    placements: Sequence[Placement],
    schedule: Schedule | tuple[Schedule, ...],
    margin_mm: float,
    spacing_mm: tuple[float, float, float],
    body_temperature_c: float,
    folder: Path,
) -> AblationProblem:
    for key in ("box_mm", "centre_mm"):
        if table.has(key):
            raise table.wrong(
                key, "a box beside labels", "margin_mm", "The box follows the applicators."
            )
    path = _existing(table, "labels", folder)
    names = None
    if table.has("label_table"):
        names = read_label_table(_existing(table, "label_table", folder))
    labels = read_labels(path, names)
    towards = np.abs(labels.grid.direction).argmax(axis=0)  # x, y or z of each array axis
    calibre = table.number("sink_calibre_mm", None, low=0.0, high=30.0)
    with _named(table):
        return AblationProblem.from_labels(
            labels,
            placements,
            schedule,
            spacing_mm=[spacing_mm[int(axis)] for axis in towards],
            margin_mm=margin_mm,
            body_temperature_c=body_temperature_c,
            sink_calibre_mm=calibre,
        )


@contextmanager
def _named(table: TomlTable) -> Iterator[None]:
    """What the problem refuses is said with the file's own names, which count from 1."""
    try:
        yield
    except FileFormatError:
        raise
    except IrplanError as error:
        place = error.field.removeprefix("problem.").replace("placements", "applicator")
        place = re.sub(r"\[(\d+)\]", lambda m: f"[{int(m[1]) + 1}]", place)
        place = re.sub(r"^schedule\[(\d+)\]", r"applicator[\1].schedule", place)
        place = {"spacing_mm": "solver.spacing_mm", "grid": "solver.spacing_mm"}.get(place, place)
        raise FileFormatError(
            f"'{table.file}' {place}",
            got=error.got,
            expected=error.expected,
            remedy="Choose another solver.spacing_mm."
            if "from_labels" in error.remedy
            else error.remedy,
        ) from error


def _existing(table: TomlTable, key: str, folder: Path) -> Path:
    path = folder / Path(table.text(key)).expanduser()
    if not path.is_file():
        raise table.wrong(
            key, f"'{table.data[key]}', which is no file here", "a file",
            "Give a path from the problem file's folder, or an absolute one.",
        )  # fmt: skip
    return path


def _used(
    index: NDArray[np.uint8], tissues: list[TissueProperties]
) -> tuple[NDArray[np.uint8], list[TissueProperties]]:
    """The same map with the tissues that have voxels only."""
    present = np.flatnonzero(np.bincount(index.reshape(-1), minlength=len(tissues)))
    lut = np.zeros(256, np.uint8)
    lut[present] = np.arange(present.size)
    return lut[index], [tissues[n] for n in present]
