"""All measures of agreement for a structure, and the SLIVER07 score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.segmentation.overlap import (
    dice,
    empty_mask,
    leaks_ml,
    require_comparable,
    volumetric_overlap_error,
)
from irplan.segmentation.surface_distance import SurfaceDistances, surface_distances

#: Errors of a second human reader, each worth 75 points: VOE %, |RVD| %, ASD mm, RMSD mm, MSD mm
#: (van Ginneken, Heimann, Styner, MICCAI 2007 workshop; Heimann et al., IEEE TMI 28 (2009) 1251).
SLIVER07_REFERENCE_ERRORS = (6.4, 4.7, 1.0, 1.8, 19.0)


@dataclass(frozen=True)
class MaskQuality:
    """How a mask agrees with a reference.

    Volumes and ``bias_ml`` (mask - reference) in ml, ``voe_percent`` and signed ``rvd_percent``
    in %.  ``surface`` are the distances to a part of a voxel, ``sliver07`` those of SLIVER07 (see
    `surface_distances`); both and the score are None where one mask is empty, and ``surface``
    where it was not asked for.  ``rvd_percent`` is None where the reference is empty.
    ``leaks_ml``: (structure, ml of the mask's excess inside it), largest first, 0 left out.
    """

    volume_ml: float
    reference_ml: float
    dice: float
    voe_percent: float
    rvd_percent: float | None
    bias_ml: float
    surface: SurfaceDistances | None
    sliver07: SurfaceDistances | None
    sliver07_score: float | None
    leaks_ml: tuple[tuple[str, float], ...]


def compare_masks(
    mask: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    grid: Grid,
    *,
    others: Mapping[str, NDArray[np.bool_]] | None = None,
    surface: bool = True,
) -> MaskQuality:
    """Every measure of ``mask`` against ``reference``, both bool on ``grid``.

    ``others``: structures of the reference that the mask must not leak into.  ``surface=False``
    leaves the sub-voxel distances out (they take most of the time).  Raises `InputError` when
    both are empty or one is not bool, `GridMismatchError` for other shapes.
    """
    require_comparable(mask, reference, grid)
    ml = grid.voxel_volume_mm3 / 1000.0
    own, wanted = (int(np.count_nonzero(m)) for m in (mask, reference))
    if own == 0 and wanted == 0:
        raise empty_mask("both masks")
    voe = volumetric_overlap_error(mask, reference)
    rvd = 100.0 * (own - wanted) / wanted if wanted else None
    by_surface = by_challenge = score = None
    if own and wanted and rvd is not None:
        by_challenge = surface_distances(mask, reference, grid, method="sliver07")
        score = sliver07_score(voe, rvd, by_challenge)
        if surface:
            by_surface = surface_distances(mask, reference, grid, method="surface")
    leaks = leaks_ml(mask, reference, others or {}, grid)
    return MaskQuality(
        volume_ml=own * ml,
        reference_ml=wanted * ml,
        dice=dice(mask, reference),
        voe_percent=voe,
        rvd_percent=rvd,
        bias_ml=(own - wanted) * ml,
        surface=by_surface,
        sliver07=by_challenge,
        sliver07_score=score,
        leaks_ml=tuple(
            (name, volume)
            for name, volume in sorted(leaks.items(), key=lambda x: (-x[1], x[0]))
            if volume > 0.0
        ),
    )


def sliver07_score(voe_percent: float, rvd_percent: float, distances: SurfaceDistances) -> float:
    """The SLIVER07 score, 0..100: 100 is perfect, 75 a second human reader.

    Mean over VOE, |RVD|, ASD, RMSD and MSD of 100 - 25 error / reference error, each at least 0
    (`SLIVER07_REFERENCE_ERRORS`).  ``distances`` by the method ``"sliver07"``.
    """
    errors = (
        voe_percent,
        abs(rvd_percent),
        distances.average_mm,
        distances.rms_mm,
        distances.largest_mm,
    )
    points = [
        max(0.0, 100.0 - 25.0 * error / usual)
        for error, usual in zip(errors, SLIVER07_REFERENCE_ERRORS, strict=True)
    ]
    return sum(points) / len(points)
