"""A plan handed on: Slicer, tables, headsets, robots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from irplan.case.plan_folder import PlanFolder, open_plan_folder
from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.files import OutputFolder, read_plan, write_needle_table, write_needles_markups
from irplan.files.glb_scene import ScenePart, needle_part, write_glb
from irplan.files.robot_file import checked_frame, write_robot_targets
from irplan.image import structure
from irplan.planning import AblationPlan
from irplan.viz.meshes import mask_surface

Way = Literal["slicer", "csv", "glb", "robot"]
#: Structures of a headset's scene and how much of them is seen through, front to back.
_SHOWN = (
    ("body", 0.12), ("liver", 0.30), ("bone", 0.55), ("portal_vein", 0.8), ("hepatic_vein", 0.8),
    ("vessel", 0.8), ("vessel_in_part", 0.8), ("artery", 0.8), ("vena_cava", 0.8),
    ("gallbladder", 0.7), ("kidney_left", 0.6), ("kidney_right", 0.6), ("stomach", 0.4),
    ("bowel", 0.4), ("spleen", 0.5), ("lung", 0.2),
)  # fmt: skip


@dataclass(frozen=True)
class ExportRequest:
    """What ``irplan export`` is asked; ``frame_uid`` is the robot's frame of reference."""

    plan: Path
    way: str
    out: Path
    frame_uid: str | None = None
    labels: Path | None = None
    target: Path | None = None


def run_export(request: ExportRequest, *, progress: Progress = no_progress) -> tuple[str, ...]:
    """Write the plan the way that is asked into the folder ``out``, whole or absent.

    Returns the files' names.  Raises `InputError` for another way or frames of reference that
    differ, and what opening the plan raises.
    """
    ways: dict[str, Callable[[ExportRequest, Path, Progress], None]] = {
        "slicer": _slicer, "csv": _csv, "glb": _glb, "robot": _robot,
    }  # fmt: skip
    if request.way not in ways:
        raise InputError(
            "--to",
            got=repr(request.way),
            expected="one of slicer, csv, glb, igtl, robot",
            remedy="Use one of these.",
        )
    with OutputFolder(request.out) as folder:
        ways[request.way](request, folder, progress)
        return tuple(sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")))


def read_plan_of(path: Path) -> AblationPlan:
    """The plan alone, from its file or folder."""
    return read_plan(path / "plan.json" if path.is_dir() else path)


def _slicer(request: ExportRequest, folder: Path, progress: Progress) -> None:
    del progress
    write_needles_markups(read_plan_of(request.plan), folder)


def _csv(request: ExportRequest, folder: Path, progress: Progress) -> None:
    del progress
    write_needle_table(read_plan_of(request.plan), folder / "needles.csv")


def _robot(request: ExportRequest, folder: Path, progress: Progress) -> None:
    del progress
    plan = read_plan_of(request.plan)
    checked_frame(plan, request.frame_uid)
    write_robot_targets(
        plan, folder / "robot.json", folder / "robot.csv", frame_uid=request.frame_uid
    )


def _glb(request: ExportRequest, folder: Path, progress: Progress) -> None:
    opened = open_plan_folder(request.plan, labels=request.labels, target=request.target)
    plan = opened.plan
    parts = [*_needles(plan), *_surfaces(opened, progress)]
    write_glb(
        parts,
        folder / "scene.glb",
        extras={
            "coordinate_system": "glTF: metres, +Y head, +Z front, +X patient's left",
            "frame_of_reference_uid": plan.frame_of_reference_uid or "",
            "review": plan.review.state,
            "use": "research only",
        },
    )


def _needles(plan: AblationPlan) -> list[ScenePart]:
    out = []
    for number, placement in enumerate(plan.placements, start=1):
        # twice as thick as they are: a 1.5 mm line is lost in a headset
        wide = 2.0 * placement.applicator.shaft_diameter_mm
        colour = (1.0, 0.88, 0.3, 1.0)
        out.append(needle_part(f"needle {number}", placement.needle, wide, colour))
    return out


def _surfaces(opened: PlanFolder, progress: Progress) -> list[ScenePart]:
    labels, grid = opened.labels, opened.labels.grid
    out = []
    masks = [("target", opened.target, (1.0, 0.37, 0.68, 1.0), 1.0)]
    zone = opened.zone()
    if zone is not None:
        masks.append(("zone", zone, (0.55, 0.85, 1.0, 0.35), 1.2))
    for name, alpha in _SHOWN:
        if labels.checked(name):
            mask = labels.array > 0 if name == "body" else labels.mask(name)
            if name == "liver":
                mask = labels.mask(
                    "liver", "tumour", "portal_vein", "hepatic_vein", "vessel", "vessel_in_part"
                )
            r, g, b = (c / 255.0 for c in structure(name).colour)
            masks.append((name, mask, (r, g, b, alpha), 6.0 if name == "body" else 3.0))
    for n, (name, mask, rgba, voxel) in enumerate(masks):
        progress(n / len(masks), f"surface: {name}")
        mesh = mask_surface(mask, grid, voxel_mm=voxel, smooth_mm=0.8 * voxel)
        if mesh is not None:
            out.append(ScenePart(name, mesh.vertices, mesh.faces, rgba))
    return out


WAYS: tuple[str, ...] = (*get_args(Way), "igtl")
"""What ``--to`` may be; ``igtl`` is a stream and no folder (`irplan.files.needle_stream`)."""
