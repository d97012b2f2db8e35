"""Digital subtraction angiography: misregistration and vessel contrast, against known truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.fluoroscopy.anatomy import Texture
from irplan.fluoroscopy.detector import DETECTORS
from irplan.fluoroscopy.filter import StreamFacts
from irplan.fluoroscopy.scene import Scene
from irplan.fluoroscopy.scenes import REPORT_SEEDS, scene
from irplan.fluoroscopy.simulate import Exposure, photometry, simulate_frames
from irplan.fluoroscopy.subtraction import Subtraction

#: How the mask is moved and whether the difference is filtered: name -> (shift, filtered).
DSA_METHODS: dict[str, tuple[str, bool]] = {
    "unprocessed": ("none", False),
    "rigid shift": ("rigid", False),
    "rigid shift, filtered": ("rigid", True),
    "elastic shift, filtered": ("elastic", True),
}


@dataclass(frozen=True)
class DsaRow:
    """One method on one run.

    ``misregistration_px``: distance of the shift found to the true one, mean over frames (NaN
    where the mask was not moved: ``true_shift_px`` then says how far it was off).
    ``vessel_cnr``: mean contrast of the vessels over the SD of the background near them.
    """

    method: str
    seed: int
    dose_ngy: float
    misregistration_px: float
    worst_px: float
    true_shift_px: float
    vessel_cnr: float


def measure_dsa(
    dose_ngy: float,
    methods: Sequence[str] = tuple(DSA_METHODS),
    *,
    seeds: Sequence[int] = REPORT_SEEDS[:2],
    shape: tuple[int, int] = (512, 512),
    frames: int = 24,
    mask_frames: int = 8,
    progress: Progress = no_progress,
) -> tuple[DsaRow, ...]:
    """Subtract the scene "neuro-dsa" and measure frames in which contrast agent is in the vessels.

    The whole anatomy drifts; the true shift is that of the frame less the mean of the mask's.
    Raises `InputError` for runs too short to hold contrast agent.
    """
    if frames < mask_frames + 8:
        raise InputError(
            "frames",
            got=f"{frames}",
            expected=f"at least {mask_frames + 8}",
            remedy="Contrast agent arrives after half a second.",
        )
    out = []
    for n, seed in enumerate(seeds):
        part = portion(progress, n / len(seeds), (n + 1) / len(seeds))
        made = scene("neuro-dsa", shape=shape, frames=frames, seed=seed)
        detector = DETECTORS["flat-panel-0.2"]
        run = [
            f.noisy
            for f in simulate_frames(made, Exposure(dose_ngy, automatic=False), detector, seed=seed)
        ]
        facts = StreamFacts(shape, made.rate_hz, photometry(detector), made.pixel_mm)
        for k, name in enumerate(methods):
            part(k / len(methods), f"DSA, {name}")
            out.append(_measure(name, made, run, facts, seed, dose_ngy, mask_frames))
    return tuple(out)


def _measure(
    name: str,
    made: Scene,
    run: Sequence[NDArray[np.float32]],
    facts: StreamFacts,
    seed: int,
    dose_ngy: float,
    mask_frames: int,
) -> DsaRow:
    shift, filtered = DSA_METHODS[name]
    each = Subtraction(facts, mask_frames=mask_frames, shift=shift, filtered=filtered)
    drift = np.array([_drift(made, n) for n in range(len(run))])
    zero = drift[:mask_frames].mean(axis=0)
    off, away, cnr = [], [], []
    for n, frame in enumerate(run):
        shown = each.step(frame)
        if n < max(mask_frames, 12):
            continue
        true = drift[n] - zero
        away.append(float(np.hypot(*true)))
        if shift != "none":
            off.append(float(np.hypot(*(np.array(each.shift.rigid) - true))))
        value = _vessel_cnr(shown, made.path("contrast", n))
        if math.isfinite(value):
            cnr.append(value)
    return DsaRow(
        name, seed, dose_ngy,
        float(np.mean(off)) if off else math.nan,
        float(np.max(off)) if off else math.nan,
        float(np.mean(away)),
        float(np.mean(cnr)) if cnr else math.nan,
    )  # fmt: skip


def _drift(made: Scene, frame: int) -> tuple[float, float]:
    layer = made.layer("skull")
    if not isinstance(layer, Texture):
        raise InputError(
            "scene",
            got="no anatomy that moves as a whole",
            expected="'neuro-dsa'",
            remedy="Use it.",
        )
    return layer.motion.at(made.time_s(frame))


def _vessel_cnr(shown: NDArray[np.float32], contrast: NDArray[np.float32]) -> float:
    """Vessels: where the agent's line integral is half its 90th percentile or more."""
    there = contrast > 1e-3
    if there.sum() < 200:
        return math.nan
    vessels = contrast >= 0.5 * float(np.percentile(contrast[there], 90.0))
    disc = np.hypot(*np.mgrid[-1:2, -1:2]) < 1.5
    near = binary_dilation(there, disc, iterations=4)
    ground = binary_dilation(near, disc, iterations=10) & ~near
    if vessels.sum() < 50 or ground.sum() < 200:
        return math.nan
    sd = float(shown[ground].std(ddof=1))
    return float(shown[vessels].mean() - shown[ground].mean()) / max(sd, 1e-12)
