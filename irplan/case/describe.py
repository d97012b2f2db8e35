"""What a file is, in words, for ``irplan info``: image, DICOM object or plan."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from irplan import dicom
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import FileFormatError, IrplanError
from irplan.files import nifti
from irplan.files.plan_file import read_plan
from irplan.geometry import Grid, Point3
from irplan.geometry.orientation import direction_in_words, plane_in_words
from irplan.image import Volume
from irplan.image.hounsfield import doubt_about_hu
from irplan.planning.plan import AblationPlan

Facts = list[tuple[str, str]]

_PERCENTILES = (1, 25, 50, 75, 99)


def describe_file(path: str | Path, *, progress: Progress = no_progress) -> tuple[str, Facts]:
    """Title and (name, value) rows of a DICOM file or folder, a NIfTI file or a plan file.

    Names are unique (a second one ends in ``(2)``).  Never shows a patient's name, number or
    dates.  Raises `FileFormatError` or `DicomError`
    for what is none of these or is damaged.
    """
    title, rows = _describe(Path(path), progress)
    return title, _unique(rows)


def _describe(file: Path, progress: Progress) -> tuple[str, Facts]:
    if file.is_dir():
        return _folder(file, progress)
    if not file.exists():
        raise FileFormatError(
            f"'{file.name}'",
            got="nothing at that path",
            expected="a file or folder",
            remedy="Check the path.",
        )
    if dicom.is_dicom(file):
        return f"DICOM file {file.name}", dicom.describe(file, progress=progress)
    if nifti.is_nifti(file) or file.name.lower().endswith((".nii", ".nii.gz")):
        return _nifti(file, progress)
    if file.suffix.lower() == ".json":
        return f"irplan plan {file.name}", _plan(read_plan(file))
    raise FileFormatError(
        f"'{file.name}'",
        got="a file of a kind irplan does not know",
        expected="DICOM, NIfTI or a plan.json",
        remedy="Give one of these.",
    )


def _unique(rows: Facts) -> Facts:
    seen: Counter[str] = Counter()
    out: Facts = []
    for name, value in rows:
        seen[name] += 1
        out.append((name if seen[name] == 1 else f"{name} ({seen[name]})", value))
    return out


def _folder(folder: Path, progress: Progress) -> tuple[str, Facts]:
    if (folder / "plan.json").is_file():
        return f"irplan output {folder.name}", _plan(read_plan(folder / "plan.json"))
    rows = dicom.describe(folder, progress=portion(progress, 0.0, 0.4))
    usable = [value for name, value in rows if name == "usable as a volume"]
    if usable == ["yes"]:
        try:
            volume = dicom.read_series(folder, progress=portion(progress, 0.4, 1.0))
        except IrplanError as error:
            rows.append(("pixels", f"not readable: {error}"))
        else:
            rows.extend(_places(volume.grid))
            rows.extend(_values(volume))
    return f"DICOM folder {folder.name}", rows


def _nifti(file: Path, progress: Progress) -> tuple[str, Facts]:
    progress(0.0, "reading the image")
    header = nifti.read_header(file)
    volume = nifti.read_volume(file, "mm")  # as stored: the file does not say what it measures
    stored = " x ".join(str(n) for n in header.shape_ijk)
    scaled = (header.slope, header.intercept) != (1.0, 0.0)
    directions = ", ".join(
        f"{axis} to {direction_in_words(header.affine[:3, n])}" for n, axis in enumerate("ijk")
    )
    rows: Facts = [
        ("stored voxels", f"{stored} (i, j, k) of {header.dtype.name}"),
        ("stored axes", f"{directions} (from the {header.orientation_from})"),
        ("scale", f"slope {header.slope:g}, intercept {header.intercept:g}" if scaled else "none"),
        *_places(volume.grid),
    ]
    sample = volume.array.reshape(-1)[:: max(1, volume.array.size // 200_000)]
    levels = np.unique(sample)
    if levels.size <= 256 and levels.min() >= 0 and np.array_equal(levels, np.floor(levels)):
        rows.extend(_labels(volume))
    else:
        rows.extend(_values(volume))
    progress(1.0, "image read")
    return f"NIfTI file {file.name}", rows


def _labels(volume: Volume) -> Facts:
    """Voxels and ml of each value of a mask or label map (whole numbers)."""
    array = volume.array
    whole = array.dtype.kind in "iu" or np.array_equal(array, np.floor(array))
    if whole and array.min() >= 0 and array.max() <= 255:
        counted = np.bincount(array.reshape(-1).astype(np.uint8), minlength=256)
        values = np.flatnonzero(counted)
        counts = counted[values]
    else:
        values, counts = np.unique(array, return_counts=True)
    ml = counts * volume.grid.voxel_volume_mm3 / 1000.0
    rows: Facts = [("kind", f"mask or label map with {values.size} values")]
    rows.extend(
        (f"value {value:g}", f"{count} voxels, {volume_ml:.2f} ml")
        for value, count, volume_ml in zip(values, counts, ml, strict=True)
    )
    return rows


def _places(grid: Grid) -> Facts:
    spacing, direction = grid.spacing_mm, grid.direction
    extent = np.asarray(grid.shape) * spacing
    corners = np.array([(0, 0, 0), np.asarray(grid.shape) - 1])
    low, high = np.sort(np.round(grid.index_to_lps(corners), 1), axis=0) + 0.0  # no -0.0
    return [
        ("voxels", " x ".join(str(n) for n in grid.shape) + " (slice, row, column)"),
        ("voxel size", " x ".join(f"{v:.3f}" for v in spacing) + " mm"),
        ("field of view", " x ".join(f"{v:.1f}" for v in extent) + " mm"),
        ("plane", plane_in_words(direction[:, 0])),
        (
            "orientation",
            f"slices to {direction_in_words(direction[:, 0])}, rows to "
            f"{direction_in_words(direction[:, 1])}, columns to "
            f"{direction_in_words(direction[:, 2])}",
        ),
        *(
            (f"{axis} (LPS)", f"{low[n]:.1f} to {high[n]:.1f} mm")
            for n, axis in enumerate(("x", "y", "z"))
        ),
    ]


def _values(volume: Volume) -> Facts:
    array = volume.array
    at = np.percentile(array.reshape(-1)[:: max(1, array.size // 2_000_000)], _PERCENTILES)
    rows: Facts = [
        ("values", f"{array.min():g} to {array.max():g}"),
        (
            "percentiles",
            ", ".join(f"{p} %: {v:.0f}" for p, v in zip(_PERCENTILES, at, strict=True)),
        ),
    ]
    doubt = doubt_about_hu(volume)
    if doubt:
        rows.append(("note", doubt))
    return rows


def _plan(plan: AblationPlan) -> Facts:
    rows: Facts = [
        ("state", plan.review.state),
        ("target", f"{plan.target.diameter_mm:.1f} mm, {plan.target.volume_ml:.2f} ml"),
        ("target centre (LPS)", _point(plan.target.centroid_mm)),
        ("target from", plan.target.source),
        ("margin goal", f"{plan.margin_goal_mm:g} mm"),
        (
            "lethal",
            f"{plan.lethal.threshold_c:g} degC or below in {plan.lethal.cycles} freezes or more",
        ),
        (
            "schedule",
            ", ".join(
                f"{p.kind.replace('_', ' ')} {p.duration_s / 60:g} min"
                for p in plan.schedule.phases
            ),
        ),
    ]
    for number, placement in enumerate(plan.placements, start=1):
        needle = placement.needle
        rows += [
            (f"needle {number}", f"{placement.applicator.name}, {placement.status}"),
            (f"needle {number} entry (LPS)", _point(needle.entry_mm)),
            (f"needle {number} tip (LPS)", _point(needle.tip_mm)),
            (
                f"needle {number} path",
                f"{needle.depth_mm:.1f} mm deep, {needle.axial_angle_deg:.1f} deg in the axial "
                f"plane, {needle.craniocaudal_tilt_deg:.1f} deg towards the head",
            ),
        ]
    made = plan.provenance
    rows.append(("made by", f"irplan {made.irplan_version}, {made.backend}, seed {made.seed}"))
    return rows


def _point(point: Point3) -> str:
    return ", ".join(f"{v:.1f}" for v in point) + " mm"
