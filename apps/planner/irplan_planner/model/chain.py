"""The long parts of the chain as functions that `HeavyWorker` can call by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress, portion
from irplan.image import LabelMap, Volume


def segmented(volume: Volume, *, progress: Progress = no_progress) -> Any:
    """`segment_abdomen`, with the kernels compiled meanwhile on a first run."""
    from irplan.case.warm_up import kernels_warming
    from irplan.segmentation import segment_abdomen

    with kernels_warming():
        return segment_abdomen(volume, progress=progress)


def planned(
    volume: Volume, labels: LabelMap, mask: NDArray[np.bool_], *, options: Any, source: str,
    progress: Progress = no_progress,
) -> Any:  # fmt: skip
    """`plan_ablation` and the target's geometry; the image is left out of what comes back."""
    from irplan.case.warm_up import kernels_warming
    from irplan.planning.case import plan_ablation
    from irplan.planning.margins import TargetGeometry
    from irplan.planning.obstacles import target_organ

    with kernels_warming():
        case = plan_ablation(
            volume, labels, mask, options=options, target_source=source,
            progress=portion(progress, 0.0, 0.97),
        )  # fmt: skip
    geometry = TargetGeometry.from_mask(mask, labels, target_organ(labels, mask))
    return replace(case, volume=None, target_mask=None), geometry  # type: ignore[arg-type]
