"""A label map over its CT, in the three planes through its middle."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from irplan.geometry.orientation import UPRIGHT, reorder_axes
from irplan.image import LabelMap, Volume
from irplan.viz.style import new_figure, styled

_WINDOW_HU = (-60.0, 200.0)


def label_planes(volume: Volume, labels: LabelMap) -> Figure:
    """Axial, coronal and sagittal plane through the middle of what was found, labels over grey.

    ``labels`` on the volume's grid.  The patient's right is on the left, the head on top.
    """
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
            axes.imshow(
                grey, cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1], aspect=float(aspect),
                interpolation="nearest",
            )  # fmt: skip
            tint = np.zeros((*plane.shape, 4))
            for label in labels.labels:
                rgb = to_rgb(tuple(v / 255.0 for v in label.colour))
                tint[plane == label.value] = (*rgb, 0.45)
            axes.imshow(tint, aspect=float(aspect), interpolation="nearest")
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
    return figure
