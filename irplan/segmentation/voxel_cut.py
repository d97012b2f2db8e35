"""The minimum cut on the voxels of a region whose surroundings are held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.graph_cut import minimum_cut
from irplan.segmentation.morphology import Mask


def cut_voxels(
    gain: NDArray[np.floating],
    image: NDArray[np.floating],
    scale: float,
    weight: float,
    free: Mask,
    held: Mask,
) -> Mask:
    """Label the ``free`` voxels; the others keep ``held``.

    E = -sum_i gain_i x_i + weight sum_(i,j) exp(-(I_i - I_j)^2 / (2 scale^2)) [x_i != x_j] over
    voxels that share a face; ``gain`` in nats (> 0 for inside), ``image`` and ``scale`` in HU, all
    arrays (slice, row, column) of one shape.
    """
    n = int(np.count_nonzero(free))
    number = np.full(free.shape, -1, dtype=np.int64)
    number[free] = np.arange(n)
    total = gain[free].astype(np.float64)
    edges, weights = [], []
    for axis in range(3):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        contrast = (image[low] - image[high]) / scale
        price = weight * np.exp(-0.5 * contrast**2)
        for here, there in ((low, high), (high, low)):
            for label, sign in ((held[there], 1.0), (~held[there], -1.0)):
                edge = free[here] & ~free[there] & label
                total += sign * np.bincount(number[here][edge], weights=price[edge], minlength=n)
        both = free[low] & free[high]
        edges.append(np.stack([number[low][both], number[high][both]], axis=1))
        weights.append(price[both])
    out = held & ~free
    out[free] = minimum_cut(-total, np.zeros(n), np.concatenate(edges), np.concatenate(weights))
    return out
