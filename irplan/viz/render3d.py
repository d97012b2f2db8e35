"""The child process that draws the 3D picture: ``python -m irplan.viz.render3d in.npz out.png``.

It is run by `irplan.viz.scene`, never imported by it: when OpenGL is missing VTK does not raise,
it ends the process.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from irplan.geometry import Grid
from irplan.image import structure
from irplan.viz import style
from irplan.viz.meshes import Mesh, isosurface, mask_surface
from irplan.viz.scene_parts import (
    add_glass,
    add_lights,
    add_needles,
    add_solid,
    averaged_down,
    glass_surface,
    window_opacity,
)
from irplan.viz.scene_view import (
    add_orientation_cube,
    camera_direction,
    free_side,
    needle_directions,
    place_camera,
)

#: (names, voxel mm, smoothing mm, opacity, colour or None for the structure's own, legend)
_ORGANS: tuple[tuple[tuple[str, ...], float, float, float, str | None, str], ...] = (
    (("kidney_left", "kidney_right"), 2.0, 1.5, 1.0, "#b9735f", "Kidneys"),
    (("spleen",), 2.5, 2.0, 0.6, None, "Spleen"),
    (("stomach",), 2.5, 2.0, 0.22, "#d8a58c", ""),
    (("gallbladder",), 1.2, 1.0, 1.0, "#6fb64a", "Gallbladder"),
    (("vena_cava",), 1.5, 1.2, 1.0, "#3f63b5", "Vena cava"),
    (("hepatic_vein",), 1.0, 0.6, 1.0, "#5f7fe0", "Hepatic veins"),
    (("portal_vein",), 1.0, 0.6, 1.0, "#1fa3d8", "Portal vein"),
    (("vessel", "vessel_in_part"), 1.0, 0.6, 1.0, "#4d74d6", "Other vessels"),
    (("artery",), 1.0, 0.6, 1.0, "#d82c3c", "Arteries"),
)
_LIVER = ("liver", "tumour", "portal_vein", "hepatic_vein", "vessel", "vessel_in_part")
_LIVER_COLOUR = "#c4623f"
_BONE_COLOUR = "#efe6cf"
_SKIN_COLOUR = "#e8bfa3"
#: Of the zone's surfaces, the outermost first.
_ZONE_OPACITY = (0.36, 0.24, 0.20)
#: Colours of the flat figures as they look right on a lit, translucent surface.
_DEEPER = {"#c8f4ff": "#d4f4ff", "#3fb6ff": "#62bcff", "#5b6bff": "#5a6cff"}
#: The picture is drawn this many times larger and averaged down: anti-aliasing.
_SUPERSAMPLE = 2
#: Room left round a structure when it is cut out of the labels: more than any blur reaches, mm.
_PAD_MM = 20.0
_CORNERS = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
_BACKGROUND = ("#0c1219", "#2b3a49")


def main(arguments: list[str]) -> int:
    """Read the arrays, draw, write the picture; the exit code tells the parent."""
    _prepare()
    data = dict(np.load(arguments[0], allow_pickle=False))
    picture, legend = draw(data)
    Path(arguments[1]).write_bytes(finish(picture, legend, left=free_side(data) == "left"))
    return 0


def draw(data: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.uint8], list[tuple[str, str]]]:
    """(row, column, 3) picture and its legend (colour, words)."""
    width, height = (int(v) for v in data["size_px"])
    labels = data["labels"]
    grid = Grid(labels.shape, data["labels_affine"])
    values = dict(zip(data["label_names"].tolist(), data["label_values"].tolist(), strict=True))
    eye = camera_direction(data["needles_mm"])
    centre = data["centre_mm"]
    plotter = pv.Plotter(
        off_screen=True,
        window_size=(_SUPERSAMPLE * width, _SUPERSAMPLE * height),
        lighting="none",
    )
    plotter.render_window.SetMultiSamples(0)
    glass: list[pv.PolyData] = []
    plotter.set_background(_BACKGROUND[0], top=_BACKGROUND[1])
    add_lights(plotter, eye)
    legend: list[tuple[str, str]] = []

    boxes = find_objects(labels)

    def surface_of(
        names: tuple[str, ...], voxel_mm: float, smooth_mm: float, *, closed: bool = True
    ) -> Mesh | None:
        wanted = [values[n] for n in names if n in values and values[n] <= len(boxes)]
        found = [boxes[v - 1] for v in wanted if boxes[v - 1] is not None]
        if not found:
            return None
        pad = [int(np.ceil(_PAD_MM / s)) for s in grid.spacing_mm]
        start = [max(0, min(b[k].start for b in found) - pad[k]) for k in range(3)]
        stop = [min(labels.shape[k], max(b[k].stop for b in found) + pad[k]) for k in range(3)]
        shape = [e - a for a, e in zip(start, stop, strict=True)]
        lut = np.zeros(256, dtype=bool)
        lut[wanted] = True
        part = lut[labels[tuple(slice(a, e) for a, e in zip(start, stop, strict=True))]]
        return mask_surface(
            part, grid.crop(start, shape), voxel_mm=voxel_mm, smooth_mm=smooth_mm, closed=closed
        )

    skin = mask_surface(labels > 0, grid, voxel_mm=3.2, smooth_mm=2.6, closed=False)
    if skin is not None:
        glass.append(glass_surface(skin, _SKIN_COLOUR, 0.07, rim=0.5, eye=eye))
    bone = surface_of(("bone",), 1.7, 0.9, closed=False)
    if bone is not None:
        opacity = window_opacity(bone.vertices, centre, eye, 1.0, 0.10)
        glass.append(glass_surface(bone, _BONE_COLOUR, opacity))
        legend.append((_BONE_COLOUR, "Bone (faded in front of the target)"))
    liver = surface_of(_LIVER, 2.0, 1.8)
    if liver is not None:
        opacity = window_opacity(liver.vertices, centre, eye, 0.36, 0.18)
        glass.append(glass_surface(liver, _LIVER_COLOUR, opacity, rim=0.25, eye=eye))
        legend.append((_LIVER_COLOUR, "Liver"))
    for names, voxel, smooth, opacity_of, colour, words in _ORGANS:
        found = surface_of(names, voxel, smooth)
        if found is None:
            continue
        tint = colour or "#{:02x}{:02x}{:02x}".format(*structure(names[0]).colour)
        if opacity_of < 1.0:
            glass.append(glass_surface(found, tint, opacity_of))
        else:
            add_solid(plotter, found, tint)
        if words:
            legend.append((tint, words))
    target_grid = Grid(data["target"].shape, data["target_affine"])
    target = mask_surface(data["target"], target_grid, voxel_mm=0.8, smooth_mm=0.9)
    if target is not None:
        add_solid(plotter, target, style.TARGET, ambient=0.45)
        legend.append((style.TARGET, "Target"))
    zone_grid = Grid(data["zone_field"].shape, data["zone_affine"])
    for n, level in enumerate(data["zone_levels"]):
        zone = isosurface(data["zone_field"], zone_grid, float(level))
        if zone is not None:
            tint = _DEEPER.get(str(data["zone_colours"][n]), str(data["zone_colours"][n]))
            glass.append(glass_surface(zone, tint, _ZONE_OPACITY[min(n, 2)]))
            legend.append((tint, str(data["zone_words"][n])))
    add_needles(plotter, data)
    device = str(data["device_words"]).capitalize()
    legend.append((style.NEEDLE, f"{device} (active zone orange)"))
    shown = data["needles_mm"][:, 0] - 90.0 * needle_directions(data)
    organ = liver.vertices if liver is not None else centre + 70.0 * np.array(_CORNERS)
    place_camera(plotter, np.vstack([shown, organ, centre[None]]), eye)
    add_orientation_cube(plotter, eye, left=free_side(data) == "left")
    add_glass(plotter, glass, eye)
    picture: NDArray[np.uint8] = plotter.screenshot(return_img=True)
    plotter.close()
    return averaged_down(picture[..., :3], _SUPERSAMPLE), legend


def finish(
    picture: NDArray[np.uint8], legend: list[tuple[str, str]], *, left: bool = True
) -> bytes:
    """The picture as PNG with its legend and what it may be used for."""
    from matplotlib.patches import Patch

    height, width = picture.shape[:2]
    with style.styled():
        figure = style.new_figure(width / 100.0, height / 100.0)
        figure.set_layout_engine("none")
        figure.figimage(picture)
        words = figure.legend(
            handles=[Patch(facecolor=colour, label=name) for colour, name in legend],
            loc="upper left" if left else "upper right",
            bbox_to_anchor=(0.012 if left else 0.988, 0.984), fontsize=13, handlelength=1.1,
            handleheight=1.1, labelspacing=0.45, borderaxespad=0.0, frameon=True,
        )  # fmt: skip
        frame = words.get_frame()
        frame.set_facecolor("#0c1219")
        frame.set_edgecolor("none")
        frame.set_alpha(0.6)
        for text in words.get_texts():
            text.set_color("#e9f0f5")
        figure.text(0.5, 0.018, "DRAFT – simulated plan – research use only", color="#b9c6d0",
                    fontsize=12, ha="center")  # fmt: skip
    return style.png_bytes(figure, dpi=100)


def _prepare() -> None:
    """End with a clear word where libEGL is missing (VTK itself would crash)."""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # if OpenGL crashes, no core file is left
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        sys.exit("The OpenGL library libEGL.so.1 is missing.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
