"""The target mask: checked in words before anything is planned on it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid, as_point
from irplan.image import LabelMap
from irplan.planning.distance import bounding_box
from irplan.planning.plan import Target

#: A target smaller than this is a stray voxel, larger than this no ablation target, ml.
SMALLEST_ML = 0.005
LARGEST_ML = 500.0
#: Most of the target that may lie outside the body (rounding of its edge).
OUTSIDE_FRACTION = 0.02
#: Most of the target that may lie in these: no energy can be brought there by the models at hand.
MOST_IN = {"gas": 0.25, "lung": 0.9, "bone": 0.5}


def as_target_mask(
    target_mask: NDArray[Any], grid: Grid, *, field: str = "target mask"
) -> NDArray[np.bool_]:
    """``target_mask`` as bool on ``grid``; ``field`` is its name in errors.

    Raises `GridMismatchError` for another shape and `InputError` for an empty mask or one that is
    no mask (more values than two).
    """
    array = np.asarray(target_mask)
    if array.shape != grid.shape:
        raise GridMismatchError(
            field,
            got=f"{array.shape} voxels",
            expected=f"the image's {grid.shape} voxels (slice, row, column)",
            remedy="Resample the mask onto the image's grid; irplan never does so silently.",
        )
    if array.dtype != np.bool_:
        finite = array.dtype.kind != "f" or bool(np.all(np.isfinite(array)))
        values = np.unique(array) if finite else np.empty(0)
        if not finite or len(values) > 2:
            raise InputError(
                field,
                got=f"{len(values)} different values" if finite else "NaN or infinite values",
                expected="two values: 0 outside the target, another inside",
                remedy="Choose the one label that is the target and give its mask.",
            )
        array = array != 0
    if not array.any():
        raise InputError(
            field,
            got="no voxel set",
            expected="a target of at least one voxel",
            remedy="Check that the mask belongs to this image and holds the target's label.",
        )
    return array.astype(bool, copy=False)


def component_of(target: NDArray[np.bool_], number: int, grid: Grid) -> NDArray[np.bool_]:
    """One of the target's separate parts, counted from 1, the largest first.

    Raises `InputError` with the parts' sizes for a number that is none of them.
    """
    from scipy import ndimage

    parts, count = ndimage.label(target, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    order = np.argsort(-sizes, kind="stable")
    if not 1 <= number <= count:
        volumes = ", ".join(f"{sizes[k] * grid.voxel_volume_mm3 / 1000.0:.2f}" for k in order[:8])
        raise InputError(
            "component",
            got=f"{number}",
            expected=f"1 to {count}: the parts hold {volumes} ml",
            remedy="Give one of these numbers, or leave it out to plan for all of them together.",
        )
    out: NDArray[np.bool_] = parts == 1 + int(order[number - 1])
    return out


def check_target(labels: LabelMap, target: NDArray[np.bool_]) -> tuple[str, ...]:
    """Messages on the target that the user should know; `InputError` where no plan makes sense.

    Raised: outside the body, larger than 500 ml, smaller than 0.005 ml, at the image's edge.
    Told: several components (all are planned for), target touching the skin.
    """
    from scipy import ndimage

    box = bounding_box(target)
    if box is None:
        raise InputError(
            "target mask",
            got="no voxel set",
            expected="a target of at least one voxel",
            remedy="Check that the mask belongs to this image.",
        )
    inside = target[box]
    volume = float(inside.sum()) * labels.grid.voxel_volume_mm3 / 1000.0
    outside = float(np.count_nonzero(inside & (labels.array[box] == 0))) / float(inside.sum())
    if outside > OUTSIDE_FRACTION:
        raise InputError(
            "target",
            got=f"{100.0 * outside:.0f} % of it outside the body",
            expected="a target inside the body",
            remedy="Check the position (LPS mm: x to the left, y to the back, z to the head) "
            "and that mask and image belong together.",
        )
    for name in ("gas", "lung", "bone"):
        if labels.checked(name):
            share = float((inside & (labels.array[box] == labels.label(name).value)).sum()) / float(
                inside.sum()
            )
            if share > MOST_IN[name]:
                raise InputError(
                    "target",
                    got=f"{100.0 * share:.0f} % of it in {name}",
                    expected=f"a target in soft tissue (at most {100 * MOST_IN[name]:.0f} % in "
                    f"{name})",
                    remedy="Check the position (LPS mm) and the segmentation of that structure.",
                )
    if not SMALLEST_ML <= volume <= LARGEST_ML:
        raise InputError(
            "target",
            got=f"a volume of {volume:.3g} ml",
            expected=f"{SMALLEST_ML:g} to {LARGEST_ML:g} ml",
            remedy="Check that the mask holds the target and nothing else.",
        )
    messages = []
    edges = [
        b.start == 0 or b.stop == n for b, n in zip(box, labels.grid.shape, strict=True) if n > 1
    ]
    if any(edges):
        messages.append(
            "The target touches the edge of the image: what lies beyond is unknown and is not "
            "part of the plan."
        )
    _, count = ndimage.label(inside, structure=np.ones((3, 3, 3)))
    if count > 1:
        messages.append(
            f"The target mask has {count} separate parts; all of them are planned for together. "
            "Name one to plan it alone (--component 1 is the largest)."
        )
    grown = np.pad(inside, 1)
    around = tuple(slice(max(0, b.start - 1), b.stop + 1) for b in box)
    near = ndimage.binary_dilation(grown)
    trimmed = tuple(
        slice(1 if b.start == 0 else 0, near.shape[a] - (1 if b.stop == n else 0))
        for a, (b, n) in enumerate(zip(box, labels.grid.shape, strict=True))
    )
    if bool(np.any(near[trimmed] & (labels.array[around] == 0))):
        messages.append("The target touches the skin: its margin there lies outside the body.")
    return tuple(messages)


def describe_target(target: NDArray[np.bool_], grid: Grid, source: str) -> Target:
    """Centroid, volume and equivalent diameter of the mask."""
    index = np.argwhere(target)
    volume = len(index) * grid.voxel_volume_mm3
    return Target(
        as_point(grid.index_to_lps(index.mean(axis=0)), field="target.centroid_mm"),
        volume / 1000.0,
        2.0 * (3.0 * volume / (4.0 * math.pi)) ** (1.0 / 3.0),
        source,
    )
