"""Labels turned into tissues near the probes: which vessels are heat sinks, which are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.device import Kind
from irplan.ablation.given import check_items, check_kind
from irplan.ablation.placement import Placement
from irplan.ablation.problem import (
    SPACING_LIMITS_MM,
    AblationProblem,
    check_placements,
    check_range,
)
from irplan.ablation.pull_back import zones_over_time
from irplan.ablation.schedule import Schedule
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import (
    AT_BLOOD_TEMPERATURE,
    SINK_VESSEL_CALIBRE,
    TISSUE_OF_STRUCTURE,
    TISSUES,
    tissue,
)
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import LabelMap

#: Tissue round the active zones by default, mm: ice of 20 mm and four perfusion lengths of liver.
DEFAULT_MARGIN_MM = 32.0
#: Tissues that a cryoprobe must not freeze from within.
_FORBIDDEN = ("gas", "bone")
#: Tissues that structures map to; phantoms and sources of heat are not among them.
_NAMES = tuple(n for n in TISSUES if n in TISSUE_OF_STRUCTURE.values())


@dataclass(frozen=True, eq=False)
class TissueMap:
    """Tissue of each voxel of (part of) a label map; reuse it for many problems of one case.

    ``index`` is uint8 (slice, row, column) on ``grid``, into the names of `TISSUES`.  Narrow
    vessels are already replaced.  ``image_grid`` is the whole image it was cut from.
    """

    index: NDArray[np.uint8]
    grid: Grid
    image_grid: Grid
    sink_calibre_mm: float

    @classmethod
    def from_labels(
        cls,
        labels: LabelMap,
        placements: Sequence[Placement],
        *,
        schedule: Schedule | Sequence[Schedule] = (),
        margin_mm: float | None = None,
        sink_calibre_mm: float | None = None,
    ) -> TissueMap:
        """Tissues within ``margin_mm`` (default 32) of the active zones of ``placements``.

        ``schedule`` is needed where it pulls them back: the map then holds where they come to lie.

        A vessel stays a heat sink where a ball of ``sink_calibre_mm`` (default 3, 0 keeps all)
        fits inside it (morphological opening by Euclidean distance, on the labels' own voxels);
        the rest takes the tissue of the nearest voxel that is no vessel.  Raises `InputError`
        for structures without a tissue and options out of range.
        """
        check_kind("labels", labels, LabelMap, "Build a LabelMap.")
        placements = check_items("placements", placements, Placement, "Give a list of Placement.")
        margin = _margin(margin_mm)
        calibre = SINK_VESSEL_CALIBRE.value if sink_calibre_mm is None else sink_calibre_mm
        check_range("sink_calibre_mm", calibre, 0.0, 30.0, "mm", "3 is usual.")
        check_placements(tuple(placements), labels.grid)
        ends = np.concatenate(zones_over_time(placements, schedule))
        part = labels.crop(*labels.grid.box_around(ends, margin + 2.0))
        lut = np.full(256, _NAMES.index("gas"), dtype=np.uint8)
        for label in part.labels:
            if label.name not in TISSUE_OF_STRUCTURE:
                raise InputError(
                    "labels",
                    got=f"a structure '{label.name}'",
                    expected="one of " + ", ".join(TISSUE_OF_STRUCTURE),
                    remedy="Rename the structure to one that has a tissue.",
                )
            lut[label.value] = _NAMES.index(TISSUE_OF_STRUCTURE[label.name])
        index: NDArray[np.uint8] = lut[part.array]
        if calibre > 0.0:
            index = _without_narrow_vessels(index, part.grid.spacing_mm, calibre)
        return cls(index, part.grid, labels.grid, calibre)

    def problem(
        self,
        placements: Sequence[Placement],
        schedule: Schedule | Sequence[Schedule],
        *,
        spacing_mm: float | Sequence[float] = 1.0,
        margin_mm: float | None = None,
        body_temperature_c: float = 37.0,
    ) -> AblationProblem:
        """The `AblationProblem` of these placements; see `AblationProblem.from_labels`."""
        margin = _margin(margin_mm)
        spacing = _spacing(spacing_mm)
        check_range("body_temperature_c", body_temperature_c, 30.0, 42.0, "degC", "37 is usual.")
        check_placements(tuple(placements), self.image_grid)
        for n, placement in enumerate(placements):
            self._check_tissue(n, placement)
        zones = np.concatenate(zones_over_time(placements, schedule))
        if not bool(np.all(self.grid.contains(zones) | ~self.image_grid.contains(zones))):
            raise InputError(
                "schedule",
                got="a pull-back beyond the mapped tissue",
                expected="active zones within the tissue map all along",
                remedy="Give the schedule to TissueMap.from_labels as well.",
            )
        grid = _solver_grid(zones, self.image_grid, spacing, margin)
        index, outside = self._sampled(grid)
        notes = []
        if outside > 0.0:
            notes.append(
                f"{100 * outside:.0f} % of the simulated box lies outside the image; the image's "
                "edge was repeated there."
            )
        return AblationProblem(
            grid=grid,
            tissue_index=index,
            tissues=self._properties(body_temperature_c, placements[0].applicator.kind),
            placements=tuple(placements),
            schedule=schedule if isinstance(schedule, Schedule) else tuple(schedule),
            body_temperature_c=body_temperature_c,
            notes=tuple(notes),
        )

    def _properties(self, body_temperature_c: float, kind: Kind) -> tuple[TissueProperties, ...]:
        """Every tissue of a structure; vessels carry blood of the patient's temperature."""
        return tuple(
            TISSUES[n].properties(kind=kind, fixed_temperature_c=body_temperature_c)
            if n in AT_BLOOD_TEMPERATURE
            else tissue(n, kind=kind)
            for n in _NAMES
        )

    def _sampled(self, grid: Grid) -> tuple[NDArray[np.uint8], float]:
        """Nearest tissue on a grid with the same axes, and the fraction beyond the image."""
        first = grid.index_to_lps((0, 0, 0))
        here = self.grid.lps_to_index(first)
        image = self.image_grid.lps_to_index(first)
        take, inside = [], []
        for axis in range(3):
            step = grid.spacing_mm[axis] / self.grid.spacing_mm[axis]
            at = np.rint(here[axis] + step * np.arange(grid.shape[axis])).astype(np.int64)
            take.append(np.clip(at, 0, self.grid.shape[axis] - 1))
            on = image[axis] + step * np.arange(grid.shape[axis])
            inside.append(
                np.count_nonzero((on >= -0.5) & (on <= self.image_grid.shape[axis] - 0.5))
                / grid.shape[axis]
            )
        sampled: NDArray[np.uint8] = self.index[np.ix_(*take)]
        return sampled, 1.0 - float(np.prod(inside))

    def _check_tissue(self, number: int, placement: Placement) -> None:
        distal, proximal = (np.array(p) for p in placement.active_segment)
        t = np.linspace(0.0, 1.0, 2 * int(placement.applicator.active_length_mm) + 1)
        points = distal + t[:, None] * (proximal - distal)
        at = np.rint(self.grid.lps_to_index(points)).astype(np.int64)
        at = np.clip(at, 0, np.asarray(self.grid.shape) - 1)
        met = {_NAMES[i] for i in np.unique(self.index[tuple(at.T)])}
        for name in _FORBIDDEN:
            if name in met:
                where = "gas or outside the body" if name == "gas" else "bone"
                raise InputError(
                    f"problem.placements[{number}]",
                    got=f"an active zone that lies partly in {where}",
                    expected="an active zone inside soft tissue",
                    remedy="Push the probe deeper, choose a shorter active zone or another path.",
                )


def _spacing(spacing_mm: float | Sequence[float]) -> NDArray[np.float64]:
    """(3,) voxel along slice, row and column, mm."""
    given = [spacing_mm] * 3 if isinstance(spacing_mm, Real | str) else spacing_mm
    remedy = "1 for a result, 2 for a search; or three along slice, row and column."
    three = check_items("spacing_mm", given, object, remedy)
    if len(three) != 3:
        raise InputError(
            "spacing_mm", got=f"{len(three)} numbers", expected="one or three", remedy=remedy
        )
    return np.array([check_range("spacing_mm", v, *SPACING_LIMITS_MM, "mm", remedy) for v in three])


def _margin(margin_mm: float | None) -> float:
    margin = DEFAULT_MARGIN_MM if margin_mm is None else margin_mm
    check_range("margin_mm", margin, 15.0, 100.0, "mm", "32 mm suits most ablations.")
    return margin


def _solver_grid(
    ends: NDArray[np.float64], image: Grid, spacing_mm: NDArray[np.float64], margin_mm: float
) -> Grid:
    """Voxels along the image's axes, centred on the box of the active zones' ``ends``."""
    along = ends @ image.direction
    low, high = along.min(axis=0) - margin_mm, along.max(axis=0) + margin_mm
    count = np.ceil((high - low) / spacing_mm).astype(int) + 1
    start = 0.5 * (low + high) - 0.5 * spacing_mm * (count - 1)
    affine = np.eye(4)
    affine[:3, :3] = image.direction * spacing_mm
    affine[:3, 3] = image.direction @ start
    return Grid((int(count[0]), int(count[1]), int(count[2])), affine, image.frame_of_reference_uid)


def _without_narrow_vessels(
    index: NDArray[np.uint8], spacing_mm: tuple[float, float, float], calibre_mm: float
) -> NDArray[np.uint8]:
    from scipy.ndimage import distance_transform_edt

    vessel = index == _NAMES.index("vessel")
    where = np.nonzero(vessel)
    if where[0].size == 0 or where[0].size == vessel.size:
        return index
    box = tuple(
        slice(max(0, int(w.min()) - 2), min(n, int(w.max()) + 3))
        for w, n in zip(where, vessel.shape, strict=True)
    )
    part = vessel[box]
    if bool(part.all()):
        return index
    depth, nearest = distance_transform_edt(part, sampling=spacing_mm, return_indices=True)
    # to the next voxel's centre: half a voxel too deep for an odd width, right for an even one
    core = depth - 0.25 * min(spacing_mm) >= 0.5 * calibre_mm
    if core.any():
        wide = distance_transform_edt(~core, sampling=spacing_mm) < 0.5 * calibre_mm
        narrow = part & ~wide
    else:
        narrow = part
    out = index.copy()
    target = out[box]
    target[narrow] = index[box][tuple(n[narrow] for n in nearest)]
    return out
