"""A site for the tests: its configuration, and studies to send to it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.dicom.conftest import SyntheticSeries
from tests.dicom.orthanc import free_port

PLUGINS = Path(__file__).with_name("plugins.py")


def plugin(name: str, kind: str | None = None, **more: object) -> str:
    """A [[plugin]] that runs ``kind`` of plugins.py."""
    words = [sys.executable, str(PLUGINS), kind or name, "{input}", "{output}"]
    lines = [f'name = "{name}"', 'kind = "outside"', f"command = {words!r}".replace("'", '"')]
    lines += [f"{k} = {v}" for k, v in more.items()]
    return "[[plugin]]\n" + "\n".join(lines) + "\n"


def site(folder: Path, *plugins: str, run: list[str], more: str = "", rule: str = "") -> Path:
    """Write site.toml; node and page on free ports."""
    path = folder / "site.toml"
    names = str(run).replace("'", '"')
    path.write_text(
        f'store = "{folder / "store"}"\n'
        f'[node]\nae_title = "GATEWAY"\nport = {free_port()}\nmax_object_mb = 4\n'
        "[study]\nquiet_s = 0.5\nmin_free_mb = 1\n"
        "[page]\nport = 0\n"
        f"{more}\n"
        + "\n".join(plugins)
        + f'\n[[rule]]\nname = "CT"\nwhere = {{ modality = "CT" }}\nrun = {names}\n{rule}\n'
    )
    return path


def study(
    folder: Path, number: int = 0, *, slices: int = 3, size: int = 16, **tags: object
) -> Path:
    """A small CT study of a patient of its own."""

    def edit(index: int, data: object) -> None:
        data.PatientID = f"P{number:04d}"  # type: ignore[attr-defined]
        data.PatientName = f"Test^{number}"  # type: ignore[attr-defined]
        for keyword, value in tags.items():
            setattr(data, keyword, value)

    folder.mkdir(parents=True, exist_ok=True)
    SyntheticSeries(count=slices, rows=size, columns=size, edit=edit, seed=number).write(folder)
    return folder
