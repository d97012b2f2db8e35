"""RT structure sets: the fill against closed forms and an independent program."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.path
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from irplan.case.open import open_mask_and_notes
from irplan.dicom.rtstruct_read import fill_polygon, read_rtstruct
from irplan.errors import DicomError, GridMismatchError, InputError
from irplan.geometry import Grid

FRAME = "1.2.3.4.5.6"


def grid() -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 0.7], [0, 0.8, 0], [2.5, 0, 0]])
    affine[:3, 3] = (-40.0, -50.0, 20.0)
    return Grid((12, 90, 100), affine, FRAME)


def structures(path: Path, rois: dict[str, list[np.ndarray]], *, frame: str = FRAME) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    data.Modality = "RTSTRUCT"
    heads, bodies = [], []
    for at, (name, contours) in enumerate(rois.items(), start=1):
        head, body = Dataset(), Dataset()
        head.ROINumber, head.ROIName, head.ReferencedFrameOfReferenceUID = at, name, frame
        body.ReferencedROINumber = at
        items = []
        for points in contours:
            one = Dataset()
            one.ContourGeometricType = "CLOSED_PLANAR"
            one.NumberOfContourPoints = len(points)
            one.ContourData = [f"{v:.6g}"[:16] for v in points.reshape(-1)]
            items.append(one)
        body.ContourSequence = Sequence(items)
        heads.append(head)
        bodies.append(body)
    data.StructureSetROISequence, data.ROIContourSequence = Sequence(heads), Sequence(bodies)
    data.save_as(path, enforce_file_format=True)
    return path


def circle(radius: float, z: float, centre: tuple[float, float] = (-5.0, -14.0)) -> np.ndarray:
    angles = np.linspace(0, 2 * math.pi, 400, endpoint=False)
    x, y = centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)
    return np.stack([x, y, np.full_like(x, z)], axis=1)


def test_a_sphere_of_circles_has_its_volume(tmp_path: Path) -> None:
    """Sum of the discs' areas: closed form; a lattice counts it to about its perimeter's error."""
    heights = 20.0 + 2.5 * np.arange(12)
    middle, radius = 32.5, 12.0
    radii = [math.sqrt(max(0.0, radius**2 - (z - middle) ** 2)) for z in heights]
    discs = [circle(r, z) for r, z in zip(radii, heights, strict=True) if r > 0.5]
    found = read_rtstruct(structures(tmp_path / "a.dcm", {"liver": discs}), grid())
    expected = sum(math.pi * r**2 for r in radii if r > 0.5) * 2.5
    volume = found.masks[0].sum() * 0.7 * 0.8 * 2.5
    assert volume == pytest.approx(expected, rel=0.005)
    labels = found.label_map()
    assert labels.mask("liver").sum() == found.masks[0].sum()


def test_a_contour_within_another_is_a_hole(tmp_path: Path) -> None:
    ring = [circle(20.0, 30.0), circle(10.0, 30.0)]
    found = read_rtstruct(structures(tmp_path / "a.dcm", {"a thing": ring}), grid())
    area = found.masks[0].sum() * 0.7 * 0.8
    assert area == pytest.approx(math.pi * (20.0**2 - 10.0**2), rel=0.01)
    assert found.masks[0].any(axis=(1, 2)).tolist() == [n == 4 for n in range(12)]
    assert found.label_map().label("a thing").value == 200


_PLACE = st.integers(-5000, 45000).map(lambda v: v / 1000 + 0.0001)


@settings(max_examples=60)
@given(st.lists(st.tuples(_PLACE, _PLACE), min_size=3, max_size=12, unique=True))
def test_fill_agrees_with_matplotlib(corners: list[tuple[float, float]]) -> None:
    """Any polygon, crossing itself or not: each pixel away from an edge is where Path has it."""
    given = np.array(corners)
    rows, columns = np.mgrid[:40, :40]
    centres = np.stack([rows.ravel(), columns.ravel()], axis=1).astype(float)
    a, b = given, np.roll(given, -1, axis=0)
    length = np.maximum(((b - a) ** 2).sum(1), 1e-300)
    along = np.clip(((centres[:, None] - a) * (b - a)).sum(2) / length, 0, 1)
    gap = np.linalg.norm(centres[:, None] - (a + along[..., None] * (b - a)), axis=2).min(1)
    # even-odd by winding of each simple crossing: count crossings of a ray upwards in rows
    crossings = np.zeros(len(centres), dtype=int)
    for (r0, c0), (r1, c1) in zip(a, b, strict=True):
        spans = (c0 <= centres[:, 1]) != (c1 <= centres[:, 1])
        if c0 != c1:
            at = r0 + (centres[:, 1] - c0) * (r1 - r0) / (c1 - c0)
            crossings += spans & (centres[:, 0] < at)
    clear = gap > 1e-6
    filled = fill_polygon(given, (40, 40)).ravel()
    assert (filled == (crossings % 2 == 1))[clear].all()
    if len(given) == 3:  # a triangle: the independent program agrees too
        inside = matplotlib.path.Path(given).contains_points(centres)
        assert (filled == inside)[clear].all()


def test_structures_of_another_image_are_refused(tmp_path: Path) -> None:
    disc = [circle(5.0, 30.0)]
    with pytest.raises(GridMismatchError, match="frame of reference"):
        read_rtstruct(structures(tmp_path / "a.dcm", {"x": disc}, frame="9.9"), grid())
    with pytest.raises(GridMismatchError, match=r"1\.00 mm off"):
        read_rtstruct(structures(tmp_path / "b.dcm", {"x": [circle(5.0, 31.0)]}), grid())
    with pytest.raises(GridMismatchError, match="outside"):
        read_rtstruct(structures(tmp_path / "c.dcm", {"x": [circle(5.0, 100.0)]}), grid())
    with pytest.raises(DicomError, match="no closed planar contour"):
        read_rtstruct(structures(tmp_path / "d.dcm", {"x": []}), grid())
    with pytest.raises(DicomError, match="not what it says"):
        read_rtstruct(structures(tmp_path / "e.dcm", {"x": [disc[0][:2]]}), grid())


def test_a_target_comes_as_a_structure_set(tmp_path: Path) -> None:
    rois = {"Liver": [circle(20.0, 30.0)], "GTV 1": [circle(9.0, 30.0)]}
    mask, notes = open_mask_and_notes(structures(tmp_path / "rs.dcm", rois), grid())
    assert np.array_equal(mask, read_rtstruct(tmp_path / "rs.dcm", grid()).masks[1])
    assert "GTV 1" in notes[0]
    two = {"GTV 1": [circle(9.0, 30.0)], "GTV 2": [circle(9.0, 32.5)]}
    with pytest.raises(InputError, match="2 structures"):
        open_mask_and_notes(structures(tmp_path / "two.dcm", two), grid())
