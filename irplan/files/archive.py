"""Zip archives from outside: listed, limited and unpacked one member at a time."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from irplan.errors import FileFormatError

_CHUNK = 1 << 20
#: Ways of packing that are unpacked a piece at a time; the others go through memory as a whole,
#: where some kilobytes become gigabytes before they can be counted.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class ArchiveLimits:
    """How large an archive may grow: members, bytes of one, bytes of all, unpacked / packed.

    The ratio counts only beyond 64 MiB unpacked; a CT of air packs to 1 : 200.
    """

    members: int = 20_000
    member_bytes: int = 2 << 30
    total_bytes: int = 16 << 30
    ratio: float = 400.0


def archive_members(
    path: Path, limits: ArchiveLimits | None = None, *, folder: Path | None = None
) -> Iterator[Path]:
    """Each file of the zip, unpacked under a name of our own and removed before the next.

    A member's name never becomes a path: nothing can be written outside the temporary folder
    (in ``folder``, default the system's).  What a member says of its size is not believed; it is
    counted while it is unpacked.  Raises `FileFormatError`: not a zip, damaged, encrypted, over
    a limit.
    """
    rule = limits or ArchiveLimits()
    with _opened(path) as archive:
        infos = [i for i in archive.infolist() if not i.is_dir()]
        if len(infos) > rule.members:
            raise _over(path, f"{len(infos)} members", f"at most {rule.members}")
        total = 0
        packed = max(1, path.stat().st_size)
        with tempfile.TemporaryDirectory(prefix="irplan-zip-", dir=folder) as place:
            for number, info in enumerate(infos):
                out = Path(place) / f"{number:06d}"
                total += _unpack(archive, info, out, path, rule, total, packed)
                yield out
                out.unlink(missing_ok=True)


def is_archive(path: Path) -> bool:
    """Whether the file begins as a zip does."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def archive_size(path: Path) -> int:
    """How many files the zip lists."""
    with _opened(path) as archive:
        return sum(not i.is_dir() for i in archive.infolist())


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"archive '{path.name}'",
            got="a file that cannot be read as a zip",
            expected="a whole zip archive",
            remedy="Copy or make it again.",
        ) from error
    with archive:
        yield archive


def _unpack(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    out: Path,
    path: Path,
    rule: ArchiveLimits,
    before: int,
    packed: int,
) -> int:
    """Write one member to ``out``, counted; its size in bytes."""
    if info.flag_bits & 1:
        raise _over(path, "an encrypted member", "a zip without password")
    if info.compress_type not in _BOUNDED:
        raise _over(path, "a member packed by bzip2 or LZMA", "members stored or deflated")
    size = 0
    try:
        with archive.open(info) as source, out.open("wb") as target:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > rule.member_bytes:
                    raise _over(path, "a member that is too large", f"at most {rule.member_bytes}")
                if before + size > rule.total_bytes:
                    raise _over(path, "too much inside", f"at most {rule.total_bytes} bytes")
                if before + size > max(64 << 20, rule.ratio * packed):
                    raise _over(
                        path,
                        f"more than {rule.ratio:g} bytes for each packed one",
                        "images (a zip bomb unpacks so)",
                    )
                target.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _over(path, "a damaged member", "a whole archive") from error
    return size


def _over(path: Path, got: str, expected: str) -> FileFormatError:
    return FileFormatError(
        f"archive '{path.name}'",
        got=got,
        expected=expected,
        remedy="Unpack it yourself, look at what is in it, and give the folder.",
    )
