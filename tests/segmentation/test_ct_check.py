"""What is and what is not an abdominal CT in HU."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.phantom import Variant, abdominal_ct
from irplan.segmentation import check_ct, segment_liver
from irplan.segmentation.ct_check import CheckRow, contrast_phase, ct_rows
from irplan.segmentation.ct_measure import measure_noise


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


def _row(rows: tuple[CheckRow, ...], name: str) -> CheckRow:
    return next(r for r in rows if r.name == name)


@pytest.fixture(scope="module")
def patient():
    """A phantom of 0.9 mm pixels, 15 HU of noise, a few slices: enough for what is measured."""
    return abdominal_ct(
        5, spacing_mm=(5.0, 0.9, 0.9), tumours=(), variant=Variant(cut_bottom_mm=60.0)
    )


def test_the_offset_of_stored_values_is_named():
    ct = _ct()
    for offset in (1000, 1024):
        stored = Volume((ct.array + offset).astype(np.int16), ct.grid)
        row = _row(ct_rows(stored), "volume.array")
        assert row.status == "error"
        assert "rescale intercept" in row.remedy
    eight = Volume(np.clip((ct.array + 160) / 400 * 255, 0, 255).astype(np.uint8), ct.grid)
    assert "8-bit" in ct_rows(eight)[-1].remedy


def test_an_error_ends_the_rows_and_check_ct_raises_it():
    ct = _ct()
    rows = ct_rows(Volume(ct.array, ct.grid, "degC"))
    assert [r.status for r in rows] == ["error"]
    assert ct_rows(_ct(spacing=(7.0, 3.0, 3.0)))[-1].status != "not_checked"


def test_noise_is_measured_as_it_was_made(patient):
    # windows of 6 mm see most, not all, of a soft-tissue kernel's noise: within 15 %
    row = _row(ct_rows(patient.volume), "noise in soft tissue")
    assert row.value == pytest.approx(15.0, rel=0.15)
    assert row.status == "ok"
    rng = np.random.default_rng(1)
    for sd, status in ((40.0, "ok"), (80.0, "warning"), (200.0, "error")):
        white = (_ct().array + rng.normal(0, sd, _ct().array.shape)).astype(np.int16)
        row = _row(ct_rows(Volume(white, _ct().grid)), "noise in soft tissue")
        assert row.value == pytest.approx(np.hypot(sd, 10.0), rel=0.1)
        assert row.status == status


def test_sharper_noise_has_a_higher_frequency(patient):
    plain = measure_noise(patient.volume)
    rng = np.random.default_rng(2)
    white = patient.volume.array + rng.normal(0, 30.0, patient.volume.array.shape)
    sharp = measure_noise(Volume(white.astype(np.int16), patient.volume.grid))
    assert plain is not None
    assert sharp is not None
    # uncorrelated noise: E[(dI)^2] = 2 sd^2, so sqrt(2) / (2 pi pixel)
    assert sharp.white_per_mm == pytest.approx(np.sqrt(2.0) / (2.0 * np.pi * 0.9))
    assert sharp.frequency_per_mm > 0.96 * sharp.white_per_mm
    assert plain.frequency_per_mm < 0.92 * plain.white_per_mm
    loud = Volume(white.astype(np.int16), patient.volume.grid)
    assert _row(ct_rows(patient.volume), "frequency of the noise").status == "ok"
    assert _row(ct_rows(loud), "frequency of the noise").status == "warning"


def test_posture_table_border_and_coverage(patient):
    rows = ct_rows(patient.volume)
    assert _row(rows, "spine behind the middle").status == "ok"
    assert _row(rows, "table behind the patient").value > 0.8
    assert _row(rows, "body at the field's border").value == 0.0
    assert _row(rows, "liver on the top slice").status == "not_checked"
    grid = patient.volume.grid
    mirrored = Volume(patient.volume.array[:, ::-1, ::-1].copy(), grid)
    assert _row(ct_rows(mirrored), "spine behind the middle").status == "warning"
    narrow = grid.crop((0, 0, 70), (grid.shape[0], grid.shape[1], grid.shape[2] - 140))
    cut = Volume(patient.volume.array[:, :, 70:-70], narrow)
    assert _row(ct_rows(cut), "body at the field's border").status == "warning"


def test_missing_and_repeated_slices_stand_out(patient):
    array, grid = patient.volume.array, patient.volume.grid
    assert _row(ct_rows(patient.volume), "greatest step between slices").status == "ok"
    kept = [k for k in range(grid.shape[0]) if k not in (14, 15, 16, 17, 18)]
    gap = Volume(array[kept], grid.crop((0, 0, 0), (len(kept), *grid.shape[1:])))
    row = _row(ct_rows(gap), "greatest step between slices")
    assert row.status == "warning"
    assert "13 and 14" in row.note
    twice = array.copy()
    twice[20] = twice[19]
    assert _row(ct_rows(Volume(twice, grid)), "repeated slices").value == 1.0


def test_cone_beam_like_calibration_is_told():
    ct = _ct()
    scaled = Volume((ct.array * 0.82 + 20).astype(np.int16), ct.grid)
    row = _row(ct_rows(scaled), "CT number of air")
    assert row.status == "warning"
    assert row.value == pytest.approx(-800.0, abs=8.0)
    assert "cone-beam" in row.note


@pytest.mark.parametrize(
    ("aorta", "liver", "phase"),
    [(42, 58, "unenhanced"), (310, 72, "arterial"), (155, 110, "portal"), (115, 92, "delayed")],
)
def test_phases_of_the_phantoms_table(aorta, liver, phase):
    assert contrast_phase(aorta, liver) == phase


@pytest.mark.parametrize("phase", ["unenhanced", "arterial", "portal"])
def test_the_phase_is_read_from_the_scan(phase, request):
    case = request.getfixturevalue(phase)
    rows = ct_rows(case.phantom.volume, case.found.liver)
    row = _row(rows, "aorta (contrast phase)")
    assert row.note.startswith(phase)
    assert row.status == ("ok" if phase == "portal" else "warning")
    # neighbouring veins and 10 mm means move it by less than this
    assert row.value == pytest.approx(case.phantom.facts.hu("aorta"), abs=25.0)
    assert _row(rows, "liver on the top slice").value == 0.0
    assert _row(rows, "liver on the bottom slice").status == "ok"
