"""Frames, grids, needles: pure geometry in LPS millimetres."""

from irplan.geometry.c_arm import CArm
from irplan.geometry.grid import Grid
from irplan.geometry.needle import Needle
from irplan.geometry.points import Point3, as_point

__all__ = ["CArm", "Grid", "Needle", "Point3", "as_point"]
