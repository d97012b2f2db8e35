"""Body, liver, vessels, obstacles and targets from a CT; how well two masks agree."""

from irplan.segmentation.abdomen import AbdomenSegmentation, segment_abdomen
from irplan.segmentation.air import segment_gas, segment_lung
from irplan.segmentation.body import segment_body
from irplan.segmentation.bone import bone_region, segment_bone
from irplan.segmentation.clicks import Click
from irplan.segmentation.couinaud import (
    CouinaudLandmarks,
    CouinaudSegments,
    couinaud_segments,
)
from irplan.segmentation.ct_check import CheckRow, check_ct, contrast_phase, ct_rows
from irplan.segmentation.ct_check import Status as CheckStatus
from irplan.segmentation.gallbladder import segment_gallbladder
from irplan.segmentation.great_vessels import segment_great_vessels
from irplan.segmentation.layers import diaphragm_layer, skin_layer
from irplan.segmentation.liver import segment_liver
from irplan.segmentation.liver_result import LiverSegmentation, LiverStages
from irplan.segmentation.liver_session import LiverSession
from irplan.segmentation.obstacles import ObstacleOrgans, segment_obstacle_organs
from irplan.segmentation.overlap import (
    dice,
    leaks_ml,
    relative_volume_difference,
    volume_bias_ml,
    volumetric_overlap_error,
)
from irplan.segmentation.quality import MaskQuality, compare_masks, sliver07_score
from irplan.segmentation.surface_distance import SurfaceDistances, surface_distances
from irplan.segmentation.target import target_from_point
from irplan.segmentation.tumour import Stroke, TumourFinding, segment_tumour
from irplan.segmentation.vessel_kinds import name_vessels
from irplan.segmentation.vessel_tree import (
    VesselClick,
    VesselLabels,
    VesselTree,
    assign_vessels,
    find_vessel_tree,
)
from irplan.segmentation.vessels import (
    VesselFinding,
    segment_liver_vessels,
)
from irplan.segmentation.working import WorkingImage, working_image

__all__ = [
    "AbdomenSegmentation",
    "CheckRow",
    "CheckStatus",
    "Click",
    "CouinaudLandmarks",
    "CouinaudSegments",
    "LiverSegmentation",
    "LiverSession",
    "LiverStages",
    "MaskQuality",
    "ObstacleOrgans",
    "Stroke",
    "SurfaceDistances",
    "TumourFinding",
    "VesselClick",
    "VesselFinding",
    "VesselLabels",
    "VesselTree",
    "WorkingImage",
    "assign_vessels",
    "bone_region",
    "check_ct",
    "compare_masks",
    "contrast_phase",
    "couinaud_segments",
    "ct_rows",
    "diaphragm_layer",
    "dice",
    "find_vessel_tree",
    "leaks_ml",
    "name_vessels",
    "relative_volume_difference",
    "segment_abdomen",
    "segment_body",
    "segment_bone",
    "segment_gallbladder",
    "segment_gas",
    "segment_great_vessels",
    "segment_liver",
    "segment_liver_vessels",
    "segment_lung",
    "segment_obstacle_organs",
    "segment_tumour",
    "skin_layer",
    "sliver07_score",
    "surface_distances",
    "target_from_point",
    "volume_bias_ml",
    "volumetric_overlap_error",
    "working_image",
]
