"""A calibrated camera as TOML: intrinsics, distortion, and where the patient is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from irplan.files.toml_table import load_toml, require_schema
from irplan.guidance.camera import Camera

#: The ``schema`` and ``schema_version`` of a camera file.
CAMERA_SCHEMA, CAMERA_SCHEMA_VERSION = "irplan-camera", 1


def read_camera(path: str | Path) -> Camera:
    """The `Camera` of a TOML file with its fields; ``camera_from_plan`` is 16 numbers, row by row.

    Raises `FileFormatError` with file, key path, got, expected and remedy.
    """
    root = load_toml(path, what="camera file")
    require_schema(root, CAMERA_SCHEMA, CAMERA_SCHEMA_VERSION)
    root.only("schema", "schema_version", "size", "focal_px", "centre_px", "distortion",
              "camera_from_plan")  # fmt: skip
    width, height = root.numbers("size", 2, words="[width, height] in pixels")
    pose = root.numbers("camera_from_plan", 16, words="4 x 4 numbers, row by row")
    with root.located():
        return Camera(
            (int(width), int(height)),
            root.numbers("focal_px", 2, words="[fx, fy] in pixels"),
            root.numbers("centre_px", 2, words="[cx, cy] in pixels"),
            root.numbers("distortion", 5, (0.0,) * 5, words="[k1, k2, p1, p2, k3]"),
            np.array(pose).reshape(4, 4),
        )
