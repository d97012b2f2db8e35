"""Where the CUDA toolkit is installed, its compiler takes the kernels and spills next to nothing.

CI has no toolkit: there the test is reported as *not run*.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from irplan.compute import kernel_directory

#: Registers of a thread: 4 blocks of 256 threads fit on a multiprocessor.
MOST_REGISTERS = 64
#: Bytes a thread may spill.
MOST_SPILL = 16


@pytest.fixture(scope="module")
def nvcc() -> str:
    beside = Path("/usr/local/cuda/bin/nvcc")
    found = shutil.which("nvcc") or (str(beside) if beside.is_file() else None)
    if found is None:
        pytest.skip("not run: needs nvcc of the CUDA toolkit")
    return found


@pytest.mark.parametrize("name", sorted(p.stem for p in kernel_directory().glob("*.cu")))
def test_compiles(nvcc, tmp_path, name):
    """For sm_80 and sm_90, warnings as errors, with the most tissues (shared memory)."""
    command = [nvcc, "-fatbin", "-Xptxas", "-v", "-Werror", "all-warnings", "-std=c++17"]
    command += ["-DTISSUES=32", "-o", str(tmp_path / "out")]
    for arch in ("80", "90"):
        command += ["-gencode", f"arch=compute_{arch},code=sm_{arch}"]
    command.append(str(kernel_directory() / f"{name}.cu"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", done.stderr)]
    spills = [int(n) for n in re.findall(r"(\d+) bytes spill", done.stderr)]
    assert len(registers) >= 8
    assert max(registers) <= MOST_REGISTERS
    assert max(spills) <= MOST_SPILL
