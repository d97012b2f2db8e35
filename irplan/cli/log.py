"""``irplan log``: the procedure log from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from irplan import RESEARCH_USE_ONLY
from irplan.cli.console import JSON, QUIET, command
from irplan.errors import InputError

#: Exit code of a log that is not what was written.
EXIT_DAMAGED = 6

log = typer.Typer(
    name="log",
    help="Keep the log of a procedure: append-only, hash-chained, safe against crashes.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_LOG = typer.Argument(..., metavar="LOG", show_default=False, help="The log's folder.")
_WHO = typer.Option("", "--by", metavar="NAME", help="Who says so.")
_AT = typer.Option(
    None, "--at", metavar="TIME", help="When it happened, ISO 8601 with zone; default: now."
)


@log.callback()
def _group() -> None:
    """Keep the log of a procedure."""


@log.command(epilog=RESEARCH_USE_ONLY)
def new(folder: Path = _LOG, quiet: bool = QUIET, as_json: bool = JSON) -> None:
    """Make an empty log."""
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.procedure.log import ProcedureLog

        with ProcedureLog.create(folder) as made:
            head = made.head_sha256
        console.say(f"Made: {folder}   (research use only)")
        console.result({"log": str(folder), "count": 1, "head_sha256": head})


@log.command(epilog=RESEARCH_USE_ONLY)
def add(
    folder: Path = _LOG,
    kind: str = typer.Argument(..., help="Kind of event; see `irplan log kinds`."),
    fields: list[str] | None = typer.Argument(None, metavar="FIELD=VALUE...", help="Its fields."),
    by: str = _WHO,
    at: str | None = _AT,
    corrects: int | None = typer.Option(
        None, metavar="N", help="This replaces event N (same kind)."
    ),
    withdraws: int | None = typer.Option(
        None, metavar="N", help="Event N does not count; KIND is 'correction'."
    ),
    why: str = typer.Option("", help="Why it is corrected or withdrawn."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Add one event; when the command ends it is on the disk.

    Lists: numbers by commas, texts by semicolons.

    `irplan log add LOG needle number=1 status=placed tip_mm=10,-20,31.5 entry_mm=80,-60,40`

    `irplan log add LOG phase action=start phase=freeze needles=1,2 cycle=1 --by "Dr. A"`

    `irplan log add LOG lab name=INR value=1.1 unit=1 --corrects 7 --why "typing error"`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.procedure.event_values import value_from_text
        from irplan.procedure.events import CORRECTION, NewEvent, Source
        from irplan.procedure.log import ProcedureLog
        from irplan.procedure.times import parse_time

        data: dict[str, Any] = {}
        for each in fields or ():
            name, equals, text = each.partition("=")
            if not equals or name in data:
                raise InputError(
                    "FIELD=VALUE",
                    got="a word without '='" if not equals else f"'{name}' twice",
                    expected="each field once, as name=value",
                    remedy="Put values with blanks in quotes: text='seen in CT'.",
                )
            data[name] = value_from_text(kind, name, text)
        if corrects is not None:
            data = {"corrects": corrects, "action": "replace", "kind": kind, "data": data}
            data, kind = data | {"why": why}, CORRECTION
        elif withdraws is not None:
            data, kind = {"corrects": withdraws, "action": "withdraw", "why": why}, CORRECTION
        when = None if at is None else parse_time(at, field="--at")
        event = NewEvent(kind, data, Source("typed", who=by), when)
        with ProcedureLog.open(folder) as held:
            _tell(console, held)
            done = held.append_many([event])[0]
        console.say(f"{done.seq}  {done.kind}  {done.sha256[:16]}")
        console.result({"seq": done.seq, "kind": done.kind, "sha256": done.sha256})


@log.command("import", epilog=RESEARCH_USE_ONLY)
def import_(
    folder: Path = _LOG,
    file: Path = typer.Argument(
        ..., help="Dose report (DICOM), device table (CSV), plan, needles or verification (JSON)."
    ),
    device_map: Path | None = typer.Option(
        None, "--map", metavar="TOML", help="How a device's columns become events."
    ),
    zone: str | None = typer.Option(
        None, help="Time zone of a clock that states none, e.g. Europe/Amsterdam."
    ),
    lesion: str | None = typer.Option(None, help="Lesion that a plan is for."),
    side: str | None = typer.Option(None, help="Its side: left, right, midline, none."),
    at: str | None = _AT,
    any_patient: bool = typer.Option(
        False, "--any-patient", help="A dose report whose patient number is not the case's."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Bring a file into the log, all of it or nothing; twice the same is refused."""
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.import_log import import_file
        from irplan.procedure.log import ProcedureLog
        from irplan.procedure.times import parse_time

        when = None if at is None else parse_time(at, field="--at")
        with ProcedureLog.open(folder) as held:
            _tell(console, held)
            done = import_file(
                held, file, device_map=device_map, zone=zone, lesion=lesion, side=side, at=when,
                any_patient=any_patient,
            )  # fmt: skip
        console.say(f"{len(done)} event(s): {done[0].seq} to {done[-1].seq}")
        console.result({"events": len(done), "first": done[0].seq, "last": done[-1].seq})


@log.command(epilog=RESEARCH_USE_ONLY)
def listen(
    folder: Path = _LOG,
    host: str = typer.Option("127.0.0.1", help="OpenIGTLink server."),
    port: int = typer.Option(18944, min=1, max=65535),
    seconds: float = typer.Option(60.0, min=0.1, max=86400.0, help="How long."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Write an OpenIGTLink stream into the log: transforms when they move, and texts."""
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.log_stream import listen as run
        from irplan.procedure.log import ProcedureLog

        with ProcedureLog.open(folder) as held:
            count = run(held, host, port, seconds=seconds)
        console.say(f"{count} event(s)")
        console.result({"events": count})


@log.command(epilog=RESEARCH_USE_ONLY)
def show(
    folder: Path = _LOG,
    first: int = typer.Option(1, "--from", min=1, help="First event shown."),
    last: int | None = typer.Option(None, "--last", metavar="N", help="Only the last N."),
    every: bool = typer.Option(False, "--all", help="Corrected and withdrawn events too."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Print what counts after corrections, each event with its number, time and source."""
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.files.log_export import event_to_data
        from irplan.procedure.events import Effective, effective_events
        from irplan.procedure.log import ProcedureLog

        with ProcedureLog.open(folder, readonly=True) as held:
            _tell(console, held)
            events = list(held.events())
        rows = [Effective(e, e.data) for e in events] if every else list(effective_events(events))
        rows = [r for r in rows if r.event.seq >= first]
        rows = rows if last is None else rows[-last:]
        for r in rows:
            words = "  ".join(f"{k}={_short(v)}" for k, v in r.data.items())
            mark = f" (corrected by {r.seq})" if r.corrected_by else ""
            how = r.event.source.how + (f" {r.event.source.who}" if r.event.source.who else "")
            console.say(
                f"{r.event.seq:>6}  {r.event.at[:19]}Z  {r.event.kind:<13} {words}{mark}  [{how}]"
            )
        console.say(f"head {events[-1].sha256}   {len(events)} events")
        console.result(
            {
                "head_sha256": events[-1].sha256,
                "count": len(events),
                "events": [
                    event_to_data(r.event) | {"counts": dict(r.data), "counts_from": r.seq}
                    for r in rows
                ],
            }
        )


@log.command(epilog=RESEARCH_USE_ONLY)
def verify(
    folder: Path = _LOG,
    head: str | None = typer.Option(
        None, metavar="SHA256", help="A head hash kept elsewhere (on paper, in a report)."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Read every byte and tell whether anything was changed, lost or reordered.

    Exit code 0: intact; 6: damaged.
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.procedure.log_verify import verify_log

        with console.progress("verify") as progress:
            found = verify_log(folder, known_head=head, progress=progress)
        for f in found.findings:
            place = "" if f.seq is None else f"event {f.seq}: "
            console.say(
                f"  {f.weight.upper() if f.weight == 'damage' else f.weight:<7} {place}{f.what}"
            )
        if found.more:
            console.say(f"  and {found.more} more")
        console.say(
            f"{'intact' if found.intact else 'DAMAGED'}: {found.count} events, "
            f"head {found.head_sha256}"
        )
        console.result(
            {
                "intact": found.intact,
                "count": found.count,
                "head_sha256": found.head_sha256,
                "findings": [
                    {"weight": f.weight, "seq": f.seq, "what": f.what} for f in found.findings
                ],
                "more": found.more,
            }
        )
    if not found.intact:
        raise typer.Exit(EXIT_DAMAGED)


@log.command(epilog=RESEARCH_USE_ONLY)
def export(
    folder: Path = _LOG,
    out: Path = typer.Option(
        ...,
        "-o",
        "--out",
        help="FILE.json (all events), FILE.csv (what counts), FILE.png (timeline).",
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Write the log for other programs, or draw its timeline."""
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.files.atomic import atomic_path
        from irplan.files.log_export import log_to_csv, log_to_json
        from irplan.procedure.events import effective_events
        from irplan.procedure.log import ProcedureLog
        from irplan.procedure.log_verify import verify_log

        suffix = out.suffix.lower()
        if suffix not in (".json", ".csv", ".png"):
            raise InputError(
                "--out", got=f"'{out.name}'", expected="a name ending in .json, .csv or .png",
                remedy="Give one of these endings.",
            )  # fmt: skip
        with ProcedureLog.open(folder, readonly=True) as held:
            events = list(held.events())
        if suffix == ".png":
            from irplan.viz.procedure_timeline import procedure_timeline
            from irplan.viz.style import png_bytes

            content = png_bytes(procedure_timeline(effective_events(events)))
        elif suffix == ".csv":
            content = log_to_csv(effective_events(events)).encode()
        else:
            content = log_to_json(events, intact=verify_log(folder).intact).encode()
        with atomic_path(out) as temporary:
            temporary.write_bytes(content)
        console.say(f"Written: {out}   (research use only)")
        console.result({"written": str(out), "events": len(events)})


@log.command(epilog=RESEARCH_USE_ONLY)
def kinds(quiet: bool = QUIET, as_json: bool = JSON) -> None:
    """List the kinds of event with their fields, units and ranges."""
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.procedure.event_kinds import KINDS

        shown = [k for k in KINDS.values() if not k.internal]
        for kind in shown:
            console.say(f"{kind.name}: {kind.words}")
            for f in kind.fields:
                more = f"; {', '.join(f.choices)}" if f.choices else ""
                span = (
                    f", {f.low:g} to {f.high:g}" if f.low is not None and f.high is not None else ""
                )
                need = " (needed)" if f.required else ""
                console.say(f"    {f.name:<24} {f.type}{span}: {f.words}{more}{need}")
        console.result(
            {
                k.name: {
                    f.name: {
                        "type": f.type,
                        "words": f.words,
                        "required": f.required,
                        "low": f.low,
                        "high": f.high,
                        "choices": list(f.choices),
                    }
                    for f in k.fields
                }
                for k in shown
            }
        )


def _tell(console: Any, held: Any) -> None:
    for finding in held.opened.findings:
        console.say(f"  note         {finding}")


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_short(v) for v in value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= 60 else text[:59] + "…"
