"""DICOM: CT series and masks in, descriptions without patient data."""

from irplan.dicom.describe import describe
from irplan.dicom.find import find_series
from irplan.dicom.info import SeriesInfo
from irplan.dicom.mask import load_mask, read_mask
from irplan.dicom.reading import is_dicom
from irplan.dicom.series import load_series, read_series

__all__ = [
    "SeriesInfo",
    "describe",
    "find_series",
    "is_dicom",
    "load_mask",
    "load_series",
    "read_mask",
    "read_series",
]
