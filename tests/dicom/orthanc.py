"""A real Orthanc on loopback, in a folder of its own; killed and started again where asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ORTHANC = "/usr/sbin/Orthanc"
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def require(*programs: str) -> None:
    """Fail in CI, else report *not run*, where a system program is absent."""
    for program in programs:
        if shutil.which(program) is None and not Path(program).exists():
            if os.environ.get("CI"):
                pytest.fail(f"system program missing in CI: {program}")
            pytest.skip(f"not run: needs {program}")


class Orthanc:
    """``dicom`` and ``web`` are its addresses; ``ours`` the only AE title it knows."""

    def __init__(self, folder: Path, *, ours: str = "IRPLAN") -> None:
        require(ORTHANC, PLUGIN)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.http_port, self.dicom_port = free_port(), free_port()
        self.dicom = f"dicom://ORTHANC@127.0.0.1:{self.dicom_port}?calling={ours}"
        self.web = f"http://127.0.0.1:{self.http_port}/dicom-web"
        config = {
            "Name": "irplan test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [PLUGIN],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": False,
            "DicomAlwaysAllowEcho": False,
            "DicomCheckModalityHost": False,
            "DicomModalities": {
                "irplan": {
                    "AET": ours, "Host": "127.0.0.1", "Port": 1, "AllowEcho": True,
                    "AllowFind": True, "AllowGet": True, "AllowMove": True, "AllowStore": True,
                }
            },
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "OverwriteInstances": True,
            "HttpThreadsCount": 4,
            "StorageCompression": False,
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(config))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [ORTHANC, str(self.folder / "orthanc.json")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                pytest.fail("Orthanc ended at its start")
            try:
                self.rest("/system")
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        pytest.fail("Orthanc did not start in 60 s")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def rest(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as r:
            return bytes(r.read())

    def instances(self) -> list[str]:
        """SOP Instance UIDs, each as often as it is stored."""
        found = json.loads(self.rest("/instances?expand"))
        return sorted(i["MainDicomTags"]["SOPInstanceUID"] for i in found)

    def clear(self) -> None:
        for one in json.loads(self.rest("/patients")):
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.http_port}/patients/{one}", method="DELETE"
            )
            urllib.request.urlopen(request, timeout=10).close()
