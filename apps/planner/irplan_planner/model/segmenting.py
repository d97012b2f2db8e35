"""Commands on structures and target: automatic, by clicks, by a stroke, by brush."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, portion
from irplan.errors import InputError
from irplan.geometry import Point3, as_point
from irplan.image import LabelMap, structure
from irplan_planner.model.desk import Desk
from irplan_planner.model.slices import Frame
from irplan_planner.model.state import CaseState, Target, next_revision

#: What the liver may take when it grows, and what it leaves when it shrinks.
SOFT = ("body", "fat", "muscle", "liver")
#: Structures whose voxels lie in the organ.
IN_LIVER = ("tumour", "vessel", "vessel_in_part", "portal_vein", "hepatic_vein")
#: Radius of the brush, mm.
BRUSH_MM = (1.0, 30.0)
#: Where the long parts of the chain are, for the worker process.
CHAIN = "irplan_planner.model.chain:"
#: The brush's own name for the target (other names are structures).
TARGET = "target"


@dataclass(frozen=True)
class BrushStroke:
    """What a brush went over: points (mm right and down of a frame's origin), radius, paint.

    ``paint`` is a structure or "target"; ``erase`` gives its voxels back to the body.
    """

    frame: Frame
    points: tuple[tuple[float, float], ...]
    radius_mm: float
    paint: str
    erase: bool = False

    def __post_init__(self) -> None:
        if not BRUSH_MM[0] <= self.radius_mm <= BRUSH_MM[1] or not self.points:
            raise InputError(
                "brush",
                got=f"{len(self.points)} points, a radius of {self.radius_mm:g} mm",
                expected=f"at least one point and {BRUSH_MM[0]:g} to {BRUSH_MM[1]:g} mm",
                remedy="Choose another size of brush.",
            )


class Segmenting:
    """Commands; each is one step of undo."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def automatic(self) -> None:
        """Find liver, vessels and obstacles in the whole scan (a job)."""
        desk, state = self._desk, self._desk.state
        volume = _required(state.volume, "a CT", "Open one first.")
        desk.require_writable()

        def work(progress: Progress) -> Any:
            return desk.heavy.call(CHAIN + "segmented", volume, progress=progress)

        def done(found: Any) -> None:
            now = desk.state
            if now.volume is not volume:
                return
            new = _with_labels(now, found.labels)
            new = replace(new, liver=found.liver, accepted=frozenset(), messages=found.warnings)
            desk.push(new, "segment")
            desk.say("Structures found. Look at them, correct, accept.", "good")

        desk.work("Segmenting", "work", work, done)

    def click(self, point_mm: Sequence[float], inside: bool) -> None:
        """Say that a point is liver, or is not (a job of about a second)."""
        desk, state = self._desk, self._desk.state
        volume = _required(state.volume, "a CT", "Open one first.")
        labels: LabelMap = _required(state.labels, "a segmented liver", "Run Segment first.")
        known = state.liver
        desk.require_writable()
        point = as_point(point_mm, field="click")

        def work(progress: Progress) -> Any:
            from irplan.segmentation import segment_liver
            from irplan.segmentation.clicks import Click
            from irplan.segmentation.liver_click import clicked

            before = known
            if before is None:  # a case from a file: its liver stands, the stages are made anew
                stages = segment_liver(volume, progress=portion(progress, 0.0, 0.8))
                before = replace(stages, mask=labels.mask("liver", *IN_LIVER))
            progress(0.8, "cutting the edge anew")
            return before.mask, clicked(volume, before, Click(point, inside))

        def done(outcome: Any) -> None:
            old, found = outcome
            now = desk.state
            if now.labels is not labels or now.liver is not known:
                desk.say("The structures changed meanwhile; click again.", "warning")
                return
            new = _with_labels(now, with_liver(labels, old, found.mask))
            desk.push(replace(new, liver=found), "liver: " + ("add" if inside else "remove"))

        desk.work("Correcting the liver", "work", work, done)

    def stroke(
        self, start_mm: Sequence[float], end_mm: Sequence[float], *, edge: str = "visible"
    ) -> None:
        """The tumour that a line from edge to edge spans becomes the target (a job)."""
        desk, state = self._desk, self._desk.state
        volume = _required(state.volume, "a CT", "Open one first.")
        desk.require_writable()
        from irplan.segmentation.tumour import Stroke

        line = Stroke(as_point(start_mm, field="stroke"), as_point(end_mm, field="stroke"))
        organ = None
        if state.labels is not None and state.labels.checked("liver"):
            organ = state.labels.mask("liver", *IN_LIVER)

        def work(progress: Progress) -> Any:
            from irplan.segmentation.tumour import segment_tumour

            progress(0.1, "cutting out the tumour")
            return segment_tumour(volume, line, liver=organ, edge=edge)  # type: ignore[arg-type]

        def done(found: Any) -> None:
            if desk.state.volume is not volume:
                return
            words = f"stroke of {line.diameter_mm:.0f} mm, {found.method}"
            self.set_target(found.mask, words)
            for note in found.notes:
                desk.say(note, "warning")

        desk.work("Cutting out the tumour", "work", work, done)

    def set_target(self, mask: NDArray[np.bool_], words: str) -> None:
        """This mask (on the image's grid) becomes the target."""
        if not mask.any():
            raise InputError(
                "target",
                got="no voxel",
                expected="at least one voxel",
                remedy="Draw the target again.",
            )
        state = self._desk.state
        target = Target.of(mask, words)
        revisions = replace(state.revisions, target=next_revision())
        self._desk.push(replace(state, target=target, revisions=revisions), "target")

    def brush(self, stroke: BrushStroke) -> None:
        """Paint or erase a structure, or the target, on one slice."""
        state = self._desk.state
        volume = _required(state.volume, "a CT", "Open one first.")
        box, touched = touched_voxels(stroke, volume.grid.shape, volume.grid)
        if stroke.paint == TARGET:
            mask = state.target_mask()
            if mask is None:
                mask = np.zeros(volume.grid.shape, dtype=bool)
            mask[box] = mask[box] & ~touched if stroke.erase else mask[box] | touched
            words = "brush" if state.target is None else state.target.words.removesuffix(
                ", touched up") + ", touched up"  # fmt: skip
            self.set_target(mask, words)
            return
        labels = _required(state.labels, "structures", "Run Segment first.")
        label = structure(stroke.paint)
        array = labels.array.copy()
        part = array[box]
        body = structure("body")
        if stroke.erase:
            part[touched & (part == label.value)] = body.value
        else:
            part[touched & (part > 0)] = label.value
        listed = [x for x in (label, body) if not labels.checked(x.name)]
        new = LabelMap(array, labels.grid, (*labels.labels, *listed))
        words = f"{'erase' if stroke.erase else 'paint'} {stroke.paint.replace('_', ' ')}"
        kept = replace(state, accepted=state.accepted - {stroke.paint})
        self._desk.push(_with_labels(kept, new), words)

    def accept(self, name: str, accepted: bool = True) -> None:
        """A person has looked at a structure and accepts it (or takes that back)."""
        state = self._desk.state
        names = state.accepted | {name} if accepted else state.accepted - {name}
        self._desk.push(replace(state, accepted=names), f"accept {name.replace('_', ' ')}")

    def open_target(self, path: str) -> None:
        """The target from a mask file on the image's grid (a job)."""
        volume = _required(self._desk.state.volume, "a CT", "Open one first.")

        def work(progress: Progress) -> Any:
            from irplan.case.open import open_mask

            return open_mask(path, volume.grid, progress=progress)

        self._desk.work("Reading the mask", "read", work, lambda m: self.set_target(m, "mask"))


def with_liver(labels: LabelMap, old: NDArray[np.bool_], new: NDArray[np.bool_]) -> LabelMap:
    """The labels with another liver; vessels, tumour and other organs keep their voxels."""
    array = labels.array.copy()
    liver, body = structure("liver").value, structure("body").value
    values = [x.value for x in labels.labels if x.name in SOFT]
    grown = new & ~old
    array[grown & np.isin(array, values)] = liver
    array[old & ~new & (array == liver)] = body
    return LabelMap(array, labels.grid, labels.labels)


def touched_voxels(
    stroke: BrushStroke, shape: tuple[int, int, int], grid: Any
) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]]:
    """(box, bool in the box): voxels of the slice within the brush's radius of its way."""
    frame = stroke.frame
    points = np.array([frame.to_patient(u, v) for u, v in stroke.points])
    start, size = grid.box_around(points, stroke.radius_mm + max(grid.spacing_mm))
    box = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
    index = np.stack(np.meshgrid(*[np.arange(b.start, b.stop) for b in box], indexing="ij"), -1)
    uv, off = frame.to_picture(grid.index_to_lps(index))
    way = np.asarray(stroke.points, dtype=np.float64)
    gap = np.full(uv.shape[:-1], np.inf)
    for a, b in zip(way, way[1:] if len(way) > 1 else way, strict=False):
        along = b - a
        length = float(along @ along)
        t = np.clip(((uv - a) @ along) / length, 0.0, 1.0) if length > 0 else np.zeros(gap.shape)
        gap = np.minimum(gap, np.linalg.norm(uv - a - t[..., None] * along, axis=-1))
    thick = 0.5 * float(np.abs(grid.direction.T @ frame.away) @ np.asarray(grid.spacing_mm))
    del shape
    found: NDArray[np.bool_] = (gap <= stroke.radius_mm) & (np.abs(off) <= thick + 1e-6)
    return (box[0], box[1], box[2]), found


def _with_labels(state: CaseState, labels: LabelMap) -> CaseState:
    revisions = replace(state.revisions, labels=next_revision())
    return replace(state, labels=labels, revisions=revisions)


def _required(part: Any, what: str, remedy: str) -> Any:
    if part is None:
        raise InputError(what, got="none yet", expected=what, remedy=remedy)
    return part


def target_point(state: CaseState) -> Point3 | None:
    """Middle of the target, LPS mm."""
    if state.target is None or state.volume is None:
        return None
    return as_point(state.target.centre_mm(state.volume.grid), field="target")
