"""Cone-beam projection and back-projection of voxels, and rays through solid cylinders."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange


@njit(cache=True, nogil=True, parallel=True, fastmath=True)
def project_pair(first, second, spacing, source, corner, step_u, step_v, out):  # type: ignore[no-untyped-def]
    """Line integrals (value x mm) of two volumes along every ray of every view.

    ``first``, ``second`` float32 (slice, row, column); all points in voxel index coordinates:
    ``source`` (V, 3), ``corner`` (V, 3) centre of pixel (0, 0), ``step_u``, ``step_v`` (V, 3) from
    one column, row of the detector to the next; ``spacing`` (3,) mm; ``out`` float32
    (2, V, rows, columns).  Joseph's method (IEEE Trans Med Imaging 1982;1:192): one bilinear sample
    at every plane of the axis that the ray runs along most.
    """
    n = first.shape
    views, rows, columns = out.shape[1:]
    a, b = first.reshape(-1), second.reshape(-1)
    stride = (n[1] * n[2], n[2], 1)
    for job in prange(views * rows):
        view = job // rows
        row = job - view * rows
        s = source[view]
        for column in range(columns):
            d0 = corner[view, 0] + column * step_u[view, 0] + row * step_v[view, 0] - s[0]
            d1 = corner[view, 1] + column * step_u[view, 1] + row * step_v[view, 1] - s[1]
            d2 = corner[view, 2] + column * step_u[view, 2] + row * step_v[view, 2] - s[2]
            length = math.sqrt(
                (d0 * spacing[0]) ** 2 + (d1 * spacing[1]) ** 2 + (d2 * spacing[2]) ** 2
            )
            a0, a1, a2 = abs(d0), abs(d1), abs(d2)
            if a0 >= a1 and a0 >= a2:
                m, p, q = 0, 1, 2
                dm, dp, dq = d0, d1, d2
            elif a1 >= a2:
                m, p, q = 1, 0, 2
                dm, dp, dq = d1, d0, d2
            else:
                m, p, q = 2, 0, 1
                dm, dp, dq = d2, d0, d1
            sm, sp, sq = s[m], s[p], s[q]
            # planes between which both other coordinates are inside by less than one voxel
            low, high = 0.0, float(n[m] - 1)
            rp, rq = dp / dm, dq / dm
            low, high = _clip(low, high, sp - rp * sm, rp, -1.0, float(n[p]))
            low, high = _clip(low, high, sq - rq * sm, rq, -1.0, float(n[q]))
            # only between source and detector
            end = sm + dm
            low, high = max(low, min(sm, end)), min(high, max(sm, end))
            k0, k1 = math.ceil(low), math.floor(high)
            sum_a, sum_b = 0.0, 0.0
            for k in range(k0, k1 + 1):
                y, x = sp + (k - sm) * rp, sq + (k - sm) * rq
                j, i = math.floor(y), math.floor(x)
                fy, fx = y - j, x - i
                at = k * stride[m] + j * stride[p] + i * stride[q]
                if 0 <= j < n[p] - 1 and 0 <= i < n[q] - 1:
                    w11 = fy * fx
                    w10, w01 = fy - w11, fx - w11
                    w00 = 1.0 - fy - w01
                    sum_a += (
                        w00 * a[at]
                        + w01 * a[at + stride[q]]
                        + w10 * a[at + stride[p]]
                        + w11 * a[at + stride[p] + stride[q]]
                    )
                    sum_b += (
                        w00 * b[at]
                        + w01 * b[at + stride[q]]
                        + w10 * b[at + stride[p]]
                        + w11 * b[at + stride[p] + stride[q]]
                    )
                else:
                    for dj in range(2):
                        for di in range(2):
                            if 0 <= j + dj < n[p] and 0 <= i + di < n[q]:
                                w = (fy if dj else 1.0 - fy) * (fx if di else 1.0 - fx)
                                here = at + dj * stride[p] + di * stride[q]
                                sum_a += w * a[here]
                                sum_b += w * b[here]
            out[0, view, row, column] = sum_a * length / abs(dm)
            out[1, view, row, column] = sum_b * length / abs(dm)


@njit(cache=True, nogil=True, inline="always")
def _clip(low, high, offset, rate, least, most):  # type: ignore[no-untyped-def]
    """The part of [low, high] in which least < offset + rate k < most."""
    if rate == 0.0:
        if least < offset < most:
            return low, high
        return 1.0, 0.0
    t0, t1 = (least - offset) / rate, (most - offset) / rate
    if t0 > t1:
        t0, t1 = t1, t0
    return max(low, t0), min(high, t1)


@njit(cache=True, nogil=True, parallel=True, fastmath=True)
def back_project(filtered, matrix, distance, image):  # type: ignore[no-untyped-def]
    """Add (distance / w)^2 x the filtered projection at every voxel's pixel to ``image``.

    ``filtered`` float32 (V, rows, columns); ``matrix`` (V, 3, 4) voxel index (slice, row, column,
    1) -> (column, row, 1) w with w the depth along the beam, mm; ``image`` float32.  Bilinear; 0
    beyond the detector (Feldkamp, Davis & Kress, J Opt Soc Am A 1984;1:612, eq. 28).
    """
    views, rows, columns = filtered.shape
    nz, ny, nx = image.shape
    for job in prange(nz * ny):
        z = job // ny
        y = job - z * ny
        line = np.zeros(nx, dtype=np.float32)
        for view in range(views):
            m = matrix[view]
            u0 = m[0, 0] * z + m[0, 1] * y + m[0, 3]
            v0 = m[1, 0] * z + m[1, 1] * y + m[1, 3]
            w0 = m[2, 0] * z + m[2, 1] * y + m[2, 3]
            du, dv, dw = m[0, 2], m[1, 2], m[2, 2]
            plane = filtered[view]
            for x in range(nx):
                inv = 1.0 / (w0 + dw * x)
                u, v = (u0 + du * x) * inv, (v0 + dv * x) * inv
                if 0.0 <= u < columns - 1 and 0.0 <= v < rows - 1:
                    i, j = int(u), int(v)
                    fu, fv = np.float32(u - i), np.float32(v - j)
                    top = plane[j, i] + fu * (plane[j, i + 1] - plane[j, i])
                    low = plane[j + 1, i] + fu * (plane[j + 1, i + 1] - plane[j + 1, i])
                    scale = distance * inv
                    line[x] += np.float32(scale * scale) * (top + fv * (low - top))
        image[z, y] += line


@njit(cache=True, nogil=True)
def chord(ox, oy, oz, dx, dy, dz, cylinder):  # type: ignore[no-untyped-def]
    """Length (mm) of the ray o + t d (d unit, t from 0) inside a solid cylinder with flat ends.

    ``cylinder``: start x, y, z, end x, y, z, radius, mm.
    """
    ax, ay, az = cylinder[0], cylinder[1], cylinder[2]
    wx, wy, wz = cylinder[3] - ax, cylinder[4] - ay, cylinder[5] - az
    height = math.sqrt(wx * wx + wy * wy + wz * wz)
    wx, wy, wz = wx / height, wy / height, wz / height
    px, py, pz = ox - ax, oy - ay, oz - az
    along_d = dx * wx + dy * wy + dz * wz
    along_p = px * wx + py * wy + pz * wz
    ex, ey, ez = dx - along_d * wx, dy - along_d * wy, dz - along_d * wz
    fx, fy, fz = px - along_p * wx, py - along_p * wy, pz - along_p * wz
    a = ex * ex + ey * ey + ez * ez
    b = ex * fx + ey * fy + ez * fz
    c = fx * fx + fy * fy + fz * fz - cylinder[6] * cylinder[6]
    low, high = 0.0, 1e9
    if a < 1e-12:
        if c > 0.0:
            return 0.0
    else:
        root = b * b - a * c
        if root <= 0.0:
            return 0.0
        root = math.sqrt(root)
        low, high = max(low, (-b - root) / a), min(high, (-b + root) / a)
    if abs(along_d) < 1e-12:
        if along_p < 0.0 or along_p > height:
            return 0.0
    else:
        t0, t1 = -along_p / along_d, (height - along_p) / along_d
        if t0 > t1:
            t0, t1 = t1, t0
        low, high = max(low, t0), min(high, t1)
    return max(0.0, high - low)


@njit(cache=True, nogil=True, parallel=True)
def project_cylinders(cylinders, matrix, source, corner, step_u, step_v, fine, out):  # type: ignore[no-untyped-def]
    """Add each ray's length in solid cylinders (mm) to ``out`` float32 (V, rows, columns).

    All in LPS mm: ``matrix`` (V, 3, 4) to pixels, ``source``, ``corner`` (pixel (0, 0)),
    ``step_u``, ``step_v`` (V, 3).  A pixel is the mean of ``fine`` x ``fine`` rays over its area.
    """
    views, rows, columns = out.shape
    for view in prange(views):
        m = matrix[view]
        for c in range(cylinders.shape[0]):
            cyl = cylinders[c]
            u_low, u_high, v_low, v_high = 1e9, -1e9, 1e9, -1e9
            for end in range(2):
                for corner_no in range(8):
                    r = cyl[6]
                    x = cyl[3 * end] + (r if corner_no & 1 else -r)
                    y = cyl[3 * end + 1] + (r if corner_no & 2 else -r)
                    z = cyl[3 * end + 2] + (r if corner_no & 4 else -r)
                    w = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                    u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / w
                    v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / w
                    u_low, u_high = min(u_low, u), max(u_high, u)
                    v_low, v_high = min(v_low, v), max(v_high, v)
            i0, i1 = max(0, int(u_low) - 1), min(columns - 1, int(u_high) + 2)
            j0, j1 = max(0, int(v_low) - 1), min(rows - 1, int(v_high) + 2)
            s = source[view]
            for j in range(j0, j1 + 1):
                for i in range(i0, i1 + 1):
                    total = 0.0
                    for b in range(fine):
                        fv = j + (b + 0.5) / fine - 0.5
                        for a in range(fine):
                            fu = i + (a + 0.5) / fine - 0.5
                            dx = (
                                corner[view, 0] + fu * step_u[view, 0] + fv * step_v[view, 0] - s[0]
                            )
                            dy = (
                                corner[view, 1] + fu * step_u[view, 1] + fv * step_v[view, 1] - s[1]
                            )
                            dz = (
                                corner[view, 2] + fu * step_u[view, 2] + fv * step_v[view, 2] - s[2]
                            )
                            inv = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
                            total += chord(s[0], s[1], s[2], dx * inv, dy * inv, dz * inv, cyl)
                    out[view, j, i] += np.float32(total / (fine * fine))


@njit(cache=True, nogil=True, parallel=True, fastmath=True)
def attenuate(paths, weight, attenuation, out):  # type: ignore[no-untyped-def]
    """Signal (0..1) behind (M, V, rows, columns) mass lengths, g/cm^2, over all energies."""
    materials, views, rows, columns = paths.shape
    bins = weight.shape[0]
    for job in prange(views * rows):
        view = job // rows
        row = job - view * rows
        for column in range(columns):
            total = 0.0
            for k in range(bins):
                p = 0.0
                for m in range(materials):
                    p += attenuation[k, m] * paths[m, view, row, column]
                total += weight[k] * math.exp(-p)
            out[view, row, column] = np.float32(total)
