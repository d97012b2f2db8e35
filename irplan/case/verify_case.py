"""What was achieved, from a plan's folder and a control scan's needles and zone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irplan.case.control_scan import open_control
from irplan.case.fixed_needles import read_fixed_needles
from irplan.case.open import open_mask_and_notes
from irplan.case.plan_folder import PlanFolder, open_plan_folder
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import FileFormatError, InputError, IrplanError, PlanningError
from irplan.files import OutputFolder, write_plan
from irplan.files.json_text import load_json
from irplan.files.verification_file import write_verification
from irplan.geometry import Needle, as_point
from irplan.guidance.verification import (
    NEEDLE_ERROR_MM,
    Verification,
    propose_more_needles,
    verify,
)
from irplan.planning import AblationPlan, PlanEvaluation
from irplan.viz import margin_globe, margin_map, png_bytes

_DPI = 110


@dataclass(frozen=True)
class VerifyRequest:
    """What ``irplan verify`` is asked.

    ``needles`` is a table, markups, plan.json or JSON of the needles of the control scan in the
    plan's frame; ``zone`` a mask on the plan's grid; ``registration_error_mm`` how well the two
    scans lie on each other.
    """

    plan: Path
    out: Path
    needles: Path | None = None
    ct: Path | None = None
    """Control scan in which needles are recognised; in the plan's frame, or with ``plan_ct``."""
    zone: Path | None = None
    registration_error_mm: float | None = None
    needle_error_mm: float = NEEDLE_ERROR_MM
    wanted_mm: float | None = None
    include_extra: bool = False
    replan: bool = False
    labels: Path | None = None
    target: Path | None = None
    plan_ct: Path | None = None
    """CT that was planned on, to which ``ct`` is registered; ``zone`` is on ``ct``'s grid then."""
    organ: Path | None = None
    """Organ on ``plan_ct`` that may deform; default the liver of the labels."""
    registration: Path | None = None
    """Folder (or registration.json) of `irplan register -o` for these scans, instead of
    ``plan_ct``."""


@dataclass(frozen=True, eq=False)
class VerifyOutcome:
    """The verification, the proposal (None where there is none), what the user should know.

    ``registration``: report of the registration, None where none was made.
    """

    done: Verification
    replan: AblationPlan | None
    messages: tuple[str, ...]
    registration: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class _Judged:
    plan: AblationPlan
    evaluation: PlanEvaluation


def run_verify(request: VerifyRequest, *, progress: Progress = no_progress) -> VerifyOutcome:
    """Verify and write verification.json, needles.csv, the achieved plan and figures.

    The folder is whole or absent.  Raises `FileFormatError`, `InputError` and
    `GridMismatchError` for missing or unfitting files (frames of reference that differ, too).
    """
    with OutputFolder(request.out) as folder:
        progress(0.0, "opening the plan")
        opened = open_plan_folder(request.plan, labels=request.labels, target=request.target)
        _check(request)
        zone, scan, error, failed = None, None, request.registration_error_mm, ""
        if request.ct is not None:
            scan = open_control(
                request.ct, opened, zone=request.zone, plan_ct=request.plan_ct,
                organ=request.organ, registration=request.registration,
                progress=portion(progress, 0.0, 0.3),
            )  # fmt: skip
            needles, notes, zone, failed = scan.needles, scan.notes, scan.zone, scan.failed
            error = scan.error_mm if error is None else error
        else:
            needles, notes = _needles(request, opened)
            if request.zone is not None:
                zone, more = open_mask_and_notes(request.zone, opened.labels.grid)
                notes += more
        done = verify(
            opened.plan, needles, opened.labels, opened.target,
            zone=zone,
            registration_error_mm=error,
            registration_failed=failed,
            needle_error_mm=request.needle_error_mm,
            wanted_mm=request.wanted_mm,
            include_extra=request.include_extra,
            progress=portion(progress, 0.3, 0.6 if request.replan else 0.85),
        )  # fmt: skip
        proposal = None
        if request.replan:
            proposal, more = _proposal(done, opened, portion(progress, 0.6, 0.85))
            notes += more
        done = replace(
            done, messages=tuple(dict.fromkeys((*opened.messages, *notes, *done.messages)))
        )
        progress(0.9, "writing")
        write_verification(
            done, folder / "verification.json", folder / "needles.csv", replan=proposal,
            registration=None if scan is None else scan.data(),
        )  # fmt: skip
        if done.achieved is not None:
            write_plan(done.achieved, folder / "achieved.json")
        if proposal is not None:
            write_plan(proposal, folder / "proposal.json")
        for name, evaluation in (("simulated", done.simulated), ("seen", done.seen)):
            if evaluation is not None:
                case = _Judged(done.achieved or done.plan, evaluation)
                (folder / f"margin_{name}.png").write_bytes(png_bytes(margin_map(case), _DPI))
                globe = png_bytes(margin_globe(case), _DPI)
                (folder / f"margin_globe_{name}.png").write_bytes(globe)
        progress(1.0, "done")
    return VerifyOutcome(
        done, proposal, done.messages, None if scan is None else scan.data()
    )  # fmt: skip


def _check(request: VerifyRequest) -> None:
    """Raise `InputError` for options that exclude or need each other."""
    if request.ct is not None and request.needles is not None:
        raise InputError(
            "--ct, --needles",
            got="both",
            expected="one of them",
            remedy="Give the scan, or the needles found in it.",
        )
    given = (request.plan_ct, request.organ, request.registration)
    if request.ct is None and any(one is not None for one in given):
        raise InputError(
            "--plan-ct, --organ, --registration",
            got="no control scan to register",
            expected="--ct CONTROL with it",
            remedy="Give the control scan, or leave these out.",
        )
    if request.registration is not None and given[:2] != (None, None):
        raise InputError(
            "--registration, --plan-ct, --organ",
            got="a registration, and what to register with",
            expected="one of them",
            remedy="Leave out --plan-ct and --organ: the registration was made with its own.",
        )


def _needles(
    request: VerifyRequest, opened: PlanFolder
) -> tuple[tuple[Needle, ...], tuple[str, ...]]:
    if request.needles is None:
        return (), ()
    file = request.needles
    own = opened.plan.frame_of_reference_uid
    assumed: tuple[str, ...] = (
        f"Needle file '{file.name}' or the plan names no frame of reference: that they share one "
        "was assumed.",
    )
    if file.suffix == ".json" and not file.name.endswith(".mrk.json"):
        data = load_json(file, what="needle file")
        uid = data.get("frame_of_reference_uid")
        if uid and own:
            assumed = ()
        if uid and own and uid != own:
            raise FileFormatError(
                f"needle file '{file.name}', frame_of_reference_uid",
                got="another frame of reference than the plan's",
                expected="needles in the frame of the image that was planned on",
                remedy="Give the control scan itself: --ct with --plan-ct or --registration "
                "carries its needles over.",
            )
        if "set_aside" in data:
            needles, notes = _recognised(data, file)
            return needles, (*notes, *assumed)
    default = opened.plan.placements[0].applicator.name
    try:
        placed = read_fixed_needles(file, default=default)
    except FileFormatError as error:
        if error.got != "no needle":
            raise
        placed = ()
    return tuple(p.needle for p in placed), assumed


def _recognised(data: dict[str, Any], file: Path) -> tuple[tuple[Needle, ...], tuple[str, ...]]:
    """Needles as `irplan needles` writes them; where the entry is out of view, the tail seen."""
    out, notes = [], []
    for n, one in enumerate(data.get("needles") or [], start=1):
        where = f"needle file '{file.name}', needle {n}"
        try:
            tip, entry, tail = one["tip_mm"], one["entry_mm"], one["tail_mm"]
        except (KeyError, TypeError) as error:
            raise FileFormatError(
                where,
                got="a needle without tip_mm, entry_mm or tail_mm",
                expected="what irplan needles writes",
                remedy="Write the file again.",
            ) from error
        if entry is None:
            notes.append(f"Needle {n}: its entry is out of view, the last point seen is taken.")
        start = as_point(tail if entry is None else entry, field=f"{where}, entry_mm")
        out.append(Needle(as_point(tip, field=f"{where}, tip_mm"), start))
    return tuple(out), tuple(notes)


def _proposal(
    done: Verification, opened: PlanFolder, progress: Progress
) -> tuple[AblationPlan | None, tuple[str, ...]]:
    """More needles where the margin is short, or why there are none."""
    if done.achieved is None:
        return None, ("No proposal: no needle of the plan is in place; make a new plan.",)
    try:
        made = propose_more_needles(
            done, opened.labels, np.asarray(opened.target, bool), progress=progress
        )
    except PlanningError as error:
        return None, (f"No proposal: {error.field}: {error.got}.",)
    except IrplanError as error:
        if error.field.startswith("options."):
            return None, (f"No proposal: {error.got}; {error.expected}.",)
        raise
    if made is None:
        return None, ("No needle more is needed by the simulation of those in place.",)
    return made, ()
