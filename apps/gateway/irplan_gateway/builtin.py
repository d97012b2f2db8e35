"""``python -m irplan_gateway.builtin KIND INPUT OUTPUT``: the plug-ins that come with irplan."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from irplan import __version__
from irplan.errors import IrplanError


def main() -> None:
    """Run one; exit code 0, or 2 with the reason on stderr."""
    kind, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    try:
        result = _RUN[kind](source, out)
    except IrplanError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    result["version"] = f"irplan {__version__}"
    (out / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


def _segmentation(source: Path, out: Path) -> dict[str, Any]:
    from irplan.case.segment_case import run_segmentation
    from irplan.case.segment_request import SegmentRequest

    outcome = run_segmentation(
        SegmentRequest(
            source,
            out / "labels.nii.gz",
            seg_dicom=out / "seg.dcm",
            figure=out / "stages.png",
        )
    )
    _capture(out / "stages.png", source, out / "stages.dcm")
    notes = [str(m) for m in getattr(outcome, "messages", ())]
    return {"summary": "Liver segmented. " + " ".join(notes), "objections": {}}


def _capture(picture: Path, source: Path, out: Path) -> None:
    """The picture as a secondary capture beside the SEG: what every PACS shows."""
    import numpy as np
    from PIL import Image

    from irplan.dicom.capture_write import capture, write_capture
    from irplan.dicom.reading import read_dataset

    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    first = read_dataset(min(source.glob("*.dcm")), pixels=False)
    write_capture(capture(pixels, first, title="Liver segmentation"), out)


def _dose(source: Path, out: Path) -> dict[str, Any]:
    from irplan.dicom.rdsr import read_dose

    lines: list[str] = []
    flags: dict[str, str] = {}
    reports = []
    for file in sorted(source.glob("*.dcm")):
        report = read_dose(file)
        values = {
            "dose-area product, Gy.cm2": report.dap_gy_cm2,
            "air kerma at the reference point, mGy": report.air_kerma_mgy,
            "fluoroscopy time, s": report.fluoro_time_s,
        }
        reports.append(
            {
                "sha256": report.sha256,
                "source": report.source,
                "irradiation_events": len(report.events),
                **values,
            }
        )
        shown = [f"{k}: {'not stated' if v is None else f'{v:.4g}'}" for k, v in values.items()]
        lines += [f"{len(report.events)} irradiation events", *shown]
        flags.update({f"dose: {f.code}": f.text for f in report.flags})
    (out / "dose.json").write_text(json.dumps(reports, indent=1), encoding="utf-8")
    return {"summary": "\n".join(lines), "objections": flags}


def _noise(source: Path, out: Path) -> dict[str, Any]:
    from irplan.case.fluoro_case import FluoroRequest, run_fluoro

    lines: list[str] = []
    for number, file in enumerate(sorted(source.glob("*.dcm")), start=1):
        done = run_fluoro(FluoroRequest(file, out / f"filtered-{number:03d}.dcm"))
        lines += [f"run {number} filtered (preset general)", *done.messages]
    return {"summary": "\n".join(lines), "objections": {}}


_RUN = {"segmentation": _segmentation, "dose": _dose, "noise": _noise}

if __name__ == "__main__":
    main()
