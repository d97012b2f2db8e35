"""kernels/potential.cu, compiled as C++ and run on the host, against its CPU twin."""

from __future__ import annotations

import pytest

from irplan.compute import kernel_source
from tests.cuda_host.host_device import HostDevice
from tests.cuda_host.potential_case import POTENTIAL_LIMIT, PotentialCase, potential_differences


@pytest.fixture(scope="module")
def case() -> PotentialCase:
    return PotentialCase()


def test_v_cycle_and_the_steps_of_conjugate_gradients(case, tmp_path):
    twin = case.on_cpu()
    assert case.levels.shape.shape[0] >= 4
    device = HostDevice(tmp_path)
    found = potential_differences(case.on_device(device), twin)
    device.check_guards()
    assert all(v <= POTENTIAL_LIMIT for v in found.values()), found
    # the preconditioner does its work: positive, and the energy it leaves is of the right size
    assert twin["rho"][0] > 0.0
    assert twin["energy"][0] > 0.0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("if (!in_x) w = wx[i];", "if (!in_x) w = wy[i];"),
        ("coarse[c + side_y[p.y] * sy]", "coarse[c - side_y[p.y] * sy]"),
        ("+ gx[i + 1] * (v[i + 1] - here)", "+ gx[i] * (v[i + 1] - here)"),
    ],
    ids=["restriction", "prolongation", "matrix"],
)
def test_a_broken_kernel_is_noticed(case, tmp_path, right, wrong):
    assert kernel_source("potential").count(right) == 1
    device = HostDevice(tmp_path, edit=lambda text: text.replace(right, wrong))
    found = potential_differences(case.on_device(device), case.on_cpu())
    assert any(not v <= POTENTIAL_LIMIT for v in found.values()), found
