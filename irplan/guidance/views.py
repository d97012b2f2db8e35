"""Entry-point (bull's-eye) and progress views of a needle, exact for the divergent beam."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.errors import GeometryError, NoViewError
from irplan.geometry import CArm, Needle, Point3, as_point
from irplan.geometry.patient_position import positioner_angles, room_from_lps
from irplan.guidance.room import RoomObstacles
from irplan.guidance.system import CArmSystem, Range

ViewKind = Literal["bulls_eye", "progress"]
#: Two progress views are different ones when their beams are at least this far apart, degrees.
APART_DEG = 60.0
_COARSE_DEG = 0.5


@dataclass(frozen=True, eq=False)
class View:
    """One pose of the C-arm for one needle.

    ``gantry_deg`` are the gantry's angles; ``travel_deg`` and ``travel_s`` the way there (to the
    bull's-eye from the start, to a progress view from the bull's-eye); ``entry_px``, ``tip_px``
    (column, row) on the detector; ``off_deg`` the angle between the needle and the ray to its tip
    (0 for an exact bull's-eye, 90 for an exact progress view).
    """

    kind: ViewKind
    c_arm: CArm
    gantry_deg: Range
    travel_deg: float
    travel_s: float
    entry_px: tuple[float, float]
    tip_px: tuple[float, float]
    off_deg: float

    @property
    def entry_seen(self) -> bool:
        """Whether the entry is on the detector too; a progress view may show the tip alone."""
        return bool(self.c_arm.on_detector(self.entry_px))

    @property
    def separation_px(self) -> float:
        """Distance of entry and tip on the detector, pixels."""
        return math.dist(self.entry_px, self.tip_px)


@dataclass(frozen=True, eq=False)
class NeedleViews:
    """The views of one needle; ``progress`` holds one or two, the least travel first.

    ``refused`` says why other candidates were not taken, in words.
    """

    needle: Needle
    bulls_eye: View
    progress: tuple[View, ...]
    refused: tuple[str, ...]


def bulls_eye_directions(
    needle: Needle, isocentre_mm: Point3, source_isocentre_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """LPS unit vectors isocentre -> detector that show the needle as a point.

    The focal spot must lie on the needle's line at ``source_isocentre_mm`` from the isocentre:
    ``F = P + t u`` with ``|F - iso| = SOD``, a quadratic in t with two roots, one each side;
    ``d = (iso - F) / SOD``.  The first has the detector on the entry's side.  Raises
    `GeometryError` when the needle's line passes the isocentre farther than the source does.
    """
    u, w = needle.direction, np.array(needle.entry_mm) - np.array(isocentre_mm)
    middle = -float(w @ u)
    closest = w + middle * u
    root = source_isocentre_mm**2 - float(closest @ closest)
    if root <= 0.0:
        raise GeometryError(
            "isocentre_mm",
            got=f"a needle {math.sqrt(float(closest @ closest)):.0f} mm from it",
            expected=f"a needle nearer than the source ({source_isocentre_mm:.0f} mm)",
            remedy="Give the isocentre in LPS mm of the plan's image.",
        )
    far, near = middle + math.sqrt(root), middle - math.sqrt(root)
    # t grows towards the tip: the source beyond the tip puts the detector on the entry's side
    deep = -(w + far * u) / source_isocentre_mm
    shallow = -(w + near * u) / source_isocentre_mm
    return deep, shallow


def progress_directions(
    needle: Needle, isocentre_mm: Point3, source_isocentre_mm: float, turn_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, 3) LPS unit vectors whose ray to the needle's tip T is perpendicular to the needle.

    ``(T - F) . u = 0`` with ``F = iso - SOD d`` fixes ``d . u = (iso - T) . u / SOD = s``: the
    beams form a cone about the needle, ``d = s u + sqrt(1 - s^2) (cos q e1 + sin q e2)`` with q =
    ``turn_deg``.  With the isocentre at the tip it is the plane perpendicular to the needle.
    Raises `GeometryError` when no beam can (the isocentre is as far along the needle as the
    source).
    """
    u = needle.direction
    s = float((np.array(isocentre_mm) - np.array(needle.tip_mm)) @ u) / source_isocentre_mm
    if abs(s) >= 1.0:
        raise GeometryError(
            "isocentre_mm",
            got=f"a point {abs(s) * source_isocentre_mm:.0f} mm from the tip along the needle",
            expected=f"less than the source's {source_isocentre_mm:.0f} mm",
            remedy="Give the isocentre in LPS mm of the plan's image.",
        )
    e1 = np.cross(u, np.eye(3)[int(np.argmin(np.abs(u)))])
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(u, e1)
    q = np.radians(turn_deg)[:, None]
    out: NDArray[np.float64] = s * u + math.sqrt(1.0 - s * s) * (np.cos(q) * e1 + np.sin(q) * e2)
    return out


def find_views(
    needle: Needle,
    system: CArmSystem,
    *,
    isocentre_mm: Point3,
    patient_position: str,
    start_gantry_deg: Range = (0.0, 0.0),
    obstacles: RoomObstacles | None = None,
) -> NeedleViews:
    """The bull's-eye view with the least travel, and from there one or two progress views.

    Parameters
    ----------
    needle : entry and tip, LPS mm.
    system : limits and housings.
    isocentre_mm : where the table puts the patient on the beam's pivot, LPS mm.
    patient_position : DICOM (0018,5100).
    start_gantry_deg : where the gantry is now.
    obstacles : of `room_obstacles`; None checks limits alone.

    Raises `NoViewError` (a `PlanningError`) where limits and obstacles leave no view, with what
    stood in the way of the nearest; `GeometryError` and `InputError` for impossible input.
    """
    iso = as_point(isocentre_mm, field="isocentre_mm")
    room_from_lps(patient_position)
    search = _Search(needle, system, iso, patient_position, obstacles)
    refused: list[str] = []
    ends = bulls_eye_directions(needle, iso, system.source_isocentre_mm)
    found = [
        view
        for d in ends
        if (view := search.view("bulls_eye", d, start_gantry_deg, refused)) is not None
    ]
    if not found:
        raise _no_view("bull's-eye view", refused, system)
    bulls_eye = min(found, key=lambda v: (v.travel_deg, v.gantry_deg))
    first = len(refused)
    progress = tuple(search.progress(bulls_eye.gantry_deg, refused))
    if not progress:
        raise _no_view("progress view", refused[first:], system)
    return NeedleViews(needle, bulls_eye, progress, tuple(refused))


@dataclass(frozen=True, eq=False)
class _Search:
    needle: Needle
    system: CArmSystem
    iso: Point3
    position: str
    obstacles: RoomObstacles | None

    def view(
        self, kind: ViewKind, direction: NDArray[np.float64], start: Range, refused: list[str]
    ) -> View | None:
        arm = self.system.pose(*positioner_angles(direction), self.iso, self.position)
        gantry = arm.gantry_deg
        entry, tip = arm.project([self.needle.entry_mm, self.needle.tip_mm])
        why = self.system.outside_limits(*gantry)
        if not why and not arm.on_detector(tip):
            why = "the tip beside the detector"
        if not why and self.obstacles is not None:
            why = self.obstacles.met_by(arm, self.system)
        if why:
            words = kind.replace("_", "-").replace("bulls-eye", "bull's-eye")
            refused.append(f"{words} at {angle_words(*gantry)} (gantry): {why}")
            return None
        ray = np.array(self.needle.tip_mm) - arm.source_mm
        cosine = abs(float(ray @ self.needle.direction)) / float(np.linalg.norm(ray))
        travel_deg, travel_s = self.system.travel(start, gantry)
        return View(
            kind, arm, gantry, travel_deg, travel_s,
            (float(entry[0]), float(entry[1])), (float(tip[0]), float(tip[1])),
            math.degrees(math.acos(min(1.0, cosine))),
        )  # fmt: skip

    def progress(self, start: Range, refused: list[str]) -> tuple[View, ...]:
        """Least travel first, then the least on the other side of the needle."""
        turn = np.arange(0.0, 360.0, _COARSE_DEG)
        tried: list[str] = []
        found: list[View] = []
        for q in turn[np.argsort(self._travel(turn, start), kind="stable")]:
            d = self._direction(float(q))
            if found and _angle(d, found[0].c_arm.direction) < APART_DEG:
                continue
            view = self.view("progress", d, start, tried)
            if view is not None:
                found.append(self._refined(float(q), view, start))
                if len(found) == 2:
                    break
        refused += tried[:3]
        return tuple(found)

    def _refined(self, turn: float, view: View, start: Range) -> View:
        """The allowed view with the least travel near a coarse one, by ever finer grids."""
        step = _COARSE_DEG
        for _ in range(5):
            step /= 10.0
            near = turn + step * np.arange(-10.0, 11.0)
            travel = self._travel(near, start)
            for k in np.argsort(travel, kind="stable"):
                if travel[k] >= view.travel_deg - 1e-12:
                    break
                other = self.view("progress", self._direction(float(near[k])), start, [])
                if other is not None:
                    view, turn = other, float(near[k])
                    break
        return view

    def _direction(self, turn: float) -> NDArray[np.float64]:
        made: NDArray[np.float64] = progress_directions(
            self.needle, self.iso, self.system.source_isocentre_mm, np.array([turn])
        )[0]
        return made

    def _travel(self, turn: NDArray[np.float64], start: Range) -> NDArray[np.float64]:
        """Travel in degrees, infinite outside the gantry's limits."""
        d = progress_directions(self.needle, self.iso, self.system.source_isocentre_mm, turn)
        room = d @ room_from_lps(self.position).T
        primary = np.degrees(np.arctan2(room[:, 0], -room[:, 1]))
        secondary = np.degrees(np.arctan2(room[:, 2], np.hypot(room[:, 0], room[:, 1])))
        out: NDArray[np.float64] = np.hypot(primary - start[0], secondary - start[1])
        return out


def angle_words(primary_deg: float, secondary_deg: float) -> str:
    """``"LAO 23.4, CRA 5.0 deg"``."""
    side = "LAO" if primary_deg >= 0 else "RAO"
    end = "CRA" if secondary_deg >= 0 else "CAU"
    return f"{side} {abs(primary_deg):.1f}, {end} {abs(secondary_deg):.1f} deg"


def _angle(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return math.degrees(math.acos(max(-1.0, min(1.0, float(a @ b)))))


def _no_view(what: str, refused: list[str], system: CArmSystem) -> NoViewError:
    return NoViewError(
        what,
        got="none within limits and clear of obstacles; " + " | ".join(refused[:3]),
        expected=f"a {what} that '{system.name}' can reach",
        remedy="Move the table so that another point is the isocentre, choose another path, or "
        "check the system file.",
    )
