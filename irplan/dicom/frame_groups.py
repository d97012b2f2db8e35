"""Where an enhanced object keeps what is said of a frame: functional groups, looked through."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from irplan.dicom.reading import numbers, text

#: Deepest nesting of functional groups that is looked through.
_DEPTH = 3


def frame_levels(data: Dataset, frame: int) -> Iterator[Dataset]:
    """The file itself, then the own and the shared functional groups of ``frame`` (from 1)."""
    yield data
    for keyword, item in (
        ("PerFrameFunctionalGroupsSequence", frame - 1),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = data.get(keyword)
        if groups and len(groups) > item:
            yield from _inside(groups[item], _DEPTH)


def frame_numbers(data: Dataset, frame: int, keyword: str, count: int) -> tuple[float, ...] | None:
    """``count`` numbers of ``keyword``, wherever they stand; None as `reading.numbers`."""
    for level in frame_levels(data, frame):
        found = numbers(level, keyword, count)
        if found is not None:
            return found
    return None


def frame_number(data: Dataset, frame: int, keyword: str) -> float | None:
    """One number of ``keyword``, wherever it stands, or None."""
    found = frame_numbers(data, frame, keyword, 1)
    return None if found is None else found[0]


def frame_text(data: Dataset, frame: int, keyword: str) -> str:
    """The text of ``keyword``, wherever it stands, or ""."""
    return next((t for d in frame_levels(data, frame) if (t := text(d, keyword))), "")


def _inside(data: Dataset, depth: int) -> Iterator[Dataset]:
    yield data
    if depth:
        for element in data:
            if element.VR == "SQ" and element.value:
                yield from _inside(element.value[0], depth - 1)
