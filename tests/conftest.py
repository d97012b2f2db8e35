"""Shared fixtures: where the real scans are, and what a missing folder means."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every machine, and no failure because a shared machine was slow.
settings.register_profile("irplan", deadline=None, derandomize=True)
settings.load_profile("irplan")

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """``shared_data("ircadb01_p1")`` -> that folder of IRPLAN_DATA (default ../shared/data).

    Where it is absent the test is reported as *not run* (a named skip, shown by ``-ra``), but
    under CI (environment variable CI set) a missing folder fails.
    """
    root = Path(os.environ.get("IRPLAN_DATA", _ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = root / name
        if path.exists():
            return path
        if os.environ.get("CI"):
            pytest.fail(f"real data missing in CI: {name} (IRPLAN_DATA={root})")
        pytest.skip(f"not run: needs {name} of IRPLAN_DATA ({root})")

    return find
