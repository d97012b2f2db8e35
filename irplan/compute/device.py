"""What a solver asks of an accelerator: arrays, launches by name, memory, replay of a sequence.

The drivers (e.g. `irplan.ablation.cuda_march`) know only this protocol.  On a card it is
`irplan.compute._cuda.CudaDevice`; the tests put the host emulation of the kernels behind it, so
the same driver runs where there is no card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

#: An argument of a kernel: a device array or a NumPy scalar of exactly the kernel's type.
Argument = Any
#: (x, y, z) blocks of a grid or threads of a block.
Extent = tuple[int, int, int]


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes of a device's memory: what can still be had, and all of it."""

    free_bytes: int
    total_bytes: int


class DeviceOutOfMemory(Exception):  # noqa: N818 - says what is the case
    """The runtime refused ``wanted_bytes``; solvers turn it into a `BackendError`."""

    def __init__(self, wanted_bytes: int) -> None:
        self.wanted_bytes = wanted_bytes
        super().__init__(f"{wanted_bytes} bytes")


class Device(Protocol):
    """An accelerator.  All work is queued in order; `download` and `synchronise` wait for it."""

    @property
    def name(self) -> str:
        """The card's name."""

    def upload(self, host: NDArray[Any]) -> Any:
        """A device array with the values of ``host``; raises `DeviceOutOfMemory`."""

    def zeros(self, size: int, dtype: type[np.generic]) -> Any:
        """A flat device array of zeros; raises `DeviceOutOfMemory`."""

    def download(self, array: Any) -> NDArray[Any]:
        """The values of a device array, once the work before is done."""

    def write(self, array: Any, host: NDArray[Any]) -> None:
        """Replace the values of a device array by those of ``host`` (same size and type)."""

    def copy(self, target: Any, source: Any) -> None:
        """Copy between two device arrays of the same size and type."""

    def launch(
        self,
        source: str,
        kernel: str,
        grid: Extent,
        block: Extent,
        args: Sequence[Argument],
        defines: Mapping[str, int],
    ) -> None:
        """Queue ``kernel`` of ``kernels/<source>.cu``, compiled once per ``defines``."""

    def repeatable(self, work: Callable[[], None]) -> Callable[[], None]:
        """A function that queues again what ``work`` queues (launches only), as one graph.

        ``work`` must have been run before, so that its kernels are loaded.
        """

    def memory(self) -> DeviceMemory:
        """What is free now."""

    def synchronise(self) -> None:
        """Wait until all queued work is done."""


def open_device() -> Device:
    """The current CUDA device; raises `MissingExtraError` or `BackendError` where there is none."""
    from irplan.compute.backend import resolve_backend

    resolve_backend("cuda")
    from irplan.compute._cuda import CudaDevice

    return CudaDevice()
