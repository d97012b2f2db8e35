"""Registration: closed forms, a known motion, and a wrong patient that is told apart."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from irplan.errors import GridMismatchError, InputError, MissingExtraError, RegistrationError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.image.resample import resample_volume
from irplan.phantom import Phantom, abdominal_ct
from irplan.registration import (
    Displacement,
    PointMap,
    RegistrationOptions,
    RigidTransform,
    fit_landmarks,
    register,
)
from irplan.registration.bones import fit_bones
from irplan.registration.prepare import prepare
from irplan.registration.quality import row
from irplan.registration.surface import register_surface

QUICK = RegistrationOptions(spacing_mm=4.0, inverse=False)


def _turn(deg: float, shift: tuple[float, float, float]) -> RigidTransform:
    a = np.radians(deg)
    r = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]])
    return RigidTransform.from_rotation(r, np.array(shift))


@pytest.fixture(scope="module")
def patient() -> Phantom:
    return abdominal_ct(11, spacing_mm=(4.0, 2.5, 2.5), tumours=(), noise_hu=10.0)


def _moved(volume: Volume, rigid: RigidTransform, keep: tuple[slice, slice, slice]) -> Volume:
    """The same voxels with a header that says they lie elsewhere, and a part of them."""
    affine = rigid.matrix @ volume.grid.affine
    grid = Grid(volume.grid.shape, affine)
    start = [s.start for s in keep]
    shape = [s.stop - s.start for s in keep]
    return Volume(volume.array, grid, "HU").crop(start, shape)


def test_landmarks_give_the_exact_motion() -> None:
    points = np.random.default_rng(0).uniform(-80, 80, (5, 3))
    truth = _turn(12.0, (5.0, -7.0, 30.0))
    got = fit_landmarks(points, truth.apply(points))
    np.testing.assert_allclose(got.matrix, truth.matrix, atol=1e-9)
    with pytest.raises(InputError, match="landmarks"):
        fit_landmarks([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 0, 0], [1, 0, 0], [2, 0, 0]])


def test_the_way_back_of_a_smooth_field_is_exact() -> None:
    grid = Grid.from_spacing((30, 30, 30), (4.0, 4.0, 4.0), (-58.0, -58.0, -58.0))
    at = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    bell = np.exp(-((np.linalg.norm(at, axis=-1) / 25.0) ** 2))
    field = Displacement((bell[..., None] * [4.0, -3.0, 6.0]).astype(np.float32), grid)
    mapping = PointMap(_turn(8.0, (1.0, 2.0, 3.0)), field)
    points = np.random.default_rng(1).uniform(-40, 40, (100, 3))
    np.testing.assert_allclose(mapping.backward(mapping.forward(points)), points, atol=0.01)
    # a linear field has a constant Jacobian: det(I + A)
    linear = Displacement((at * [0.1, -0.05, 0.2]).astype(np.float32), grid)
    np.testing.assert_allclose(linear.jacobian(), 1.1 * 0.95 * 1.2, rtol=1e-4)


def test_a_known_motion_is_found_in_a_truncated_scan(patient: Phantom) -> None:
    truth = _turn(6.0, (14.0, -9.0, 21.0))
    n = patient.volume.grid.shape
    keep = (slice(8, n[0] - 8), slice(4, n[1] - 4), slice(4, n[2] - 30))
    control = _moved(patient.volume, truth, keep)
    found = register(patient.volume, control, organ=patient.organ, options=QUICK)
    points = patient.volume.grid.index_to_lps(np.argwhere(patient.organ)[::300])
    gap = np.linalg.norm(found.mapping.forward(points) - truth.apply(points), axis=1)
    assert np.median(gap) < 1.0  # a quarter of a working voxel
    assert found.quality.status == "ok"
    assert found.quality.value("inverse") is None  # not asked for is not "ok"
    assert {r.status for r in found.quality.rows if r.key == "landmarks"} == {"not checked"}


def test_a_wrong_patient_fails_the_report(patient: Phantom) -> None:
    other = abdominal_ct(13, spacing_mm=(4.0, 2.5, 2.5), tumours=(), noise_hu=10.0)
    found = register(patient.volume, other.volume, organ=patient.organ, options=QUICK)
    assert found.quality.status == "failed"
    with pytest.raises(RegistrationError, match="Do not use"):
        found.require_usable()


def test_bad_input_is_named(patient: Phantom) -> None:
    air = Volume(np.full((20, 20, 20), -1000.0), Grid.from_spacing((20, 20, 20), (5, 5, 5)), "HU")
    with pytest.raises(RegistrationError, match="control scan"):
        register(patient.volume, air, options=QUICK)
    with pytest.raises(GridMismatchError, match="organ"):
        register(patient.volume, patient.volume, organ=np.ones((2, 2, 2), dtype=bool))
    with pytest.raises(InputError, match="landmarks"):
        register(patient.volume, patient.volume, landmarks=([[0, 0, 0]], [[0, 0]]))
    assert row("correlation", float("nan")).status == "failed"


def test_absent_open3d_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    points = np.random.default_rng(0).standard_normal((200, 3))
    with pytest.raises(MissingExtraError, match="registration"):
        register_surface(points, points)


def test_resampling_keeps_place(patient: Phantom) -> None:
    coarse = resample_volume(patient.volume, patient.volume.grid.resized(6.0), outside=-1000.0)
    assert coarse.grid.contains(patient.volume.grid.centre_lps_mm)


def test_bones_are_fitted_though_the_start_is_pulled_away(patient: Phantom) -> None:
    """From 4 mm and 1.5 degrees off back to the known motion; nobody else's bones fit."""
    truth = _turn(5.0, (12.0, -8.0, 15.0))
    rng = np.random.default_rng(4)
    noisy = patient.volume.array + rng.normal(0.0, 20.0, patient.volume.grid.shape)
    control = Volume(
        noisy.astype(np.float32),
        Grid(patient.volume.grid.shape, truth.matrix @ patient.volume.grid.affine),
        "HU",
    )
    a = prepare(patient.volume, 3.0, field="plan")
    b = prepare(control, 3.0, field="control")
    off = RigidTransform(_turn(1.5, (2.0, 2.0, -3.0)).matrix @ truth.matrix)
    found = fit_bones(a, b, off)
    points = a.grid.index_to_lps(np.argwhere(a.hu > 300.0)[::50])
    gap = np.linalg.norm(found.rigid.apply(points) - truth.apply(points), axis=1)
    assert gap.max() < 0.5  # a sixth of a working voxel
    assert found.share > 0.9
    other = abdominal_ct(13, spacing_mm=(4.0, 2.5, 2.5), tumours=(), noise_hu=10.0)
    wrong = fit_bones(a, prepare(other.volume, 3.0, field="control"), RigidTransform.identity())
    assert wrong.share < 0.45  # where the report fails
    air = Volume(
        np.where(patient.volume.array > 100.0, 40.0, patient.volume.array),
        patient.volume.grid,
        "HU",
    )
    nothing = fit_bones(prepare(air, 3.0, field="plan"), b, truth)
    assert nothing.count < 150
    assert nothing.rigid is truth
