"""A plan that is being edited: move a probe, see the new ice at once.

The full solution of the plan as it was is carried along with each probe that moves, and corrected
by what a solution with voxels of twice the edge says beyond that: how phase change, perfusion,
vessels and the other probes answer to the move.  Both solutions are full physics; the coarse one,
on a box round the probes, costs a thirtieth.  (A two-level defect correction in the sense of
Stetter, Numer. Math. 29 (1978) 425; the correction is smoothed where it is known to be smooth,
since a coarse front has lattice noise of its own.)  For the final word the plan is simulated anew:
`EditSession.settle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.cryo import simulate_cryo
from irplan.ablation.drive import coldest_c, warmest_c
from irplan.ablation.edit_frame import RATIO, Box, Frame, box_of, coarse_problem, is_held, near_held
from irplan.ablation.given import check_items, check_kind, check_whole
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import CryoResult, ErrorEstimate
from irplan.ablation.schedule import Schedule
from irplan.compute import Progress, no_progress
from irplan.compute.threads import thread_cap, turn
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import Volume

#: Error of the 0 and -20 degC radii of an edited plan against a full solution after moves of 2 mm,
#: mm: the largest seen (see the benchmark's row).
EDIT_ERROR_MM = 0.15
#: Allowed error in time of the coarse solutions, mm.
_COARSE_TIME_ERROR_MM = 0.2
#: Departures from rest below this are left as they are, K.
_TOLERANCE_K = 0.02
#: The coarse change is not smoothed within this many coarse voxels of a probe that came, went or
#: works otherwise than before.
_SHARP_PROBE = 3


class EditSession:
    """Cryoprobes being moved about in one problem.

    Parameters
    ----------
    problem : the plan as it is.
    result : its full solution, where it is at hand; else it is simulated now.

    Raises
    ------
    InputError : the problem is no freeze, or its voxels are too large to be doubled (2 mm);
        ``result`` is no full solution of ``problem`` (says what differs).
    """

    def __init__(
        self,
        problem: AblationProblem,
        *,
        result: CryoResult | None = None,
        threads: int | None = None,
        progress: Progress = no_progress,
    ) -> None:
        check_kind("problem", problem, AblationProblem, "AblationProblem.from_labels makes one.")
        if problem.kind != "cryo":
            raise InputError(
                "problem",
                got=f"a plan of kind '{problem.kind}'",
                expected="cryoprobes",
                remedy="Simulate heat and electroporation anew after an edit.",
            )
        if threads is not None:
            threads = check_whole("threads", threads, 1, 1024, "None takes all.")
        if result is not None:
            _check_result(result, problem)
        self._threads = threads
        self._frame: Frame | None = None
        self._fine: NDArray[np.float32]
        self._settle(problem, result, progress)
        self.prepare()

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
        new = self._changed(placements, schedule)
        partners = _partners(self._problem.placements, new.placements)
        frame = self.prepare()
        if not frame.holds(new):
            frame = self._frame = self._framed(self._problem, new)
        coarse = self._coarsely(new, frame.box)
        after = _stacked(coarse)
        if len(after) != len(self._fine):
            raise InputError(
                "schedule",
                got=f"{len(after) - 1} freezes",
                expected=f"{len(self._fine) - 1} as in the plan being edited",
                remedy="Start a new EditSession for another number of freezes.",
            )
        sharp = frame.sharp | self._near_odd_probes(new, partners, frame)
        arrays = self._corrected(new, partners, after, sharp, frame)
        old = self._result.error
        return replace(
            coarse,
            end_of_freeze_c=Volume(arrays[0], new.grid, "degC"),
            cycle_minimum_c=tuple(Volume(a, new.grid, "degC") for a in arrays[1:]),
            problem=new,
            error=ErrorEstimate(
                time_mm=0.0 if old is None else old.time_mm,
                space_mm=EDIT_ERROR_MM + (0.0 if old is None else old.space_mm),
                basis="edited: the earlier solution carried along, corrected on voxels of twice "
                "the edge; simulate anew for the final word",
            ),
            options={**self._result.options, "edited": "two-level"},
        )

    def carried(self, placements: Sequence[Placement]) -> CryoResult:
        """The full solution carried along with probes that move, and no more: some ten ms.

        How phase change, perfusion, vessels and the other probes answer to the move is left out:
        for the picture while a probe is in hand; `edited` follows.  Raises `InputError` where
        probes came, went, or leave the box that is kept for edits.
        """
        from irplan.compute.cpu import shifted_field

        was, done, frame, fine, held, lowest, highest = self._settled_as  # all of one solution
        own = _fitted(was, len(placements))
        new = replace(was, placements=tuple(placements), schedule=own)
        partners = _partners(was.placements, new.placements)
        alike = len(new.placements) == len(was.placements) and all(
            n is not None and p.applicator == was.placements[n].applicator
            for p, n in zip(new.placements, partners, strict=True)
        )
        if not alike or not frame.holds(new):
            raise InputError(
                "placements",
                got="probes that came, went, were exchanged or moved far",
                expected="the plan's own probes, moved a little",
                remedy="Use EditSession.edited, which computes them.",
            )
        moves = _moves(was.placements, new.placements, partners, new.grid)
        h = np.asarray(new.grid.spacing_mm, np.float32)
        corner = np.array([a for a, _ in frame.box])
        shape = frame.before.shape[1:]
        values = np.empty((*shape, 3), np.float32)
        quiet = np.zeros(shape, np.uint8)
        out = np.empty_like(fine)
        with thread_cap(self._threads), turn():
            shifted_field.moves(
                np.array(shape), (corner * h).astype(np.float32), np.float32(RATIO) * h, *moves,
                values,
            )  # fmt: skip
            shifted_field.carried(
                fine, h, corner, RATIO, values, quiet, held,
                np.float32(new.body_temperature_c), lowest, highest, out,
            )  # fmt: skip
        return replace(
            done,
            end_of_freeze_c=Volume(out[0], new.grid, "degC"),
            cycle_minimum_c=tuple(Volume(a, new.grid, "degC") for a in out[1:]),
            problem=new,
            error=None,  # nothing is promised
            options={**done.options, "edited": "carried along, not computed"},
        )

    def _corrected(
        self,
        new: AblationProblem,
        partners: Sequence[int | None],
        after: NDArray[np.float32],
        sharp: NDArray[np.bool_],
        frame: Frame,
    ) -> NDArray[np.float32]:
        """(field, slice, row, column) the full solution carried along, with the coarse change."""
        from irplan.compute.cpu import shifted_field

        moves = _moves(self._problem.placements, new.placements, partners, new.grid)
        h = np.asarray(new.grid.spacing_mm, np.float32)
        wide = np.float32(RATIO) * h
        corner = np.array([a for a, _ in frame.box])
        values = np.empty((*after.shape[1:], len(after) + 3), np.float32)
        with thread_cap(self._threads), turn():
            shifted_field.moves(
                np.array(after.shape[1:]), (corner * h).astype(np.float32), wide, *moves, values
            )
            shifted_field.change(after, frame.before, wide, values)
            shifted_field.smooth(values, sharp)
            quiet = shifted_field.at_rest(
                after, np.float32(new.body_temperature_c), np.float32(_TOLERANCE_K)
            )
            out = np.empty_like(self._fine)
            low = np.minimum(np.float32(coldest_c(new)), self._lowest)
            high = np.maximum(np.float32(warmest_c(new)), self._highest)
            shifted_field.carried(
                self._fine, h, corner, RATIO, values, quiet, self._held,
                np.float32(new.body_temperature_c), low, high, out,
            )  # fmt: skip
        return out

    def _near_odd_probes(
        self, new: AblationProblem, partners: Sequence[int | None], frame: Frame
    ) -> NDArray[np.bool_] | bool:
        """Coarse voxels near probes that came, went or do something else than before."""
        was = self._problem
        odd = [p for n, p in enumerate(was.placements) if n not in partners]
        for p, own, n in zip(new.placements, new.schedules, partners, strict=True):
            same = n is not None and (p.applicator, own) == (
                was.placements[n].applicator,
                was.schedules[n],
            )
            if not same:
                odd.append(p)
        if not odd:
            return False
        shape = frame.sharp.shape
        h = np.asarray(new.grid.spacing_mm)
        corner = np.array([a for a, _ in frame.box])
        at = np.moveaxis(np.indices(shape, dtype=np.float64), 0, -1) * RATIO + corner
        out = np.zeros(shape, bool)
        for p in odd:
            a, b = new.grid.lps_to_index(np.array(p.active_segment)) * h
            off, way = at * h - a, b - a
            part = np.clip(off @ way / float(way @ way), 0.0, 1.0)
            far = np.linalg.norm(off - part[..., None] * way, axis=-1)
            out |= far < _SHARP_PROBE * RATIO * h.max()
        return out

    def settle(
        self,
        placements: Sequence[Placement],
        *,
        schedule: Schedule | Sequence[Schedule] | None = None,
        progress: Progress = no_progress,
    ) -> CryoResult:
        """Simulate these placements in full; later edits start from them.

        Until `prepare` or the first edit, `carried` starts from the solution before.
        """
        new = self._changed(placements, schedule)
        self._settle(new, None, progress)
        return self._result

    def prepare(self) -> Frame:
        """Make the coarse side of the full solution, which edits start from, where it lacks."""
        if self._frame is None:
            self._frame = self._framed(self._problem, self._problem)
            self._settled_as = (
                self._problem, self._result, self._frame, self._fine, self._held, self._lowest,
                self._highest,
            )  # fmt: skip
        return self._frame

    def _changed(
        self,
        placements: Sequence[Placement],
        schedule: Schedule | Sequence[Schedule] | None,
    ) -> AblationProblem:
        placements = check_items("placements", placements, Placement, "Give a tuple of Placement.")
        own = _fitted(self._problem, len(placements)) if schedule is None else schedule
        return replace(
            self._problem,
            placements=tuple(placements),
            schedule=own if isinstance(own, Schedule) else tuple(own),
        )

    def _settle(
        self, problem: AblationProblem, result: CryoResult | None, progress: Progress
    ) -> None:
        fine = result
        if fine is None:
            fine = simulate_cryo(problem, threads=self._threads, progress=progress)
        self._problem, self._result = problem, fine
        self._frame = None
        self._fine = _stacked(fine)
        self._lowest = self._fine.min(axis=(1, 2, 3))
        self._highest = self._fine.max(axis=(1, 2, 3))
        self._held: NDArray[np.bool_] = is_held(problem)[problem.tissue_index]

    def _framed(self, problem: AblationProblem, other: AblationProblem) -> Frame:
        """The coarse solution of ``problem`` on a box that holds the probes of both."""
        box = box_of(problem, other)
        coarse = self._coarsely(problem, box)
        return Frame(box, _stacked(coarse), near_held(problem, box))

    def _coarsely(self, problem: AblationProblem, box: Box) -> CryoResult:
        return simulate_cryo(
            coarse_problem(problem, box),
            time_error_mm=_COARSE_TIME_ERROR_MM,
            threads=self._threads,
            backend="cpu",
        )


def _check_result(result: CryoResult, problem: AblationProblem) -> None:
    """Raise `InputError` unless ``result`` is a full solution of ``problem``."""
    check_kind("result", result, CryoResult, "Leave it out, or give what simulate returned.")
    of = result.problem

    def wrong(got: str) -> InputError:
        return InputError(
            "result",
            got=got,
            expected="the full solution of the problem being edited",
            remedy="Leave it out to have it simulated.",
        )

    if of is None:
        raise wrong("a result that does not say which problem it is of")
    if not of.grid.same_as(problem.grid):
        raise wrong("a result on another grid")
    for name in ("placements", "schedules", "tissues", "body_temperature_c"):
        if getattr(of, name) != getattr(problem, name):
            raise wrong(f"a result of a problem with other {name}")
    if of.tissue_index is not problem.tissue_index and not np.array_equal(
        of.tissue_index, problem.tissue_index
    ):
        raise wrong("a result of a problem with other tissue_index")
    if "edited" in result.options:
        raise wrong("the result of an edit")
    time_s = result.trace.time_s
    if time_s[0] > 0.0 or abs(time_s[-1] - problem.duration_s) > 1e-6:
        raise wrong(f"a result from {time_s[0]:g} to {time_s[-1]:g} s of {problem.duration_s:g} s")


def _stacked(result: CryoResult) -> NDArray[np.float32]:
    """(field, slice, row, column): end of the last freeze, then the minimum of each freeze."""
    volumes = (result.end_of_freeze_c, *result.cycle_minimum_c)
    return np.stack([v.array for v in volumes]).astype(np.float32, copy=False)


def _fitted(problem: AblationProblem, count: int) -> Schedule | tuple[Schedule, ...]:
    """The plan's schedule for ``count`` probes; added ones do what the last one does."""
    if isinstance(problem.schedule, Schedule):
        return problem.schedule
    own = problem.schedule[:count]
    return own + (problem.schedule[-1],) * (count - len(own))


def _moves(
    before: Sequence[Placement],
    after: Sequence[Placement],
    partner: Sequence[int | None],
    grid: Grid,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Active zones after the move and the rigid map back to before it, in mm along the axes."""
    h = np.asarray(grid.spacing_mm)
    segments = [grid.lps_to_index(np.array(p.active_segment)) * h for p in before]
    ends, turns, shifts = [], [], []
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
