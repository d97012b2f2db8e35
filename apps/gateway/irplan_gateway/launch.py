"""``python -m irplan_gateway.launch MB CMD...``: CMD with limits, ended when the gateway ends.

Run as a program between the gateway and a plug-in: it limits memory, file size and core dumps,
asks the kernel (Linux) to end it with its parent, and then becomes the command.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_FILE_BYTES = 16 << 30


def main() -> None:
    """Set the limits and become the command; exit code 127 where it cannot be started."""
    memory = int(sys.argv[1]) << 20
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            sys.exit(126)  # the gateway ended before this line
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError:
        sys.exit(127)


if __name__ == "__main__":
    main()
