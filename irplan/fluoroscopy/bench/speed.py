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
    """Time a filter on noise at 10 nGy, after a few small frames (compilation) and the first one.

    Stops after 24 frames or ``most_s`` seconds, but not before one frame is timed.
    """
    detector = DETECTORS["flat-panel-0.2"]
    rng = np.random.default_rng(0)
    quanta = detector.quanta(10.0)
    for sides in ((128, 128), shape):
        facts = StreamFacts(sides, 15.0, photometry(detector), detector.pixel_mm)
        frames = [
            (rng.poisson(quanta, sides) * detector.gain + detector.offset).astype(np.float32)
            for _ in range(4)
        ]
        made = factory(facts)
        times: list[float] = []
        begun = time.perf_counter()
        for n in range(25):
            start = time.perf_counter()
            made.step(frames[n % 4])
            times.append(1000.0 * (time.perf_counter() - start))
            if n >= 3 and (sides != shape or time.perf_counter() - begun > most_s):
                break
            if time.perf_counter() - begun > most_s and sides == shape:
                break
    counted = times[2:] or times[-1:]
    return Speed(float(np.median(counted)), float(np.max(counted)), shape, len(counted))
