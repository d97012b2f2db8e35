"""Every stage of a segmented liver, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.segmentation.liver_result import LiverSegmentation, LiverStages
from irplan.viz import style

#: Abdominal CT window, HU.
WINDOW_HU, LEVEL_HU = 400.0, 40.0
_BODY, _LUNG, _BONE, _DOME = "#e6e6e6", "#3fb6ff", "#ffe14d", "#ff5fae"
_SEED_IN, _SEED_OUT = "#86d45c", "#ff6b57"

Plane = Callable[[NDArray[Any]], NDArray[Any]]


def segmentation_stages(liver: LiverSegmentation, z_mm: float | None = None) -> Figure:
    """All stages of `segment_liver` on one axial slice, and the result on a coronal one.

    ``z_mm``: LPS height of the axial slice; None takes the slice of the seeds (the largest liver
    slice).  Axes are LPS mm, the patient's right on the left.  Raises `InputError` for a height
    outside of the scan.
    """
    stages = liver.stages
    grid = stages.image.grid
    k = stages.seeds.slice_index if z_mm is None else _slice(stages, z_mm)
    height = float(grid.index_to_lps((k, 0, 0))[2])
    extent = _extent(stages, 1, 2)

    def axial(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values[k])

    with style.styled():
        figure = style.new_figure(14.6, 6.9)
        panels = figure.subplots(2, 4).reshape(-1)
        for axes in panels[:7]:
            _ct(axes, axial(stages.image.hu), extent)
        _line(panels[0], axial(stages.body), extent, _BODY)
        _line(panels[0], axial(stages.lung), extent, _LUNG)
        _line(panels[0], axial(stages.landmarks.bone), extent, _BONE)
        _line(panels[0], axial(stages.landmarks.cavity), extent, _DOME)
        _name(panels[0], "1 Landmarks", "body, lung, bone, cavity")
        _line(panels[1], axial(stages.voi.core), extent, style.LIVER)
        _line(panels[1], axial(stages.voi.voi), extent, _BODY)
        _line(panels[1], axial(stages.lumen.mask), extent, _LUNG)
        low, high = stages.voi.window_hu
        _name(
            panels[1],
            "2 Core and volume of interest",
            f"window {low:.0f} to {high:.0f} HU; blue: the gut's lumen",
        )
        _pieces(panels[2], axial(stages.supervoxels.labels), extent)
        _name(panels[2], "3 Supervoxels", f"{stages.supervoxels.count} in all")
        _line(panels[3], axial(stages.seeds.inside), extent, _SEED_IN)
        _line(panels[3], axial(stages.seeds.outside), extent, _SEED_OUT)
        _name(panels[3], "4 Seeds", "green: liver, red: not")
        _evidence(figure, panels[4], axial(stages.cut.evidence), axial(stages.voi.voi), extent)
        _name(panels[4], "5 Evidence", "nats a voxel, > 0 for liver")
        _line(panels[5], axial(stages.cut.mask), extent, _LUNG)
        _line(panels[5], axial(stages.organ), extent, style.LIVER)
        _name(panels[5], "6 Supervoxel cut", "blue: cut, orange: one organ, lesions kept")
        _line(panels[6], axial(stages.refined), extent, style.LIVER)
        _clicks(panels[6], liver, height)
        _name(panels[6], "7 Voxel cut in the band", f"{liver.volume_ml:.0f} ml in all")
        _coronal(panels[7], liver)
        figure.suptitle(
            f"Liver, {liver.method}: axial stages at z = {height:.0f} mm (DRAFT, research use)",
            fontsize=11,
        )
    return figure


def _slice(stages: LiverStages, z_mm: float) -> int:
    grid = stages.image.grid
    k = float(grid.lps_to_index((0.0, 0.0, z_mm))[0])
    if not -0.5 <= k <= grid.shape[0] - 0.5:
        low, high = (float(grid.index_to_lps((n, 0, 0))[2]) for n in (0, grid.shape[0] - 1))
        raise InputError(
            "z_mm",
            got=f"{z_mm:g}",
            expected=f"a height inside the scan, {low:.0f} to {high:.0f} mm",
            remedy="Give the LPS z of an axial slice, or none.",
        )
    return int(np.clip(round(k), 0, grid.shape[0] - 1))


def _extent(stages: LiverStages, row: int, column: int) -> tuple[float, float, float, float]:
    """LPS mm of the outer faces (left, right, bottom, top) with rows running down."""
    grid = stages.image.grid
    lps = {0: 2, 1: 1, 2: 0}
    first = grid.index_to_lps((-0.5, -0.5, -0.5))
    last = grid.index_to_lps(np.asarray(grid.shape) - 0.5)
    u, v = lps[column], lps[row]
    return float(first[u]), float(last[u]), float(last[v]), float(first[v])


def _ct(axes: Axes, hu: NDArray[Any], extent: tuple[float, float, float, float]) -> None:
    axes.imshow(
        hu,
        cmap="gray",
        vmin=LEVEL_HU - WINDOW_HU / 2,
        vmax=LEVEL_HU + WINDOW_HU / 2,
        extent=extent,
        interpolation="bilinear",
    )
    axes.tick_params(labelsize=7)


def _line(
    axes: Axes,
    mask: NDArray[Any],
    extent: tuple[float, float, float, float],
    colour: str,
) -> None:
    if not mask.any() or mask.all():
        return
    x, y = _centres(mask.shape, extent)
    axes.contour(x, y, mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.2)


def _centres(
    shape: tuple[int, ...], extent: tuple[float, float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right, bottom, top = extent
    rows, columns = shape
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = top + (np.arange(rows) + 0.5) * (bottom - top) / rows
    return x, y


def _pieces(axes: Axes, labels: NDArray[Any], extent: tuple[float, float, float, float]) -> None:
    edge = np.zeros(labels.shape, dtype=bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    shown = np.ma.masked_where(~edge, np.ones(labels.shape))
    axes.imshow(
        shown,
        cmap="autumn",
        vmin=0.0,
        vmax=1.5,
        extent=extent,
        interpolation="nearest",
        alpha=0.8,
    )


def _evidence(
    figure: Figure,
    axes: Axes,
    evidence: NDArray[Any],
    where: NDArray[Any],
    extent: tuple[float, float, float, float],
) -> None:
    shown = np.ma.masked_where(~where.astype(bool), evidence)
    picture = axes.imshow(
        shown,
        cmap="PuOr_r",
        vmin=-6.0,
        vmax=6.0,
        extent=extent,
        interpolation="nearest",
        alpha=0.75,
    )
    bar = figure.colorbar(picture, ax=axes, shrink=0.7, pad=0.02)
    bar.ax.tick_params(labelsize=7)


def _clicks(axes: Axes, liver: LiverSegmentation, height: float) -> None:
    """Clicks near the slice: + liver, x not liver."""
    for click in liver.clicks:
        x, y, z = click.point_mm
        if abs(z - height) <= 10.0:
            axes.plot(
                [x], [y], marker="+" if click.inside else "x", markersize=9, markeredgewidth=2,
                color=_SEED_IN if click.inside else _SEED_OUT,
            )  # fmt: skip


def _coronal(axes: Axes, liver: LiverSegmentation) -> None:
    stages = liver.stages
    row = int(np.argmax(stages.refined.sum(axis=(0, 2))))
    y = float(stages.image.grid.index_to_lps((0, row, 0))[1])
    extent = _extent(stages, 0, 2)
    left, right, bottom, top = extent
    # Slices run to the head: turned over, the head is up.
    up = (left, right, top, bottom)
    _ct(axes, stages.image.hu[::-1, row], up)
    _line(axes, stages.refined[::-1, row], up, style.LIVER)
    _line(axes, stages.lung[::-1, row], up, _LUNG)
    dome = stages.landmarks.dome_z
    if dome is not None:
        z = stages.image.grid.affine[2, 3] + dome[row] * stages.image.spacing_mm
        x = left + (np.arange(z.size) + 0.5) * (right - left) / z.size
        seen = np.isfinite(z)
        axes.plot(x[seen], z[seen], color=_DOME, linewidth=1.0)
    axes.set_xlim(left, right)
    axes.set_ylim(top, bottom)
    _name(axes, "8 Coronal", f"y = {y:.0f} mm; blue: lung, pink: diaphragm")


def _name(axes: Axes, title: str, words: str) -> None:
    axes.set_title(title, fontsize=9.5)
    axes.set_xlabel(words, fontsize=8)
