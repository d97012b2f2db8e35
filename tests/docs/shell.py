"""Shell blocks of the pages, command by command, in a folder that holds what they name."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from irplan.cli.app import app

#: Commands of irplan that take about a second on the phantom: part of every test run.
CHEAP = {
    "info", "applicators", "tissue", "compare-plans", "log", "report", "review", "dose",
    "deid", "export", "simulate --example",
}  # fmt: skip
#: Programs of every system that pages use.
SHELL = {"head"}
#: What is not run here at all, and where it is: key begins the command.
ELSEWHERE = {
    "python3 -m venv": ".ci/run (an environment, and every test in it)",
    "pip install": ".ci/run and .ci/wheel",
    "pytest ": ".ci/run",
    "dask ": "tests/studies/test_cluster.py starts scheduler and workers like this",
    "irplan study study.toml --scheduler": "tests/studies/test_cluster.py",
    "python docs/build.py": ".ci/run",
    "python -m benchmarks": "python -m benchmarks itself; minutes to hours",
    "irplan demo": ".ci/wheel, tests/case/test_demo.py",
    "irplan segment ct/ --model totalsegmentator": "another program; tests/case/"
    "test_total_segmentator.py runs the command with a stand-in",
    "irplan gateway": "a server; tests/gateway",
    "irplan gui": "a window; tests/docs runs it with docs_slow",
    "irplan pacs": "a PACS; tests/docs runs it with docs_slow",
    "irplan export case1 --to igtl": "a server; tests/docs runs it with docs_slow",
    "irplan dose report.dcm --skin": "another environment; IRPLAN_DOCS_QA with docs_slow",
    "irplan fluoro phantom": "another environment; IRPLAN_DOCS_QA with docs_slow",
}


@dataclass(frozen=True)
class Step:
    """One command: its words, and the file that its output goes to."""

    words: tuple[str, ...]
    to: str | None = None

    @property
    def text(self) -> str:
        """As one would type it."""
        return " ".join(self.words) + (f" > {self.to}" if self.to else "")

    @property
    def makes(self) -> set[str]:
        """Files and folders that it makes."""
        pairs = zip(self.words, self.words[1:], strict=False)
        out = {b.rstrip("/") for a, b in pairs if a in ("-o", "--out")}
        return out | ({self.to} if self.to else set())

    @property
    def uses(self) -> set[str]:
        """Files and folders that it names, as far as their first part."""
        return {w.split("/")[0] for w in self.words[1:]} | set(self.words[1:])

    @property
    def elsewhere(self) -> str | None:
        """Where it is run, if not here."""
        start = re.sub(r"^\.venv[-a-z]*/bin/", "", self.text)
        return next((why for key, why in ELSEWHERE.items() if start.startswith(key)), None)

    @property
    def cheap(self) -> bool:
        """Whether every test run can afford it."""
        return self.words[0] in SHELL or any(self.text.startswith(f"irplan {c} ") for c in CHEAP)


def steps(block: str) -> Iterator[Step]:
    """The commands of a shell block in their order; comments and ``\\`` at line ends are read."""
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        part: list[str] = []
        to: str | None = None
        words = [*lexer, "&&"]
        for n, word in enumerate(words):
            if word == ">":
                to = words[n + 1]
            elif set(word) <= set("&|;"):
                if part:
                    yield Step(tuple(part), to)
                part, to = [], None
            elif n == 0 or words[n - 1] != ">":
                part.append(word)


def globbed(words: tuple[str, ...]) -> list[str]:
    """Words with ``*`` as the shell would give them, in the present folder."""
    out: list[str] = []
    for word in words:
        found = sorted(str(p) for p in Path().glob(word)) if word.startswith("*") else []
        out += found or [word]
    return out


def run(step: Step) -> tuple[int, str]:
    """Exit code and output of a command in the present folder; irplan's in this process."""
    if step.words[0] != "irplan":
        assert step.words[0] in SHELL, f"who runs {step.text!r}? (tests/docs/shell.py)"
        done = subprocess.run(["sh", "-c", step.text], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    out, err = io.StringIO(), io.StringIO()
    arguments = globbed(step.words[1:])
    code, path = 0, list(sys.path)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            typer.main.get_command(app).main(arguments, prog_name="irplan")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.path[:] = path
    if step.to is not None:
        Path(step.to).write_text(out.getvalue(), encoding="utf-8")
    return code, out.getvalue() + err.getvalue()
