"""Slices as pictures: any plane of the image as 32-bit pixels with labels laid over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, Volume

ViewName = Literal["axial", "coronal", "sagittal", "eye"]
Mode = Literal["slice", "mip", "minip", "mean"]
#: Name -> (array axis that is stepped through, that runs right, that runs down, their signs).
#: Axial from the feet, coronal from the front, sagittal from the left.
_AXES: Final[Mapping[str, tuple[int, int, int, tuple[float, ...], tuple[float, ...]]]] = {
    "axial": (0, 2, 1, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "coronal": (1, 2, 0, (1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "sagittal": (2, 1, 0, (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}
#: Half the side of the needle's-eye picture and its pixel, mm.
EYE_HALF_MM, EYE_STEP_MM = 70.0, 0.7
_LEVELS = 256


@dataclass(frozen=True)
class Window:
    """What grey values mean: width and level, HU."""

    width_hu: float
    level_hu: float


#: Presets by name [S: usual in CT].
WINDOWS: Final[Mapping[str, Window]] = {
    "Abdomen": Window(400.0, 40.0),
    "Liver": Window(160.0, 100.0),
    "Lung": Window(1500.0, -600.0),
    "Bone": Window(1800.0, 400.0),
    "Needle": Window(3000.0, 800.0),
}


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture's place in the patient.

    ``origin_mm`` is the centre of pixel (row 0, column 0); ``right`` and ``down`` are LPS unit
    vectors along columns and rows; ``step`` mm a pixel (right, down); ``shape`` (rows, columns).
    ``axis`` and ``index``: the array axis stepped through and where, for a slice of the grid.
    """

    name: ViewName
    origin_mm: NDArray[np.float64]
    right: NDArray[np.float64]
    down: NDArray[np.float64]
    step: tuple[float, float]
    shape: tuple[int, int]
    axis: int | None = None
    index: int = 0
    flip_right: bool = False
    flip_down: bool = False

    @cached_property
    def away(self) -> NDArray[np.float64]:
        """(3,) unit vector into the picture, away from the reader."""
        out: NDArray[np.float64] = np.cross(self.right, self.down)
        return out

    @cached_property
    def place(self) -> tuple[float, ...]:
        """What tells one frame from another: origin, right and down, rounded."""
        return tuple(
            np.round(
                np.concatenate([self.origin_mm, 1e3 * self.right, 1e3 * self.down]), 3
            ).tolist()
        )

    def to_picture(self, points_mm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(..., 2) mm right and down of the origin, and (...,) mm behind the picture."""
        rel = np.asarray(points_mm, dtype=np.float64) - self.origin_mm
        uv: NDArray[np.float64] = np.stack([rel @ self.right, rel @ self.down], axis=-1)
        off: NDArray[np.float64] = rel @ self.away
        return uv, off

    def to_patient(self, u_mm: float, v_mm: float, off_mm: float = 0.0) -> NDArray[np.float64]:
        """(3,) LPS mm of a place in (or ``off_mm`` behind) the picture."""
        out: NDArray[np.float64] = (
            self.origin_mm + u_mm * self.right + v_mm * self.down + off_mm * self.away
        )
        return out

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height, mm."""
        return (self.shape[1] * self.step[0], self.shape[0] * self.step[1])


def slice_frame(grid: Grid, name: ViewName, point_mm: ArrayLike) -> Frame:
    """The grid's slice through a point ("axial", "coronal", "sagittal"), as radiologists look."""
    axis, right_axis, down_axis, right_wanted, down_wanted = _AXES[name]
    index = np.rint(grid.lps_to_index(np.asarray(point_mm, dtype=np.float64)))
    index = np.clip(index, 0, np.asarray(grid.shape) - 1)
    right, down = grid.direction[:, right_axis].copy(), grid.direction[:, down_axis].copy()
    flips = []
    for way, wanted in ((right, right_wanted), (down, down_wanted)):
        flips.append(float(way @ np.asarray(wanted)) < 0.0)
    corner = np.zeros(3)
    corner[axis] = index[axis]
    if flips[0]:
        right, corner[right_axis] = -right, grid.shape[right_axis] - 1
    if flips[1]:
        down, corner[down_axis] = -down, grid.shape[down_axis] - 1
    step = (grid.spacing_mm[right_axis], grid.spacing_mm[down_axis])
    shape = (grid.shape[down_axis], grid.shape[right_axis])
    origin = grid.index_to_lps(corner)
    return Frame(name, origin, right, down, step, shape, axis, int(index[axis]), flips[0], flips[1])


def eye_frame(needle: Needle, depth_mm: float) -> Frame:
    """Across a needle at a depth from its entry, seen along it from the skin."""
    from irplan.viz.needles_eye import view_axes

    right, up = view_axes(needle.direction)
    middle = needle.point_at(depth_mm)
    count = 2 * round(EYE_HALF_MM / EYE_STEP_MM) + 1
    half = EYE_STEP_MM * (count - 1) / 2
    origin = middle - half * right + half * up
    step = (EYE_STEP_MM, EYE_STEP_MM)
    return Frame("eye", origin, right, -up, step, (count, count))


@dataclass(frozen=True)
class Look:
    """How slices are shown: window, slab, which labels at what opacity (0..1)."""

    window: Window = WINDOWS["Abdomen"]
    mode: Mode = "slice"
    thickness_mm: float = 0.0
    opacity: float = 0.35
    hidden: frozenset[str] = frozenset({"body", "fat", "muscle"})


class SlicePainter:
    """Makes pictures; keeps what the last ones had in common."""

    def __init__(self) -> None:
        self._blend: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._blend_key: tuple[Any, ...] = ()
        self._grey: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._grey_key: Window | None = None

    def picture(
        self, volume: Volume, labels: LabelMap | None, frame: Frame, look: Look
    ) -> NDArray[np.uint32]:
        """(row, column) pixels 0xffRRGGBB of the image with the labels over it."""
        hu = self._values(volume, frame, look)
        grey = self._as_grey(hu, look.window)
        if labels is None or look.opacity <= 0.0:
            plain: NDArray[np.uint32] = np.uint32(0xFF000000) | (
                grey.astype(np.uint32) * np.uint32(0x010101)
            )
            return plain
        over = _labels_on(labels, frame)
        table = self._table(labels, look)
        out: NDArray[np.uint32] = table[(over.astype(np.uint16) << 8) | grey]
        return out

    def _values(self, volume: Volume, frame: Frame, look: Look) -> NDArray[Any]:
        if frame.axis is None:
            return _oblique(volume, frame, look)
        if look.mode == "slice":
            return _oriented(np.take(volume.array, frame.index, axis=frame.axis), frame)
        spacing = volume.grid.spacing_mm[frame.axis]
        half = max(0, round(0.5 * look.thickness_mm / spacing))
        first = max(0, frame.index - half)
        part = [slice(None)] * 3
        part[frame.axis] = slice(first, min(volume.grid.shape[frame.axis], frame.index + half + 1))
        return _oriented(_projected(volume.array[tuple(part)], look.mode, frame.axis), frame)

    def _as_grey(self, hu: NDArray[Any], window: Window) -> NDArray[np.uint8]:
        low = window.level_hu - window.width_hu / 2
        if hu.dtype != np.int16:
            scaled = (hu.astype(np.float32) - low) * np.float32(255.0 / window.width_hu)
            out: NDArray[np.uint8] = np.clip(scaled, 0.0, 255.0).astype(np.uint8)
            return out
        if self._grey_key != window:
            every = np.arange(-32768, 32768, dtype=np.float32)
            scaled = (every - low) * np.float32(255.0 / window.width_hu)
            self._grey = np.roll(np.clip(scaled, 0.0, 255.0).astype(np.uint8), 32768)
            self._grey_key = window
        return self._grey[hu.view(np.uint16)]

    def _table(self, labels: LabelMap, look: Look) -> NDArray[np.uint32]:
        key = (labels.labels, look.opacity, look.hidden)
        if key != self._blend_key:
            grey = np.arange(_LEVELS, dtype=np.float32)
            table = np.repeat(grey[None, :, None], 256, axis=0).repeat(3, axis=2)
            for x in labels.labels:
                if x.name not in look.hidden:
                    colour = np.asarray(x.colour, np.float32)
                    table[x.value] = (1 - look.opacity) * table[x.value] + look.opacity * colour
            rgb = np.rint(table).astype(np.uint32)
            packed: NDArray[np.uint32] = np.full(rgb.shape[:2], 0xFF000000, dtype=np.uint32)
            packed |= (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
            self._blend = packed.reshape(-1)
            self._blend_key = key
        return self._blend


def _oriented(plane: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """A slice of the grid as (down, right); all its axes are in that order already."""
    if frame.flip_right:
        plane = plane[:, ::-1]
    if frame.flip_down:
        plane = plane[::-1]
    return np.ascontiguousarray(plane)


def _projected(part: NDArray[Any], mode: Mode, axis: int) -> NDArray[Any]:
    if mode == "mip":
        out: NDArray[Any] = part.max(axis=axis)
    elif mode == "minip":
        out = part.min(axis=axis)
    else:
        out = part.mean(axis=axis, dtype=np.float32)
    return out


def _labels_on(labels: LabelMap, frame: Frame) -> NDArray[np.uint8]:
    if frame.axis is not None:
        return _oriented(np.take(labels.array, frame.index, axis=frame.axis), frame)
    index = np.rint(frame_index(labels.grid, frame)).astype(np.int64)
    shape = np.asarray(labels.grid.shape)[:, None, None]
    inside = np.all((index >= 0) & (index < shape), axis=0)
    index = np.clip(index, 0, shape - 1)
    found = labels.array[index[0], index[1], index[2]]
    out: NDArray[np.uint8] = np.where(inside, found, np.uint8(0))
    return out


def frame_index(
    grid: Grid, frame: Frame, *, offset_mm: float = 0.0, every: int = 1
) -> NDArray[np.float64]:
    """(3, rows, columns) fractional index on ``grid`` of every (n-th) pixel's centre."""
    inverse = grid.inverse
    origin = inverse[:3, :3] @ (frame.origin_mm + offset_mm * frame.away) + inverse[:3, 3]
    across = inverse[:3, :3] @ frame.right * frame.step[0]
    down = inverse[:3, :3] @ frame.down * frame.step[1]
    rows = np.arange(0, frame.shape[0], every, dtype=np.float64)
    columns = np.arange(0, frame.shape[1], every, dtype=np.float64)
    out: NDArray[np.float64] = (
        origin[:, None, None]
        + rows[None, :, None] * down[:, None, None]
        + columns[None, None, :] * across[:, None, None]
    )
    return out


def _oblique(volume: Volume, frame: Frame, look: Look) -> NDArray[np.float32]:
    from scipy.ndimage import map_coordinates

    depths: Sequence[float] = (0.0,)
    if look.mode != "slice" and look.thickness_mm > 0:
        depths = [float(d) for d in np.linspace(-0.5, 0.5, 9) * look.thickness_mm]
    layers = [
        map_coordinates(
            volume.array, frame_index(volume.grid, frame, offset_mm=d), order=1,
            mode="constant", cval=-1024.0, output=np.float32,
        )
        for d in depths
    ]  # fmt: skip
    if len(layers) == 1:
        only: NDArray[np.float32] = layers[0]
        return only
    out: NDArray[np.float32] = _projected(np.stack(layers), look.mode, 0)
    return out
