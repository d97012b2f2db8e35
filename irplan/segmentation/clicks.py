"""A user's click: this point is liver, or it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from irplan.errors import InputError
from irplan.geometry import Grid, Point3, as_point


@dataclass(frozen=True)
class Click:
    """``point_mm`` (LPS) is ``inside`` the liver, or outside of it.

    Raises `GeometryError` for a point that is not three finite numbers.
    """

    point_mm: Point3
    inside: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "point_mm", as_point(self.point_mm, field="click.point_mm"))
        object.__setattr__(self, "inside", bool(self.inside))

    @property
    def words(self) -> str:
        """Label and place in a few words."""
        x, y, z = self.point_mm
        label = "inside" if self.inside else "outside"
        return f"{label} at ({x:.1f}, {y:.1f}, {z:.1f}) mm"


def check_clicks(clicks: Iterable[Click], grid: Grid) -> tuple[Click, ...]:
    """The clicks, each once, in their order.

    Raises `InputError` for a point outside the image, and for one voxel clicked both inside and
    outside: which of the two is meant cannot be told.
    """
    seen: dict[tuple[int, ...], Click] = {}
    for click in clicks:
        if not bool(grid.contains(click.point_mm)):
            corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape]))
            ends = grid.index_to_lps(corners.reshape(3, -1).T)
            low, high = ends.min(axis=0), ends.max(axis=0)
            raise InputError(
                "click",
                got=f"a point {click.words}, outside the image",
                expected="LPS mm within "
                + ", ".join(f"{a:.0f}..{b:.0f}" for a, b in zip(low, high, strict=True)),
                remedy="Check the sign of x and y: LPS runs to the left and to the back, RAS "
                "(NIfTI, Slicer's display) the other way.",
            )
        voxel = tuple(int(n) for n in np.rint(grid.lps_to_index(click.point_mm)))
        other = seen.setdefault(voxel, click)
        if other.inside != click.inside:
            raise InputError(
                "click",
                got=f"one voxel clicked both ways: {other.words}, {click.words}",
                expected="each point either inside or outside the liver",
                remedy="Undo the earlier click, or place the later one at least a voxel away.",
            )
    return tuple(seen.values())
