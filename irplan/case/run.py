"""From files to a folder of results: the main job, for the command line, the window and studies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan.case.cbct_input import CbctInput, cone_beam_scene
from irplan.case.open import open_image_and_notes, open_labels, open_mask_and_notes
from irplan.case.warm_up import kernels_warming
from irplan.case.write import write_files
from irplan.case.write_alternatives import write_alternatives
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.files.output import OutputFolder
from irplan.geometry import Point3
from irplan.image import LabelMap, Volume
from irplan.planning.case import (
    PlannedAblation,
    PlanOptions,
    paint_target,
    plan_ablation,
)
from irplan.planning.obstacles import organ_mask, target_organ
from irplan.planning.target import component_of
from irplan.segmentation import segment_abdomen, target_from_point
from irplan.segmentation.vessels import VesselMode, check_vessel_mode

#: Share of a target that must lie in the segmented liver; a tumour that bulges from it keeps this.
LEAST_IN_LIVER = 0.25


@dataclass(frozen=True)
class PlanRequest:
    """What a user asks for: a CT, a target (mask, or point and diameter) and a folder.

    Raises `InputError` unless exactly one way of giving the target is used.
    """

    ct: Path
    out: Path
    target_mask: Path | None = None
    target_point_mm: Point3 | None = None
    target_diameter_mm: float | None = None
    series_uid: str | None = None
    component: int | None = None
    """Plan for one of the mask's separate parts alone, counted from 1, the largest first."""
    outside_liver: bool = False
    """Plan although the target does not lie in the segmented liver."""
    picture_3d: bool = True
    labels: Path | None = None
    """Structures on the CT's grid instead of a segmentation of it (`irplan segment`)."""
    vessel_mode: VesselMode = "fast"
    """How veins in the liver are sought (`segment_liver_vessels`), where it is segmented."""
    cbct: CbctInput | None = None
    """The scan is a cone-beam CT: what else is known of it."""
    options: PlanOptions = field(default_factory=PlanOptions)

    def __post_init__(self) -> None:
        check_vessel_mode(self.vessel_mode)
        if self.vessel_mode != "fast" and (self.labels is not None or self.cbct is not None):
            raise InputError(
                "--vessel-mode",
                got=f"{self.vessel_mode} with {'--labels' if self.labels else '--cbct'}",
                expected="a CT that is segmented here",
                remedy="Leave one of the two out; 'irplan segment' has --vessel-mode as well.",
            )
        if self.cbct is not None and self.cbct.target is not None:
            self._require_prior_target_alone()
            return
        point = self.target_point_mm is not None
        diameter = self.target_diameter_mm is not None
        if (self.target_mask is not None) == (point or diameter) or point != diameter:
            given = [
                name
                for name, there in (
                    ("--target-mask", self.target_mask is not None),
                    ("--target-point", point),
                    ("--target-diameter", diameter),
                )
                if there
            ]
            raise InputError(
                "target",
                got=" and ".join(given) or "no target",
                expected="--target-mask M, or --target-point x,y,z with --target-diameter mm",
                remedy="Give the tumour one way.",
            )

    def _require_prior_target_alone(self) -> None:
        given = (self.target_mask, self.target_point_mm, self.target_diameter_mm)
        if all(value is None for value in given):
            return
        raise InputError(
            "target",
            got="--prior-target and another target",
            expected="one target",
            remedy="Give the tumour on the CT or on the cone-beam CT, not both.",
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """The planned case, and everything the user should know in plain words."""

    case: PlannedAblation
    messages: tuple[str, ...]


def run_plan(request: PlanRequest, *, progress: Progress = no_progress) -> Outcome:
    """Read, segment, plan, simulate, judge and write one case.

    The output folder is checked before any work, and appears only when all of it is written.
    Raises the named `IrplanError` subclasses of each stage.
    """
    with OutputFolder(request.out, makes_plan=True) as folder, kernels_warming():
        volume, notes = open_image_and_notes(
            request.ct, series_uid=request.series_uid, progress=portion(progress, 0.0, 0.05)
        )
        if request.cbct is not None:
            return _on_cone_beam(request, volume, notes, folder, portion(progress, 0.05, 1.0))
        target, source, target_notes = _target(request, volume)
        labels = None
        if request.labels is not None:
            labels = open_labels(request.labels)
            labels.grid.require_same(volume.grid, field=f"labels '{request.labels.name}'")
        return _plan_and_write(
            volume,
            labels,
            target,
            source,
            request.options,
            folder,
            notes=(*notes, *target_notes),
            outside_liver=request.outside_liver,
            vessel_mode=request.vessel_mode,
            picture_3d=request.picture_3d,
            progress=portion(progress, 0.05, 1.0),
        )


def _on_cone_beam(
    request: PlanRequest,
    grey: Volume,
    notes: tuple[str, ...],
    folder: Path,
    progress: Progress,
) -> Outcome:
    """The chain on a cone-beam CT: what it shows, what a registered CT adds, what is unknown."""
    assert request.cbct is not None
    seen = cone_beam_scene(
        grey, request.cbct, labels=request.labels, progress=portion(progress, 0.0, 0.35)
    )
    scene = seen.scene
    target_notes: tuple[str, ...] = ()
    if scene.target is not None:
        target, source = scene.target, "mask on a registered CT"
    else:
        target, source, target_notes = _target(request, seen.scan.volume)
        target = seen.on_scene(target)
    return _plan_and_write(
        scene.volume,
        scene.labels,
        target,
        source,
        request.options,
        folder,
        notes=(*notes, *scene.notes, *target_notes),
        outside_liver=request.outside_liver or not scene.labels.checked("liver"),
        picture_3d=request.picture_3d,
        unknown=scene.unknown,
        progress=portion(progress, 0.35, 1.0),
    )


def _target(request: PlanRequest, volume: Volume) -> tuple[NDArray[np.bool_], str, tuple[str, ...]]:
    if request.target_mask is not None:
        mask, notes = open_mask_and_notes(request.target_mask, volume.grid)
        if request.component is not None:
            number = request.component
            return component_of(mask, number, volume.grid), f"mask, part {number}", notes
        return mask, "mask", notes
    if request.target_point_mm is not None and request.target_diameter_mm is not None:
        ball = target_from_point(volume, request.target_point_mm, request.target_diameter_mm)
        return ball, "point and diameter", ()
    raise InputError(
        "target",
        got="no target",
        expected="a mask, or a point and a diameter",
        remedy="Give the tumour one way.",
    )


def run_demo(
    out: Path,
    *,
    seed: int = 5,
    diameter_mm: float = 18.0,
    picture_3d: bool = True,
    progress: Progress = no_progress,
) -> Outcome:
    """The main job on a generated abdomen; segmentation sees only the grey values.

    The messages compare the liver found with the phantom's truth.
    """
    from irplan.phantom import TumourSpec, abdominal_ct
    from irplan.segmentation.overlap import dice

    with OutputFolder(out, makes_plan=True) as folder, kernels_warming():
        made = abdominal_ct(
            seed, tumours=(TumourSpec(diameter_mm),), progress=portion(progress, 0.0, 0.15)
        )
        outcome = _plan_and_write(
            made.volume,
            None,
            made.labels.mask("tumour"),
            "mask",
            PlanOptions(seed=seed),
            folder,
            notes=(),
            outside_liver=False,
            picture_3d=picture_3d,
            progress=portion(progress, 0.15, 1.0),
        )
    organ = ("liver", "tumour", "portal_vein", "hepatic_vein", "vessel", "vessel_in_part")
    overlap = dice(outcome.case.labels.mask(*organ), made.labels.mask(*organ))
    note = (
        f"synthetic patient, seed {seed}; liver found against the known truth: Dice {overlap:.3f}"
    )
    return Outcome(outcome.case, (*outcome.messages, note))


def _require_in_liver(volume: Volume, target: NDArray[np.bool_], liver: NDArray[np.bool_]) -> None:
    """Raise `InputError` when less than `LEAST_IN_LIVER` of the target lies in the liver."""
    share = float((target & liver).sum()) / max(1, int(target.sum()))
    if share >= LEAST_IN_LIVER:
        return
    here = volume.grid.index_to_lps(np.argwhere(target).mean(axis=0))
    there = volume.grid.index_to_lps(np.argwhere(liver).mean(axis=0))
    raise InputError(
        "target",
        got=f"{100 * share:.0f} % of it in the segmented liver; its middle is at LPS "
        f"({', '.join(f'{v:.0f}' for v in here)}) mm, the liver's at "
        f"({', '.join(f'{v:.0f}' for v in there)}) mm",
        expected=f"at least {100 * LEAST_IN_LIVER:.0f} % of the target in the liver",
        remedy="Check that the point is LPS, not RAS (x and y change sign). If the tumour is "
        "right and the automatic liver is not, or another organ is meant, give --outside-liver; "
        "the rules on the liver are then not checked.",
    )


def _plan_and_write(
    volume: Volume,
    given: LabelMap | None,
    target: NDArray[np.bool_],
    source: str,
    options: PlanOptions,
    folder: Path,
    *,
    notes: tuple[str, ...],
    outside_liver: bool,
    picture_3d: bool,
    unknown: NDArray[np.bool_] | None = None,
    vessel_mode: VesselMode = "fast",
    progress: Progress,
) -> Outcome:
    if given is None:
        abdomen = segment_abdomen(
            volume,
            target_mask=target,
            vessel_mode=vessel_mode,
            progress=portion(progress, 0.0, 0.3),
        )
        labels, liver, warnings = abdomen.labels, abdomen.liver.mask, abdomen.warnings
    else:
        labels, warnings = paint_target(given, target, target_organ(given, target)), ()
        liver = organ_mask(given, target, "liver")
    if not outside_liver:
        _require_in_liver(volume, target, liver)
    case = plan_ablation(
        volume,
        labels,
        target,
        options=options,
        target_source=source,
        unknown=unknown,
        progress=portion(progress, 0.3, 0.8),
    )
    case = replace(case, messages=tuple(dict.fromkeys((*notes, *warnings, *case.messages))))
    writing = portion(progress, 0.8, 1.0)
    missing = write_files(case, folder, picture_3d=picture_3d, progress=writing)
    if options.alternatives > 1:
        write_alternatives(case.alternatives, folder)
    return Outcome(case, (*case.messages, *missing))
