"""Commands on files: open whatever is given, samples, save, autosave, recover, close."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from irplan.compute.progress import Progress, portion
from irplan.errors import InputError, IrplanError, OutputError
from irplan_planner.model import case_folder
from irplan_planner.model.case_folder import CaseWriter, Lock
from irplan_planner.model.desk import Desk
from irplan_planner.model.glance import Glance, glance
from irplan_planner.model.state import CaseState, Revisions, next_revision

#: More voxels than this would not fit into 4 GB with their labels and masks.
MOST_VOXELS = 300_000_000


@dataclass(frozen=True)
class Sample:
    """A generated patient: seed, diameter of its tumour, phase, voxels (slice, row, column)."""

    title: str
    seed: int
    diameter_mm: float
    phase: str = "portal"
    spacing_mm: tuple[float, float, float] = (2.5, 0.9, 0.9)


#: Built in; the first is the patient of `irplan demo`.
SAMPLES: Final[Mapping[str, Sample]] = {
    "demo": Sample("Demo, 18 mm, portal phase", 5, 18.0),
    "deep": Sample("Deep, 24 mm, portal phase", 101, 24.0),
    "arterial": Sample("16 mm, arterial phase", 7, 16.0, "arterial"),
}


class Opening:
    """Commands; the case that is open has a folder once it was saved."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.folder: Path | None = None
        self._lock: Lock | None = None
        self._writer: CaseWriter | None = None
        self._auto: CaseWriter | None = None
        self._autosaved: CaseState | None = None

    def open(self, path: str | Path, *, series_uid: str | None = None) -> None:
        """A saved case, a DICOM folder or file, or a NIfTI file, told apart by content (a job)."""
        given = Path(path).expanduser()
        if not given.exists():
            raise InputError(
                f"'{given.name}'",
                got="nothing there",
                expected="a DICOM folder, a NIfTI file or a saved case",
                remedy="Check the path.",
            )
        if case_folder.is_case(given):
            self._open_case(given if given.is_dir() else given.parent)
            return
        if given.is_dir() and self._desk.state.volume is None:
            self._glance_at(given)
        self._read(f"Reading {given.name}", lambda p: _read_image(given, series_uid, p), str(given))

    def _glance_at(self, folder: Path) -> None:
        desk = self._desk

        def done(found: Glance | None) -> None:
            if desk.state.volume is None and found is not None:
                desk.glance = found
                desk.changed("extras")

        desk.work("First look", "preview", lambda p: glance(folder), done, quiet=True)

    def sample(self, name: str) -> None:
        """A built-in generated patient (a job; kept on disk for the next time)."""
        if name not in SAMPLES:
            raise InputError(
                "sample",
                got=repr(name),
                expected="one of " + ", ".join(SAMPLES),
                remedy="Use one of these names.",
            )
        self._read("Making the sample", lambda p: _sample_state(name, p), f"sample:{name}")

    def _read(self, title: str, work: Callable[[Progress], CaseState], source: str) -> None:
        desk = self._desk
        self.autosave_now()

        def read(progress: Progress) -> CaseState:
            try:
                return work(progress)
            except IrplanError:
                desk.glance = None  # nothing follows the first look
                raise

        def done(state: CaseState) -> None:
            self._leave()
            desk.read_only = ""
            desk.begin(replace(state, source=source))
            for message in state.messages:
                desk.say(message, "warning")
            if not source.startswith("sample:"):
                case_folder.remember(Path(source))

        desk.work(title, "read", read, done)

    def _open_case(self, folder: Path) -> None:
        desk = self._desk
        autosaved = case_folder.can_recover(folder)

        def work(progress: Progress) -> Any:
            return case_folder.load_case(folder, autosaved=autosaved, progress=progress)

        def done(outcome: Any) -> None:
            state, writer = outcome
            self._leave()
            lock = case_folder.take_lock(folder)
            self._lock, self._writer, self.folder = lock, writer, folder
            self._auto = writer
            accepted = state.review == "accepted"
            desk.read_only = lock.words or (
                f"a plan accepted by {state.plan.review.by}" if accepted else ""
            )
            desk.begin(state)
            if desk.read_only:
                desk.say(f"Read-only: {desk.read_only}.", "warning")
            if autosaved:
                desk.saved = None
                desk.say("Recovered from the autosave of a window that was not closed.", "warning")
            if lock.mine:
                case_folder.remember(folder)

        desk.work(f"Opening {folder.name}", "read", work, done)

    def recover(self, folder: Path) -> None:
        """A case that was never saved, from its autosave (a job)."""
        desk = self._desk

        def done(outcome: Any) -> None:
            state, _ = outcome
            self._leave()
            desk.read_only = ""
            desk.begin(state)
            desk.saved = None
            shutil.rmtree(folder, ignore_errors=True)
            desk.say("Recovered. Save the case to keep it.", "good")

        desk.work(
            "Recovering", "read",
            lambda p: case_folder.load_case(folder, autosaved=True, progress=p), done,
        )  # fmt: skip

    def save(self, folder: Path | None = None) -> None:
        """Write the case to ``folder`` (None: where it was); a job."""
        desk, state = self._desk, self._desk.state
        if state.volume is None:
            raise InputError("case", got="nothing", expected="a CT", remedy="Open one first.")
        place = folder or self.folder
        if place is None:
            raise InputError(
                "case folder", got="none yet", expected="a folder", remedy="Choose where to save."
            )
        place = place.expanduser().resolve()
        writer, lock = self._writer, self._lock
        if place != self.folder:
            if place.is_file() or (place.is_dir() and any(place.iterdir())):
                raise OutputError(
                    "case folder",
                    got=f"'{place.name}', which exists and is not empty",
                    expected="a new name or an empty folder",
                    remedy="Choose another name; nothing is ever written over.",
                )
            writer, lock = CaseWriter(place), None
        elif desk.read_only and not (state.review == "accepted" and lock is not None and lock.mine):
            desk.require_writable()
        assert writer is not None
        came_from = self.folder

        def work(progress: Progress) -> Any:
            assert writer is not None
            try:
                writer.save(state, progress=progress)
            except IrplanError:
                with contextlib.suppress(OSError):
                    place.rmdir()  # a new folder in which nothing could be kept
                raise
            if came_from is not None and (came_from / "log").is_dir() and came_from != place:
                shutil.copytree(came_from / "log", place / "log", dirs_exist_ok=True)
            return place

        def done(_: Any) -> None:
            moved = place != self.folder
            if moved:
                case_folder.release_lock(self._lock)
                self._drop_unsaved()
                self._lock = case_folder.take_lock(place)
                self.folder, self._writer, self._auto = place, writer, writer
                if state.review != "accepted":
                    desk.read_only = ""
            desk.saved = state
            case_folder.remember(place)
            desk.say(f"Saved to {place}.", "good")
            desk.changed("state")

        desk.work("Saving", "save", work, done, latest=True)

    def autosave(self) -> None:
        """Write what has changed since the last save beside it (a quiet job); call it regularly."""
        desk, state = self._desk, self._desk.state
        ours = self._lock is None or self._lock.mine
        if not desk.unsaved or state is self._autosaved or desk.read_only or not ours:
            return
        self._autosaved = state
        if self._auto is None:
            self._auto = CaseWriter(case_folder.unsaved_folder())
        writer = self._auto

        def work(progress: Progress) -> None:
            writer.save(state, autosave=True, progress=progress)

        desk.work("Autosave", "save", work, lambda _: None, latest=True, quiet=True)

    def autosave_now(self) -> None:
        """Queue the autosave of what would otherwise be lost."""
        self._desk.attempt(self.autosave)

    @property
    def autosaved_to(self) -> Path | None:
        """Where autosaves go now."""
        return None if self._auto is None else self._auto.folder

    def discard_unsaved(self) -> None:
        """The user does not want to keep what was not saved: forget its autosave."""
        if self.folder is not None and self._lock is not None and self._lock.mine:
            case_folder.forget_autosave(self.folder)
        self._drop_unsaved()

    def close(self) -> None:
        """Let go of the case: its lock, nothing else (an autosave stays for recovery)."""
        case_folder.release_lock(self._lock)
        self._lock = None

    def _leave(self) -> None:
        self.close()
        self.folder, self._writer, self._auto, self._autosaved = None, None, None, None

    def _drop_unsaved(self) -> None:
        if self._auto is not None and self.folder is None:
            shutil.rmtree(self._auto.folder, ignore_errors=True)
            self._auto = None


def _read_image(path: Path, series_uid: str | None, progress: Progress) -> CaseState:
    from irplan.case.open import open_image_and_notes
    from irplan.files.nifti import is_nifti, read_header

    if path.is_file() and is_nifti(path):
        _require_small(read_header(path).shape_ijk)  # before it fills the memory
    volume, notes = open_image_and_notes(path, series_uid=series_uid, progress=progress)
    _require_small(volume.grid.shape)
    return CaseState(
        title=path.name, volume=volume, messages=notes, revisions=Revisions(image=next_revision())
    )


def _require_small(shape: tuple[int, ...]) -> None:
    """Raise `InputError` for more voxels than fit into the memory with their labels."""
    voxels = math.prod(shape)
    if voxels > MOST_VOXELS:
        raise InputError(
            "image",
            got=f"{voxels / 1e6:.0f} million voxels {shape}",
            expected=f"at most {MOST_VOXELS / 1e6:.0f} million",
            remedy="Crop the scan to the abdomen, or resample it to thicker slices.",
        )


def _sample_state(name: str, progress: Progress) -> CaseState:
    from irplan.files import read_volume, write_volume

    sample = SAMPLES[name]
    kept = case_folder.home() / "samples" / f"{name}-1.nii"
    if kept.is_file():
        try:
            volume = read_volume(kept)
            return _named(sample, volume)
        except IrplanError:
            kept.unlink(missing_ok=True)
    from irplan.phantom import TumourSpec, abdominal_ct

    made = abdominal_ct(
        sample.seed, phase=sample.phase, spacing_mm=sample.spacing_mm,  # type: ignore[arg-type]
        tumours=(TumourSpec(sample.diameter_mm),), progress=portion(progress, 0.0, 0.9),
    )  # fmt: skip
    with contextlib.suppress(OutputError):  # else it is made again the next time
        write_volume(made.volume, kept)
    return _named(sample, made.volume)


def _named(sample: Sample, volume: Any) -> CaseState:
    return CaseState(title=sample.title, volume=volume, revisions=Revisions(image=next_revision()))
