"""PySkinDose, in an environment of its own, as the program behind a skin-dose estimate."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from irplan.errors import BackendError, InputError
from irplan.procedure.dose import DoseReport
from irplan.procedure.skin_dose import SkinDose, skin_map_gaps

_TIMEOUT_S = 600.0
_ASSUMED = (
    "an elliptical cylinder of 40 x 20 cm, head first and supine, its middle at the table's; table "
    "attenuation and 3.1 mm aluminium of inherent filtration as PySkinDose's defaults"
)
#: Runs under the other interpreter: reads the report, prints one line of JSON.
_SCRIPT = """
import json, sys, warnings
from importlib.metadata import version
warnings.simplefilter("ignore")
from pyskindose import PyskindoseSettings, load_settings_example_json
from pyskindose.analyze_data import analyze_data
from pyskindose.helpers.read_and_normalize_rdsr_data import read_and_normalise_rdsr_data
given = load_settings_example_json()
given = json.loads(given) if isinstance(given, str) else given
given["mode"] = "calculate_dose"
given["phantom"]["model"] = "cylinder"
given["plot"].update(notebook_mode=False, plot_dosemap=False)
settings = PyskindoseSettings(given)
settings.output_format = "dict"
data = read_and_normalise_rdsr_data(rdsr_filepath=sys.argv[1], settings=settings)
out = analyze_data(normalized_data=data, settings=settings)
print("IRPLAN" + json.dumps({"psd": float(out["psd"]), "air_kerma": float(out["air_kerma"]),
                             "version": version("pyskindose")}))
"""


def skin_dose(path: Path, report: DoseReport, python: Path) -> SkinDose:
    """Peak skin dose of ``path`` by PySkinDose under the interpreter ``python``.

    Raises `InputError` naming what the report lacks (`skin_map_gaps`), `BackendError` where
    PySkinDose is not there, fails on this system's report, or does not account for its air kerma.
    """
    gaps = skin_map_gaps(report)
    if gaps:
        raise InputError(
            "skin dose",
            got="a report without " + "; ".join(gaps),
            expected="the whole geometry of every event",
            remedy="No map is made from guesses. The air kerma at the reference point stands.",
        )
    # PySkinDose writes its table of corrections where it runs.
    program = str(python.absolute()) if len(python.parts) > 1 else str(python)
    try:
        with TemporaryDirectory(prefix="irplan-skin-") as folder:
            done = subprocess.run(
                [program, "-c", _SCRIPT, str(path.resolve())],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(f"{type(error).__name__} when starting '{python}'") from error
    line = next((x for x in done.stdout.splitlines() if "IRPLAN{" in x), "")
    if done.returncode != 0 or not line:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise _failed(f"'{last[:160]}'")
    data = json.loads(line[line.index("IRPLAN{") + 6 :])
    peak, kerma = float(data["psd"]), float(data["air_kerma"])
    total = report.air_kerma_mgy
    if not (math.isfinite(peak) and peak >= 0) or (
        total is not None and abs(kerma - total) > 0.05 * total + 0.1
    ):
        raise _failed(f"a peak of {peak:g} mGy from {kerma:g} mGy of air kerma")
    return SkinDose(peak, kerma, f"PySkinDose {data['version']}", _ASSUMED)


def _failed(got: str) -> BackendError:
    return BackendError(
        "skin dose, PySkinDose",
        got=got,
        expected="an interpreter with PySkinDose that reads this system's reports",
        remedy="python -m venv skin && skin/bin/pip install pyskindose; then --skin "
        "skin/bin/python. PySkinDose knows Siemens AXIOM-Artis and Philips Allura Clarity.",
    )
