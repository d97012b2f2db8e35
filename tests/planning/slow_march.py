"""An independent, slow check of a needle: small steps, nearest voxel of the label map."""

from __future__ import annotations

import numpy as np

from irplan.geometry import Needle
from irplan.image import LabelMap


def structures_met(needle: Needle, labels: LabelMap, step_mm: float = 0.05) -> dict[str, float]:
    """Structure -> mm of the needle's axis in it; "outside" for label 0 and beyond the image."""
    count = int(np.ceil(needle.depth_mm / step_mm))
    depth = (np.arange(count) + 0.5) * needle.depth_mm / count
    a, b = np.array(needle.entry_mm), np.array(needle.tip_mm)
    points = a + (depth / needle.depth_mm)[:, None] * (b - a)
    inverse = np.linalg.inv(labels.grid.affine)
    index = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = np.all((index >= 0) & (index < labels.grid.shape), axis=1)
    value = np.zeros(count, dtype=int)
    value[inside] = labels.array[tuple(index[inside].T)]
    names = {x.value: x.name for x in labels.labels} | {0: "outside"}
    found, times = np.unique(value, return_counts=True)
    return {
        names[v]: float(t) * needle.depth_mm / count
        for v, t in zip(found.tolist(), times.tolist(), strict=True)
    }
