"""Every path from many entries to many tips: rules, cost, and the best path of each entry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.device import Device
from irplan.compute.parts import in_parts
from irplan.compute.progress import Progress, no_progress
from irplan.planning.checks import SKIN_MM, rule_names
from irplan.planning.obstacles import ObstacleRaster
from irplan.planning.paths import PathWeights

#: Organ path above which more is no safer, mm [S].
COMFORTABLE_ORGAN_PATH_MM = 15.0
#: Entries between two progress calls.
_PART = 512


@dataclass(frozen=True, eq=False)
class EntryPaths:
    """What all paths of each entry come to; n entries, m tips, r rules of ``rule_names``.

    ``tested`` (n,) paths not more than half again longer than the rule (the others tell nothing
    about the rules that matter); ``clear`` of them that break no rule and ``unsure`` that break
    none but run through the unknown; ``broken`` (n, r) that break each rule (one can break
    several; one that is too long, too tilted or comes from too far below is not asked what it
    meets).  ``cost`` (n, 2) of the best clear and the best unsure path, +inf where there is
    none, ``best_tip`` (n, 2) its tip or -1, ``soft`` (n, 2) its largest soft deficit 0..1 and
    ``soft_group`` (n, 2) the obstacle's number.  ``miss`` (n,) how far the nearest rejected path is
    from being admissible (mm, degrees counted as mm; +inf where none was rejected), to tip
    ``miss_tip``.
    """

    entries_mm: NDArray[np.float64]
    tips_mm: NDArray[np.float64]
    rule_names: tuple[str, ...]
    tested: NDArray[np.int64]
    clear: NDArray[np.int64]
    unsure: NDArray[np.int64]
    broken: NDArray[np.int64]
    cost: NDArray[np.float64]
    best_tip: NDArray[np.int64]
    soft: NDArray[np.float64]
    soft_group: NDArray[np.int64]
    miss: NDArray[np.float64]
    miss_tip: NDArray[np.int64]

    @property
    def blocked_by(self) -> tuple[tuple[str, int], ...]:
        """(rule, paths that break it), most first; all too long where none was worth a test."""
        total = self.broken.sum(axis=0)
        if not self.tested.any():
            total[len(self.rule_names) - 6] = len(self.entries_mm) * len(self.tips_mm)
        order = np.argsort(-total, kind="stable")
        return tuple((self.rule_names[i], int(total[i])) for i in order if total[i])

    def nearest(self) -> tuple[int, int] | None:
        """(entry, tip) of the rejected path that is nearest to being admissible."""
        if not len(self.miss) or not np.isfinite(self.miss).any():
            return None
        entry = int(np.argmin(self.miss))
        return entry, int(self.miss_tip[entry])


def paths_of_entries(
    raster: ObstacleRaster,
    entries_mm: NDArray[np.float64],
    tips_mm: NDArray[np.float64],
    weights: PathWeights | None = None,
    *,
    device: Device | None = None,
    progress: Progress = no_progress,
) -> EntryPaths:
    """Try the straight path from each of ``entries_mm`` (n, 3) to each of ``tips_mm`` (m, 3), LPS.

    Exact on the raster: every voxel a path crosses is looked at.  Runs on ``device`` where one is
    given, else on all cores; the outcome does not depend on how many there are.
    Cost: 0.3 to 1 microsecond a path on two cores at 1 mm.
    """
    from irplan.compute.cpu import rays

    weights = PathWeights() if weights is None else weights
    n, k = len(entries_mm), len(raster.obstacles)
    data = _Arrays(
        words=raster.words,
        organ=raster.organ,
        organ_step=float(raster.organ_step),
        entry=np.ascontiguousarray(raster.grid.lps_to_index(entries_mm).reshape(-1, 3)),
        tip=np.ascontiguousarray(raster.grid.lps_to_index(tips_mm).reshape(-1, 3)),
        frame=np.ascontiguousarray(raster.grid.direction[[2, 1]]),
        limits=_limits(raster),
        weights=_numbers(weights),
        group_mm=_groups(raster),
        counts=np.zeros((n, 3), np.int32),
        broken=np.zeros((n, rays.RULES), np.int32),
        best=np.full((n, 2), np.inf),
        best_tip=np.full((n, 2), -1, np.int32),
        soft=np.zeros((n, 2), np.uint32),
        miss=np.full(n, np.inf),
        miss_tip=np.full(n, -1, np.int32),
    )
    if device is None:
        in_parts(
            n,
            lambda a, b: rays.paths_of_entries(
                *data.inputs[:5], a, b, *data.inputs[5:], *data.outputs
            ),
            parts=max(1, n // _PART),
            progress=progress,
            words="testing needle paths",
        )
    else:
        from irplan.planning.cuda_paths import paths_on_device

        paths_on_device(device, data.inputs, data.outputs)
    columns = [*range(k), *range(rays.RULE_OUTSIDE, rays.RULES)]
    return EntryPaths(
        entries_mm=entries_mm,
        tips_mm=tips_mm,
        rule_names=rule_names(raster),
        tested=data.counts[:, 0].astype(np.int64),
        clear=data.counts[:, 1].astype(np.int64),
        unsure=data.counts[:, 2].astype(np.int64),
        broken=data.broken[:, columns].astype(np.int64),
        cost=data.best,
        best_tip=data.best_tip.astype(np.int64),
        soft=(data.soft >> 8) / 255.0,
        soft_group=(data.soft & 0xFF).astype(np.int64),
        miss=data.miss,
        miss_tip=data.miss_tip.astype(np.int64),
    )


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Arguments of the kernel `irplan.compute.cpu.rays.paths_of_entries`, which describes them."""

    words: NDArray[np.uint32]
    organ: NDArray[np.float32]
    organ_step: float
    entry: NDArray[np.float64]
    tip: NDArray[np.float64]
    frame: NDArray[np.float64]
    limits: NDArray[np.float64]
    weights: NDArray[np.float64]
    group_mm: NDArray[np.float64]
    counts: NDArray[np.int32]
    broken: NDArray[np.int32]
    best: NDArray[np.float64]
    best_tip: NDArray[np.int32]
    soft: NDArray[np.uint32]
    miss: NDArray[np.float64]
    miss_tip: NDArray[np.int32]

    @property
    def inputs(self) -> tuple[object, ...]:
        return (
            self.words, self.organ, self.organ_step, self.entry, self.tip, self.frame, self.limits,
            self.weights, self.group_mm,
        )  # fmt: skip

    @property
    def outputs(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self.counts, self.broken, self.best, self.best_tip, self.soft, self.miss, self.miss_tip,
        )  # fmt: skip


def _limits(raster: ObstacleRaster) -> NDArray[np.float64]:
    r = raster.rules
    return np.array([
        raster.spacing_mm, SKIN_MM, r.max_length.value, r.max_tilt.value,
        r.max_below_horizontal.value, r.min_organ_path.value, r.min_capsule_angle.value,
        COMFORTABLE_ORGAN_PATH_MM, 1.0 if raster.organ_name is not None else 0.0,
    ])  # fmt: skip


def _numbers(w: PathWeights) -> NDArray[np.float64]:
    return np.array([
        w.length, w.tilt, w.obstacle, w.capsule_angle, w.organ_path, w.sweep, w.error.tip_mm,
        w.error.slope,
    ])  # fmt: skip


def _groups(raster: ObstacleRaster) -> NDArray[np.float64]:
    out = np.zeros((16, 2))
    for number, o in enumerate(raster.obstacles):
        out[number] = o.hard_mm, o.soft_mm - o.hard_mm
    return out
