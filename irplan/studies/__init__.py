"""Studies: one computation over many cases and parameters, on one machine or a cluster.

`read_study` reads a study file, `run_study` computes what is missing and writes the table;
docs/studies.md is the reference.
"""

from irplan.studies.design import Design
from irplan.studies.factor import Factor
from irplan.studies.plan_task import PlanTask
from irplan.studies.python_task import PythonTask
from irplan.studies.run import StudyOutcome, run_study
from irplan.studies.simulate_task import SimulateTask
from irplan.studies.study import Case, Study, StudyRun
from irplan.studies.study_file import read_study

__all__ = [
    "Case",
    "Design",
    "Factor",
    "PlanTask",
    "PythonTask",
    "SimulateTask",
    "Study",
    "StudyOutcome",
    "StudyRun",
    "read_study",
    "run_study",
]
