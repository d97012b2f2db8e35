"""A case as one folder: written part by part, named last; lock, autosave, recovery, recent list."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.compute.progress import Progress, no_progress
from irplan.errors import FileFormatError, InputError, OutputError
from irplan.files.atomic import atomic_path, cannot_write, make_parents, may_be_running
from irplan.files.json_text import dump_json, load_json
from irplan_planner.model.planning import ranked_plans
from irplan_planner.model.state import (
    CaseState,
    Draft,
    RankedPlan,
    Revisions,
    Target,
    next_revision,
)

CASE_SCHEMA, CASE_VERSION = "irplan-case", 1
CASE_FILE, AUTOSAVE_FILE, LOCK_FILE = "case.json", "autosave.json", "case.lock"
#: A lock of another machine older than this is taken for left behind, s.
FOREIGN_LOCK_S = 12 * 3600.0
MOST_RECENT = 8


@dataclass(frozen=True)
class Lock:
    """Who has a case open; ``mine`` False: it may be looked at only."""

    folder: Path
    mine: bool
    words: str = ""


def home() -> Path:
    """Where the planner keeps its recent list and unsaved cases (``IRPLAN_PLANNER_HOME``)."""
    given = os.environ.get("IRPLAN_PLANNER_HOME")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "irplan-planner"


def is_case(path: Path) -> bool:
    """Whether a folder is a saved case (or a ``case.json`` itself is given)."""
    folder = path.parent if path.name == CASE_FILE else path
    return (folder / CASE_FILE).is_file() or (folder / AUTOSAVE_FILE).is_file()


class CaseWriter:
    """Writes states of one case into one folder; parts that did not change are not written again.

    A part's name carries its revision, and ``case.json`` (or ``autosave.json``) that names the
    parts is replaced last, in one step: a crash or full disk leaves the case as it was.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[tuple[str, object], str] = {}

    def save(
        self, state: CaseState, *, autosave: bool = False, progress: Progress = no_progress
    ) -> None:
        """Write ``state``; raises `OutputError` (disk full, no permission)."""
        try:
            make_parents(self.folder)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        parts: dict[str, str] = {}
        wanted = _parts_of(state)
        for n, (key, (content, ending, write)) in enumerate(wanted.items()):
            progress(n / (len(wanted) + 1), f"saving: {key}")
            name = self._names.get((key, content))
            if name is None or not (self.folder / name).is_file():
                name = f"{key}-{uuid.uuid4().hex[:10]}{ending}"
                write(self.folder / name)
                self._names[key, content] = name
            parts[key] = name
        text = dump_json(_case_data(state, parts), field="case")
        _write_text(self.folder / (AUTOSAVE_FILE if autosave else CASE_FILE), text)
        if not autosave:
            (self.folder / AUTOSAVE_FILE).unlink(missing_ok=True)
        self._tidy()
        progress(1.0, "saved")

    def _tidy(self) -> None:
        """Delete parts that neither case nor autosave names."""
        named: set[str] = set()
        for file in (CASE_FILE, AUTOSAVE_FILE):
            path = self.folder / file
            if path.is_file():
                named |= set(load_json(path, what="case file").get("parts", {}).values())
        stems = {n.split(".")[0] for n in named}
        for path in self.folder.iterdir():
            key, mark, _ = path.name.partition("-")
            ours = mark and (
                key in ("image", "labels", "target", "plan") or key.startswith("alternative")
            )
            if ours and path.is_file() and path.name.split(".")[0] not in stems:
                path.unlink(missing_ok=True)

    def know(self, state: CaseState, parts: Mapping[str, str]) -> None:
        """Parts of ``state`` that lie in the folder already, under these names."""
        for key, (content, _, _) in _parts_of(state).items():
            self._names[key, content] = parts[key]


def _parts_of(state: CaseState) -> dict[str, tuple[object, str, Callable[[Path], object]]]:
    """Part -> what tells its content apart, ending of its file, how it is written."""
    from irplan.files import write_labels, write_mask, write_plan, write_volume

    r, volume, labels, plan = state.revisions, state.volume, state.labels, state.plan
    out: dict[str, tuple[object, str, Callable[[Path], object]]] = {}
    if volume is not None:
        grid, mask = volume.grid, state.target_mask()
        out["image"] = (r.image, ".nii.gz", lambda p: write_volume(volume, p))
        if labels is not None:
            out["labels"] = (r.labels, ".nii.gz", lambda p: write_labels(labels, p))
        if mask is not None:
            out["target"] = (r.target, ".nii.gz", lambda p: write_mask(mask, grid, p))
    if plan is not None:
        out["plan"] = ((r.plan, plan.review.state), ".json", lambda p: write_plan(plan, p))
        for n, one in enumerate(ranked_plans(state)):
            write = partial(write_plan, one.plan)
            out[f"alternative{n}"] = ((state.planned_from, n), ".json", write)
    return out


def load_case(
    path: Path, *, autosaved: bool = False, progress: Progress = no_progress
) -> tuple[CaseState, CaseWriter]:
    """The case in a folder; ``autosaved``: as it was autosaved, where that is there.

    Raises `FileFormatError` for another kind of file, a newer version, or parts that are missing or
    damaged; what `irplan.files` raises for each part.
    """
    from irplan.files import read_labels, read_plan, read_volume
    from irplan.files.nifti import read_mask

    folder = path.parent if path.name in (CASE_FILE, AUTOSAVE_FILE) else path
    file = folder / (AUTOSAVE_FILE if autosaved else CASE_FILE)
    data = load_json(file, what="case file")
    _require_schema(data, file.name)
    parts = {str(k): str(v) for k, v in data["parts"].items()}
    for name in parts.values():
        if not (folder / name).is_file() or Path(name).name != name:
            raise FileFormatError(
                f"case '{folder.name}'",
                got=f"no file '{name}'",
                expected="the parts that the case names",
                remedy="Copy the whole folder; a part of it is missing.",
            )
    state = CaseState(title=str(data.get("title", "")), source=str(data.get("source", "")))
    if "image" in parts:
        progress(0.1, "reading the image")
        volume = read_volume(folder / parts["image"])
        numbers = {k: next_revision() for k in parts}
        state = replace(state, volume=volume)
        if "labels" in parts:
            progress(0.5, "reading the structures")
            labels = read_labels(folder / parts["labels"])
            volume.grid.require_same(labels.grid, field="labels of the case")
            state = replace(state, labels=labels)
        if "target" in parts:
            mask = read_mask(folder / parts["target"], volume.grid)
            state = replace(state, target=Target.of(mask, str(data.get("target_words", "mask"))))
        if "plan" in parts:
            state = replace(state, plan=read_plan(folder / parts["plan"]))
            state = replace(state, kept=_kept(folder, parts, data))
        revisions = Revisions(
            image=numbers["image"],
            labels=numbers.get("labels", 0),
            target=numbers.get("target", 0),
            plan=numbers.get("plan", 0),
        )
        state = replace(state, revisions=revisions)
    state = replace(
        state,
        accepted=frozenset(str(x) for x in data.get("accepted", [])),
        chosen=_whole(data.get("chosen", 0)),
        chosen_why=str(data.get("chosen_why", "")),
        report_note=str(data.get("report_note", "")),
        options=_options(data.get("goal", {})),
        achieved=_placements(folder, data),
        messages=tuple(str(m) for m in data.get("messages", [])),
    )
    state = replace(state, planned_from=state.planning_from if state.plan else ())
    if data.get("report"):
        procedure = str(data.get("procedure_report", ""))
        state = replace(state, report=Draft(str(data["report"]), state.report_from, procedure))
    writer = CaseWriter(folder)
    writer.know(state, parts)
    progress(1.0, "case read")
    return state, writer


def forget_autosave(folder: Path) -> None:
    """Take away what was autosaved beside a saved case."""
    (folder / AUTOSAVE_FILE).unlink(missing_ok=True)


def can_recover(folder: Path) -> bool:
    """Whether an autosave newer than the last save lies in a case's folder."""
    auto, case = folder / AUTOSAVE_FILE, folder / CASE_FILE
    if not auto.is_file():
        return False
    return not case.is_file() or auto.stat().st_mtime >= case.stat().st_mtime


def unsaved_cases() -> tuple[Path, ...]:
    """Folders of cases that were never saved and whose window is gone, the newest first."""
    place = home() / "unsaved"
    if not place.is_dir():
        return ()
    found = [
        p
        for p in place.iterdir()
        if (p / AUTOSAVE_FILE).is_file() and not may_be_running(p.name.partition("-")[0])
    ]
    return tuple(sorted(found, key=lambda p: -(p / AUTOSAVE_FILE).stat().st_mtime))


def unsaved_folder() -> Path:
    """A new place for the autosaves of a case that has no folder yet."""
    return home() / "unsaved" / f"{os.getpid()}-{time.time_ns()}"


def take_lock(folder: Path) -> Lock:
    """Say that this process has the case open; not ours where another one has it."""
    file = folder / LOCK_FILE
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "time_s": time.time()}
    for _ in range(2):
        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(json.dumps(mine))
            return Lock(folder, True)
        except FileExistsError:
            other = _lock_data(file)
            if other.get("pid") == mine["pid"] and other.get("host") == mine["host"]:
                return Lock(folder, True)
            if _left_behind(other, str(mine["host"])):
                file.unlink(missing_ok=True)
                continue
            words = (
                f"open in another window (process {other.get('pid', '?')} on "
                f"{other.get('host', '?')}); shown read-only"
            )
            return Lock(folder, False, words)
        except OSError as error:
            reason = (error.strerror or "no permission").lower()
            return Lock(folder, False, f"its folder cannot be written ({reason}); shown read-only")
    return Lock(folder, False, "its lock changes hands; shown read-only")


def release_lock(lock: Lock | None) -> None:
    """Give a lock of ours back."""
    if lock is not None and lock.mine:
        (lock.folder / LOCK_FILE).unlink(missing_ok=True)


def recent_cases() -> tuple[Path, ...]:
    """Cases opened or saved lately that still exist, the latest first."""
    try:
        data = json.loads((home() / "recent.json").read_text(encoding="utf-8"))
        paths = [Path(p) for p in data["cases"]]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(p for p in paths if p.exists())[:MOST_RECENT]


def remember(path: Path) -> None:
    """Put a case at the head of the recent list; a list that cannot be written is no error."""
    known = [str(p) for p in recent_cases() if p != path]
    try:
        home().mkdir(parents=True, exist_ok=True)
        text = json.dumps({"cases": [str(path), *known][:MOST_RECENT]}, indent=1)
        _write_text(home() / "recent.json", text)
    except (OSError, OutputError):
        return


def _lock_data(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _left_behind(other: dict[str, Any], host: str) -> bool:
    if other.get("host") == host:
        return not may_be_running(str(other.get("pid", "x")))
    try:
        return time.time() - float(other.get("time_s", 0.0)) > FOREIGN_LOCK_S
    except (TypeError, ValueError):
        return True


def _case_data(state: CaseState, parts: dict[str, str]) -> dict[str, Any]:
    options = state.options
    return {
        "schema": CASE_SCHEMA,
        "schema_version": CASE_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": __version__,
        "title": state.title,
        "source": state.source,
        "parts": parts,
        "accepted": sorted(state.accepted),
        "target_words": "" if state.target is None else state.target.words,
        "goal": {}
        if options is None
        else {
            "modality": options.modality,
            "margin_mm": options.margin_mm,
            "probes": options.probes,
            "applicator": options.applicator,
            "alternatives": options.alternatives,
        },
        "alternatives": [
            {
                "names": list(one.names),
                "minimal_margin_mm": one.minimal_margin_mm,
                "margin_share": one.margin_share,
                "healthy_ml": one.healthy_ml,
                "risk": one.risk,
            }
            for one in ranked_plans(state)
        ],
        "chosen": state.chosen,
        "chosen_why": state.chosen_why,
        "achieved": [
            {
                "entry_mm": [float(v) for v in p.needle.entry_mm],
                "tip_mm": [float(v) for v in p.needle.tip_mm],
                "applicator": p.applicator.name,
            }
            for p in state.achieved
        ],
        "report": "" if state.report is None else state.report.html,
        "procedure_report": "" if state.report is None else state.report.procedure,
        "report_note": state.report_note,
        "messages": list(state.messages),
    }


def _require_schema(data: dict[str, Any], name: str) -> None:
    kind, version = data.get("schema"), data.get("schema_version")
    if kind != CASE_SCHEMA or not isinstance(data.get("parts"), dict):
        raise FileFormatError(
            f"case file '{name}'",
            got=f"schema {kind!r}"[:60],
            expected=f"'{CASE_SCHEMA}' with its parts",
            remedy="Open a folder that the planner saved, a DICOM folder or a NIfTI file.",
        )
    if type(version) is not int or not 1 <= version <= CASE_VERSION:
        raise FileFormatError(
            f"case file '{name}', schema_version",
            got=repr(version)[:40],
            expected=f"{CASE_VERSION}",
            remedy="It was made by a newer irplan: update irplan to open it. It is left as it is.",
        )


def _options(goal: dict[str, Any]) -> Any:
    if not goal:
        return None
    from irplan.planning.case import PlanOptions

    try:
        return PlanOptions(**goal)
    except (TypeError, InputError) as error:
        raise FileFormatError(
            "case file, goal",
            got=str(error)[:100],
            expected="the options that the planner writes",
            remedy="Mend that place, or plan anew.",
        ) from error


def _placements(folder: Path, data: dict[str, Any]) -> Any:
    from irplan.case.fixed_needles import needles_from_data

    listed = data.get("achieved", [])
    return needles_from_data(listed, name=f"{folder.name}/{CASE_FILE}") if listed else ()


def _kept(folder: Path, parts: dict[str, str], data: dict[str, Any]) -> tuple[RankedPlan, ...]:
    """The alternatives that were saved with the case."""
    from irplan.files import read_plan

    out = []
    for n, one in enumerate(data.get("alternatives", [])):
        name = parts.get(f"alternative{n}")
        if name is None:
            break
        try:
            margin, share, healthy, risk = (
                float(one[k]) for k in ("minimal_margin_mm", "margin_share", "healthy_ml", "risk")
            )
            names = tuple(str(x) for x in one["names"])
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"case file, alternative {n + 1}",
                got=f"no readable {error}"[:80],
                expected="its names and four numbers",
                remedy="Mend that place, or take the alternatives out and plan anew.",
            ) from error
        out.append(RankedPlan(read_plan(folder / name), names, margin, share, healthy, risk))
    return tuple(out)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
