"""Results by the content they depend on: one SQLite file that a killed run leaves whole."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from irplan.errors import FileFormatError, OutputError
from irplan.studies.study import Outputs

Status = Literal["done", "failed", "crashed"]
#: Results are safe on disk at the latest this long after they came, s.
_COMMIT_S = 0.5
_LAYOUT = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS result (
  key TEXT PRIMARY KEY, status TEXT NOT NULL, outputs TEXT NOT NULL, message TEXT NOT NULL,
  seconds REAL NOT NULL, worker TEXT NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Result:
    """What came of a run: its outputs, or in ``message`` why there are none."""

    key: str
    status: Status
    outputs: Outputs
    message: str
    seconds: float
    worker: str


class ResultStore:
    """Results on disk.  One process writes at a time; a second is refused.

    Raises `OutputError` where the file cannot be made or written (disk full: what was committed
    stays), or is in use; `FileFormatError` where it is no result file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = time.monotonic()
        with self._guarded():
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _LAYOUT.split(";")):
                self._db.execute(statement)
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")

    def __enter__(self) -> ResultStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commit and let go."""
        with self._guarded():
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        self._db.close()

    def about(self, name: str) -> str | None:
        """A remark kept with the results, or None."""
        with self._guarded():
            row = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Keep a remark."""
        with self._guarded():
            self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))
        self.commit()

    def has(self, key: str, *, failed_too: bool) -> bool:
        """Whether there is a result (an unsuccessful one counts with ``failed_too``)."""
        with self._guarded():
            row = self._db.execute("SELECT status FROM result WHERE key = ?", (key,)).fetchone()
        return row is not None and (failed_too or row[0] == "done")

    def get(self, key: str) -> Result | None:
        """The result of ``key``."""
        with self._guarded():
            row = self._db.execute("SELECT * FROM result WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        return Result(row[0], row[1], json.loads(row[2]), row[3], row[4], row[5])

    def put(self, result: Result) -> None:
        """Keep a result; it is on disk within half a second of more results, or at `commit`."""
        row = (
            result.key, result.status, json.dumps(result.outputs), result.message,
            result.seconds, result.worker,
        )  # fmt: skip
        with self._guarded():
            self._db.execute("INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?, ?, ?)", row)
        if time.monotonic() - self._last >= _COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Make what came so far safe."""
        with self._guarded():
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")
        self._last = time.monotonic()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "locked" in text:
                raise OutputError(
                    "study folder", got="a study that is running in it",
                    expected="one run at a time in a folder",
                    remedy="Wait for it, stop it, or give another folder with -o.",
                ) from error  # fmt: skip
            raise OutputError(
                "study folder", got=f"'{self._path.name}' cannot be written ({text})",
                expected="a folder with free space that may be written",
                remedy="Make room and run the same command again: finished results are kept.",
            ) from error  # fmt: skip
        except sqlite3.DatabaseError as error:
            raise FileFormatError(
                f"'{self._path.name}'", got=f"no result file of irplan ({error})",
                expected="results of an earlier run, or none",
                remedy="Give another folder with -o, or restore the file.",
            ) from error  # fmt: skip
