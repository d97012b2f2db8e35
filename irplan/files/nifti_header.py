"""The NIfTI-1 header: checked when read, complete when written.  RAS exists only here.

Field names and offsets follow the NIfTI-1 standard (nifti1.h, R. W. Cox, 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import FileFormatError
from irplan.geometry import Grid

#: Cosine between two axes above which a sform is refused (the limit of `Grid`).
ORTHOGONAL_TOLERANCE = 1e-3

_HEADER: list[tuple[Any, ...]] = [
    ("sizeof_hdr", "i4"),
    ("data_type", "S10"),
    ("db_name", "S18"),
    ("extents", "i4"),
    ("session_error", "i2"),
    ("regular", "S1"),
    ("dim_info", "u1"),
    ("dim", "i2", (8,)),
    ("intent_p", "f4", (3,)),
    ("intent_code", "i2"),
    ("datatype", "i2"),
    ("bitpix", "i2"),
    ("slice_start", "i2"),
    ("pixdim", "f4", (8,)),
    ("vox_offset", "f4"),
    ("scl_slope", "f4"),
    ("scl_inter", "f4"),
    ("slice_end", "i2"),
    ("slice_code", "u1"),
    ("xyzt_units", "u1"),
    ("cal_max", "f4"),
    ("cal_min", "f4"),
    ("slice_duration", "f4"),
    ("toffset", "f4"),
    ("glmax", "i4"),
    ("glmin", "i4"),
    ("descrip", "S80"),
    ("aux_file", "S24"),
    ("qform_code", "i2"),
    ("sform_code", "i2"),
    ("quatern", "f4", (3,)),
    ("qoffset", "f4", (3,)),
    ("srow", "f4", (3, 4)),
    ("intent_name", "S16"),
    ("magic", "S4"),
]
HEADER_BYTES = 348
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
_CODES = {np.dtype(v): k for k, v in _TYPES.items()}
#: Length unit codes of ``xyzt_units`` -> mm; 0 (not stated) is taken as mm, as all readers do.
_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What is needed to read the voxels: layout, scale and the affine to LPS mm.

    ``affine`` maps the file's own (i, j, k) to LPS mm; voxels lie with i fastest.
    """

    shape_ijk: tuple[int, int, int]
    dtype: np.dtype[Any]
    data_offset: int
    slope: float
    intercept: float
    affine: NDArray[np.float64]
    orientation_from: str


def parse_header(data: bytes, *, name: str) -> NiftiHeader:
    """Check and decode the first 348 bytes of file ``name``.

    Raises `FileFormatError` for what is not NIfTI-1, has no orientation (``sform_code`` and
    ``qform_code`` both 0), is sheared, is not 3-D, or has colours or complex numbers.
    """
    raw = _raw(data, name)
    dim = [int(v) for v in raw["dim"]]
    shape = _shape(dim, name)
    code = int(raw["datatype"])
    if code not in _TYPES:
        raise FileFormatError(
            f"NIfTI file '{name}', datatype",
            got=f"code {code}",
            expected="8, 16 or 32-bit integers or 32 or 64-bit floats",
            remedy="Convert the image to one of these; colour images are not volumes.",
        )
    affine, origin = _affine(raw, name)
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0.0 or not np.isfinite(slope):
        slope, intercept = 1.0, 0.0  # nifti1.h: slope 0 means "no scaling"
    offset = float(raw["vox_offset"])
    return NiftiHeader(
        shape,
        np.dtype(_TYPES[code]).newbyteorder(raw.dtype["dim"].base.byteorder),
        int(offset) if np.isfinite(offset) else -1,
        slope,
        intercept if np.isfinite(intercept) else 0.0,
        affine,
        origin,
    )


def header_bytes(grid: Grid, dtype: np.dtype[Any], *, description: str, labels: bool) -> bytes:
    """352 bytes: a NIfTI-1 header (sform and qform alike, code 1 = scanner) and no extension.

    The array is meant to follow as stored: column fastest, so i, j, k = column, row, slice.
    """
    raw = np.zeros((), dtype=np.dtype(_HEADER).newbyteorder("<"))
    columns = [2, 1, 0, 3]
    affine = (_LPS_FROM_RAS @ grid.affine)[:, columns]
    spacing = np.asarray(grid.spacing_mm)[::-1]
    raw["sizeof_hdr"] = HEADER_BYTES
    raw["regular"] = b"r"
    raw["dim"] = [3, *grid.shape[::-1], 1, 1, 1, 1]
    raw["intent_code"] = 1002 if labels else 0  # NIFTI_INTENT_LABEL
    raw["datatype"] = _CODES[dtype]
    raw["bitpix"] = 8 * dtype.itemsize
    raw["pixdim"] = [1.0, *spacing, 0.0, 0.0, 0.0, 0.0]  # first: qfac, never mirrored
    raw["vox_offset"] = 352.0
    raw["scl_slope"] = 1.0
    raw["xyzt_units"] = 2  # mm
    raw["descrip"] = description.encode("ascii", "replace")[:79]
    raw["qform_code"] = raw["sform_code"] = 1
    raw["quatern"] = _quaternion(affine[:3, :3] / spacing)
    raw["qoffset"] = affine[:3, 3]
    raw["srow"] = affine[:3]
    raw["magic"] = b"n+1"
    return raw.tobytes() + b"\0\0\0\0"


def _raw(data: bytes, name: str) -> Any:
    layout = np.dtype(_HEADER)
    if len(data) >= HEADER_BYTES:
        for swapped in (layout.newbyteorder("<"), layout.newbyteorder(">")):
            raw = np.frombuffer(data[:HEADER_BYTES], swapped)[0]
            if int(raw["sizeof_hdr"]) == HEADER_BYTES and raw["magic"] == b"n+1":
                return raw
    got = "something else"
    if data[344:347] == b"ni1":
        got = "the header of an .hdr/.img pair"
    elif data[4:8] == b"n+2\0":
        got = "NIfTI version 2"
    elif len(data) < HEADER_BYTES:
        got = f"only {len(data)} bytes"
    raise FileFormatError(
        f"NIfTI file '{name}'",
        got=got,
        expected="a single-file NIfTI-1 image (.nii or .nii.gz)",
        remedy="Give the whole file, or convert the image to .nii.gz.",
    )


def _shape(dim: list[int], name: str) -> tuple[int, int, int]:
    count = dim[0]
    sizes = dim[1 : count + 1] if 1 <= count <= 7 else []
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3 or min(sizes) < 2:
        flat = len(sizes) == 2 or (len(sizes) == 3 and min(sizes) == 1)
        what = "a 2-D image" if flat else f"{len(sizes)} axes"
        raise FileFormatError(
            f"NIfTI file '{name}', dim",
            got=f"{what}, sizes {sizes}",
            expected="a 3-D volume with at least 2 voxels along each axis",
            remedy="Give one volume; take one phase or time point out of a 4-D file first.",
        )
    return (sizes[0], sizes[1], sizes[2])


def _affine(raw: Any, name: str) -> tuple[NDArray[np.float64], str]:
    """Affine (i, j, k) -> LPS mm; the sform goes first, as in nifti1.h method 3."""
    if int(raw["sform_code"]) > 0:
        affine, origin = np.vstack([raw["srow"].astype(np.float64), [0, 0, 0, 1]]), "sform"
    elif int(raw["qform_code"]) > 0:
        affine, origin = _from_quaternion(raw), "qform"
    else:
        raise FileFormatError(
            f"NIfTI file '{name}', orientation",
            got="none (sform_code and qform_code are both 0)",
            expected="a header that says which way the axes run in the patient",
            remedy="Without it left and right are a guess; export the image again from DICOM.",
        )
    unit = _UNIT_MM.get(int(raw["xyzt_units"]) & 7, 1.0)
    affine[:3] *= unit
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(np.isfinite(affine)) or np.any(steps < 1e-6):
        raise FileFormatError(
            f"NIfTI file '{name}', {origin}",
            got="a matrix that is not finite or has an axis of no length",
            expected="three spacings above zero and a finite origin",
            remedy="Export the image again.",
        )
    unit_axes = affine[:3, :3] / steps
    shear = float(np.abs(unit_axes.T @ unit_axes - np.eye(3)).max())
    if shear > ORTHOGONAL_TOLERANCE:
        raise FileFormatError(
            f"NIfTI file '{name}', {origin}",
            got=f"axes {np.degrees(np.arcsin(min(1.0, shear))):.2f} deg off perpendicular",
            expected="perpendicular axes",
            remedy="Gantry tilt or an affine registration: resample it to an upright grid first.",
        )
    return _LPS_FROM_RAS @ affine, origin


def _from_quaternion(raw: Any) -> NDArray[np.float64]:
    b, c, d = (float(v) for v in raw["quatern"])
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < 1e-7:  # nifti1.h: a 180 degree rotation, normalise b, c, d
        norm = np.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b / norm, c / norm, d / norm
    else:
        a = float(np.sqrt(rest))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    pixdim = raw["pixdim"].astype(np.float64)
    qfac = -1.0 if pixdim[0] < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * (pixdim[1:4] * [1.0, 1.0, qfac])
    affine[:3, 3] = raw["qoffset"]
    return affine


def _quaternion(rotation: NDArray[np.float64]) -> list[float]:
    """b, c, d of a proper rotation, with a >= 0 (from the eigenvector form, stable at 180 deg)."""
    m = rotation
    k = np.array(
        [
            [m[0, 0] + m[1, 1] + m[2, 2], 0.0, 0.0, 0.0],
            [m[2, 1] - m[1, 2], m[0, 0] - m[1, 1] - m[2, 2], 0.0, 0.0],
            [m[0, 2] - m[2, 0], m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0.0],
            [m[1, 0] - m[0, 1], m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    _, vectors = np.linalg.eigh(k, UPLO="L")
    q = vectors[:, -1]
    if q[0] < 0 or (q[0] == 0 and q[np.flatnonzero(q)[0]] < 0):
        q = -q
    return [float(v) for v in q[1:]]
