"""What a cone-beam CT shows by itself: its field, a scale for its grey values, air, bone, metal.

Cone-beam scans of a C-arm are truncated (the skin lies outside), noisy, shaded, and their grey
values often have another scale than Hounsfield's.  Organs are not told apart here: they come from
a registered CT (`irplan.case.cbct_labels`) or are not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.errors import GridMismatchError, SegmentationError
from irplan.image import Volume
from irplan.segmentation.morphology import Mask

#: Grey values of air, of fat, and of soft tissue with some fat, HU [S].
AIR_HU, FAT_HU, SOFT_HU = -1000.0, -100.0, 30.0
#: A scale this near to Hounsfield's is left alone: slope, and shift of soft tissue in HU [S].
SLOPE_SLACK, SHIFT_SLACK_HU = 0.10, 60.0
#: The highest peak is fat's where another lies as far beyond it as soft tissue (60 to 180 HU, in
#: steps from air to fat of 900 HU) and none so far before it; of peaks of at least this share [S].
FAT_STEP, FAT_SHARE = (0.07, 0.20), 0.15
#: Edges on the smoothed scan: air, lung's mean, bone (or contrast), metal.  HU.
AIR_EDGE_HU, LUNG_HU, BONE_EDGE_HU, METAL_HU = -350.0, (-900.0, -500.0), 200.0, 2000.0
#: Smoothing, and how far round metal streaks spoil the grey values, mm.
SMOOTH_MM, STREAK_MM = 1.2, 8.0
#: Air of the room: at least so large, so empty, and open to the side of the field over this area.
#: Bowel gas that the field cuts off is smaller; what is in doubt counts as gas, never as skin.
ROOM_ML, ROOM_HU, ROOM_OPEN_MM2 = 30.0, -850.0, 2000.0
#: Smallest specks that are kept, ml; lungs hold more than this.
GAS_ML, BONE_ML, LUNG_ML = 0.03, 0.2, 50.0
OUTSIDE_HU = -1024


@dataclass(frozen=True, eq=False)
class ConeBeamScan:
    """A cone-beam CT brought to HU, with what can be told without anatomy; all on its grid.

    ``volume`` int16, -1024 outside ``seen`` (bool: reconstructed).  ``room`` is air outside the
    body, ``gas``, ``lung`` and ``bone`` lie in ``body``; ``unclear`` is metal and where its streaks
    make grey values worthless.  HU = ``slope`` x grey + ``shift_hu``; ``how`` says whence.
    """

    volume: Volume
    seen: Mask
    body: Mask
    room: Mask
    gas: Mask
    lung: Mask
    bone: Mask
    unclear: Mask
    slope: float
    shift_hu: float
    how: str
    notes: tuple[str, ...]

    @property
    def unknown(self) -> Mask:
        """What nobody has seen: outside the field, or spoilt by metal."""
        return ~self.seen | self.unclear


def read_cone_beam(grey: Volume, *, field: NDArray[np.bool_] | None = None) -> ConeBeamScan:
    """Field, scale and plain structures of a cone-beam CT with grey values of any linear scale.

    ``field`` (bool, the scan's grid) says what was reconstructed; without it, it is where the grey
    value differs from the one constant that fills the corners.  The scale comes from two peaks of
    the histogram, air and fat or soft tissue; a scan that is in HU already keeps its values.

    Raises `GridMismatchError` for a field on another grid, `SegmentationError` for a scan without
    contrast, or whose scale cannot be found (no air in the field).
    """
    if field is not None and field.shape != grey.grid.shape:
        raise GridMismatchError(
            "field",
            got=f"{field.shape} voxels",
            expected=f"the scan's {grey.grid.shape} voxels (slice, row, column)",
            remedy="Make the mask on the grid of the cone-beam CT.",
        )
    seen, notes = _field(grey, field)
    if not seen.any() or np.ptp(grey.array[seen]) == 0:
        raise SegmentationError(
            "cone-beam CT",
            got="one grey value everywhere",
            expected="a scan of a body",
            remedy="Check that it is the right series.",
        )
    spacing = np.asarray(grey.grid.spacing_mm)
    smooth = _smoothed(np.asarray(grey.array, np.float32), seen, SMOOTH_MM / spacing)
    slope, shift, how = _scale(smooth[seen])
    hu = np.where(seen, np.clip(np.rint(slope * grey.array + shift), -1023, 32000), OUTSIDE_HU)
    smooth = slope * smooth + shift
    ml = grey.grid.voxel_volume_mm3 / 1000.0
    metal = seen & (hu > METAL_HU)
    unclear = np.zeros_like(seen)
    if metal.any():
        far = ndimage.distance_transform_edt(~metal, sampling=spacing)
        unclear = seen & (far <= STREAK_MM)
        notes.append(
            f"Metal in the scan: {unclear.sum() * ml:.0f} ml round it are taken as unknown."
        )
    air = seen & (smooth < AIR_EDGE_HU)
    room, lung, gas = _air(air, smooth, seen, spacing, ml)
    body = seen & ~room
    bone = _specks(body & (smooth > BONE_EDGE_HU), BONE_ML, ml)
    if not room.any():
        notes.append("No air of the room in the field: the skin lies outside it.")
    return ConeBeamScan(
        Volume(hu.astype(np.int16), grey.grid, "HU"),
        seen, body, room, gas & body, lung & body, bone, unclear, slope, shift, how, tuple(notes),
    )  # fmt: skip


def _field(grey: Volume, given: NDArray[np.bool_] | None) -> tuple[Mask, list[str]]:
    if given is not None:
        return given.astype(bool, copy=True), []
    array = np.asarray(grey.array)
    corners = array[np.ix_(*[(0, n - 1) for n in array.shape])].reshape(-1)
    value, count = np.unique(corners, return_counts=True)
    fill = value[int(np.argmax(count))]
    same = array == fill
    if count.max() < 4 or same.mean() < 0.005:
        note = "Nothing in the scan is padded: all of it is taken as seen, the body ends with it."
        return np.ones(array.shape, bool), [note]
    parts, _ = ndimage.label(same)
    border = np.unique(np.concatenate([parts.take(k, axis=a).reshape(-1) for a in range(3)
                                       for k in (0, -1)]))  # fmt: skip
    padding = np.isin(parts, border[border > 0])
    # Single voxels of the same value beside the padding are noise of the scan.
    seen = ndimage.binary_opening(ndimage.binary_fill_holes(~padding), iterations=1)
    share = 100.0 * float(seen.mean())
    return np.asarray(seen), [f"{share:.0f} % of the scan's box was reconstructed (its field)."]


def _smoothed(
    array: NDArray[np.float32], seen: Mask, sigma: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Gaussian mean over the seen voxels alone (normalised convolution)."""
    weight = ndimage.gaussian_filter(seen.astype(np.float32), sigma, truncate=3.0)
    total = ndimage.gaussian_filter(np.where(seen, array, np.float32(0.0)), sigma, truncate=3.0)
    return np.asarray(total / np.maximum(weight, np.float32(1e-3)), np.float32)


def _scale(values: NDArray[np.float32]) -> tuple[float, float, str]:
    """Slope and shift to HU from the peaks of air and of fat or soft tissue."""
    some = values[:: max(1, len(values) // 400_000)]
    low, high = (float(v) for v in np.percentile(some, [0.2, 99.5]))
    counts, edges = np.histogram(some, bins=200, range=(low, high))
    counts = ndimage.gaussian_filter1d(counts.astype(np.float64), 2.0)
    middle = 0.5 * (edges[1:] + edges[:-1])

    def at(k: int) -> float:
        near = slice(max(0, k - 4), k + 5)  # the peak to a fraction of a bin
        return float(np.average(middle[near], weights=counts[near]))

    peaks = [k for k in range(1, 199) if counts[k] >= counts[k - 1] and counts[k] > counts[k + 1]]
    peaks = [k for k in (0, *peaks, 199) if counts[k] >= 0.0005 * counts.sum()]
    soft = max(peaks, key=lambda k: counts[k] * (1.0 if k > 40 else 0.25), default=199)
    darker = [k for k in peaks if k < soft and counts[k:soft].min() < 0.3 * counts[k]]
    tissue, known_hu, name = at(soft), SOFT_HU, "soft tissue"
    if darker and tissue - at(darker[0]) > 0.3 * (high - low):
        air = at(darker[0])
        large = (k for k in peaks if counts[k] >= FAT_SHARE * counts[soft])
        steps = [(at(k) - tissue) / (tissue - air) for k in large]
        beyond = any(FAT_STEP[0] <= s <= FAT_STEP[1] for s in steps)
        if beyond and not any(FAT_STEP[0] <= -s <= FAT_STEP[1] for s in steps):
            known_hu, name = FAT_HU, "fat"
        slope = (known_hu - AIR_HU) / (tissue - air)
        found = f"air {air:.0f}, {name} {tissue:.0f}"
        if abs(1.0 / slope - 1.0) <= SLOPE_SLACK and abs(tissue - known_hu) <= SHIFT_SLACK_HU:
            return 1.0, 0.0, f"in HU as it is ({found})"
        shift = known_hu - slope * tissue
        return slope, shift, f"HU = {slope:.4g} x grey {shift:+.0f} ({found})"
    if abs(tissue - SOFT_HU) <= SHIFT_SLACK_HU and low > -1100.0:
        return 1.0, 0.0, f"taken as HU unproved: no air in the field, soft tissue {tissue:.0f}"
    raise SegmentationError(
        "cone-beam CT",
        got=f"grey values from {low:.0f} to {high:.0f} and no air in the field to scale them by",
        expected="Hounsfield units, or a field that holds air or gas as well as soft tissue",
        remedy="Export the scan in HU, or choose a field that reaches the skin or bowel gas.",
    )


def _air(
    air: Mask,
    smooth: NDArray[np.float32],
    seen: Mask,
    spacing: NDArray[np.float64],
    ml: float,
) -> tuple[Mask, Mask, Mask]:
    """Air of the room, lung, gas; what is in doubt is gas."""
    parts, count = ndimage.label(air)
    if not count:
        return np.zeros_like(air), np.zeros_like(air), np.zeros_like(air)
    size = np.bincount(parts.reshape(-1), minlength=count + 1) * ml
    mean = np.bincount(parts.reshape(-1), smooth.reshape(-1), count + 1) * ml
    mean /= np.maximum(size, 1e-9)
    # Voxels that open to the side: a neighbour in the slice is outside the field or the image.
    beside = np.zeros_like(seen)
    for axis in (1, 2):
        here, there = np.moveaxis(beside, axis, 0), np.moveaxis(~seen, axis, 0)
        here[1:] |= there[:-1]
        here[:-1] |= there[1:]
        here[[0, -1]] = True
    open_mm2 = np.bincount(parts[beside & air], minlength=count + 1) * spacing[0] * spacing[1]
    room = (size >= ROOM_ML) & (mean < ROOM_HU) & (open_mm2 >= ROOM_OPEN_MM2)
    room[0] = False
    lung = ~room & (size >= LUNG_ML) & (mean > LUNG_HU[0]) & (mean < LUNG_HU[1])
    lung[0] = False
    gas = ~room & ~lung & (size >= GAS_ML)
    gas[0] = False
    return room[parts], lung[parts], gas[parts]


def _specks(mask: Mask, least_ml: float, ml: float) -> Mask:
    parts, count = ndimage.label(mask)
    keep = np.bincount(parts.reshape(-1), minlength=count + 1) * ml >= least_ml
    keep[0] = False
    out: Mask = keep[parts]
    return out
