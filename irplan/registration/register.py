"""The public entry: a planning scan and a control scan brought together, with a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from irplan import __version__
from irplan.compute import Progress, no_progress, portion
from irplan.errors import GridMismatchError, InputError, RegistrationError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.image.resample import resample_mask
from irplan.registration.bones import BoneFit, fit_bones
from irplan.registration.deformable import EDGES_MM, register_deformable
from irplan.registration.edges import LEAST_EDGES, away_from_bone, edges_found
from irplan.registration.landmarks import as_pairs, fit_landmarks
from irplan.registration.prepare import Prepared, prepare
from irplan.registration.quality import (
    QualityReport,
    QualityRow,
    bone_overlap,
    correlation,
    row,
    share_inside,
)
from irplan.registration.rigid import register_rigid, search_shift
from irplan.registration.transform import PointMap, RigidTransform

#: How far around the organ the comparison and its own rigid step reach, mm.
AROUND_MM = 14.0
#: Target error that a registration within its limits may have, mm.  [M: the 95th percentile that
#: docs/registration.md asks of simulated scans, rounded up]
EXPECTED_ERROR_MM = 3.0
#: Fewest landmarks whose mean distance counts as a measurement of the error.
LEAST_MEASURED = 3
#: Points of the organ at which inverse consistency is measured.
INVERSE_POINTS = 400


@dataclass(frozen=True)
class RegistrationOptions:
    """How scans are registered.

    ``spacing_mm`` of the working grids, 1.5 to 5 mm; ``deformable``: whether the organ may deform
    (needs the organ's mask); ``inverse``: whether the way back is registered as well for inverse
    consistency (doubles the time).  Raises `InputError`.
    """

    spacing_mm: float = 2.5
    deformable: bool = True
    inverse: bool = True

    def __post_init__(self) -> None:
        if not 1.5 <= self.spacing_mm <= 5.0:
            raise InputError(
                "registration.spacing_mm",
                got=f"{self.spacing_mm:g} mm",
                expected="1.5 to 5 mm",
                remedy="2.5 mm is usual; less takes longer.",
            )


@dataclass(frozen=True, eq=False)
class Registration:
    """What maps planning points to the control scan, and how far it can be trusted.

    ``mapping`` planning LPS mm -> control LPS mm (inside the organ; elsewhere it is rigid and
    follows the organ).  ``body`` is the rigid map of the whole body, of its bones where the organ
    deforms.  ``grids``: of the planning
    and the control scan, with their frames of reference.  ``start``: "search" or "landmarks".
    """

    mapping: PointMap
    body: RigidTransform
    quality: QualityReport
    grids: tuple[Grid, Grid]
    options: RegistrationOptions
    start: str
    version: str
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> tuple[str | None, str | None]:
        """Frame of reference UIDs of planning and control scan."""
        return self.grids[0].frame_of_reference_uid, self.grids[1].frame_of_reference_uid

    @property
    def wall(self) -> RigidTransform:
        """What skin and ribs follow: the bones' map where the organ deforms, else the one map."""
        return self.mapping.rigid

    @property
    def error_is(self) -> Literal["measured", "assumed", "unknown"]:
        """Whether `error_mm` was measured: by three landmarks or more; unknown after a failure."""
        if self.quality.status == "failed":
            return "unknown"
        return "measured" if len(self.quality.tre_mm) >= LEAST_MEASURED else "assumed"

    @property
    def error_mm(self) -> float | None:
        """Target error to reckon with, mm; None when the registration failed.

        Measured: the landmarks' mean distance; assumed: `EXPECTED_ERROR_MM`.  Either is raised to
        the inverse consistency (and the distance of one or two landmarks) where that is larger.
        """
        least = 0.0 if self.error_is == "measured" else EXPECTED_ERROR_MM
        known = [self.quality.value(key) for key in ("inverse", "landmarks")]
        found = max([least, *(v for v in known if v is not None)])
        return None if self.error_is == "unknown" else found

    @property
    def error_from(self) -> str:
        """Where `error_mm` comes from, in words."""
        if self.error_is == "unknown":
            return "the registration failed"
        count, inverse = len(self.quality.tre_mm), self.quality.value("inverse")
        tre = self.quality.value("landmarks")
        said = [f"{count} landmarks {tre:.1f} mm apart on average"] if tre is not None else []
        if inverse is not None:
            said.append(f"inverse consistency {inverse:.1f} mm")
        measures = ", ".join(said)
        if self.error_is == "measured":
            return f"measured: {measures}"
        why = f"assumed, {LEAST_MEASURED} or more landmarks would measure it"
        return f"{why} (known: {measures})" if said else why

    def require_usable(self) -> None:
        """Raise `RegistrationError`, naming the rows, when the quality report says "failed"."""
        bad = [r for r in self.quality.rows if r.status == "failed"]
        if bad:
            raise RegistrationError(
                "registration",
                got="; ".join(_words(r) for r in bad),
                expected="a registration within its limits",
                remedy="Do not use it. Give landmarks of both scans, check that it is the same "
                "patient, or register by hand.",
            )


def register(
    plan: Volume,
    control: Volume,
    *,
    organ: NDArray[np.bool_] | None = None,
    landmarks: tuple[ArrayLike, ArrayLike] | None = None,
    landmarks_start: bool = True,
    options: RegistrationOptions = RegistrationOptions(),
    progress: Progress = no_progress,
) -> Registration:
    """Bring ``control`` (CT or cone-beam CT) and the planning CT together.

    1. Start: landmarks (three or more pairs, with ``landmarks_start``), else the best shift of all
       (`search_shift`).  2. Rigid over the body, by mutual information; truncation and metal are
    masked.  3. The organ: shift, affine and smooth deformation by its edges
    (`register_deformable`); with ``deformable`` off a rigid step over the organ.  4. Quality.

    Parameters
    ----------
    plan, control : HU, any grids; the control scan may be truncated (padding -1024).
    organ : bool on ``plan``'s grid (the liver); None: step 3 is left out and said so.
    landmarks : (planning, control) points, (N, 3) LPS mm each; all are used for the report's TRE.

    A poor result is returned, not raised: read ``quality.status`` or call `require_usable`.
    Raises `RegistrationError` where nothing can be compared, `GridMismatchError` for an organ
    on another grid, `InputError` for landmarks that are none.
    Cost: about 10 to 25 s on 2 cores.
    """
    if organ is not None and (organ.shape != plan.grid.shape or organ.dtype != np.bool_):
        raise GridMismatchError(
            "organ",
            got=f"{organ.dtype} of shape {organ.shape}",
            expected=f"bool of the planning scan's shape {plan.grid.shape}",
            remedy="Give the organ's mask on the planning CT's grid.",
        )
    pairs = None if landmarks is None else as_pairs(*landmarks)
    progress(0.0, "preparing")
    a = prepare(plan, options.spacing_mm, field="planning scan")
    b = prepare(control, options.spacing_mm, field="control scan")
    notes = []
    liver = None
    if organ is not None:
        liver = resample_mask(organ, plan.grid, a.grid)
        if not liver.any():
            liver = None
            notes.append("The organ's mask is empty: the whole body was registered.")
    else:
        notes.append("No organ mask: rigid over the whole body, no deformation.")
    progress(0.1, "looking for the start")
    if pairs is not None and landmarks_start and len(pairs[0]) >= 3:
        start, begun = fit_landmarks(*pairs), "landmarks"
    else:
        start, begun = search_shift(a, b), "search"
        if pairs is not None and landmarks_start:
            notes.append("Fewer than three landmarks: they only measure, they start nothing.")
    body = register_rigid(a, b, start, progress=portion(progress, 0.15, 0.3))
    progress(0.3, "rigid: bones")
    bones = fit_bones(a, b, body)
    fitted = _bones_row(bones).status in ("ok", "warning")
    mapping = _organ_step(
        a, b, body, liver, options, portion(progress, 0.35, 0.6),
        outside=bones.rigid if fitted else None,
    )  # fmt: skip
    body = bones.rigid if mapping.displacement is not None and fitted else body
    progress(0.6, "measuring quality")
    report = _quality(a, b, bones, mapping, liver, pairs)
    if not options.inverse:
        turned = row("inverse", None, "not asked for")
    elif report.status == "failed":
        turned = row("inverse", None, "left out: another row failed")
    else:
        turned = row(
            "inverse",
            _inverse_consistency(a, b, body, mapping, liver, options, portion(progress, 0.65, 1.0)),
        )
    report = QualityReport((*report.rows, turned), report.tre_mm)
    progress(1.0, "done")
    return Registration(
        mapping, body, report,
        (plan.grid, control.grid),
        options, begun, __version__, tuple(notes),
    )  # fmt: skip


def _organ_step(
    a: Prepared,
    b: Prepared,
    body: RigidTransform,
    organ: NDArray[np.bool_] | None,
    options: RegistrationOptions,
    progress: Progress,
    outside: RigidTransform | None = None,
) -> PointMap:
    """The map of ``organ``, found from ``body``; it fades to ``outside`` where it deforms."""
    if organ is None:
        return PointMap(body)
    if not options.deformable:
        region = away_from_bone(a, organ, AROUND_MM)
        levels = ((2, 4.0), (1, 2.5))
        return PointMap(register_rigid(a, b, body, region=region, levels=levels, progress=progress))
    u = register_deformable(a, b, body, organ, outside=outside, progress=progress)
    return PointMap(body if outside is None else outside, u)


def _around(organ: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    out: NDArray[np.bool_] = ndimage.binary_dilation(
        organ, iterations=max(1, round(AROUND_MM / grid.spacing_mm[0]))
    )
    return out


def _inverse_consistency(
    a: Prepared,
    b: Prepared,
    body: RigidTransform,
    mapping: PointMap,
    organ: NDArray[np.bool_] | None,
    options: RegistrationOptions,
    progress: Progress,
) -> float:
    """95th percentile of |back(forward(x)) - x| with the way back registered on its own, mm.

    The way back starts from a disturbed place (5 mm, 3 degrees off), so that a registration that
    stays where it was put is not called consistent.
    """
    angle = math.radians(3.0)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    where = organ if organ is not None else a.valid
    centre = a.grid.index_to_lps(np.argwhere(where).mean(axis=0))
    off = RigidTransform.from_rotation(turn, centre - turn @ centre + np.array([3.0, -3.0, 3.0]))
    start = RigidTransform(off.matrix @ body.inverse.matrix)
    there = None
    if organ is not None:
        # the organ in the control scan, by the map that is checked
        points = mapping.forward(a.grid.index_to_lps(np.argwhere(organ)))
        index = np.rint(b.grid.lps_to_index(points)).astype(int)
        index = index[((index >= 0) & (index < b.grid.shape)).all(axis=1)]
        there = np.zeros(b.grid.shape, dtype=bool)
        there[tuple(index.T)] = True
        there = ndimage.binary_closing(there)
        if there.sum() < 1000:
            return math.nan
    try:
        turned = register_rigid(b, a, start, progress=portion(progress, 0.0, 0.4))
        back = _organ_step(b, a, turned, there, options, portion(progress, 0.4, 1.0))
    except RegistrationError:
        return math.nan
    points = a.grid.index_to_lps(np.argwhere(where & a.valid))
    points = points[:: max(1, len(points) // INVERSE_POINTS)]
    forward = mapping.forward(points)
    seen = b.grid.contains(forward)
    if seen.sum() < 20:
        return math.nan
    gap = np.linalg.norm(back.forward(forward[seen]) - points[seen], axis=1)
    return float(np.percentile(gap, 95))


def _quality(
    a: Prepared,
    b: Prepared,
    bones: BoneFit,
    mapping: PointMap,
    organ: NDArray[np.bool_] | None,
    pairs: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> QualityReport:
    where = organ if organ is not None else a.body
    around = _around(organ, a.grid) if organ is not None else a.body
    points = a.grid.index_to_lps(np.argwhere(where))
    points = points[:: max(1, len(points) // 5000)]
    rows: list[QualityRow] = [
        row("overlap", share_inside(points, b, mapping)),
        row("correlation", _value(correlation(a, b, mapping, around))),
        _bones_row(bones),
        _bone_row(bone_overlap(a, b, PointMap(bones.rigid))),
        row("rotation", mapping.rigid.rotation_deg),
    ]
    edges = _edges_row(*edges_found(a, b, mapping, _edge_region(a, organ)))
    rows += [edges, _identity_row(edges, _bones_row(bones))]
    u = mapping.displacement
    if u is None:
        rows += [row(k, None, "rigid only") for k in ("jacobian_low", "jacobian_high")]
        rows.append(row("displacement", None, "rigid only"))
    else:
        own = resample_mask(where, a.grid, u.grid)
        j = u.jacobian()[own]
        rows += [row("jacobian_low", float(j.min())), row("jacobian_high", float(j.max()))]
        largest = np.linalg.norm(u.field[own], axis=-1).max()
        rows.append(row("displacement", float(largest)))
    tre: tuple[float, ...] = ()
    if pairs is None:
        rows.append(row("landmarks", None, "no landmarks were given"))
    else:
        gap = np.linalg.norm(mapping.forward(pairs[0]) - pairs[1], axis=1)
        tre = tuple(float(v) for v in gap)
        rows.append(row("landmarks", float(gap.mean())))
    return QualityReport(tuple(rows), tre)


def _edge_region(a: Prepared, organ: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    return a.body if organ is None else away_from_bone(a, organ, EDGES_MM)


def _edges_row(share: float, count: int) -> QualityRow:
    """Too few edges in the control scan's field prove nothing: that fails."""
    if count < LEAST_EDGES:
        return row("edges", math.nan, f"only {count} edges lie in the control scan")
    return row("edges", 100.0 * share, f"of {count}")


def _bones_row(bones: BoneFit) -> QualityRow:
    """Too little bone in the control scan's field proves nothing: not checked."""
    if bones.count < LEAST_EDGES:
        return row("bones", None, f"only {bones.count} edges of bone lie in both scans")
    return row("bones", 100.0 * bones.share, f"of {bones.count}")


def _identity_row(edges: QualityRow, bones: QualityRow) -> QualityRow:
    """Another person's organ may be deformed until it fits, but then the bones do not."""
    if edges.value is None:
        return row("identity", None, "too few edges")
    if bones.value is None:
        return row("identity", edges.value, "of the organ alone: too little bone in both scans")
    return row("identity", 0.5 * (edges.value + bones.value))


def _bone_row(value: float | None) -> QualityRow:
    note = "too little bone in both scans" if value is None else ""
    return row("bone", value, note)


def _value(value: float | None) -> float:
    return math.nan if value is None else value


def _words(r: QualityRow) -> str:
    return f"{r.name}: {r.shown} (fails at {r.fail:g})"
