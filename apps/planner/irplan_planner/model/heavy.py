"""Heavy work in a process of its own: the window never waits for it, and cancel is at once.

Parts of segmentation and planning hold Python's interpreter for seconds (SimpleITK, SciPy), which
would freeze a window however many threads there are.  One child process, started early so that its
imports are done when it is needed, takes calls one at a time: a function by name with its
arguments, pickled through pipes.  A cancelled call kills the child; the next one starts another.
"""

from __future__ import annotations

import importlib
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from typing import IO, Any

from irplan.compute.progress import Progress
from irplan.errors import CancelledError, IrplanError, SolverError

#: Progress is passed on this often at most, s; a cancel is noticed as often.
_EVERY_S = 0.1
#: Imported by the child before it is asked for anything.
_NEEDED = ("irplan.segmentation", "irplan.planning.case", "irplan.planning.margins")
_HEADER = 8


class HeavyWorker:
    """A child process that runs functions of importable modules."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start the child, where none runs."""
        with self._guard:
            if self._child is None or self._child.poll() is not None:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "irplan_planner.model.heavy"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    bufsize=0,
                )

    def call(self, function: str, *args: Any, progress: Progress, **options: Any) -> Any:
        """What ``module:name`` returns for these arguments; it must take ``progress``.

        Raises what it raises (`IrplanError`), `CancelledError` when ``progress`` does, and
        `SolverError` when the child ends by itself (out of memory, a crash).
        """
        self.start()
        child = self._child
        assert child is not None
        try:
            assert child.stdin is not None
            _send(child.stdin, (function, args, options))
            return self._answer(child, progress)
        except CancelledError:
            self.close()
            raise
        except (OSError, EOFError) as error:
            code = child.poll()
            self.close()
            raise SolverError(
                function.partition(":")[2].replace("_", " "),
                got=f"a worker process that ended by itself (code {code})",
                expected="an answer",
                remedy="Memory may have run out: close other programs, or crop the scan. The case "
                "is unchanged.",
            ) from error

    def _answer(self, child: subprocess.Popen[bytes], progress: Progress) -> Any:
        assert child.stdout is not None
        last = (0.0, "starting")
        while True:
            ready, _, _ = select.select([child.stdout], [], [], _EVERY_S)
            if not ready:
                progress(*last)
                continue
            kind, content = _receive(child.stdout)
            if kind == "progress":
                last = content
                progress(*last)
            elif kind == "done":
                return content
            else:
                raise _error(*content)

    def close(self) -> None:
        """End the child."""
        with self._guard:
            child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()


def _send(pipe: IO[bytes], message: Any) -> None:
    data = pickle.dumps(message, protocol=5)
    view = memoryview(len(data).to_bytes(_HEADER, "little") + data)
    while len(view):
        view = view[pipe.write(view) :]


def _receive(pipe: IO[bytes]) -> Any:
    return pickle.loads(_read(pipe, int.from_bytes(_read(pipe, _HEADER), "little")))


def _read(pipe: IO[bytes], count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while len(view):
        got = pipe.readinto(view)  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        view = view[got:]
    return data


def _error(name: str, parts: dict[str, str], words: str) -> IrplanError:
    """The child's error here again; a class with other arguments becomes the base."""
    if not parts:
        return SolverError(
            "worker process",
            got=f"a fault inside irplan ({words[:160]})",
            expected="an answer or an error in words",
            remedy="The case is unchanged. Save it and report this line.",
        )
    from irplan import errors

    found = getattr(errors, name, IrplanError)
    field, rest = parts["field"], {k: v for k, v in parts.items() if k != "field"}
    try:
        made: IrplanError = found(field, **rest)
    except TypeError:
        made = IrplanError(field, **rest)
    return made


def _serve() -> None:
    """The child: take calls from stdin until it closes."""
    if hasattr(os, "nice"):
        os.nice(10)  # the window comes first
    taken, given = os.fdopen(0, "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # what anything prints must not get between the messages
    for name in _NEEDED:
        importlib.import_module(name)
    while True:
        try:
            function, args, options = _receive(taken)
        except EOFError:
            return
        _send(given, _outcome(function, args, options, given))


def _outcome(function: str, args: Any, options: Any, given: IO[bytes]) -> tuple[str, Any]:
    told = 0.0

    def progress(fraction: float, message: str) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _EVERY_S:
            told = now
            _send(given, ("progress", (fraction, message)))

    module, _, name = function.partition(":")
    try:
        return "done", getattr(importlib.import_module(module), name)(
            *args, progress=progress, **options
        )
    except IrplanError as error:
        parts = {k: getattr(error, k) for k in ("field", "got", "expected", "remedy")}
        return "error", (type(error).__name__, parts, "")
    except MemoryError:
        parts = {
            "field": name.replace("_", " "),
            "got": "less memory than this case needs",
            "expected": "about 4 GB for 512 x 512 x 130 voxels",
            "remedy": "Close other programs, or crop the scan.",
        }
        return "error", ("InputError", parts, "")
    except Exception as error:  # noqa: BLE001  the caller gets it in words
        return "error", ("", {}, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    _serve()
