"""Readers and writers of files that are not DICOM: NIfTI, plans, tables, markups, output."""

from irplan.files.atomic import atomic_path
from irplan.files.label_table import read_label_table
from irplan.files.markups import write_needles_markups
from irplan.files.nifti import (
    is_nifti,
    read_labels,
    read_mask,
    read_volume,
    write_labels,
    write_mask,
    write_volume,
)
from irplan.files.output import OutputFolder
from irplan.files.plan_file import plan_to_json, read_plan, write_plan
from irplan.files.tables import write_evaluation_csv

__all__ = [
    "OutputFolder",
    "atomic_path",
    "is_nifti",
    "plan_to_json",
    "read_label_table",
    "read_labels",
    "read_mask",
    "read_plan",
    "read_volume",
    "write_evaluation_csv",
    "write_labels",
    "write_mask",
    "write_needles_markups",
    "write_plan",
    "write_volume",
]
