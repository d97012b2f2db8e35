"""Compile the kernels on other cores while the image is still being read.

numba compiles a kernel the first time it is called and keeps it on disk.  On a first run that
would be half a minute in the middle of the work; child processes do it meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The kernel compiled last: when it is on disk, all are.
_LAST = "super_step"
#: What each child compiles.
_PARTS = ("liver", "plan")


@contextmanager
def kernels_warming() -> Iterator[None]:
    """Let child processes compile the kernels while the block runs; they are ended with the block.

    Does nothing where they are on disk already.  Whether a child succeeds changes only the time
    taken: a kernel that it did not finish is compiled where it is first called.
    """
    if _on_disk():
        yield
        return
    children = [
        subprocess.Popen(  # -P: this installation, not a checkout in the current folder
            [sys.executable, "-P", "-m", "irplan.case.warm_up", part],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for part in _PARTS
    ]
    try:
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()


def _on_disk() -> bool:
    from numba import config

    import irplan.compute.cpu as home

    folder = Path(config.CACHE_DIR) if config.CACHE_DIR else Path(home.__path__[0]) / "__pycache__"
    return any(folder.rglob(f"bioheat.{_LAST}-*.nbi"))


def compile_kernels(part: str) -> None:
    """Call every kernel of one part of `irplan plan` once, on the smallest problem."""
    import numpy as np

    from irplan.geometry import Grid
    from irplan.image import LabelMap, Volume, structure
    from irplan.planning.case import PlanOptions, plan_case
    from irplan.segmentation import working_image
    from irplan.segmentation.liver_band import edge_model, refine_native
    from irplan.segmentation.lumen import Lumen
    from irplan.segmentation.supervoxels import make_supervoxels

    grid = Grid.from_spacing((34, 40, 40), (4.0, 4.0, 4.0))
    z, y, x = np.indices(grid.shape)
    middle = np.hypot(y - 20, x - 20)
    liver = (middle < 12) & (np.abs(z - 17) < 12)
    image = np.where(liver, 110.0, 40.0).astype(np.float32)
    volume = Volume(image, grid)
    if part == "liver":
        make_supervoxels(image, liver, step=4, weight=10.0)
        work = working_image(volume)
        organ = work.hu > 75.0
        none = np.zeros(organ.shape, dtype=bool)
        edge = edge_model(organ, work, ~none, none, Lumen.none(none), 110.0, 10.0)
        refine_native(volume, work, edge)
        return
    names = ("body", "liver", "vessel", "bone", "lung", "gas", "gallbladder")
    array = np.zeros(grid.shape, np.uint8)
    array[middle < 17] = structure("body").value
    array[liver] = structure("liver").value
    labels = LabelMap(array, grid, tuple(structure(n) for n in names))
    target = (np.hypot(middle, z - 17) < 2.6) & liver
    plan_case(volume, labels, target, options=PlanOptions(margin_mm=2.0, probes=1))


def _main() -> None:
    """Compile one part; after the liver, let matplotlib list its fonts (once a machine)."""
    compile_kernels(sys.argv[1])
    if sys.argv[1] == "liver":
        import matplotlib.font_manager

        del matplotlib


if __name__ == "__main__":
    _main()
