"""The gateway under load: ``python -m benchmarks.gateway`` (about 5 minutes; Linux).

Up to 200 small studies, five at a time, with each draft's page and the list read: the memory of
the gateway's process after 5, 20, 60 and 200 of them.  Then 20 studies sent at once, the gateway
killed (-9) meanwhile: nothing is lost.
"""

from __future__ import annotations

import http.client
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from irplan_gateway.store import Store

from benchmarks.dicom_studies import ct_study
from benchmarks.measure import arguments, report, row
from irplan.dicom.pacs_client import RetryPolicy, connect
from irplan.dicom.pacs_peer import parse_peer
from irplan.dicom.pacs_send import send_files

#: The process may grow by this much between 20 and 200 studies, MB.
FLAT_MB = 12.0
_PATIENT = RetryPolicy(attempts=200, first_wait_s=0.2, longest_wait_s=0.5)
_SITE = """store = "{store}"
[node]
ae_title = "GATEWAY"
port = {port}
[study]
quiet_s = 0.5
min_free_mb = 64
[work]
workers = 2
[page]
port = {page}
[[plugin]]
name = "count"
kind = "outside"
command = ["/bin/sh", "-c", "ls $0 | wc -l > $1/result.txt", "{{input}}", "{{output}}"]
[[rule]]
name = "CT"
where = {{ modality = "CT" }}
run = ["count"]
"""


class Running:
    """A gateway in a process of its own, on free ports, started again where it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.page = folder, _free_port(), _free_port()
        self.config = folder / "site.toml"
        self.config.write_text(
            _SITE.format(store=folder / "store", port=self.port, page=self.page), encoding="utf-8"
        )
        self.process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", "from irplan.cli import main; main()", "gateway", "-q"]
        return subprocess.Popen([*words, "--config", str(self.config)])

    def kill_and_start(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = self._launch()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def memory_mb(self, name: str) -> float:
        """A line of /proc/PID/status (VmRSS, VmHWM, RssAnon)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(x for x in text.splitlines() if x.startswith(f"{name}:"))
        return int(line.split()[1]) / 1024.0

    def threads_and_files(self) -> tuple[int, int]:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(x for x in text.splitlines() if x.startswith("Threads:"))
        return int(line.split()[1]), len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def read_page(self, path: str) -> int:
        """The status of a page, with the key."""
        key = (self.folder / "store" / "page.key").read_text().strip()
        connection = http.client.HTTPConnection("127.0.0.1", self.page, timeout=60)
        connection.request("GET", path, headers={"Cookie": f"irplan_gateway={key}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status


def send(folder: Path, port: int) -> None:
    """Send a study by irplan's DIMSE client, again and again until all of it was acknowledged."""
    client = connect(parse_peer(f"dicom://GATEWAY@127.0.0.1:{port}", timeout_s=30))
    try:
        send_files(client, sorted(folder.iterdir()), lambda name, raw: None, retry=_PATIENT)
    finally:
        client.close()


def at_once(place: Path, *, studies: int, slices: int, size: int, kills: int, seed: int) -> dict:
    """All studies sent at the same time, the gateway killed meanwhile."""
    folders = [ct_study(place / f"s{n}", n, slices=slices, size=size) for n in range(studies)]
    running = Running(place)
    failures: list[BaseException] = []

    def deliver(folder: Path) -> None:
        try:
            send(folder, running.port)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    try:
        _until(lambda: _listens(running.port), 60)
        started = time.monotonic()
        threads = [threading.Thread(target=deliver, args=(f,)) for f in folders]
        for thread in threads:
            thread.start()
        rng = random.Random(seed)
        for _ in range(kills):
            time.sleep(rng.uniform(1.0, 4.0))
            running.kill_and_start()
        for thread in threads:
            thread.join()
        if failures:
            raise SystemExit(f"could not be sent: {failures[0]}")
        arrived_s = time.monotonic() - started
        store = Store(place / "store")
        _until(lambda: _current(store) >= studies and _idle(store), 300)
        time.sleep(2.0)
        done_s = time.monotonic() - started
        series = store.rows("series")
        objects = list((place / "store" / "incoming").rglob("*.dcm"))
        out = {
            "studies": len({s["study"] for s in series}),
            "objects": len(objects),
            "wanted": studies * slices,
            "current": _current(store),
            "lost": studies * slices - len(objects),
            "failed": sum(j["state"] == "failed" for j in store.rows("job")),
            "arrived_s": arrived_s,
            "done_s": done_s,
            "peak_mb": running.memory_mb("VmHWM"),
            "mb": sum(f.stat().st_size for f in objects) / 1e6,
        }
        store.close()
        return out
    finally:
        running.stop()
        shutil.rmtree(place, ignore_errors=True)


def one_after_the_other(place: Path, *, counts: tuple[int, ...]) -> list[dict]:
    """Memory after each of ``counts`` studies; the page is read for each draft."""
    running = Running(place)
    out = []
    try:
        _until(lambda: _listens(running.port), 60)
        store = Store(place / "store")
        sent = 0
        for count in counts:
            while sent < count:
                batch = min(5, count - sent)
                threads = []
                for n in range(sent, sent + batch):
                    folder = ct_study(place / f"s{n}", n, slices=4, size=64)
                    threads.append(threading.Thread(target=send, args=(folder, running.port)))
                    threads[-1].start()
                for thread in threads:
                    thread.join()
                for n in range(sent, sent + batch):
                    shutil.rmtree(place / f"s{n}")
                sent += batch
                for draft, _ in store.drafts(batch):
                    if running.read_page(f"/draft/{draft.draft_id}") != 200:
                        raise SystemExit("a page was not shown")
                if running.read_page("/") != 200:
                    raise SystemExit("the list was not shown")
            _until(lambda n=count: _current(store) >= n and _idle(store), 120)
            time.sleep(2.0)
            threads_now, files_now = running.threads_and_files()
            out.append(
                {
                    "studies": count,
                    "rss_mb": running.memory_mb("VmRSS"),
                    "anonymous_mb": running.memory_mb("RssAnon"),
                    "threads": threads_now,
                    "files": files_now,
                    "left_in_tmp": len(list((place / "store" / "tmp").iterdir())),
                }
            )
            print("   ", out[-1], flush=True)
        store.close()
    finally:
        running.stop()
        shutil.rmtree(place, ignore_errors=True)
    return out


def _current(store: Store) -> int:
    return sum(not facts["replaced"] for _, facts in store.drafts())


def _idle(store: Store) -> bool:
    waiting = sum(j["state"] in ("queued", "running") for j in store.rows("job"))
    return waiting == 0 and not store.receiving()


def _until(what: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise SystemExit("did not happen in time")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--studies", type=int, default=20, help="sent at once")
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--size", type=int, default=512, help="rows and columns")
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--counts", type=int, nargs="*", default=[5, 20, 60, 200])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        flat = one_after_the_other(_new(place, "flat"), counts=tuple(given.counts))
        many = at_once(
            _new(place, "many"), studies=given.studies, slices=given.slices, size=given.size,
            kills=given.kills, seed=given.seed,
        )  # fmt: skip
    what = f"{given.studies} studies of {given.slices} images {given.size}^2 at once"
    rows = [
        row(f"{what}: objects lost ({given.kills} kill -9)", many["lost"], "", "0",
            many["lost"] == 0 and many["objects"] == many["wanted"]),
        row(f"{what}: one current draft each", many["current"], "", str(given.studies),
            many["current"] == given.studies == many["studies"]),
        row(f"{what}: failed jobs", many["failed"], "", "0", many["failed"] == 0),
        row(f"{what}: data", many["mb"], "MB"),
        row(f"{what}: sent within", many["arrived_s"], "s"),
        row(f"{what}: all drafts made within", many["done_s"], "s"),
        row("peak memory of the gateway's process since its last start", many["peak_mb"], "MB"),
        *(row(f"memory after {f['studies']} studies", f["rss_mb"], "MB") for f in flat),
        *(row(f"own (anonymous) memory after {f['studies']}", f["anonymous_mb"], "MB")
          for f in flat),
        row("threads, first and last", f"{flat[0]['threads']}, {flat[-1]['threads']}", "", "<=",
            flat[-1]["threads"] <= flat[0]["threads"]),
        row("open files, first and last", f"{flat[0]['files']}, {flat[-1]['files']}"),
        row("left in tmp", flat[-1]["left_in_tmp"], "", "0", flat[-1]["left_in_tmp"] == 0),
    ]  # fmt: skip
    if len(flat) > 1:
        grown = flat[-1]["rss_mb"] - flat[min(1, len(flat) - 2)]["rss_mb"]
        first = flat[min(1, len(flat) - 2)]["studies"]
        rows.append(
            row(f"growth from {first} to {flat[-1]['studies']} studies", grown, "MB",
                f"<= {FLAT_MB:g}", grown <= FLAT_MB)
        )  # fmt: skip
    report("Gateway", rows, json_file=given.json)


def _new(place: str, name: str) -> Path:
    folder = Path(place) / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
