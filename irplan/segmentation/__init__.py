"""Body, liver, vessels, obstacles and targets from a CT; how well two masks agree."""

from irplan.segmentation.abdomen import AbdomenSegmentation, segment_abdomen
from irplan.segmentation.ct_check import check_ct
from irplan.segmentation.liver import LiverSegmentation, LiverStages, segment_liver
from irplan.segmentation.overlap import (
    SurfaceDistances,
    dice,
    relative_volume_difference,
    surface_distances,
    volumetric_overlap_error,
)
from irplan.segmentation.target import target_from_point

__all__ = [
    "AbdomenSegmentation",
    "LiverSegmentation",
    "LiverStages",
    "SurfaceDistances",
    "check_ct",
    "dice",
    "relative_volume_difference",
    "segment_abdomen",
    "segment_liver",
    "surface_distances",
    "target_from_point",
    "volumetric_overlap_error",
]
