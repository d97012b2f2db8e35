"""One image plane each: place, spacing and scale, from classic files and enhanced multi-frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from irplan.dicom.find import FoundSeries, Header
from irplan.dicom.reading import number, numbers, text
from irplan.errors import DicomError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Slice:
    """An image plane: ``frame`` is None for a classic file, else the frame's index in it.

    ``position_mm`` is the centre of its first pixel, LPS; ``along_columns`` the unit vector of
    growing column index, ``along_rows`` of growing row index; ``pixel_mm`` (row, column) step.
    ``slope`` and ``intercept`` are None where the header has none.
    """

    file: Path
    frame: int | None
    position_mm: Triple
    along_columns: Triple
    along_rows: Triple
    pixel_mm: tuple[float, float]
    shape: tuple[int, int]
    slope: float | None
    intercept: float | None
    frame_of_reference_uid: str | None

    @property
    def scale(self) -> tuple[float, float]:
        """(slope, intercept), 1 and 0 where the header has none; `DicomError` for slope 0."""
        slope = 1.0 if self.slope is None else self.slope
        if slope == 0.0:
            raise DicomError(
                f"DICOM file '{self.file.name}', RescaleSlope",
                got="0",
                expected="a number that is not zero (CT: usually 1)",
                remedy="Export the series again.",
            )
        return slope, 0.0 if self.intercept is None else self.intercept


def slices_of(series: FoundSeries) -> list[Slice]:
    """Every image plane of the series, unsorted; `DicomError` names file and tag otherwise."""
    out: list[Slice] = []
    for header in series.headers:
        _require_grey(header)
        frames = number(header.data, "NumberOfFrames")
        groups = header.data.get("PerFrameFunctionalGroupsSequence")
        if groups:
            out.extend(_frames(header, groups))
        elif frames is not None and frames > 1:
            raise DicomError(
                f"DICOM file '{header.file.name}'",
                got=f"{frames:.0f} frames without positions in space (an X-ray run)",
                expected="slices of a volume",
                remedy="Give the CT or cone-beam CT series; 'irplan info' describes a run.",
            )
        else:
            data = header.data
            out.append(_slice(header, None, data, data, data, data))
    return out


def _frames(header: Header, groups: Sequence[Any]) -> list[Slice]:
    shared_items = header.data.get("SharedFunctionalGroupsSequence") or [Dataset()]
    shared = shared_items[0]

    def part(item: Dataset, keyword: str) -> Dataset:
        for source in (item, shared):
            found = source.get(keyword)
            if found:
                first: Dataset = found[0]
                return first
        return Dataset()

    return [
        _slice(
            header,
            index,
            part(item, "PlanePositionSequence"),
            part(item, "PlaneOrientationSequence"),
            part(item, "PixelMeasuresSequence"),
            part(item, "PixelValueTransformationSequence"),
        )
        for index, item in enumerate(groups)
    ]


def _slice(
    header: Header,
    frame: int | None,
    place: Dataset,
    turn: Dataset,
    measure: Dataset,
    scale: Dataset,
) -> Slice:
    position = _require(header, place, "ImagePositionPatient", 3)
    turned = _require(header, turn, "ImageOrientationPatient", 6)
    pixel = _require(header, measure, "PixelSpacing", 2)
    if min(pixel) <= 0:
        raise DicomError(
            f"DICOM file '{header.file.name}', PixelSpacing",
            got=f"{pixel[0]:g} x {pixel[1]:g} mm",
            expected="two numbers above zero",
            remedy="Export the series again.",
        )
    return Slice(
        header.file,
        frame,
        (position[0], position[1], position[2]),
        (turned[0], turned[1], turned[2]),
        (turned[3], turned[4], turned[5]),
        (pixel[0], pixel[1]),
        (int(number(header.data, "Rows") or 0), int(number(header.data, "Columns") or 0)),
        number(scale, "RescaleSlope"),
        number(scale, "RescaleIntercept"),
        text(header.data, "FrameOfReferenceUID") or None,
    )


def _require(header: Header, data: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    found = numbers(data, keyword, count)
    if found is None:
        raise DicomError(
            f"DICOM file '{header.file.name}', {keyword}",
            got="no usable value" if keyword in data else "nothing",
            expected=f"{count} numbers",
            remedy="Without it the slice has no place in the patient; export the series from the "
            "scanner or archive as original CT images.",
        )
    return found


def _require_grey(header: Header) -> None:
    samples = number(header.data, "SamplesPerPixel") or 1
    kind = text(header.data, "PhotometricInterpretation") or "MONOCHROME2"
    if samples != 1 or not kind.startswith("MONOCHROME"):
        raise DicomError(
            f"DICOM file '{header.file.name}', PhotometricInterpretation",
            got=f"{kind} with {samples:.0f} samples a pixel",
            expected="one grey value a pixel",
            remedy="This is a picture of a CT (screen capture), not the CT itself.",
        )
    if header.data.get("ModalityLUTSequence"):
        raise DicomError(
            f"DICOM file '{header.file.name}', ModalityLUTSequence",
            got="a look-up table",
            expected="RescaleSlope and RescaleIntercept",
            remedy="Export the series as original CT images.",
        )
