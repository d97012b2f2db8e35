"""Targets to plan on: a real liver, real kidney tumours in generated bodies, generated livers."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan.files import read_volume
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume, structure
from irplan.phantom import TumourSpec, abdominal_ct
from irplan.planning.distance import bounding_box

#: Tumours of 3D-IRCADb-01 patient 1 that the issue names, and the KiTS19 cases.
IRCAD = ("02", "03", "05", "06", "07")
KITS = ("00003", "00010", "00015", "00023", "00041", "00077", "00129", "00152")
#: Voxel (slice, row, column) of generated bodies, mm.
BODY_MM = (2.0, 1.2, 1.2)
#: A kidney mask takes the place of these in the generated body.
_GIVES_WAY = ("body", "fat", "muscle", "kidney_left", "kidney_right")


@dataclass(frozen=True, eq=False)
class Case:
    """Image, structures and target (bool on the image's grid) of one case."""

    name: str
    volume: Volume
    labels: LabelMap
    target: NDArray[np.bool_]


def ircad_cases(data: Path, names: tuple[str, ...] = IRCAD) -> Iterator[Case]:
    """Tumours of the real liver; structures by irplan's own segmentation, once a tumour."""
    from irplan.case.open import open_image_and_notes, open_mask_and_notes
    from irplan.segmentation import segment_abdomen

    folder = data / "ircadb01_p1"
    volume, _ = open_image_and_notes(folder / "PATIENT_DICOM")
    with (
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(folder / "MASKS_DICOM.zip") as archive,
    ):
        for name in names:
            wanted = f"livertumor{name}"
            for member in archive.namelist():
                if member.split("/")[1] == wanted:
                    archive.extract(member, scratch)
            mask, _ = open_mask_and_notes(Path(scratch) / "MASKS_DICOM" / wanted, volume.grid)
            found = segment_abdomen(volume, target_mask=mask)
            yield Case(f"ircad {name}", volume, found.labels, mask)


def kits_cases(data: Path, names: tuple[str, ...] = KITS) -> Iterator[Case]:
    """Real kidneys with their tumours, each in a generated body in the place of its kidney.

    The mask is moved rigidly so that its kidney's middle lies where the body's own kidney of that
    side was; voxels of other organs, vessels and bone keep what they are.  The body's seed is the
    case's number.
    """
    for name in names:
        mask = read_volume(data / "kits19_masks" / f"case_{name}" / "segmentation.nii.gz")
        kidney, tumour = _one_kidney(np.asarray(mask.array), mask.grid)
        body = abdominal_ct(int(name), spacing_mm=BODY_MM, tumours=(), table=False)
        labels, target = _with_kidney(body.labels, mask.grid, kidney, tumour)
        yield Case(f"kits {name}", body.volume, labels, target)


def liver_cases(seeds: tuple[int, ...], diameter_mm: float = 22.0) -> Iterator[Case]:
    """Generated livers with one tumour each; structures as generated."""
    for seed in seeds:
        body = abdominal_ct(seed, spacing_mm=BODY_MM, tumours=(TumourSpec(diameter_mm),))
        yield Case(f"liver {seed}, {diameter_mm:g} mm", body.volume, body.labels,
                   body.labels.mask("tumour"))  # fmt: skip


def _one_kidney(
    mask: NDArray[np.floating], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LPS points of the largest tumour's voxels, and of the kidney on its side."""
    from scipy.ndimage import label

    parts, count = label(mask == 2, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1 : count + 1]
    tumour = grid.index_to_lps(np.argwhere(parts == 1 + int(np.argmax(sizes))))
    kidneys, count = label(mask > 0, structure=np.ones((3, 3, 3)))
    own = np.bincount(kidneys[parts == 1 + int(np.argmax(sizes))]).argmax()
    return grid.index_to_lps(np.argwhere(kidneys == own)), tumour


def _with_kidney(
    labels: LabelMap, grid: Grid, kidney: NDArray[np.float64], tumour: NDArray[np.float64]
) -> tuple[LabelMap, NDArray[np.bool_]]:
    """The body with its kidney of the tumour's side replaced, and the target on its grid."""
    # The side is that of the whole picture's middle: LPS x grows to the patient's left.
    middle = grid.index_to_lps((np.array(grid.shape) - 1) / 2.0)
    name = "kidney_left" if kidney.mean(axis=0)[0] > middle[0] else "kidney_right"
    own = labels.mask(name)
    home = labels.grid.index_to_lps(np.argwhere(own)).mean(axis=0)
    shift = home - kidney.mean(axis=0)
    give = labels.mask(*_GIVES_WAY)
    array = labels.array.copy()
    array[own] = labels.label("body").value
    both = np.zeros(labels.grid.shape, bool)
    masks = []
    for points in (kidney, tumour):
        inside = _resampled(points, grid, labels.grid, shift)
        masks.append(inside & give)
        both |= masks[-1]
    array[masks[0]] = labels.label(name).value
    out = LabelMap(array, labels.grid, labels.labels)
    return out.with_mask(structure("tumour"), masks[1]), masks[1]


def _resampled(
    points: NDArray[np.float64], grid: Grid, to: Grid, shift: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Voxels of ``to`` whose centre, moved back by ``shift``, lies in a voxel of the points."""
    index = np.rint(grid.lps_to_index(points)).astype(np.int64)
    source = np.zeros(grid.shape, bool)
    source[tuple(index.T)] = True
    out = np.zeros(to.shape, bool)
    low = np.floor(to.lps_to_index(points + shift).min(axis=0)).astype(int) - 1
    high = np.ceil(to.lps_to_index(points + shift).max(axis=0)).astype(int) + 2
    low, high = np.maximum(low, 0), np.minimum(high, to.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    local = np.moveaxis(np.indices(tuple(high - low)), 0, -1) + low
    at = np.rint(grid.lps_to_index(to.index_to_lps(local) - shift)).astype(np.int64)
    fits = np.all((at >= 0) & (at < grid.shape), axis=-1)
    at = np.clip(at, 0, np.array(grid.shape) - 1)
    out[box] = source[tuple(np.moveaxis(at, -1, 0))] & fits
    return out


def describe(case: Case) -> str:
    """Size and extent of the target in a few words."""
    box = bounding_box(case.target)
    assert box is not None
    size = [(s.stop - s.start) * h for s, h in zip(box, case.labels.grid.spacing_mm, strict=True)]
    volume = case.target.sum() * case.labels.grid.voxel_volume_mm3 / 1000.0
    return f"{volume:.1f} ml, {size[2]:.0f} x {size[1]:.0f} x {size[0]:.0f} mm"
