"""From the anatomy to voxels: the noise-free image and its labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.compute import Progress, no_progress
from irplan.errors import GeometryError
from irplan.geometry import Grid
from irplan.image import structure
from irplan.phantom.anatomy import Anatomy, fill_scene
from irplan.phantom.body import Body
from irplan.phantom.lattice import STEP_MM, spline_weights
from irplan.phantom.lesion import Tumour
from irplan.phantom.scene import Scene
from irplan.phantom.tissues import TISSUES
from irplan.phantom.variant import KERNELS, PLAIN, Variant

#: In-plane extent of the edge ramp: full width of a soft-tissue kernel's edge spread, mm.
BLUR_MM = 1.1
AIR_HU = -1000.0
#: What full cirrhosis adds to the SD of the parenchyma's texture, HU [S: nodules 5-15 HU apart].
CIRRHOTIC_TEXTURE_HU = 6.0
_BLOCK = 8


def paint_anatomy(
    anatomy: Anatomy,
    grid: Grid,
    hu: dict[str, float],
    *,
    table: bool,
    variant: Variant = PLAIN,
    progress: Progress = no_progress,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Image (HU, float32, no noise) and labels (uint8) of all organs on ``grid``.

    ``hu`` maps every tissue of `TISSUES` to this patient's CT number.  Tumours come afterwards
    (`paint_tumour`).  ``variant`` decides layers, texture, the table's side and the edges' width.
    """
    from irplan.compute.cpu.phantom import paint_layers

    texture = {row.name: row.texture_hu for row in TISSUES}
    texture["liver"] += CIRRHOTIC_TEXTURE_HU * variant.cirrhosis
    blur_mm = KERNELS[variant.kernel][1]
    scene = Scene(hu, texture)
    fill_scene(anatomy, scene, variant)
    lattice = anatomy.lattice
    fields = np.stack([*scene.fields, anatomy.grain])
    x = np.float32(grid.affine[0, 3]) + np.float32(grid.spacing_mm[2]) * np.arange(
        grid.shape[2], dtype=np.float32
    )
    y = np.float32(grid.affine[1, 3]) + np.float32(grid.spacing_mm[1]) * np.arange(
        grid.shape[1], dtype=np.float32
    )
    z = np.float32(grid.affine[2, 3]) + np.float32(grid.spacing_mm[0]) * np.arange(
        grid.shape[0], dtype=np.float32
    )
    index = [((v - a[0]) / np.float32(STEP_MM)) for v, a in ((z, lattice.z), (y, lattice.y))]
    across = (x - lattice.x[0]) / np.float32(STEP_MM)
    boxes = _boxes(scene.fields, index[0], index[1], across)
    image = np.empty(grid.shape, dtype=np.float32)
    image[:] = _background(anatomy.body, x, y, hu, table, variant.prone)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    half = grid.spacing_mm[0] / 2 / STEP_MM
    tubes = np.concatenate(scene.tubes)
    layers = np.array(scene.rows, dtype=np.int64)
    tissue_rows = np.array([scene.hu, scene.texture], dtype=np.float32).T.copy()
    column, weight = spline_weights(across, lattice.x.size)
    for first in range(0, grid.shape[0], _BLOCK):
        part = slice(first, min(first + _BLOCK, grid.shape[0]))
        paint_layers(
            fields,
            boxes,
            tubes,
            layers,
            tissue_rows,
            index[0],
            index[1],
            column,
            weight,
            z,
            y,
            x,
            half,
            grid.spacing_mm[0],
            blur_mm,
            first,
            image[part],
            labels[part],
        )
        progress(part.stop / grid.shape[0], "painting slices")
    return image, labels


def _boxes(
    fields: list[NDArray[np.float32]],
    z: NDArray[np.float32],
    y: NDArray[np.float32],
    x: NDArray[np.float32],
) -> NDArray[np.int64]:
    """(F, 6) output index ranges in which each field may be painted."""
    out = np.zeros((len(fields), 6), dtype=np.int64)
    for k, field in enumerate(fields):
        near = field < 3.0 + STEP_MM
        for axis, lines in enumerate((z, y, x)):
            other = tuple(j for j in range(3) if j != axis)
            hit = np.flatnonzero(near.any(axis=other))
            if hit.size == 0:
                out[k, 2 * axis : 2 * axis + 2] = (1, 0)
                continue
            low = np.searchsorted(lines, hit[0] - 2.0)
            high = np.searchsorted(lines, hit[-1] + 2.0) - 1
            out[k, 2 * axis : 2 * axis + 2] = (low, high)
    return out


def _background(
    body: Body,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    hu: dict[str, float],
    table: bool,
    prone: bool,
) -> NDArray[np.float32]:
    """Air, and a curved table top under the back: foam between two thin plates."""
    out = np.full((y.size, x.size), AIR_HU, dtype=np.float32)
    if not table:
        return out
    back = 1.06 * body.half_depth if prone else body.half_depth
    top = back + 5.0 - 6.0 * (x / 200.0) ** 2
    depth = (-y if prone else y)[:, None] - top[None, :]
    width = np.abs(x)[None, :] - 205.0
    for inset, name in ((0.0, "table_shell"), (1.6, "table")):
        f = np.maximum(np.maximum(inset - depth, depth - (14.0 - inset)), width + inset)
        cover = np.clip(0.5 - f / BLUR_MM, 0.0, 1.0)
        out += cover * (np.float32(hu[name]) - out)
    return out.astype(np.float32)


def paint_tumour(
    image: NDArray[np.float32],
    labels: NDArray[np.uint8],
    grid: Grid,
    lesion: Tumour,
    hu: float,
    blur_mm: float = BLUR_MM,
) -> None:
    """Composite one tumour over what is there; slices are averaged over five sub-slices.

    A tumour that the scan does not reach changes nothing.
    """
    surface = lesion.surface()
    try:
        start, shape = grid.box_around(surface, 2.0 * blur_mm)
    except GeometryError:  # the scan was cut before it
        return
    part = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
    axes = [np.arange(s, s + n) for s, n in zip(start, shape, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points = grid.index_to_lps(index)
    cover = np.zeros(shape, dtype=np.float64)
    for k in range(-2, 3):
        offset = np.array([0.0, 0.0, 0.2 * k * grid.spacing_mm[0]])
        distance = lesion.signed_distance(points + offset)
        cover += np.clip(0.5 - distance / blur_mm, 0.0, 1.0) / 5.0
        if k == 0:
            labels[part][distance < 0.0] = structure("tumour").value
    image[part] += (cover * (hu - image[part])).astype(np.float32)


def organ_mask(anatomy: Anatomy, grid: Grid, labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The liver inside its capsule: parenchyma, tumours, and the vessels within its field."""
    out: NDArray[np.bool_] = np.isin(labels, [structure(n).value for n in ("liver", "tumour")])
    veins = [structure(n).value for n in ("portal_vein", "hepatic_vein", "artery", "vessel")]
    index = np.argwhere(np.isin(labels, veins))
    if index.size:
        inside = anatomy.lattice.sample(anatomy.liver.field, grid.index_to_lps(index)) < 0.0
        out[tuple(index[inside].T)] = True
    return out
