"""What stands in the C-arm's way: table, skin and the hubs of needles, as points in the room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from irplan.geometry import CArm, Needle, Point3
from irplan.geometry.patient_position import room_from_lps
from irplan.guidance.system import CArmSystem
from irplan.image import LabelMap

#: Distance of neighbouring points on the table, mm, and number of points on the skin.
_STEP_MM, _SKIN_POINTS = 25.0, 3000
#: The table is looked at this far to the head and the feet of the isocentre, mm.
_TABLE_REACH_MM = 700.0


@dataclass(frozen=True, eq=False)
class RoomObstacles:
    """Points that neither housing may come near, relative to the isocentre in room axes, mm.

    ``points_mm`` (n, 3); ``kinds`` (n,) index into ``names``.  Made by `room_obstacles`.
    """

    points_mm: NDArray[np.float64]
    kinds: NDArray[np.intp]
    names: tuple[str, ...]

    def met_by(self, arm: CArm, system: CArmSystem) -> str:
        """What a housing of ``arm`` would meet, in words with the gap; empty where nothing.

        The detector's housing is a cylinder about the beam from the detector outwards, the
        tube's one from ``tube_front_mm`` before the focal spot outwards; both are grown by the
        clearance.
        """
        d = room_from_lps(arm.patient_position) @ arm.direction
        along = self.points_mm @ d
        across = np.linalg.norm(self.points_mm - along[:, None] * d, axis=1)
        out = []
        for word, depth, radius in (
            (
                "detector",
                along - (system.source_detector_mm - system.source_isocentre_mm),
                system.detector_radius_mm,
            ),
            (
                "tube",
                -along - (system.source_isocentre_mm - system.tube_front_mm),
                system.tube_radius_mm,
            ),
        ):
            # signed gap to a half-infinite cylinder: outside its front, its side, or the rim
            front, side = -depth, across - radius
            gap = np.where((front > 0) & (side > 0), np.hypot(front, side), np.maximum(front, side))
            for kind, name in enumerate(self.names):
                of = gap[self.kinds == kind]
                least = float(of.min()) if of.size else np.inf
                if least < system.clearance_mm:
                    what = f"{least:.0f} mm from" if least > 0 else "in"
                    out.append(f"{word} {what} {name}")
        return "; ".join(out)


def room_obstacles(
    system: CArmSystem,
    isocentre_mm: Point3,
    patient_position: str,
    *,
    labels: LabelMap | None = None,
    needles: Sequence[Needle] = (),
) -> RoomObstacles:
    """Obstacles about an isocentre (LPS mm).

    ``labels`` give the skin (its face where the image ends is none) and with it the table's
    height; without them the table stands only where the system names its height.  ``needles``
    stand out of the skin by the system's ``hub_mm``.
    """
    turn, iso = room_from_lps(patient_position), np.array(isocentre_mm)
    parts: list[tuple[str, NDArray[np.float64]]] = []
    top = system.table_below_isocentre_mm
    if labels is not None:
        skin = (_skin(labels) - iso) @ turn.T
        if top is None and len(skin):
            top = max(0.0, float(skin[:, 1].max()))
        parts.append(("the skin", skin[:: max(1, len(skin) // _SKIN_POINTS)]))
    if top is not None and system.table_half_width_mm > 0.0:
        parts.append(("the table", _slab(top, system)))
    for number, needle in enumerate(needles, start=1):
        back = np.linspace(0.0, system.hub_mm, 13)[:, None]
        hub = np.array(needle.entry_mm) - back * needle.direction
        parts.append((f"the hub of needle {number}", (hub - iso) @ turn.T))
    names = tuple(name for name, _ in parts)
    if not parts:
        return RoomObstacles(np.empty((0, 3)), np.empty(0, np.intp), ())
    kinds = np.repeat(np.arange(len(parts)), [len(p) for _, p in parts])
    return RoomObstacles(np.concatenate([p for _, p in parts]), kinds, names)


def _slab(top_mm: float, system: CArmSystem) -> NDArray[np.float64]:
    half = system.table_half_width_mm
    x = np.linspace(-half, half, 2 + int(2 * half / _STEP_MM))
    z = np.arange(-_TABLE_REACH_MM, _TABLE_REACH_MM + 1.0, _STEP_MM)
    layers = [top_mm, top_mm + system.table_thickness_mm]
    return np.stack(np.meshgrid(x, layers, z, indexing="ij"), axis=-1).reshape(-1, 3)


def _skin(labels: LabelMap) -> NDArray[np.float64]:
    """(n, 3) LPS mm of the voxels on the body's outline in slices about 10 mm apart."""
    every = max(1, round(10.0 / labels.grid.spacing_mm[0]))
    body = labels.array[::every] != 0
    rim = body & ~binary_erosion(body, np.ones((1, 3, 3), dtype=bool), border_value=1)
    index = np.argwhere(rim) * (every, 1, 1)
    return np.asarray(labels.grid.index_to_lps(index), dtype=np.float64)
