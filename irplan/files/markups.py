"""Needles and points as 3D Slicer markups (``.mrk.json``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json
from irplan.geometry import Point3
from irplan.planning.plan import AblationPlan

#: The JSON schema 3D Slicer 5 names in its own files.
MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)

_NEEDLE_RGB = (1.0, 0.8, 0.1)
_TARGET_RGB = (0.56, 0.93, 0.56)


def write_needles_markups(plan: AblationPlan, folder: str | Path) -> tuple[Path, ...]:
    """One line markup a needle (``needle_1.mrk.json`` ...) and the target's centre as a point.

    One markup a file: every Slicer since 4.13 opens it by drag and drop.  Control points are
    ``Entry`` and ``Tip``, LPS mm; all are locked, since moving a line in Slicer would not move
    the plan.  Returns the files in order, the target (``target.mrk.json``) last.  Raises
    `OutputError` where ``folder`` cannot be written.
    """
    out: list[Path] = []
    for number, placement in enumerate(plan.placements, start=1):
        needle = placement.needle
        name = f"Needle {number} ({placement.applicator.name}, {placement.status})"
        markup = _markup(
            "Line",
            name,
            (("Entry", needle.entry_mm), ("Tip", needle.tip_mm)),
            colour=_NEEDLE_RGB,
        )
        markup["measurements"] = [
            {
                "name": "length",
                "enabled": True,
                "value": needle.depth_mm,
                "units": "mm",
                "printFormat": "%-#4.4g%s",
            }
        ]
        out.append(_write(Path(folder) / f"needle_{number}.mrk.json", markup))
    target = _markup(
        "Fiducial",
        "Target",
        (("Target", plan.target.centroid_mm),),
        colour=_TARGET_RGB,
    )
    out.append(_write(Path(folder) / "target.mrk.json", target))
    return tuple(out)


def _write(path: Path, markup: dict[str, Any]) -> Path:
    text = dump_json({"@schema": MARKUPS_SCHEMA, "markups": [markup]}, field=path.name)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def _markup(
    kind: str,
    name: str,
    points: Sequence[tuple[str, Point3]],
    *,
    colour: tuple[float, float, float],
) -> dict[str, Any]:
    return {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": [
            {
                "id": str(number),
                "label": label,
                "description": "",
                "associatedNodeID": "",
                "position": [float(v) for v in position],
                # columns are the Slicer default: LPS, so x and y are reversed against RAS
                "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": True,
                "visibility": True,
                "positionStatus": "defined",
            }
            for number, (label, position) in enumerate(points, start=1)
        ],
        "measurements": [],
        "display": {
            "visibility": True,
            "opacity": 1.0,
            "color": list(colour),
            "selectedColor": list(colour),
            "activeColor": [0.4, 1.0, 0.0],
            "propertiesLabelVisibility": True,
            "pointLabelsVisibility": True,
            "textScale": 3.0,
            "glyphType": "Sphere3D",
            "useGlyphScale": False,
            "glyphSize": 3.0,
            "sliceProjection": True,
            "sliceProjectionOpacity": 0.6,
            "handlesInteractive": False,
            "snapMode": "unconstrained",
        },
    }
