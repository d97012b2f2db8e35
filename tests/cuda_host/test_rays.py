"""kernels/rays.cu, compiled as C++ and run on the host, against its CPU twin."""

from __future__ import annotations

import pytest

from irplan.compute import kernel_source
from tests.cuda_host.host_device import HostDevice
from tests.cuda_host.rays_case import COST_LIMIT, RaysCase, rays_differences


@pytest.fixture(scope="module")
def case() -> RaysCase:
    return RaysCase()


@pytest.mark.parametrize("reverse", [False, True])
def test_the_same_paths_costs_and_misses(case, tmp_path, reverse):
    twin = case.run()
    assert twin.clear.sum() > 500
    assert twin.unsure.sum() > 50
    assert (twin.broken.sum(axis=0) > 0).sum() >= 11
    device = HostDevice(tmp_path, reverse=reverse)
    found = rays_differences(case.run(device), twin)
    device.check_guards()
    assert all(v <= COST_LIMIT for v in found.values()), found


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("b.at += b.side", "b.at -= b.side"),
        ("other == value[thread] && o < tip[thread]", "other < value[thread]"),
        ("(w.x[k] + depth * u[k]) / organ_step - 0.5", "(w.x[k] + depth * u[k])"),
        ("if (t < skip) low &= ~OUTSIDE_BIT;", ""),
        ("if (next - t > TOUCH)", "if (next >= t)"),
        ("off += length - limits[2];", "off += length;"),
        ("1.0 - deficit / 255.0", "deficit / 255.0"),
    ],
    ids=["traversal", "ties", "capsule", "skin", "touch", "miss", "sweep"],
)
def test_a_broken_kernel_is_noticed(case, tmp_path, right, wrong):
    assert kernel_source("rays").count(right) == 1
    device = HostDevice(tmp_path, edit=lambda text: text.replace(right, wrong))
    found = rays_differences(case.run(device), case.run())
    assert any(not v <= COST_LIMIT for v in found.values()), found
