"""Runs in an environment that holds only the wheel: where things are, and a small solve."""

import sys
from pathlib import Path

import irplan_gateway
import irplan_planner
import numpy as np

import irplan
from irplan.ablation import AblationProblem, LethalRule, Placement, Schedule, applicator, simulate
from irplan.compute import kernel_directory, kernel_source
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure

package = Path(irplan.__file__).resolve().parent
if not package.is_relative_to(Path(sys.prefix).resolve()):
    sys.exit(f"irplan was imported from {package}, not from the wheel")
for app in (irplan_planner, irplan_gateway):
    if not Path(str(app.__file__)).is_relative_to(package.parent):
        sys.exit(f"{app.__name__} was imported from {app.__file__}, not from the wheel")
if kernel_directory().parent != package or "__global__" not in kernel_source("bioheat"):
    sys.exit(f"CUDA sources are not in the wheel: {kernel_directory()}")

grid = Grid.from_spacing((100, 100, 100), (1.0, 1.0, 1.0))
liver = structure("liver")
labels = LabelMap(np.full(grid.shape, liver.value, np.uint8), grid, (liver,))
probe = Placement(Needle((50.0, 65.0, 50.0), (50.0, 5.0, 50.0)), applicator("cryo-17g-sphere"))
problem = AblationProblem.from_labels(labels, (probe,), Schedule.freeze_thaw_freeze())
result = simulate(problem)
volume = float(result.lethal_zone(LethalRule()).sum()) * problem.grid.voxel_volume_mm3 / 1000
residual = result.energy.residual_fraction
print(f"solve from the wheel: lethal zone {volume:.2f} ml, energy residual {residual:.1e}")
if not (1.0 < volume < 30.0 and residual <= 1e-3):
    sys.exit("the solve from the wheel is wrong")
