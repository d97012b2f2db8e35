"""The backend is resolved once, says why, and never falls back from an explicit choice."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from irplan.compute import Backend, no_progress, portion, resolve_backend
from irplan.compute.kernel_files import kernel_directory, kernel_source
from irplan.errors import BackendError, InputError, MissingExtraError


class CudaRuntimeError(Exception):
    pass


def fake_cupy(count: int | Exception) -> SimpleNamespace:
    def device_count() -> int:
        if isinstance(count, Exception):
            raise count
        return count

    runtime = SimpleNamespace(getDeviceCount=device_count, CUDARuntimeError=CudaRuntimeError)
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))


def test_cpu_when_asked():
    assert resolve_backend("cpu") == Backend("cpu", "asked for")


def test_unknown():
    with pytest.raises(InputError, match="'gpu'"):
        resolve_backend("gpu")


def test_no_kernel():
    assert resolve_backend("auto", cuda_twin=False).name == "cpu"
    with pytest.raises(BackendError, match="CPU only"):
        resolve_backend("cuda", cuda_twin=False)


def test_no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert resolve_backend("auto") == Backend("cpu", "CuPy is not installed")
    with pytest.raises(MissingExtraError, match=r"irplan\[cuda\]"):
        resolve_backend("cuda")


@pytest.mark.parametrize("count", [0, CudaRuntimeError("no driver")])
def test_no_device(monkeypatch, count):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(count))
    assert resolve_backend("auto").name == "cpu"
    with pytest.raises(BackendError, match="CUDA device"):
        resolve_backend("cuda")


def test_a_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(1))
    assert resolve_backend("auto") == Backend("cuda", "a CUDA device was found")
    assert resolve_backend("cuda") == Backend("cuda", "asked for")


def test_portion_of_progress():
    seen = []
    part = portion(lambda f, m: seen.append((round(f, 3), m)), 0.2, 0.6)
    for fraction in (-1.0, 0.0, 0.5, 1.0, 7.0):
        part(fraction, "x")
    assert [f for f, _ in seen] == [0.2, 0.2, 0.4, 0.6, 0.6]
    no_progress(0.5, "nothing happens")


def test_kernels_are_found_in_the_checkout():
    folder = kernel_directory()
    assert folder.name == "kernels"
    with pytest.raises(BackendError, match="'nothing'"):
        kernel_source("nothing")


def test_kernels_are_found_in_a_wheel(monkeypatch, tmp_path):
    monkeypatch.setattr("irplan.compute.kernel_files._PACKAGE", tmp_path / "irplan")
    other = tmp_path / "kernels"
    ours = tmp_path / "irplan" / "_kernels"
    for folder, title in ((other, "# Linux kernels"), (ours, "# CUDA kernels")):
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(title)
    (ours / "heat.cu").write_text("__global__ void heat() {}")
    assert kernel_directory() == ours
    assert kernel_source("heat").startswith("__global__")
    with pytest.raises(BackendError, match="one of heat"):
        kernel_source("field")


def test_kernels_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("irplan.compute.kernel_files._PACKAGE", tmp_path / "irplan")
    with pytest.raises(BackendError, match="Reinstall"):
        kernel_directory()
