"""How a liver came about, stage by stage, and a label map over its CT."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from irplan.geometry.orientation import UPRIGHT, reorder_axes
from irplan.image import LabelMap, Volume
from irplan.segmentation.liver_result import LiverSegmentation
from irplan.viz.style import LIVER, NEEDLE, TARGET, new_figure, styled

_WINDOW_HU = (-60.0, 200.0)
Mask = NDArray[np.bool_]


def liver_stages_figure(liver: LiverSegmentation) -> Figure:
    """Body and lung, bone, volume of interest, supervoxels, seeds, evidence, cut, result.

    One axial slice, where the liver is largest, on the working grid (feet to head, front up, the
    patient's right on the left); the last panel is the coronal slice through the liver's middle.
    """
    s = liver.stages
    areas = s.refined.sum(axis=(1, 2))
    k = int(np.argmax(areas))
    row = int(np.argmax(s.refined.sum(axis=(0, 2))))
    hu, aspect = s.image.hu, 1.0
    labels = s.supervoxels.labels[k]
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    edges &= labels >= 0
    seeds = s.seeds.slice_index
    panels: list[tuple[str, NDArray[Any], list[tuple[Mask, str, bool]]]] = [
        ("1 body, lung", hu[k], [(s.body[k], "#3fb6ff", False), (s.lung[k], "#9fd3ff", True)]),
        ("2 bone, rib cage", hu[k], [(s.landmarks.bone[k], NEEDLE, True),
                                     (s.landmarks.cage[k], "#ffffff", False)]),
        ("3 core, volume of interest", s.voi.smooth[k], [(s.voi.core[k], LIVER, True),
                                                         (s.voi.voi[k], "#ffffff", False)]),
        ("4 supervoxels", s.voi.smooth[k], [(edges, "#3fb6ff", True)]),
        (f"5 seeds (slice {seeds})", hu[seeds], [(s.seeds.inside[seeds], LIVER, True),
                                                 (s.seeds.outside[seeds], "#5b6bff", True)]),
        ("6 graph cut", hu[k], [(s.cut.mask[k], LIVER, False),
                                (s.cut.forbidden[k] & s.voi.voi[k], TARGET, True)]),
        ("7 organ, refined surface", hu[k], [(s.organ[k], "#ffffff", False),
                                             (s.refined[k], LIVER, False)]),
        ("8 coronal: result", hu[::-1, row], [(s.refined[::-1, row], LIVER, False)]),
    ]  # fmt: skip
    with styled():
        figure = new_figure(13.0, 6.9)
        for n, (title, grey, overlays) in enumerate(panels, start=1):
            axes = figure.add_subplot(2, 4, n)
            _show(axes, grey, title, aspect)
            for mask, colour, fill in overlays:
                _overlay(axes, mask, colour, fill)
        figure.suptitle(
            f"Liver by supervoxel graph cut ({liver.method}): {liver.volume_ml:.0f} ml, "
            f"{liver.mean_hu:.0f} HU, {len(liver.clicks)} clicks.  Research use only.",
            fontsize=10.5,
        )
    return figure


def label_figure(volume: Volume, labels: LabelMap) -> Figure:
    """The three middle planes of what was found, labels over grey."""
    hu, affine = reorder_axes(volume.array, volume.grid.affine, UPRIGHT)
    array, _ = reorder_axes(labels.array, volume.grid.affine, UPRIGHT)
    step = np.linalg.norm(affine[:3, :3], axis=0)
    found = np.argwhere(array)
    middle = found.mean(axis=0) if len(found) else (np.array(hu.shape) - 1) / 2
    a, b, c = (round(float(v)) for v in middle)
    planes = [
        ("axial", hu[a], array[a], step[1] / step[2]),
        ("coronal", hu[::-1, b], array[::-1, b], step[0] / step[2]),
        ("sagittal", hu[::-1, :, c], array[::-1, :, c], step[0] / step[1]),
    ]
    with styled():
        figure = new_figure(13.0, 4.8)
        for n, (title, grey, plane, aspect) in enumerate(planes, start=1):
            axes = figure.add_subplot(1, 3, n)
            _show(axes, grey, title, float(aspect))
            for label in labels.labels:
                colour = tuple(v / 255.0 for v in label.colour)
                _overlay(axes, plane == label.value, colour, True)
    return figure


def _show(axes: Axes, grey: NDArray[Any], title: str, aspect: float) -> None:
    axes.imshow(
        grey, cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1], aspect=aspect,
        interpolation="nearest",
    )  # fmt: skip
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])


def _overlay(axes: Axes, mask: Mask, colour: Any, fill: bool) -> None:
    if not mask.any():
        return
    if fill:
        tint = np.zeros((*mask.shape, 4))
        tint[mask] = (*to_rgb(colour), 0.45)
        axes.imshow(tint, aspect=axes.get_aspect(), interpolation="nearest")
    elif not mask.all():
        axes.contour(mask.astype(float), [0.5], colors=[to_rgb(colour)], linewidths=1.2)
