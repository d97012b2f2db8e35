"""Guidance: C-arm views, live needle checks, verification of what was achieved."""

from irplan.guidance.live import LiveCheck, LiveLimits, LiveReading
from irplan.guidance.margin_verdict import MarginVerdict, judge_margin
from irplan.guidance.needle_match import (
    NeedleMatch,
    NeedleMatches,
    PlacementError,
    match_needles,
    placement_error,
)
from irplan.guidance.room import RoomObstacles, room_obstacles
from irplan.guidance.system import GENERIC_SYSTEM, CArmSystem, ForbiddenAngles
from irplan.guidance.verification import Verification, propose_more_needles, verify
from irplan.guidance.views import NeedleViews, View, find_views

__all__ = [
    "GENERIC_SYSTEM",
    "CArmSystem",
    "ForbiddenAngles",
    "LiveCheck",
    "LiveLimits",
    "LiveReading",
    "MarginVerdict",
    "NeedleMatch",
    "NeedleMatches",
    "NeedleViews",
    "PlacementError",
    "RoomObstacles",
    "Verification",
    "View",
    "find_views",
    "judge_margin",
    "match_needles",
    "placement_error",
    "propose_more_needles",
    "room_obstacles",
    "verify",
]
