"""Frames, grids, needles: pure geometry in LPS millimetres."""

from irplan.geometry.grid import Grid
from irplan.geometry.needle import Needle
from irplan.geometry.points import Point3, as_point

__all__ = ["Grid", "Needle", "Point3", "as_point"]
