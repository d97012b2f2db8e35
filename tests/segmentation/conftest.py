"""Phantoms of the segmentation tests: made and segmented once a session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.phantom import Phantom, abdominal_ct
from irplan.segmentation import AbdomenSegmentation, segment_abdomen
from irplan.segmentation.morphology import closed

#: Coarse enough to be quick, fine enough for 3 mm vessels to show.
SPACING_MM = (3.0, 1.3, 1.3)
#: Where vessels are not looked at.
COARSE_MM = (3.0, 2.0, 2.0)


@dataclass(frozen=True)
class Segmented:
    """A phantom, its liver as the references define it, and what was found."""

    phantom: Phantom
    liver: NDArray[np.bool_]
    found: AbdomenSegmentation


def liver_truth(phantom: Phantom) -> NDArray[np.bool_]:
    """Liver with its tumours and the vessels inside it; cava and portal trunk left out."""
    labels = phantom.labels
    organ = labels.mask("liver", "tumour")
    veins = labels.mask("portal_vein", "hepatic_vein", "vessel", "artery")
    return organ | (veins & closed(organ, 5.0, labels.grid.spacing_mm))


def _segmented(seed: int, phase: str, spacing_mm: tuple[float, float, float]) -> Segmented:
    phantom = abdominal_ct(seed, phase=phase, spacing_mm=spacing_mm)
    return Segmented(phantom, liver_truth(phantom), segment_abdomen(phantom.volume))


@pytest.fixture(scope="session")
def portal() -> Segmented:
    return _segmented(11, "portal", SPACING_MM)


@pytest.fixture(scope="session")
def unenhanced() -> Segmented:
    return _segmented(12, "unenhanced", COARSE_MM)


@pytest.fixture(scope="session")
def arterial() -> Segmented:
    return _segmented(13, "arterial", COARSE_MM)
