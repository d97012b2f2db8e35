"""Backend choice, progress, kernel location; the numba kernels live in `compute.cpu`."""

from irplan.compute.backend import Backend, resolve_backend
from irplan.compute.kernel_files import kernel_directory, kernel_source
from irplan.compute.progress import Progress, no_progress, portion

__all__ = [
    "Backend",
    "Progress",
    "kernel_directory",
    "kernel_source",
    "no_progress",
    "portion",
    "resolve_backend",
]
