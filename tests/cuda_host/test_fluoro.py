"""kernels/fluoro.cu, compiled as C++ and run on the host, against its CPU twins."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cuda_host.fluoro_case import FLUORO_LIMIT, FluoroCase, fluoro_differences
from tests.cuda_host.host_device import HostDevice


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cuda_fluoro")


@pytest.fixture(scope="module")
def case() -> FluoroCase:
    return FluoroCase()


def test_a_frame_through_every_kernel(case, folder):
    twin = case.on_cpu()
    assert 0.01 < (twin["gate"] > 0).mean() < 0.9
    assert (twin["area"] > 0.5).any()
    assert (twin["area"] < 0.5).any()
    assert (twin["dot"] > 0.5).any()
    assert (twin["support"] > 0.5).any()
    device = HostDevice(folder)
    mine = case.on_device(device)
    device.check_guards()
    found = fluoro_differences(mine, twin)
    assert all(v <= FLUORO_LIMIT for v in found.values()), found
    turned = case.on_device(HostDevice(folder, reverse=True))
    assert all(np.array_equal(mine[k], turned[k]) for k in mine)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("x[n] = m + large * w + (1.0f - large) * known;", "x[n] = m + large * w;"),
        ("kept += sharpen * (kept - low);", ""),
    ],
)
def test_a_broken_kernel_is_noticed(case, folder, right, wrong):
    def edit(text: str) -> str:
        assert right in text
        return text.replace(right, wrong)

    found = fluoro_differences(case.on_device(HostDevice(folder, edit=edit)), case.on_cpu())
    assert any(v > 10 * FLUORO_LIMIT for v in found.values())
