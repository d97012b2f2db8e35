"""Every code block of README and docs: Python runs, TOML parses, commands exist as written."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from irplan.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    p
    for p in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "examples/README.md"]
    if "_build" not in p.parts and "generated" not in p.parts
)
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
#: Words that may begin a line of a shell block besides irplan's own commands.
_OTHERS = {
    "python", "python3", "pip", "cd", "dask", "CUDA_VISIBLE_DEVICES=0", ".venv/bin/pip", "apt-get",
    "git", "pytest", ".ci/run", "xvfb-run", "curl", "sudo", "dciodvfy", "storescu", "Orthanc",
    ".venv/bin/pytest", ".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/lint-imports",
}  # fmt: skip


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(kind: str) -> list[pytest.param]:  # type: ignore[valid-type]
    out = []
    for page in PAGES:
        text = _text(page)
        for match in _FENCE.finditer(text):
            if match[1] in ({"": {"", "bash", "sh", "console"}}.get(kind) or {kind}):
                name = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
                out.append(pytest.param(match[2], id=name))
    return out


def irplan_calls(block: str) -> list[list[str]]:
    """Arguments of every call of irplan in a shell block."""
    calls = []
    for line in block.replace("\\\n", " ").splitlines():
        text = line.strip().removeprefix("$ ")
        lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
        part: list[str] = []
        for word in [*words, "&&"]:
            if set(word) <= set("&|;<>"):
                if part and Path(part[0]).name == "irplan":
                    calls.append(part[1:])
                part = []
            else:
                part.append(word)
    return calls


@pytest.mark.parametrize("block", blocks(""))
def test_commands_are_as_written(block: str) -> None:
    root = typer.main.get_command(app)
    for words in irplan_calls(block):
        command, name, rest = root, "irplan", list(words)
        if not rest or rest[-1] in ("--help", "-h", "--version", "..."):
            continue
        while hasattr(command, "commands"):
            found = command.commands.get(rest[0]) if rest else None
            assert found is not None, f"no command '{rest[:1]}' in irplan {' '.join(words)}"
            command, name, rest = found, f"{name} {rest[0]}", rest[1:]
        try:
            command.make_context(name, rest)
        except Exception as error:
            raise AssertionError(f"irplan {' '.join(words)}: {error}") from error


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_parses(block: str) -> None:
    tomllib.loads(block)


@pytest.fixture(scope="module")
def whole_chain() -> dict[str, Any]:
    """Names that the README's first Python block makes (patient, target, abdomen, case)."""
    first = next(m[2] for m in _FENCE.finditer(_text(ROOT / "README.md")) if m[1] == "python")
    names: dict[str, Any] = {"__name__": "documentation"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(first, "<README>", "exec"), names)
    return names


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(
    block: str, whole_chain: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of its own with the examples beside it, after the README's first block."""
    if block.startswith("from irplan.phantom import TumourSpec, abdominal_ct\n"):
        assert whole_chain["case"].evaluation.minimal_margin_mm > 0
        return
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    code = compile(block, "<documentation>", "exec")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, dict(whole_chain))
