"""The environment that the peers from PyPI live in, apart from irplan's.

Made by ``python -m benchmarks --make-peers`` (network or a local index needed) from
benchmarks/peers-requirements.txt; none of its packages is a dependency of irplan.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().with_name("peers-requirements.txt")


def make_environment(folder: Path) -> None:
    """A virtual environment with the pinned peers."""
    venv.create(folder, with_pip=True)
    pip = [str(interpreter(folder)), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)]
    subprocess.run(pip, check=True)


def interpreter(folder: Path) -> Path:
    """The Python of an environment."""
    return folder.absolute() / "bin" / "python"


def lend_packages(folder: Path | None) -> None:
    """Let this process import from the environment what its own does not have.

    For peers that are called in irplan's process; what both have is irplan's.  Only where both run
    the same Python.
    """
    if folder is None or not interpreter(folder).exists():
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder.absolute() / "lib" / version / "site-packages"
    if packages.is_dir() and str(packages) not in sys.path:
        sys.path.append(str(packages))
