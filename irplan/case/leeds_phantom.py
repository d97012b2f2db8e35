"""A Leeds TOR 18FG image through pylinac, in an environment of its own."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass
from pathlib import Path

from irplan.errors import BackendError, FileFormatError

_TIMEOUT_S = 300.0
#: Runs under the other interpreter: one line of JSON.  Overrides are passed on where given.
_SCRIPT = """
import json, sys, warnings
from importlib.metadata import version
warnings.simplefilter("ignore")
import matplotlib
matplotlib.use("Agg")
from pylinac import LeedsTOR, LeedsTORBlue
given = json.loads(sys.argv[2])
image = {"leeds": LeedsTOR, "leeds-blue": LeedsTORBlue}[given.pop("model")](sys.argv[1])
if "center_override" in given:
    given["center_override"] = tuple(given["center_override"])
image.analyze(**given)
rows = [{"contrast": float(r.contrast), "cnr": float(r.contrast_to_noise),
         "visible": bool(r.passed_visibility)} for r in image.low_contrast_rois]
half = image.mtf.relative_resolution(50) if image.mtf is not None else None
print("IRPLAN" + json.dumps({"discs": rows, "mtf50": None if half is None else float(half),
      "version": version("pylinac")}))
"""


@dataclass(frozen=True)
class LeedsDisc:
    """One of the 18 discs: Michelson contrast, contrast over noise, whether pylinac sees it."""

    contrast: float
    cnr: float
    visible: bool


@dataclass(frozen=True)
class LeedsResult:
    """``discs`` in pylinac's order; ``half_mtf_per_mm`` where its relative MTF falls to a half."""

    discs: tuple[LeedsDisc, ...]
    half_mtf_per_mm: float | None
    program: str

    @property
    def seen(self) -> int:
        """How many discs pylinac calls seen."""
        return sum(d.visible for d in self.discs)


def analyse_leeds(
    image: Path,
    python: Path,
    *,
    model: str = "leeds",
    centre_px: tuple[float, float] | None = None,
    radius_px: float | None = None,
    angle_deg: float | None = None,
    inverted: bool = False,
) -> LeedsResult:
    """Low contrast and resolution of a Leeds TOR 18FG (or its blue variant) image.

    Parameters
    ----------
    image : DICOM, TIFF or PNG with its pixel size.
    python : interpreter of an environment with pylinac.
    centre_px : (column, row); with ``radius_px`` and ``angle_deg`` given where pylinac finds the
        phantom wrongly or not at all.

    Raises `FileFormatError` for a missing file, `BackendError` where pylinac is absent or finds no
    phantom.
    """
    if not image.is_file():
        raise FileFormatError(
            f"phantom image '{image.name}'", got="no such file", expected="an image",
            remedy="Check the path.",
        )  # fmt: skip
    given: dict[str, object] = {"model": model, "invert": inverted}
    if centre_px is not None:
        given["center_override"] = list(centre_px)
    if radius_px is not None:
        given["size_override"] = radius_px
    if angle_deg is not None:
        given["angle_override"] = angle_deg
    try:
        done = subprocess.run(
            [str(python), "-c", _SCRIPT, str(image), json.dumps(given)],
            capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(f"{type(error).__name__} when starting '{python}'") from error
    line = next((x for x in done.stdout.splitlines() if x.startswith("IRPLAN{")), "")
    if done.returncode != 0 or not line:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise _failed(f"'{last[:200]}'")
    data = json.loads(line[6:])
    discs = tuple(LeedsDisc(d["contrast"], d["cnr"], d["visible"]) for d in data["discs"])
    if not discs or not all(math.isfinite(d.contrast) for d in discs):
        raise _failed("no discs")
    return LeedsResult(discs, data["mtf50"], f"pylinac {data['version']}")


def _failed(got: str) -> BackendError:
    return BackendError(
        "phantom, pylinac",
        got=got,
        expected="an interpreter with pylinac that finds the phantom in the image",
        remedy="python -m venv qa && qa/bin/pip install pylinac; then --pylinac qa/bin/python. "
        "Where it finds no phantom, give --centre, --radius and --angle.",
    )
