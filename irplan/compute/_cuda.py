"""An NVIDIA card behind the `Device` protocol, through CuPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import cupy  # type: ignore[import-not-found, unused-ignore]
import numpy as np
from numpy.typing import NDArray

from irplan.compute.device import Argument, DeviceMemory, DeviceOutOfMemory, Extent
from irplan.compute.kernel_files import kernel_source

#: cudaErrorMemoryAllocation, CUDA_ERROR_OUT_OF_MEMORY
_OUT_OF_MEMORY = 2
_MODULES: dict[tuple[str, tuple[tuple[str, int], ...], int], Any] = {}
_KERNELS: dict[tuple[Any, str], Any] = {}


class CudaDevice:
    """The current CUDA device with a stream of its own.

    Kernels are compiled by NVRTC once per source and defines (CuPy also keeps the binary on disk).
    """

    def __init__(self) -> None:
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._number = int(cupy.cuda.runtime.getDevice())
        properties = cupy.cuda.runtime.getDeviceProperties(self._number)
        self._name = str(properties["name"].decode())

    @property
    def name(self) -> str:
        """The card's name."""
        return self._name

    def upload(self, host: NDArray[Any]) -> Any:
        """A device array with the values of ``host``."""
        with self._queue(host.nbytes):
            return cupy.asarray(np.ascontiguousarray(host))

    def zeros(self, size: int, dtype: type[np.generic]) -> Any:
        """A flat device array of zeros."""
        with self._queue(size * np.dtype(dtype).itemsize):
            return cupy.zeros(size, dtype)

    def download(self, array: Any) -> NDArray[Any]:
        """The values of a device array, once the work before is done."""
        with self._queue(0):
            out: NDArray[Any] = cupy.asnumpy(array, stream=self._stream)
        return out

    def write(self, array: Any, host: NDArray[Any]) -> None:
        """Replace the values of a device array by those of ``host``."""
        with self._queue(0):
            array.set(np.ascontiguousarray(host, dtype=array.dtype).reshape(array.shape))

    def copy(self, target: Any, source: Any) -> None:
        """Copy between two device arrays of the same size and type."""
        with self._queue(0):
            target[...] = source

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
        with self._queue(0):
            self._kernel(source, kernel, tuple(sorted(defines.items())))(grid, block, tuple(args))

    def repeatable(self, work: Callable[[], None]) -> Callable[[], None]:
        """``work``, captured as a CUDA graph."""
        with self._queue(0):
            self._stream.begin_capture()
            try:
                work()
            finally:
                graph = self._stream.end_capture()

        def replay() -> None:
            with self._queue(0):
                graph.launch(stream=self._stream)

        return replay

    def memory(self) -> DeviceMemory:
        """What is free now, with what CuPy's pool holds unused."""
        free, total = cupy.cuda.runtime.memGetInfo()
        return DeviceMemory(int(free) + int(cupy.get_default_memory_pool().free_bytes()), total)

    def synchronise(self) -> None:
        """Wait until all queued work is done."""
        with self._queue(0):
            self._stream.synchronize()

    def _kernel(self, source: str, kernel: str, defines: tuple[tuple[str, int], ...]) -> Any:
        key = (source, defines, self._number)
        if key not in _MODULES:
            options = ("-std=c++17", *(f"-D{name}={value}" for name, value in defines))
            _MODULES[key] = cupy.RawModule(code=kernel_source(source), options=options)
        found = (key, kernel)
        if found not in _KERNELS:
            _KERNELS[found] = _MODULES[key].get_function(kernel)
        return _KERNELS[found]

    @contextmanager
    def _queue(self, wanted_bytes: int) -> Iterator[None]:
        """On this device's stream, with the runtime's refusals of memory as `DeviceOutOfMemory`."""
        try:
            with self._stream:
                yield
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise DeviceOutOfMemory(wanted_bytes) from error
        except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError) as error:
            if error.status != _OUT_OF_MEMORY:
                raise
            raise DeviceOutOfMemory(wanted_bytes) from error
