"""OpenIGTLink: planned needles out to a navigation program, tracked needles in by name.

pyigtl (the extra ``igtl``) packs and unpacks messages; the sockets are irplan's own, so that a
peer that hangs up, sends nonsense or does not read is dropped and the others go on.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError, IrplanError, MissingExtraError
from irplan.geometry import Needle
from irplan.planning.plan import AblationPlan

#: OpenIGTLink's usual port; servers listen on this machine alone unless told otherwise.
PORT, LOOPBACK = 18944, "127.0.0.1"
#: A longer message is no needle; the peer that announces one is dropped, bytes.
_LONGEST = 16 * 1024 * 1024
_HEADER = 58
#: A peer that reads nothing for so long is dropped, s.
_SEND_TIMEOUT_S = 2.0
_POLL_S = 0.05
#: LPS <-> RAS: x and y change sign.  The protocol fixes no system; 3D Slicer takes RAS.
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


class StreamError(IrplanError):
    """A stream cannot be opened, or brought nothing in time."""


@dataclass(frozen=True, eq=False)
class TrackedPose:
    """The newest pose of one stream: ``pose`` 4 x 4 to LPS mm, ``received_s`` monotonic time."""

    name: str
    pose: NDArray[np.float64]
    received_s: float


def needle_pose(needle: Needle) -> NDArray[np.float64]:
    """4 x 4 from the needle's own axes to LPS mm: origin the tip, +z the way it points on."""
    z = needle.direction
    x = np.cross(np.eye(3)[int(np.argmin(np.abs(z)))], z)
    x /= np.linalg.norm(x)
    out = np.eye(4)
    out[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    out[:3, 3] = needle.tip_mm
    return out


def planned_messages(plan: AblationPlan) -> tuple[Any, ...]:
    """The plan as messages, RAS mm: TRANSFORM ``Needle1`` ..., POINT ``PlannedNeedles`` (entry and
    tip of each by name), STRING ``PlanStatus`` (JSON: review state, frame of reference, research
    use).  Raises `MissingExtraError` without pyigtl.
    """
    igtl = _igtl()
    out = []
    points, names = [], []
    for number, placement in enumerate(plan.placements, start=1):
        pose = _FLIP @ needle_pose(placement.needle)
        out.append(igtl.TransformMessage(pose, device_name=f"Needle{number}"))
        for label, point in (
            ("entry", placement.needle.entry_mm),
            ("tip", placement.needle.tip_mm),
        ):
            points.append((-point[0], -point[1], point[2]))
            names.append(f"needle {number} {label}")
    out.append(igtl.PointMessage(points, names=names, device_name="PlannedNeedles"))
    state = {
        "review": plan.review.state,
        "frame_of_reference_uid": plan.frame_of_reference_uid,
        "coordinate_system": "RAS",
        "unit": "mm",
        "use": "research only",
    }
    out.append(igtl.StringMessage(json.dumps(state, sort_keys=True), device_name="PlanStatus"))
    return tuple(out)


class NeedleStream:
    """Sends the plan's needles to whoever connects, and keeps the newest pose of each stream.

    Parameters
    ----------
    plan : sent on connection and again by `send_plan`.
    host, port : where to listen (port 0: any free one; see `address`).  The default is this
        machine alone; another host opens the door to the network and is the caller's choice.
    connect : connect to a server there instead of listening; reconnects when it hangs up.

    Use as a context manager.  Raises `MissingExtraError` without pyigtl and `StreamError` where
    the port is taken or the host unknown (a server that is not there yet is waited for).
    """

    def __init__(
        self,
        plan: AblationPlan,
        *,
        host: str = LOOPBACK,
        port: int = PORT,
        connect: bool = False,
    ) -> None:
        if not 0 <= port <= 65535:
            raise InputError(
                "port", got=str(port), expected="0 to 65535", remedy="OpenIGTLink's is 18944."
            )
        self._messages = [m.pack() for m in planned_messages(plan)]
        self._lock = threading.Lock()
        self._poses: dict[str, TrackedPose] = {}
        self._peers: dict[socket.socket, threading.Thread] = {}
        self._stop = threading.Event()
        self.dropped: list[str] = []
        """Why peers were dropped, in words, oldest first (at most 100)."""
        self._server: socket.socket | None = None
        self.address: tuple[str, int] = (host, port)
        """Host and port that are listened on or connected to."""
        if connect:
            run = self._reconnect
        else:
            self._server = _listening(host, port)
            name = self._server.getsockname()
            self.address = (str(name[0]), int(name[1]))
            run = self._accept
        self._main = threading.Thread(target=run, daemon=True)
        self._main.start()

    def __enter__(self) -> NeedleStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everyone and end the threads."""
        self._stop.set()
        if self._server is not None:
            self._server.close()
        self._hang_up()
        self._main.join(timeout=2.0)
        # a peer that was being welcomed has its thread now
        for thread in self._hang_up():
            if thread.ident is not None:
                thread.join(timeout=2.0)

    def _hang_up(self) -> list[threading.Thread]:
        """End every connection; the threads that served them."""
        with self._lock:
            peers = list(self._peers.items())
        for peer, _ in peers:
            _shut(peer)
        return [thread for _, thread in peers]

    @property
    def peers(self) -> int:
        """How many are connected."""
        with self._lock:
            return len(self._peers)

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that brought a pose so far."""
        with self._lock:
            return tuple(sorted(self._poses))

    def send_plan(self) -> int:
        """Send the plan's messages to everyone connected; returns to how many it went."""
        with self._lock:
            peers = list(self._peers)
        return sum(self._send(peer) for peer in peers)

    def latest(self, name: str) -> TrackedPose | None:
        """The newest pose of the stream ``name``; None where it brought none yet."""
        with self._lock:
            return self._poses.get(name)

    def wait_for(self, name: str, *, timeout_s: float) -> TrackedPose:
        """`latest`, waited for; `StreamError` names the streams that did come."""
        end = time.monotonic() + timeout_s
        while True:
            pose = self.latest(name)
            if pose is not None:
                return pose
            if time.monotonic() >= end or self._stop.is_set():
                others = ", ".join(self.streams) or "no stream at all"
                raise StreamError(
                    f"stream '{name}'",
                    got=f"nothing in {timeout_s:g} s ({others}; {self.peers} connected)",
                    expected="TRANSFORM messages of that name",
                    remedy="Check the tool's name in the tracking program, host and port.",
                )
            time.sleep(_POLL_S)

    def _accept(self) -> None:
        assert self._server is not None
        while not self._stop.is_set():
            try:
                peer, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            self._serve(peer)

    def _reconnect(self) -> None:
        while not self._stop.is_set():
            try:
                peer = socket.create_connection(self.address, timeout=_SEND_TIMEOUT_S)
            except OSError:
                self._stop.wait(0.2)
                continue
            thread = self._serve(peer)
            while thread.is_alive() and not self._stop.is_set():
                thread.join(timeout=_POLL_S)

    def _serve(self, peer: socket.socket) -> threading.Thread:
        peer.settimeout(_SEND_TIMEOUT_S)
        thread = threading.Thread(target=self._listen, args=(peer,), daemon=True)
        with self._lock:
            self._peers[peer] = thread
        self._send(peer)
        thread.start()
        return thread

    def _send(self, peer: socket.socket) -> bool:
        try:
            for message in self._messages:
                peer.sendall(message)
        except OSError as error:
            self._drop(peer, f"it did not take a message ({error.strerror or 'too slow'})")
            return False
        return True

    def _listen(self, peer: socket.socket) -> None:
        igtl = _igtl()
        why = "it hung up"
        while not self._stop.is_set():
            try:
                header = _read(peer, _HEADER, self._stop)
                if header is None:
                    break
                fields = igtl.MessageBase.parse_header(header)
                size = int(fields["body_size"])
                if size > _LONGEST:
                    why = f"it announced a message of {size} bytes"
                    break
                body = _read(peer, size, self._stop)
                if body is None:
                    break
                if fields["message_type"] != "TRANSFORM":
                    continue
                message = igtl.TransformMessage()
                message.unpack(fields, body)
            except (struct.error, ValueError, UnicodeDecodeError, IndexError):
                why = "it sent something that is no OpenIGTLink message"
                break
            except OSError:
                break
            self._take(str(fields["device_name"]), np.asarray(message.matrix, dtype=np.float64))
        self._drop(peer, why)

    def _take(self, name: str, matrix: NDArray[np.float64]) -> None:
        pose = TrackedPose(name, _FLIP @ matrix, time.monotonic())
        with self._lock:
            self._poses[name] = pose

    def _drop(self, peer: socket.socket, why: str) -> None:
        with self._lock:
            known = self._peers.pop(peer, None) is not None
            if known and not self._stop.is_set():
                self.dropped = [*self.dropped, why][-100:]
        _shut(peer)


def _read(peer: socket.socket, size: int, stop: threading.Event) -> bytes | None:
    """Exactly ``size`` bytes; None when the peer hung up or it is time to stop."""
    parts, left = [], size
    while left:
        try:
            part = peer.recv(min(left, 65536))
        except TimeoutError:
            if stop.is_set():
                return None
            continue
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _shut(peer: socket.socket) -> None:
    with suppress(OSError):  # it may have gone already
        peer.shutdown(socket.SHUT_RDWR)
    peer.close()


def _listening(host: str, port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
        server.listen(8)
    except OSError as error:
        server.close()
        reason = (error.strerror or type(error).__name__).lower()
        raise StreamError(
            "host, port",
            got=f"{host}:{port}, which cannot be listened on ({reason})",
            expected="an address of this machine and a free port",
            remedy="Choose another port, or end the program that uses it.",
        ) from error
    server.settimeout(_POLL_S * 4)
    return server


def _igtl() -> Any:
    try:
        import pyigtl.messages as igtl
    except ImportError as error:
        raise MissingExtraError("OpenIGTLink", package="pyigtl", extra="igtl") from error
    return igtl
