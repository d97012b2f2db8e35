"""A simulated run from a named scene to DICOM XA files: one dose, or a ladder of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.case.save_dicom import save_dicom
from irplan.compute.progress import Progress, no_progress, portion
from irplan.dicom.xa_write import simulated_dataset
from irplan.errors import InputError, OutputError
from irplan.files.atomic import atomic_path, require_apart
from irplan.fluoroscopy.detector import Detector, detector
from irplan.fluoroscopy.scene import Scene
from irplan.fluoroscopy.scenes import scene
from irplan.fluoroscopy.simulate import Exposure, simulate
from irplan.fluoroscopy.spectra import beam, behind, seen_in
from irplan.image import FluoroSequence

_MOST_PIXELS = 2_000_000_000  # of a run, frames and all (4 GB as 16 bit)


@dataclass(frozen=True)
class SimulateRequest:
    """What `irplan fluoro simulate` is asked.

    ``doses_ngy`` : one run each, with paired noise.  ``truth`` : also the clean frames and every
    layer's line integrals, as ``OUT_truth.npz``.
    """

    scene: str
    out: Path
    doses_ngy: tuple[float, ...] = (10.0,)
    beam: str = "RQA5"
    detector: str = "flat-panel-0.2"
    shape: tuple[int, int] = (1024, 1024)
    frames: int = 30
    rate_hz: float = 15.0
    seed: int = 0
    pulse_ms: float = 8.0
    automatic: bool = True
    truth: bool = False

    def __post_init__(self) -> None:
        fits = all(64 <= n <= 4096 for n in self.shape) and 2 <= self.frames <= 5000
        if not fits or self.frames * self.shape[0] * self.shape[1] > _MOST_PIXELS:
            raise InputError(
                "run",
                got=f"{self.frames} frames of {self.shape[0]} x {self.shape[1]}",
                expected="2 to 5000 frames of 64 to 4096 pixels a side, 2e9 pixels in all",
                remedy="Simulate less.",
            )
        if not (math.isfinite(self.rate_hz) and 0.1 <= self.rate_hz <= 120.0):
            raise InputError(
                "--rate", got=f"{self.rate_hz:g}", expected="0.1 to 120 a second", remedy="Correct."
            )
        good = all(math.isfinite(d) and 0.1 <= d <= 5000.0 for d in self.doses_ngy)
        if not self.doses_ngy or not good or len(set(self.doses_ngy)) != len(self.doses_ngy):
            raise InputError(
                "--dose",
                got=", ".join(f"{d:g}" for d in self.doses_ngy) or "none",
                expected="different doses of 0.1 to 5000 nGy a frame",
                remedy="Fluoroscopy takes 5 to 100.",
            )
        if not 0 <= self.seed < 2**32:
            raise InputError("--seed", got=f"{self.seed}", expected="0 to 4294967295",
                             remedy="Correct.")  # fmt: skip


def simulate_to_dicom(
    request: SimulateRequest, *, progress: Progress = no_progress
) -> tuple[Path, ...]:
    """Write the run(s), a record beside each (``.json``), and the truth; their paths.

    All files are written or none.  `InputError` for unknown names; `OutputError` for a place that
    cannot be written.
    """
    made, seen_by = _made(request), _detector(request)
    names = [_name(request, d) for d in request.doses_ngy]
    require_apart([], {"RUN.dcm": names[0], "record": names[0].with_suffix(".json")})
    parent = request.out.parent
    if not parent.is_dir():
        raise OutputError(
            "output", got=f"folder '{parent}', which is not there", expected="a folder",
            remedy="Make it first.",
        )  # fmt: skip
    written: list[Path] = []
    with ExitStack() as stack:
        for n, (dose, name) in enumerate(zip(request.doses_ngy, names, strict=True)):
            part = portion(progress, n / len(names), (n + 1) / len(names))
            exposure = Exposure(dose, pulse_ms=request.pulse_ms, automatic=request.automatic)
            noisy, clean = simulate(made, exposure, seen_by, seed=request.seed, progress=part)
            noisy = _with_tube(noisy, beam(request.beam).tube_kv)
            record = _record(request, dose, seen_by, noisy)
            place = stack.enter_context(atomic_path(name))
            words = f"irplan {request.scene} seed {request.seed} {dose:g} nGy {request.beam}"
            save_dicom(simulated_dataset(noisy, description=words), place)
            beside = stack.enter_context(atomic_path(name.with_suffix(".json")))
            text = json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n"
            beside.write_text(text, encoding="utf-8")
            written += [name, name.with_suffix(".json")]
            if request.truth and n == 0:
                file = request.out.with_name(request.out.stem + "_truth.npz")
                place = stack.enter_context(atomic_path(file))
                with place.open("wb") as stream:
                    np.savez_compressed(stream, **dict(_truth(made, clean)))  # type: ignore[arg-type]
                written.append(file)
    progress(1.0, "done")
    return tuple(written)


def _made(request: SimulateRequest) -> Scene:
    pixel = detector(request.detector).pixel_mm
    made = scene(
        request.scene, shape=request.shape, frames=request.frames, rate_hz=request.rate_hz,
        pixel_mm=pixel, seed=request.seed,
    )  # fmt: skip
    return seen_in(made, beam(request.beam))


def _detector(request: SimulateRequest) -> Detector:
    return behind(detector(request.detector), beam(request.beam))


def _name(request: SimulateRequest, dose: float) -> Path:
    if len(request.doses_ngy) == 1:
        return request.out
    return request.out.with_name(f"{request.out.stem}_{dose:g}nGy{request.out.suffix}")


def _with_tube(run: FluoroSequence, tube_kv: float) -> FluoroSequence:
    return replace(run, technique=replace(run.technique, tube_kv=tube_kv))


def _record(
    request: SimulateRequest, dose: float, seen_by: Detector, run: FluoroSequence
) -> dict[str, Any]:
    used = beam(request.beam)
    pixels = hashlib.sha256(np.ascontiguousarray(run.frames).tobytes()).hexdigest()
    return {
        "program": "irplan fluoro simulate",
        "version": __version__,
        "notice": RESEARCH_USE_ONLY,
        "scene": request.scene,
        "seed": request.seed,
        "frames": request.frames,
        "rate_hz": request.rate_hz,
        "dose_ngy_a_frame": dose,
        "dose_given_ngy": [round(float(d), 4) for d in run.detector_dose_ngy]
        if run.detector_dose_ngy is not None
        else None,
        "pulse_ms": request.pulse_ms,
        "exposure_control": request.automatic,
        "beam": {
            "name": used.name, "tube_kv": used.tube_kv, "passed": f"2.5 mm Al + {used.passed}",
            "mean_kev": round(used.mean_kev, 2),
            "half_value_mm_al": round(used.first_half_value_mm_al, 3),
        },
        "detector": asdict(seen_by),
        "pixels_sha256": pixels,
    }  # fmt: skip


def _truth(made: Scene, clean: FluoroSequence) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "clean", clean.frames
    yield "times_s", clean.times_s
    for name in made.names:
        stack = np.stack([made.path(name, n) for n in range(made.frames)])
        yield f"path_{name}", stack.astype(np.float32)
