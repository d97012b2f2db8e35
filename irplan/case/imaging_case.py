"""Files in, files out for the commands register, needles and cbct-sim."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.case.open import open_image_and_notes, open_mask
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import FileFormatError, InputError, RegistrationError, SegmentationError
from irplan.files import OutputFolder, read_plan, write_plan
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, rounded
from irplan.files.nifti import write_mask, write_volume
from irplan.files.registration_file import registration_to_data, write_registration
from irplan.geometry import Point3
from irplan.guidance.carry import carry_plan
from irplan.guidance.needle_match import match_needles
from irplan.image import Volume
from irplan.phantom.cbct import breathing, simulate_cbct
from irplan.phantom.cbct_system import CbctPhysics, CbctSystem
from irplan.phantom.metal import MetalNeedle
from irplan.planning import AblationPlan
from irplan.registration import Registration, RegistrationOptions, register
from irplan.segmentation.needle_result import NeedleFindings
from irplan.segmentation.needles import find_needles


def run_needles(
    ct: Path, *, plan: Path | None, out: Path | None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Needles of a scan, matched to a plan's where one is given; written as JSON to ``out``.

    Raises `SegmentationError` when no needle is in view, `RegistrationError` when scan and plan
    have different frames of reference.  More needles than planned are listed as extra.
    """
    made = None if plan is None else read_plan(plan / "plan.json" if plan.is_dir() else plan)
    volume, notes = open_image_and_notes(ct, progress=portion(progress, 0.0, 0.2))
    uid = volume.grid.frame_of_reference_uid
    own = None if made is None else made.frame_of_reference_uid
    if own and uid and own != uid:
        raise RegistrationError(
            "frame of reference",
            got="a scan in another frame of reference than the plan",
            expected="the plan's frame",
            remedy="Run irplan register first and give the plan it carries over.",
        )
    found = find_needles(volume, progress=portion(progress, 0.2, 1.0))
    if not found.needles:
        seen = "; ".join(f"{r.length_mm:.0f} mm: {r.reason}" for r in found.rejected[:4])
        raise SegmentationError(
            "needles",
            got="no needle in view" + (f" (set aside: {seen})" if seen else ""),
            expected="a metal needle of at least 20 mm that enters the body",
            remedy="Check that the scan shows the needles, in HU, with voxels up to 3 mm.",
        )
    data = {
        **_findings(found),
        "frame_of_reference_uid": uid,
        "notes": [*notes, *found.notes],
    }
    if made is not None:
        data["matches"] = _matches(made.placements, found)
        if not (made.frame_of_reference_uid and uid):
            data["notes"].append(
                "Plan or scan names no frame of reference: that they share one was assumed."
            )
    if out is not None:
        with atomic_path(out) as temporary:
            temporary.write_text(dump_json(rounded(data, field="needles"), field="needles"))
    return data


def _findings(found: NeedleFindings) -> dict[str, Any]:
    return {
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": __version__,
        "needles": [asdict(n) for n in found.needles],
        "set_aside": [asdict(r) for r in found.rejected],
        "highest_hu": found.highest_hu,
        "clipped": found.clipped,
        "options": asdict(found.options),
    }


def _matches(placements: Sequence[Any], found: NeedleFindings) -> dict[str, Any]:
    pairs = match_needles([p.needle for p in placements], [n.needle for n in found.needles])
    return {
        "pairs": [
            {"planned": m.planned + 1, "found": m.achieved + 1, **asdict(m.error)}
            for m in pairs.pairs
        ],
        "missing": [k + 1 for k in pairs.missing],
        "extra": [k + 1 for k in pairs.extra],
    }


def _plan_of(plan: AblationPlan, ct: Volume) -> tuple[str, ...]:
    """Notes on whether ``plan`` was made in the frame of ``ct``; `InputError` where it was not."""
    own, here = plan.frame_of_reference_uid, ct.grid.frame_of_reference_uid
    if own and here and own != here:
        raise InputError(
            "--plan",
            got="a plan in another frame of reference than the CT's",
            expected="the plan of this CT",
            remedy="Give the CT on which it was planned, or carry the plan over with irplan "
            "register --plan.",
        )
    if own and here:
        return ()
    return ("Plan or scan names no frame of reference: that they share one was assumed.",)


def run_register(
    plan_scan: Path,
    control_scan: Path,
    *,
    organ: Path | None = None,
    landmarks: Path | None = None,
    plan: Path | None = None,
    out: Path | None = None,
    options: RegistrationOptions = RegistrationOptions(),  # noqa: B008 - frozen
    who: str = "irplan register",
    when: str = "",
    progress: Progress = no_progress,
) -> tuple[Registration, dict[str, Any]]:
    """Register two scans; ``out`` gets ``registration.json``, what deforms, the carried plan.

    A registration that failed is reported in the file, and no plan is carried over by it
    (`RegistrationError` after the report was written).
    """
    if out is not None:
        OutputFolder.check(out, makes_plan=plan is not None)
        if plan is not None and out.resolve() in (plan.resolve(), plan.resolve().parent):
            raise InputError(
                "--out",
                got=f"'{out.name}', where the plan to carry over lies",
                expected="another folder",
                remedy="The carried plan lies in the control scan's frame: keep both.",
            )
    made = None if plan is None else read_plan(plan / "plan.json" if plan.is_dir() else plan)
    first, notes = open_image_and_notes(plan_scan, progress=portion(progress, 0.0, 0.08))
    second, more = open_image_and_notes(control_scan, progress=portion(progress, 0.08, 0.15))
    mask = None if organ is None else open_mask(organ, first.grid)
    pairs = None if landmarks is None else _read_landmarks(landmarks)
    found = register(
        first, second, organ=mask, landmarks=pairs, options=options,
        progress=portion(progress, 0.15, 0.95),
    )  # fmt: skip
    data = registration_to_data(found)
    data["notes"] = [*notes, *more, *found.notes]
    carried = None
    if made is not None and found.quality.status != "failed":
        carried = carry_plan(made, found, who=who, when=when)
    if out is not None:
        with OutputFolder(out, makes_plan=plan is not None) as folder:
            write_registration(found, folder, data)
            if carried is not None:
                write_plan(carried, folder / "plan.json")
    if made is not None and carried is None:
        found.require_usable()
    return found, data


def _read_landmarks(path: Path) -> tuple[Any, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return data["plan"], data["control"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"landmarks '{path.name}'",
            got="a file that is not so",
            expected='JSON {"plan": [[x, y, z], ...], "control": [[x, y, z], ...]}, LPS mm',
            remedy="Write the same landmarks in the same order for both scans.",
        ) from error


def run_cbct(
    ct: Path,
    out: Path,
    *,
    isocentre_mm: Point3 | None = None,
    plan: Path | None = None,
    breath_mm: tuple[float, float, float] | None = None,
    voxel_mm: float = 1.0,
    views: int = 248,
    kv: int = 100,
    photons: float = 2e5,
    seed: int = 0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """A simulated cone-beam CT as ``cbct.nii.gz`` with ``field.nii.gz`` and ``facts.json``."""
    OutputFolder.check(out)
    system, physics = CbctSystem(views=views), CbctPhysics(kv=kv, photons=photons)
    made = None if plan is None else read_plan(plan / "plan.json" if plan.is_dir() else plan)
    volume, notes = open_image_and_notes(ct, progress=portion(progress, 0.0, 0.1))
    if made is not None:
        notes = (*notes, *_plan_of(made, volume))
    metal: tuple[MetalNeedle, ...] = ()
    if made is not None:
        metal = tuple(
            MetalNeedle(p.needle, p.applicator.shaft_diameter_mm, p.applicator.shaft_diameter_mm)
            for p in made.placements
        )
        inside = [bool(volume.grid.contains(np.array(m.needle.tip_mm))) for m in metal]
        if not all(inside):
            raise InputError(
                "plan",
                got="a needle's tip outside the CT",
                expected="the plan of this CT",
                remedy="Give the CT on which it was planned.",
            )
    shift = None if breath_mm is None else breathing(system, breath_mm)
    scan = simulate_cbct(
        volume, isocentre_mm=isocentre_mm, system=system, physics=physics, metal=metal,
        shift_mm=shift, voxel_mm=voxel_mm, seed=seed, progress=portion(progress, 0.1, 0.95),
    )  # fmt: skip
    facts = {
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": __version__,
        "simulated": True,
        "system": asdict(system),
        "physics": asdict(physics),
        "isocentre_mm": list(scan.isocentre_mm),
        "needles": [
            {"tip_mm": m.needle.tip_mm, "entry_mm": m.needle.entry_mm, "diameter_mm": m.diameter_mm}
            for m in metal
        ],
        "breath_mm": breath_mm,
        "seed": seed,
        "notes": list(notes),
    }
    with OutputFolder(out) as folder:
        write_volume(scan.volume, folder / "cbct.nii.gz")
        write_mask(scan.inside, scan.volume.grid, folder / "field.nii.gz")
        text = dump_json(rounded(facts, field="facts"), field="facts")
        (folder / "facts.json").write_text(text, encoding="utf-8")
    return facts
