"""`irplan views`, `verify` and `export` from files to files, and every wrong input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from typer.testing import CliRunner

from irplan.ablation import LethalRule, Phase, Placement, Schedule, applicator
from irplan.cli.app import app
from irplan.files import write_labels, write_mask, write_plan
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure
from irplan.planning import AblationPlan, Provenance, Target

UID = "1.2.826.0.1.3680043.2.1125.7"
ROD = applicator("cryo-17g-rod")
GRID = Grid.from_spacing((48, 56, 56), (2.0,) * 3, (-55.0, -55.0, -47.0))
POINTS = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))
BALL = np.linalg.norm(POINTS, axis=-1)
FRONT = Needle((0.0, 17.0, 0.0), (0.0, -40.0, 0.0))


def _plan(*needles: Needle, uid: str | None = UID) -> AblationPlan:
    return AblationPlan(
        Target((0.0, 0.0, 0.0), 1.44, 14.0, "mask"),
        tuple(Placement(n, ROD) for n in needles),
        Schedule((Phase("freeze", 300.0),)),
        2.0,
        LethalRule(-20.0, 1),
        Provenance("test", 0),
        uid,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plan")
    labels = LabelMap.from_masks(
        GRID, [(structure("body"), BALL < 46.0), (structure("liver"), BALL < 40.0)]
    )
    write_labels(labels, out / "labels.nii.gz")
    write_mask(BALL <= 7.0, GRID, out / "target.nii.gz")
    write_mask(np.linalg.norm(POINTS - [2.0, 0, 0], axis=-1) <= 13.0, GRID, out / "zone.nii.gz")
    write_plan(_plan(FRONT), out / "plan.json")
    return out


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result.output


def test_views_of_a_needle_from_the_front(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "views"
    run("views", folder, "--position", "HFS", "-o", out, "-q")
    data = json.loads((out / "views.json").read_text())
    one = data["needles"][0]
    # straight from the front: detector in front, tube below, angles 0/0
    assert one["bulls_eye"]["gantry_deg"] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert one["bulls_eye"]["entry_tip_px"] < 1e-3
    assert one["progress"][0]["needle_to_ray_deg"] == pytest.approx(90.0, abs=1e-6)
    assert len((out / "views.csv").read_text().splitlines()) == 2 + len(one["progress"])
    with Image.open(out / "views_1.png") as picture:
        grey = np.asarray(picture.convert("RGB"))
    assert grey.std() > 20
    # prone, the same needle comes from below: the beam is seen from the other end
    run("views", folder, "--position", "HFP", "-o", tmp_path / "prone", "-q")
    prone = json.loads((tmp_path / "prone" / "views.json").read_text())["needles"][0]["bulls_eye"]
    assert abs(prone["primary_deg"]) == pytest.approx(180.0, abs=1e-6)
    assert prone["gantry_deg"] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_views_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    assert "patient_position" in run("views", folder, "-o", out, code=2)
    assert "HFDL" in run("views", folder, "--position", "UP", "-o", out, code=2)
    system = tmp_path / "room.toml"
    system.write_text(
        'schema = "irplan-c-arm"\nschema_version = 1\n[system]\nname = "narrow"\nsource = "x"\n'
        "source_isocentre_mm = 750\nsource_detector_mm = 1100\ndetector_shape = [960, 960]\n"
        "pixel_spacing_mm = [0.3, 0.3]\nprimary_limits_deg = [30, 60]\n"
        "secondary_limits_deg = [-20, 20]\n"
    )
    words = run("views", folder, "--position", "HFS", "--system", system, "-o", out, code=3)
    assert "30.0 deg beyond 30 to 60" in words.replace("\n", " ")
    assert "--needle" in run("views", folder, "--position", "HFS", "--needle", 2, "-o", out, code=2)
    assert "both" in run("views", folder, "--camera", system, "-o", out, code=2)
    assert not out.exists()


def test_the_plan_on_a_video_frame(folder: Path, tmp_path: Path) -> None:
    camera, photo = tmp_path / "cam.toml", tmp_path / "frame.png"
    # the camera 600 mm in front of the patient looks to the back: x left, y feet, z back
    pose = [1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 600, 0, 0, 0, 1]
    camera.write_text(
        'schema = "irplan-camera"\nschema_version = 1\nsize = [640, 480]\nfocal_px = [800, 800]\n'
        f"centre_px = [320, 240]\ncamera_from_plan = {pose}\n"
    )
    Image.fromarray(np.full((480, 640, 3), 90, np.uint8)).save(photo)
    out = tmp_path / "overlay"
    run("views", folder, "--camera", camera, "--photo", photo, "-o", out, "-q")
    data = json.loads((out / "overlay.json").read_text())["needles"][0]
    assert data["entry_px"] == pytest.approx([320.0, 240.0])
    with Image.open(out / "overlay.png") as picture:
        assert picture.size == (640, 480)
    Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(photo)
    words = run("views", folder, "--camera", camera, "--photo", photo, "-o", out, code=2)
    assert "640 x 480" in words


def _needle_file(path: Path, *needles: Needle, uid: str | None = None) -> Path:
    data: dict[str, object] = {
        "needles": [{"entry_mm": list(n.entry_mm), "tip_mm": list(n.tip_mm)} for n in needles]
    }
    if uid is not None:
        data["frame_of_reference_uid"] = uid
    path.write_text(json.dumps(data))
    return path


def test_verify_says_what_was_achieved(folder: Path, tmp_path: Path) -> None:
    placed = Needle((1.5, 19.0, 0.0), (1.5, -40.0, 0.0))
    stray = Needle((25.0, 10.0, 0.0), (30.0, -33.0, 0.0))
    out = tmp_path / "verified"
    run(
        "verify", folder, "--needles", _needle_file(tmp_path / "n.json", placed, stray),
        "--zone", folder / "zone.nii.gz", "--registration-error", 1, "--wanted", 2, "-o", out, "-q",
    )  # fmt: skip
    data = json.loads((out / "verification.json").read_text())
    pair = data["needles"][0]
    assert (pair["lateral_mm"], pair["depth_mm"]) == pytest.approx((1.5, 2.0), abs=1e-3)
    assert data["found_not_planned"] == [2]
    # the zone seen: 13 - 7 - 2 = 4 mm, wanted 2 with an error of 1
    assert data["by_zone_seen"]["minimal_mm"] == pytest.approx(4.0, abs=0.5)
    assert data["by_zone_seen"]["state"] == "complete"
    achieved = json.loads((out / "achieved.json").read_text())
    assert [p["status"] for p in achieved["placements"]] == ["achieved"]
    assert (out / "margin_seen.png").stat().st_size > 10_000
    # a file of `irplan needles`, whose entry may be out of view
    seen = {"tip_mm": [1.5, 19.0, 0.0], "entry_mm": None, "tail_mm": [1.5, -30.0, 0.0]}
    (tmp_path / "found.json").write_text(json.dumps({"needles": [seen], "set_aside": []}))
    words = run(
        "verify", folder, "--needles", tmp_path / "found.json", "--registration-error", 1,
        "-o", tmp_path / "found",
    )  # fmt: skip
    assert "lateral 1.5 mm, depth +2.0 mm" in words
    assert "out of view" in words
    # the same without a stated registration error: nothing is assessable
    words = run("verify", folder, "--zone", folder / "zone.nii.gz", "-o", out)
    assert "NOT ASSESSABLE" in words
    assert "registration error is not known" in words


def test_verify_refuses_what_does_not_belong(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "no"
    other = _needle_file(tmp_path / "other.json", FRONT, uid=UID + ".9")
    words = run("verify", folder, "--needles", other, "--registration-error", 1, "-o", out, code=2)
    assert "another frame of reference" in words
    assert "no needle in view" in run("verify", folder, "-o", out, code=2).replace("\n", " ")
    words = run(
        "verify", folder, "--zone", folder / "zone.nii.gz", "--registration-error", -2, "-o", out,
        code=2,
    )  # fmt: skip
    assert "registration_error_mm" in words
    # a file of `irplan needles` says in which frame its needles lie
    seen = {"tip_mm": [0, 17, 0], "entry_mm": [0, -40, 0], "tail_mm": [0, -40, 0]}
    found = {"needles": [seen], "set_aside": [], "frame_of_reference_uid": UID + ".9"}
    (tmp_path / "found.json").write_text(json.dumps(found))
    words = run("verify", folder, "--needles", tmp_path / "found.json", "-o", out, code=2)
    assert "another frame of reference" in words
    assert not out.exists()


def test_exports(folder: Path, tmp_path: Path) -> None:
    run("export", folder, "--to", "glb", "-o", tmp_path / "g", "-q")
    scene = trimesh.load_scene(tmp_path / "g" / "scene.glb")
    assert {"needle 1", "target", "liver", "body"} <= set(scene.geometry)
    assert scene.metadata["frame_of_reference_uid"] == UID
    run("export", folder, "--to", "robot", "-o", tmp_path / "r", "--frame", UID, "-q")
    assert (tmp_path / "r" / "robot.csv").exists()
    for way in ("slicer", "csv"):
        run("export", folder, "--to", way, "-o", tmp_path / way, "-q")
    assert (tmp_path / "slicer" / "needle_1.mrk.json").exists()
    words = run("export", folder, "--to", "robot", "-o", tmp_path / "x", "--frame", "1.2.3", code=2)
    assert "another frame of reference" in words
    write_plan(replace(_plan(FRONT), frame_of_reference_uid=None), tmp_path / "plan.json")
    words = run("export", tmp_path / "plan.json", "--to", "robot", "-o", tmp_path / "x", code=2)
    assert "--frame" in words
    assert "slicer, csv, glb, igtl, robot" in run(
        "export", folder, "--to", "usb", "-o", tmp_path / "x", code=2
    )
    assert "--out" in run("export", folder, "--to", "csv", code=2)
    assert not (tmp_path / "x").exists()
    assert "--seconds" in run("export", folder, "--to", "igtl", "--seconds", -1, code=2)
    words = run("export", folder, "--to", "igtl", "--port", 0, "--seconds", 0.1, "--track", "A")
    assert "Listening on 127.0.0.1" in words
