"""The path kernel against brute force: small steps through the same voxels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.compute.cpu import rays

STEPS = 20_000


def brute_force(
    raster: NDArray[np.uint32], a: NDArray[np.float64], b: NDArray[np.float64], h: float
) -> tuple[int, int, list[float]]:
    t = (np.arange(STEPS) + 0.5) / STEPS
    index = np.floor(a + t[:, None] * (b - a) + 0.5).astype(int)
    length = float(np.linalg.norm(b - a)) * h
    inside = np.all((index >= 0) & (index < raster.shape), axis=1)
    word = np.zeros(STEPS, dtype=np.uint32)
    word[inside] = raster[tuple(index[inside].T)]
    low = word & 0xFFFF
    bits = int(np.bitwise_or.reduce(low)) | (0 if inside.all() else rays.OFF_GRID_BIT)
    step = length / STEPS

    def first(bit: int) -> float:
        hit = np.flatnonzero(low & bit)
        return float(hit[0] * step) if len(hit) else -1.0

    blocked = float(np.count_nonzero(low & rays.RULE_BITS)) * step
    target = np.flatnonzero(low & rays.TARGET_BIT)
    before = low[: target[0]] if len(target) else low
    healthy = float(np.count_nonzero(before & rays.ORGAN_BIT)) * step
    soft = int(((word >> rays.SOFT_SHIFT) & 0xFF).max())
    return bits, soft, [blocked, healthy, first(rays.ORGAN_BIT), first(rays.TARGET_BIT),
                        first(rays.OUTSIDE_BIT)]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(6, 14, 3).tolist())
    raster = np.zeros(shape, dtype=np.uint32)
    for bit in (0, 3, 10, 11, 12):
        raster[rng.random(shape) < 0.06] |= np.uint32(1 << bit)
    raster |= rng.integers(0, 256, shape).astype(np.uint32) << np.uint32(rays.SOFT_SHIFT)
    a = rng.uniform(-2.0, np.array(shape) + 1.0, (60, 3))
    b = rng.uniform(-2.0, np.array(shape) + 1.0, (60, 3))
    a[0], b[0] = (2.0, 2.0, 0.0), (2.0, 2.0, 5.0)  # along an axis, and against it
    a[1], b[1] = b[0], a[0]
    h = 1.5
    bits, soft = np.empty(60, np.uint32), np.empty(60, np.uint32)
    numbers = np.empty((60, 5), np.float32)
    rays.march_segments(raster, a, b, h, 0.0, bits, soft, numbers)
    for p in range(60):
        length = float(np.linalg.norm(b[p] - a[p])) * h
        want_bits, want_soft, want = brute_force(raster, a[p], b[p], h)
        # The kernel sees corners that a step can jump over; those are shorter than two steps.
        extra = int(bits[p]) & ~want_bits
        assert want_bits & ~int(bits[p]) == 0
        if extra == 0 and (int(soft[p]) >> 8) == want_soft:
            assert numbers[p] == pytest.approx(want, abs=12 * length / STEPS + 1e-4)
    assert sum(int(soft[p]) >> 8 for p in range(60)) > 0


def test_corner_jumps_are_rare() -> None:
    rng = np.random.default_rng(9)
    raster = (rng.random((12, 12, 12)) < 0.2).astype(np.uint32)
    a, b = rng.uniform(0, 11, (200, 3)), rng.uniform(0, 11, (200, 3))
    bits, soft = np.empty(200, np.uint32), np.empty(200, np.uint32)
    numbers = np.empty((200, 5), np.float32)
    rays.march_segments(raster, a, b, 1.0, 0.0, bits, soft, numbers)
    same = [brute_force(raster, a[p], b[p], 1.0)[0] == int(bits[p]) for p in range(200)]
    assert np.mean(same) > 0.99


def test_first_millimetres_may_be_outside() -> None:
    raster = np.zeros((1, 1, 20), dtype=np.uint32)
    raster[0, 0, :2] = rays.OUTSIDE_BIT
    bits, soft = np.empty(1, np.uint32), np.empty(1, np.uint32)
    numbers = np.empty((1, 5), np.float32)
    ends = np.array([[0.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 19.0]])
    rays.march_segments(raster, *ends, 1.0, 4.0, bits, soft, numbers)
    assert bits[0] == 0
    rays.march_segments(raster, *ends, 1.0, 0.5, bits, soft, numbers)
    assert bits[0] == rays.OUTSIDE_BIT
    assert numbers[0, 0] == pytest.approx(1.0)  # 0.5 .. 1.5 voxels less the part that is skipped


def test_nearest_voxel_of_each_group_closed_form() -> None:
    points = np.array([[0, 0, 0], [10, 0, 0], [50, 3, 4]], dtype=np.float32)
    group = np.array([0, 1, 1], dtype=np.uint8)
    half = np.array([0.5, 0.5, 0.5], dtype=np.float32)
    entry, tip = np.array([[-5.0, 3.0, 0.0]]), np.array([[40.0, 3.0, 0.0]])
    distance, index = np.full((1, 3), np.inf), np.full((1, 3), -1, dtype=np.int64)
    swept = np.full((1, 3), np.inf)
    rays.nearest_to_segments(points, group, half, entry, tip, 4.0, 0.1, distance, index, swept)
    # Boxes of 1 mm: 3 mm above the axis less half a voxel; nothing in the third group.
    assert distance[0].tolist() == pytest.approx([2.5, 2.5, np.inf])
    assert index[0].tolist() == [0, 1, -1]
    # Off by 4 mm at the tip (x = 40), by 0.1 mm less for each mm back: 0 at x = 0, 1 mm at x = 10;
    # of the second group the far point lies 10 mm beyond the tip (box 0.65 mm along the line).
    far = np.sqrt(10**2 + 4**2) - 0.5 * (10 + 4) / np.sqrt(10**2 + 4**2)
    assert swept[0].tolist() == pytest.approx([2.5, min(2.5 - 1.0, far - 4.0), np.inf])


def test_segment_gaps_closed_form_and_brute_force() -> None:
    a = np.array([[[0, 0, 0], [0, 0, 20]], [[0, 0, 0], [10, 0, 0]]], dtype=float)
    b = np.array([[[12, 0, 5], [12, 0, 30]], [[5, -3, 4], [5, 3, 4]]], dtype=float)
    out = np.empty((2, 2))
    rays.segment_gaps(a, b, out)
    assert out[0, 0] == pytest.approx(12.0)  # parallel, overlapping
    assert out[0, 1] == pytest.approx(5.0)
    assert out[1, 0] == pytest.approx(np.hypot(2.0, 5.0))
    assert out[1, 1] == pytest.approx(4.0)  # crossing above each other
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 2, 3)) * 9, rng.normal(size=(6, 2, 3)) * 9
    out = np.empty((5, 6))
    rays.segment_gaps(a, b, out)
    t = np.linspace(0, 1, 300)[:, None]
    for i in range(5):
        for j in range(6):
            p, q = a[i, 0] + t * (a[i, 1] - a[i, 0]), b[j, 0] + t * (b[j, 1] - b[j, 0])
            want = np.linalg.norm(p[:, None] - q[None], axis=-1).min()
            assert out[i, j] == pytest.approx(want, abs=0.02)
