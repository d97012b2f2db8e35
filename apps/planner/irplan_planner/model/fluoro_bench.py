"""The fluoroscopy bench without its window: a run, the filter chosen for it, a region's figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress
from irplan.errors import InputError, IrplanError
from irplan_planner.model.jobs import Job, JobQueue
from irplan_planner.model.messages import Message, Messages

if TYPE_CHECKING:
    from irplan.fluoroscopy.settings import FluoroSettings
    from irplan.image import FluoroSequence

#: Larger runs (pixels of all frames) would not fit into 4 GB with their filtered twin.
MOST_PIXELS: Final = 600_000_000
#: A simulated run: side of the frames, their number and rate.
SIDE_PX, FRAMES, RATE_HZ = 512, 60, 15.0
#: Figures are taken over this many frames up to the one shown, and a square of this side.
OVER_FRAMES, NPS_PX, PATCH_PX = 8, 32, 96
Stage = Literal["motion", "temporal", "spatial", "enhance"]
STAGES: Final[tuple[Stage, ...]] = ("motion", "temporal", "spatial", "enhance")
BenchTopic = Literal["run", "filtered", "figures", "message"]


@dataclass(frozen=True)
class Choice:
    """What the filter should do.

    ``show``: share of the new frame (the noise / motion knob), 0.05 to 1.  ``smooth``: how much of
    the noise's finest bands is taken away in the spatial stage, 0 to 1.  ``enhance``: added
    contrast of detail, 0 to 2.  ``off``: stages left out.
    """

    preset: str = "general"
    show: float = 0.365
    smooth: float = 0.5
    enhance: float = 0.0
    off: frozenset[Stage] = frozenset()

    @classmethod
    def of_preset(cls, name: str) -> Choice:
        """The sliders as a preset sets them."""
        from irplan.fluoroscopy.settings import preset

        given = preset(name)
        return cls(name, given.temporal.show, 1.0 - given.spatial.keep[0], given.enhance)

    def settings(self) -> FluoroSettings:
        """The filter's constants; raises `InputError` out of range."""
        from irplan.fluoroscopy.settings import preset

        given = preset(self.preset)
        keep = given.spatial.keep
        least = 1.0 - self.smooth
        kept = (least, *(min(1.0, max(k, least)) for k in keep[1:]))
        if self.smooth > 0.5:  # the next band goes along
            kept = (least, keep[1] - (keep[1] - least) * (2.0 * self.smooth - 1.0), keep[2])
        spatial = replace(given.spatial, keep=(kept[0], kept[1], kept[2]))
        return replace(given.with_show(self.show), spatial=spatial, enhance=self.enhance)


@dataclass(frozen=True)
class Region:
    """A disc (centre and radius, pixels) and the ring from 1.5 to 2.5 radii round it."""

    row: float
    column: float
    radius: float

    def masks(self, shape: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(row, column) inside and outside; `InputError` where the ring leaves the frame."""
        reach = 2.5 * self.radius
        rows, columns = shape
        fits = reach <= self.row <= rows - 1 - reach and reach <= self.column <= columns - 1 - reach
        if not fits or self.radius < 2.0:
            raise InputError(
                "region",
                got=f"a disc of {self.radius:.0f} px at row {self.row:.0f}, column "
                f"{self.column:.0f}",
                expected="2 px or more, its ring within the frame",
                remedy="Place it farther from the edge.",
            )
        r, c = np.ogrid[:rows, :columns]
        far = np.hypot(r - self.row, c - self.column)
        return far <= self.radius, (far >= 1.5 * self.radius) & (far <= reach)


@dataclass(frozen=True, eq=False)
class Figures:
    """Figures of a region in one run: CNR with its interval, noise, NPS and d'.

    ``nps`` in value^2 mm^2 at ``frequency_per_mm`` (pixels of 1 mm where the run names none), of a
    square round the region less the disc's mean contrast, detrended: other anatomy in it counts as
    noise.  ``d_prime``: non-prewhitening observer with eye filter, for a disc of the region's size
    and measured contrast in that noise.
    """

    cnr: float
    cnr_low: float
    cnr_high: float
    noise_sd: float
    frequency_per_mm: NDArray[np.float64]
    nps: NDArray[np.float64]
    d_prime: float


def figures_of(frames: NDArray[Any], region: Region, pixel_mm: float) -> Figures:
    """Figures of (frame, row, column) ``frames``; raises what `irplan.fluoroscopy.quality` does."""
    from irplan.fluoroscopy.quality.contrast import contrast_to_noise
    from irplan.fluoroscopy.quality.nps import noise_power
    from irplan.fluoroscopy.quality.npwe import Viewing, npwe_from_spectra

    inside, outside = region.masks((frames.shape[1], frames.shape[2]))
    found = contrast_to_noise(frames, inside, outside)
    half = min(PATCH_PX, frames.shape[1], frames.shape[2]) // 2
    row = int(np.clip(round(region.row), half, frames.shape[1] - half))
    column = int(np.clip(round(region.column), half, frames.shape[2] - half))
    box = (slice(row - half, row + half), slice(column - half, column + half))
    ring = frames[:, *box] - np.float32(found.contrast) * inside[box]  # without the object
    power = noise_power(ring, pixel_mm, region_px=min(NPS_PX, 2 * half))
    n = power.power.shape[0]
    at = np.arange(n) - n / 2 + 0.5
    disc = np.hypot(at[:, None], at[None, :]) <= min(region.radius, 0.45 * n)
    noise = np.fft.ifftshift(power.power) / pixel_mm**2
    seen = npwe_from_spectra(found.contrast * disc, noise, Viewing())
    return Figures(found.cnr, found.low, found.high, found.noise_sd, power.radial_per_mm,
                   power.radial_power, seen)  # fmt: skip


class FluoroBench(Messages):
    """A run on the bench; what takes time runs on workers, results come by `poll`.

    ``filtered`` (frame, row, column) uint16 holds the result up to frame ``ready``.
    """

    def __init__(self, *, wake: Callable[[], None] = lambda: None) -> None:
        self.jobs = JobQueue(wake=wake, failed=self.complain)
        self.run: FluoroSequence | None = None
        self.title = ""
        self.choice = Choice()
        self.filtered: NDArray[np.uint16] | None = None
        self.ready = 0
        self.ms_per_frame = 0.0
        self.region: Region | None = None
        self.figures: tuple[Figures, Figures] | None = None
        """Of the source and of the filtered run."""
        self.messages: list[Message] = []
        self._listeners: list[Callable[[BenchTopic], None]] = []
        self._filtering: Job | None = None
        self._wake = wake

    def listen(self, listener: Callable[[BenchTopic], None]) -> None:
        """Call ``listener`` with the topic after every change (on the caller's thread)."""
        self._listeners.append(listener)

    def told(self) -> None:
        """A line was added."""
        self._tell("message")

    def open(self, path: str | Path) -> None:
        """A DICOM XA or RF run (a job)."""
        file = Path(path)

        def work(progress: Progress) -> Any:
            from irplan.dicom.xa_read import read_xa

            progress(0.1, "reading the run")
            found = read_xa(file)
            return found.run, file.name, found.notes

        self.jobs.submit(f"Reading {file.name}", "read", work, self._taken)

    def simulate(self, name: str, *, dose_ngy: float = 10.0, seed: int = 0) -> None:
        """A simulated scene at a dose a frame (a job)."""

        def work(progress: Progress) -> Any:
            from irplan.fluoroscopy import Detector, Exposure, scene, simulate

            made = scene(name, shape=(SIDE_PX, SIDE_PX), frames=FRAMES, rate_hz=RATE_HZ, seed=seed)
            noisy, _ = simulate(made, Exposure(dose_ngy), Detector(), seed=seed, progress=progress)
            return noisy, f"{name}, {dose_ngy:g} nGy a frame, seed {seed} (simulated)", ()

        self.jobs.submit("Simulating", "work", work, self._taken)

    def set_choice(self, choice: Choice) -> None:
        """Filter the run this way from its first frame on; what was being filtered is dropped."""
        if choice == self.choice and self.filtered is not None:
            return
        self.choice = choice
        self._filter()

    def set_region(self, region: Region, frame: int) -> None:
        """Measure this region over the frames up to ``frame``."""
        self.region = region
        self.measure(frame)

    def measure(self, frame: int) -> None:
        """Figures of the region for the frames up to ``frame`` (a quiet job)."""
        run, region, result = self.run, self.region, self.filtered
        if run is None or region is None or result is None:
            return
        last = min(frame, self.ready - 1)
        if last < 0:
            return
        first = max(0, last + 1 - OVER_FRAMES)
        pixel = self.pixel_mm or 1.0

        def work(progress: Progress) -> Any:
            return tuple(
                figures_of(x[first : last + 1].astype(np.float32), region, pixel)
                for x in (run.frames, result)
            )

        def done(found: Any) -> None:
            if self.run is run and self.region == region:
                self.figures = found
                self._tell("figures")

        def failed(error: IrplanError) -> None:
            self.figures = None
            self.complain(error)
            self._tell("figures")

        self.jobs.submit("Figures", "background", work, done, failed=failed, latest=True,
                         quiet=True)  # fmt: skip

    @property
    def pixel_mm(self) -> float | None:
        """Edge of a pixel on the detector (or at the isocentre); None where the run names none."""
        if self.run is None:
            return None
        spacing = self.run.pixel_spacing_mm or self.run.isocentre_spacing_mm
        return None if spacing is None else spacing[0]

    def window_of(self) -> tuple[float, float]:
        """Value shown black and white: the 0.5 and 99.5 percentiles of a middle frame."""
        if self.run is None:
            return 0.0, 1.0
        middle = self.run.frames[len(self.run) // 2][::4, ::4]
        low, high = np.percentile(middle, (0.5, 99.5))
        return float(low), float(max(high, low + 1.0))

    def noise_sd(self) -> float:
        """SD of the noise of single frames, roughly: from two neighbours, every fourth pixel."""
        if self.run is None or len(self.run) < 2:
            return 0.0
        a, b = (self.run.frames[n][::4, ::4].astype(np.float32) for n in (0, 1))
        return float(np.median(np.abs(b - a)) / 0.6745 / np.sqrt(2.0))

    def poll(self) -> int:
        """Take in what workers have finished."""
        return self.jobs.poll()

    def close(self) -> None:
        """Cancel what runs and end the workers."""
        self.jobs.close()

    def _taken(self, outcome: Any) -> None:
        self.attempt(lambda: self._take(outcome))

    def _take(self, outcome: Any) -> None:
        run, title, notes = outcome
        if run.frames.size > MOST_PIXELS:
            raise InputError(
                "run",
                got=f"{run.frames.size / 1e6:.0f} million pixels",
                expected=f"at most {MOST_PIXELS / 1e6:.0f} million",
                remedy="Cut the run, or filter it with: irplan fluoro run",
            )
        self.run, self.title, self.region, self.figures = run, title, None, None
        self.filtered, self.ready = None, 0
        for note in notes:
            self.say(note, "warning")
        self._tell("run")
        self._filter()

    def _filter(self) -> None:
        run = self.run
        if run is None:
            return
        if self._filtering is not None:
            self._filtering.cancel()
        settings, off = self.choice.settings(), tuple(self.choice.off)
        result = np.zeros(run.frames.shape, np.uint16)
        self.filtered, self.ready, self.figures = result, 0, None

        def work(progress: Progress) -> Any:
            import time

            from irplan.fluoroscopy import StreamFacts
            from irplan.fluoroscopy.pipeline import Pipeline

            each = Pipeline(StreamFacts.of(run), settings, off=off)
            spent = []
            for n, frame in enumerate(run.frames):
                progress(n / len(run), f"frame {n + 1} of {len(run)}")
                began = time.perf_counter()
                done = each.step(frame.astype(np.float32))
                spent.append(time.perf_counter() - began)
                np.clip(np.rint(done), 0.0, 65535.0, out=done)
                result[n] = done
                if self.filtered is result:
                    self.ready = n + 1
            return 1000.0 * float(np.median(spent)), each.notes

        def done(outcome: Any) -> None:
            if self.filtered is result:
                self.ms_per_frame, notes = outcome
                for note in notes:
                    self.say(note, "warning")
                self._tell("filtered")

        self._filtering = self.jobs.submit("Filtering", "edit", work, done, latest=True)
        self._tell("filtered")

    def _tell(self, topic: BenchTopic) -> None:
        for listener in self._listeners:
            listener(topic)
