"""Target and entry of each needle for a needle-positioning robot, bound to a frame of reference."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.errors import FileFormatError, InputError
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, load_json
from irplan.geometry import Needle, as_point
from irplan.planning.plan import AblationPlan

#: Name and version of what `write_robot_targets` writes.
ROBOT_SCHEMA, ROBOT_SCHEMA_VERSION = "irplan-robot-targets", 1
_COLUMNS = (
    "needle", "applicator", "status", "review", "frame_of_reference_uid", "entry_x_mm",
    "entry_y_mm", "entry_z_mm", "target_x_mm", "target_y_mm", "target_z_mm", "direction_x",
    "direction_y", "direction_z", "depth_mm",
)  # fmt: skip


def checked_frame(plan: AblationPlan, frame_uid: str | None) -> str:
    """The frame of reference in which the targets hold; `InputError` where that is not sure.

    ``frame_uid`` is the frame the robot is registered to.  A plan made on an image that carries
    none (NIfTI) takes the frame stated here, on the user's word; a plan that carries one must
    carry this one.
    """
    own = plan.frame_of_reference_uid
    stated = (frame_uid or "").strip() or None
    if stated is not None and not _is_uid(stated):
        raise InputError(
            "frame of reference",
            got=repr(stated)[:70],
            expected="a DICOM UID: digits and points, at most 64 characters",
            remedy="Take (0020,0052) of the series the robot is registered to.",
        )
    if own is None and stated is None:
        raise InputError(
            "frame of reference",
            got="a plan made on an image without one",
            expected="the frame of reference UID that the robot is registered to",
            remedy="Give --frame UID, (0020,0052) of the series that this image was made from.",
        )
    if own is not None and stated is not None and own != stated:
        raise InputError(
            "frame of reference",
            got="a robot registered to another frame of reference than the plan's",
            expected="the frame of the image that was planned on",
            remedy="Register the robot to the planning image, or carry the plan over to the "
            "other image first. Nothing was written.",
        )
    return own or str(stated)


def write_robot_targets(
    plan: AblationPlan, json_path: str | Path, csv_path: str | Path, *, frame_uid: str | None
) -> None:
    """Write the needles as JSON (schema ``irplan-robot-targets`` 1) and as CSV; LPS mm.

    ``direction`` is the unit vector from entry to target; the target is the needle's tip.
    Raises `InputError` as `checked_frame`, and `OutputError`.
    """
    frame = checked_frame(plan, frame_uid)
    needles: list[dict[str, Any]] = []
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(_COLUMNS)
    for number, placement in enumerate(plan.placements, start=1):
        needle = placement.needle
        way = [float(v) for v in needle.direction]
        needles.append(
            {
                "name": f"needle {number}",
                "applicator": placement.applicator.name,
                "status": placement.status,
                "entry_mm": list(needle.entry_mm),
                "target_mm": list(needle.tip_mm),
                "direction": way,
                "depth_mm": needle.depth_mm,
            }
        )
        numbers = (*needle.entry_mm, *needle.tip_mm, *way, needle.depth_mm)
        table.writerow(
            (f"needle {number}", placement.applicator.name, placement.status, plan.review.state,
             frame, *(f"{round(v, 6) + 0.0:.10g}" for v in numbers))
        )  # fmt: skip
    data = {
        "schema": ROBOT_SCHEMA,
        "schema_version": ROBOT_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": __version__,
        "coordinate_system": "LPS",
        "unit": "mm",
        "frame_of_reference_uid": frame,
        "frame_from": "plan" if plan.frame_of_reference_uid else "stated by the user",
        "review": plan.review.state,
        "needles": needles,
    }
    for path, text in (
        (csv_path, rows.getvalue()),
        (json_path, dump_json(data, field="robot targets")),
    ):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def read_robot_targets(path: str | Path, *, frame_uid: str) -> tuple[Needle, ...]:
    """The needles of a JSON file that `write_robot_targets` wrote, in the frame ``frame_uid``.

    Raises `FileFormatError` for another kind of file and where the frames differ.
    """
    file = Path(path)
    data = load_json(file, what="robot file")
    if (data.get("schema"), data.get("schema_version")) != (ROBOT_SCHEMA, ROBOT_SCHEMA_VERSION):
        raise FileFormatError(
            f"robot file '{file.name}'",
            got=f"schema {data.get('schema')!r} {data.get('schema_version')!r}",
            expected=f"{ROBOT_SCHEMA} {ROBOT_SCHEMA_VERSION}",
            remedy="Write it with irplan export --to robot.",
        )
    if data.get("frame_of_reference_uid") != frame_uid:
        raise FileFormatError(
            f"robot file '{file.name}', frame_of_reference_uid",
            got="another frame of reference",
            expected="the frame asked for",
            remedy="Register the robot to the image that was planned on.",
        )
    try:
        return tuple(
            Needle(
                as_point(n["target_mm"], field="target_mm"),
                as_point(n["entry_mm"], field="entry_mm"),
            )
            for n in data["needles"]
        )
    except (KeyError, TypeError) as error:
        raise FileFormatError(
            f"robot file '{file.name}', needles",
            got="a needle without target or entry",
            expected="target_mm and entry_mm of each",
            remedy="Write the file again.",
        ) from error


def _is_uid(text: str) -> bool:
    parts = text.split(".")
    return len(text) <= 64 and len(parts) > 1 and all(p.isascii() and p.isdigit() for p in parts)
