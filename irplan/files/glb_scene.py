"""A plan's scene as binary glTF (GLB) for headsets and viewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.files.atomic import atomic_path
from irplan.geometry import Needle

#: LPS mm -> glTF: metres, Y up (head), +Z to the viewer (front), +X the patient's left; a
#: rotation, so nothing is mirrored.  The origin stays that of the image.
GLTF_FROM_LPS = 0.001 * np.array(
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1000.0]]
)
GLTF_FROM_LPS.setflags(write=False)


@dataclass(frozen=True, eq=False)
class ScenePart:
    """A named closed surface: ``vertices_mm`` (n, 3) LPS, ``faces`` (m, 3) seen from outside
    anticlockwise, ``rgba`` 0 to 1."""

    name: str
    vertices_mm: NDArray[np.float64]
    faces: NDArray[np.int64]
    rgba: tuple[float, float, float, float]


def needle_part(
    name: str, needle: Needle, diameter_mm: float, rgba: tuple[float, float, float, float]
) -> ScenePart:
    """A needle as a tube from entry to tip with a point of 4 mm; the tip is where it is planned."""
    import trimesh

    u = needle.direction
    x = np.cross(u, np.eye(3)[int(np.argmin(np.abs(u)))])
    x /= np.linalg.norm(x)
    turn = np.eye(4)
    turn[:3, :3] = np.column_stack([x, np.cross(u, x), u])
    radius, point = 0.5 * diameter_mm, min(4.0, 0.5 * needle.depth_mm)
    profile = [(0, 0), (radius, 0), (radius, needle.depth_mm - point), (0, needle.depth_mm)]
    mesh = trimesh.creation.revolve(np.array(profile), sections=24)
    turn[:3, 3] = needle.entry_mm
    mesh.apply_transform(turn)
    return ScenePart(name, np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int64), rgba)


def write_glb(
    parts: Sequence[ScenePart], path: str | Path, *, extras: Mapping[str, Any] | None = None
) -> None:
    """Write the parts as one GLB, a node and a mesh each, translucent ones blended.

    Vertices are in metres, Y up (`GLTF_FROM_LPS`); ``extras`` (numbers, text, lists) are kept in
    the scene's extras together with that matrix.  Raises `InputError` for no part, a name twice,
    or an empty surface; `OutputError` where ``path`` cannot be written.
    """
    import trimesh

    names = [p.name for p in parts]
    if not parts or len(set(names)) < len(names):
        raise InputError(
            "scene",
            got=f"parts {names}",
            expected="at least one part, each name once",
            remedy="Leave out what is empty and name the parts.",
        )
    scene = trimesh.Scene()
    for part in parts:
        if not len(part.faces):
            raise InputError(
                f"scene part '{part.name}'",
                got="no triangles",
                expected="a closed surface",
                remedy="Leave it out.",
            )
        v = part.vertices_mm @ GLTF_FROM_LPS[:3, :3].T + GLTF_FROM_LPS[:3, 3]
        mesh = trimesh.Trimesh(v, part.faces, process=False)
        normals = np.array(mesh.vertex_normals)
        normals[np.linalg.norm(normals, axis=1) < 0.5] = (0.0, 1.0, 0.0)  # of no area: any unit
        mesh = trimesh.Trimesh(v, part.faces, vertex_normals=normals, process=False)
        material = trimesh.visual.material.PBRMaterial(
            name=part.name,
            baseColorFactor=[round(255 * c) for c in part.rgba],
            metallicFactor=0.0,
            roughnessFactor=0.7,
            alphaMode="BLEND" if part.rgba[3] < 1.0 else "OPAQUE",
            doubleSided=part.rgba[3] < 1.0,
        )
        mesh.visual = trimesh.visual.TextureVisuals(material=material)
        mesh.metadata.clear()
        scene.add_geometry(mesh, node_name=part.name, geom_name=part.name)
    scene.metadata.update(dict(extras or {}))
    scene.metadata["gltf_from_lps_mm"] = [float(x) for x in GLTF_FROM_LPS.reshape(-1)]
    data = scene.export(file_type="glb", include_normals=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
