"""Runs as DICOM XA: a filtered run that keeps its source's header, and a simulated one."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from irplan import __version__
from irplan.dicom.reading import quiet, text
from irplan.dicom.xa_read import XaRun
from irplan.errors import InputError
from irplan.image import FluoroSequence

_XA = "1.2.840.10008.5.1.4.1.1.12.1"
_LONGEST = 1000  # characters of a DerivationDescription (ST allows 1024)
#: What would subtract or show a subtracted run as if it were none.
_OF_THE_UNSUBTRACTED = (
    "MaskSubtractionSequence",
    "RecommendedViewingMode",
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "VOILUTSequence",
    "WindowCenterWidthExplanation",
    "PixelPaddingValue",
)
#: What describes pixels that are no longer there.
_STALE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "IconImageSequence",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
)


def filtered_dataset(
    source: XaRun,
    frames: NDArray[Any],
    *,
    description: str,
    subtracted: bool = False,
    written: datetime | None = None,
) -> FileDataset:
    """``frames`` (frame, row, column) as an image derived from ``source``.

    All of the source's header is kept but its pixels, what describes them, and its identity:
    new SOP instance and series, ImageType DERIVED, a DerivationDescription (after the source's own,
    if any), the source image, and irplan as processing equipment.  Values are rounded and kept
    within the stored bits; turned back where the source was turned.  ``subtracted``: a mask is not
    to be subtracted again, and relation and window are those of the new values.
    """
    run = source.run
    if frames.shape != run.frames.shape:
        raise InputError(
            "frames",
            got=f"shape {frames.shape}",
            expected=f"{run.frames.shape}, as the source",
            remedy="Filter every frame of the run.",
        )
    with quiet():
        data = copy.deepcopy(source.header)
        if data.original_encoding[1] is False:
            data = _little_endian(data)
    allocated = 8 if int(data.BitsAllocated) == 8 else 16
    stored = np.clip(np.rint(frames), 0, source.top)
    if source.turned:
        stored = source.top - stored
    pixels = stored.astype(np.uint8 if allocated == 8 else np.dtype("<u2"))
    now = datetime.now() if written is None else written
    with quiet():
        original_class, original = text(data, "SOPClassUID"), text(data, "SOPInstanceUID")
        for keyword in _STALE:
            if keyword in data:
                delattr(data, keyword)
        kind = [str(v) for v in (data.get("ImageType") or ["ORIGINAL", "PRIMARY", "SINGLE PLANE"])]
        kind[:2] = ["DERIVED", "SECONDARY"]
        data.ImageType = kind
        data.SOPInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SeriesDescription = (text(data, "SeriesDescription")[:40] + " irplan filtered").strip()
        data.InstanceCreationDate, data.InstanceCreationTime = _date(now)
        codes = [("113087", "Smoothing")]
        if subtracted:
            codes.append(("113062", "Pixel by pixel subtraction"))
            _say_subtracted(data, pixels, source.turned)
        _derive(data, description, codes)
        for level in _frame_groups(data):
            if "FrameType" in level:
                level.FrameType = [*kind[:2], *[str(v) for v in level.FrameType][2:]]
            if "DerivationDescription" in level or level.get("DerivationCodeSequence"):
                _derive(level, description, codes)
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
            original_class,
            original,
        )
        reference.PurposeOfReferenceCodeSequence = Sequence(
            [_code("121322", "Source image for image processing operation")]
        )
        data.SourceImageSequence = Sequence([reference])
        data.ContributingEquipmentSequence = Sequence(
            [*(data.get("ContributingEquipmentSequence") or []), _equipment(now)]
        )
        data.BitsAllocated, data.PixelRepresentation = allocated, 0
        data.BitsStored, data.HighBit = source.top.bit_length(), source.top.bit_length() - 1
        _set_pixels(data, pixels, allocated)
    return data


def _little_endian(data: FileDataset) -> FileDataset:
    """A header read from big-endian bytes as one that can be written little-endian."""
    for element in data.iterall():  # decodes every element
        if element.VR == "OW" and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
    out = FileDataset("", {}, preamble=data.preamble, file_meta=data.file_meta)
    for element in data:
        out.add(element)
    return out


def _derive(data: Dataset, description: str, codes: list[tuple[str, str]]) -> None:
    """Said after what was done to the source before."""
    said = text(data, "DerivationDescription")
    room = _LONGEST - len(description) - 2
    before = f"{said[:room]}; " if said and room > 0 else ""
    data.DerivationDescription = (before + description)[:_LONGEST]
    data.DerivationCodeSequence = Sequence(
        [*(data.get("DerivationCodeSequence") or ()), *(_code(v, m) for v, m in codes)]
    )


def _frame_groups(data: Dataset) -> list[Dataset]:
    """The frame types and derivations of an enhanced object; none in a plain one."""
    groups = [
        *(data.get("SharedFunctionalGroupsSequence") or ()),
        *(data.get("PerFrameFunctionalGroupsSequence") or ()),
    ]
    names = ("XAXRFFrameCharacteristicsSequence", "FramePixelDataPropertiesSequence")
    return [item for group in groups for name in names for item in group.get(name) or ()]


def _say_subtracted(data: Dataset, pixels: NDArray[Any], turned: bool) -> None:
    for level in (data, *_frame_groups(data)):
        for keyword in _OF_THE_UNSUBTRACTED:
            if keyword in level:
                delattr(level, keyword)
        if level is data or "PixelIntensityRelationship" in level:
            level.PixelIntensityRelationship = "DISP"
            level.PixelIntensityRelationshipSign = -1 if turned else 1
    low, high = np.percentile(pixels[:, ::4, ::4], [0.1, 99.9])
    data.WindowCenter, data.WindowWidth = round(float(low + high) / 2), round(float(high - low) + 1)


def simulated_dataset(
    run: FluoroSequence, *, description: str, written: datetime | None = None
) -> FileDataset:
    """A computed run (uint16) as an XA object of a phantom; no person is in it."""
    if run.frames.dtype != np.uint16:
        raise InputError(
            "frames", got=str(run.frames.dtype), expected="uint16", remedy="Write the noisy run."
        )
    now = datetime.now() if written is None else written
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(_XA), generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = _XA, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.Modality, data.Manufacturer = "XA", "irplan (simulated)"
    data.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    data.PatientName, data.PatientID = "PHANTOM^SIMULATED", "IRPLAN-PHANTOM"
    data.PatientBirthDate = data.PatientSex = data.ReferringPhysicianName = ""
    data.StudyID, data.AccessionNumber = "", ""
    data.StudyDate, data.StudyTime = _date(now)
    data.SeriesDate, data.SeriesTime = _date(now)
    data.ContentDate, data.ContentTime = _date(now)
    data.SeriesNumber = data.InstanceNumber = 1
    data.SeriesDescription = description[:64]
    data.PatientOrientation = ""
    data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LIN", 1
    data.RadiationSetting = "GR" if run.detector_dose_ngy is None else "SC"
    data.PositionerMotion, data.TableMotion = "STATIC", "STATIC"
    data.KVP = run.technique.tube_kv
    data.Exposure = data.ExposureTime = data.XRayTubeCurrent = None
    data.PositionerPrimaryAngle = data.PositionerSecondaryAngle = 0.0
    if run.technique.pulse_ms:
        data.AveragePulseWidth = run.technique.pulse_ms
    if run.pixel_spacing_mm:
        data.ImagerPixelSpacing = [float(v) for v in run.pixel_spacing_mm]
    steps = np.diff(run.times_s, prepend=run.times_s[0]) * 1e3
    data.FrameIncrementPointer = 0x00181065
    data.FrameTimeVector = [round(float(s), 4) for s in steps]
    data.NumberOfFrames = len(run)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = run.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 0
    low, high = np.percentile(run.frames[len(run) // 2], [0.5, 99.5])
    data.WindowCenter, data.WindowWidth = round(float(low + high) / 2), round(float(high - low) + 1)
    _set_pixels(data, run.frames.astype("<u2"), 16)
    return data


def _set_pixels(data: FileDataset, pixels: NDArray[Any], allocated: int) -> None:
    raw = pixels.tobytes()
    data.PixelData = raw + b"\0" * (len(raw) % 2)
    data["PixelData"].VR = "OB" if allocated == 8 else "OW"
    data["PixelData"].is_undefined_length = False


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _equipment(now: datetime) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = Sequence([_code("109102", "Processing Equipment")])
    item.Manufacturer, item.ManufacturerModelName = "irplan", "irplan fluoro run"
    item.SoftwareVersions = __version__
    item.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    item.ContributionDescription = "Noise filter for fluoroscopy; research use only"
    return item


def _date(now: datetime) -> tuple[str, str]:
    return now.strftime("%Y%m%d"), now.strftime("%H%M%S")
