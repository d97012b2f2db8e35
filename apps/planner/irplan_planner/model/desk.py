"""The desk a case lies on: its state, undo, jobs, messages; what all commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from irplan.ablation.placement import Placement
from irplan.compute.progress import Progress
from irplan.errors import InputError, IrplanError
from irplan_planner.model.glance import Glance
from irplan_planner.model.heavy import HeavyWorker
from irplan_planner.model.history import History
from irplan_planner.model.jobs import Job, JobQueue, Lane
from irplan_planner.model.messages import Message, Messages
from irplan_planner.model.state import CaseState, Extras, Simulation

#: What has changed, for those who show it.
Topic = Literal["state", "live", "extras", "message", "jobs"]


@dataclass(frozen=True, eq=False)
class Live:
    """Needles as they are being dragged, and the newest zone there is.

    Until a first one of these placements is there, ``simulation`` is of where they were.
    """

    placements: tuple[Placement, ...]
    simulation: Simulation | None = None


class Desk(Messages):
    """State, history and jobs of the case that is open.

    ``wake`` is called from worker threads when `poll` should run.  Listeners get the `Topic` that
    changed, always on the caller's thread.
    """

    def __init__(self, *, wake: Callable[[], None] = lambda: None) -> None:
        self.heavy = HeavyWorker()
        self.jobs = JobQueue(wake=wake, failed=self.complain)
        self.extras = Extras()
        self.live: Live | None = None
        self.glance: Glance | None = None
        """What there is to see of a scan that is still being read."""
        self.read_only = ""
        """Why the case may only be looked at; empty where it may be changed."""
        self.messages: list[Message] = []
        self.saved: CaseState | None = None
        self._history = History(CaseState())
        self._listeners: list[Callable[[Topic], None]] = []

    @property
    def state(self) -> CaseState:
        """The case as it is now."""
        return self._history.now

    def listen(self, listener: Callable[[Topic], None]) -> None:
        """Call ``listener`` with the topic after every change."""
        self._listeners.append(listener)

    def changed(self, topic: Topic) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            listener(topic)

    def begin(self, state: CaseState) -> None:
        """Another case: nothing to undo, no live edit, nothing made of the old one."""
        self.jobs.cancel_all("work", "edit", "background")
        self._history = History(state)
        self.extras, self.live, self.saved = Extras(), None, state
        self.glance = None
        self.changed("state")

    def push(self, state: CaseState, words: str) -> None:
        """A change that can be undone.  Raises `InputError` for a read-only case."""
        self.require_writable()
        self._history.push(state, words)
        self.live = None
        self.changed("state")

    def amend(self, state: CaseState) -> None:
        """Something finished that is no step of its own."""
        self._history.amend(state)
        self.changed("state")

    def undo(self) -> None:
        """One step back."""
        if self.undo_words is not None:
            self.require_writable()
            self.live = None
            self._history.undo()
            self.changed("state")

    def redo(self) -> None:
        """One step forward again."""
        if self.redo_words is not None:
            self.require_writable()
            self.live = None
            self._history.redo()
            self.changed("state")

    @property
    def undo_words(self) -> str | None:
        """What undo would take back."""
        return self._history.undo_words

    @property
    def redo_words(self) -> str | None:
        """What redo would bring back."""
        return self._history.redo_words

    @property
    def unsaved(self) -> bool:
        """Whether the case has changed since it was saved, opened or begun."""
        return self.state.volume is not None and self.state is not self.saved

    def require_writable(self) -> None:
        """Raise `InputError` where the case may only be looked at."""
        if self.read_only:
            raise InputError(
                "case",
                got=self.read_only,
                expected="a case that may be changed",
                remedy="Save it under another name, or make a new draft of it.",
            )

    def told(self) -> None:
        """A line was added."""
        self.changed("message")

    def work(
        self,
        title: str,
        lane: Lane,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        *,
        latest: bool = False,
        quiet: bool = False,
    ) -> Job:
        """`JobQueue.submit`; an error that ``done`` raises becomes a message too."""

        def finish(outcome: Any) -> None:
            self.attempt(lambda: done(outcome))
            self.changed("jobs")

        def failed(error: IrplanError) -> None:
            self.complain(error)
            self.changed("jobs")

        job = self.jobs.submit(title, lane, work, finish, failed=failed, latest=latest, quiet=quiet)
        self.changed("jobs")
        return job

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The needles as shown: dragged ones where a drag is going on."""
        if self.live is not None:
            return self.live.placements
        return () if self.state.plan is None else self.state.plan.placements

    @property
    def simulation(self) -> Simulation | None:
        """The zone as shown."""
        if self.live is not None and self.live.simulation is not None:
            return self.live.simulation
        return self.state.simulation

    def add_extra(self, **parts: Any) -> None:
        """Put something beside the state that can be made again."""
        self.extras = replace(self.extras, **parts)
        self.changed("extras")
