"""Ctrl-C and SIGTERM from the first import to the last line: one answer, no traceback.

An interrupt can land anywhere.  In an import or in compiled code it comes out as whatever that
code makes of it (an ImportError, a SystemError, sometimes with no trace of its cause); in a
destructor it would be printed and lost.  So it is remembered here that it was asked for.
"""

from __future__ import annotations

import _thread
import signal
import sys
from types import FrameType
from typing import NoReturn

CANCELLED = "\nCancelled. Nothing was written; run the command again to finish."
EXIT_CANCELLED = 130

_asked = False


def listen() -> None:
    """From now on both signals raise KeyboardInterrupt, and are remembered."""
    global _asked
    _asked = False
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    sys.unraisablehook = _keep_interrupts


def behind(error: BaseException) -> bool:
    """True where `error` is an interrupt, or came after one."""
    return _asked or isinstance(error, KeyboardInterrupt)


def answered() -> None:
    """The interrupt was the way to end this; what follows is no consequence of it."""
    global _asked
    _asked = False


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    global _asked
    del signum, frame
    _asked = True
    raise KeyboardInterrupt


def _keep_interrupts(unraisable: sys.UnraisableHookArgs) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _thread.interrupt_main()
    else:
        sys.__unraisablehook__(unraisable)
