"""The planned case made by hand (tests/viz/handmade_case.py), once for all tests here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from irplan.planning.case import PlannedCase


@pytest.fixture(scope="session")
def handmade() -> ModuleType:
    """The module with the case's known facts."""
    path = Path(__file__).resolve().parents[1] / "viz" / "handmade_case.py"
    spec = importlib.util.spec_from_file_location("irplan_handmade_case", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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
