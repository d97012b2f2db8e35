"""What is and what is not an abdominal CT in HU."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation import check_ct, segment_liver


def _ct(shape=(60, 100, 120), spacing=(3.0, 3.0, 3.0)) -> Volume:
    rng = np.random.default_rng(0)
    hu = np.full(shape, -1000.0)
    hu[:, 20:80, 20:100] = -90.0
    hu[:, 30:70, 30:90] = 55.0
    hu[:, 60:66, 55:65] = 600.0
    return Volume(
        (hu + rng.normal(0, 10, shape)).astype(np.int16), Grid.from_spacing(shape, spacing)
    )


def test_a_plain_ct_passes_without_a_word():
    assert check_ct(_ct()) == ()


def _mr() -> np.ndarray:
    return np.clip(_ct().array.astype(float) * 0.3 + 300.0, 0, None)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda a: np.clip((a + 160.0) / 400.0 * 255.0, 0, 255).astype(np.uint8), "from 0 to 255"),
        (lambda a: (a + 1024).astype(np.int16), "windowed picture|intensities"),
        (lambda a: _mr().astype(np.float32), "intensities"),
        (lambda a: np.zeros_like(a), "constant"),
        (lambda a: np.where(a > -200, 1200, a), "intensities"),
    ],
)
@pytest.mark.parametrize("door", [check_ct, segment_liver])
def test_other_intensities_are_refused(change, what, door):
    ct = _ct()
    with pytest.raises(InputError, match=what):
        door(Volume(change(ct.array), ct.grid))


def test_other_quantities_are_refused():
    ct = _ct()
    with pytest.raises(InputError, match="quantity"):
        check_ct(Volume(ct.array, ct.grid, "degC"))


@pytest.mark.parametrize(
    ("shape", "spacing", "what"),
    [
        ((60, 100, 120), (7.0, 3.0, 3.0), "spacing"),
        ((10, 100, 120), (3.0, 3.0, 3.0), "field of view"),
        ((60, 100, 120), (3.0, 1.0, 1.0), "field of view"),
    ],
)
def test_coarse_or_small_images_are_refused(shape, spacing, what):
    with pytest.raises(InputError, match=what):
        check_ct(_ct(shape, spacing))


def test_thick_slices_missing_bone_and_metal_are_told():
    assert "5.0 mm" in check_ct(_ct(spacing=(5.0, 3.0, 3.0)))[0]
    ct = _ct()
    boneless = np.minimum(ct.array, 120)
    assert any("No bone" in w for w in check_ct(Volume(boneless, ct.grid)))
    metal = ct.array.copy()
    metal[:, 40:45, 40:45] = 3071
    assert any("Metal" in w for w in check_ct(Volume(metal, ct.grid)))
