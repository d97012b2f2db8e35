"""The procedure log under load: ``python -m benchmarks.log`` (about 3 minutes; Linux).

kill -9 of writers at random moments, a million events, time of an append with fsync, and every kind
of tampering (flipped bits, dropped, swapped, doubled, cut events) at random places of a log.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments, report, row
from irplan.procedure.events import NewEvent, Source
from irplan.procedure.log import ProcedureLog
from irplan.procedure.log_verify import verify_log

SOURCE = Source("device", who="benchmark")


def kill_writers(folder: Path, *, kills: int, writers: int = 4, seed: int = 1) -> dict[str, object]:
    """Kill a random writer ``kills`` times; what was acknowledged must be in a log that verifies.

    A writer appends and, once `append` has returned, writes number and hash of the event into a
    pipe.  It is killed 0 to 30 ms after it was started or spared last.
    """
    ProcedureLog.create(folder).close()
    rng = random.Random(seed)
    read, write = os.pipe()
    running = {_writer(folder, write, n) for n in range(writers)}
    acknowledged: list[tuple[int, str]] = []
    for n in range(kills):
        time.sleep(rng.uniform(0.0, 0.03))
        victim = rng.choice(sorted(running))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        running = (running - {victim}) | {_writer(folder, write, writers + n)}
        acknowledged += _drain(read)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(write)
    acknowledged += _drain(read)
    with ProcedureLog.open(folder) as log:
        left = log.opened.findings
        log.append("note", {"text": "after the last kill"}, source=SOURCE)
        held = {e.seq: e.sha256 for e in log.events()}
        recovered = sum(e.kind == "log_recovered" for e in log.events())
    found = verify_log(folder)
    return {
        "kills": kills,
        "writers": writers,
        "acknowledged": len(acknowledged),
        "lost": sum(held.get(seq) != digest for seq, digest in acknowledged),
        "events": found.count,
        "recoveries": recovered,
        "left_by_the_last": list(left),
        "intact": found.intact,
        "damage": [asdict(f) for f in found.findings if f.weight == "damage"],
    }


def _writer(folder: Path, pipe: int, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        with ProcedureLog.open(folder) as log:
            for n in range(1_000_000):
                event = log.append(
                    "reading",
                    {"needle": 1 + number % 9, "power_w": float(n % 1000)},
                    source=SOURCE,
                )
                os.write(pipe, f"{event.seq} {event.sha256}\n".encode())
    finally:
        os._exit(1)


def _drain(pipe: int) -> list[tuple[int, str]]:
    """What has been acknowledged so far: lines below PIPE_BUF arrive whole."""
    os.set_blocking(pipe, False)
    data = b""
    while True:
        try:
            more = os.read(pipe, 1 << 16)
        except BlockingIOError:
            break
        if not more:
            break
        data += more
    rows = [line.split() for line in data.decode().splitlines()]
    return [(int(seq), digest) for seq, digest in rows]


def time_log(folder: Path, *, events: int, appends: int) -> dict[str, object]:
    """Seconds to open a log of ``events``; ms of an append with fsync, and of the disk."""
    with ProcedureLog.create(folder) as log:
        for start in range(0, events, 10_000):
            count = min(10_000, events - start)
            log.append_many(
                [
                    NewEvent("reading", {"needle": 1, "power_w": n % 100 / 2.0}, SOURCE)
                    for n in range(count)
                ]
            )
    opens = []
    for _ in range(3):
        started = time.perf_counter()
        with ProcedureLog.open(folder) as log:
            opens.append(time.perf_counter() - started)
            report = log.opened
    with ProcedureLog.open(folder) as log:
        taken = [_timed(lambda: log.append("reading", {"power_w": 1.0}, source=SOURCE)) for _ in
                 range(appends)]  # fmt: skip
    fd = os.open(folder / "bare", os.O_RDWR | os.O_CREAT)
    bare = []
    for n in range(appends):
        bare.append(_timed(lambda n=n: (os.pwrite(fd, b"x" * 420, n * 420), os.fdatasync(fd))))
    os.close(fd)
    (folder / "bare").unlink()
    started = time.perf_counter()
    found = verify_log(folder)
    return {
        "events": report.count,
        "megabytes": round((folder / "events.jsonl").stat().st_size / 1e6, 1),
        "open_s": round(max(opens), 3),
        "checkpoints_verified": report.checkpoints,
        "tail_verified": report.tail,
        "verify_s": round(time.perf_counter() - started, 2),
        "intact": found.intact,
        "append_ms": _quantiles(taken),
        "bare_write_and_fdatasync_ms": _quantiles(bare),
    }


def tampered(folder: Path, *, tries: int, seed: int) -> dict[str, object]:
    """Change a log of 300 events ``tries`` times in each way; what `verify_log` calls intact."""
    with ProcedureLog.create(folder) as log:
        for n in range(300):
            log.append("reading", {"needle": 1 + n % 9, "power_w": n / 2.0}, source=SOURCE)
    events, head = (folder / "events.jsonl").read_bytes(), (folder / "head").read_bytes()
    lines = events.splitlines(keepends=True)
    rng = random.Random(seed)

    def flip(data: bytes) -> bytes:
        at = rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]

    def swap() -> bytes:
        a, b = rng.sample(range(len(lines)), 2)
        new = list(lines)
        new[a], new[b] = new[b], new[a]
        return b"".join(new)

    def drop() -> bytes:
        at = rng.randrange(len(lines))
        return b"".join(lines[:at] + lines[at + 1 :])

    def double() -> bytes:
        at = rng.randrange(len(lines))
        return b"".join(lines[: at + 1] + lines[at:])

    missed: dict[str, int] = {}
    ways = {
        "flipped bit": lambda: (flip(events), head),
        "flipped bit of the head": lambda: (events, flip(head)),
        "dropped": lambda: (drop(), head),
        "swapped": lambda: (swap(), head),
        "doubled": lambda: (double(), head),
        "cut off": lambda: (events[: rng.randrange(len(events))], head),
    }
    for name, change in ways.items():
        missed[name] = 0
        for _ in range(tries):
            new_events, new_head = change()
            (folder / "events.jsonl").write_bytes(new_events)
            (folder / "head").write_bytes(new_head)
            found = verify_log(folder)
            missed[name] += found.intact
    return {"tries": tries, "missed": missed}


def _timed(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


def _quantiles(seconds: list[float]) -> dict[str, float]:
    s = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {k: round(1e3 * s[min(len(s) - 1, int(v * len(s)))], 2) for k, v in at.items()}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--appends", type=int, default=3000)
    parser.add_argument("--tampers", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--in", dest="place", type=Path, default=None, help="folder on the disk")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.place) as place:
        if given.kills:
            k: Any = kill_writers(Path(place) / "a", kills=given.kills, seed=given.seed)
            rows += [
                row(f"{given.kills} kill -9 under 4 writers: acknowledged", k["acknowledged"]),
                row("acknowledged events lost", k["lost"], "", "0", k["lost"] == 0),
                row("recoveries told in the log", k["recoveries"]),
                row("chain verifies", k["intact"], "", "True", bool(k["intact"])),
            ]
        if given.tampers:
            t: Any = tampered(Path(place) / "c", tries=given.tampers, seed=given.seed)
            rows += [
                row(f"{name}, {given.tampers} times: not found", n, "", "0", n == 0)
                for name, n in t["missed"].items()
            ]
        if given.events:
            m: Any = time_log(Path(place) / "b", events=given.events, appends=given.appends)
            p99 = m["append_ms"]["p99"]
            rows += [
                row(f"log of {m['events']} events ({m['megabytes']} MB) opens", m["open_s"], "s",
                    "< 1", m["open_s"] < 1.0),
                row("every byte of it verified", m["verify_s"], "s"),
                row("append with fsync, 99th percentile", p99, "ms", "< 10", p99 < 10.0),
                row("append with fsync, median", m["append_ms"]["p50"], "ms"),
                row("the bare disk, 99th percentile", m["bare_write_and_fdatasync_ms"]["p99"],
                    "ms"),
            ]  # fmt: skip
    report("Procedure log", rows, json_file=given.json)


if __name__ == "__main__":
    main()
