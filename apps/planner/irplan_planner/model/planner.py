"""`Planner`: the model of the window; all commands of the user and what follows from them."""

from __future__ import annotations

from collections.abc import Callable

from irplan.compute.progress import Progress
from irplan_planner.model.desk import Desk, Topic
from irplan_planner.model.guiding import Guiding
from irplan_planner.model.live import Editing
from irplan_planner.model.opening import Opening
from irplan_planner.model.pacs import Pacs
from irplan_planner.model.planning import Planning
from irplan_planner.model.reporting import Reporting
from irplan_planner.model.segmenting import Segmenting
from irplan_planner.model.state import CaseState
from irplan_planner.model.steps import StepView, steps
from irplan_planner.model.verifying import Verifying

#: What would otherwise be imported in the middle of a frame.
_NEEDED = (
    "scipy.ndimage", "skimage.measure", "scipy.spatial", "irplan.viz.needles_eye",
    "irplan.viz.meshes", "irplan.planning.case", "irplan.planning.evaluate",
    "irplan.planning.replan", "irplan.segmentation", "pyvista",
)  # fmt: skip


def _imported(names: tuple[str, ...], progress: Progress) -> None:
    import importlib

    for n, name in enumerate(names):
        progress(n / len(names), "loading")
        importlib.import_module(name)


class Planner:
    """A case on a desk, with commands by their field.

    ``wake`` is called from worker threads when `poll` should run on the caller's thread.
    ``background``: what follows from a command (simulation after undo, preparing edits, access map,
    probability of coverage by cold) is worked out by itself.
    """

    def __init__(self, *, wake: Callable[[], None] = lambda: None, background: bool = True) -> None:
        self.desk = Desk(wake=wake)
        self.files = Opening(self.desk)
        self.segment = Segmenting(self.desk)
        self.plans = Planning(self.desk)
        self.edit = Editing(self.desk)
        self.guide = Guiding(self.desk)
        self.verify = Verifying(self.desk)
        self.reports = Reporting(self.desk, lambda: self.files.folder)
        self.pacs = Pacs(self.desk, self.files.open)
        self._background = background
        self._seen: CaseState | None = None
        self.desk.listen(self._follow)

    @property
    def state(self) -> CaseState:
        """The case as it is now."""
        return self.desk.state

    def steps(self) -> tuple[StepView, ...]:
        """The guided steps with their status."""
        return steps(self.desk.state)

    def simulate(self) -> None:
        """Simulate the plan in full."""
        self.edit.settle()

    def poll(self) -> int:
        """Take in what workers have finished; how many jobs that were."""
        return self.desk.jobs.poll()

    def wait(self, timeout_s: float = 600.0) -> None:
        """Poll until no work is left (tests and scripts)."""
        self.desk.jobs.wait(timeout_s)

    def close(self) -> None:
        """Cancel what runs, end the workers, give the lock back."""
        self.desk.jobs.close()
        self.desk.heavy.close()
        self.files.close()
        self.edit.close()

    def _follow(self, topic: Topic) -> None:
        """What follows by itself from a new state."""
        state = self.desk.state
        if topic != "state" or state is self._seen:
            return
        self._seen = state
        if not self._background or state.plan is None or state.labels is None:
            return
        found = state.simulation
        fresh = found is not None and found.made_from == state.simulated_from
        if found is None or found.placements != state.plan.placements or (
            fresh and not found.exact
        ):  # fmt: skip
            if state.target is not None:
                self.edit.complete()
        elif fresh and found.evaluation is not None:
            self.edit.prepare()

    def warm_up(self, more: tuple[str, ...] = ()) -> None:
        """Import what the first views and commands need (and ``more``), on a worker, quietly."""
        if self._background:
            self.desk.heavy.start()
            names = (*_NEEDED, *more)
            self.desk.work(
                "Warming up", "setup", lambda p: _imported(names, p), lambda _: None, quiet=True
            )

    def at_rest(self) -> None:
        """Nothing has been asked for a while: work out what is shown beside the plan."""
        if self._background and self.desk.live is None and self.desk.jobs.idle:
            self.plans.access()
            self.plans.coverage(by_itself=True)
