"""``irplan study``: one computation over many cases and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.errors import CancelledError, InputError


def study(
    file: Path = typer.Argument(
        ..., metavar="STUDY.toml", show_default=False, help="Study file; docs/studies.md lists it."
    ),
    out: Path | None = typer.Option(
        None, "-o", "--out", help="Folder of results; default: the file's name beside you."
    ),
    workers: int | None = typer.Option(
        None, metavar="N", help="Local processes of one core each; default: one a core."
    ),
    scheduler: str | None = typer.Option(
        None, metavar="tcp://HOST:PORT", help="A Dask scheduler's workers instead."
    ),
    gpus: str | None = typer.Option(None, metavar="0,1", help="Devices; worker n sees one each."),
    retry_failed: bool = typer.Option(
        False, "--retry-failed", help="Compute failed and crashed runs again."
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Check the file and count its runs; compute nothing."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Compute a study: what the folder has already is kept, so run it again after any stop.

    The folder then holds table.csv (and .parquet), timing.csv, provenance.json, figures and, for a
    sensitivity design, Sobol indices.

    Examples:

    `irplan study examples/perfusion_and_vessel.toml -o perfusion`

    `irplan study study.toml --scheduler tcp://127.0.0.1:8786`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.studies import read_study, run_study

        asked = read_study(file)
        if dry_run:
            asked.check()
            console.say(f"{len(asked)} runs: {len(asked.cases)} cases x {asked.points.count}")
            console.result({"runs": len(asked), "cases": len(asked.cases)})
            return
        if scheduler is not None and asked.limit_s is not None:
            console.say("note: limit_s acts on local workers only, not on the cluster's")
        with _kept(), console.progress("study") as progress:
            done = run_study(
                asked,
                Path(file.stem) if out is None else out,
                workers=workers,
                scheduler=scheduler,
                gpus=_devices(gpus),
                retry_failed=retry_failed,
                progress=progress,
            )
        console.say(
            f"{done.runs} runs: {done.computed} computed, {done.kept} kept, {done.failed} failed, "
            f"{done.crashed} crashed; {done.seconds:.1f} s"
        )
        if done.computed and scheduler is None:
            share = done.busy_s / (done.seconds * done.workers)
            console.say(f"workers busy with the task: {100 * min(1.0, share):.0f} %")
        for note in done.notes:
            console.say(f"note: {note}")
        console.say(f"Written: {done.folder}   (research use only)")
        console.result({**asdict(done), "folder": str(done.folder), "notes": list(done.notes)})


@contextmanager
def _kept() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise CancelledError("study (finished results are kept)") from None


def _devices(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    parts = [p.strip() for p in text.split(",")]
    if not all(p.isdecimal() and p.isascii() for p in parts):
        raise InputError(
            "--gpus", got=repr(text), expected="device numbers like 0,1", remedy="See nvidia-smi."
        )
    return tuple(int(p) for p in parts)
