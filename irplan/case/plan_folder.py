"""A plan with what lies beside it: the structures and the target it was made on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan.case.open import open_mask_and_notes
from irplan.errors import FileFormatError
from irplan.files import read_labels, read_plan
from irplan.image import LabelMap
from irplan.planning import AblationPlan
from irplan.planning.case import voxel_hash
from irplan.planning.target import check_target


@dataclass(frozen=True, eq=False)
class PlanFolder:
    """``target`` bool on the grid of ``labels``; ``messages`` are what the user should know."""

    plan: AblationPlan
    labels: LabelMap
    target: NDArray[np.bool_]
    folder: Path
    messages: tuple[str, ...]
    unknown: NDArray[np.bool_] | None = None
    """Where nothing was seen; None where the plan's folder says nothing of it."""

    def zone(self) -> NDArray[np.bool_] | None:
        """The lethal zone that `irplan plan` simulated, None where its file is not there."""
        file = self.folder / "lethal.nii.gz"
        return open_mask_and_notes(file, self.labels.grid)[0] if file.exists() else None


def open_plan_folder(
    path: Path, *, labels: Path | None = None, target: Path | None = None
) -> PlanFolder:
    """Open a plan.json, or the folder it lies in, with labels and target.

    These default to ``labels.nii.gz`` and ``target.nii.gz`` beside it.  Raises `FileFormatError`
    where they are missing or damaged, `GridMismatchError` where they do not fit.
    """
    file = path / "plan.json" if path.is_dir() else path
    plan = read_plan(file)
    places = {}
    for name, given, option in (
        ("labels.nii.gz", labels, "--labels"),
        ("target.nii.gz", target, "--target"),
    ):
        places[option] = file.parent / name if given is None else given
        if not places[option].exists():
            raise FileFormatError(
                option,
                got=f"no '{places[option].name}' beside the plan",
                expected="the structures and the target the plan was made on",
                remedy=f"Keep the folder that irplan wrote together, or give {option} FILE.",
            )
    structures = read_labels(places["--labels"])
    mask, notes = open_mask_and_notes(places["--target"], structures.grid)
    messages = [*notes, *check_target(structures, mask)]
    made_on = plan.provenance.inputs.get("target mask")
    if made_on is not None and made_on != voxel_hash(mask):
        messages.append("The target is not the one this plan was made for (its voxels differ).")
    dark = file.parent / "unknown.nii.gz"
    unknown = open_mask_and_notes(dark, structures.grid)[0] if dark.exists() else None
    return PlanFolder(plan, structures, mask, file.parent, tuple(messages), unknown)
