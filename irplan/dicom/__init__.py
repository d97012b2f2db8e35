"""DICOM: CT series, masks and segmentations in, segmentations out, descriptions."""

from irplan.dicom.describe import describe
from irplan.dicom.find import find_series
from irplan.dicom.info import SeriesInfo
from irplan.dicom.mask import load_mask, read_mask
from irplan.dicom.reading import is_dicom
from irplan.dicom.rtstruct_read import is_rtstruct, read_rtstruct
from irplan.dicom.segmentation_read import is_segmentation, read_segmentation
from irplan.dicom.segmentation_write import SegmentationAlgorithm, write_segmentation
from irplan.dicom.series import load_series, read_series

__all__ = [
    "SegmentationAlgorithm",
    "SeriesInfo",
    "describe",
    "find_series",
    "is_dicom",
    "is_rtstruct",
    "is_segmentation",
    "load_mask",
    "load_series",
    "read_mask",
    "read_rtstruct",
    "read_segmentation",
    "read_series",
    "write_segmentation",
]
