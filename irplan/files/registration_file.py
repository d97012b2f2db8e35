"""A registration as files: ``registration.json`` and, where the organ deforms, a vector field."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from irplan import RESEARCH_USE_ONLY
from irplan.errors import FileFormatError, IrplanError
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, load_json
from irplan.geometry import Grid
from irplan.image.resample import to_sitk
from irplan.registration import (
    Displacement,
    PointMap,
    QualityReport,
    QualityRow,
    Registration,
    RegistrationOptions,
    RigidTransform,
)

#: Name and version of what `write_registration` writes.
REGISTRATION_SCHEMA, REGISTRATION_SCHEMA_VERSION = "irplan-registration", 1
REPORT, FIELD = "registration.json", "displacement.mha"


def registration_to_data(found: Registration) -> dict[str, Any]:
    """The report and the rigid maps (planning LPS mm -> control LPS mm); unknown is null."""
    here, there = found.grids
    return {
        "schema": REGISTRATION_SCHEMA,
        "schema_version": REGISTRATION_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": found.version,
        "status": found.quality.status,
        "error_mm": found.error_mm,
        "error_is": found.error_is,
        "error_from": found.error_from,
        "quality": [asdict(r) for r in found.quality.rows],
        "tre_mm": list(found.quality.tre_mm),
        "rigid_plan_to_control": found.mapping.rigid.matrix.tolist(),
        "body_plan_to_control": found.body.matrix.tolist(),
        "deformable": found.mapping.displacement is not None,
        "frames": list(found.frames),
        "planning_grid": _grid_data(here),
        "control_grid": _grid_data(there),
        "start": found.start,
        "options": asdict(found.options),
        "notes": list(found.notes),
    }


def write_registration(found: Registration, folder: Path, data: dict[str, Any]) -> None:
    """Write ``data`` (`registration_to_data`, perhaps with more notes) and the field.

    The field is a MetaImage of vectors u(x), LPS mm, on a grid of planning space: a planning point
    x lies at rigid(x + u(x)) in the control scan.  Other programs read it as a displacement field.
    """
    u = found.mapping.displacement
    said = dict(data)
    if u is not None:
        with atomic_path(folder / FIELD) as temporary:
            named = temporary.with_name(temporary.name + ".mha")  # the writer goes by the name
            SimpleITK.WriteImage(to_sitk(u.field, u.grid), str(named), useCompression=True)
            named.replace(temporary)
        said["displacement"] = {"file": FIELD, "sha256": _digest(folder / FIELD)}
    text = dump_json(said, field="registration")
    with atomic_path(folder / REPORT) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_registration(path: Path) -> Registration:
    """What `write_registration` wrote; ``path`` is the folder or its ``registration.json``.

    Raises `FileFormatError` for anything else, and for a field that is missing or was changed.
    """
    file = path / REPORT if path.is_dir() else path
    data = load_json(file, what="registration")
    if (data.get("schema"), data.get("schema_version")) != (
        REGISTRATION_SCHEMA,
        REGISTRATION_SCHEMA_VERSION,
    ):
        raise FileFormatError(
            f"registration '{file.name}', schema",
            got=f"{data.get('schema')!r} {data.get('schema_version')!r}",
            expected=f"'{REGISTRATION_SCHEMA}' {REGISTRATION_SCHEMA_VERSION}",
            remedy="Give what irplan register -o wrote, or register again.",
        )
    try:
        rows = tuple(
            QualityRow(**{f.name: r[f.name] for f in fields(QualityRow)}) for r in data["quality"]
        )
        field = _read_field(file.parent, data["displacement"]) if data["deformable"] else None
        found = Registration(
            PointMap(_rigid(data["rigid_plan_to_control"]), field),
            _rigid(data["body_plan_to_control"]),
            QualityReport(rows, tuple(float(v) for v in data["tre_mm"])),
            (_grid(data["planning_grid"]), _grid(data["control_grid"])),
            RegistrationOptions(**data["options"]),
            str(data["start"]),
            str(data["irplan_version"]),
            tuple(str(n) for n in data["notes"]),
        )
    except FileFormatError:
        raise
    except (IrplanError, KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        raise _damaged(file, f"a file that is not whole ({what})") from error
    if found.quality.status != data.get("status"):
        raise _damaged(file, f"status {data.get('status')!r} over rows that say otherwise")
    return found


def _damaged(file: Path, got: str) -> FileFormatError:
    return FileFormatError(
        f"registration '{file.name}'",
        got=got,
        expected="a file as irplan register wrote it",
        remedy="Register again.",
    )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read_field(folder: Path, named: dict[str, str]) -> Displacement:
    file = folder / Path(named["file"]).name
    if not file.is_file():
        raise FileFormatError(
            f"displacement field '{file.name}'",
            got="no such file beside registration.json",
            expected="both files of the registration",
            remedy="Keep the folder that irplan register wrote together.",
        )
    if _digest(file) != named["sha256"]:
        raise FileFormatError(
            f"displacement field '{file.name}'",
            got="another field than the report was made for",
            expected="the two files of one registration",
            remedy="Register again.",
        )
    image = SimpleITK.ReadImage(str(file))
    array = SimpleITK.GetArrayFromImage(image).astype(np.float32)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)[:, ::-1]
    affine[:3, :3] = direction * np.array(image.GetSpacing())[::-1]
    affine[:3, 3] = image.GetOrigin()
    shape = array.shape
    return Displacement(array, Grid((shape[0], shape[1], shape[2]), affine))


def _rigid(rows: Any) -> RigidTransform:
    """A matrix of six decimals made orthonormal again."""
    m = np.array(rows, dtype=np.float64)
    if m.shape != (4, 4) or not np.isfinite(m).all():
        raise ValueError("a matrix that is not 4 x 4")
    u, _, vt = np.linalg.svd(m[:3, :3])
    if np.abs(u @ vt - m[:3, :3]).max() > 1e-5:
        raise ValueError("a matrix that is no rotation and shift")
    return RigidTransform.from_rotation(u @ vt, m[:3, 3])


def _grid_data(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "affine": grid.affine.tolist(),
        "frame_of_reference_uid": grid.frame_of_reference_uid,
    }


def _grid(data: dict[str, Any]) -> Grid:
    n = [int(v) for v in data["shape"]]
    return Grid(
        (n[0], n[1], n[2]), np.array(data["affine"], dtype=np.float64),
        data["frame_of_reference_uid"],
    )  # fmt: skip
