"""A single file that appears, or replaces an older one, only when it is complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from irplan.errors import OutputError

#: Part of the name of everything unfinished; the process's number stands beside it.
UNFINISHED = ".irplan-tmp-"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a hidden path beside ``path`` (same suffix) that becomes ``path`` if all goes well.

    An older file is replaced in one step, or untouched when the block raises.  Raises
    `OutputError` where the place cannot be written.
    """
    target = resolved_path(path)
    if target.is_dir():
        raise OutputError(
            "output file",
            got=f"'{target.name}', which is a folder",
            expected="a file name",
            remedy="Give a file in that folder.",
        )
    temporary = target.with_name(f".{os.getpid()}{UNFINISHED}{target.name}")
    try:
        made = make_parents(target.parent)
        for old in list(target.parent.iterdir()):
            pid, mark, name = old.name[1:].partition(UNFINISHED)
            if mark and name == target.name and not may_be_running(pid):
                old.unlink(missing_ok=True)
        try:
            temporary.touch(exist_ok=True)
        except OSError:
            remove_empty(made)
            raise
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def require_apart(sources: Sequence[Path], outputs: Mapping[str, Path | None]) -> None:
    """Refuse outputs (by option; None: not asked) that would replace a source or one another.

    Raises `OutputError`, before anything is read or written.
    """
    seen = {resolved_path(s): "a source file" for s in sources}
    for name, place in outputs.items():
        if place is None:
            continue
        whole = resolved_path(place)
        same = seen.get(whole)
        if same is None and whole.exists():  # another name of a source, by a hard link
            same = next((n for p, n in seen.items() if p.exists() and p.samefile(whole)), None)
        if same is not None:
            raise OutputError(
                name,
                got=f"'{place.name}', which is also {same}",
                expected="a file of its own",
                remedy="Give another output path; a source is never replaced.",
            )
        seen[whole] = name


def resolved_path(path: str | Path) -> Path:
    """The absolute path without links; `OutputError` where it cannot be followed."""
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise OutputError(
            "output",
            got=f"a path that cannot be followed ({type(error).__name__})",
            expected="a path on this machine",
            remedy="Give another output path.",
        ) from error


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The `OutputError` that says in words why the system refused ``path``."""
    reason = error.strerror or type(error).__name__
    return OutputError(
        "output",
        got=f"'{path}', which cannot be written ({reason.lower()})",
        expected="a place with write permission and free space",
        remedy="Choose another output path.",
    )


def make_parents(folder: Path) -> list[Path]:
    """Create ``folder`` and what is missing above it; the created ones, outermost first."""
    missing: list[Path] = []
    at = folder
    while not at.exists():
        missing.append(at)
        at = at.parent
    if not at.is_dir():
        raise OutputError(
            "output",
            got=f"a path that runs through the file '{at.name}'",
            expected="a path of folders",
            remedy="Choose another output path.",
        )
    made: list[Path] = []
    for each in reversed(missing):
        try:
            each.mkdir(exist_ok=True)
        except OSError:
            remove_empty(made)
            raise
        made.append(each)
    return made


def remove_empty(folders: list[Path]) -> None:
    """Remove ``folders``, innermost last in the list, up to the first that is not empty."""
    for folder in reversed(folders):
        try:
            folder.rmdir()
        except OSError:
            return  # not empty: somebody else uses it


def may_be_running(tag: str) -> bool:
    """Whether the process that made the stage ``"<pid>-<number>"`` may still be writing."""
    pid = tag.split("-", maxsplit=1)[0]
    if not pid.isdigit() or sys.platform == "win32":
        return True  # cannot tell: leave it alone
    if int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
