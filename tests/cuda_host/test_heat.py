"""kernels/heat.cu, compiled as C++ and run on the host, against its CPU twins."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.compute import kernel_source
from tests.cuda_host.heat_case import HEAT_LIMITS, HeatCase, heat_differences
from tests.cuda_host.host_device import HostDevice


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cuda_heat")


@pytest.fixture(scope="module")
def case() -> HeatCase:
    return HeatCase()


@pytest.mark.parametrize("use_alive", [False, True], ids=["by temperature", "by damage"])
def test_boiling_coolant_damage(case, folder, use_alive):
    """16 s of a strong source: tissue boils beside a cooled shaft, a vessel and warm saline."""
    twin = case.on_cpu(use_alive)
    assert 101.0 < twin["celsius"].max() < 300.0
    assert (twin["celsius"] > 99.0).sum() > 20
    assert twin["heat"][5] < -10.0
    assert ((twin["state 0"] > 0.1) & (twin["state 0"] < 10.0)).sum() > 100
    device = HostDevice(folder)
    found = heat_differences(case.on_device(device, use_alive), twin)
    device.check_guards()
    over = {k: v for k, v in found.items() if not v <= HEAT_LIMITS[k]}
    assert not over, found
    flow = twin["heat"]
    assert flow[:6].sum() == pytest.approx(flow[6], rel=1e-4)


def test_tissue_that_was_never_warm_keeps_the_state_of_rest(case, folder):
    """Damage is followed from 40 degC on; what is left out is no part of any dose that counts."""
    mine = case.on_device(HostDevice(folder), False, followed=False)
    twin = case.on_cpu(False)
    cold = mine["highest"] <= 3.0
    assert cold.any()
    assert not cold.all()
    for n in range(4):
        assert np.all(mine[f"state {n}"][cold] == np.float32(case.rest[n]))
    dead, twin_dead = mine["state 0"] > 1.0, twin["state 0"] > 1.0
    assert np.array_equal(dead, twin_dead)
    assert twin_dead.sum() > 100


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return v - boiling + boiling * q[SHARE];", "return v;"),
        ("* (double)(coolant[sink] - value[0])", "* (double)(value[0] - coolant[sink])"),
        ("if (other[C] <= 0.0f) value[2] += in;", ""),
        ("return mean * 0.5f / (float)panels;", "return mean / (float)panels;"),
        ("2.0f * (r2.alive + r3.alive)", "2.0f * (r2.alive - r3.alive)"),
    ],
    ids=["boiling", "coolant", "held tissue", "dose", "cells"],
)
def test_a_broken_kernel_is_noticed(case, tmp_path, right, wrong):
    assert kernel_source("heat").count(right) == 1
    device = HostDevice(tmp_path, edit=lambda text: text.replace(right, wrong))
    found = heat_differences(case.on_device(device, False), case.on_cpu(False))
    assert any(not v <= HEAT_LIMITS[k] for k, v in found.items()), found
