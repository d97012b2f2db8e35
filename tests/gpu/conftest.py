"""The card, and the record of what ran on it.  Run with: pytest -m gpu"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from irplan.compute.device import Device, open_device
from irplan.errors import BackendError, MissingExtraError

VALIDATION = Path(__file__).resolve().parents[2] / "kernels" / "VALIDATION.md"


@pytest.fixture(scope="session")
def card() -> Device:
    """The CUDA device; without one the test is reported as *not run*."""
    try:
        return open_device()
    except (BackendError, MissingExtraError) as error:
        pytest.skip(f"not run: needs a CUDA device ({error.got})")


@pytest.fixture(scope="session")
def record(card: Device) -> Iterator[list[tuple[str, str, str]]]:
    """Rows (what, found, wanted) that are appended to kernels/VALIDATION.md at the end."""
    rows: list[tuple[str, str, str]] = []
    yield rows
    import cupy

    runtime = cupy.cuda.runtime
    head = (
        f"\n## {datetime.date.today().isoformat()}: {card.name}\n\n"
        f"Driver API {runtime.driverGetVersion()}, CUDA runtime {runtime.runtimeGetVersion()}, "
        f"CuPy {cupy.__version__}, {card.memory().total_bytes / 2**30:.0f} GiB.\n\n"
        "| what | found | wanted |\n|---|---|---|\n"
    )
    with VALIDATION.open("a", encoding="utf-8") as file:
        file.write(head + "".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows))
