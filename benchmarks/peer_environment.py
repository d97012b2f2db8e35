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

    For peers that are called in irplan's process; what both have is irplan's.  ``folder``: a
    virtual environment of the same Python, or a folder filled by ``pip install --target``.  One
    that is not there is told (its peers are then not installed); one that holds no packages of
    this Python ends the program.
    """
    if folder is None:
        return
    if not folder.exists():
        print(f"--env {folder}: not there; peers that are not installed here are left out")
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder.absolute() / "lib" / version / "site-packages"
    if not packages.is_dir() and not interpreter(folder).exists():
        packages = folder.absolute()
    if not packages.is_dir() or not any(packages.glob("*.dist-info")):
        sys.exit(
            f"--env {folder}: no packages of {version} in it; make it with "
            "python -m benchmarks --make-peers --env DIR"
        )
    if str(packages) not in sys.path:
        sys.path.append(str(packages))
