"""irplan's own method for a request: liver, neighbours, vessel kinds, tumours, segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan import __version__, dicom
from irplan.case.segment_request import SegmentRequest
from irplan.compute.progress import Progress, portion
from irplan.errors import InputError
from irplan.image import LabelMap, Volume
from irplan.image.labels import Label
from irplan.image.structures import structure
from irplan.segmentation import (
    CheckRow,
    Click,
    CouinaudLandmarks,
    CouinaudSegments,
    LiverSegmentation,
    Stroke,
    VesselClick,
    couinaud_segments,
    ct_rows,
    diaphragm_layer,
    name_vessels,
    segment_abdomen,
    segment_liver,
    segment_tumour,
    skin_layer,
)
from irplan.segmentation.clicks import check_clicks


@dataclass(frozen=True, eq=False)
class Found:
    """What a method found: ``labels`` of what was asked for, ``segments`` if asked for, and how.

    ``algorithms`` by structure for DICOM; ``liver`` with its stages where irplan found it.
    """

    labels: LabelMap
    checks: tuple[CheckRow, ...]
    warnings: tuple[str, ...]
    provenance: dict[str, Any]
    algorithms: Mapping[str, dicom.SegmentationAlgorithm]
    liver: LiverSegmentation | None
    segments: CouinaudSegments | None = None


def segment_own(request: SegmentRequest, volume: Volume, progress: Progress) -> Found:
    """irplan's own method; only the liver where no other structure is asked for."""
    given = [Click(p, True) for p in request.foreground]
    given += [Click(p, False) for p in request.background]
    clicks = check_clicks(given, volume.grid)
    rest = set(request.wanted) - {"liver", "tumour"}
    if rest:
        abdomen = segment_abdomen(
            volume,
            clicks=clicks,
            vessel_mode=request.vessel_mode,
            progress=portion(progress, 0.0, 0.9),
        )
        liver, labels = abdomen.liver, abdomen.labels
        warnings = list(abdomen.warnings)
        labels = _with_layers(rest, labels, liver, warnings)
    else:
        liver = segment_liver(volume, clicks=clicks, progress=portion(progress, 0.0, 0.9))
        labels = LabelMap.from_masks(volume.grid, [(structure("liver"), liver.mask)])
        warnings = list(liver.warnings)
    if request.vessels:
        progress(0.9, "vessels: kinds from clicks")
        labels = _with_kinds(request, labels, liver, warnings)
    array = np.zeros(volume.grid.shape, dtype=np.uint8)
    kept: list[Label] = []
    if "liver" in request.wanted:
        # What lies in the liver and was not asked for is liver.
        array[liver.mask] = structure("liver").value
        kept.append(structure("liver"))
    for label in labels.labels:
        if label.name in request.wanted and label.name != "liver":
            array[labels.array == label.value] = label.value
            kept.append(label)
    painted, notes = with_tumours(
        request, volume, LabelMap(array, volume.grid, tuple(kept)), liver.mask, progress
    )
    segments = None
    if request.landmarks:
        progress(0.97, "segments: planes")
        whole: NDArray[np.bool_] = liver.mask | painted.mask("tumour")
        segments = couinaud_segments(
            whole, volume.grid, CouinaudLandmarks.from_points(dict(request.landmarks))
        )
        notes = (*notes, *segments.notes)
    return Found(
        painted,
        ct_rows(volume, liver),
        (*warnings, *notes),
        _provenance(request, liver, clicks),
        _algorithms(request, bool(clicks)),
        liver,
        segments,
    )


def _provenance(
    request: SegmentRequest, liver: LiverSegmentation, clicks: Sequence[Click]
) -> dict[str, Any]:
    return {
        "method": f"irplan {liver.method}",
        "irplan_version": __version__,
        "clicks": [
            {"point_mm": [float(v) for v in c.point_mm], "inside": c.inside} for c in clicks
        ],
        "vessel_clicks": [
            {"kind": kind, "point_mm": [float(v) for v in p]} for kind, p in request.vessels
        ],
        "vessel_mode": request.vessel_mode,
        "landmarks": {name: [float(v) for v in p] for name, p in request.landmarks},
        "liver_mean_hu": liver.mean_hu,
        "liver_sd_hu": liver.sd_hu,
    }


def _algorithms(request: SegmentRequest, corrected: bool) -> dict[str, dicom.SegmentationAlgorithm]:
    out = {
        "liver": dicom.SegmentationAlgorithm(kind="SEMIAUTOMATIC" if corrected else "AUTOMATIC"),
        "tumour": dicom.SegmentationAlgorithm(
            name="irplan lesion graph cut from a stroke", kind="SEMIAUTOMATIC"
        ),
    }
    for kind, _ in request.vessels:
        out[kind] = dicom.SegmentationAlgorithm(
            name="irplan vessel tree from clicks", kind="SEMIAUTOMATIC"
        )
    return out


def _with_layers(
    wanted: set[str], labels: LabelMap, liver: LiverSegmentation, warnings: list[str]
) -> LabelMap:
    """Skin and diaphragm, where asked for, over what has no name yet."""
    free = labels.mask("body")
    if "skin" in wanted:
        skin = skin_layer(labels.array != 0, labels.grid)
        labels = labels.with_mask(structure("skin"), skin & free)
    if "diaphragm" in wanted:
        layer = diaphragm_layer(liver)
        if layer is None:
            warnings.append("The diaphragm was not checked: the scan does not reach above it.")
        else:
            here = liver.stages.image.give(layer, labels.grid)
            labels = labels.with_mask(structure("diaphragm"), here & labels.mask("body"))
    return labels


def _with_kinds(
    request: SegmentRequest, labels: LabelMap, liver: LiverSegmentation, warnings: list[str]
) -> LabelMap:
    """Vessels under the names that clicks give them; portal and hepatic veins near the liver."""
    source = "vessel_in_part" if labels.checked("vessel_in_part") else "vessel"
    vessels = labels.mask(source)
    if not vessels.any():
        raise InputError(
            "--portal / --hepatic / --artery / --cava",
            got="points in a scan where veins "
            + ("were not found" if labels.checked(source) else "could not be assessed"),
            expected="veins brighter than the liver (portal or delayed phase)",
            remedy="Leave the points out, or give a scan of another phase.",
        )
    clicks = [VesselClick(p, k) for k, p in request.vessels]
    found = name_vessels(vessels, liver.mask, labels.grid, clicks)
    for kind, mask in found.items():
        labels = labels.with_mask(structure(kind), mask)
    share = 100.0 * float(labels.mask(source).sum()) / float(vessels.sum())
    warnings.append(
        f"Vessel kinds spread from {len(clicks)} points; {share:.0f} % of the vessels stay "
        f"'{source}' (in doubt, not clicked, or away from the liver)."
    )
    return labels


def with_tumours(
    request: SegmentRequest,
    volume: Volume,
    labels: LabelMap,
    liver: NDArray[np.bool_] | None,
    progress: Progress,
) -> tuple[LabelMap, tuple[str, ...]]:
    """The tumours that points and diameters span, painted over everything; notes in words."""
    notes: list[str] = []
    painted = np.zeros(labels.grid.shape, dtype=bool)
    for n, (point, diameter) in enumerate(request.tumours, start=1):
        progress(0.95, f"tumour {n}: cut")
        lesion = segment_tumour(
            volume,
            Stroke.from_point(point, diameter),
            liver=liver,
            edge=request.tumour_edge,
            margin_mm=request.tumour_margin_mm,
            method=request.tumour_method,
        )
        painted |= lesion.mask
        margin = f", margin {lesion.margin_mm:+g} mm" if lesion.margin_mm else ""
        notes.append(
            f"Tumour {n}: {lesion.volume_ml:.2f} ml by {lesion.method}, edge: {lesion.edge}"
            f"{margin}."
        )
        notes += lesion.notes
    if request.tumours:
        labels = labels.with_mask(structure("tumour"), painted)
    return labels, tuple(notes)
