"""Solid and translucent surfaces, needles and lights of the 3D picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from irplan.viz import style
from irplan.viz.meshes import Mesh

#: Bone and liver fade inside this radius (mm) round the line of sight to the target.
_WINDOW_MM, _WINDOW_EDGE_MM = 62.0, 30.0


def _polydata(mesh: Mesh) -> pv.PolyData:
    cells = np.column_stack([np.full(len(mesh.faces), 3), mesh.faces]).ravel()
    surface = pv.PolyData(mesh.vertices.astype(np.float32), cells)
    surface = surface.smooth_taubin(n_iter=25, pass_band=0.08, non_manifold_smoothing=True)
    return surface.compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )


def add_solid(plotter: pv.Plotter, mesh: Mesh, colour: str, *, ambient: float = 0.14) -> None:
    """Add an opaque surface."""
    plotter.add_mesh(
        _polydata(mesh), color=colour, smooth_shading=True, specular=0.35, specular_power=25.0,
        ambient=ambient, diffuse=0.9,
    )  # fmt: skip


def glass_surface(
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


def add_glass(plotter: pv.Plotter, surfaces: list[pv.PolyData], eye: NDArray[np.float64]) -> None:
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


def window_opacity(
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


def averaged_down(picture: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Mean over blocks of n x n pixels: the anti-aliasing."""
    blocks = picture.reshape(picture.shape[0] // n, n, picture.shape[1] // n, n, 3)
    out: NDArray[np.uint8] = np.round(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
    return out


def add_needles(plotter: pv.Plotter, data: Mapping[str, NDArray[Any]]) -> None:
    """Add each needle with its tip, active zone and handle (a little thicker than it is)."""
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


def add_lights(plotter: pv.Plotter, eye: NDArray[np.float64]) -> None:
    """Key, fill and rim light about the line of sight."""
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
