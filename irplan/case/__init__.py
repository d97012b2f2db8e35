"""One case from files to files: open any image, run the chain, write the folder."""

from irplan.case.describe import describe_file
from irplan.case.open import open_image, open_mask
from irplan.case.phantom import write_phantom
from irplan.case.run import Outcome, PlanRequest, run_demo, run_plan
from irplan.case.write import write_case

__all__ = [
    "Outcome",
    "PlanRequest",
    "describe_file",
    "open_image",
    "open_mask",
    "run_demo",
    "run_plan",
    "write_case",
    "write_phantom",
]
