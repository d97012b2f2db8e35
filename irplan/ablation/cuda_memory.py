"""How much memory a simulation needs on a device, and what would fit where it is too little."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from irplan.ablation.cuda_layout import DeviceGrid
from irplan.ablation.problem import AblationProblem
from irplan.compute.device import Device
from irplan.errors import BackendError

#: Left to the driver, the compiled kernels and the small arrays (sources, trace), bytes.
_RESERVE = 48 * 2**20
#: Two states and a minimum (float32), and the tissue's byte.
_STATE_BYTES, _CELL_BYTES = 12, 1


def needed_bytes(shape: tuple[int, int, int], problems: int = 1, *, one_map: bool = False) -> int:
    """Bytes for ``problems`` simulations of ``shape`` voxels at once (``one_map``: same tissue).

    13 a padded voxel and problem, 12 and one shared where the tissue map is; 4 a voxel to read out.
    """
    size = DeviceGrid(shape).size
    cells = size if one_map else size * problems
    return size * problems * _STATE_BYTES + cells * _CELL_BYTES + 4 * int(np.prod(shape))


def problems_that_fit(device: Device, shape: tuple[int, int, int], *, one_map: bool) -> int:
    """How many simulations of ``shape`` fit on ``device`` at once; 0 where not even one."""
    free = device.memory().free_bytes - _RESERVE
    one, two = (needed_bytes(shape, n, one_map=one_map) for n in (1, 2))
    return 0 if free < one else 1 + (free - one) // (two - one)


def too_large(
    device: Device, problems: Sequence[AblationProblem], *, refused: bool = False
) -> BackendError:
    """The error of a problem that does not fit; ``refused``: the runtime said so on the way."""
    grid = problems[0].grid
    shape, spacing = grid.shape, grid.spacing_mm
    free = device.memory().free_bytes
    needed = needed_bytes(shape, len(problems)) + _RESERVE
    share = (max(free - _RESERVE, 1) / max(needed - _RESERVE, 1)) ** (1.0 / 3.0)
    size = " x ".join(f"{n}" for n in shape)
    many = f"{len(problems)} simulations" if len(problems) > 1 else "a simulation"
    what = f"{many} of {size} voxels"
    if free <= _RESERVE:
        remedy = "Free memory on the GPU (other programs use it), or use backend='cpu'."
    elif refused and share >= 1.0:
        remedy = (
            "Other programs took memory meanwhile: free it and run again, or use backend='cpu'."
        )
    else:
        share = min(share, 1.0)
        box = " x ".join(f"{n * s * share:.0f}" for n, s in zip(shape, spacing, strict=True))
        remedy = (
            f"A spacing of {max(spacing) / share:.2f} mm would fit, or a box of {box} mm"
            + (f", or {len(problems)} calls instead of one" if len(problems) > 1 else "")
            + "; or use backend='cpu'."
        )
    return BackendError(
        "GPU memory",
        got=f"{free / 2**20:.0f} MiB free on {device.name}",
        expected=f"{needed / 2**20:.0f} MiB for {what}",
        remedy=remedy,
    )
