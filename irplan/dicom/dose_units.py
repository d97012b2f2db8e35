"""Units as dose reports write them (UCUM and vendors' spellings), to the units irplan uses."""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal[
    "dap", "kerma", "length", "area", "time", "time_ms", "current", "voltage", "angle", "rate",
    "count",
]  # fmt: skip

_PREFIX: Final = {"k": 1e3, "": 1.0, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_DAP = re.compile(r"([dcmun]?)gy([dcm]?)m2")
_KERMA = re.compile(r"([dcmun]?)gy")

#: kind -> unit as written (lower case, without separators) -> factor to irplan's unit.
_FACTORS: Final[dict[str, dict[str, float]]] = {
    "length": {"mm": 1.0, "cm": 10.0, "dm": 100.0, "m": 1000.0, "um": 1e-3},
    "area": {"m2": 1e4, "dm2": 100.0, "cm2": 1.0, "mm2": 0.01},
    "time": {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0},
    "time_ms": {"s": 1e3, "sec": 1e3, "ms": 1.0, "us": 1e-3},
    "current": {"ma": 1.0, "a": 1000.0, "ua": 1e-3},
    "voltage": {"kv": 1.0, "v": 1e-3, "kvp": 1.0},
    "angle": {"deg": 1.0, "°": 1.0, "degree": 1.0, "rad": 57.29577951308232},
    "rate": {"{pulse}/s": 1.0, "/s": 1.0, "1/s": 1.0, "hz": 1.0, "s-1": 1.0, "{frame}/s": 1.0,
             "{pulses}/s": 1.0},
    "count": {"1": 1.0, "": 1.0, "{pulse}": 1.0, "{frame}": 1.0, "{pulses}": 1.0,
              "{frames}": 1.0, "no": 1.0, "no units": 1.0},
}  # fmt: skip


def factor(unit: str, kind: Kind) -> float | None:
    """What a value in ``unit`` is multiplied by; None for a unit that is not known.

    Gives Gy.cm2 ("dap"), mGy ("kerma"), mm, cm2, s (or ms: "time_ms"), mA, kV, degrees, 1/s, 1.
    Separators do not matter: "Gy.m2", "Gym2", "Gy*m2" and "Gy·m^2" are one unit.
    """
    plain = unit.strip().lower().replace("µ", "u").replace("μ", "u").replace("²", "2")
    if kind in ("dap", "kerma", "area"):
        plain = re.sub(r"[\s.*·^_-]", "", plain)
    if kind == "dap":
        found = _DAP.fullmatch(plain)
        if found is None:
            return None
        return _PREFIX[found[1]] * _PREFIX[found[2]] ** 2 * 1e4
    if kind == "kerma":
        found = _KERMA.fullmatch(plain)
        return None if found is None else _PREFIX[found[1]] * 1e3
    return _FACTORS[kind].get(plain)
