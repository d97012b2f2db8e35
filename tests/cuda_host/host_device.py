"""The CUDA kernels compiled as C++ and run on the host, behind the `Device` protocol."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irplan.compute import kernel_directory, kernel_source
from irplan.compute.device import DeviceMemory, DeviceOutOfMemory

HERE = Path(__file__).parent
#: Bytes on both sides of every device array that no kernel may touch.
GUARD = 256
_PATTERN = 0xA5


def compiler() -> str:
    """g++; without it the test is reported as not run (it fails in CI)."""
    found = shutil.which("g++")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("g++ is missing in CI")
        pytest.skip("not run: needs g++ to compile the CUDA sources for the host")
    return found


def compile_for_host(source: str, folder: Path, name: str, defines: Mapping[str, int]) -> Path:
    """A shared library with a C entry point for each kernel of the CUDA C text ``source``."""
    kernels = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)", source)
    (folder / f"{name}.inc.cu").write_text(source)
    lines = ['#include "cuda_host.h"', f'#include "{name}.inc.cu"']
    lines += [f"CUDA_HOST_KERNEL({kernel})" for kernel in kernels]
    (folder / f"{name}.cpp").write_text("\n".join(lines) + "\n")
    out = folder / f"{name}.so"
    command = [compiler(), "-O2", "-std=c++17", "-Wall", "-Werror", "-shared", "-fPIC"]
    command += ["-Wno-unused-function", "-Wno-unknown-pragmas", "-Wno-unused-variable"]
    command += [f"-D{k}={v}" for k, v in defines.items()]
    command += [f"-I{HERE}", f"-I{folder}", f"-I{kernel_directory()}", "-o", str(out)]
    subprocess.run([*command, str(folder / f"{name}.cpp")], check=True)
    return out


class HostDevice:
    """Runs kernels on the host and judges them: argument types, bytes outside the arrays.

    ``edit`` may change a source before it is compiled (to see that a broken kernel is noticed);
    ``memory_bytes`` is what it claims to have, ``fails_after`` the number of allocations after
    which the runtime refuses.  ``graphs`` counts sequences that were made repeatable.
    """

    name = "host emulation"

    def __init__(
        self,
        folder: Path,
        *,
        edit: Callable[[str], str] = lambda text: text,
        reverse: bool = False,
        memory_bytes: int = 2**33,
        fails_after: int | None = None,
    ) -> None:
        self._folder, self._edit, self._reverse = folder, edit, reverse
        self._libraries: dict[tuple[Any, ...], ctypes.CDLL] = {}
        self._guarded: list[np.ndarray] = []
        self._memory, self._fails_after = memory_bytes, fails_after
        self.launches = self.graphs = self.replays = self.waits = 0

    # -- arrays --------------------------------------------------------------------------

    def zeros(self, size: int, dtype: type[np.generic]) -> np.ndarray:
        item = np.dtype(dtype)
        if self._fails_after is not None and len(self._guarded) >= self._fails_after:
            raise DeviceOutOfMemory(size * item.itemsize)
        whole = np.full(size * item.itemsize + 2 * GUARD, _PATTERN, np.uint8)
        self._guarded.append(whole)
        array = whole[GUARD : whole.size - GUARD].view(item)
        array[:] = 0
        return array

    def upload(self, host: np.ndarray) -> np.ndarray:
        array = self.zeros(host.size, host.dtype.type)
        array[:] = host.reshape(-1)
        return array

    def download(self, array: np.ndarray) -> np.ndarray:
        return array.copy()

    def write(self, array: np.ndarray, host: np.ndarray) -> None:
        assert array.size == host.size
        assert array.dtype == host.dtype
        array[:] = host.reshape(-1)

    def copy(self, target: np.ndarray, source: np.ndarray) -> None:
        assert target.dtype == source.dtype
        target[:] = source

    def check_guards(self) -> None:
        for whole in self._guarded:
            assert (whole[:GUARD] == _PATTERN).all()
            assert (whole[-GUARD:] == _PATTERN).all()

    # -- launches ------------------------------------------------------------------------

    def launch(
        self,
        source: str,
        kernel: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        args: Sequence[Any],
        defines: Mapping[str, int],
    ) -> None:
        self.launches += 1
        library = self._library(source, defines)
        codes = getattr(library, f"codes_{kernel}")
        codes.restype = ctypes.c_char_p
        wanted = codes().decode().split()
        assert len(args) == len(wanted), f"{kernel}: {len(args)} arguments, wants {len(wanted)}"
        cells, keep = (ctypes.c_void_p * len(args))(), []
        for n, (value, code) in enumerate(zip(args, wanted, strict=True)):
            is_pointer = code.startswith("P")
            got = np.dtype(value.dtype).char
            assert got == code.lstrip("P"), f"{kernel}: argument {n} is {got}, wants {code}"
            assert isinstance(value, np.ndarray) == is_pointer, f"{kernel}: argument {n}"
            if is_pointer:
                assert value.flags.c_contiguous
                cell: Any = ctypes.c_void_p(value.ctypes.data)
            else:
                cell = ctypes.create_string_buffer(value.tobytes())
            keep.append((cell, value))
            cells[n] = ctypes.addressof(cell)
        three = ctypes.c_uint * 3
        getattr(library, f"host_{kernel}")(three(*grid), three(*block), cells)

    def repeatable(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records the launches ``work`` makes, with their arguments, as a graph does."""
        made: list[tuple[Any, ...]] = []
        real, self.launch = self.launch, lambda *a: made.append(a)  # type: ignore[method-assign]
        try:
            work()
        finally:
            self.launch = real  # type: ignore[method-assign]
        self.graphs += 1

        def replay() -> None:
            self.replays += 1
            for launch in made:
                self.launch(*launch)

        return replay

    def memory(self) -> DeviceMemory:
        return DeviceMemory(self._memory, self._memory)

    def synchronise(self) -> None:
        self.waits += 1

    def _library(self, source: str, defines: Mapping[str, int]) -> ctypes.CDLL:
        key = (source, tuple(sorted(defines.items())))
        if key not in self._libraries:
            text = self._edit(kernel_source(source))
            name = f"{source}_{abs(hash((text, key)))}"
            path = self._folder / f"{name}.so"
            if not path.exists():
                path = compile_for_host(text, self._folder, name, defines)
            self._libraries[key] = ctypes.CDLL(str(path))
        library = self._libraries[key]
        ctypes.c_int.in_dll(library, "cuda_host_reverse").value = int(self._reverse)
        return library
