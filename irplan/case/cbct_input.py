"""The files behind planning on a cone-beam CT: its field, and a CT with structures and target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan.case.cbct_labels import (
    CARRY_ERROR_MM,
    CbctScene,
    on_grid,
    scene_alone,
    scene_with_ct,
    scene_with_labels,
)
from irplan.case.open import open_image_and_notes, open_labels, open_mask
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.image import Volume
from irplan.planning.rules import PathRules
from irplan.segmentation import segment_abdomen
from irplan.segmentation.cone_beam import ConeBeamScan, read_cone_beam


@dataclass(frozen=True)
class CbctInput:
    """What comes with a cone-beam CT.

    ``field``: mask of what was reconstructed (else it is found).  ``prior_ct``: a CT of the same
    patient, registered to it; ``prior_labels`` and ``target`` lie on that CT's grid (without
    labels the CT is segmented).  ``carry_error_mm``: how far carried structures may lie off; it is
    added to every obstacle's distances.  Raises `InputError` for labels or target without a CT.
    """

    field: Path | None = None
    prior_ct: Path | None = None
    prior_labels: Path | None = None
    target: Path | None = None
    carry_error_mm: float = CARRY_ERROR_MM

    def __post_init__(self) -> None:
        if self.prior_ct is None and (self.prior_labels or self.target):
            raise InputError(
                "--prior-labels" if self.prior_labels else "--prior-target",
                got="no --prior-ct",
                expected="the CT on whose grid they lie",
                remedy="Give --prior-ct SCAN.",
            )
        if not 0.0 <= self.carry_error_mm <= 15.0:
            raise InputError(
                "--carry-error",
                got=f"{self.carry_error_mm:g} mm",
                expected="0 to 15 mm",
                remedy="About the registration's target error; 2.5 mm is usual.",
            )

    def rules(self, rules: PathRules) -> PathRules:
        """``rules`` with the carry error added to obstacles' distances where a CT is carried."""
        if self.prior_ct is None or self.carry_error_mm == 0.0:
            return rules
        for o in rules.obstacles:
            rules = rules.with_obstacle(
                o.name,
                hard_mm=o.hard_mm + self.carry_error_mm,
                soft_mm=min(30.0, o.soft_mm + self.carry_error_mm),
                source=f"{o.source}; + {self.carry_error_mm:g} mm, carried from a CT",
            )
        return rules


@dataclass(frozen=True, eq=False)
class SeenScene:
    """The scene to plan on and the cone-beam CT it is made from."""

    scan: ConeBeamScan
    scene: CbctScene

    def on_scene(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask of the cone-beam CT's grid on the scene's."""
        return on_grid(mask, self.scan.volume.grid, self.scene.volume.grid)


def cone_beam_scene(
    grey: Volume, given: CbctInput, *, labels: Path | None = None, progress: Progress = no_progress
) -> SeenScene:
    """Read what the cone-beam CT shows and add what ``given`` and ``labels`` know.

    Raises `SegmentationError`, `RegistrationError`, `InputError`, `GridMismatchError`; see
    `read_cone_beam` and `cbct_labels`.
    """
    if labels is not None and given.prior_ct is not None:
        raise InputError(
            "--labels, --prior-ct",
            got="both",
            expected="one source of structures",
            remedy="--labels lie on the cone-beam CT, --prior-labels on the CT.",
        )
    progress(0.0, "reading the cone-beam CT")
    field = None if given.field is None else open_mask(given.field, grey.grid)
    scan = read_cone_beam(grey, field=field)
    progress(0.15, "cone-beam CT read")
    if labels is not None:
        return SeenScene(scan, scene_with_labels(scan, open_labels(labels)))
    if given.prior_ct is None:
        return SeenScene(scan, scene_alone(scan))
    ct, _ = open_image_and_notes(given.prior_ct, progress=portion(progress, 0.15, 0.2))
    target = None if given.target is None else open_mask(given.target, ct.grid)
    if given.prior_labels is not None:
        structures = open_labels(given.prior_labels)
        structures.grid.require_same(ct.grid, field="prior labels")
    else:
        structures = segment_abdomen(
            ct, target_mask=target, progress=portion(progress, 0.2, 0.5)
        ).labels
    scene = scene_with_ct(
        scan, ct, structures, ct_target=target, progress=portion(progress, 0.5, 1.0)
    )
    return SeenScene(scan, scene)
