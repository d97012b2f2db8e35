"""A plan that is being edited: move a probe, see the new ice at once.

The full solution of the plan as it was is carried along with each probe that moves, and corrected
by what a solution with voxels of twice the edge says beyond that: how phase change, perfusion,
vessels and the other probes answer to the move.  Both solutions are full physics; the coarse one
costs a thirtieth.  (A two-level defect correction in the sense of Stetter, Numer. Math. 29 (1978)
425.)  For the final word the plan is simulated anew: `EditSession.settle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.cryo import simulate_cryo
from irplan.ablation.drive import coldest_c, warmest_c
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import CryoResult, ErrorEstimate
from irplan.ablation.schedule import Schedule
from irplan.compute import Progress, no_progress
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import Volume

#: Voxel edge of the coarse solution over that of the fine one.
_RATIO = 2
#: Error of the 0 and -20 degC radii of an edited plan against a full solution after moves of 2 mm,
#: mm: the largest seen (see the benchmark's row).
EDIT_ERROR_MM = 0.15
#: Allowed error in time of the coarse solutions, mm.
_COARSE_TIME_ERROR_MM = 0.12
#: Departures from rest below this are left as they are, K.
_TOLERANCE_K = 0.02


class EditSession:
    """Cryoprobes being moved about in one problem.

    Parameters
    ----------
    problem : the plan as it is.
    result : its full solution, where it is at hand; else it is simulated now.

    Raises
    ------
    InputError : the problem is no freeze, or its voxels are too large to be doubled (2 mm).
    """

    def __init__(
        self,
        problem: AblationProblem,
        *,
        result: CryoResult | None = None,
        threads: int | None = None,
        progress: Progress = no_progress,
    ) -> None:
        if problem.kind != "cryo":
            raise InputError(
                "problem",
                got=f"a plan of kind '{problem.kind}'",
                expected="cryoprobes",
                remedy="Simulate heat and electroporation anew after an edit.",
            )
        self._threads = threads
        self._settle(problem, result, progress)

    @property
    def problem(self) -> AblationProblem:
        """The plan that edits start from."""
        return self._problem

    @property
    def result(self) -> CryoResult:
        """Its full solution."""
        return self._result

    def edited(
        self,
        placements: Sequence[Placement],
        *,
        schedule: Schedule | Sequence[Schedule] | None = None,
    ) -> CryoResult:
        """The ice with these placements instead (moved, added, taken away) or another schedule.

        Each probe is taken for the nearest of the plan; those left over were added.  The result's
        ``error`` says what the shortcut may cost; its trace and energies are the coarse solution's.
        Raises what `AblationProblem` and `simulate_cryo` raise.
        """
        from irplan.compute.cpu import shifted_field

        new = self._changed(placements, schedule)
        coarse = simulate_cryo(
            _coarse(new), time_error_mm=_COARSE_TIME_ERROR_MM, threads=self._threads, backend="cpu"
        )
        if len(coarse.cycle_minimum_c) != len(self._result.cycle_minimum_c):
            raise InputError(
                "schedule",
                got=f"{len(coarse.cycle_minimum_c)} freezes",
                expected=f"{len(self._result.cycle_minimum_c)} as in the plan being edited",
                remedy="Start a new EditSession for another number of freezes.",
            )
        ends, turn, shift = _moves(self._problem.placements, new.placements, new.grid)
        h = np.asarray(new.grid.spacing_mm, np.float32)
        wide = np.float32(_RATIO) * h
        fields = []
        for fine, before, after in zip(
            _fields(self._result), _fields(self._coarse_result), _fields(coarse), strict=True
        ):
            step = shifted_field.change(after.array, before.array, wide, ends, turn, shift)
            out = np.empty_like(fine.array)
            shifted_field.carried(
                fine.array, h, step, after.array, wide, ends, turn, shift, self._held,
                np.float32(new.body_temperature_c), np.float32(_TOLERANCE_K),
                np.minimum(np.float32(coldest_c(new)), fine.array.min()),
                np.maximum(np.float32(warmest_c(new)), fine.array.max()), out,
            )  # fmt: skip
            fields.append(Volume(out, new.grid, "degC"))
        old = self._result.error
        return replace(
            coarse,
            end_of_freeze_c=fields[0],
            cycle_minimum_c=tuple(fields[1:]),
            error=ErrorEstimate(
                time_mm=0.0 if old is None else old.time_mm,
                space_mm=EDIT_ERROR_MM + (0.0 if old is None else old.space_mm),
                basis="edited: the earlier solution carried along, corrected on voxels of twice "
                "the edge; simulate anew for the final word",
            ),
            options={**self._result.options, "edited": "two-level"},
        )

    def settle(
        self,
        placements: Sequence[Placement],
        *,
        schedule: Schedule | Sequence[Schedule] | None = None,
        progress: Progress = no_progress,
    ) -> CryoResult:
        """Simulate these placements in full; later edits start from them."""
        new = self._changed(placements, schedule)
        self._settle(new, None, progress)
        return self._result

    def _changed(
        self,
        placements: Sequence[Placement],
        schedule: Schedule | Sequence[Schedule] | None,
    ) -> AblationProblem:
        own = _fitted(self._problem, len(placements)) if schedule is None else schedule
        return replace(
            self._problem,
            placements=tuple(placements),
            schedule=own if isinstance(own, Schedule) else tuple(own),
        )

    def _settle(
        self, problem: AblationProblem, result: CryoResult | None, progress: Progress
    ) -> None:
        coarse = simulate_cryo(
            _coarse(problem), time_error_mm=_COARSE_TIME_ERROR_MM, threads=self._threads,
            backend="cpu",
        )  # fmt: skip
        fine = result
        if fine is None:
            fine = simulate_cryo(problem, threads=self._threads, progress=progress)
        fine.grid.require_same(problem.grid, field="result")
        self._problem, self._result, self._coarse_result = problem, fine, coarse
        fixed = np.array([t.fixed_temperature_c is not None for t in problem.tissues])
        self._held: NDArray[np.bool_] = fixed[problem.tissue_index]


def _fields(result: CryoResult) -> tuple[Volume, ...]:
    return (result.end_of_freeze_c, *result.cycle_minimum_c)


def _fitted(problem: AblationProblem, count: int) -> Schedule | tuple[Schedule, ...]:
    """The plan's schedule for ``count`` probes; added ones do what the last one does."""
    if isinstance(problem.schedule, Schedule):
        return problem.schedule
    own = problem.schedule[:count]
    return own + (problem.schedule[-1],) * (count - len(own))


def _coarse(problem: AblationProblem) -> AblationProblem:
    """The same problem with every second voxel along each axis."""
    affine = problem.grid.affine.copy()
    affine[:3, :3] *= _RATIO
    index = np.ascontiguousarray(problem.tissue_index[::_RATIO, ::_RATIO, ::_RATIO])
    nz, ny, nx = index.shape
    grid = Grid((nz, ny, nx), affine, problem.grid.frame_of_reference_uid)
    return replace(problem, grid=grid, tissue_index=index)


def _moves(
    before: Sequence[Placement], after: Sequence[Placement], grid: Grid
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Active zones after the move and the rigid map back to before it, in mm along the axes."""
    h = np.asarray(grid.spacing_mm)
    segments = [grid.lps_to_index(np.array(p.active_segment)) * h for p in before]
    ends, turns, shifts = [], [], []
    partner = _partners(before, after)
    for n, placement in enumerate(after):
        new = grid.lps_to_index(np.array(placement.active_segment)) * h
        was = partner[n]
        old = new if was is None else segments[was]
        turn = _rotation(_unit(new), _unit(old))
        ends.append(new)
        turns.append(turn)
        shifts.append(old.mean(axis=0) - turn @ new.mean(axis=0))
    return tuple(np.asarray(a, np.float32) for a in (ends, turns, shifts))  # type: ignore[return-value]


def _partners(before: Sequence[Placement], after: Sequence[Placement]) -> list[int | None]:
    """Which probe of ``before`` each probe of ``after`` was, by nearest active zones."""
    from scipy.optimize import linear_sum_assignment

    way = np.array(
        [
            [np.abs(np.array(a.active_segment) - np.array(b.active_segment)).sum() for b in before]
            for a in after
        ]
    )
    rows, columns = linear_sum_assignment(way)
    out: list[int | None] = [None] * len(after)
    for n, m in zip(rows, columns, strict=True):
        out[int(n)] = int(m)
    return out


def _unit(segment: NDArray[np.float64]) -> NDArray[np.float64]:
    way = segment[1] - segment[0]
    out: NDArray[np.float64] = way / np.linalg.norm(way)
    return out


def _rotation(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least rotation that takes unit vector a to b (Rodrigues)."""
    v, c = np.cross(a, b), float(a @ b)
    if c < -0.999999:
        return np.eye(3)
    k = np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])
    out: NDArray[np.float64] = np.eye(3) + k + k @ k / (1.0 + c)
    return out
