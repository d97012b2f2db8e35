"""Guidance: C-arm views, live needle checks, verification of what was achieved."""

from irplan.guidance.needle_match import (
    NeedleMatch,
    NeedleMatches,
    PlacementError,
    match_needles,
    placement_error,
)
from irplan.guidance.room import RoomObstacles, room_obstacles
from irplan.guidance.system import GENERIC_SYSTEM, CArmSystem, ForbiddenAngles
from irplan.guidance.views import NeedleViews, View, find_views

__all__ = [
    "GENERIC_SYSTEM",
    "CArmSystem",
    "ForbiddenAngles",
    "NeedleMatch",
    "NeedleMatches",
    "NeedleViews",
    "PlacementError",
    "RoomObstacles",
    "View",
    "find_views",
    "match_needles",
    "placement_error",
    "room_obstacles",
]
