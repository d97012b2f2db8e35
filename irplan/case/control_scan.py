"""A control scan brought to a plan's frame: its needles and its ablation zone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.case.open import open_image_and_notes, open_mask, open_mask_and_notes
from irplan.case.plan_folder import PlanFolder
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError, RegistrationError
from irplan.files.registration_file import read_registration
from irplan.geometry import Grid, Needle, as_point
from irplan.image import Volume
from irplan.registration import Registration, RegistrationOptions, register
from irplan.segmentation.needle_result import FoundNeedle
from irplan.segmentation.needles import find_needles


@dataclass(frozen=True, eq=False)
class ControlScan:
    """What a control scan shows, in the plan's frame.

    ``zone`` is on the plan's grid (None: none was given).  ``registration`` is None where the scan
    lies in the plan's frame; ``failed`` says why its registration is not to be trusted (empty where
    it is): needles and zone are left out then.
    """

    needles: tuple[Needle, ...]
    zone: NDArray[np.bool_] | None
    registration: Registration | None
    failed: str
    notes: tuple[str, ...]

    @property
    def error_mm(self) -> float | None:
        """Target error of the registration, mm; None where there was none, or it failed."""
        return None if self.registration is None else self.registration.error_mm

    def data(self) -> dict[str, Any] | None:
        """The registration's report for a file; None where there was none."""
        found = self.registration
        if found is None:
            return {"status": "failed", "why": self.failed} if self.failed else None
        return {
            "status": found.quality.status,
            "error_mm": found.error_mm,
            "error_is": found.error_is,
            "error_from": found.error_from,
            "quality": [asdict(r) for r in found.quality.rows],
            "start": found.start,
            "why": self.failed,
        }


def open_control(
    ct: Path,
    opened: PlanFolder,
    *,
    zone: Path | None = None,
    plan_ct: Path | None = None,
    organ: Path | None = None,
    registration: Path | None = None,
    options: RegistrationOptions = RegistrationOptions(),  # noqa: B008 - frozen
    progress: Progress = no_progress,
) -> ControlScan:
    """Needles recognised in ``ct``, and ``zone``, in the frame of the plan.

    With ``plan_ct`` (the CT that was planned on) the two scans are registered, deformably in the
    organ; with ``registration`` that was done before, by `irplan register -o`.  ``zone`` lies on
    the control scan's grid then, and all is carried back as points.  Without either the control
    scan must lie in the plan's frame, and ``zone`` on the plan's grid.  ``organ`` defaults to the
    liver of the plan's labels.

    Raises `InputError` for frames that differ without a registration, a planning CT in another
    frame than the plan's, or a registration of other scans.  One that failed is returned, not
    raised.
    """
    volume, notes = open_image_and_notes(ct, progress=portion(progress, 0.0, 0.1))
    if plan_ct is None and registration is None:
        mask = None
        if zone is not None:
            mask, more = open_mask_and_notes(zone, opened.labels.grid)
            notes = (*notes, *more)
        needles, more = needles_in_frame(
            volume, opened.plan.frame_of_reference_uid, progress=portion(progress, 0.1, 1.0)
        )
        return ControlScan(needles, mask, None, "", (*notes, *more))
    seen = None if zone is None else open_mask(zone, volume.grid)
    found, more, failed = _mapped(
        volume, opened, plan_ct, organ, registration, options, portion(progress, 0.1, 0.8)
    )
    notes = (*notes, *more)
    if found is None or failed:
        # the scan has needles, but where they are in the plan is not known
        return ControlScan((), None, found, f"the registration failed: {failed}", notes)
    metal = find_needles(volume, progress=portion(progress, 0.8, 1.0))
    needles = tuple(_carried_back(n, found) for n in metal.needles)
    words = (
        *notes, *found.notes, *metal.notes,
        f"Registered to the planning CT ({found.quality.status}); a target error of "
        f"{found.error_mm:.1f} mm is reckoned with ({found.error_from}).",
    )  # fmt: skip
    carried = None if seen is None else _zone_back(seen, volume.grid, opened.labels.grid, found)
    return ControlScan(needles, carried, found, "", words)


def needles_in_frame(
    volume: Volume, frame_uid: str | None, *, progress: Progress = no_progress
) -> tuple[tuple[Needle, ...], tuple[str, ...]]:
    """Needles recognised in a control scan that lies in the plan's frame of reference, and notes.

    Raises `InputError` where the scan lies in another; one that is not named is assumed to be it.
    """
    there = volume.grid.frame_of_reference_uid
    notes: tuple[str, ...] = ()
    if there is None or frame_uid is None:
        notes = ("Plan or scan names no frame of reference: that they share one was assumed.",)
    elif there != frame_uid:
        raise InputError(
            "control scan",
            got="another frame of reference than the plan's",
            expected="a scan in the plan's frame, or registered to the CT that was planned on",
            remedy="irplan verify registers it with --plan-ct, or reads what irplan register wrote "
            "with --registration.",
        )
    found = find_needles(volume, progress=progress)
    return tuple(n.needle for n in found.needles), (*notes, *found.notes)


def _mapped(
    volume: Volume,
    opened: PlanFolder,
    plan_ct: Path | None,
    organ: Path | None,
    registration: Path | None,
    options: RegistrationOptions,
    progress: Progress,
) -> tuple[Registration | None, tuple[str, ...], str]:
    """The registration read or made, notes, and why it failed (empty where it did not)."""
    own = opened.plan.frame_of_reference_uid
    found: Registration | None = None
    notes: tuple[str, ...] = ()
    try:
        if registration is not None:
            found = read_registration(registration)
            _require_these(found, volume, own)
        else:
            assert plan_ct is not None
            planned, notes = open_image_and_notes(plan_ct, progress=portion(progress, 0.0, 0.07))
            here = planned.grid.frame_of_reference_uid
            if here is not None and own is not None and here != own:
                raise InputError(
                    "--plan-ct",
                    got="a CT in another frame of reference than the plan's",
                    expected="the CT that was planned on",
                    remedy="Give that CT.",
                )
            found = register(
                planned, volume, organ=_organ(organ, opened, planned.grid), options=options,
                progress=portion(progress, 0.07, 1.0),
            )  # fmt: skip
        found.require_usable()
    except RegistrationError as error:
        return found, notes, error.got
    if own is None or found.frames[0] is None:
        notes = (
            *notes,
            "Plan or registered CT names no frame of reference: that they share one was assumed.",
        )
    return found, notes, ""


def _require_these(found: Registration, volume: Volume, plan_uid: str | None) -> None:
    """Raise `InputError` unless ``found`` leads from the plan's frame to this control scan."""
    here, there = found.grids
    uid = here.frame_of_reference_uid
    wrong = ""
    if not there.same_as(volume.grid):
        wrong = "a registration of another control scan"
    elif uid is not None and plan_uid is not None and uid != plan_uid:
        wrong = "a registration of a CT in another frame of reference than the plan's"
    if wrong:
        raise InputError(
            "--registration",
            got=wrong,
            expected="the registration of the CT that was planned on to the scan of --ct",
            remedy="Give that folder, or register them with irplan register -o.",
        )


def _carried_back(seen: FoundNeedle, found: Registration) -> Needle:
    """The needle in the plan's frame: its tip moves with the organ, its entry with the wall."""
    back = found.mapping.backward
    if seen.entry_mm is None:  # the last point seen may lie in the organ
        entry = back(np.array(seen.tail_mm)[None])[0]
    else:
        entry = found.wall.inverse.apply(np.array(seen.entry_mm))
    tip = back(np.array(seen.tip_mm)[None])[0]
    return Needle(as_point(tip, field="tip"), as_point(entry, field="entry"))


def _organ(given: Path | None, opened: PlanFolder, grid: Grid) -> NDArray[np.bool_] | None:
    """The organ on the planning CT's grid: from its file, else the liver of the labels."""
    if given is not None:
        return open_mask(given, grid)
    labels = opened.labels
    if not any(x.name == "liver" for x in labels.labels):
        return None
    mask = labels.mask("liver") | opened.target
    if labels.grid.same_as(grid):
        return np.asarray(mask, dtype=bool)
    from irplan.image.resample import resample_mask

    return resample_mask(np.asarray(mask, dtype=bool), labels.grid, grid)


def _zone_back(
    zone: NDArray[np.bool_], control: Grid, grid: Grid, found: Registration
) -> NDArray[np.bool_]:
    """``zone`` of the control scan at the voxels of the plan's ``grid`` (half occupancy)."""
    out = np.zeros(grid.shape, dtype=bool)
    plane = np.moveaxis(np.indices(grid.shape[1:]), 0, -1).reshape(-1, 2)
    occupied = zone.astype(np.float32)
    for k in range(grid.shape[0]):
        index = np.column_stack([np.full(len(plane), k), plane])
        at = control.lps_to_index(found.mapping.forward(grid.index_to_lps(index))).T
        value = ndimage.map_coordinates(occupied, at, order=1, mode="constant", output=np.float32)
        out[k] = (value >= 0.5).reshape(grid.shape[1:])
    return out
