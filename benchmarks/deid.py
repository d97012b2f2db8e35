"""De-identification of every file at hand: ``python -m benchmarks.deid`` (about 8 minutes).

pydicom's bundled files and all DICOM of IRPLAN_DATA (zips opened) are de-identified with one key.
A second reader (`tests/dicom/test_deid.py`) takes every identifying value out of the original and
searches the new file's bytes for it; UIDs must map one to one over all files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pydicom.data

from benchmarks.measure import arguments, report, row
from irplan.dicom.deid import deidentify
from irplan.dicom.deid_options import DeidOptions
from irplan.dicom.reading import is_dicom, quiet
from irplan.errors import DicomError
from irplan.files.archive import archive_members, is_archive
from tests.dicom.test_deid import left_in

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def files_at_hand(shared: Path, every: int) -> Iterator[tuple[str, Path]]:
    """Each DICOM file with where it is from; a zip's members one by one."""
    root = Path(pydicom.data.__file__).parent
    yield from (("bundled", p) for p in sorted(root.rglob("*")) if p.is_file() and is_dicom(p))
    number = 0
    for path in sorted(p for p in shared.rglob("*") if p.is_file()):
        for one in archive_members(path) if is_archive(path) else (path,):
            if is_dicom(one):
                number += 1
                if number % every == 0:
                    yield "shared", one


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every Nth shared file")
    parser.add_argument("--dates", choices=("remove", "shift"), default="shift")
    given = parser.parse_args()
    shared = Path(os.environ.get("IRPLAN_DATA", "../shared/data"))
    options = DeidOptions(key=b"sixteen bytes!!!", burned_in="allow", dates=given.dates)
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    left = private = found_before = 0
    forth: dict[str, str] = {}
    twice = 0
    for origin, path in files_at_hand(shared, given.every):
        try:
            made = deidentify(path, options)
        except DicomError as error:
            refused[error.got] += 1
            continue
        done[origin] += 1
        left += bool(left_in(path, made.file_bytes))
        found_before += bool(left_in(path, path.read_bytes()))
        private += any(e.tag.is_private for e in made.data.iterall())
        with quiet():
            old = pydicom.dcmread(path, force=True, specific_tags=list(_UIDS))
        for keyword in _UIDS:
            if old.get(keyword) and made.data.get(keyword):
                new = str(made.data[keyword].value)
                twice += forth.setdefault(str(old[keyword].value), new) != new
    report(
        "De-identification",
        [
            row("pydicom's bundled files de-identified", done["bundled"]),
            row("objects of the shared data de-identified", done["shared"]),
            row("files with an original value left in their bytes", left, "", "0", left == 0),
            row("files in whose original the same search finds values", found_before),
            row("files with a private attribute left", private, "", "0", private == 0),
            row("UIDs followed", len(forth)),
            row("UIDs that became two", twice, "", "0", twice == 0),
            row("new UIDs that stand for two", len(forth) - len(set(forth.values())), "", "0",
                len(forth) == len(set(forth.values()))),
            *(row(f"refused: {why}", n) for why, n in sorted(refused.items())),
        ],
        json_file=given.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
