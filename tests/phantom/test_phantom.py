"""The phantom as a whole: truth, contrast phases, noise, determinism, orientation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from irplan.phantom import PHASES, Phantom, TumourSpec, abdominal_ct, tissue

COARSE = (4.0, 2.0, 2.0)


def make(seed: int = 3, **settings: object) -> Phantom:
    return abdominal_ct(seed, **{"spacing_mm": COARSE, "noise_hu": 0.0, **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clean() -> Phantom:
    return abdominal_ct(3, spacing_mm=(1.5, 1.2, 1.2), noise_hu=0.0, tumours=(TumourSpec(24.0),))


@pytest.fixture(scope="module")
def phases() -> dict[str, Phantom]:
    return {phase: make(phase=phase) for phase in PHASES}


def organ(p: Phantom) -> np.ndarray:
    return p.labels.mask("liver", "tumour", "portal_vein", "hepatic_vein")


def largest(mask: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert count >= 1
    sizes = np.bincount(parts.reshape(-1))
    sizes[0] = 0
    out: np.ndarray = parts == sizes.argmax()
    return out


def test_lps_orientation_and_coverage(clean: Phantom) -> None:
    grid = clean.volume.grid
    centre = {}
    for name in ("liver", "spleen", "stomach", "heart", "bone", "kidney_left", "kidney_right"):
        at = np.argwhere(clean.labels.mask(name)).mean(axis=0)
        centre[name] = grid.index_to_lps(at)
    assert centre["liver"][0] < -20 < 20 < centre["spleen"][0]  # +x is the patient's left
    assert centre["kidney_right"][0] < -30 < 30 < centre["kidney_left"][0]
    assert centre["stomach"][1] < centre["spleen"][1]  # +y is the back
    assert centre["heart"][2] > centre["liver"][2] > centre["kidney_left"][2]
    height = grid.shape[0] * grid.spacing_mm[0]
    assert 280 <= height <= 340
    assert clean.volume.array.dtype == np.int16
    edge = clean.labels.array.copy()
    edge[:, 4:-4, 4:-4] = 0
    assert not edge.any()  # the whole body is in the field of view


def test_lungs_reach_the_top_and_kidneys_end_above_the_bottom(clean: Phantom) -> None:
    lung = clean.labels.mask("lung")
    assert lung[-1].mean() > 0.15
    assert not lung[0].any()
    assert clean.labels.mask("liver")[-1].sum() == 0
    kidneys = clean.labels.mask("kidney_left", "kidney_right")
    assert not kidneys[:4].any()


def test_everything_inside_the_skin_is_labelled_and_nothing_outside(clean: Phantom) -> None:
    inside = clean.labels.array > 0
    filled = np.stack([ndimage.binary_fill_holes(s) for s in inside])
    assert np.array_equal(filled, inside)
    assert ndimage.label(inside)[1] == 1
    outside = clean.volume.array[~inside]
    # air or the table under the patient
    assert np.mean(outside < -900) > 0.85


def test_structures_are_present_where_they_must_be(clean: Phantom) -> None:
    minimum_ml = {
        "liver": 900, "tumour": 6, "portal_vein": 15, "hepatic_vein": 5, "artery": 30,
        "vena_cava": 30, "gallbladder": 8, "bone": 200, "lung": 600, "gas": 20, "stomach": 60,
        "bowel": 150, "kidney_left": 80, "kidney_right": 80, "spleen": 80, "heart": 100,
        "fat": 2000, "muscle": 1500, "skin": 100, "diaphragm": 20, "pancreas": 20,
    }  # fmt: skip
    voxel = clean.volume.grid.voxel_volume_mm3 / 1000
    for name, least in minimum_ml.items():
        assert clean.labels.mask(name).sum() * voxel > least, name


def test_tumour_has_the_volume_asked_for(clean: Phantom) -> None:
    fact = clean.facts.tumours[0]
    exact = math.pi * 24.0**3 / 6000
    assert fact.volume_ml == pytest.approx(exact, rel=1e-12)
    voxels = clean.labels.mask("tumour").sum() * clean.volume.grid.voxel_volume_mm3 / 1000
    assert voxels == pytest.approx(exact, rel=0.01)  # 3400 voxels: sampling error about 0.3 %
    at = np.argwhere(clean.labels.mask("tumour")).mean(axis=0)
    assert clean.volume.grid.index_to_lps(at) == pytest.approx(fact.centre_mm, abs=0.3)


def test_liver_volume_agrees_with_its_labels(clean: Phantom) -> None:
    parts = largest(organ(clean))  # the portal trunk outside the liver adds a little
    deep = ndimage.binary_opening(parts, iterations=5)  # cuts the 13 mm trunk off
    grown = ndimage.binary_propagation(deep, mask=parts & ndimage.binary_dilation(deep, None, 7))
    ml = grown.sum() * clean.volume.grid.voxel_volume_mm3 / 1000
    assert ml == pytest.approx(clean.facts.liver_volume_ml, rel=0.015)


def test_facts_agree_with_distance_transforms_of_the_labels() -> None:
    # tolerance: half a voxel diagonal on each of the two surfaces
    p = abdominal_ct(
        8, spacing_mm=(1.5, 1.0, 1.0), noise_hu=0.0, tumours=(TumourSpec(22.0), TumourSpec(10.0))
    )
    whole = organ(p)
    low, high = np.argwhere(whole).min(axis=0), np.argwhere(whole).max(axis=0)
    labels = p.labels.crop(low - 2, high - low + 5)
    grid = labels.grid
    liver = labels.mask("liver", "tumour", "portal_vein", "hepatic_vein")
    tumours, count = ndimage.label(labels.mask("tumour"))
    assert count == 2
    tolerance = float(np.linalg.norm(grid.spacing_mm))
    depth = ndimage.distance_transform_edt(liver, grid.spacing_mm)
    veins = labels.mask("portal_vein", "hepatic_vein", "vena_cava", "artery", "vessel")
    # the inner radius in voxels is half a voxel too large: 2.3 mm means at least 3 mm calibre
    core = ndimage.distance_transform_edt(veins, grid.spacing_mm) >= 2.3
    to_thick = ndimage.distance_transform_edt(~core, grid.spacing_mm) - 1.8
    to_any = ndimage.distance_transform_edt(~veins, grid.spacing_mm)
    for fact in p.facts.tumours:
        index = np.rint(grid.lps_to_index(fact.centre_mm)).astype(int)
        mask = tumours == tumours[tuple(index)]
        assert depth[mask].min() == pytest.approx(fact.distance_to_capsule_mm, abs=tolerance)
        assert fact.distance_to_capsule_mm >= 8.0 - 0.3
        # between the nearest vessel of any size and the nearest that is thick in voxels
        assert to_any[mask].min() < fact.distance_to_vessel_mm + tolerance
        assert to_thick[mask].min() > fact.distance_to_vessel_mm - tolerance


def test_given_place_contrast_and_several_tumours() -> None:
    first = make()
    place = first.facts.tumours[0].centre_mm
    p = make(tumours=(TumourSpec(12.0, place, contrast_hu=30.0, irregularity=0.0), TumourSpec(9.0)))
    fact = p.facts.tumours[0]
    assert fact.centre_mm == pytest.approx(place, abs=1e-4)  # quadrature
    assert fact.hu == pytest.approx(p.facts.hu("liver") + 30.0)
    index = tuple(np.rint(p.volume.grid.lps_to_index(place)).astype(int))
    assert p.volume.array[index] == pytest.approx(fact.hu, abs=1.0)
    # a sphere's distances differ by its radius from those of its centre
    wall = math.dist(p.facts.tumours[1].centre_mm, place)
    assert wall > 6.0 + 4.5


@pytest.mark.parametrize("phase", PHASES)
def test_mean_hu_of_organs(phases: dict[str, Phantom], phase: str) -> None:
    p = phases[phase]
    names = ["liver", "spleen", "muscle", "fat", "gallbladder", "lung"]
    source = {"fat": "fat"}
    for name in names:
        core = ndimage.binary_erosion(p.labels.mask(name), iterations=2)
        mean = float(np.median(p.volume.array[core]))
        wanted = p.facts.hu(source.get(name, name))
        # texture and partial volume of a 4 mm slice; the lung's mean is a smooth texture's
        assert mean == pytest.approx(wanted, abs=12.0 if name in ("lung", "fat") else 4.0), name
        table = tissue(name)
        assert abs(wanted - table.hu(p.facts.phase)) <= 2.0 * table.spread(p.facts.phase) + 1e-9


def test_phases_differ_as_contrast_does(phases: dict[str, Phantom]) -> None:
    def hu(phase: str, name: str) -> float:
        p = phases[phase]
        core = ndimage.binary_erosion(p.labels.mask(name), iterations=1)
        return float(np.median(p.volume.array[core]))

    assert hu("arterial", "artery") > hu("portal", "artery") + 80 > hu("unenhanced", "artery") + 150
    assert hu("portal", "liver") > hu("arterial", "liver") + 20 > hu("unenhanced", "liver") + 22
    for vein in ("portal_vein", "hepatic_vein"):  # veins stand out in the portal phase only
        lift = [tissue(vein).hu(k) - tissue("liver").hu(k) for k in PHASES]
        assert lift[2] > 15 > 0 > lift[0]
    arterial = phases["arterial"].facts
    assert arterial.hu("kidney_cortex") > arterial.hu("kidney_medulla") + 60
    assert np.array_equal(phases["arterial"].labels.array, phases["portal"].labels.array)
    assert (
        phases["arterial"].facts.tumours[0].centre_mm == phases["portal"].facts.tumours[0].centre_mm
    )


def test_labels_and_facts_do_not_depend_on_noise() -> None:
    a, b = make(noise_hu=0.0), make(noise_hu=25.0)
    assert np.array_equal(a.labels.array, b.labels.array)
    assert a.facts.tumours == b.facts.tumours
    assert a.facts.liver_volume_ml == b.facts.liver_volume_ml


def test_noise_has_the_deviation_and_spectrum_asked_for() -> None:
    a = make(noise_hu=0.0, spacing_mm=(2.5, 0.9, 0.9))
    b = make(noise_hu=20.0, spacing_mm=(2.5, 0.9, 0.9))
    difference = b.volume.array.astype(float) - a.volume.array
    core = ndimage.binary_erosion(a.labels.mask("liver"), iterations=2)
    assert difference[core].std() == pytest.approx(20.0, rel=0.05)
    assert abs(difference[core].mean()) < 0.5


def test_same_seed_same_bytes_and_another_seed_another_patient() -> None:
    a, b, c = make(5, noise_hu=10.0), make(5, noise_hu=10.0), make(6, noise_hu=10.0)
    assert a.volume.array.tobytes() == b.volume.array.tobytes()
    assert a.labels.array.tobytes() == b.labels.array.tobytes()
    assert a.facts == b.facts
    assert a.volume.grid == b.volume.grid
    assert a.volume.grid.frame_of_reference_uid != c.volume.grid.frame_of_reference_uid
    uid = a.volume.grid.frame_of_reference_uid
    assert uid is not None
    assert len(uid) <= 64
    assert uid.startswith("2.25.")
    assert a.facts.liver_volume_ml != c.facts.liver_volume_ml


def test_volumes_do_not_depend_on_spacing() -> None:
    fine, coarse = make(spacing_mm=(2.0, 1.2, 1.2)), make(spacing_mm=(5.0, 1.8, 1.8))
    assert fine.facts.tumours == coarse.facts.tumours
    for names in (("liver",), ("spleen",), ("kidney_left",), ("stomach",), ("lung",), ("heart",)):
        ml = [p.labels.mask(*names).sum() * p.volume.grid.voxel_volume_mm3 for p in (fine, coarse)]
        assert ml[0] == pytest.approx(ml[1], rel=0.02), names


def test_partial_volume_keeps_the_mass_of_a_tumour() -> None:
    # the sum of (HU - background) over the voxels is contrast times volume, whatever the voxels
    p = make(spacing_mm=(3.0, 1.0, 1.0), tumours=(TumourSpec(16.0, contrast_hu=-60.0),))
    q = make(spacing_mm=(3.0, 1.0, 1.0), tumours=())
    lost = (q.volume.array.astype(float) - p.volume.array).sum() * p.volume.grid.voxel_volume_mm3
    liver_only = 60.0 * p.facts.tumours[0].volume_ml * 1000
    # vessels and texture under the tumour add a few HU
    assert lost == pytest.approx(liver_only, rel=0.12)


def test_table_and_settings() -> None:
    p = make(table=False, liver_ml=1700.0, body_width_mm=330.0, fat_mm=12.0)
    assert p.facts.liver_volume_ml == pytest.approx(1700.0, rel=0.005)
    assert p.settings.liver_ml == 1700.0
    outside = p.volume.array[p.labels.array == 0]
    assert np.mean(outside < -900) > 0.97
    body = p.labels.array > 0
    width = body.any(axis=(0, 1)).sum() * COARSE[2]
    assert width == pytest.approx(330.0, abs=10.0)  # waist and roll change it a little


def test_progress_is_reported_and_can_cancel() -> None:
    seen: list[float] = []
    make(spacing_mm=(6.0, 4.0, 4.0), progress=lambda f, _: seen.append(f))
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    assert seen == sorted(seen)

    def stop(fraction: float, message: str) -> None:
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(spacing_mm=(6.0, 4.0, 4.0), progress=stop)
