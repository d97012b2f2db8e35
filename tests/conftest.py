"""Shared fixtures: where the real scans are, and what a missing folder means."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from irplan.planning.case import PlannedCase

if TYPE_CHECKING:
    from tests.dicom.orthanc import Orthanc

# pytest's workers share the cores.  Threads of kernels that wait for each other by spinning take
# them from the other workers: 64 s of processor time against 36 for the same tests.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A real Orthanc on loopback, one for all tests; each clears it first."""
    from tests.dicom.orthanc import Orthanc

    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def handmade() -> ModuleType:
    """The planned case made by hand, with its known facts."""
    from tests.viz import handmade_case

    return handmade_case


@pytest.fixture(scope="session")
def case(handmade: ModuleType) -> PlannedCase:
    """On an axis-aligned grid with 3 mm slices."""
    made: PlannedCase = handmade.make_case()
    return made


@pytest.fixture(scope="session")
def coronal_case(handmade: ModuleType) -> PlannedCase:
    """The same patient as turned coronal slices."""
    made: PlannedCase = handmade.make_case(handmade.coronal_grid())
    return made
