"""An output folder that is whole or absent: it appears only when it is complete."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import TracebackType

from irplan.errors import OutputError
from irplan.files.atomic import (
    UNFINISHED,
    cannot_write,
    make_parents,
    may_be_running,
    remove_empty,
    resolved_path,
)

#: Lists what irplan wrote into a folder, so that it never deletes what somebody else put there.
MANIFEST = ".irplan-output.json"
#: Free space below which nothing is started, bytes.
DEFAULT_NEED_BYTES = 64 * 1024 * 1024

#: Between the name and this, a folder that is being replaced is set aside.
SET_ASIDE = ".irplan-old-"

#: What the block's own writing may meet: disk full, quota, file too large, read-only, I/O error.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class OutputFolder:
    """A folder that appears, or replaces the older one of the same name, only when complete.

    ``with OutputFolder(path) as folder:`` checks at once that ``path`` can be written, and
    yields a hidden sibling folder to write into.  When the block ends well it is renamed to
    ``path``; an older folder is deleted only after the new one stands.  When it ends by any
    exception, Ctrl-C included, nothing is left behind and an older folder is untouched.  What
    a killed run left is cleared (or an old folder it had set aside is put back) on the next run.

    Parameters
    ----------
    path : the folder to make; missing parents are made.  It may not exist, be empty, or be an
        earlier output of irplan to which nothing was added and whose plan is still a draft.
    makes_plan : a plan is written; else a folder that holds one is not replaced either, draft or
        not (a plan's own folder given as the output of what is made from it).
    need_bytes : free space demanded on its disk before anything is started.
    keeps_evidence : the caller carries what was reviewed over into the new folder itself.

    Raises
    ------
    OutputError : a file is there; foreign files, a reviewed plan or report are in it; it cannot be
        written; the disk is full.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        need_bytes: int = DEFAULT_NEED_BYTES,
        keeps_evidence: bool = False,
        makes_plan: bool = False,
    ) -> None:
        self.path = resolved_path(path)
        self._makes_plan = makes_plan
        self._keeps_evidence = keeps_evidence
        self._need_bytes = need_bytes
        self._made_parents: list[Path] = []
        self._stage: Path | None = None
        self._inside = False

    @classmethod
    def check(
        cls,
        path: str | Path,
        *,
        need_bytes: int = DEFAULT_NEED_BYTES,
        makes_plan: bool = False,
    ) -> None:
        """Raise what entering the folder would raise, and leave nothing: ask before long work."""
        folder = cls(path, need_bytes=need_bytes, makes_plan=makes_plan)
        try:
            folder.__enter__()
        finally:
            folder._discard()

    def __enter__(self) -> Path:
        try:
            _put_back(self.path)
            _require_replaceable(
                self.path, keeps_evidence=self._keeps_evidence, makes_plan=self._makes_plan
            )
            self._made_parents = make_parents(self.path.parent)
            self._inside = _must_stage_inside(self.path)
            self._stage = _new_stage(self.path, inside=self._inside)
            _require_space(self._stage, self._need_bytes)
        except OSError as error:
            self._discard()
            raise cannot_write(self.path, error) from error
        except BaseException:
            self._discard()
            raise
        return self._stage

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stage = self._stage
        if stage is None:
            return
        try:
            if error is None:
                _write_manifest(stage)
                _require_replaceable(
                    self.path, ignore=stage.name, keeps_evidence=self._keeps_evidence,
                    makes_plan=self._makes_plan,
                )  # fmt: skip
                if self._inside:
                    _move_into(stage, self.path)
                else:
                    _swap(stage, self.path)
            elif isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise cannot_write(self.path, error) from error
        except OSError as problem:
            raise cannot_write(self.path, problem) from problem
        finally:
            self._discard()

    def _discard(self) -> None:
        stage, self._stage = self._stage, None
        if stage is not None:
            try:
                shutil.rmtree(stage, ignore_errors=True)
            finally:  # a second Ctrl-C in the middle of it
                if stage.exists():
                    shutil.rmtree(stage, ignore_errors=True)
        remove_empty(self._made_parents)
        self._made_parents = []


def _require_space(folder: Path, need_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < need_bytes:
        raise OutputError(
            "output",
            got=f"{free / 1e6:.0f} MB free on its disk",
            expected=f"at least {need_bytes / 1e6:.0f} MB",
            remedy="Free some space or choose another output path.",
        )


def _require_replaceable(
    path: Path, *, ignore: str = "", keeps_evidence: bool = False, makes_plan: bool = False
) -> None:
    """Raise unless ``path`` is absent, an empty folder or an untouched draft of irplan's."""
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(
            "output folder",
            got=f"'{path.name}', which is a file",
            expected="a folder, or a name that does not exist yet",
            remedy="Choose another output folder.",
        )
    present = {
        str(p.relative_to(path).as_posix())
        for p in path.rglob("*")
        if (p.is_symlink() or not p.is_dir()) and not _is_stage_part(p, path, ignore)
    }
    foreign = sorted(present - _manifest_files(path))
    if foreign:
        shown = ", ".join(f"'{name}'" for name in foreign[:3])
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise OutputError(
            "output folder",
            got=f"'{path.name}', which holds files that irplan did not write ({shown}{more})",
            expected="a new or empty folder, or an earlier output of irplan",
            remedy="Choose another output folder, or move those files away.",
        )
    for name, what in () if keeps_evidence else (("plan.json", "plan"), ("review.json", "report")):
        state = _review_state(path / name)
        if state != "draft":
            raise OutputError(
                "output folder",
                got=f"'{path.name}', whose {what} is in the state '{state}'",
                expected=f"a folder whose {what} is still a draft",
                remedy=f"A reviewed {what} is evidence and is never overwritten; "
                "choose another output folder.",
            )
    if not makes_plan and not keeps_evidence and (path / "plan.json").exists():
        raise OutputError(
            "output folder",
            got=f"'{path.name}', which holds a plan",
            expected="a new or empty folder, or an earlier output of the same kind",
            remedy="The plan would be lost: choose another output folder.",
        )


def _is_stage_part(item: Path, folder: Path, ignore: str) -> bool:
    top = item.relative_to(folder).parts[0]
    return top == ignore or UNFINISHED in top or SET_ASIDE in top


def _manifest_files(folder: Path) -> set[str]:
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {str(name) for name in data["files"]} | {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # not ours: every file counts as foreign


def _review_state(file: Path) -> str:
    if not file.exists():
        return "draft"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["review"]["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unreadable"


def _write_manifest(stage: Path) -> None:
    files = sorted(str(p.relative_to(stage).as_posix()) for p in stage.rglob("*") if p.is_file())
    text = json.dumps({"made_by": "irplan", "files": files}, indent=1) + "\n"
    (stage / MANIFEST).write_text(text, encoding="utf-8")


def _must_stage_inside(path: Path) -> bool:
    """True for a mount point or a folder whose parent is closed: it cannot be renamed."""
    return path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK))


def _new_stage(path: Path, *, inside: bool) -> Path:
    """Make the hidden folder to write into, after clearing those of runs that are dead."""
    place, prefix = (path, UNFINISHED) if inside else (path.parent, f".{path.name}{UNFINISHED}")
    for old in list(place.iterdir()):
        if old.name.startswith(prefix) and not may_be_running(old.name[len(prefix) :]):
            shutil.rmtree(old, ignore_errors=True)
    for number in range(1000):
        stage = place / f"{prefix}{os.getpid()}-{number}"
        try:
            stage.mkdir()
        except FileExistsError:
            continue
        return stage
    raise OutputError(
        "output folder",
        got="1000 unfinished runs beside it",
        expected="room for a temporary folder",
        remedy=f"Delete the hidden folders '{prefix}...'.",
    )


def _swap(stage: Path, path: Path) -> None:
    """Rename ``stage`` to ``path``; an older folder is set aside first and deleted last."""
    if not path.exists():
        stage.rename(path)
        return
    aside = path.with_name(f".{path.name}{SET_ASIDE}{os.getpid()}")
    path.rename(aside)
    try:
        stage.rename(path)
    except BaseException:
        if not path.exists():
            aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _put_back(path: Path) -> None:
    """Undo a swap that was killed half way: the older folder returns under its name."""
    if not path.parent.is_dir():
        return
    prefix = f".{path.name}{SET_ASIDE}"
    for aside in sorted(p for p in path.parent.iterdir() if p.name.startswith(prefix)):
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(path)


def _move_into(stage: Path, path: Path) -> None:
    """Replace the earlier output in ``path`` by the content of ``stage``, which is inside it.

    A mount point cannot be exchanged in one step; the manifest goes in last, so a folder that
    was interrupted here is not taken for a complete one.
    """
    for name in sorted(_manifest_files(path)):
        if (path / name).resolve().is_relative_to(path):  # a hand-edited list cannot reach out
            (path / name).unlink(missing_ok=True)
    entries = sorted(stage.iterdir(), key=lambda p: (p.name == MANIFEST, p.name))
    for entry in entries:
        target = path / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        entry.replace(target)
