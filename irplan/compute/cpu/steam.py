"""Steam of boiling tissue on its way to the nearest tissue that is cooler, after a super-step.

The state ``v`` is that of `irplan.compute.cpu.heat_state` (padded, flat): what a voxel has taken
up as latent heat since the last call is the steam it made.  That heat is taken off the voxel and
handed from boiling voxel to boiling voxel along the shortest way (six neighbours, equal parts
where several ways are shortest) to voxels below the boiling point, which it warms up to that
point; what is left goes on from there.  So the heat in all voxels together stays the same.
``lost`` (padded) is the share of a voxel's water that has left it.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

from irplan.compute.cpu.heat_state import BOIL, SHARE, WIDTH, C

#: Rings of voxels that one call may bring to the boil; heat left then stays where it is.
_ROUNDS = 8


@njit(cache=True, nogil=True)
def boil_off(
    v: Any, lost: Any, kind: Any, tissues: Any, levels: Any, shape: Any, box: Any, rewet: Any,
    excess: Any, out: Any,
) -> int:  # fmt: skip
    """Take the latent heat off the voxels of ``box``; how many gave some, their indices in ``out``.

    ``excess`` gets each one's heat, MJ/m3; their ``lost`` rises.  Below the boiling point ``lost``
    is multiplied by ``rewet``.
    """
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    boil = levels[BOIL]
    count = 0
    for z in range(box[0], box[1]):
        for y in range(box[2], box[3]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            for x in range(box[4], box[5]):
                i = uint64(row + x)
                if v[i] <= boil:
                    lost[i] *= rewet
                    continue
                q = tissues[kind[i]]
                if q[C] <= np.float32(0.0) or q[SHARE] >= np.float32(1.0):
                    continue
                latent = min(v[i] - boil, q[WIDTH]) * (np.float32(1.0) - q[SHARE])
                v[i] -= latent
                excess[i] = latent * q[C]
                lost[i] = min(
                    np.float32(1.0),
                    lost[i] + latent / (q[WIDTH] * (np.float32(1.0) - q[SHARE])),
                )
                out[count] = i
                count += 1
    return count


@njit(cache=True, nogil=True)
def condense(
    v: Any, kind: Any, tissues: Any, levels: Any, shape: Any, excess: Any, layer: Any, queue: Any,
    count: Any,
) -> float:  # fmt: skip
    """Bring the ``excess`` of the ``count`` boiling voxels in ``queue`` to cooler ones.

    ``layer`` (int16, zero) and ``excess`` are zero again at the end.  Returns what found no
    cooler voxel and went back to where it came to rest, MJ/m3.
    """
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    steps = np.array([-1, 1, -sy, sy, -sz, sz])
    boil = levels[BOIL]
    members = queue[:count].copy()
    kept = 0.0
    for turn in range(_ROUNDS):
        for n in range(members.size):
            layer[members[n]] = -1
        # layer 1 touches cooler tissue, layer 2 touches layer 1, and so on
        order = np.empty(members.size, np.int64)
        first, end = 0, 0
        for n in range(members.size):
            for s in steps:
                j = members[n] + s
                if (
                    layer[j] == 0
                    and v[j] < boil
                    and tissues[kind[j], C] > 0.0
                    and _inside(j, shape)
                ):
                    layer[members[n]] = 1
                    order[end] = members[n]
                    end += 1
                    break
        while first < end:
            i = order[first]
            first += 1
            for s in steps:
                j = i + s
                if layer[j] == -1:
                    layer[j] = layer[i] + 1
                    order[end] = j
                    end += 1
        fresh = np.empty(6 * end, np.int64)
        got = 0
        for n in range(end - 1, -1, -1):
            i = order[n]
            if excess[i] == 0.0:
                continue
            ways = 0
            for s in steps:
                ways += 1 if _takes(i, i + s, layer, v, boil, kind, tissues, shape) else 0
            part = excess[i] / np.float32(ways)
            for s in steps:
                j = i + s
                if _takes(i, j, layer, v, boil, kind, tissues, shape):
                    if layer[j] == 0:
                        fresh[got] = j
                        got += 1
                    excess[j] += part
            excess[i] = np.float32(0.0)
        full = np.empty(got, np.int64)
        filled = 0
        for n in range(got):
            j = fresh[n]
            if excess[j] == 0.0:
                continue
            capacity = tissues[kind[j], C]
            taken = min(excess[j], max((boil - v[j]) * capacity, np.float32(0.0)))
            v[j] += taken / capacity
            excess[j] -= taken
            if excess[j] > 0.0:
                v[j] = max(v[j], boil)
                full[filled] = j
                filled += 1
        for n in range(members.size):
            layer[members[n]] = 0
        if filled == 0:
            break
        members = np.concatenate((members, full[:filled]))
        if turn == _ROUNDS - 1:
            break
    for n in range(members.size):
        i = members[n]
        if excess[i] != 0.0:
            kept += excess[i]
            v[i] += excess[i] / tissues[kind[i], C]
            excess[i] = np.float32(0.0)
    return kept


@njit(cache=True, nogil=True, inline="always")
def _takes(
    i: Any, j: Any, layer: Any, v: Any, boil: Any, kind: Any, tissues: Any, shape: Any
) -> Any:
    """Steam goes from voxel i to its neighbour j."""
    if layer[i] == 1:
        return layer[j] == 0 and v[j] < boil and tissues[kind[j], C] > 0.0 and _inside(j, shape)
    return layer[j] == layer[i] - 1


@njit(cache=True, nogil=True, inline="always")
def _inside(i: Any, shape: Any) -> Any:
    """Voxel i of the padded array lies in the grid."""
    sy = shape[2] + 2
    z, rest = divmod(i, (shape[1] + 2) * sy)
    y, x = divmod(rest, sy)
    return 1 <= z <= shape[0] and 1 <= y <= shape[1] and 1 <= x <= shape[2]
