"""A TotalSegmentator installation as an outside model: run apart, offline, with time and cancel."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from gzip import GzipFile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress
from irplan.errors import BackendError, FileFormatError, InputError, SegmentationError
from irplan.files import nifti
from irplan.image.labels import Label, LabelMap
from irplan.image.structures import structure
from irplan.image.volume import Volume
from irplan.segmentation.outside import (
    ModelEnvelope,
    ModelIdentity,
    OutsideSegmentation,
    ScanFacts,
    envelope_rows,
)

#: Class of the task "total" (exact, or without its side and number) -> structure of irplan.
_STRUCTURE_OF = {
    "liver": "liver",
    "gallbladder": "gallbladder",
    "spleen": "spleen",
    "kidney_left": "kidney_left",
    "kidney_right": "kidney_right",
    "stomach": "stomach",
    "pancreas": "pancreas",
    "small_bowel": "bowel",
    "duodenum": "bowel",
    "colon": "bowel",
    "heart": "heart",
    "aorta": "artery",
    "inferior_vena_cava": "vena_cava",
    "portal_vein_and_splenic_vein": "portal_vein",
}
_LUNG = re.compile(r"lung_(upper|middle|lower)_lobe_(left|right)")
_BONE = re.compile(r"(vertebrae_\w+|rib_(left|right)_\d+|sacrum|sternum|costal_cartilages|"
                   r"(hip|femur|scapula|clavicula|humerus)_(left|right)|skull)")  # fmt: skip
#: nnU-Net data sets whose weights a run needs (TotalSegmentator 2.x), normal and fast.
_DATASETS = {False: (291, 292, 293, 294, 295), True: (297,)}
#: The paper's training images: 1.5 mm models (3 mm fast) of CT of any phase, kernel and field.
_ENVELOPE = ModelEnvelope(slice_mm=(0.5, 5.0), pixel_mm=(0.3, 3.0))
_CITATION = "Wasserthal et al., Radiology: Artificial Intelligence 2023;5(5):e230024"
#: A proxy at which nobody listens: whatever would be sent or fetched fails at once.
_NOWHERE = "http://127.0.0.1:9"
_POLL_S = 0.1
_LABEL = re.compile(rb'<Label Key="(\d+)"[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]+)')


@dataclass(frozen=True)
class TotalSegmentator:
    """An installation of TotalSegmentator 2, started as a program of its own.

    Parameters
    ----------
    program : its path; None looks for ``TotalSegmentator`` on PATH.
    weights : folder of its weights; None = where it keeps them (TOTALSEG_WEIGHTS_PATH,
        TOTALSEG_HOME_DIR, or ``.totalsegmentator/nnunet/results`` in the home folder).
    fast : the 3 mm model.
    device : ``"cpu"``, ``"gpu"`` ...
    timeout_s : after which it is stopped.

    Nothing is downloaded or sent: weights are looked for beforehand, and the program runs with
    its network turned off (proxies that lead nowhere), which also stops its usage statistics.

    Raises `BackendError` where the program or weights are absent.
    """

    program: Path | None = None
    weights: Path | None = None
    fast: bool = False
    device: str = "cpu"
    timeout_s: float = 3600.0
    _found: Path = field(init=False, repr=False)
    _version: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        named = "TotalSegmentator" if self.program is None else str(self.program)
        found = shutil.which(named)
        if found is None:
            raise BackendError(
                "outside model 'TotalSegmentator'",
                got=f"no program '{named}'" + ("" if self.program else " on the PATH"),
                expected="an installation of TotalSegmentator 2",
                remedy="Install it in an environment of its own (pip install TotalSegmentator) and "
                "give the program's path; irplan installs and downloads nothing.",
            )
        object.__setattr__(self, "_found", Path(found))
        missing = self._missing_weights()
        if missing:
            raise BackendError(
                "outside model 'TotalSegmentator', weights",
                got=f"no data set {', '.join(map(str, missing))} in '{self._weights_folder()}'",
                expected=f"the weights of the task 'total'{' (fast)' if self.fast else ''}",
                remedy="Fetch them yourself once: totalseg_download_weights -t "
                f"{'total_fast' if self.fast else 'total'}",
            )
        object.__setattr__(self, "_version", self._ask_version())

    @property
    def identity(self) -> ModelIdentity:
        """Program and version; the weights have no single file to hash."""
        kind = "fast (3 mm)" if self.fast else "1.5 mm"
        return ModelIdentity(
            f"TotalSegmentator total, {kind}", self._version, "", "Apache-2.0", _CITATION
        )

    def segment(
        self,
        volume: Volume,
        *,
        facts: ScanFacts | None = None,
        progress: Progress = no_progress,
    ) -> OutsideSegmentation:
        """Label ``volume`` with the task "total".

        Raises `SegmentationError` where the program fails (with its last words), runs longer than
        ``timeout_s`` or returns labels on another grid; what ``progress`` raises stops it.
        """
        started = time.perf_counter()
        rows = envelope_rows(volume, _ENVELOPE, facts)
        with tempfile.TemporaryDirectory(prefix="irplan-model-") as name:
            folder = Path(name)
            progress(0.0, "TotalSegmentator: writing its input")
            nifti.write_volume(volume, folder / "ct.nii.gz")
            self._run(folder, progress)
            array, names = _answer(folder, volume)
        labels, unmapped = _mapped(array, names, volume)
        progress(1.0, "TotalSegmentator: done")
        return OutsideSegmentation(
            labels,
            self.identity,
            rows,
            tuple(f"{r.name}: {r.note}" for r in rows if r.status == "warning"),
            (("task", "total"), ("fast", str(self.fast)), ("device", self.device)),
            unmapped,
            time.perf_counter() - started,
        )

    def _weights_folder(self) -> Path:
        if self.weights is not None:
            return self.weights
        if "TOTALSEG_WEIGHTS_PATH" in os.environ:
            return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
        home = os.environ.get("TOTALSEG_HOME_DIR")
        return (Path(home) if home else Path.home() / ".totalsegmentator") / "nnunet" / "results"

    def _missing_weights(self) -> list[int]:
        folder = self._weights_folder()
        return [
            n
            for n in _DATASETS[self.fast]
            if not any(p.is_dir() and any(p.iterdir()) for p in folder.glob(f"Dataset{n}_*"))
        ]

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        for key in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy"):
            env[key] = env[key.upper()] = _NOWHERE
        env["no_proxy"] = env["NO_PROXY"] = ""
        env["TOTALSEG_WEIGHTS_PATH"] = str(self._weights_folder())
        return env

    def _ask_version(self) -> str:
        try:
            said = subprocess.run(
                [str(self._found), "--version"],
                capture_output=True,
                text=True,
                timeout=60.0,
                env=self._environment(),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackendError(
                "outside model 'TotalSegmentator'",
                got=f"'{self._found.name}', which does not start ({type(error).__name__})",
                expected="a program that answers --version",
                remedy="Start it by hand and mend its installation.",
            ) from error
        version = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
        if said.returncode != 0 or version is None or int(version[0].split(".")[0]) < 2:
            raise BackendError(
                "outside model 'TotalSegmentator'",
                got=f"version {version[0] if version else 'unknown'} (exit {said.returncode})",
                expected="version 2 or later",
                remedy="Give an installation of TotalSegmentator 2; version 1 numbers its classes "
                "otherwise.",
            )
        return version[0]

    def _run(self, folder: Path, progress: Progress) -> None:
        command = [str(self._found), "-i", str(folder / "ct.nii.gz")]
        command += ["-o", str(folder / "labels.nii.gz"), "--ml", "--device", self.device]
        command += ["--fast"] if self.fast else []
        log = folder / "log.txt"
        with log.open("wb") as stream:
            process = self._start(command, folder, stream)
            started = time.monotonic()
            try:
                while process.poll() is None:
                    spent = time.monotonic() - started
                    if spent > self.timeout_s:
                        raise SegmentationError(
                            "TotalSegmentator",
                            got=f"no answer within {self.timeout_s:g} s",
                            expected="an answer",
                            remedy="Use its fast model or a GPU, or allow more time.",
                        )
                    share = min(0.95, 0.05 + 0.9 * spent / (spent + 60.0))
                    progress(share, f"TotalSegmentator: running, {spent:.0f} s")
                    time.sleep(_POLL_S)
            finally:
                _stop(process)
        if process.returncode != 0:
            words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise SegmentationError(
                "TotalSegmentator",
                got=f"exit code {process.returncode}: {' / '.join(words[-3:])[-300:] or 'silent'}",
                expected="exit code 0",
                remedy="Run it by hand on the same scan to see all it says.",
            )

    def _start(self, command: list[str], folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                start_new_session=True,  # so that its workers can be stopped with it
            )
        except OSError as error:
            raise BackendError(
                "outside model 'TotalSegmentator'",
                got=f"'{self._found.name}', which does not start ({error.strerror})",
                expected="a program",
                remedy="Check the path.",
            ) from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the program and everything it started; harmless when it has ended by itself."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(timeout=3.0)
        except subprocess.TimeoutExpired:
            continue


def _answer(folder: Path, volume: Volume) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """The label array on the volume's grid, and the class names that the file carries."""
    found = [folder / "labels.nii.gz", folder / "labels.nii"]
    found += sorted((folder / "labels.nii.gz").glob("*.nii*"))
    file = next((f for f in found if f.is_file()), None)
    if file is None:
        raise SegmentationError(
            "TotalSegmentator",
            got="no label file",
            expected="one multi-label NIfTI file",
            remedy="Run it by hand on the same scan to see what it writes.",
        )
    answer = nifti.read_volume(file, "1")
    array = answer.array
    volume.grid.require_same(answer.grid, field="TotalSegmentator's labels")
    if array.min() < 0 or array.max() > 255 or not np.array_equal(array, np.floor(array)):
        raise SegmentationError(
            "TotalSegmentator",
            got=f"values from {array.min():g} to {array.max():g}",
            expected="class numbers",
            remedy="Run it by hand on the same scan to see what it writes.",
        )
    names = _names_in(file)
    if not names:
        raise SegmentationError(
            "TotalSegmentator",
            got="a label file without the names of its classes",
            expected="the label table that version 2 writes into the NIfTI header",
            remedy="Class numbers differ between versions and are not guessed; update it.",
        )
    return array.astype(np.uint8), names


def _names_in(file: Path) -> dict[int, str]:
    """Class names from the label table in the NIfTI header's extension."""
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            with GzipFile(fileobj=stream) if packed else stream as plain:
                head = plain.read(352)
                offset = int(struct.unpack("<f", head[108:112])[0])
                text = plain.read(max(0, min(offset, 1 << 20) - 352))
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise FileFormatError(
            "TotalSegmentator's labels",
            got="a NIfTI header that cannot be read",
            expected="a whole file",
            remedy="Run it again; the disk may be full.",
        ) from error
    return {int(k): v.decode("utf-8", "replace").strip() for k, v in _LABEL.findall(text)}


def _mapped(
    array: NDArray[np.uint8], names: dict[int, str], volume: Volume
) -> tuple[LabelMap, tuple[str, ...]]:
    """irplan's structures, those not found included, and the classes that have no name here."""
    table = np.zeros(256, dtype=np.uint8)
    labels: dict[str, Label] = {}
    present = np.flatnonzero(np.bincount(array.reshape(-1), minlength=256))
    unmapped = []
    for value, name in sorted(names.items()):
        known = _STRUCTURE_OF.get(name)
        if known is None and _LUNG.fullmatch(name):
            known = "lung"
        if known is None and _BONE.fullmatch(name):
            known = "bone"
        if known is None:
            if value in present:
                unmapped.append(name)
            continue
        label = labels.setdefault(known, structure(known))
        table[value] = label.value
    if "liver" not in labels:
        raise InputError(
            "TotalSegmentator's labels",
            got=f"classes {', '.join(list(names.values())[:5])} ...",
            expected="the classes of the task 'total'",
            remedy="Update TotalSegmentator.",
        )
    return LabelMap(table[array], volume.grid, tuple(labels.values())), tuple(unmapped)
