"""Tasks of the tests: closed forms, and ways to go wrong."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path


def ishigami(source: str, x1: float, x2: float, x3: float) -> dict[str, float]:
    a, b = 7.0, 0.1
    return {"y": math.sin(x1) + a * math.sin(x2) ** 2 + b * x3**4 * math.sin(x1)}


def square(source: str, x: float) -> dict[str, float | str]:
    if source != "quiet":
        with Path(source).open("a", encoding="utf-8") as log:
            log.write(f"{x!r}\n")
    return {"square": x * x, "said": source[-5:]}


def check_square(source: str, x: float) -> None:
    from irplan.errors import InputError

    if x > 1000:
        raise InputError("x", got=str(x), expected="up to 1000", remedy="Lower it.")


def trouble(source: str, what: str) -> dict[str, float]:
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "raises":
        raise RuntimeError("no such thing")
    if what == "hangs":
        time.sleep(60)
    if what == "prints":
        print("noise on standard output")
    return {"fine": 1.0, "gone": float("nan")}


def slow(source: str, x: float) -> dict[str, float]:
    time.sleep(0.02)
    return {"y": math.exp(x)}
