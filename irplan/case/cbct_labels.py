"""A cone-beam CT to plan on: what it shows, what a registered CT adds, what is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume, structure
from irplan.registration import Registration, register
from irplan.registration.transform import PointMap
from irplan.segmentation.cone_beam import ConeBeamScan

#: How far structures carried from a CT may lie off, mm: the mean target error of registration on
#: simulated scenes is 1.1 to 2.5 mm (docs/registration.md) [M].
CARRY_ERROR_MM = 2.5
#: Planning goes on this far round the cone-beam CT's box where the CT reaches, mm.
ROUND_MM = 130.0
#: Smallest voxel of the common grid, and every how many voxels the map is worked out, mm, voxels.
LEAST_VOXEL_MM, MAP_STEP = 1.0, 4
_CT_OUTSIDE = -1024.0


@dataclass(frozen=True, eq=False)
class CbctScene:
    """What is planned on: ``volume`` (HU), ``labels``, ``unknown`` (bool), all on one grid.

    Unknown voxels are "body" in ``labels``: the simulation takes them for tissue, paths do not
    take them for clear.  ``target`` is the one carried from the CT, None where none was.
    """

    volume: Volume
    labels: LabelMap
    unknown: NDArray[np.bool_]
    target: NDArray[np.bool_] | None
    notes: tuple[str, ...]


def scene_alone(scan: ConeBeamScan) -> CbctScene:
    """Of the cone-beam CT alone: body, gas, lung and bone in its field; no organ, no vessel."""
    labels = LabelMap.from_masks(
        scan.volume.grid,
        [
            (structure("body"), ~scan.room),
            (structure("gas"), scan.gas),
            (structure("lung"), scan.lung),
            (structure("bone"), scan.bone & ~scan.unclear),
        ],
    )
    note = (
        "Organs and vessels were not told apart in the cone-beam CT: give a CT (--prior-ct) or "
        "labels on its grid (--labels) to have them kept clear of."
    )
    return CbctScene(scan.volume, labels, scan.unknown, None, (*_notes(scan), note))


def scene_with_labels(scan: ConeBeamScan, labels: LabelMap) -> CbctScene:
    """With structures that were drawn on the cone-beam CT's own grid."""
    labels.grid.require_same(scan.volume.grid, field="labels")
    body = structure("body")
    array = np.where(~scan.seen & (labels.array == 0), np.uint8(body.value), labels.array)
    if not labels.checked("body"):
        raise InputError(
            "labels",
            got="no structure 'body'",
            expected="labels in which every voxel of the patient is body or a structure",
            remedy="Use the labels that irplan segment --structures all wrote.",
        )
    return CbctScene(
        scan.volume, LabelMap(array, labels.grid, labels.labels), scan.unknown, None, _notes(scan)
    )


def scene_with_ct(
    scan: ConeBeamScan,
    ct: Volume,
    ct_labels: LabelMap,
    *,
    ct_target: NDArray[np.bool_] | None = None,
    progress: Progress = no_progress,
) -> CbctScene:
    """With what a CT of the same patient shows, brought over by registration.

    Raises `RegistrationError` where the registration failed its quality report.
    """
    organ = ct_labels.mask("liver", "tumour")
    found = register(
        ct, scan.volume, organ=organ if organ.any() else None,
        progress=portion(progress, 0.0, 0.8),
    )  # fmt: skip
    found.require_usable()
    scene = carried(
        scan, ct, ct_labels, found.mapping, ct_target=ct_target,
        progress=portion(progress, 0.8, 1.0),
    )  # fmt: skip
    return CbctScene(
        scene.volume, scene.labels, scene.unknown, scene.target,
        (*scene.notes, _registration_note(found), *found.notes),
    )  # fmt: skip


def carried(
    scan: ConeBeamScan,
    ct: Volume,
    ct_labels: LabelMap,
    mapping: PointMap,
    *,
    ct_target: NDArray[np.bool_] | None = None,
    progress: Progress = no_progress,
) -> CbctScene:
    """Both scans on a grid that holds the cone-beam CT's and what the CT knows round it.

    ``mapping`` takes CT points to the cone-beam CT (LPS mm).  In the field the cone-beam CT
    decides on air of the room, gas, lung and bone (bone of the CT stays too); all else is the CT's.
    Unknown is what neither shows, and metal.
    """
    ct_labels.grid.require_same(ct.grid, field="prior labels")
    grid = _common_grid(scan, ct, mapping)
    progress(0.0, "carrying the CT over")
    index = _ct_index(grid, ct.grid, mapping)
    inside = np.all(
        (index >= -0.5) & (index <= np.asarray(ct.grid.shape)[:, None, None, None] - 0.5), axis=0
    )
    old = _nearest(ct_labels.array, index)
    there = _in_scan(grid, scan.volume.grid)
    seen = _taken(scan.seen, there)
    body = structure("body")
    lut = np.zeros(256, np.uint8)  # the CT's values -> irplan's own
    kept = ct_labels.labels
    for x in kept:
        lut[x.value] = x.value
    array = np.where(inside, lut[old], np.uint8(0))
    array[~inside & ~seen] = body.value
    names = {x.name: x for x in kept}
    for name in ("body", "gas", "lung", "bone"):
        names.setdefault(name, structure(name))
    value = {name: x.value for name, x in names.items()}
    array[seen & (array == 0)] = value["body"]
    array[~inside & ~seen] = value["body"]
    airy = np.isin(array, [value["gas"], value["lung"]]) & seen
    array[airy] = value["body"]  # air moves: in the field the cone-beam CT says where it is
    for name, mask in (("gas", scan.gas), ("lung", scan.lung), ("bone", scan.bone)):
        array[_taken(mask & ~scan.unclear, there)] = value[name]
    array[_taken(scan.room, there)] = 0
    labels = LabelMap(array, grid, tuple(names.values()))
    progress(0.6, "carrying the CT over")
    grey = _nearest(np.asarray(ct.array), index).astype(np.float32)
    grey = np.where(inside, grey, np.float32(_CT_OUTSIDE))
    grey = np.where(seen, _taken(np.asarray(scan.volume.array), there), grey)
    unknown = (~inside & ~seen) | _taken(scan.unclear, there)
    target = None
    if ct_target is not None:
        target = _nearest(ct_target, index) & inside
        if not target.any():
            raise InputError(
                "prior target",
                got="a target that lies nowhere in the common grid",
                expected="a target in or near the cone-beam CT's field",
                remedy="Check that mask, CT and cone-beam CT belong together.",
            )
    progress(1.0, "carried over")
    note = (
        f"{100 * float((seen & ~unknown).mean()):.0f} % of what is planned on was seen in the "
        f"cone-beam CT, {100 * float((inside & ~seen).mean()):.0f} % comes from the CT, "
        f"{100 * float(unknown.mean()):.0f} % is unknown. Organs, vessels and skin outside the "
        "field are the CT's."
    )
    volume = Volume(np.rint(grey).astype(np.int16), grid, "HU")
    return CbctScene(volume, labels, unknown, target, (*_notes(scan), note))


def on_grid(mask: NDArray[np.bool_], source: Grid, grid: Grid) -> NDArray[np.bool_]:
    """A mask of the cone-beam CT's grid on the common one, nearest neighbour."""
    return _taken(mask, _in_scan(grid, source))


def _notes(scan: ConeBeamScan) -> tuple[str, ...]:
    return (f"Cone-beam CT: grey values {scan.how}.", *scan.notes)


def _registration_note(found: Registration) -> str:
    rows = "; ".join(
        f"{r.name} {r.shown}"
        for r in found.quality.rows
        if r.value is not None and r.key in ("correlation", "bone", "inverse")
    )
    return f"CT brought to the cone-beam CT: registration {found.quality.status} ({rows})."


def _common_grid(scan: ConeBeamScan, ct: Volume, mapping: PointMap) -> Grid:
    """The cone-beam CT's grid grown by what the CT covers, at most `ROUND_MM`."""
    own = scan.volume.grid
    base = own if min(own.spacing_mm) >= LEAST_VOXEL_MM - 1e-6 else own.resized(LEAST_VOXEL_MM)
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in ct.grid.shape])).reshape(3, -1).T
    ends = base.lps_to_index(mapping.rigid.apply(ct.grid.index_to_lps(corners)))
    spacing, shape = np.asarray(base.spacing_mm), np.asarray(base.shape)
    most = np.floor(ROUND_MM / spacing).astype(int)
    before = np.clip(np.ceil(-ends.min(axis=0)).astype(int), 0, most)
    after = np.clip(np.ceil(ends.max(axis=0)).astype(int) - (shape - 1), 0, most)
    affine = base.affine.copy()
    affine[:3, 3] = base.index_to_lps(-before)
    nz, ny, nx = (int(v) for v in shape + before + after)
    return Grid((nz, ny, nx), affine, own.frame_of_reference_uid)


def _ct_index(grid: Grid, ct: Grid, mapping: PointMap) -> NDArray[np.float32]:
    """(3, slice, row, column) the CT's index of each voxel; the map is smooth, and interpolated."""
    coarse = [np.arange(0, n + MAP_STEP - 1, MAP_STEP) for n in grid.shape]
    points = np.stack(np.meshgrid(*coarse, indexing="ij"), axis=-1)
    mapped = ct.lps_to_index(mapping.backward(grid.index_to_lps(points)))
    at = np.meshgrid(
        *[np.arange(n, dtype=np.float32) / MAP_STEP for n in grid.shape], indexing="ij", sparse=True
    )
    out = np.empty((3, *grid.shape), np.float32)
    for plane in range(grid.shape[0]):
        where = np.broadcast_arrays(at[0][plane], at[1][0], at[2][0])
        for k in range(3):
            out[k, plane] = ndimage.map_coordinates(
                mapped[..., k], where, order=1, mode="nearest", output=np.float32
            )
    return out


def _nearest(array: NDArray[Any], index: NDArray[np.float32]) -> NDArray[Any]:
    """Values at the nearest voxels, the rim's beyond it."""
    out = np.empty(index.shape[1:], array.dtype)
    most = np.asarray(array.shape)[:, None, None] - 1
    for plane in range(out.shape[0]):
        at = np.clip(np.rint(index[:, plane]).astype(np.int64), 0, most)
        out[plane] = array[tuple(at)]
    return out


def _in_scan(grid: Grid, scan: Grid) -> tuple[NDArray[np.int64], ...]:
    """For each axis the scan's index of each layer of the common grid; -1 outside (same axes)."""
    out = []
    for axis in range(3):
        unit = np.zeros(3)
        unit[axis] = 1.0
        at = np.arange(grid.shape[axis])[:, None] * unit
        own = np.rint(scan.lps_to_index(grid.index_to_lps(at))[:, axis]).astype(np.int64)
        out.append(np.where((own >= 0) & (own < scan.shape[axis]), own, -1))
    return tuple(out)


def _taken(array: NDArray[Any], there: tuple[NDArray[np.int64], ...]) -> NDArray[Any]:
    """The scan's values on the common grid; 0 outside the scan."""
    out = array[np.ix_(*(np.maximum(a, 0) for a in there))]
    for axis, a in enumerate(there):
        np.moveaxis(out, axis, 0)[a < 0] = 0
    return out
