"""``irplan review``: a draft report or plan judged by a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.errors import InputError

_STATES = ("reviewed", "accepted", "rejected")


def review(
    folder: Path = typer.Argument(
        ..., show_default=False, help="Folder that `irplan report` wrote, or a plan.json."
    ),
    state: str = typer.Argument(
        "", metavar="[STATE]", help="reviewed, accepted or rejected; left out: show where it is."
    ),
    by: str = typer.Option("", metavar="NAME", help="Who judges."),
    why: str = typer.Option("", help="Why, in a few words."),
    overrule: list[str] | None = typer.Option(
        None, metavar="CHECK=REASON", help="Decide against a failed check; kept and counted."
    ),
    log: Path | None = typer.Option(None, metavar="LOG", help="Write the judgement into this log."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Judge a draft: draft -> reviewed -> accepted, or rejected. Only accepted files may leave.

    `irplan review case1/report reviewed --by "Dr. A" --why "read beside the images"`

    `irplan review case1/report accepted --by "Dr. A" --why "agrees" --log case1/log`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.report_case import review_report
        from irplan.files.report_file import REVIEW_FILE, read_review

        if state and state not in _STATES:
            raise InputError(
                "STATE",
                got=f"'{state[:30]}'",
                expected="one of " + ", ".join(_STATES),
                remedy="To change the content, run 'irplan report' again.",
            )
        if folder.suffix == ".json":
            _plan(console, folder, state, by, why, log)
            return
        if not state:
            draft = read_review(folder / REVIEW_FILE)
        else:
            asked: Any = state
            with console.progress("review") as progress:
                draft = review_report(
                    folder, asked, who=by, why=why, overrules=_pairs(overrule), log=log,
                    progress=progress,
                ).draft  # fmt: skip
        console.say(f"{draft.draft_id} (revision {draft.revision}): {draft.review.state.upper()}")
        for change in draft.history:
            console.say(f"  {change.when[:19]}Z  {change.who}: {change.what} - {change.why}")
        for name in draft.open_objections:
            console.say(f"  failed check {name}: {draft.objections[name]}")
        console.result(
            {
                "draft_id": draft.draft_id,
                "revision": draft.revision,
                "state": draft.review.state,
                "by": draft.review.by,
                "open_objections": list(draft.open_objections),
                "overrules": [o.check for o in draft.overrules],
                "files": dict(draft.files),
            }
        )


def _plan(console: Any, file: Path, state: Any, by: str, why: str, log: Path | None) -> None:
    from irplan.case.review_plan import review_plan
    from irplan.files.plan_file import read_plan

    plan = read_plan(file)
    if state:
        with console.progress("review") as progress:
            progress(0.0, "judging the plan")
            plan = review_plan(file, state, who=by, why=why, log=log)
    console.say(f"{file.name}: {plan.review.state.upper()}")
    for change in plan.history:
        console.say(f"  {change.when[:19]}Z  {change.who}: {change.what} - {change.why}")
    console.result({"state": plan.review.state, "by": plan.review.by})


def _pairs(given: list[str] | None) -> dict[str, str]:
    out = {}
    for each in given or ():
        check, equals, reason = each.partition("=")
        if not equals or not reason.strip():
            raise InputError(
                "--overrule",
                got="a check without a reason",
                expected="CHECK=REASON",
                remedy='For example --overrule laterality="wrong side typed in the checklist".',
            )
        out[check] = reason
    return out
