"""What every command shares: progress on stderr, errors in words, exit codes, JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import typer

from irplan import errors
from irplan.cli import interrupts
from irplan.compute.progress import Progress, no_progress

EXIT_INPUT = 2
EXIT_NO_PLAN = 3
EXIT_OUTPUT = 4
EXIT_MISSING = 5
EXIT_CANCELLED = interrupts.EXIT_CANCELLED
#: Without a terminal: how often a stage that goes on tells where it is, s.
_EVERY_S = 20.0

QUIET = typer.Option(False, "--quiet", "-q", help="No progress; only errors and --json.")
JSON = typer.Option(False, "--json", help="Print the result (or the error) as JSON on stdout.")


@dataclass(frozen=True)
class Console:
    """How this run talks to its user."""

    quiet: bool
    as_json: bool

    def say(self, text: str) -> None:
        """A line for a person (stdout; silent with --quiet or --json)."""
        if not (self.quiet or self.as_json):
            typer.echo(_plain(text))

    def result(self, data: dict[str, Any]) -> None:
        """The machine-readable result (stdout; only with --json)."""
        if self.as_json:
            typer.echo(json.dumps(data, indent=2, sort_keys=True, allow_nan=False))

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A progress bar with time left on a terminal, one line a stage elsewhere."""
        if self.quiet:
            yield no_progress
        elif sys.stderr.isatty():
            with _bar(title) as report:
                yield report
        else:
            yield _lines(title)


def exit_code(error: errors.IrplanError) -> int:
    """The exit code that stands for this kind of error."""
    if isinstance(error, errors.CancelledError):
        return EXIT_CANCELLED
    if isinstance(error, (errors.OutputError, errors.PacsError)):
        return EXIT_OUTPUT
    if isinstance(error, (errors.MissingExtraError, errors.BackendError)):
        return EXIT_MISSING
    if isinstance(error, errors.PlanningError):
        return EXIT_NO_PLAN
    return EXIT_INPUT


@contextmanager
def command(*, quiet: bool, as_json: bool) -> Iterator[Console]:
    """Run a command's body: a user's mistake becomes four lines and an exit code, no traceback."""
    interrupts.listen()
    try:
        yield Console(quiet, as_json)
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, errors.CancelledError):
            _fail(error, as_json)
        elif interrupts.behind(error):
            _cancelled(as_json)
        elif isinstance(error, errors.IrplanError):
            _fail(error, as_json)
        elif isinstance(error, MemoryError):
            _fail(_memory(), as_json)
        else:
            raise


def _cancelled(as_json: bool) -> NoReturn:
    typer.echo(interrupts.CANCELLED, err=True)
    if as_json:
        typer.echo(json.dumps({"error": {"kind": "Cancelled", "exit_code": EXIT_CANCELLED}}))
    raise typer.Exit(EXIT_CANCELLED)


def _memory() -> errors.InputError:
    return errors.InputError(
        "memory",
        got="less than this case needs",
        expected="about 4 GB for 512 x 512 x 130 voxels",
        remedy="Close other programs, or crop the scan.",
    )


def _fail(error: errors.IrplanError, as_json: bool) -> NoReturn:
    code = exit_code(error)
    if as_json:
        data: dict[str, Any] = {
            "kind": type(error).__name__,
            "field": error.field,
            "got": error.got,
            "expected": error.expected,
            "remedy": error.remedy,
            "exit_code": code,
        }
        if isinstance(error, errors.NoAdmissiblePathError):
            data["blocked_by"] = [{"rule": r, "paths": n} for r, n in error.blocked_by]
            data["nearest_miss"] = error.nearest_miss
        typer.echo(json.dumps({"error": data}, indent=2, sort_keys=True))
    lines = [
        f"irplan: {error.field}",
        f"  got       {error.got}",
        f"  expected  {error.expected}",
        f"  remedy    {error.remedy}",
    ]
    if isinstance(error, errors.NoAdmissiblePathError):
        lines += [f"  blocked   {n} paths: {rule}" for rule, n in error.blocked_by]
        if error.nearest_miss:
            lines.append(f"  closest   {error.nearest_miss}")
    typer.echo(_plain("\n".join(lines)), err=True)
    raise typer.Exit(code)


def _plain(text: str) -> str:
    """A header's or a peer's words cannot steer the terminal they are printed on."""
    return "".join(
        c if (ord(c) > 31 and not 127 <= ord(c) < 160) or c in "\n\t" else "?" for c in text
    )


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.progress import Task as RichTask
    from rich.text import Text

    class TimeLeft(TimeRemainingColumn):
        """The bar's guess, unless the work tells its own."""

        def render(self, task: RichTask) -> Text:
            if _says_time_left(task.description):
                return Text("")
            return Text("left ") + super().render(task)

    with RichProgress(
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TimeLeft(),
        TextColumn("{task.description}"),
        console=RichConsole(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=1.0, title=title)

        def report(fraction: float, message: str) -> None:
            bar.update(task, completed=fraction, description=message)

        yield report


def _says_time_left(message: str) -> bool:
    return message.endswith(" left")


def _lines(title: str) -> Progress:
    started = time.monotonic()
    last, told = "", 0.0

    def report(fraction: float, message: str) -> None:
        nonlocal last, told
        stage = message.split(":")[0]
        spent = time.monotonic() - started
        if stage == last and spent - told < _EVERY_S:
            return
        words = message if stage == last or _says_time_left(message) else stage
        last, told = stage, spent
        guess = fraction > 0.05 and not _says_time_left(message)
        left = f", about {spent * (1 - fraction) / fraction:.0f} s left" if guess else ""
        typer.echo(f"{title} {100 * fraction:3.0f} %  {spent:5.1f} s{left}  {words}", err=True)

    return report
