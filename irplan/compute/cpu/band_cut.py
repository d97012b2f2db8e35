"""The cut in a band of voxels: which voxels are in it, and the two-label energy's minimum there."""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True, nogil=True)
def seg_band(depth, matrix, shape, reach):  # type: ignore[no-untyped-def]
    """Number the voxels of a fine grid whose depth is within ``reach`` of the surface.

    ``depth`` float32, a signed distance (negative inside) on a coarse grid; ``matrix`` (3, 4)
    float64 from fine to coarse indices; ``shape`` int64 (3,) of the fine box.  Returns int32
    ``number`` (box: >= 0 in the band, -1 outside of it, -2 inside), int32 (n, 3) indices and
    float32 (n,) depths of the band's voxels.  Trilinear; coarse borders are held.
    """
    nz, ny, nx = depth.shape
    number = np.empty((shape[0], shape[1], shape[2]), dtype=np.int32)
    room = 1024
    where = np.empty((room, 3), dtype=np.int32)
    deep = np.empty(room, dtype=np.float32)
    n = 0
    for k in range(shape[0]):
        for j in range(shape[1]):
            for i in range(shape[2]):
                z = matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i + matrix[0, 3]
                y = matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i + matrix[1, 3]
                x = matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i + matrix[2, 3]
                z = min(max(z, 0.0), nz - 1.0)
                y = min(max(y, 0.0), ny - 1.0)
                x = min(max(x, 0.0), nx - 1.0)
                a, b, c = min(int(z), nz - 2), min(int(y), ny - 2), min(int(x), nx - 2)
                fz, fy, fx = z - a, y - b, x - c
                near = (1 - fy) * ((1 - fx) * depth[a, b, c] + fx * depth[a, b, c + 1]) + fy * (
                    (1 - fx) * depth[a, b + 1, c] + fx * depth[a, b + 1, c + 1]
                )
                far = (1 - fy) * (
                    (1 - fx) * depth[a + 1, b, c] + fx * depth[a + 1, b, c + 1]
                ) + fy * ((1 - fx) * depth[a + 1, b + 1, c] + fx * depth[a + 1, b + 1, c + 1])
                value = (1 - fz) * near + fz * far
                if value > reach:
                    number[k, j, i] = -1
                elif value < -reach:
                    number[k, j, i] = -2
                else:
                    if n == room:
                        room *= 2
                        more = np.empty((room, 3), dtype=np.int32)
                        longer = np.empty(room, dtype=np.float32)
                        for m in range(n):  # assigned slices take numba a second to compile
                            more[m, 0], more[m, 1] = where[m, 0], where[m, 1]
                            more[m, 2], longer[m] = where[m, 2], deep[m]
                        where, deep = more, longer
                    number[k, j, i] = n
                    where[n, 0], where[n, 1], where[n, 2] = k, j, i
                    deep[n] = value
                    n += 1
    return number, where[:n].copy(), deep[:n].copy()


@njit(cache=True, nogil=True, parallel=True)
def seg_sample(image, where, blur, fields, matrix):  # type: ignore[no-untyped-def]
    """The blurred image and coarse fields at voxels ``where`` of a fine box.

    ``image`` float32, the box; ``where`` int32 (n, 3); ``blur`` float32 (3, 2 r + 1) weights of
    a separable kernel along each axis (zero where shorter); ``fields`` float32 (f, coarse
    shape); ``matrix`` as in `seg_band`.  Returns float32 (1 + f, n).
    """
    n = where.shape[0]
    count, nz, ny, nx = fields.shape
    reach = blur.shape[1] // 2
    out = np.empty((1 + count, n), dtype=np.float32)
    for m in prange(n):
        k, j, i = where[m, 0], where[m, 1], where[m, 2]
        total = 0.0
        for dk in range(-reach, reach + 1):
            wk = blur[0, dk + reach]
            if wk == 0.0:
                continue
            kk = min(max(k + dk, 0), image.shape[0] - 1)
            for dj in range(-reach, reach + 1):
                wj = wk * blur[1, dj + reach]
                if wj == 0.0:
                    continue
                jj = min(max(j + dj, 0), image.shape[1] - 1)
                for di in range(-reach, reach + 1):
                    ii = min(max(i + di, 0), image.shape[2] - 1)
                    total += wj * blur[2, di + reach] * image[kk, jj, ii]
        out[0, m] = total
        z = matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i + matrix[0, 3]
        y = matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i + matrix[1, 3]
        x = matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i + matrix[2, 3]
        z = min(max(z, 0.0), nz - 1.0)
        y = min(max(y, 0.0), ny - 1.0)
        x = min(max(x, 0.0), nx - 1.0)
        a, b, c = min(int(z), nz - 2), min(int(y), ny - 2), min(int(x), nx - 2)
        fz, fy, fx = z - a, y - b, x - c
        for f in range(count):
            value = 0.0
            for dz in range(2):
                wz = fz if dz else 1.0 - fz
                for dy in range(2):
                    wy = fy if dy else 1.0 - fy
                    for dx in range(2):
                        wx = fx if dx else 1.0 - fx
                        value += wz * wy * wx * fields[f, a + dz, b + dy, c + dx]
            out[1 + f, m] = value
    return out


@njit(cache=True, nogil=True)
def seg_outward(number, where, order, depth, score):  # type: ignore[no-untyped-def]
    """Least score met on the way out of the inside: what lies behind an edge is outside too.

    ``order`` int64 (n,) sorts ``depth`` upwards.  score[m] becomes the smaller of itself and the
    best of its face neighbours that lie deeper (the inside counts 1).  In place.
    """
    shape = number.shape
    for at in range(order.size):
        m = order[at]
        best = np.float32(-2.0)
        for a in range(6):
            k, j, i = where[m, 0], where[m, 1], where[m, 2]
            step = 1 if a % 2 else -1
            if a < 2:
                k += step
            elif a < 4:
                j += step
            else:
                i += step
            if k < 0 or j < 0 or i < 0 or k >= shape[0] or j >= shape[1] or i >= shape[2]:
                continue
            other = number[k, j, i]
            if other == -2:
                best = np.float32(1.0)
            elif other >= 0 and depth[other] < depth[m] and score[other] > best:
                best = score[other]
        if best > -2.0 and best < score[m]:
            score[m] = best


@njit(cache=True, nogil=True, parallel=True)
def seg_convex_cut(number, where, gain, start, spacing, weight, rounds):  # type: ignore[no-untyped-def]
    """Minimise ``weight`` |grad u| - gain u over u in 0..1 on the band's voxels (primal-dual).

    ``number``, ``where`` as of `seg_band`; ``gain`` float32 (n,), per mm^3, for the inside;
    ``start`` float32 (n,) the first u; ``spacing`` float64 (3,) mm; ``weight`` per mm^2;
    ``rounds`` of Chambolle and Pock's iteration (J Math Imaging Vis 40 (2011) 120, algorithm 1,
    theta = 1).  Neighbours outside of the band leave the gradient 0: the outermost voxels must
    be held by a large gain.  Returns u float32 (n,).  Jacobi steps: the result does not depend
    on the number of threads.
    """
    n = where.shape[0]
    shape = number.shape
    ahead = np.empty((n, 3), dtype=np.int32)
    behind = np.empty((n, 3), dtype=np.int32)
    for m in prange(n):
        for a in range(3):
            k, j, i = where[m, 0], where[m, 1], where[m, 2]
            if a == 0:
                k += 1
            elif a == 1:
                j += 1
            else:
                i += 1
            inside = k < shape[0] and j < shape[1] and i < shape[2]
            ahead[m, a] = number[k, j, i] if inside else -1
            k, j, i = where[m, 0], where[m, 1], where[m, 2]
            if a == 0:
                k -= 1
            elif a == 1:
                j -= 1
            else:
                i -= 1
            behind[m, a] = number[k, j, i] if k >= 0 and j >= 0 and i >= 0 else -1
    hz, hy, hx = np.float32(1 / spacing[0]), np.float32(1 / spacing[1]), np.float32(1 / spacing[2])
    step = np.float32(1.0 / np.sqrt(4.0 * (hz * hz + hy * hy + hx * hx)))
    top = np.float32(weight)
    one, none = np.float32(1.0), np.float32(0.0)
    u = start.copy()
    lead = start.copy()
    p = np.zeros((n, 3), dtype=np.float32)
    for _ in range(rounds):
        for m in prange(n):
            here = lead[m]
            z, y, x = ahead[m, 0], ahead[m, 1], ahead[m, 2]
            pz = p[m, 0] + step * hz * (lead[z] - here) if z >= 0 else none
            py = p[m, 1] + step * hy * (lead[y] - here) if y >= 0 else none
            px = p[m, 2] + step * hx * (lead[x] - here) if x >= 0 else none
            size = np.sqrt(pz * pz + py * py + px * px)
            shrink = one if size <= top else top / size
            p[m, 0], p[m, 1], p[m, 2] = pz * shrink, py * shrink, px * shrink
        for m in prange(n):
            z, y, x = behind[m, 0], behind[m, 1], behind[m, 2]
            flow = hz * p[m, 0] + hy * p[m, 1] + hx * p[m, 2]
            if z >= 0:
                flow -= hz * p[z, 0]
            if y >= 0:
                flow -= hy * p[y, 1]
            if x >= 0:
                flow -= hx * p[x, 2]
            old = u[m]
            new = min(max(old + step * (flow + gain[m]), none), one)
            u[m] = new
            lead[m] = new + new - old
    return u
