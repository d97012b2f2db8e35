"""The gateway's memory: one SQLite file beside the objects; every step survives kill -9.

A series goes receiving -> routed (or unmatched); a job queued -> running -> done / failed; an
outbox row waiting -> sent / refused.  What was running when the process died is queued again.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irplan.errors import OutputError
from irplan.procedure.review import Draft, draft_from_data, draft_to_data
from irplan.procedure.times import now, utc_text

#: A job that took the process down with it this often is not tried again.
MOST_ATTEMPTS = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
  uid TEXT PRIMARY KEY, study TEXT NOT NULL, folder TEXT NOT NULL, state TEXT NOT NULL,
  rule TEXT NOT NULL DEFAULT '', objects INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS job (
  id INTEGER PRIMARY KEY, series TEXT NOT NULL REFERENCES series(uid), plugin TEXT NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, made TEXT NOT NULL,
  ended TEXT NOT NULL DEFAULT '', seconds REAL, version TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '', objections TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS draft (
  id TEXT PRIMARY KEY, job INTEGER NOT NULL REFERENCES job(id), folder TEXT NOT NULL,
  record TEXT NOT NULL, replaced INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS outbox (
  draft TEXT PRIMARY KEY REFERENCES draft(id), state TEXT NOT NULL, made TEXT NOT NULL,
  ended TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS event (
  id INTEGER PRIMARY KEY, day TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS job_state ON job(state);
CREATE INDEX IF NOT EXISTS draft_job ON draft(job);
"""
_DRAFTS = (
    "SELECT draft.*, job.series, job.plugin, job.seconds, job.version, series.study, "
    "series.rule, series.folder AS incoming, outbox.state AS sending, "
    "outbox.error AS send_error FROM draft JOIN job ON job.id = draft.job "
    "JOIN series ON series.uid = job.series LEFT JOIN outbox ON outbox.draft = draft.id"
)

_UNDECIDED = (
    "(draft.replaced = 0 AND json_extract(draft.record, '$.review.state') IN ('draft', 'reviewed'))"
)


@dataclass(frozen=True)
class Job:
    """One plug-in on one series."""

    id: int
    series: str
    plugin: str
    folder: Path
    attempts: int
    objections: Mapping[str, str]


class Store:
    """All of the gateway's state; safe to use from several threads of one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            for name in ("incoming", "drafts", "logs", "tmp"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / "gateway.sqlite", check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise OutputError(
                "store",
                got=f"a folder that cannot be used ({error})",
                expected="a folder with write permission and free space",
                remedy="Change 'store' in the configuration, or its permissions.",
            ) from error
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db

    def _all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # -- arriving

    def add_object(self, series: str, study: str, folder: Path) -> None:
        """One more object lies whole in ``folder``; a series that was routed is open again."""
        with self._write() as db:
            db.execute(
                "INSERT INTO series(uid, study, folder, state, objects) VALUES(?,?,?,?,1) "
                "ON CONFLICT(uid) DO UPDATE SET objects = objects + 1, state = 'receiving'",
                (series, study, folder.name, "receiving"),
            )

    def know_series(self, series: str, study: str, folder: Path, objects: int) -> bool:
        """Make the row agree with the disk; True where it did not (died between the two)."""
        with self._write() as db:
            row = db.execute("SELECT objects FROM series WHERE uid=?", (series,)).fetchone()
            if row is not None and row["objects"] == objects:
                return False
            db.execute(
                "INSERT INTO series(uid, study, folder, state, objects) VALUES(?,?,?,?,?) "
                "ON CONFLICT(uid) DO UPDATE SET objects = excluded.objects, state = 'receiving'",
                (series, study, folder.name, "receiving", objects),
            )
            return True

    def receiving(self) -> list[tuple[str, Path]]:
        """Series that may still grow, and their folders."""
        rows = self._all("SELECT uid, folder FROM series WHERE state = 'receiving'")
        return [(r["uid"], self.folder / "incoming" / r["folder"]) for r in rows]

    def route(
        self, series: str, rule: str, plugins: tuple[str, ...], objections: Mapping[str, str]
    ) -> None:
        """Close a series with its jobs in one step; no rule: unmatched."""
        when = utc_text(now())
        with self._write() as db:
            state = "routed" if rule else "unmatched"
            db.execute("UPDATE series SET state=?, rule=? WHERE uid=?", (state, rule, series))
            for name in plugins:
                db.execute(
                    "INSERT INTO job(series, plugin, state, made, objections) VALUES(?,?,?,?,?)",
                    (series, name, "queued", when, json.dumps(dict(objections))),
                )

    # -- working

    def requeue_interrupted(self) -> int:
        """What ran when the process died is queued again, at most `MOST_ATTEMPTS` times in all."""
        with self._write() as db:
            db.execute(
                "UPDATE job SET state='failed', error='ended with the gateway too often', ended=? "
                "WHERE state='running' AND attempts >= ?",
                (utc_text(now()), MOST_ATTEMPTS),
            )
            return db.execute("UPDATE job SET state='queued' WHERE state='running'").rowcount

    def take_job(self) -> Job | None:
        """The oldest queued job, now running; None where there is none.

        Two jobs of one plug-in on one series run one after the other: the later draft replaces the
        earlier.
        """
        with self._write() as db:
            row = db.execute(
                "SELECT job.*, series.folder FROM job JOIN series ON series.uid = job.series "
                "WHERE job.state='queued' AND NOT EXISTS (SELECT 1 FROM job AS other WHERE "
                "other.state='running' AND other.series=job.series AND other.plugin=job.plugin) "
                "ORDER BY job.id LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE job SET state='running', attempts=attempts+1 WHERE id=?", (row["id"],)
            )
        return Job(
            row["id"],
            row["series"],
            row["plugin"],
            self.folder / "incoming" / row["folder"],
            row["attempts"] + 1,
            json.loads(row["objections"]),
        )

    def put_back(self, job: Job) -> None:
        """Queue a job again that was stopped in order; it does not count as an attempt."""
        with self._write() as db:
            db.execute("UPDATE job SET state='queued', attempts=attempts-1 WHERE id=?", (job.id,))

    def run_again(self, job_id: int) -> bool:
        """Queue a job that failed once more; False where it did not fail."""
        with self._write() as db:
            return bool(
                db.execute(
                    "UPDATE job SET state='queued', attempts=0, error='', ended='' "
                    "WHERE id=? AND state='failed'",
                    (job_id,),
                ).rowcount
            )

    def finish_job(
        self,
        job: Job,
        *,
        seconds: float,
        version: str,
        error: str = "",
        draft: Draft | None = None,
        replaces: str = "",
    ) -> None:
        """Done with its draft, or failed with its reason, in one step."""
        with self._write() as db:
            db.execute(
                "UPDATE job SET state=?, ended=?, seconds=?, version=?, error=? WHERE id=?",
                ("failed" if error else "done", utc_text(now()), seconds, version, error, job.id),
            )
            if draft is not None:
                db.execute(
                    "INSERT OR IGNORE INTO draft(id, job, folder, record) VALUES(?,?,?,?)",
                    (draft.draft_id, job.id, draft.draft_id, json.dumps(draft_to_data(draft))),
                )
            if replaces:
                db.execute("UPDATE draft SET replaced=1 WHERE id=?", (replaces,))
                db.execute(
                    "UPDATE outbox SET state='withdrawn', error='replaced by a newer draft' "
                    "WHERE draft=? AND state IN ('waiting', 'refused')",
                    (replaces,),
                )

    def latest_draft(self, series: str, plugin: str) -> Draft | None:
        """The newest draft of that plug-in on that series."""
        rows = self._all(
            "SELECT record FROM draft JOIN job ON job.id = draft.job "
            "WHERE job.series=? AND job.plugin=? ORDER BY job.id DESC LIMIT 1",
            series,
            plugin,
        )
        return draft_from_data(json.loads(rows[0]["record"])) if rows else None

    # -- reviewing and sending

    def drafts(self, most: int = -1) -> list[tuple[Draft, dict[str, Any]]]:
        """Drafts with their jobs' facts, undecided first, then the newest; at most ``most``."""
        rows = self._all(f"{_DRAFTS} ORDER BY {_UNDECIDED} DESC, draft.rowid DESC LIMIT ?", most)
        return [(draft_from_data(json.loads(r["record"])), dict(r)) for r in rows]

    def draft_counts(self) -> tuple[int, int]:
        """How many drafts there are, and how many of them nobody has decided on."""
        row = self._all(f"SELECT COUNT(*) AS n, TOTAL({_UNDECIDED}) AS open FROM draft")[0]
        return row["n"], int(row["open"])

    def draft(self, draft_id: str) -> tuple[Draft, dict[str, Any]] | None:
        """One draft with its job's facts; None for an unknown id."""
        rows = self._all(f"{_DRAFTS} WHERE draft.id = ?", draft_id)
        return (draft_from_data(json.loads(rows[0]["record"])), dict(rows[0])) if rows else None

    def draft_folder(self, draft_id: str) -> Path:
        """Where a draft's files lie."""
        return self.folder / "drafts" / draft_id

    def save_review(self, before: Draft, after: Draft, *, to_send: bool) -> bool:
        """Store a decision; False where somebody else decided in between."""
        with self._write() as db:
            changed = db.execute(
                "UPDATE draft SET record=? WHERE id=? AND record=?",
                (
                    json.dumps(draft_to_data(after)),
                    before.draft_id,
                    json.dumps(draft_to_data(before)),
                ),
            ).rowcount
            if changed and to_send:
                db.execute(
                    "INSERT OR IGNORE INTO outbox(draft, state, made) VALUES(?, 'waiting', ?)",
                    (before.draft_id, utc_text(now())),
                )
            if changed and after.review.state == "rejected":
                db.execute(
                    "UPDATE outbox SET state='withdrawn' WHERE draft=? AND state='waiting'",
                    (before.draft_id,),
                )
        return bool(changed)

    def send_again(self, draft_id: str) -> bool:
        """Let what the PACS refused wait for it once more; False where it was not refused."""
        with self._write() as db:
            return bool(
                db.execute(
                    "UPDATE outbox SET state='waiting' WHERE draft=? AND state='refused' "
                    "AND NOT EXISTS (SELECT 1 FROM draft WHERE id=? AND replaced)",
                    (draft_id, draft_id),
                ).rowcount
            )

    def waiting(self) -> list[str]:
        """Drafts that are accepted and not yet sent."""
        rows = self._all("SELECT draft FROM outbox WHERE state='waiting' ORDER BY made")
        return [r["draft"] for r in rows]

    def sent(self, draft_id: str, *, state: str, error: str = "") -> None:
        """What became of an outbox row: waiting (try again), sent or refused.

        What was withdrawn meanwhile stays so, unless it had left already.
        """
        with self._write() as db:
            db.execute(
                "UPDATE outbox SET state=?, error=?, ended=? WHERE draft=? "
                "AND (state='waiting' OR ?='sent')",
                (state, error, utc_text(now()), draft_id, state),
            )

    # -- counting

    def note(self, kind: str, detail: str = "") -> None:
        """Count an event of today; ``detail`` holds no patient data."""
        with self._write() as db:
            db.execute(
                "INSERT INTO event(day, kind, detail) VALUES(?,?,?)",
                (utc_text(now())[:10], kind, detail),
            )

    def note_if_possible(self, kind: str, detail: str = "") -> None:
        """`note`, or nothing on a full disk: counting stops nobody."""
        with suppress(sqlite3.Error):
            self.note(kind, detail)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of series, job, outbox or event, for the summary and the page."""
        if table not in ("series", "job", "outbox", "event"):
            raise KeyError(table)
        return [dict(r) for r in self._all(f"SELECT * FROM {table}")]
