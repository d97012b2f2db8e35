"""A cone-beam CT with another grey scale, noise, truncation and metal: found against truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.errors import GridMismatchError, SegmentationError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation.cone_beam import ConeBeamScan, read_cone_beam

GRID = Grid.from_spacing((40, 90, 90), (2.0, 2.0, 2.0), (-89.0, -89.0, -39.0))
P = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))


def truth(radius_mm: float = 200.0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """HU of a body (y > -60 is inside) with a rib, gas and a steel pin; and a round field."""
    hu = np.full(GRID.shape, 40.0)
    hu[P[..., 1] < -60.0] = -1000.0
    hu[np.hypot(P[..., 0] + 30.0, P[..., 2]) < 6.0] = 600.0
    hu[np.linalg.norm(P - [20.0, 10.0, 0.0], axis=-1) < 12.0] = -1000.0
    hu[(np.hypot(P[..., 0], P[..., 1] - 40.0) < 2.5) & (np.abs(P[..., 2]) < 20.0)] = 8000.0
    return hu, np.hypot(P[..., 0], P[..., 1]) < radius_mm


def scanned(slope: float, shift: float, *, radius_mm: float = 80.0, pad: float = 0.0) -> Volume:
    hu, field = truth(radius_mm)
    noisy = hu + np.random.default_rng(1).normal(0.0, 45.0, GRID.shape)
    grey = np.where(field, (noisy - shift) / slope, pad)
    return Volume(np.rint(grey).astype(np.int16), GRID, "HU")


@pytest.fixture(scope="module")
def found() -> ConeBeamScan:
    """Grey = (HU + 1500) / 0.6; outside the field 0."""
    return read_cone_beam(scanned(0.6, -1500.0))


def test_grey_scale_and_field_are_found(found: ConeBeamScan) -> None:
    hu, field = truth(80.0)
    assert not found.seen[~field].any()
    assert found.seen[field].mean() > 0.995  # the opening takes corners of the rim
    soft = field & (hu == 40.0)
    assert found.volume.array[soft].mean() == pytest.approx(30.0, abs=30.0)  # SOFT_HU by convention
    assert found.slope == pytest.approx(0.6, rel=0.04)
    assert np.all(found.volume.array[~found.seen] == -1024)
    assert np.all(found.unknown[~found.seen])


def test_air_gas_bone_and_metal(found: ConeBeamScan) -> None:
    hu, field = truth(80.0)
    gas = field & (hu == -1000.0) & (P[..., 1] > -50.0)
    room = field & (P[..., 1] < -60.0)
    bone = field & (hu == 600.0)
    assert found.gas[gas].mean() > 0.95
    assert not found.gas[room].any()
    assert found.room[room].mean() > 0.9
    assert not found.room[gas].any()
    assert found.bone[bone].mean() > 0.9
    pin = field & (hu == 8000.0)
    assert found.unclear[pin].all()
    near = np.hypot(P[..., 0], P[..., 1] - 40.0)
    assert found.unclear[(near < 7.0) & (np.abs(P[..., 2]) < 18.0)].all()
    assert not found.unclear[near > 16.0].any()


@pytest.mark.parametrize("fat", [0.2, 0.6])
def test_fat_is_not_taken_for_soft_tissue(fat: float) -> None:
    """A whole body, of which fat may be the larger part: the scale must not hang on that."""
    hu, field = truth(80.0)
    rim = np.hypot(P[..., 0], P[..., 1])
    soft = field & (hu == 40.0)
    hu[soft & (rim > np.quantile(rim[soft], 1.0 - fat))] = -100.0
    noisy = hu + np.random.default_rng(2).normal(0.0, 30.0, GRID.shape)
    grey = np.where(field, (noisy + 1500.0) / 0.6, 0.0)
    scan = read_cone_beam(Volume(np.rint(grey).astype(np.int16), GRID, "HU"))
    inner = field & (rim < 20.0) & (hu == 40.0)
    assert scan.volume.array[inner].mean() == pytest.approx(40.0, abs=30.0)
    assert scan.slope == pytest.approx(0.6, rel=0.04)


def test_hounsfield_units_are_left_alone() -> None:
    scan = read_cone_beam(scanned(1.0, 0.0, pad=-1024.0))
    assert scan.slope == 1.0
    assert "in HU as it is" in scan.how


def test_gas_cut_by_the_field_is_no_air_of_the_room() -> None:
    """The field ends inside the body: its gas touches the field's side, and stays gas."""
    hu, field = truth(30.0)
    scan = read_cone_beam(scanned(1.0, 0.0, radius_mm=30.0, pad=-1024.0))
    assert not scan.room.any()
    assert scan.gas[field & (hu == -1000.0)].mean() > 0.9
    assert any("skin lies outside" in note for note in scan.notes)


def test_what_cannot_be_scaled_is_refused() -> None:
    hu = np.full(GRID.shape, 2500.0) + np.random.default_rng(2).normal(0.0, 40.0, GRID.shape)
    with pytest.raises(SegmentationError, match="no air"):
        read_cone_beam(Volume(hu.astype(np.int16), GRID, "HU"))
    with pytest.raises(SegmentationError, match="one grey value"):
        read_cone_beam(Volume(np.zeros(GRID.shape, np.int16), GRID, "HU"))
    with pytest.raises(GridMismatchError, match="field"):
        read_cone_beam(scanned(1.0, 0.0), field=np.ones((2, 2, 2), bool))
