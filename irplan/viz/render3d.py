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
from vtkmodules.vtkRenderingAnnotation import vtkAnnotatedCubeActor
from vtkmodules.vtkRenderingCore import vtkRenderer

from irplan.geometry import Grid
from irplan.image import structure
from irplan.viz import style
from irplan.viz.meshes import Mesh, isosurface, mask_surface

#: (names, voxel mm, smoothing mm, opacity, colour or None for the structure's own, legend)
_ORGANS: tuple[tuple[tuple[str, ...], float, float, float, str | None, str], ...] = (
    (("kidney_left", "kidney_right"), 2.0, 1.5, 1.0, "#b9735f", "Kidneys"),
    (("spleen",), 2.5, 2.0, 0.6, None, "Spleen"),
    (("stomach",), 2.5, 2.0, 0.22, "#d8a58c", ""),
    (("gallbladder",), 1.2, 1.0, 1.0, "#6fb64a", "Gallbladder"),
    (("vena_cava",), 1.5, 1.2, 1.0, "#3f63b5", "Vena cava"),
    (("hepatic_vein",), 1.0, 0.6, 1.0, "#5f7fe0", "Hepatic veins"),
    (("portal_vein",), 1.0, 0.6, 1.0, "#1fa3d8", "Portal vein"),
    (("vessel",), 1.0, 0.6, 1.0, "#4d74d6", "Other vessels"),
    (("artery",), 1.0, 0.6, 1.0, "#d82c3c", "Arteries"),
)
_LIVER = ("liver", "tumour", "portal_vein", "hepatic_vein", "vessel")
_LIVER_COLOUR = "#c4623f"
_BONE_COLOUR = "#efe6cf"
_SKIN_COLOUR = "#e8bfa3"
_ICE = ((0.0, "#d4f4ff", 0.36), (-20.0, "#62bcff", 0.24), (-40.0, "#5a6cff", 0.20))
#: Bone and skin fade inside this radius (mm) round the line of sight to the target.
_WINDOW_MM, _WINDOW_EDGE_MM = 62.0, 30.0
#: The picture is drawn this many times larger and averaged down: anti-aliasing.
_SUPERSAMPLE = 2
#: Room left round a structure when it is cut out of the labels: more than any blur reaches, mm.
_PAD_MM = 20.0
_VIEW_ANGLE_DEG = 24.0
_CORNERS = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
_BACKGROUND = ("#0c1219", "#2b3a49")


def main(arguments: list[str]) -> int:
    """Read the arrays, draw, write the picture; the exit code tells the parent."""
    _prepare()
    data = dict(np.load(arguments[0], allow_pickle=False))
    picture, legend = draw(data)
    Path(arguments[1]).write_bytes(finish(picture, legend, left=_free_side(data) == "left"))
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
    _lights(plotter, eye)
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
        glass.append(_glass(skin, _SKIN_COLOUR, 0.07, rim=0.5, eye=eye))
    bone = surface_of(("bone",), 1.7, 0.9, closed=False)
    if bone is not None:
        opacity = _window_opacity(bone.vertices, centre, eye, 1.0, 0.10)
        glass.append(_glass(bone, _BONE_COLOUR, opacity))
        legend.append((_BONE_COLOUR, "Bone (faded in front of the target)"))
    liver = surface_of(_LIVER, 2.0, 1.8)
    if liver is not None:
        opacity = _window_opacity(liver.vertices, centre, eye, 0.36, 0.18)
        glass.append(_glass(liver, _LIVER_COLOUR, opacity, rim=0.25, eye=eye))
        legend.append((_LIVER_COLOUR, "Liver"))
    for names, voxel, smooth, opacity_of, colour, words in _ORGANS:
        found = surface_of(names, voxel, smooth)
        if found is None:
            continue
        tint = colour or "#{:02x}{:02x}{:02x}".format(*structure(names[0]).colour)
        if opacity_of < 1.0:
            glass.append(_glass(found, tint, opacity_of))
        else:
            _solid(plotter, found, tint)
        if words:
            legend.append((tint, words))
    target_grid = Grid(data["target"].shape, data["target_affine"])
    target = mask_surface(data["target"], target_grid, voxel_mm=0.8, smooth_mm=0.9)
    if target is not None:
        _solid(plotter, target, style.TARGET, ambient=0.45)
        legend.append((style.TARGET, "Target"))
    cold_grid = Grid(data["temperature_c"].shape, data["temperature_affine"])
    for level, colour, ice_opacity in _ICE:
        ice = isosurface(data["temperature_c"], cold_grid, level)
        if ice is not None:
            glass.append(_glass(ice, colour, ice_opacity))
            legend.append((colour, f"{level:g} °C, end of last freeze"))
    _needles(plotter, data)
    legend.append((style.NEEDLE, "Cryoprobe (active zone orange)"))
    shown = data["needles_mm"][:, 0] - 90.0 * _directions(data)
    organ = liver.vertices if liver is not None else centre + 70.0 * np.array(_CORNERS)
    _camera(plotter, np.vstack([shown, organ, centre[None]]), eye)
    _orientation_cube(plotter, eye, left=_free_side(data) == "left")
    _draw_glass(plotter, glass, eye)
    picture: NDArray[np.uint8] = plotter.screenshot(return_img=True)
    plotter.close()
    return _halved(picture[..., :3]), legend


def camera_direction(needles_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) unit vector from the target to the camera: the entry side, turned off the needles.

    35 degrees to the side that looks more at the patient's front, and a little from the head,
    so that a needle is seen at an angle and not end on.
    """
    out = (needles_mm[:, 0] - needles_mm[:, 1]).mean(axis=0)
    out /= np.linalg.norm(out)
    side = np.cross([0.0, 0.0, 1.0], out)
    if np.linalg.norm(side) < 0.2:
        side = np.array([1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    if side[1] > 0:
        side = -side
    eye = np.cos(np.radians(35.0)) * out + np.sin(np.radians(35.0)) * side
    eye[2] = np.clip(eye[2] + 0.28, -0.35, 0.6)
    result: NDArray[np.float64] = eye / np.linalg.norm(eye)
    return result


def _free_side(data: Mapping[str, NDArray[Any]]) -> str:
    """``"left"`` or ``"right"``: the side of the picture from which no needle comes."""
    right = np.cross([0.0, 0.0, 1.0], camera_direction(data["needles_mm"]))
    out = -_directions(data).mean(axis=0)
    return "left" if out @ right > 0 else "right"


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


def _polydata(mesh: Mesh, *, smooth: bool = True) -> pv.PolyData:
    cells = np.column_stack([np.full(len(mesh.faces), 3), mesh.faces]).ravel()
    surface = pv.PolyData(mesh.vertices.astype(np.float32), cells)
    if smooth:
        surface = surface.smooth_taubin(n_iter=25, pass_band=0.08, non_manifold_smoothing=True)
    return surface.compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )


def _solid(plotter: pv.Plotter, mesh: Mesh, colour: str, *, ambient: float = 0.14) -> None:
    plotter.add_mesh(
        _polydata(mesh), color=colour, smooth_shading=True, specular=0.35, specular_power=25.0,
        ambient=ambient, diffuse=0.9,
    )  # fmt: skip


def _glass(
    mesh: Mesh,
    colour: str,
    opacity: float | NDArray[np.float64],
    *,
    rim: float = 0.0,
    eye: NDArray[np.float64] | None = None,
) -> pv.PolyData:
    """A translucent surface: colour and opacity (0..1, one value or one a vertex).

    ``rim`` is added where the surface turns away from ``eye``, as thick glass does.
    """
    surface = _polydata(mesh)
    alpha = np.broadcast_to(np.asarray(opacity, dtype=np.float64), (surface.n_points,))
    if eye is not None:
        facing = np.abs(surface.point_data["Normals"] @ eye)
        alpha = alpha + rim * (1.0 - np.minimum(facing, 1.0)) ** 2.5
    rgba = np.empty((surface.n_points, 4), dtype=np.uint8)
    rgba[:, :3] = pv.Color(colour).int_rgb
    rgba[:, 3] = np.round(255.0 * np.clip(alpha, 0.0, 1.0))
    surface["rgba"] = rgba
    return surface


def _draw_glass(plotter: pv.Plotter, surfaces: list[pv.PolyData], eye: NDArray[np.float64]) -> None:
    """All translucent surfaces as one, its triangles drawn from the farthest to the nearest.

    Plain blending of sorted triangles looks the same on every OpenGL; depth peeling leaves
    saw-teeth on Mesa's software renderer.
    """
    offsets = np.cumsum([0, *(s.n_points for s in surfaces)])
    points = np.vstack([s.points for s in surfaces])
    faces = np.vstack([s.regular_faces + o for s, o in zip(surfaces, offsets[:-1], strict=True)])
    order = np.argsort((points[faces].mean(axis=1)) @ eye, kind="stable")
    cells = np.column_stack([np.full(len(faces), 3), faces[order]]).ravel()
    merged = pv.PolyData(points, cells)
    merged.point_data["rgba"] = np.vstack([s["rgba"] for s in surfaces])
    merged.point_data.active_normals = np.vstack([s.point_data["Normals"] for s in surfaces])
    plotter.add_mesh(
        merged, scalars="rgba", rgba=True, smooth_shading=True, specular=0.35,
        specular_power=25.0, ambient=0.2, diffuse=0.9,
    )  # fmt: skip
    plotter.renderer.SetUseDepthPeeling(False)
    plotter.renderer.SetUseOIT(False)


def _window_opacity(
    vertices: NDArray[np.float64],
    centre: NDArray[np.float64],
    eye: NDArray[np.float64],
    far: float,
    near: float,
) -> NDArray[np.float64]:
    """Opacity a vertex: ``near`` where it would hide the target, ``far`` elsewhere."""
    rel = vertices - centre
    along = rel @ eye
    radius = np.linalg.norm(rel - along[:, None] * eye, axis=1)
    fade = np.clip((radius - _WINDOW_MM) / _WINDOW_EDGE_MM, 0.0, 1.0)
    fade = fade * fade * (3.0 - 2.0 * fade)
    out: NDArray[np.float64] = np.where(along > -10.0, near + (far - near) * fade, far)
    return out


def _halved(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean over blocks of `_SUPERSAMPLE` pixels: the anti-aliasing."""
    n = _SUPERSAMPLE
    blocks = picture.reshape(picture.shape[0] // n, n, picture.shape[1] // n, n, 3)
    out: NDArray[np.uint8] = np.round(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
    return out


def _needles(plotter: pv.Plotter, data: Mapping[str, NDArray[Any]]) -> None:
    for (entry, tip), (distal, proximal), shaft in zip(
        data["needles_mm"], data["active_mm"], data["shaft_mm"], strict=True
    ):
        direction = (tip - entry) / np.linalg.norm(tip - entry)
        back = entry - 55.0 * direction
        radius = max(0.9, 0.62 * float(shaft))
        metal = {"smooth_shading": True, "specular": 0.8, "specular_power": 40.0, "ambient": 0.25}
        plotter.add_mesh(
            pv.Tube(pointa=back, pointb=tip - 4.0 * direction, radius=radius, n_sides=28),
            color=style.NEEDLE, **metal,
        )  # fmt: skip
        plotter.add_mesh(
            pv.Cone(center=tip - 2.0 * direction, direction=direction, height=4.0, radius=radius,
                    resolution=28),
            color=style.NEEDLE, **metal,
        )  # fmt: skip
        plotter.add_mesh(
            pv.Tube(pointa=distal, pointb=proximal, radius=1.25 * radius, n_sides=28),
            color="#ff9a2e", **metal,
        )  # fmt: skip
        plotter.add_mesh(
            pv.Cylinder(center=back - 16.0 * direction, direction=direction, radius=4.2,
                        height=32.0, resolution=48),
            color="#d9e2ea", **metal,
        )  # fmt: skip


def _lights(plotter: pv.Plotter, eye: NDArray[np.float64]) -> None:
    side = np.cross([0.0, 0.0, 1.0], eye)
    side /= max(1e-9, float(np.linalg.norm(side)))
    for place, power, colour in (
        (eye + 0.6 * side + [0, 0, 0.9], 0.85, "#fff4e6"),
        (eye - 1.2 * side + [0, 0, 0.1], 0.35, "#dcebff"),
        (-eye + 0.4 * side + [0, 0, 1.2], 0.45, "#cfe6ff"),
    ):
        light = pv.Light(position=1000.0 * place, focal_point=(0, 0, 0), color=colour,
                         intensity=power, light_type="scene light")  # fmt: skip
        plotter.add_light(light)


def _directions(data: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    along = data["needles_mm"][:, 1] - data["needles_mm"][:, 0]
    out: NDArray[np.float64] = along / np.linalg.norm(along, axis=1)[:, None]
    return out


def _camera(plotter: pv.Plotter, points: NDArray[np.float64], eye: NDArray[np.float64]) -> None:
    """Look along ``-eye`` so that all ``points`` (n, 3) fill the picture."""
    right = np.cross([0.0, 0.0, 1.0], eye)
    right /= np.linalg.norm(right)
    up = np.cross(eye, right)
    u, v, w = points @ right, points @ up, points @ eye
    middle = (u.min() + u.max()) / 2 * right + (v.min() + v.max()) / 2 * up + np.median(w) * eye
    aspect = plotter.window_size[0] / plotter.window_size[1]
    half = 1.1 * max(np.ptp(v) / 2, np.ptp(u) / 2 / aspect)
    distance = half / np.tan(np.radians(_VIEW_ANGLE_DEG / 2)) + w.max() - np.median(w)
    plotter.camera.view_angle = _VIEW_ANGLE_DEG
    plotter.camera.focal_point = middle
    plotter.camera.position = middle + distance * eye
    plotter.camera.up = (0.0, 0.0, 1.0)
    plotter.renderer.ResetCameraClippingRange()


def _orientation_cube(plotter: pv.Plotter, eye: NDArray[np.float64], *, left: bool) -> None:
    """A small cube in the corner whose faces carry the patient's directions."""
    cube = vtkAnnotatedCubeActor()
    for face, letter in (("XPlus", "L"), ("XMinus", "R"), ("YPlus", "P"), ("YMinus", "A"),
                         ("ZPlus", "H"), ("ZMinus", "F")):  # fmt: skip
        getattr(cube, f"Set{face}FaceText")(letter)
    cube.SetFaceTextScale(0.62)
    cube.SetXFaceTextRotation(90)
    cube.SetYFaceTextRotation(0)
    cube.SetZFaceTextRotation(-90)
    cube.GetCubeProperty().SetColor(0.24, 0.32, 0.40)
    cube.GetTextEdgesProperty().SetColor(0.9, 0.95, 1.0)
    for axis in "XYZ":
        for sign in ("Plus", "Minus"):
            face = getattr(cube, f"Get{axis}{sign}FaceProperty")()
            face.SetColor(0.95, 0.97, 1.0)
            face.SetInterpolationToFlat()
    corner = vtkRenderer()
    tall = 0.02 + 0.12 * plotter.window_size[0] / plotter.window_size[1]
    corner.SetViewport(0.01 if left else 0.87, 0.02, 0.13 if left else 0.99, tall)
    corner.SetLayer(1)
    corner.InteractiveOff()
    corner.AddActor(cube)
    camera = corner.GetActiveCamera()
    camera.SetFocalPoint(0, 0, 0)
    camera.SetPosition(*(6.0 * eye))
    camera.SetViewUp(0, 0, 1)
    corner.ResetCamera()
    plotter.render_window.SetNumberOfLayers(2)
    plotter.render_window.AddRenderer(corner)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
