"""One judge at a time: a file or folder that is replaced as a whole, held while it is changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from irplan.files.output import SET_ASIDE

#: While another process swaps folders the name is absent for a moment, s.
_SWAP_S = 0.2


@contextmanager
def held(path: str | Path) -> Iterator[None]:
    """Wait until nobody else holds ``path``, then hold it; what is read inside is the newest.

    Two who read, judge and write back the same record would else lose one of the judgements.  The
    lock belongs to what lies there now; where it was replaced while one waited, the new one is
    held.  Nothing is held where ``path`` is absent, nor on a system without POSIX locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = _current(Path(path), fcntl.flock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _current(path: Path, flock: Callable[[int, int], object], alone: int) -> int | None:
    """A locked handle of what ``path`` names once the lock is ours; None where nothing is there."""
    until = time.monotonic() + _SWAP_S
    while True:
        swapping = any(path.parent.glob(f".{path.name}{SET_ASIDE}*"))
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            if not swapping or time.monotonic() > until:
                return None
            time.sleep(0.01)
            continue
        try:
            flock(handle, alone)
            there, mine = path.stat(), os.fstat(handle)
            if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
                return handle
        except OSError:
            pass  # swapped away while we waited: look again
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
