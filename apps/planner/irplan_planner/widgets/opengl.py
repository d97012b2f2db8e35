"""Whether this machine can draw in three dimensions, asked of a process that may crash."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

#: What VTK needs on a bare Debian or Ubuntu.
INSTALL_HINT: Final = "On Debian or Ubuntu: apt-get install libgl1 libegl1 libopengl0"
_TIMEOUT_S = 40.0
_PROBE: Final = """
import vtkmodules.vtkRenderingOpenGL2
from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkRenderer
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(16, 16)
window.AddRenderer(vtkRenderer())
window.Render()
ok = window.SupportsOpenGL()
name = [l for l in window.ReportCapabilities().splitlines() if "renderer string" in l.lower()]
print("renderer:", name[0].split(":", 1)[1].strip() if name else "unknown")
raise SystemExit(0 if ok else 3)
"""


def opengl_trouble() -> str:
    """Why nothing can be drawn in 3-D, with what to install; empty where it can."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROBE], capture_output=True, text=True,
            timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"OpenGL does not answer. {INSTALL_HINT}."
    except OSError as error:
        return f"OpenGL could not be tried ({(error.strerror or 'no process').lower()})."
    if done.returncode == 0:
        return ""
    what = "crashes" if done.returncode < 0 else "is missing or too old"
    return f"OpenGL {what}. {INSTALL_HINT}; all other views work without it."
