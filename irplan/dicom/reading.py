"""One DICOM file: recognised by content, read without noise, every failure in plain words."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from irplan.errors import DicomError

#: What pydicom raises for damaged files (its parsers let these through).
READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    zlib.error,
    struct.error,
)
#: "Deflated Explicit VR Little Endian" as it stands in a file's head.
_DEFLATED = b"1.2.840.10008.1.2.1.99"
#: Most bytes that a deflated data set may unpack to.
_MOST_UNPACKED = 1 << 30


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's remarks on odd values: they quote them, and a value may be a name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(path: Path) -> bool:
    """True for a file with the DICM prefix, or without one but starting with group 0008.

    Old archives leave the 128-byte preamble out; their first tag is (0008,00xx).
    """
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    if head[128:132] == b"DICM":
        return True
    return len(head) == 132 and head[:2] == b"\x08\x00" and head[3] == 0 and head[2] <= 0x18


def read_dataset(
    path: Path, *, pixels: bool = True, tags: Sequence[str] | None = None
) -> FileDataset:
    """The data set of one file, all of it or only ``tags`` (keywords), up to the pixels or not.

    Raises `DicomError` naming the file when it is no DICOM file, cannot be read or breaks off.
    """
    field = f"DICOM file '{path.name}'"
    try:
        _require_bounded(path, field)
        with quiet():
            data = pydicom.dcmread(
                path,
                stop_before_pixels=not pixels,
                specific_tags=list(tags) if tags is not None else None,
                force=True,
            )
    except OSError as error:
        if isinstance(error, EOFError) or error.errno is None:
            raise _broken(field, error) from error
        raise DicomError(
            field,
            got=f"a file that cannot be read ({(error.strerror or 'unknown').lower()})",
            expected="a readable file",
            remedy="Check the path and its permissions.",
        ) from error
    except READ_ERRORS as error:
        raise _broken(field, error) from error
    if len(data) == 0:
        raise _broken(field, EOFError("no elements"))
    return data


def _require_bounded(path: Path, field: str) -> None:
    """Refuse a deflated file that unpacks without bound: pydicom would unpack it in one go."""
    with path.open("rb") as file:
        head = file.read(1024)
        if _DEFLATED not in head or head[128:132] != b"DICM":
            return
        length = int.from_bytes(head[140:144], "little") if head[132:136] == b"\2\0\0\0" else -1
        if not 0 < length < 65536:
            raise _broken(field, ValueError("deflated, without the length of its file meta group"))
        file.seek(144 + length)
        unpacked, packed = 0, 1
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        while chunk := file.read(1 << 16):
            packed += len(chunk)
            while chunk:
                unpacked += len(unpacker.decompress(chunk, 1 << 20))
                chunk = unpacker.unconsumed_tail
                if unpacked > min(_MOST_UNPACKED, max(64 << 20, 400 * packed)):
                    raise DicomError(
                        field,
                        got="deflated data that unpack without bound",
                        expected=f"at most {_MOST_UNPACKED >> 20} MB, and 400 times the file",
                        remedy="Such a file is made to fill memory; leave it out.",
                    )


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Damage that shows only while an object is used (sequences are parsed late) in plain words.

    Errors of irplan's own pass; what pydicom, or a value that cannot be, raises becomes a
    `DicomError` that names the file.
    """
    try:
        yield
    except (*READ_ERRORS, RuntimeError) as error:
        raise _broken(f"DICOM file '{path.name}'", error) from error
    except OSError as error:
        if error.errno is not None:  # the disk's own
            raise
        raise _broken(f"DICOM file '{path.name}'", error) from error


def _broken(field: str, error: Exception) -> DicomError:
    return DicomError(
        field,
        got=f"a header that cannot be read to its end ({type(error).__name__})",
        expected="a whole DICOM file",
        remedy="The file is truncated or damaged; copy or export it again.",
    )


def text(data: pydicom.Dataset, keyword: str) -> str:
    """The value of ``keyword`` as stripped text; empty when it is absent, empty or unreadable."""
    with quiet():
        try:
            value = data.get(keyword)
        except READ_ERRORS:
            return ""
    return "" if value is None else str(value).strip()


def numbers(data: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers of ``keyword``; None when absent, empty or not that."""
    with quiet():
        try:
            value = data.get(keyword)
            if value is None or value == "":
                return None
            values = [value] if isinstance(value, int | float | str) else list(value)
            out = tuple(float(v) for v in values)
        except READ_ERRORS:
            return None
    if len(out) != count or not all(abs(v) < 1e12 for v in out):
        return None
    return out


def number(data: pydicom.Dataset, keyword: str) -> float | None:
    """One finite number of ``keyword``, or None."""
    found = numbers(data, keyword, 1)
    return None if found is None else found[0]
