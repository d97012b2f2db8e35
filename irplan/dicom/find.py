"""What is in a folder: DICOM files grouped by series, and what was left aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileDataset
from pydicom.uid import UID

from irplan.compute.progress import Progress, no_progress
from irplan.dicom.reading import is_dicom, number, read_dataset, text
from irplan.errors import DicomError

#: The tags of a header that irplan looks at.  None of them identifies a patient.
HEADER_TAGS = (
    "AcquisitionNumber",
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "FrameOfReferenceUID",
    "GantryDetectorTilt",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "LossyImageCompression",
    "Modality",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PixelSpacing",
    "ProtocolName",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SharedFunctionalGroupsSequence",
    "SliceThickness",
    "SpacingBetweenSlices",
)

#: Every SOP class of the standard begins so; others are private objects of a maker.
_DICOM_ROOT = "1.2.840.10008."


@dataclass(frozen=True, eq=False)
class Header:
    """The looked-at tags of one file."""

    file: Path
    data: FileDataset


@dataclass(frozen=True, eq=False)
class FoundSeries:
    """Image files of one series, in the order of their file names."""

    uid: str
    modality: str
    headers: tuple[Header, ...]

    @property
    def image_count(self) -> int:
        """Number of images, frames of multi-frame files counted one by one."""
        return sum(int(number(h.data, "NumberOfFrames") or 1) for h in self.headers)

    def in_words(self) -> str:
        """Modality, number and size of the images, and the UID to pick it by."""
        first = self.headers[0].data
        size = f"{text(first, 'Rows')} x {text(first, 'Columns')}"
        return f"{self.modality or '?'}, {self.image_count} images of {size} (series {self.uid})"


@dataclass(frozen=True, eq=False)
class Findings:
    """The image series of a folder and how many files were left aside, and why."""

    name: str
    series: tuple[FoundSeries, ...]
    not_dicom: int
    without_image: tuple[tuple[str, int], ...]
    """Kind of object (SOP class in words) and number of files."""
    localizers: int

    def left_aside(self) -> tuple[str, ...]:
        """A sentence for each kind of file that was left aside."""
        kinds = [(count, f"{kind} (no image)") for kind, count in self.without_image]
        kinds += [(self.not_dicom, "not DICOM"), (self.localizers, "localizer (scout)")]
        return tuple(
            f"{count} file{'s' if count > 1 else ''} left aside: {what}."
            for count, what in kinds
            if count
        )


def find_series(path: str | Path, *, progress: Progress = no_progress) -> Findings:
    """Read the headers in a folder, or of one file and its neighbours of the same series.

    A folder is searched itself; only where it holds no DICOM file, its subfolders are.
    Names and extensions do not matter; DICOMDIR is ignored.  Raises `DicomError` for a path
    that does not exist, holds no DICOM image, or has a file whose header is broken.
    """
    root = Path(path)
    found = _series_of_file(root, progress) if root.is_file() else scan_folder(root, progress)
    if not found.series:
        aside = " ".join(found.left_aside()) or "an empty folder"
        raise DicomError(
            f"'{found.name}'",
            got=aside.rstrip("."),
            expected="the DICOM files of a CT series",
            remedy="Give the folder that holds the slices.",
        )
    return found


def scan_folder(root: Path, progress: Progress = no_progress) -> Findings:
    """`find_series` for a folder, without demanding that an image is in it."""
    if not root.is_dir():
        raise DicomError(
            f"path '{root.name}'",
            got="nothing there",
            expected="a DICOM file or a folder of them",
            remedy="Check the path.",
        )
    files = _files_of(root, deep=False)
    if not any(is_dicom(f) for f in files):
        files = _files_of(root, deep=True)
    return _group(root.name, files, progress)


def _series_of_file(root: Path, progress: Progress) -> Findings:
    if not is_dicom(root):
        raise DicomError(
            f"file '{root.name}'",
            got="a file that is not DICOM",
            expected="a DICOM file or a folder of them",
            remedy="Give the folder of the CT series.",
        )
    uid = text(read_dataset(root, pixels=False, tags=HEADER_TAGS), "SeriesInstanceUID")
    found = _group(root.parent.name, _files_of(root.parent, deep=False), progress)
    same = tuple(s for s in found.series if s.uid == uid)
    return Findings(root.name, same, 0, () if same else found.without_image, 0)


def choose_series(
    found: Findings, *, series_uid: str | None, modalities: Sequence[str] | None
) -> tuple[FoundSeries, tuple[str, ...]]:
    """The one series that is meant, and notes on the ones passed over.

    ``series_uid`` is a whole UID or an ending that only one series has.  Without it there must
    be exactly one series of ``modalities`` (None = any).  Raises `DicomError` with the list.
    """
    listed = "; ".join(s.in_words() for s in found.series)
    if series_uid is not None:
        hits = [s for s in found.series if s.uid == series_uid] or [
            s for s in found.series if series_uid and s.uid.endswith(series_uid)
        ]
        if len(hits) != 1:
            raise DicomError(
                "series_uid",
                got=f"'{series_uid}', which fits {len(hits)} series",
                expected=f"one of: {listed}",
                remedy="Give the whole UID.",
            )
        candidates = hits
    else:
        candidates = [s for s in found.series if modalities is None or s.modality in modalities]
    if not candidates or (modalities is not None and candidates[0].modality not in modalities):
        wanted = " or ".join(modalities or ())
        raise DicomError(
            f"series in '{found.name}', Modality",
            got=listed,
            expected=f"a {wanted} series",
            remedy="irplan plans on CT: other modalities have no Hounsfield units.",
        )
    if len(candidates) > 1:
        raise DicomError(
            f"folder '{found.name}'",
            got=f"{len(candidates)} series: {listed}",
            expected="one series",
            remedy="Pick one with its series UID (series_uid=..., on the command line "
            "--series), or put it in a folder of its own.",
        )
    passed = [s for s in found.series if s is not candidates[0]]
    notes = tuple(f"Another series was passed over: {s.in_words()}." for s in passed)
    return candidates[0], notes if series_uid is None else ()


def _files_of(folder: Path, *, deep: bool) -> list[Path]:
    try:
        items = folder.rglob("*") if deep else folder.iterdir()
        return sorted(p for p in items if p.is_file() and p.name.upper() != "DICOMDIR")
    except OSError as error:
        raise DicomError(
            f"folder '{folder.name}'",
            got=f"a folder that cannot be listed ({(error.strerror or 'unknown').lower()})",
            expected="a readable folder",
            remedy="Check its permissions.",
        ) from error


def _group(name: str, files: Sequence[Path], progress: Progress) -> Findings:
    groups: dict[str, list[Header]] = {}
    not_dicom = localizers = 0
    without_image: Counter[str] = Counter()
    for number_read, file in enumerate(files):
        progress(number_read / len(files), "reading headers")
        if not is_dicom(file):
            not_dicom += 1
            continue
        data = read_dataset(file, pixels=False, tags=HEADER_TAGS)
        if number(data, "Rows") is None or number(data, "Columns") is None:
            without_image[_kind_without_image(file, data)] += 1
        elif "LOCALIZER" in text(data, "ImageType").upper():
            localizers += 1
        else:
            groups.setdefault(text(data, "SeriesInstanceUID"), []).append(Header(file, data))
    series = []
    for uid, headers in groups.items():
        modality = Counter(text(h.data, "Modality") for h in headers).most_common(1)[0][0]
        series.append(FoundSeries(uid, modality, tuple(headers)))
    aside = tuple(sorted(without_image.items()))
    return Findings(name, tuple(series), not_dicom, aside, localizers)


def _kind_without_image(file: Path, data: FileDataset) -> str:
    """SOP class in words of a report or the like; an image without its size broke off."""
    uid = UID(text(data, "SOPClassUID"))
    kind = uid.name
    cut = kind == uid and (_DICOM_ROOT.startswith(uid) or uid.startswith(_DICOM_ROOT))
    if cut or "Image Storage" in kind:
        raise DicomError(
            f"DICOM file '{file.name}'",
            got="an object of no known kind" if cut else f"{kind} without Rows and Columns",
            expected="a whole DICOM file",
            remedy="The file is truncated or damaged; copy or export it again.",
        )
    return kind
