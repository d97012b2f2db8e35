"""How fast a filter is: time a frame, and whether memory stays flat."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from irplan.fluoroscopy.detector import DETECTORS
from irplan.fluoroscopy.filter import FilterFactory, StreamFacts
from irplan.fluoroscopy.simulate import photometry


@dataclass(frozen=True)
class Speed:
    """``ms_per_frame`` (median) on frames of ``shape``; ``slowest_ms`` after the first frames."""

    ms_per_frame: float
    slowest_ms: float
    shape: tuple[int, int]
    frames: int

    @property
    def frames_per_s(self) -> float:
        """1000 over the median."""
        return 1000.0 / self.ms_per_frame


def measure_speed(
    factory: FilterFactory, *, shape: tuple[int, int] = (1024, 1024), most_s: float = 8.0
) -> Speed:
    """Time a filter on noise at 10 nGy; the first two frames (compilation) are not counted.

    Stops after 24 frames or ``most_s`` seconds, but not before one frame is timed.
    """
    detector = DETECTORS["flat-panel-0.2"]
    facts = StreamFacts(shape, 15.0, photometry(detector), detector.pixel_mm)
    rng = np.random.default_rng(0)
    quanta = detector.quanta(10.0)
    frames = [
        (rng.poisson(quanta, shape) * detector.gain + detector.offset).astype(np.float32)
        for _ in range(4)
    ]
    made = factory(facts)
    times: list[float] = []
    begun = time.perf_counter()
    for n in range(26):
        start = time.perf_counter()
        made.step(frames[n % 4])
        spent = 1000.0 * (time.perf_counter() - start)
        if n >= 2:
            times.append(spent)
            if time.perf_counter() - begun > most_s:
                break
        elif spent > 1000.0 * most_s / 2:
            times.append(spent)
            break
    return Speed(float(np.median(times)), float(np.max(times)), shape, len(times))
