"""Kernel: the structures on and around a line of labelled voxels, nearest first."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def first_steps(labels, to_index, tip, frame, step_mm, steps, ring, obstacle, first):  # type: ignore[no-untyped-def]
    """Fill ``first`` (256,) with the first step at which each obstacle is met, -1 for never.

    ``labels`` uint8 (slice, row, column); ``to_index`` (3, 4) mm to index; ``tip`` (3,) mm;
    ``frame`` (3, 3) unit rows right, up, along; ``ring`` (N, 2) mm right and up of the axis, the
    first the axis itself; ``obstacle`` (256,) bool.  Returns the label at ``tip`` (0 outside).
    """
    n0, n1, n2 = labels.shape
    first[:] = -1
    own = 0
    for r in range(ring.shape[0]):
        a0, a1, a2 = to_index[0, 3], to_index[1, 3], to_index[2, 3]
        b0, b1, b2 = 0.0, 0.0, 0.0
        for m in range(3):
            p = tip[m] + ring[r, 0] * frame[0, m] + ring[r, 1] * frame[1, m]
            d = step_mm * frame[2, m]
            a0, a1, a2 = a0 + to_index[0, m] * p, a1 + to_index[1, m] * p, a2 + to_index[2, m] * p
            b0, b1, b2 = b0 + to_index[0, m] * d, b1 + to_index[1, m] * d, b2 + to_index[2, m] * d
        for k in range(steps):
            i, j, c = round(a0 + k * b0), round(a1 + k * b1), round(a2 + k * b2)
            if 0 <= i < n0 and 0 <= j < n1 and 0 <= c < n2:
                value = labels[int(i), int(j), int(c)]
                if r == 0 and k == 0:
                    own = value
                if obstacle[value] and (first[value] < 0 or k < first[value]):
                    first[value] = k
    return own
