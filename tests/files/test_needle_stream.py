"""Planned needles to an independent client (pyigtl), tracked needles in, peers that misbehave."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pyigtl
import pytest

from irplan.errors import InputError, MissingExtraError
from irplan.files.needle_stream import NeedleStream, StreamError, needle_pose
from irplan.geometry import Needle
from irplan.guidance.live import LiveCheck, needle_from_transform
from irplan.planning.case import PlannedCase


def _until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_a_client_gets_every_needle(case: PlannedCase) -> None:
    with NeedleStream(case.plan, port=0) as stream:
        assert stream.address[0] == "127.0.0.1"
        client = pyigtl.OpenIGTLinkClient(*stream.address)
        try:
            for number, placement in enumerate(case.plan.placements, start=1):
                message = client.wait_for_message(f"Needle{number}", timeout=5)
                tip = np.array(placement.needle.tip_mm) * (-1, -1, 1)  # RAS, as Slicer takes it
                assert message.matrix[:3, 3] == pytest.approx(tip, abs=1e-3)
                way = placement.needle.direction * (-1, -1, 1)
                assert message.matrix[:3, 2] == pytest.approx(way, abs=1e-6)
                assert np.linalg.det(message.matrix[:3, :3]) == pytest.approx(1.0, abs=1e-5)
            points = client.wait_for_message("PlannedNeedles", timeout=5)
            assert points.names[:2] == ["needle 1 entry", "needle 1 tip"]
            entry = np.array(case.plan.placements[0].needle.entry_mm) * (-1, -1, 1)
            assert points.positions[0] == pytest.approx(entry, abs=1e-3)
            status = json.loads(client.wait_for_message("PlanStatus", timeout=5).string)
            assert status["review"] == case.plan.review.state
            assert status["use"] == "research only"
        finally:
            client.stop()


def test_a_named_stream_is_picked_and_read(case: PlannedCase) -> None:
    needle = case.plan.placements[0].needle
    off = Needle(
        tuple(np.add(needle.tip_mm, -30.0 * needle.direction)), needle.entry_mm
    )  # 30 mm short, on the path
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    with NeedleStream(case.plan, port=0) as stream:
        client = pyigtl.OpenIGTLinkClient(*stream.address)
        try:
            client.wait_for_message("Needle1", timeout=5)
            for name, pose in (("Stylus", np.eye(4)), ("NeedleA", flip @ needle_pose(off))):
                client.send_message(pyigtl.TransformMessage(pose, device_name=name), wait=True)
            client.send_message(pyigtl.StringMessage("hello", device_name="Note"), wait=True)
            got = stream.wait_for("NeedleA", timeout_s=5)
            _until(lambda: "Stylus" in stream.streams)
            assert stream.streams == ("NeedleA", "Stylus")
            reading = LiveCheck(needle).read(*needle_from_transform(got.pose))
            assert reading.depth_to_go_mm == pytest.approx(30.0, abs=1e-3)
            assert reading.lateral_mm == pytest.approx(0.0, abs=1e-3)
            with pytest.raises(StreamError, match="NeedleA, Stylus"):
                stream.wait_for("NeedleB", timeout_s=0.05)
        finally:
            client.stop()


def test_a_peer_that_hangs_up_or_talks_nonsense_leaves_the_others(case: PlannedCase) -> None:
    with NeedleStream(case.plan, port=0) as stream:
        client = pyigtl.OpenIGTLinkClient(*stream.address)
        try:
            client.wait_for_message("Needle1", timeout=5)
            gone = socket.create_connection(stream.address)
            _until(lambda: stream.peers == 2)
            gone.close()
            _until(lambda: stream.peers == 1)
            half = socket.create_connection(stream.address)
            half.sendall(b"\0\1TRANSFORM")  # breaks off in the header
            half.close()
            huge = socket.create_connection(stream.address)
            huge.sendall(
                b"\0\1" + b"TRANSFORM".ljust(12, b"\0") + b"X".ljust(20, b"\0") + b"\xff" * 24
            )
            _until(lambda: any("announced" in why for why in stream.dropped))
            short = pyigtl.TransformMessage(np.eye(4), device_name="Short").pack()
            short = short[:42] + (8).to_bytes(8, "big") + short[50:66]  # a body of 8 bytes
            wrong = socket.create_connection(stream.address)
            wrong.sendall(short)
            _until(lambda: any("no OpenIGTLink" in why for why in stream.dropped))
            _until(lambda: stream.peers == 1)
            # Whether its end or a refused message is met first is the system's choice.
            assert len(stream.dropped) == 4
            assert stream.send_plan() == 1  # the good one still listens
            assert client.wait_for_message("Needle1", timeout=5) is not None
            for s in (huge, wrong):
                s.close()
        finally:
            client.stop()


def test_it_can_be_closed_while_a_peer_is_being_welcomed(
    case: PlannedCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    welcomed = threading.Event()

    def slow(stream: NeedleStream, peer: socket.socket) -> bool:
        welcomed.set()
        return not stream._stop.wait(5.0)

    monkeypatch.setattr(NeedleStream, "_send", slow)
    stream = NeedleStream(case.plan, port=0)
    with socket.create_connection(stream.address, timeout=5.0):
        assert welcomed.wait(5.0)
        stream.close()
    assert stream.peers == 0


def test_it_connects_to_a_server_and_comes_back_after_it_hung_up(case: PlannedCase) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)
    host, port = server.getsockname()
    with NeedleStream(case.plan, host=host, port=port, connect=True) as stream:
        first, _ = server.accept()
        assert len(first.recv(58)) > 0
        first.close()
        second, _ = server.accept()
        pose = pyigtl.TransformMessage(np.eye(4), device_name="Back").pack()
        second.sendall(pose)
        assert stream.wait_for("Back", timeout_s=5).pose[:3, 3].tolist() == [0, 0, 0]
        second.close()
    server.close()


def test_a_taken_port_and_a_missing_extra_are_named(
    case: PlannedCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with NeedleStream(case.plan, port=0) as stream, pytest.raises(StreamError, match="port"):
        NeedleStream(case.plan, port=stream.address[1])
    with pytest.raises(InputError, match="port"):
        NeedleStream(case.plan, port=70000)
    monkeypatch.setitem(sys.modules, "pyigtl.messages", None)
    with pytest.raises(MissingExtraError, match="igtl"):
        NeedleStream(case.plan, port=0)
