"""Damaged and hostile DICOM at every door: ``python -m benchmarks.damaged`` (about 10 minutes).

Sound files (pydicom's small ones, dose reports, a structure set, a segmentation) are damaged by
seed: bytes set, cut out, doubled, cut off; lengths, value representations and counts made huge.
Each door gets them in a process of its own, the command line for `info`, `dose`, `deid` and
`log import`.  Wanted: a result or a named error, no other exception, no hang, bounded memory.
Then the gateway's DICOM port gets damaged messages, and PDUs that claim gigabytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments, report, row

#: Longest time one damaged file may take, s (a loaded machine), and most memory a door may add, MB.
LONGEST_S, MOST_MB = 20.0, 400.0
COMMANDS = ("info", "dose", "cli_deid", "log")
DOORS = (
    "deid", "series", "rtstruct", "segmentation", "xa", "gateway", "send", *COMMANDS,
)  # fmt: skip


def sound_files(place: Path, name: str) -> list[bytes]:
    """Files to damage, each at most 200 kB; half of them of the kind that the door is for."""
    import pydicom.data

    from irplan.dicom.reading import is_dicom

    root = Path(pydicom.data.__file__).parent
    files = [p for p in sorted(root.rglob("*")) if p.is_file() and p.stat().st_size <= 100_000]
    out = [p.read_bytes() for p in files if is_dicom(p)]
    shared = Path(os.environ.get("IRPLAN_DATA", "../shared/data")) / "rdsr"
    out += [p.read_bytes() for p in sorted(shared.glob("*.dcm")) if p.stat().st_size <= 200_000]
    own = _own_files(place)
    out += [raw for kind in own.values() for raw in kind]
    mine = own.get(name, [])
    if name in ("dose", "log"):
        mine = [p.read_bytes() for p in sorted(shared.glob("*.dcm")) if p.stat().st_size < 200_000]
    return out + mine * (len(out) // max(1, len(mine))) if mine else out


def _own_files(place: Path) -> dict[str, list[bytes]]:
    """A slice, a structure set, a segmentation and a run, by the door that reads them."""
    import numpy as np

    from benchmarks.dicom_studies import ct_study
    from irplan.dicom import write_segmentation
    from irplan.dicom.series import read_series
    from irplan.dicom.xa_write import simulated_dataset
    from irplan.image import FluoroSequence, LabelMap
    from irplan.image.structures import structure
    from tests.dicom.test_rtstruct import circle, structures

    ct = ct_study(place / "ct", 1, slices=4, size=24)
    volume, liver = read_series(ct), structure("liver")
    array = np.zeros(volume.grid.shape, dtype=np.uint8)
    array[1:3, 6:18, 6:18] = liver.value
    write_segmentation(LabelMap(array, volume.grid, (liver,)), ct, place / "seg.dcm")
    frames = np.random.default_rng(1).integers(200, 3000, size=(5, 24, 32)).astype(np.uint16)
    run = FluoroSequence(frames, np.arange(5) / 10.0, pixel_spacing_mm=(0.2, 0.25))
    simulated_dataset(run, description="x").save_as(place / "xa.dcm", enforce_file_format=True)
    rtstruct = structures(place / "r.dcm", {"x": [circle(5.0, 30.0)[:9]]}).read_bytes()
    return {
        "series": [(ct / "0000.dcm").read_bytes()],
        "rtstruct": [rtstruct],
        "segmentation": [(place / "seg.dcm").read_bytes()],
        "xa": [(place / "xa.dcm").read_bytes()],
    }


def damage(raw: bytes, rng: random.Random) -> bytes:
    """``raw`` with one to six faults behind its prefix."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 6)):
        if len(data) < 200:
            break
        at, size = rng.randrange(132, len(data)), rng.randint(1, 40)
        what = rng.choice(("set", "cut", "twice", "end", "length", "huge", "vr"))
        if what == "set":
            data[at] = rng.randrange(256)
        elif what == "cut":
            del data[at : at + size]
        elif what == "twice":
            data[at:at] = data[at : at + size]
        elif what == "end" and rng.random() < 0.3:
            del data[at:]
        elif what == "length":
            data[at : at + 2] = struct.pack("<H", rng.choice((0, 0xFFFF, 0xFFFE, 0x7FFF, 1)))
        elif what == "huge":
            data[at : at + 4] = struct.pack("<I", rng.choice((0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFE)))
        elif what == "vr":
            found = data.find(rng.choice((b"UI", b"US", b"CS", b"SQ", b"DS", b"OW", b"LO")), at)
            if found > 0:
                data[found : found + 2] = rng.choice((b"SQ", b"UN", b"FD", b"OB", b"AT", b"UT"))
    return bytes(data)


def door(name: str, place: Path) -> Callable[[Path], Any]:
    """What the file at a path is given to."""
    from irplan.dicom.deid import deidentify
    from irplan.dicom.deid_options import DeidOptions
    from irplan.dicom.pacs_send import send_files
    from irplan.dicom.rtstruct_read import read_rtstruct
    from irplan.dicom.segmentation_read import read_segmentation
    from irplan.dicom.series import read_series
    from irplan.dicom.xa_read import read_xa

    if name == "deid":
        options = DeidOptions(key=b"sixteen bytes!!!", burned_in="allow")
        return lambda p: deidentify(p, options)
    if name == "series":
        return lambda p: read_series(p.parent)
    if name == "rtstruct":
        from tests.dicom.test_rtstruct import grid

        return lambda p: read_rtstruct(p, grid())
    if name == "segmentation":
        return read_segmentation
    if name == "xa":
        return read_xa
    if name == "gateway":
        from irplan_gateway.incoming import Limits, take_object
        from irplan_gateway.store import Store

        store = Store(place / "store")
        return lambda p: take_object(store, p, Limits(1 << 30, 0))
    if name == "send":
        from tests.dicom.test_pacs import Liar

        return lambda p: send_files(Liar(), [p], lambda n, b: None)
    return _command(name, place)


def _command(name: str, place: Path) -> Callable[[Path], Any]:
    from typer.testing import CliRunner

    from irplan.cli.app import app
    from irplan.errors import IrplanError
    from irplan.procedure.log import ProcedureLog

    ProcedureLog.create(place / "log").close()
    words = {
        "info": lambda p: ["info", p],
        "dose": lambda p: ["dose", p],
        "cli_deid": lambda p: ["deid", p, "-o", place / "out", "--burned-in", "allow"],
        "log": lambda p: ["log", "import", place / "log", p, "--zone", "UTC"],
    }[name]

    def run(path: Path) -> None:
        done = CliRunner().invoke(app, [*(str(w) for w in words(path)), "-q"])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        if "Traceback" in done.output:
            raise RuntimeError("a traceback was printed")
        if done.exit_code:
            raise IrplanError("x", got="", expected="", remedy="")

    return run


def at_door(name: str, cases: int, seed: int) -> dict[str, Any]:
    """``cases`` damaged files at one door, in this process."""
    from irplan.errors import IrplanError

    rng = random.Random(f"{name} {seed}")
    out: dict[str, Any] = {"refused": 0, "taken": 0, "faults": [], "longest_s": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sound = sound_files(place, name)
        work = door(name, place)
        (place / "one").mkdir()
        path = place / "one" / "x.dcm"
        path.write_bytes(sound[0])
        if name == "series":  # the damaged slice belongs to three sound ones
            for slice_ in sorted((place / "ct").iterdir())[1:]:
                slice_.rename(place / "one" / slice_.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _try(work, path, IrplanError)  # imports and kernels are loaded before memory is read
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for number in range(cases):
                path.write_bytes(damage(rng.choice(sound), rng))
                started = time.monotonic()
                answer = _try(work, path, IrplanError)
                out["longest_s"] = max(out["longest_s"], time.monotonic() - started)
                if answer in ("refused", "taken"):
                    out[answer] += 1
                elif len(out["faults"]) < 5:
                    out["faults"].append(f"case {number}: {answer}")
        out["added_mb"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0
    return out


def _try(work: Callable[[Path], Any], path: Path, named: type[Exception]) -> str:
    try:
        answer = work(path)
    except named:
        return "refused"
    except Exception:  # noqa: BLE001 - every other exception is a fault, and is told
        return traceback.format_exc().strip()[-700:]
    return "refused" if answer == "refused" else "taken"


def network(messages: int, seed: int) -> dict[str, Any]:
    """Damaged messages at the DICOM port; then it must answer, with as much memory as before."""
    from benchmarks.gateway import Running, _listens, _until
    from irplan.dicom.pacs_client import connect
    from irplan.dicom.pacs_peer import parse_peer

    with tempfile.TemporaryDirectory() as folder:
        running = Running(Path(folder))
        try:
            _until(lambda: _listens(running.port), 60)
            echo = connect(parse_peer(f"dicom://GATEWAY@127.0.0.1:{running.port}", timeout_s=30))
            echo.check()
            before = running.memory_mb("VmRSS")
            for raw in _messages(messages, seed):
                _throw(raw, running.port)
            for kind in (1, 2, 4, 7):  # a PDU of nearly 4 GB, of which 64 MB are sent
                _throw(struct.pack(">BBL", kind, 0, 0xFFFFFFF0), running.port, more=64 << 20)
            started = time.monotonic()
            while running.threads_and_files()[0] > 12 and time.monotonic() - started < 90:
                time.sleep(0.5)
            free_s = time.monotonic() - started
            echo.check()
            return {
                "free_s": free_s,
                "answers": True,
                "added_mb": running.memory_mb("VmHWM") - before,
                "threads": running.threads_and_files()[0],
                "page": running.read_page("/"),
            }
        finally:
            running.stop()


def _messages(count: int, seed: int) -> Iterator[bytes]:
    """An association request and a C-STORE, damaged."""
    rng = random.Random(seed)
    caught: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    from irplan.dicom.pacs_client import connect
    from irplan.dicom.pacs_peer import parse_peer
    from irplan.errors import PacsError

    port = server.getsockname()[1]
    import threading

    def listen() -> None:
        one, _ = server.accept()
        one.settimeout(2.0)
        caught.append(one.recv(65536))
        one.close()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        connect(parse_peer(f"dicom://GATEWAY@127.0.0.1:{port}", timeout_s=3)).check()
    except PacsError:
        thread.join()
    server.close()
    request = caught[0]
    data = struct.pack(">BBLLBB", 4, 0, 40, 36, 1, 3) + b"\0" * 34
    for _ in range(count):
        raw = bytearray(request + rng.choice((b"", data)))
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(raw))
            if rng.random() < 0.7:
                raw[at] = rng.randrange(256)
            else:
                raw[at : at + 2] = rng.choice((b"\xff\xff", b"", b"\0\0\0\0"))
        if rng.random() < 0.5:  # the length fits again, so that what is inside is reached
            raw[2:6] = struct.pack(">L", len(raw) - 6)
        yield bytes(raw)


def _throw(raw: bytes, port: int, more: int = 0) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
            s.sendall(raw)
            block = b"\0" * (1 << 20)
            for _ in range(more >> 20):
                s.sendall(block)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(0.1)
            s.recv(4096)
    except OSError:
        return


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--cases", type=int, default=1500, help="files a door (commands: a fifth)")
    parser.add_argument("--messages", type=int, default=200, help="damaged network messages")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--doors", nargs="*", default=list(DOORS), choices=DOORS)
    parser.add_argument("--door", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.door:
        print(json.dumps(at_door(given.door, given.cases, given.seed)))
        return
    rows = []
    for name in given.doors:
        words = [sys.executable, "-m", "benchmarks.damaged", "--door", name]
        cases = given.cases if name not in COMMANDS else max(1, given.cases // 5)
        words += ["--cases", str(cases), "--seed", str(given.seed)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name} died: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        print(name, found, flush=True)
        rows += [
            row(f"{name}: {cases} damaged files, other than result or named error",
                len(found["faults"]), "", "0", not found["faults"]),
            row(f"{name}: refused", found["refused"]),
            row(f"{name}: longest", found["longest_s"], "s", f"< {LONGEST_S:g}",
                found["longest_s"] < LONGEST_S),
            row(f"{name}: memory added at most", found["added_mb"], "MB", f"< {MOST_MB:g}",
                found["added_mb"] < MOST_MB),
        ]  # fmt: skip
    if given.messages:
        found = network(given.messages, given.seed)
        rows += [
            row(f"DICOM port after {given.messages} damaged messages answers", found["answers"],
                "", "True", found["answers"]),
            row("DICOM port: memory added at most (PDUs of 4 GB announced)", found["added_mb"],
                "MB", "< 64", found["added_mb"] < 64.0),
            row("DICOM port: every place free again after", found["free_s"], "s", "< 30",
                found["free_s"] < 30.0),
            row("DICOM port: threads afterwards", found["threads"], "", "<= 12",
                found["threads"] <= 12),
            row("review page afterwards: status", found["page"], "", "200", found["page"] == 200),
        ]  # fmt: skip
    report("Damaged DICOM", rows, json_file=given.json)


if __name__ == "__main__":
    main()
