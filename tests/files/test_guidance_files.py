"""Robot targets, GLB scenes, camera and system files, read back by independent readers."""

from __future__ import annotations

import csv
import json
import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from irplan.errors import FileFormatError, GeometryError, InputError
from irplan.files.camera_file import read_camera
from irplan.files.glb_scene import GLTF_FROM_LPS, ScenePart, needle_part, write_glb
from irplan.files.robot_file import read_robot_targets, write_robot_targets
from irplan.files.system_file import read_system
from irplan.geometry import Needle
from irplan.guidance.camera import Camera
from irplan.planning.case import PlannedCase

UID = "1.2.826.0.1.3680043.2.1125.1"


def test_robot_targets_come_back_and_are_bound_to_their_frame(
    case: PlannedCase, tmp_path: Path
) -> None:
    plan = replace(case.plan, frame_of_reference_uid=UID)
    write_robot_targets(plan, tmp_path / "r.json", tmp_path / "r.csv", frame_uid=UID)
    back = read_robot_targets(tmp_path / "r.json", frame_uid=UID)
    for placement, needle in zip(plan.placements, back, strict=True):
        assert needle.tip_mm == pytest.approx(placement.needle.tip_mm, abs=1e-6)
        assert needle.entry_mm == pytest.approx(placement.needle.entry_mm, abs=1e-6)
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    first = plan.placements[0].needle
    assert rows[0]["frame_of_reference_uid"] == UID
    assert rows[0]["review"] == "draft"
    target = [float(rows[0][f"target_{a}_mm"]) for a in "xyz"]
    way = [float(rows[0][f"direction_{a}"]) for a in "xyz"]
    entry = np.array(target) - float(rows[0]["depth_mm"]) * np.array(way)
    assert entry == pytest.approx(first.entry_mm, abs=1e-4)
    with pytest.raises(FileFormatError, match="frame"):
        read_robot_targets(tmp_path / "r.json", frame_uid=UID + ".2")


def test_robot_targets_without_a_sure_frame_are_refused(case: PlannedCase, tmp_path: Path) -> None:
    files = (tmp_path / "r.json", tmp_path / "r.csv")
    with_frame = replace(case.plan, frame_of_reference_uid=UID)
    for plan, frame, words in (
        (with_frame, UID + ".9", "another frame"),
        (case.plan, None, "without one"),
        (case.plan, "my robot", "DICOM UID"),
    ):
        with pytest.raises(InputError, match=words):
            write_robot_targets(plan, *files, frame_uid=frame)
    assert not list(tmp_path.iterdir())
    write_robot_targets(case.plan, *files, frame_uid=UID)  # on the user's word
    assert json.loads(files[0].read_text())["frame_from"] == "stated by the user"


def test_scene_comes_back_in_metres_with_the_head_up(tmp_path: Path) -> None:
    needle = Needle((10.0, -20.0, 30.0), (40.0, -90.0, 60.0))
    ball = trimesh.creation.icosphere(3, radius=12.0)
    ball.apply_translation(needle.tip_mm)
    parts = (
        ScenePart(
            "tumour", np.asarray(ball.vertices), np.asarray(ball.faces), (0.9, 0.3, 0.6, 0.4)
        ),
        needle_part("needle 1", needle, 2.0, (1.0, 0.9, 0.3, 1.0)),
    )
    write_glb(parts, tmp_path / "scene.glb", extras={"frame_of_reference_uid": UID})
    scene = trimesh.load_scene(tmp_path / "scene.glb")
    assert set(scene.geometry) == {"tumour", "needle 1"}
    # by hand: x stays, y up is the head (z), z to the viewer is the front (-y); metres
    tip = np.array([0.010, 0.030, 0.020])
    assert scene.geometry["tumour"].centroid == pytest.approx(tip, abs=1e-6)
    assert scene.geometry["tumour"].volume == pytest.approx(4 / 3 * np.pi * 0.012**3, rel=0.02)
    tube = scene.geometry["needle 1"]
    assert tube.is_volume  # closed, and its normals point outwards
    assert np.linalg.norm(tube.vertices - tip, axis=1).min() < 1e-6
    assert tube.volume == pytest.approx(np.pi * 0.001**2 * needle.depth_mm / 1000, rel=0.06)
    assert scene.metadata["frame_of_reference_uid"] == UID
    assert scene.metadata["gltf_from_lps_mm"] == pytest.approx(GLTF_FROM_LPS.ravel().tolist())
    # the container itself, byte by byte (glTF 2.0, section 4.4)
    data = (tmp_path / "scene.glb").read_bytes()
    assert struct.unpack("<4sII", data[:12]) == (b"glTF", 2, len(data))
    length, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON"
    tree = json.loads(data[20 : 20 + length])
    blended = {m["name"]: m.get("alphaMode", "OPAQUE") for m in tree["materials"]}
    assert blended == {"tumour": "BLEND", "needle 1": "OPAQUE"}
    with pytest.raises(InputError, match="each name once"):
        write_glb((parts[0], parts[0]), tmp_path / "twice.glb")


def _camera(distortion: tuple[float, ...]) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.4, -1.1, 0.7]))[0]
    pose[:3, 3] = (30.0, -50.0, 700.0)
    return Camera((1920, 1080), (1400.0, 1395.0), (961.3, 542.8), distortion, pose)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "distortion", [(0.0,) * 5, (-0.28, 0.09, 0.0012, -0.0007, -0.011), (0.1, -0.2, 0, 0, 0.05)]
)
def test_camera_projects_as_opencv_does(distortion: tuple[float, ...]) -> None:
    camera = _camera(distortion)
    points = np.random.default_rng(3).uniform(-150, 150, (500, 3))
    pose = camera.camera_from_plan
    matrix = np.array([[1400.0, 0, 961.3], [0, 1395.0, 542.8], [0, 0, 1]])
    expected, _ = cv2.projectPoints(
        points, cv2.Rodrigues(pose[:3, :3])[0], pose[:3, 3], matrix, np.array(distortion)
    )
    assert np.abs(camera.project(points) - expected[:, 0]).max() < 1e-6  # pixels


def test_camera_refuses_what_it_cannot_see_or_be(tmp_path: Path) -> None:
    camera = _camera((0.0,) * 5)
    behind = np.linalg.inv(camera.camera_from_plan) @ (0.0, 0.0, -10.0, 1.0)
    with pytest.raises(GeometryError, match="behind the camera"):
        camera.project(behind[:3])
    for change, field in (
        ({"focal_px": (0.0, 1.0)}, "focal_px"),
        ({"distortion": (0.0, 1.0)}, "distortion"),
        ({"camera_from_plan": 2.0 * np.eye(4)}, "camera_from_plan"),
    ):
        with pytest.raises(InputError, match=field):
            replace(camera, **change)
    text = (
        'schema = "irplan-camera"\nschema_version = 1\nsize = [640, 480]\nfocal_px = [500, 500]\n'
    )
    file = tmp_path / "cam.toml"
    rows = ", ".join(str(v) for v in np.eye(4).ravel())
    file.write_text(text + f"centre_px = [320, 240]\ncamera_from_plan = [{rows}]\n")
    assert read_camera(file).project((0.0, 0.0, 100.0)).tolist() == [320.0, 240.0]
    file.write_text(text + "centre_px = [320, 240]\n")
    with pytest.raises(FileFormatError, match="camera_from_plan"):
        read_camera(file)


SYSTEM = """
schema = "irplan-c-arm"
schema_version = 1
[system]
name = "room 4"
source = "data sheet"
source_isocentre_mm = 810.0
source_detector_mm = 1195.0
detector_shape = [1440, 1904]
pixel_spacing_mm = [0.154, 0.154]
primary_limits_deg = [-117.0, 117.0]
secondary_limits_deg = [-45.0, 45.0]
[[forbidden]]
reason = "ceiling lamp"
primary_deg = [80.0, 117.0]
secondary_deg = [20.0, 45.0]
"""


def test_a_system_file_is_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "room.toml"
    file.write_text(SYSTEM)
    system = read_system(file)
    assert (system.name, system.detector_shape) == ("room 4", (1440, 1904))
    assert system.outside_limits(90.0, 30.0) == "ceiling lamp"
    assert system.outside_limits(90.0, 10.0) == ""
    for old, new, words in (
        ("primary_limits_deg = [-117.0, 117.0]", "primary_limits_deg = [117.0, -117.0]", "primary"),
        ("source_detector_mm = 1195.0", "source_detector_mm = 195.0", "source_detector_mm"),
        ('name = "room 4"', 'nam = "room 4"', "nam"),
        ("reason", "reson", "reson"),
        ("irplan-c-arm", "c-arm", "schema"),
        ("detector_shape = [1440, 1904]", "", "detector_shape"),
    ):
        file.write_text(SYSTEM.replace(old, new, 1))
        with pytest.raises(FileFormatError, match=words):
            read_system(file)
