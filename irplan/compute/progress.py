"""How long work reports where it is, and how it is cancelled."""

from __future__ import annotations

from collections.abc import Callable

#: ``progress(fraction, message)`` with fraction in [0, 1] and a few words on what is being done.
#: Long work calls it at least twice a second where it can.  To cancel, the callee raises
#: `irplan.errors.CancelledError`; the work lets it pass and leaves nothing half-written.
Progress = Callable[[float, str], None]


def no_progress(fraction: float, message: str) -> None:
    """Report nothing."""


def portion(progress: Progress, start: float, end: float) -> Progress:
    """A `Progress` whose 0..1 fills ``start``..``end`` of the given one."""

    def report(fraction: float, message: str) -> None:
        progress(start + (end - start) * min(1.0, max(0.0, fraction)), message)

    return report
