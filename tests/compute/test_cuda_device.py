"""The card behind the `Device` protocol, on a stand-in for CuPy: calls, cache, graphs, refusals.

What a real CuPy does with these calls is for `pytest -m gpu`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from irplan.compute.device import DeviceMemory, DeviceOutOfMemory


class FakeRuntimeError(Exception):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"status {status}")


class FakeDriverError(FakeRuntimeError):
    pass


class FakeMemoryError(MemoryError):
    pass


class Array(np.ndarray):
    """A device array: only `set` writes host values into it."""

    def set(self, host: np.ndarray) -> None:
        assert host.shape == self.shape
        assert host.dtype == self.dtype
        self[...] = host


class Stream:
    """Notes what is queued on it, in order; ``current`` is the one within `with`."""

    current: Stream | None = None

    def __init__(self, non_blocking: bool) -> None:
        assert non_blocking  # capture needs it
        self.queued: list[str] = []
        self.capturing: list[str] | None = None
        self.depth = 0

    def __enter__(self) -> Stream:
        self.depth += 1
        Stream.current = self
        return self

    def __exit__(self, *error: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            Stream.current = None

    def note(self, what: str) -> None:
        (self.queued if self.capturing is None else self.capturing).append(what)

    def begin_capture(self) -> None:
        self.capturing = []

    def end_capture(self) -> SimpleNamespace:
        captured, self.capturing = self.capturing or [], None
        return SimpleNamespace(launch=lambda stream: stream.queued.extend(captured))

    def synchronize(self) -> None:
        self.note("wait")


class Fake:
    """A stand-in for the module ``cupy``."""

    def __init__(self) -> None:
        self.compiled: list[tuple[str, ...]] = []
        self.refuse: Exception | None = None
        made = self

        class RawModule:
            def __init__(self, code: str, options: tuple[str, ...]) -> None:
                assert "__global__" in code
                assert '#include "' not in code
                made.compiled.append(options)

            def get_function(self, name: str):
                def launch(grid, block, args) -> None:
                    if made.refuse is not None:
                        raise made.refuse
                    assert Stream.current is not None
                    Stream.current.note(f"{name} {grid} {block} {len(args)}")

                return launch

        def zeros(size: int, dtype: type) -> Array:
            if self.refuse is not None:
                raise self.refuse
            return np.zeros(size, dtype).view(Array)

        module = ModuleType("cupy")
        module.RawModule = RawModule
        module.zeros = zeros
        module.asarray = lambda host: np.array(host).view(Array)
        module.asnumpy = lambda array, stream: np.array(array)
        module.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: 24)
        module.cuda = SimpleNamespace(
            Stream=Stream,
            memory=SimpleNamespace(OutOfMemoryError=FakeMemoryError),
            driver=SimpleNamespace(CUDADriverError=FakeDriverError),
            runtime=SimpleNamespace(
                CUDARuntimeError=FakeRuntimeError,
                getDevice=lambda: 0,
                getDeviceCount=lambda: 1,
                getDeviceProperties=lambda n: {"name": b"stand-in"},
                memGetInfo=lambda: (1000, 4000),
            ),
        )
        self.module = module


@pytest.fixture
def fake(monkeypatch) -> Fake:
    made = Fake()
    monkeypatch.setitem(sys.modules, "cupy", made.module)
    monkeypatch.delitem(sys.modules, "irplan.compute._cuda", raising=False)
    yield made
    sys.modules.pop("irplan.compute._cuda", None)


@pytest.fixture
def device(fake):
    return importlib.import_module("irplan.compute._cuda").CudaDevice()


def test_arrays(device):
    host = np.arange(6, dtype=np.float32)
    array = device.upload(host.reshape(2, 3).T)
    assert np.array_equal(device.download(array), host.reshape(2, 3).T)
    flat = device.zeros(6, np.float32)
    device.write(flat[2:5], np.ones(3, np.float32))
    assert np.array_equal(device.download(flat), [0, 0, 1, 1, 1, 0])
    other = device.zeros(6, np.float32)
    device.copy(other, flat)
    assert np.array_equal(device.download(other), device.download(flat))
    assert device.memory() == DeviceMemory(1024, 4000)
    assert device.name == "stand-in"


def test_a_source_is_compiled_once_per_defines(device, fake):
    for tissues in (16, 16, 32):
        for kernel in ("bioheat_stage", "bioheat_record"):
            device.launch("bioheat", kernel, (2, 1, 1), (32, 8, 1), (), {"TISSUES": tissues})
    assert fake.compiled == [
        ("-std=c++17", "-DTISSUES=16"),
        ("-std=c++17", "-DTISSUES=32"),
    ]


def test_a_sequence_is_captured_and_replayed(device):
    def work() -> None:
        for n in (1, 2):
            device.launch("bioheat", "bioheat_stage", (n, 1, 1), (32, 8, 1), (), {})

    work()
    stream = device._stream
    assert len(stream.queued) == 2
    replay = device.repeatable(work)
    assert len(stream.queued) == 2  # capturing runs nothing
    replay()
    replay()
    assert stream.queued == stream.queued[:2] * 3
    device.synchronise()
    assert stream.queued[-1] == "wait"


@pytest.mark.parametrize("refusal", [FakeMemoryError(), FakeRuntimeError(2), FakeDriverError(2)])
def test_a_refusal_of_memory_is_told_as_such(device, fake, refusal):
    fake.refuse = refusal
    with pytest.raises(DeviceOutOfMemory) as caught:
        device.zeros(100, np.float32)
    assert caught.value.wanted_bytes == 400


def test_other_errors_pass(device, fake):
    fake.refuse = FakeRuntimeError(700)
    with pytest.raises(FakeRuntimeError, match="700"):
        device.launch("bioheat", "bioheat_stage", (1, 1, 1), (32, 8, 1), (), {})


def test_open_device(fake):
    from irplan.compute.device import open_device

    assert open_device().name == "stand-in"
