"""A headless Chromium, spoken to over its DevTools pipe (no driver, no port)."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.dicom.orthanc import require

CHROMIUM = "/usr/bin/chromium"


class Chromium:
    """One page of a browser of its own."""

    def __init__(self, folder: Path, *, width: int = 1180, height: int = 900) -> None:
        require(CHROMIUM)
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        words = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={folder}",
            f"--window-size={width},{height}", "--hide-scrollbars", "--disable-extensions",
            "--disable-background-networking", "about:blank",
        ]  # fmt: skip

        # Chromium talks on 3 and 4.  The shell puts the pipes there: doing it between fork and exec
        # would overwrite what Popen itself has open under these numbers.
        # First to numbers above all of ours, lest one pipe sits where the other must go.
        put = f'exec 60<&{to_child} 61>&{from_child}; exec 3<&60 4>&61; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", put, "bash", *words],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self._ids = itertools.count(1)
        self._buffer = b""
        self.dialogs: list[str] = []
        self.requests: list[str] = []
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(t for t in targets if t["type"] == "page")
        self._session: str | None = self._call(
            "Target.attachToTarget", targetId=page["targetId"], flatten=True
        )["sessionId"]
        self.call("Page.enable")
        self.call("Network.enable")

    _session: str | None = None

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._call(method, self._session, **params)

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self._notice(answer)

    def _notice(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Page.javascriptDialogOpening":
            self.dialogs.append(event["params"]["message"])
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])

    def _next(self, timeout_s: float = 60.0) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], timeout_s)
            assert ready, "Chromium gave no answer"
            part = os.read(self._read, 1 << 16)
            assert part, "Chromium ended"
            self._buffer += part
        one, _, self._buffer = self._buffer.partition(b"\0")
        out: dict[str, Any] = json.loads(one)
        return out

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait(self, script: str, seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                if self.run(script):
                    return
            except AssertionError:
                pass  # the page is changing under the question
            assert time.monotonic() < until, script
            time.sleep(0.05)

    def picture(self, path: Path) -> None:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
