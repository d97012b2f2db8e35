"""Plug-ins for the tests, one that works and many that do not: plugins.py KIND INPUT OUTPUT."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path


def result(source: Path, out: Path, **changes: str) -> None:
    """A secondary capture of the first image, in a series of its own."""
    import pydicom
    from pydicom.uid import generate_uid

    data = pydicom.dcmread(sorted(source.glob("*.dcm"))[0])
    data.SOPInstanceUID = generate_uid(entropy_srcs=[str(data.SOPInstanceUID), "result"])
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[str(data.SeriesInstanceUID), "result"])
    data.SeriesDescription, data.Manufacturer = "result", "irplan"
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    data.save_as(out / "result.dcm", enforce_file_format=True)
    count = len(list(source.glob("*.dcm")))
    told = {"summary": f"{count} images", "version": "test 1.0"}
    (out / "result.json").write_text(json.dumps(told))


def main() -> None:
    kind, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if kind == "good":
        result(source, out)
    elif kind == "crash":
        raise SystemExit(3)
    elif kind == "hang":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
    elif kind == "memory":
        print(len(bytearray(4 << 30)))
    elif kind == "nothing":
        pass
    elif kind == "nonsense":
        (out / "result.json").write_text("[1, 2")
    elif kind == "link":
        (out / "passwd.txt").symlink_to("/etc/passwd")
    elif kind == "name":
        (out / "<img src=x onerror=alert(1)>.txt").write_text("x")
    elif kind == "patient":
        result(source, out, PatientID="somebody else")
    elif kind == "objects":
        told = {
            "summary": "<script>alert(1)</script>",
            "objections": {"liver <b>volume</b>": "0 ml"},
        }
        (out / "result.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
