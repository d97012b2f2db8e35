"""Compile the kernels on another core while the image is still being read.

numba compiles a kernel the first time it is called and keeps it on disk.  On a first run that
would be several seconds in the middle of the work; a child process does it meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The kernel compiled last: when it is on disk, all are.
_LAST = "super_step"


@contextmanager
def kernels_warming() -> Iterator[None]:
    """Let a child process compile the kernels while the block runs; it is ended with the block.

    Does nothing where they are on disk already.  Whether the child succeeds changes only the time
    taken: a kernel that it did not finish is compiled where it is first called.
    """
    if _on_disk():
        yield
        return
    child = subprocess.Popen(  # -P: this installation, not a checkout in the current folder
        [sys.executable, "-P", "-m", "irplan.case.warm_up"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        child.terminate()
        child.wait()


def _on_disk() -> bool:
    from numba import config

    import irplan.compute.cpu as home

    folder = Path(config.CACHE_DIR) if config.CACHE_DIR else Path(home.__path__[0]) / "__pycache__"
    return any(folder.rglob(f"bioheat.{_LAST}-*.nbi"))


def compile_kernels() -> None:
    """Call every kernel of `irplan plan` once, on the smallest problem, in the order of need."""
    import numpy as np

    from irplan.geometry import Grid
    from irplan.image import LabelMap, Volume, structure
    from irplan.planning.case import PlanOptions, plan_case
    from irplan.segmentation import working_image
    from irplan.segmentation.liver_band import edge_model, refine_native
    from irplan.segmentation.supervoxels import make_supervoxels

    grid = Grid.from_spacing((34, 40, 40), (4.0, 4.0, 4.0))
    z, y, x = np.indices(grid.shape)
    array = np.zeros(grid.shape, np.uint8)
    middle = np.hypot(y - 20, x - 20)
    names = ("body", "liver", "vessel", "bone", "lung", "gas", "gallbladder")
    masks = {"body": middle < 17, "liver": (middle < 12) & (np.abs(z - 17) < 12)}
    for name in names:
        if name in masks:
            array[masks[name]] = structure(name).value
    labels = LabelMap(array, grid, tuple(structure(n) for n in names))
    target = (np.hypot(middle, z - 17) < 2.6) & masks["liver"]
    image = np.where(masks["liver"], 110.0, 40.0).astype(np.float32)
    make_supervoxels(image, masks["liver"], step=4, weight=10.0)
    volume = Volume(image, grid)
    work = working_image(volume)
    organ = work.hu > 75.0
    none = np.zeros(organ.shape, dtype=bool)
    refine_native(volume, work, edge_model(organ, work, ~none, none, 110.0, 10.0))
    plan_case(volume, labels, target, options=PlanOptions(margin_mm=2.0, probes=1))


def _main() -> None:
    """Compile, then let matplotlib make its list of fonts (seconds, once a machine)."""
    compile_kernels()
    import matplotlib.font_manager

    del matplotlib


if __name__ == "__main__":
    _main()
