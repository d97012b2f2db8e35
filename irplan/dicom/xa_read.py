"""An angiography or fluoroscopy run from a DICOM file (XA, RF, Enhanced XA and XRF)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import JPEG2000, UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from irplan.dicom.dose_items import date_time
from irplan.dicom.frame_groups import frame_number, frame_numbers, frame_text
from irplan.dicom.pixels import read_pixels
from irplan.dicom.reading import number, numbers, quiet, read_dataset, sound, text
from irplan.errors import DicomError
from irplan.image import FluoroSequence, Photometry, Technique
from irplan.image.fluoro_sequence import Relation

#: SOP classes that hold such runs.
RUN_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.12.1": "X-Ray Angiographic Image Storage",
    "1.2.840.10008.5.1.4.1.1.12.1.1": "Enhanced XA Image Storage",
    "1.2.840.10008.5.1.4.1.1.12.2": "X-Ray Radiofluoroscopic Image Storage",
    "1.2.840.10008.5.1.4.1.1.12.2.1": "Enhanced XRF Image Storage",
}
_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)
_USUAL_RATE_HZ = 15.0


@dataclass(frozen=True, eq=False)
class XaRun:
    """A run as read.

    ``run`` : frames with *more X-rays larger* (turned round where the file stores the contrary).
    ``header`` : the data set without pixels; ``turned`` : whether values were turned round, with
    ``top`` = value + turned value.  ``notes`` : what a reader must know, in words.
    """

    run: FluoroSequence
    header: FileDataset
    turned: bool
    top: int
    notes: tuple[str, ...]


def read_xa(file: str | Path) -> XaRun:
    """Read a run.

    Raises `DicomError`: not such a run, a single frame, colour or palette pixels, a compression
    that cannot be decoded here (named), truncated or damaged pixels.
    """
    with sound(Path(file)):
        return _read(Path(file))


def _read(path: Path) -> XaRun:
    data = read_dataset(path)
    field = f"DICOM file '{path.name}'"
    kind = text(data, "SOPClassUID")
    if kind not in RUN_CLASSES:
        raise DicomError(
            field,
            got=f"an object of the kind '{UID(kind).name or 'unknown'}'",
            expected="an XA or RF run",
            remedy="Give an angiography or fluoroscopy file.",
        )
    colour = text(data, "PhotometricInterpretation")
    if colour not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError(
            f"{field}, PhotometricInterpretation",
            got=colour or "nothing",
            expected="MONOCHROME1 or MONOCHROME2 (grey values)",
            remedy="A screen shot in colour has no X-ray values; export the original run.",
        )
    if int(number(data, "NumberOfFrames") or 1) < 2:
        raise DicomError(
            field,
            got="a single frame",
            expected="a run of 2 frames or more",
            remedy="A temporal filter has nothing to work on; give the whole run.",
        )
    pixels = read_pixels(path)
    array = pixels.array
    if array.min() < 0 or array.max() > 65535:
        raise DicomError(
            field,
            got="negative values or values above 65535",
            expected="unsigned 8 to 16 bit pixels",
            remedy="Export the run as stored by the X-ray system.",
        )
    notes: list[str] = []
    bits = int(number(data, "BitsStored") or 16)
    top = 2**bits - 1
    turned = _turned(data, colour)
    values = array.astype(np.uint16)
    if turned:
        values = (top - np.minimum(values, top)).astype(np.uint16)
        notes.append("more X-rays were smaller values in the file; turned round for the filter")
    syntax = UID(text(data.file_meta, "TransferSyntaxUID"))
    lossy = text(data, "LossyImageCompression") == "01" or syntax in _LOSSY
    if lossy:
        notes.append("lossy compression: the noise model does not hold; figures of dose or noise "
                     "mean nothing for this run")  # fmt: skip
    relation = _relation(data, bits, notes)
    times = _times(data, len(values), notes)
    imager = frame_numbers(data, 1, "ImagerPixelSpacing", 2)
    if imager is None or min(imager) <= 0.0:
        imager = None
        notes.append("no pixel spacing (ImagerPixelSpacing): sizes in mm are not known")
    sid, sod = (frame_number(data, 1, f"DistanceSourceTo{end}") for end in ("Detector", "Patient"))
    isocentre = None
    if imager and sid and sod and 0.0 < sod < sid:
        isocentre = (imager[0] * sod / sid, imager[1] * sod / sid)
    clipped = float((values >= top).mean())
    if clipped > 1e-3:
        notes.append(f"{100 * clipped:.1f} % of the pixels are at the highest value (saturated)")
    photometry = Photometry(relation, saturation=float(top), lossy=lossy, bits=bits)
    technique = Technique(
        tube_kv=frame_number(data, 1, "KVP"),
        tube_ma=number(data, "XRayTubeCurrent"),
        pulse_ms=number(data, "AveragePulseWidth"),
        primary_angle_deg=frame_number(data, 1, "PositionerPrimaryAngle"),
        secondary_angle_deg=frame_number(data, 1, "PositionerSecondaryAngle"),
        source_detector_mm=sid,
        source_isocentre_mm=sod,
    )
    run = FluoroSequence(
        values,
        times,
        photometry,
        (imager[0], imager[1]) if imager else None,
        isocentre,
        technique,
        None,
        _masks(data, len(values), notes),
    )
    del data.PixelData
    return XaRun(run, data, turned, top, tuple(notes))


def _turned(data: FileDataset, colour: str) -> bool:
    """Whether fewer X-rays are larger values: the sign if given, else how it is displayed."""
    sign = frame_number(data, 1, "PixelIntensityRelationshipSign")
    if sign in (1.0, -1.0):
        return sign == -1.0
    return colour == "MONOCHROME1"


def _relation(data: FileDataset, bits: int, notes: list[str]) -> Relation:
    stated = frame_text(data, 1, "PixelIntensityRelationship").upper()
    if stated == "LIN" and bits > 8:
        return "linear"
    if stated == "LOG":
        notes.append("values are logarithms of intensity: noise is learnt as a table")
        return "log"
    why = f"'{stated}' with {bits} bits" if stated else "not stated"
    notes.append(f"relation of value to intensity: {why}; noise is learnt as a table")
    return "display"


def _times(data: FileDataset, frames: int, notes: list[str]) -> NDArray[np.float64]:
    """Start of each frame, seconds; gaps of 1.5 intervals or more are told."""
    steps = numbers(data, "FrameTimeVector", frames)
    if steps is not None and all(s > 0.0 for s in steps[1:]):
        times = np.cumsum(np.array([0.0, *steps[1:]], np.float64)) / 1e3
        return _gaps_told(times, "FrameTimeVector", notes)
    if text(data, "FrameTimeVector"):
        notes.append(f"FrameTimeVector does not fit {frames} frames that follow one another: "
                     "not used, so gaps in the run are not known")  # fmt: skip
    stamped = _stamps(data, frames)
    if stamped is not None:
        return _gaps_told(stamped, "FrameAcquisitionDateTime", notes)
    step = number(data, "FrameTime")
    if step is None or step <= 0.0:
        rate = number(data, "CineRate") or number(data, "RecommendedDisplayFrameRate")
        if rate is None or rate <= 0.0:
            notes.append(f"no frame rate in the file: {_USUAL_RATE_HZ:g} a second assumed")
            rate = _USUAL_RATE_HZ
        step = 1e3 / rate
    out: NDArray[np.float64] = np.arange(frames, dtype=np.float64) * (step / 1e3)
    return out


def _stamps(data: FileDataset, frames: int) -> NDArray[np.float64] | None:
    """Seconds from the first frame, where an enhanced object states when each was taken."""
    groups = data.get("PerFrameFunctionalGroupsSequence") or ()
    if len(groups) != frames:
        return None
    said = (frame_text(data, n + 1, "FrameAcquisitionDateTime") for n in range(frames))
    found = [f for words in said if (f := date_time(words)) is not None]
    if len(found) != frames or len({f.tzinfo for f in found}) != 1:
        return None
    out = np.array([(f - found[0]).total_seconds() for f in found], np.float64)
    return out if (np.diff(out) > 0.0).all() else None


def _gaps_told(times: NDArray[np.float64], where: str, notes: list[str]) -> NDArray[np.float64]:
    usual = float(np.median(np.diff(times)))
    lost = int(np.rint(np.diff(times) / usual - 1.0).clip(0).sum())
    if lost:
        notes.append(f"{lost} frames are missing in the run (gaps in {where})")
    return times


def _masks(data: FileDataset, frames: int, notes: list[str]) -> tuple[int, ...]:
    with quiet():
        for item in data.get("MaskSubtractionSequence") or []:
            found = item.get("MaskFrameNumbers")
            if found is None:
                continue
            listed = [found] if isinstance(found, int) else list(found)
            there = tuple(int(n) - 1 for n in listed if 1 <= int(n) <= frames)
            if len(there) < len(listed):
                notes.append(f"{len(listed) - len(there)} of {len(listed)} mask frames that the "
                             "file names are not in it")  # fmt: skip
            return there
    return ()
