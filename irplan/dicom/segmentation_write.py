"""A label map as a DICOM segmentation (SEG) of the series it was made on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless, generate_uid

from irplan import __version__
from irplan.compute.progress import Progress, no_progress, portion
from irplan.dicom.find import FoundSeries, choose_series, find_series
from irplan.dicom.pixels import same_pixels
from irplan.dicom.reading import is_dicom, read_dataset, text
from irplan.dicom.segmentation_codes import cielab, code_item, coded, sequence
from irplan.dicom.slices import slices_of
from irplan.dicom.stack import Stack, stack_slices
from irplan.errors import DicomError, InputError
from irplan.geometry import Grid
from irplan.geometry.orientation import reorder_axes
from irplan.image.labels import Code, Label, LabelMap

SegmentationKind = Literal["binary", "labelmap"]

_BINARY_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
_LABELMAP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
#: What a segmentation takes over from the series it belongs to: patient, study, frame.
_INHERITED = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "SpecificCharacterSet",
)  # fmt: skip
#: Of these, what the standard demands even when it is empty.
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator",
)  # fmt: skip
_DESCRIPTION = "irplan segmentation: RESEARCH USE ONLY"


@dataclass(frozen=True)
class SegmentationAlgorithm:
    """What made the segments: ``name``, ``version``, and whether a person took part."""

    name: str = "irplan supervoxel graph cut"
    version: str = __version__
    kind: Literal["AUTOMATIC", "SEMIAUTOMATIC"] = "AUTOMATIC"
    learned: bool = False
    """True for a trained network (family: artificial intelligence), else cluster analysis."""


def write_segmentation(
    labels: LabelMap,
    source: str | Path,
    out: str | Path,
    *,
    series_uid: str | None = None,
    kind: SegmentationKind = "binary",
    rle: bool = False,
    algorithms: Mapping[str, SegmentationAlgorithm] | None = None,
    progress: Progress = no_progress,
) -> None:
    """Write ``labels`` as one SEG file that belongs to the DICOM series ``source``.

    Every label with a voxel becomes a segment (SNOMED category, type and side; recommended
    colour; algorithm), in order of its value; frames lie exactly on the slices of the source,
    whatever order or orientation it is stored in, and refer to them.  Empty frames are left out.

    Parameters
    ----------
    labels : on the grid of the series as `read_series` gives it (axes re-indexed or not).
    source, series_uid : the CT series, as for `read_series`.
    out : the file to write, in one piece (see `irplan.case`: it is staged there).
    kind : ``"binary"`` (one bit a voxel and segment; every reader knows it) or ``"labelmap"``
        (one byte a voxel, DICOM 2024d; few readers know it).
    rle : compress losslessly (label maps only: the standard has no RLE of single bits).
    algorithms : by label name; a missing one is the automatic graph cut of this version.

    Raises
    ------
    DicomError : ``source`` is not DICOM, or not a usable CT series.
    GridMismatchError : the labels are not on its slices.
    InputError : no label has a voxel; ``rle`` with ``"binary"``.
    """
    if kind not in ("binary", "labelmap") or (rle and kind == "binary"):
        raise InputError(
            "segmentation kind",
            got=f"{kind!r}{' with RLE' if rle else ''}",
            expected="'binary', or 'labelmap' with or without RLE",
            remedy="Single-bit frames cannot be RLE compressed; write a label map, or leave RLE.",
        )
    root = Path(source)
    if root.is_file() and not is_dicom(root):
        raise DicomError(
            "segmentation source",
            got=f"'{root.name}', which is not DICOM",
            expected="the DICOM series that was segmented",
            remedy="A SEG refers to the slices it was drawn on: give the DICOM folder as the CT, "
            "or write NIfTI only.",
        )
    found = find_series(root, progress=portion(progress, 0.0, 0.3))
    series, _ = choose_series(found, series_uid=series_uid, modalities=("CT",))
    stack = stack_slices(slices_of(series), name=found.name, same_pixels=same_pixels)
    array = _on_source(labels, stack)
    present = [x for x in sorted(labels.labels, key=lambda x: x.value) if (array == x.value).any()]
    if not present:
        raise InputError(
            "labels",
            got="no label with a voxel",
            expected="at least one structure that was found",
            remedy="Nothing was segmented: there is nothing to store.",
        )
    progress(0.4, "DICOM SEG: encoding")
    given = dict(algorithms or {})
    data = _header(series, stack, kind)
    data.SegmentSequence = sequence(
        *(
            _segment(n, x, given.get(x.name, SegmentationAlgorithm()))
            for n, x in enumerate(present, start=1)
        )
    )
    _functional_groups(data, stack, series)
    _frames(data, array, present, stack, series, kind, portion(progress, 0.4, 0.9))
    if rle:
        data.compress(RLELossless, generate_instance_uid=False)
    progress(0.95, "DICOM SEG: writing")
    data.save_as(Path(out), enforce_file_format=True)


def _on_source(labels: LabelMap, stack: Stack) -> NDArray[np.uint8]:
    """The label array with the source's own slices, rows and columns."""
    steps = np.linalg.norm(stack.affine[:3, :3], axis=0)
    array, affine = reorder_axes(labels.array, labels.grid.affine, stack.affine[:3, :3] / steps)
    frame = stack.slices[0].frame_of_reference_uid
    rows, columns = stack.slices[0].shape
    own = Grid((len(stack.slices), rows, columns), stack.affine, frame)
    given = Grid(
        (array.shape[0], array.shape[1], array.shape[2]),
        affine,
        labels.grid.frame_of_reference_uid,
    )
    own.require_same(given, field="labels")
    return array


def _header(series: FoundSeries, stack: Stack, kind: SegmentationKind) -> FileDataset:
    source = read_dataset(stack.slices[0].file, pixels=False)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_LABELMAP_CLASS if kind == "labelmap" else _BINARY_CLASS)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword in _INHERITED:
        if keyword in source:
            data[keyword] = source[keyword]
        elif keyword in _TYPE_2:
            setattr(data, keyword, "")
    if "FrameOfReferenceUID" not in data:
        data.FrameOfReferenceUID = generate_uid()
    now = datetime.now()
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.Modality = "SEG"
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.InstanceCreationDate = data.ContentDate = data.SeriesDate = now.strftime("%Y%m%d")
    data.InstanceCreationTime = data.ContentTime = data.SeriesTime = now.strftime("%H%M%S")
    data.SeriesInstanceUID = generate_uid()
    data.SeriesNumber = 900
    data.SeriesDescription = _DESCRIPTION
    data.InstanceNumber = 1
    data.ContentLabel = "SEGMENTATION"
    data.ContentDescription = _DESCRIPTION
    data.ContentCreatorName = ""
    data.Manufacturer = "irplan"
    data.ManufacturerModelName = "irplan"
    data.DeviceSerialNumber = "0"
    data.SoftwareVersions = __version__
    data.Rows, data.Columns = stack.slices[0].shape
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelRepresentation = 0
    bits = 8 if kind == "labelmap" else 1
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.LossyImageCompression = text(source, "LossyImageCompression") or "00"
    if data.LossyImageCompression == "01":
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in source:
                data[keyword] = source[keyword]
    data.SegmentationType = "LABELMAP" if kind == "labelmap" else "BINARY"
    data.SegmentsOverlap = "NO"
    if kind == "labelmap":
        data.PixelPaddingValue = 0
    return data


def _segment(number: int, label: Label, algorithm: SegmentationAlgorithm) -> Dataset:
    category, kind, side = coded(label)
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = label.name
    item.SegmentDescription = f"{label.code.meaning}; RESEARCH USE ONLY"[:64]
    item.SegmentAlgorithmType = algorithm.kind
    item.SegmentAlgorithmName = algorithm.name[:64]
    item.SegmentedPropertyCategoryCodeSequence = sequence(code_item(category))
    of_type = code_item(kind)
    if side is not None:
        of_type.SegmentedPropertyTypeModifierCodeSequence = sequence(code_item(side))
    item.SegmentedPropertyTypeCodeSequence = sequence(of_type)
    item.RecommendedDisplayCIELabValue = cielab(label.colour)
    item.TrackingID = label.name
    item.TrackingUID = generate_uid()
    made_by = Dataset()
    family = ("123110", "Artificial Intelligence")
    if not algorithm.learned:
        family = ("123107", "Cluster Analysis")
    made_by.AlgorithmFamilyCodeSequence = sequence(code_item(Code(family[0], "DCM", family[1])))
    made_by.AlgorithmName = algorithm.name[:64]
    made_by.AlgorithmVersion = algorithm.version[:64]
    item.SegmentationAlgorithmIdentificationSequence = sequence(made_by)
    return item


def _functional_groups(data: Dataset, stack: Stack, series: FoundSeries) -> None:
    steps = np.linalg.norm(stack.affine[:3, :3], axis=0)
    turn = Dataset()
    turn.ImageOrientationPatient = _decimals(
        [*(stack.affine[:3, 2] / steps[2]), *(stack.affine[:3, 1] / steps[1])]
    )
    measure = Dataset()
    measure.SliceThickness, measure.SpacingBetweenSlices = _decimals([steps[0], steps[0]])
    measure.PixelSpacing = _decimals([steps[1], steps[2]])
    shared = Dataset()
    shared.PlaneOrientationSequence = sequence(turn)
    shared.PixelMeasuresSequence = sequence(measure)
    data.SharedFunctionalGroupsSequence = sequence(shared)
    organisation = Dataset()
    organisation.DimensionOrganizationUID = generate_uid()
    data.DimensionOrganizationSequence = sequence(organisation)
    by_segment, by_place = Dataset(), Dataset()
    for item, pointer, group, words in (
        (by_segment, 0x0062000B, 0x0062000A, "Segment Number"),
        (by_place, 0x00200032, 0x00209113, "Image Position Patient"),
    ):
        item.DimensionOrganizationUID = organisation.DimensionOrganizationUID
        item.DimensionIndexPointer = pointer
        item.FunctionalGroupPointer = group
        item.DimensionDescriptionLabel = words
    indices = [by_place] if data.SegmentationType == "LABELMAP" else [by_segment, by_place]
    data.DimensionIndexSequence = sequence(*indices)
    instances = []
    for uid, sop_class in sorted(_instances(series).items()):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        instances.append(item)
    referred = Dataset()
    referred.SeriesInstanceUID = series.uid
    referred.ReferencedInstanceSequence = sequence(*instances)
    data.ReferencedSeriesSequence = sequence(referred)


def _instances(series: FoundSeries) -> dict[str, str]:
    return {text(h.data, "SOPInstanceUID"): text(h.data, "SOPClassUID") for h in series.headers}


def _frames(
    data: Dataset,
    array: NDArray[np.uint8],
    present: list[Label],
    stack: Stack,
    series: FoundSeries,
    kind: SegmentationKind,
    progress: Progress,
) -> None:
    """Pixels and the functional groups of every frame that is not empty."""
    uids = {h.file: (text(h.data, "SOPInstanceUID"), text(h.data, "SOPClassUID"))
            for h in series.headers}  # fmt: skip
    if kind == "labelmap":
        numbers = np.zeros(256, dtype=np.uint8)
        for n, label in enumerate(present, start=1):
            numbers[label.value] = n
        planes = [(0, k) for k in range(len(array)) if numbers[array[k]].any()]
        pixels: list[NDArray[Any]] = [numbers[array[k]] for _, k in planes]
    else:
        planes, pixels = [], []
        for n, label in enumerate(present, start=1):
            progress(n / len(present), "DICOM SEG: encoding")
            for k in range(len(array)):
                plane = array[k] == label.value
                if plane.any():
                    planes.append((n, k))
                    pixels.append(plane)
    place_of = {k: n for n, k in enumerate(sorted({k for _, k in planes}), start=1)}
    groups = []
    for number, k in planes:
        one = stack.slices[k]
        group, content, place = Dataset(), Dataset(), Dataset()
        index = [place_of[k]] if number == 0 else [number, place_of[k]]
        content.DimensionIndexValues = index
        group.FrameContentSequence = sequence(content)
        place.ImagePositionPatient = _decimals((stack.affine @ np.array([k, 0.0, 0.0, 1.0]))[:3])
        group.PlanePositionSequence = sequence(place)
        if number:
            identity = Dataset()
            identity.ReferencedSegmentNumber = number
            group.SegmentIdentificationSequence = sequence(identity)
        group.DerivationImageSequence = sequence(_derivation(*uids[one.file], one.frame))
        groups.append(group)
    data.NumberOfFrames = len(groups)
    data.PerFrameFunctionalGroupsSequence = sequence(*groups)
    stacked = np.stack(pixels)
    if kind == "labelmap":
        raw = stacked.tobytes()
        data.PixelData = raw + b"\0" * (len(raw) % 2)
    else:
        data.PixelData = pack_bits(stacked.astype(np.uint8), pad=True)
    data["PixelData"].VR = "OB"


def _derivation(uid: str, sop_class: str, frame: int | None) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = sop_class, uid
    if frame is not None:
        source.ReferencedFrameNumber = frame + 1
    source.PurposeOfReferenceCodeSequence = sequence(
        code_item(Code("121322", "DCM", "Source image for image processing operation"))
    )
    out = Dataset()
    out.DerivationCodeSequence = sequence(code_item(Code("113076", "DCM", "Segmentation")))
    out.SourceImageSequence = sequence(source)
    return out


def _decimals(values: Any) -> list[str]:
    """Numbers as DS text of at most 16 characters, as exact as those allow."""
    out = []
    for value in values:
        number = float(value) + 0.0
        for digits in range(16, 5, -1):
            shown = f"{number:.{digits}g}"
            if len(shown) <= 16:
                break
        out.append(shown)
    return out
