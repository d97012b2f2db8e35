"""An OpenIGTLink stream written into the log: transforms as they change, and texts."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from irplan.errors import InputError, MissingExtraError
from irplan.procedure.events import NewEvent, Source
from irplan.procedure.log import ProcedureLog

#: A transform is written when it has moved by this much since it was last written, mm.
MOVED_MM = 0.5
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def listen(
    log: ProcedureLog,
    host: str,
    port: int,
    *,
    seconds: float,
    moved_mm: float = MOVED_MM,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Write what an OpenIGTLink server sends for ``seconds``; the number of events written.

    Transforms are taken as RAS, as the protocol's users have them, and kept in LPS mm; one is
    written when any of its elements has changed by ``moved_mm`` (an angle: by as much at 100 mm).
    Raises `MissingExtraError` without the extra "igtl", `InputError` where nobody answers.
    """
    try:
        import pyigtl
    except ImportError as error:
        raise MissingExtraError("OpenIGTLink", package="pyigtl", extra="igtl") from error

    _require_answer(host, port, min(seconds, 5.0))
    client = pyigtl.OpenIGTLinkClient(host, port)
    last: dict[str, Any] = {}
    written = 0
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until and not stop():
            new: list[NewEvent] = []
            for message in client.get_latest_messages():
                event = _event(message, last, moved_mm, f"{host}:{port}")
                new += [] if event is None else [event]
            written += len(log.append_many(new))
            time.sleep(0.02)
    finally:
        client.stop()
    return written


def _require_answer(host: str, port: int, seconds: float) -> None:
    """Ask once by ourselves: pyigtl's client would go on trying, and say nothing."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        raise InputError(
            "OpenIGTLink server",
            got=f"no answer from {host}:{port} ({(error.strerror or str(error)).lower()})",
            expected="a running server",
            remedy="Start it, or check host and port.",
        ) from error


def _event(message: Any, last: dict[str, Any], moved_mm: float, peer: str) -> NewEvent | None:
    kind = str(message.message_type)
    name = _clean(message.device_name) or "unnamed"
    data: dict[str, Any] = {"device": name, "type": kind}
    if kind == "TRANSFORM":
        matrix = np.asarray(message.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            return None
        matrix = _RAS_TO_LPS @ matrix @ _RAS_TO_LPS
        before = last.get(name)
        if before is not None and _change_mm(before, matrix) < moved_mm:
            return None
        last[name] = matrix
        data["matrix"] = [float(v) for v in matrix.ravel()]
    elif kind == "STRING":
        data["text"] = _clean(message.string)
    else:
        return None
    if data.get("text") == "":
        return None
    return NewEvent("stream", data, Source("stream", who=peer))


def _change_mm(a: Any, b: Any) -> float:
    return float(
        max(np.abs(a[:3, 3] - b[:3, 3]).max(), 100.0 * np.abs(a[:3, :3] - b[:3, :3]).max())
    )


def _clean(text: Any) -> str:
    """What came over the wire without control characters, cut to a line."""
    words = "".join(c if c.isprintable() else " " for c in str(text))
    return words.encode("utf-8", "ignore").decode("utf-8").strip()[:500]
