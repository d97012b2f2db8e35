"""Readers and writers of files that are not DICOM: NIfTI, plans, tables, markups, output."""

from irplan.files.applicator_file import read_applicators, write_applicators
from irplan.files.atomic import atomic_path
from irplan.files.evaluation_file import write_evaluation
from irplan.files.label_table import read_label_table
from irplan.files.markups import write_needles_markups
from irplan.files.needle_lines import (
    NamedNeedle,
    read_needle_table,
    read_needles_markups,
    write_needle_table,
)
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
from irplan.files.problem_file import ProblemFile, example_problem, read_problem
from irplan.files.simulation_file import write_summary, write_trace, write_zone_table
from irplan.files.tables import write_evaluation_csv

__all__ = [
    "NamedNeedle",
    "OutputFolder",
    "ProblemFile",
    "atomic_path",
    "example_problem",
    "is_nifti",
    "plan_to_json",
    "read_applicators",
    "read_label_table",
    "read_labels",
    "read_mask",
    "read_needle_table",
    "read_needles_markups",
    "read_plan",
    "read_problem",
    "read_volume",
    "write_applicators",
    "write_evaluation",
    "write_evaluation_csv",
    "write_labels",
    "write_mask",
    "write_needle_table",
    "write_needles_markups",
    "write_plan",
    "write_summary",
    "write_trace",
    "write_volume",
    "write_zone_table",
]
