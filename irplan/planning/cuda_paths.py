"""Paths of entries on a device: `kernels/rays.cu` launched with the arguments of its CPU twin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.compute.device import Device
from irplan.errors import BackendError

#: Threads of a block (BLOCK in the source).
BLOCK = 64
#: Paths of a set of launches at most: 60 bytes each on the device.
PATHS = 8_000_000


def paths_on_device(
    device: Device, inputs: tuple[object, ...], outputs: tuple[NDArray[np.generic], ...]
) -> None:
    """Fill ``outputs`` on ``device``: see `irplan.compute.cpu.rays.paths_of_entries` for both.

    Raises `BackendError` where the raster has more voxels than the kernel's 32-bit indices hold.
    """
    words, organ, organ_step, entry, tip, frame, limits, weights, group_mm = inputs
    arrays = [np.ascontiguousarray(a) for a in (words, organ, entry, tip, frame, limits, weights)]
    words, organ, entry, tip = arrays[:4]
    if max(words.size, organ.size) >= 2**31:
        raise BackendError(
            "raster",
            got=f"{words.size} voxels",
            expected="fewer than 2^31",
            remedy="Use a coarser raster, or backend='cpu'.",
        )
    if not len(entry) or not len(tip):
        return
    settings = np.concatenate(
        [a.reshape(-1) for a in (*arrays[4:], np.ascontiguousarray(group_mm))]
    ).astype(np.float64)
    there = [device.upload(a) for a in (words, organ, tip, settings)]
    per_launch = max(1, PATHS // len(tip))
    for first in range(0, len(entry), per_launch):
        part = slice(first, first + per_launch)
        own = [np.ascontiguousarray(a[part]) for a in outputs]
        _launch(device, there, entry[part], (words.shape, organ.shape, len(tip)), organ_step, own)
        for host, found in zip(outputs, own, strict=True):
            host[part] = found


def _launch(
    device: Device,
    there: list[object],
    entry: NDArray[np.float64],
    shapes: tuple[tuple[int, ...], tuple[int, ...], int],
    organ_step: object,
    outputs: list[NDArray[np.generic]],
) -> None:
    """The launches for some entries; ``outputs`` are replaced by what the device made of them."""
    raster, organ, tip, settings = there
    start = device.upload(np.ascontiguousarray(entry))
    entries, tips = np.int32(len(entry)), np.int32(shapes[2])
    count = len(entry) * shapes[2]
    rule, seen, soft = (device.zeros(count, np.uint32) for _ in range(3))
    lack, cost, met = (device.zeros(n, np.float64) for n in (count, count, 4 * count))
    bent, bent_tip = (
        device.zeros(len(entry), np.float64),
        device.upload(np.full(len(entry), -1, np.int32)),
    )
    made = [device.upload(a) for a in outputs]
    voxels, cells = ([np.int32(n) for n in shape] for shape in shapes[:2])
    grid, block = (-(-count // BLOCK), 1, 1), (BLOCK, 1, 1)

    def run(kernel: str, blocks: tuple[int, int, int], *args: object) -> None:
        device.launch("rays", kernel, blocks, block, args, {})

    run("rays_needle", grid, start, tip, settings, entries, tips, rule, lack)
    run("rays_walk", grid, raster, start, tip, settings, entries, tips, *voxels, rule, seen, soft,
        met)  # fmt: skip
    run("rays_judge", grid, organ, start, tip, settings, entries, tips, *cells,
        np.float64(organ_step), seen, soft, met, rule, lack, cost)  # type: ignore[arg-type]  # fmt: skip
    run("rays_entries", (len(entry), 1, 1), rule, soft, lack, cost, tips, *made, bent, bent_tip)
    run("rays_bent", (-(-len(entry) // BLOCK), 1, 1), raster, start, tip, settings, entries,
        *voxels, bent, bent_tip, made[-2], made[-1])  # fmt: skip
    for host, found in zip(outputs, made, strict=True):
        host[...] = device.download(found).reshape(host.shape)
