"""A recorded run from file to file: read, filter frame by frame, write, compare."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.case.save_dicom import save_dicom
from irplan.compute.progress import Progress, no_progress
from irplan.dicom.xa_read import XaRun, read_xa
from irplan.dicom.xa_write import filtered_dataset
from irplan.errors import InputError
from irplan.files.atomic import atomic_path, require_apart
from irplan.fluoroscopy import StreamFacts
from irplan.fluoroscopy.filter import FluoroFilter
from irplan.fluoroscopy.pipeline import Pipeline
from irplan.fluoroscopy.settings import FluoroSettings, preset
from irplan.fluoroscopy.subtraction import OFF_IN_SUBTRACTION, Subtraction, choose_mask
from irplan.viz.fluoro_video import VIDEO_SUFFIXES, write_video

_GAP = 1.5  # intervals: longer is a dropped frame


@dataclass(frozen=True)
class FluoroRequest:
    """What `irplan fluoro run` is asked.

    ``show`` : the noise / motion knob; None: the preset's.  ``own`` : stages replaced by
    "module:function".  ``subtract`` : None, "none", "rigid" or "elastic" (how the mask is moved).
    ``video`` : a GIF or MP4 with the source beside the result.
    """

    source: Path
    out: Path
    preset: str = "general"
    show: float | None = None
    off: tuple[str, ...] = ()
    own: tuple[tuple[str, str], ...] = ()
    subtract: str | None = None
    video: Path | None = None
    compare: bool = False


@dataclass(frozen=True, eq=False)
class FluoroRun:
    """What was done: the record that is also written beside the result, and messages."""

    record: dict[str, Any]
    messages: tuple[str, ...]
    written: tuple[Path, ...] = field(default_factory=tuple)


def run_fluoro(request: FluoroRequest, *, progress: Progress = no_progress) -> FluoroRun:
    """Filter a run and write it, its record (``OUT.json``) and, if asked, a video.

    Nothing is written where any of it fails.  Raises what `read_xa`, `Pipeline` and
    `filtered_dataset` raise, and `OutputError` where an output would replace the source or
    another output.
    """
    out = Path(request.out)
    record_file = out.with_suffix(".json")
    outputs = {"OUT.dcm": out, "record": record_file, "--video": request.video}
    require_apart([Path(request.source)], outputs)
    if request.video is not None and request.video.suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(
            "video",
            got=f"'{request.video.name}'",
            expected=" or ".join(VIDEO_SUFFIXES),
            remedy="Name the file so.",
        )
    settings = preset(request.preset)
    if request.show is not None:
        settings = settings.with_show(request.show)
    progress(0.0, "read")
    source = read_xa(request.source)
    progress(0.1, "filter")
    frames, facts = _filter(source, request, settings, progress)
    record = _record(request, settings, source, facts)
    digest = hashlib.sha256(Path(request.source).read_bytes()).hexdigest()
    record["source"] = {"file": Path(request.source).name, "sha256": digest}
    messages = (*source.notes, *facts["notes"])
    text = json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n"
    progress(0.85, "write")
    written = [out, record_file]
    with ExitStack() as stack:
        place = stack.enter_context(atomic_path(out))
        stack.enter_context(atomic_path(record_file)).write_text(text, encoding="utf-8")
        data = filtered_dataset(
            source,
            frames,
            description=_describe(record),
            subtracted=request.subtract is not None,
        )
        save_dicom(data, place)
        if request.video is not None:
            progress(0.9, "video")
            write_video(
                source.run.frames,
                frames,
                stack.enter_context(atomic_path(request.video)),
                rate_hz=source.run.rate_hz or 15.0,
                same_scale=request.subtract is None,
            )
            written.append(request.video)
    return FluoroRun(record, messages, tuple(written))


def _filter(
    source: XaRun, request: FluoroRequest, settings: FluoroSettings, progress: Progress
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    run = source.run
    facts = StreamFacts.of(run)
    each: FluoroFilter
    if request.subtract is not None:
        mask = choose_mask(run)
        if len(mask) >= len(run):
            raise InputError(
                "mask",
                got=f"all {len(run)} frames named as mask by the file",
                expected="frames besides the mask",
                remedy="There is nothing to subtract from; filter the run without --subtract.",
            )
        each = Subtraction(facts, settings, mask_frames=len(mask), shift=request.subtract,
                           off=request.off, own=dict(request.own))  # fmt: skip
        order = [*mask, *(n for n in range(len(run)) if n not in mask)]
    else:
        each = Pipeline(facts, settings, off=request.off, own=dict(request.own))
        order = list(range(len(run)))
    interval = 1.0 / facts.rate_hz
    out = np.empty(run.frames.shape, np.float32)
    lost, spent = 0, []
    for count, n in enumerate(order):
        progress(0.1 + 0.75 * count / len(order), f"filter: frame {count + 1} of {len(order)}")
        gap = run.times_s[n] - run.times_s[n - 1] if n else interval
        if gap > _GAP * interval and isinstance(each, Pipeline):
            missing = round(gap / interval) - 1
            each.skipped(missing)
            lost += missing
        began = time.perf_counter()
        out[n] = each.step(run.frames[n].astype(np.float32))
        spent.append(time.perf_counter() - began)
    found: dict[str, Any] = {
        "frames": len(run),
        "dropped_frames": lost,
        "median_ms_per_frame": round(1e3 * float(np.median(spent)), 2),
        "notes": (),
    }
    if isinstance(each, Pipeline):
        model = each.model
        found["noise_model"] = {
            "kind": "table" if model.knots.size else "variance = gain * value + floor",
            "gain": round(model.gain, 6),
            "floor": round(model.floor, 6),
            "offset": model.offset,
        }
        found["exposure_changes"] = each.exposure_changes
        found["frames_with_motion_carried"] = each.moved_frames
        found["dark_frames"] = each.dark_frames
        found["notes"] = each.run_notes  # what the file lacks is told by its reader
    else:
        scale = 0.25 * source.top
        out = np.clip(0.75 * source.top - scale * 2.0 * out, 0.0, source.top).astype(np.float32)
        found["mask_frames"] = [n + 1 for n in choose_mask(run)]
        found["value"] = f"{0.75 * source.top:g} - {2.0 * scale:g} ln(mask / live)"
    return out, found


def _record(
    request: FluoroRequest, settings: FluoroSettings, source: XaRun, facts: dict[str, Any]
) -> dict[str, Any]:
    constants = asdict(settings)
    digest = hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()[:16]
    return {
        "program": "irplan fluoro run",
        "version": __version__,
        "notice": RESEARCH_USE_ONLY,
        "backend": "cpu",
        "preset": request.preset,
        "show": settings.temporal.show,
        "settings": constants,
        "settings_sha256": digest,
        "stages_off": sorted({*request.off, *(OFF_IN_SUBTRACTION if request.subtract else ())}),
        "stages_replaced": dict(request.own),
        "subtraction": request.subtract,
        "source_notes": list(source.notes),
        **{k: (list(v) if isinstance(v, tuple) else v) for k, v in facts.items()},
    }


def _describe(record: dict[str, Any]) -> str:
    parts = [
        f"irplan {record['version']} fluoro run, research use only",
        f"preset {record['preset']}, show {record['show']:g}",
        f"settings {record['settings_sha256']}",
    ]
    if record["subtraction"]:
        parts.append(f"subtracted, mask frames {record['mask_frames']}, {record['value']}")
    if record["stages_off"]:
        parts.append("off: " + ", ".join(record["stages_off"]))
    parts += [f"{k} replaced by {v}" for k, v in record["stages_replaced"].items()]
    return "; ".join(parts)
