"""C-arm views of a plan's needles with predicted pictures, and the plan on a real X-ray frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.case.open import open_image_and_notes
from irplan.case.plan_folder import PlanFolder, open_plan_folder
from irplan.compute.progress import Progress, no_progress, portion
from irplan.dicom.xa_frame import PoseTags, XaFrame, read_xa_frame
from irplan.errors import FileFormatError, InputError, NoViewError
from irplan.files import OutputFolder
from irplan.files.camera_file import read_camera
from irplan.files.json_text import dump_json
from irplan.files.system_file import read_system
from irplan.files.views_file import views_to_data, write_views
from irplan.geometry import CArm, Grid, Point3
from irplan.geometry.patient_position import room_from_lps
from irplan.guidance import GENERIC_SYSTEM, NeedleViews, find_views, room_obstacles
from irplan.guidance.views import View, angle_words
from irplan.image import LabelMap, Volume
from irplan.image.line_integrals import attenuation_per_mm, binned, line_integrals
from irplan.planning.distance import bounding_box, grown_box
from irplan.viz.camera_overlay import camera_overlay
from irplan.viz.guidance_views import XrayView, xray_views
from irplan.viz.meshes import mask_surface
from irplan.viz.needle_reslice import needle_reslice
from irplan.viz.style import png_bytes

#: HU that stand for structures where no CT is given; 40 for those not named.
NOMINAL_HU = {
    "body": 20, "fat": -100, "muscle": 55, "lung": -800, "gas": -950, "bone": 450, "liver": 100,
    "stomach": 30, "bowel": 30, "gallbladder": 10, "tumour": 70, "portal_vein": 165,
    "hepatic_vein": 160, "vessel": 160, "vessel_in_part": 160, "artery": 180, "vena_cava": 150,
    "kidney_left": 160, "kidney_right": 160, "spleen": 110,
}  # fmt: skip
#: Predicted pictures are about this wide, pixels.
_PICTURE_PX = 420


@dataclass(frozen=True)
class ViewsRequest:
    """What ``irplan views`` is asked.

    ``isocentre_mm`` defaults to the target's centre (the table put there) for views; a real frame
    needs it stated.  ``xa`` draws the plan on a frame instead, ``camera`` with ``photo`` on video.
    """

    plan: Path
    out: Path
    patient_position: str | None = None
    system: Path | None = None
    ct: Path | None = None
    isocentre_mm: Point3 | None = None
    start_gantry_deg: tuple[float, float] = (0.0, 0.0)
    needle: int | None = None
    xa: Path | None = None
    frame: int = 1
    stated: PoseTags = field(default_factory=PoseTags)
    camera: Path | None = None
    photo: Path | None = None
    labels: Path | None = None
    target: Path | None = None


@dataclass(frozen=True, eq=False)
class ViewsOutcome:
    """Views (or why there is none) of each needle asked for, and what the user should know."""

    data: dict[str, Any]
    without_view: int
    messages: tuple[str, ...]


def run_views(request: ViewsRequest, *, progress: Progress = no_progress) -> ViewsOutcome:
    """Find the views, draw them, write table, JSON and pictures; the folder is whole or absent.

    Raises `NoViewError` where no needle has a view (nothing is written), `InputError` for an
    unknown patient position, `DicomError` that names every missing pose tag, and what opening
    the plan raises.
    """
    with OutputFolder(request.out) as folder:
        if (request.camera is None) != (request.photo is None):
            raise InputError(
                "--camera, --photo",
                got="one of the two",
                expected="both",
                remedy="Give the camera's calibration and the frame to draw on.",
            )
        progress(0.0, "opening the plan")
        opened = open_plan_folder(request.plan, labels=request.labels, target=request.target)
        if request.xa is not None:
            outcome = _on_frame(request, opened, folder, progress)
        elif request.camera is not None and request.photo is not None:
            outcome = _on_photo(request.camera, request.photo, opened, folder)
        else:
            outcome = _views(request, opened, folder, progress)
        progress(1.0, "done")
        return outcome


def _views(
    request: ViewsRequest, opened: PlanFolder, folder: Path, progress: Progress
) -> ViewsOutcome:
    room_from_lps(request.patient_position)
    position = str(request.patient_position)
    system = GENERIC_SYSTEM if request.system is None else read_system(request.system)
    plan = opened.plan
    needles = [p.needle for p in plan.placements]
    chosen = range(len(needles)) if request.needle is None else [_number(request, len(needles))]
    messages = list(opened.messages)
    iso = plan.target.centroid_mm if request.isocentre_mm is None else request.isocentre_mm
    if request.isocentre_mm is None:
        messages.append("Isocentre: the target's centre, where the table has to put it.")
    if request.system is None:
        messages.append("The system is generic: give your own with --system for its limits.")
    obstacles = room_obstacles(system, iso, position, labels=opened.labels, needles=needles)
    found: list[NeedleViews | str] = []
    failures: list[NoViewError] = []
    for n in chosen:
        try:
            found.append(
                find_views(
                    needles[n], system, isocentre_mm=iso, patient_position=position,
                    start_gantry_deg=request.start_gantry_deg, obstacles=obstacles,
                )
            )  # fmt: skip
        except NoViewError as error:
            failures.append(error)
            found.append(f"{error.field}: {error.got}")
    if failures and len(failures) == len(found):
        raise failures[0]
    hu, grid, note = _image(request.ct, opened.labels, portion(progress, 0.05, 0.2))
    messages += note
    zone = opened.zone()
    data = views_to_data(found, system, isocentre_mm=iso, patient_position=position)
    for row, n in zip(data["needles"], chosen, strict=True):
        row["needle"] = n + 1
    write_views(data, folder / "views.json", folder / "views.csv")
    good = [(n, one) for n, one in zip(chosen, found, strict=True) if not isinstance(one, str)]
    mu = attenuation_per_mm(Volume(hu, grid, "HU"))
    for k, (n, one) in enumerate(good):
        part = portion(progress, 0.2 + 0.7 * k / len(good), 0.2 + 0.7 * (k + 1) / len(good))
        shots = [("Bull's-eye", one.bulls_eye)]
        shots += [(f"Progress {i}", v) for i, v in enumerate(one.progress, start=1)]
        pictures = [
            _shot(
                f"Needle {n + 1}, {name}: {_words(v)}", v.c_arm, mu, grid, opened, zone, n,
                portion(part, i / len(shots), (i + 1) / len(shots)),
            )
            for i, (name, v) in enumerate(shots)
        ]  # fmt: skip
        figure = xray_views(pictures, footnote=_footnote(request.ct))
        (folder / f"views_{n + 1}.png").write_bytes(png_bytes(figure))
        figure = needle_reslice(
            hu, grid, needles[n], target=_same(opened.target, opened.labels.grid, grid),
            centre_mm=plan.target.centroid_mm, title=f"Needle {n + 1}",
        )  # fmt: skip
        (folder / f"reslice_{n + 1}.png").write_bytes(png_bytes(figure))
    return ViewsOutcome(data, len(failures), tuple(dict.fromkeys(messages)))


def _on_frame(
    request: ViewsRequest, opened: PlanFolder, folder: Path, progress: Progress
) -> ViewsOutcome:
    assert request.xa is not None
    stated = request.stated
    seen = read_xa_frame(
        request.xa, isocentre_mm=request.isocentre_mm, frame=request.frame, stated=stated
    )
    arm = seen.c_arm
    grid = opened.labels.grid
    needles = tuple(p.needle for p in opened.plan.placements)
    progress(0.3, "projecting the target")
    target = _inside(opened.target, grid, arm)
    zone = opened.zone()
    figure = xray_views(
        [
            XrayView(
                f"Frame {request.frame}: {angle_words(arm.primary_deg, arm.secondary_deg)}",
                seen.pixels, arm, needles, None, target,
                None if zone is None else _inside(zone, grid, arm),
            )
        ],
        footnote="Plan drawn by the frame's pose; where it lies depends on the isocentre stated.",
    )  # fmt: skip
    (folder / "overlay.png").write_bytes(png_bytes(figure))
    data = _frame_data(seen, opened, request)
    (folder / "overlay.json").write_text(dump_json(data, field="overlay"), encoding="utf-8")
    outside = int(sum(not arm.on_detector(arm.project(n.tip_mm)) for n in needles))
    words = (f"{outside} of {len(needles)} needle tips lie beside the picture.",) if outside else ()
    return ViewsOutcome(data, 0, (*opened.messages, *seen.notes, *words))


def _frame_data(seen: XaFrame, opened: PlanFolder, request: ViewsRequest) -> dict[str, Any]:
    arm = seen.c_arm
    return {
        "schema": "irplan-overlay",
        "schema_version": 1,
        "frame": request.frame,
        "primary_deg": arm.primary_deg,
        "secondary_deg": arm.secondary_deg,
        "isocentre_mm": list(arm.isocentre_mm),
        "projection_matrix": [[float(x) for x in row] for row in arm.projection_matrix],
        "needles": [
            {
                "needle": n,
                "entry_px": [float(x) for x in arm.project(p.needle.entry_mm)],
                "tip_px": [float(x) for x in arm.project(p.needle.tip_mm)],
            }
            for n, p in enumerate(opened.plan.placements, start=1)
        ],
    }


def _on_photo(camera: Path, photo: Path, opened: PlanFolder, folder: Path) -> ViewsOutcome:
    from PIL import Image, UnidentifiedImageError

    seen = read_camera(camera)
    try:
        with Image.open(photo) as picture:
            frame = np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise FileFormatError(
            f"photo '{photo.name}'",
            got="a file that is no picture",
            expected="a frame as PNG or JPEG",
            remedy="Check the path; export one frame of the video.",
        ) from error
    mesh = mask_surface(opened.target, opened.labels.grid, voxel_mm=1.0, smooth_mm=0.8)
    figure = camera_overlay(
        frame,
        seen,
        [p.needle for p in opened.plan.placements],
        outline_mm=None if mesh is None else mesh.vertices,
    )
    (folder / "overlay.png").write_bytes(png_bytes(figure, 100))
    data: dict[str, Any] = {
        "schema": "irplan-overlay",
        "schema_version": 1,
        "needles": [
            {
                "needle": n,
                "entry_px": [float(x) for x in seen.project(p.needle.entry_mm)],
                "tip_px": [float(x) for x in seen.project(p.needle.tip_mm)],
            }
            for n, p in enumerate(opened.plan.placements, start=1)
        ],
    }
    (folder / "overlay.json").write_text(dump_json(data, field="overlay"), encoding="utf-8")
    return ViewsOutcome(data, 0, opened.messages)


def _shot(
    title: str,
    arm: CArm,
    mu: NDArray[np.float32],
    grid: Grid,
    opened: PlanFolder,
    zone: NDArray[np.bool_] | None,
    needle: int,
    progress: Progress,
) -> XrayView:
    every = max(1, arm.detector_shape[1] // _PICTURE_PX)
    small = binned(arm, every)
    own = opened.labels.grid
    needles = tuple(p.needle for p in opened.plan.placements)
    beam = line_integrals(mu, grid, small, step_mm=1.0, progress=portion(progress, 0.0, 0.8))
    return XrayView(
        title, -beam, small, needles, needle, _inside(opened.target, own, small),
        None if zone is None else _inside(zone, own, small),
    )  # fmt: skip


def _inside(mask: NDArray[np.bool_], grid: Grid, arm: CArm) -> NDArray[np.float32]:
    """(rows, columns) length of the beam inside a mask, mm, from the box that holds it."""
    box = bounding_box(mask)
    if box is None:
        return np.zeros(arm.detector_shape, dtype=np.float32)
    part = grown_box(box, 3.0, grid.spacing_mm, grid.shape)
    small = grid.crop([s.start for s in part], [s.stop - s.start for s in part])
    return line_integrals(mask[part], small, arm)


def _image(
    ct: Path | None, labels: LabelMap, progress: Progress
) -> tuple[NDArray[Any], Grid, tuple[str, ...]]:
    if ct is not None:
        volume, notes = open_image_and_notes(ct, progress=progress)
        a, b = volume.grid.frame_of_reference_uid, labels.grid.frame_of_reference_uid
        if a is not None and b is not None and a != b:
            volume.grid.require_same(labels.grid, field="--ct")
        return volume.array, volume.grid, notes
    table = np.full(256, 40, dtype=np.int16)
    table[0] = -1000
    for label in labels.labels:
        table[label.value] = NOMINAL_HU.get(label.name, 40)
    note = "No CT given: predicted pictures and reslices show the labels with nominal HU."
    return table[labels.array], labels.grid, (note,)


def _same(mask: NDArray[np.bool_], own: Grid, grid: Grid) -> NDArray[np.bool_]:
    if own.same_as(grid):
        return mask
    from irplan.image.resample import resample_mask

    return resample_mask(mask, own, grid)


def _number(request: ViewsRequest, count: int) -> int:
    number = int(request.needle or 0)
    if not 1 <= number <= count:
        raise InputError(
            "--needle",
            got=str(number),
            expected=f"1 to {count}",
            remedy="Needles are counted from 1.",
        )
    return number - 1


def _words(view: View) -> str:
    return angle_words(view.c_arm.primary_deg, view.c_arm.secondary_deg)


def _footnote(ct: Path | None) -> str:
    what = "the CT" if ct is not None else "the labels with nominal HU (no CT given)"
    return f"Predicted from {what}; angles about the patient (DICOM). Research use only."
