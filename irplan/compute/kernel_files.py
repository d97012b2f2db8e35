"""Where the CUDA C sources are, in a checkout and in an installed wheel."""

from __future__ import annotations

import re
from pathlib import Path

from irplan.errors import BackendError

_PACKAGE = Path(__file__).resolve().parents[1]
#: First line of the folder's README: beside an installed package another "kernels" may lie.
_TITLE = "# CUDA kernels"
_INCLUDE = re.compile(r'^#include "([\w.]+)"$', re.MULTILINE)


def kernel_directory() -> Path:
    """The folder of ``*.cu`` files: ``kernels/`` of the checkout, else the one in the wheel."""
    for folder in (_PACKAGE.parent / "kernels", _PACKAGE / "_kernels"):
        readme = folder / "README.md"
        if readme.is_file() and readme.read_text(encoding="utf-8").startswith(_TITLE):
            return folder
    raise BackendError(
        "kernels",
        got="no kernel folder in this installation",
        expected="kernels/ beside irplan/ (checkout) or irplan/_kernels (wheel)",
        remedy="Reinstall irplan; the wheel carries its CUDA sources.",
    )


def kernel_source(name: str) -> str:
    """CUDA C source of ``name`` (without ``.cu``), with what it includes from this folder.

    `BackendError` lists what exists where there is no such file.
    """
    folder = kernel_directory()
    path = folder / f"{name}.cu"
    if not path.is_file():
        names = sorted(p.stem for p in folder.glob("*.cu"))
        raise BackendError(
            "kernel name",
            got=repr(name),
            expected="one of " + (", ".join(names) if names else "(there is no CUDA kernel yet)"),
            remedy="Use one of these names.",
        )
    text = path.read_text(encoding="utf-8")
    for header in _INCLUDE.findall(text):
        own = (folder / header).read_text(encoding="utf-8")
        text = text.replace(f'#include "{header}"', own)
    return text
