"""The watch folder: files that have stopped growing are taken; zips are opened with care."""

from __future__ import annotations

import time
from pathlib import Path

from irplan.errors import FileFormatError
from irplan.files.archive import ArchiveLimits, archive_members, is_archive
from irplan_gateway.incoming import Limits, Outcome, take_object
from irplan_gateway.store import Store


class WatchFolder:
    """``look`` takes what lay still for ``settle_s``; taken files go, refused ones step aside.

    A file leaves the folder only after its objects are safe in the store; what cannot be used, and
    a zip of which something cannot, is moved to ``refused/`` in the same folder, never deleted.
    """

    def __init__(self, folder: Path, settle_s: float, store: Store, limits: Limits) -> None:
        self.folder = folder
        self._settle_s, self._store, self._limits = settle_s, store, limits
        self._seen: dict[Path, tuple[int, int, float]] = {}
        self._aside = folder / "refused"
        self._aside.mkdir(parents=True, exist_ok=True)

    def look(self) -> int:
        """Number of files taken now."""
        present: dict[Path, tuple[int, int, float]] = {}
        taken = 0
        for file in sorted(self.folder.rglob("*")):
            if self._aside in file.parents or file.is_symlink() or not file.is_file():
                continue
            try:
                facts = file.stat()
            except OSError:
                continue
            now = time.monotonic()
            size, changed, since = self._seen.get(file, (-1, -1, now))
            if (facts.st_size, facts.st_mtime_ns) != (size, changed):
                since = now
            present[file] = (facts.st_size, facts.st_mtime_ns, since)
            if now - since >= self._settle_s:
                present.pop(file)
                try:
                    taken += self._take(file)
                except OSError:  # cannot be opened, removed or moved: the others go on
                    self._store.note_if_possible("watch folder: trouble with a file")
        self._seen = present
        return taken

    def _take(self, file: Path) -> int:
        outcomes: list[Outcome] = []
        if is_archive(file):
            limits = ArchiveLimits(member_bytes=self._limits.object_bytes)
            try:
                for member in archive_members(file, limits, folder=self._store.folder / "tmp"):
                    outcomes.append(take_object(self._store, member, self._limits))
            except FileFormatError:
                outcomes.append("refused")
        else:
            outcomes.append(take_object(self._store, file, self._limits))
        if "full" in outcomes:
            self._store.note_if_possible("watch folder: no space")
            return 0  # stays; what was taken is not taken twice
        good = any(o in ("stored", "had") for o in outcomes)
        if good and all(o in ("stored", "had") for o in outcomes):
            file.unlink(missing_ok=True)
            return 1
        self._store.note_if_possible(f"watch folder: {'taken in part' if good else 'refused'}")
        number = 0
        while (target := self._aside / f"{number:06d}-{file.name[-60:]}").exists():
            number += 1
        file.replace(target)
        return int(good)
