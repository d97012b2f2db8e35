"""Settings of generators: a slip is named, nothing is cut to fit."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.ablation.field.control import RfaControl
from irplan.ablation.field.ire import PulseProtocol
from irplan.errors import InputError


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"pairs": 5}, "pairs"),
        ({"pairs": "some"}, "pairs"),
        ({"pairs": ((0,),)}, r"pairs\[0\]"),
        ({"pairs": ((0, 1), (0, 1.5))}, r"pairs\[1\]"),
        ({"voltage_v": "1000"}, "voltage_v"),
        ({"voltage_v": (1000.0, "x")}, r"voltage_v\[1\]"),
        ({"voltage_v": True}, "voltage_v"),
        ({"voltage_v": float("nan")}, "voltage_v"),
        ({"pulses": 90.7}, "pulses"),
        ({"pulses": "90"}, "pulses"),
        ({"pulse_us": None}, "pulse_us"),
        ({"rate_hz": [1]}, "rate_hz"),
        ({"v_per_cm": "1500"}, "v_per_cm"),
    ],
)
def test_pulse_protocol(settings, field):
    with pytest.raises(InputError, match=rf"^protocol\.{field}"):
        PulseProtocol(**settings)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"mode": 3}, "mode"),
        ({"mode": ["power"]}, "mode"),
        ({"arrangement": "ring"}, "arrangement"),
        ({"rise_ohm": "30"}, "rise_ohm"),
        ({"off_s": None}, "off_s"),
        ({"change": (np.float64(0.1),)}, "change"),
        ({"longest_s": True}, "longest_s"),
        ({"target_c": float("inf")}, "target_c"),
    ],
)
def test_rfa_control(settings, field):
    with pytest.raises(InputError, match=rf"^control\.{field}") as error:
        RfaControl(**settings)
    assert "np.float64" not in str(error.value)


def test_numpy_numbers_are_numbers():
    made = PulseProtocol(((np.int64(0), 1.0),), np.float32(1000), pulses=90.0)
    assert (made.pairs, made.voltage_v, made.pulses) == (((0, 1),), 1000.0, 90)
    assert type(RfaControl(off_s=np.float64(20)).off_s) is float
