"""Where the 3D picture is seen from, and the cube that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingAnnotation import vtkAnnotatedCubeActor
from vtkmodules.vtkRenderingCore import vtkRenderer

_VIEW_ANGLE_DEG = 24.0


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


def needle_directions(data: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """(n, 3) unit vectors from entry to tip."""
    along = data["needles_mm"][:, 1] - data["needles_mm"][:, 0]
    out: NDArray[np.float64] = along / np.linalg.norm(along, axis=1)[:, None]
    return out


def free_side(data: Mapping[str, NDArray[Any]]) -> str:
    """``"left"`` or ``"right"``: the side of the picture from which no needle comes."""
    right = np.cross([0.0, 0.0, 1.0], camera_direction(data["needles_mm"]))
    out = -needle_directions(data).mean(axis=0)
    return "left" if out @ right > 0 else "right"


def place_camera(
    plotter: pv.Plotter, points: NDArray[np.float64], eye: NDArray[np.float64]
) -> None:
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


def add_orientation_cube(plotter: pv.Plotter, eye: NDArray[np.float64], *, left: bool) -> None:
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
