"""Commands on the draft report: made from the plan as it is, shown, noted on, exported."""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from irplan import RESEARCH_USE_ONLY
from irplan.compute.progress import Progress, portion
from irplan.errors import InputError
from irplan_planner.model.desk import Desk
from irplan_planner.model.state import CaseState, Draft, Simulation

if TYPE_CHECKING:
    from irplan.planning.case import PlannedAblation
    from irplan.planning.evaluation import PlanEvaluation, Row
    from irplan.planning.plan import AblationPlan
    from irplan.planning.review_states import ReviewState
    from irplan_planner.model.typed_fields import Blank

_TONE = {"ok": "#6fd3a8", "warning": "#ffc857", "error": "#ff7a6b", "not_checked": "#a9b6c4"}
#: Judgements that lead from a draft to each state.
_STEPS_TO: Mapping[str, tuple[ReviewState, ...]] = {
    "reviewed": ("reviewed",),
    "accepted": ("reviewed", "accepted"),
    "rejected": ("rejected",),
}
_WORD = {"ok": "ok", "warning": "warning", "error": "failed", "not_checked": "not checked"}


class Reporting:
    """Commands."""

    def __init__(self, desk: Desk, folder: Callable[[], Path | None] = lambda: None) -> None:
        self._desk = desk
        self._folder = folder
        self.who = ""
        """Who types and judges."""

    def draft(self) -> None:
        """Make the draft of the plan as it is; the procedure's report follows (a job)."""
        desk, state = self._desk, self._desk.state
        draft = Draft(draft_html(state), state.report_from)
        desk.push(replace(state, report=draft), "draft report")
        self._word(draft)

    def _word(self, draft: Draft) -> None:
        """The procedure's report from the plan and the log as they are now (a job)."""
        from irplan.case.report_case import FORMS, ReportRequest, run_report

        desk = self._desk
        plan, folder = desk.state.plan, self._folder()

        def work(progress: Progress) -> Draft:
            from irplan_planner.model.typed_fields import read_events, worded

            with TemporaryDirectory(prefix="irplan-report-") as place:
                out = Path(place) / "report"
                made = run_report(
                    ReportRequest(_report_case(plan, folder, Path(place)), out, forms=("txt",)),
                    progress=progress,
                )
                text = (out / FORMS["txt"]).read_text("utf-8")
            return replace(
                draft, procedure=text, objections=tuple(made.draft.objections),
                worded=worded(made, read_events(folder)), document=made.document,
            )  # fmt: skip

        def done(whole: Draft) -> None:
            if desk.state.report is draft:
                desk.amend(replace(desk.state, report=whole))

        desk.work("Wording the report", "background", work, done, latest=True)

    def blanks(self) -> tuple[Blank, ...]:
        """Fields of the draft that may be typed, what it must not lack first."""
        report = self._desk.state.report
        found = () if report is None or report.worded is None else report.worded.blanks
        return tuple(sorted(found, key=lambda b: (not b.missing, not b.mandatory)))

    def type_in(self, blank: Blank, text: str, why: str = "") -> None:
        """Put a value into the report: an event of the case's log, shown in the draft (a job).

        An event cannot be undone, only corrected: ``why`` says why a value that a person typed
        before is replaced.  Raises `InputError` where the case has no folder or may not be changed.
        """
        from irplan_planner.model.typed_fields import append_typed

        desk, folder, who = self._desk, self._folder(), self.who
        report = desk.state.report
        desk.require_writable()
        if folder is None:
            raise InputError(
                "report",
                got="a case that was never saved",
                expected="a case folder: what is typed is kept in its log",
                remedy="Save the case first (Ctrl+S).",
            )
        if report is None or report.document is None:
            raise InputError(
                "report",
                got="no draft",
                expected="the draft that is filled in",
                remedy="Press Write draft report.",
            )
        document = report.document

        def work(progress: Progress) -> Any:
            return append_typed(folder, document, blank, text, who=who, why=why)

        def done(event: Any) -> None:
            desk.say(f"{blank.words}: event {event.seq} of the log, typed by {who}.", "good")
            if desk.state.report is not None:
                self._word(desk.state.report)

        desk.work("Writing into the log", "save", work, done, quiet=True)

    def release(self, folder: Path, language: str = "en") -> None:
        """The procedure's report as files (page, text, PDF, FHIR) in a new folder (a job).

        Its review is the plan's: a draft stays a draft; an accepted one names who and why, and
        `irplan pacs send` lets it pass.  With a log in the case's folder the judgement is an event
        there.  Raises what `irplan.case.report_case` raises: an acceptance against failed checks.
        """
        from irplan.case.report_case import ReportRequest, review_report, run_report

        desk, state = self._desk, self._desk.state
        plan, case = state.plan, self._folder()
        if plan is None:
            raise InputError("plan", got="none yet", expected="a plan", remedy="Run Plan first.")
        review = plan.review
        log = None if case is None or not (case / "log").is_dir() else case / "log"

        def work(progress: Progress) -> tuple[str, ...]:
            with TemporaryDirectory(prefix="irplan-report-") as place:
                request = ReportRequest(
                    _report_case(plan, case, Path(place)), folder, language=language
                )
                made = run_report(request, progress=portion(progress, 0.0, 0.5))
            for step in _STEPS_TO.get(review.state, ()):
                review_report(
                    folder, step, who=review.by, why=review.reason, log=log,
                    progress=portion(progress, 0.5, 1.0),
                )  # fmt: skip
            return made.messages

        def done(messages: tuple[str, ...]) -> None:
            for message in messages:
                desk.say(message, "warning")
            desk.say(f"Report ({review.state}) written to {folder}.", "good")

        desk.work("Writing the report", "save", work, done)

    def note(self, text: str) -> None:
        """The reader's own words, which stand in the report."""
        state = replace(self._desk.state, report_note=text.strip())
        if state.report is not None:
            html_now = draft_html(state)
            state = replace(
                state, report=replace(state.report, html=html_now, made_from=state.report_from)
            )
        self._desk.push(state, "note on the report")

    def export(self, folder: Path) -> None:
        """Write plan, zones, figures and report as `irplan plan` does (a job)."""
        desk, state = self._desk, self._desk.state
        case = planned_now(state)

        def work(progress: Progress) -> Any:

            from irplan.case.write import write_files
            from irplan.files.output import OutputFolder

            with OutputFolder(folder, makes_plan=True) as out:
                notes = write_files(case, out, picture_3d=True, progress=progress)
                page = f"<!doctype html><meta charset='utf-8'>{draft_html(state)}"
                (out / "draft.html").write_text(page, encoding="utf-8", newline="\n")
                return notes

        def done(notes: Any) -> None:
            for note in notes:
                desk.say(note, "warning")
            desk.say(f"Exported to {folder}.", "good")

        desk.work("Exporting", "save", work, done)


def _report_case(plan: Any, folder: Path | None, place: Path) -> Path:
    """A case's folder as `irplan report` wants it: plan.json, and the log where there is one."""
    from irplan.files import write_plan

    case = place / "case"
    case.mkdir()
    write_plan(plan, case / "plan.json")
    if folder is not None and (folder / "log").is_dir():
        shutil.copytree(folder / "log", case / "log")
    return case


def require_verdict(state: CaseState) -> tuple[AblationPlan, Simulation, PlanEvaluation]:
    """Plan, simulation and verdict; `InputError` unless it was simulated in full and judged."""
    found, got = state.simulation, "a plan without a verdict"
    if state.plan is not None and found is not None and found.evaluation is not None:
        if found.made_from != state.simulated_from:
            got = "a plan whose simulation is stale"
        elif not found.exact:
            got = "a plan whose simulation in full is not there yet"
        else:
            return state.plan, found, found.evaluation
    raise InputError(
        "report",
        got=got,
        expected="a plan simulated in full and judged",
        remedy="Wait for it, or run Simulate.",
    )


def planned_now(state: CaseState) -> PlannedAblation:
    """The search's outcome with the plan, simulation and verdict as they are now.

    Raises `InputError` where the plan has no verdict yet, or was opened without its search.
    """
    plan, found, evaluation = require_verdict(state)
    if state.planned is None:
        raise InputError(
            "export",
            got="a plan that was opened without its search for paths",
            expected="a plan made in this window",
            remedy="Run Plan again (its needles can be kept), or use the saved plan.json.",
        )
    return replace(
        state.planned, plan=plan, result=found.result, evaluation=evaluation,
        paths=found.paths, messages=state.messages,
    )  # fmt: skip


def draft_html(state: CaseState) -> str:
    """The draft in words and tables, as HTML for a text browser (no script, no picture).

    Raises `InputError` where the plan has no verdict yet.
    """
    plan, _, e = require_verdict(state)
    out = [
        f"<h2>{plan.review.state.upper()} &mdash; {_kind(plan.placements[0].applicator.kind)} "
        "plan</h2>",
        f"<p><b>{html.escape(RESEARCH_USE_ONLY)}</b></p>",
        f"<p>Target {plan.target.volume_ml:.1f} ml, {plan.target.diameter_mm:.0f} mm "
        f"({html.escape(plan.target.source)}). Smallest margin "
        f"<b>{e.minimal_margin_mm:.1f} mm</b> of {plan.margin_goal_mm:g} mm wanted; "
        f"{100 * e.target_coverage:.1f} % of the target and {100 * e.margin_coverage:.1f} % of "
        "target and margin in the lethal zone.</p>",
    ]
    if state.report_note:
        out.append(f"<p><i>Note:</i> {html.escape(state.report_note)}</p>")
    if state.chosen_why:
        out.append(f"<p><i>Why this plan:</i> {html.escape(state.chosen_why)}</p>")
    if plan.review.state != "draft":
        r = plan.review
        out.append(
            f"<p>{r.state.capitalize()} by {html.escape(r.by)}, {html.escape(r.when)}: "
            f"{html.escape(r.reason)}</p>"
        )
    out.append("<h3>Needles (LPS mm)</h3>" + _needles(state))
    out.append("<h3>Schedule</h3><p>" + _schedule(state) + "</p>")
    out.append("<h3>Verdict</h3>" + rows_html(e.rows))
    unsure = [x.name for x in state.labels.labels if x.name not in state.accepted] \
        if state.labels is not None else []  # fmt: skip
    unsure = [n.replace("_", " ") for n in unsure if n not in ("body", "fat", "muscle")]
    if unsure:
        out.append(f"<p>Structures nobody has accepted: {html.escape(', '.join(unsure))}.</p>")
    if state.messages:
        listed = "".join(f"<li>{html.escape(m)}</li>" for m in dict.fromkeys(state.messages))
        out.append(f"<h3>What to know</h3><ul>{listed}</ul>")
    return "".join(out)


def shown_html(draft: Draft) -> str:
    """The plan's sheet and below it the procedure's report."""
    if draft.worded is not None:
        return draft.html + draft.worded.page
    if not draft.procedure:
        return draft.html
    text = html.escape(draft.procedure)
    return f"{draft.html}<h2>Procedure report</h2><pre>{text}</pre>"


def rows_html(rows: tuple[Row, ...]) -> str:
    """The rows of a verdict as a table, the worst first."""
    order = {"error": 0, "warning": 1, "not_checked": 2, "ok": 3}
    cells = []
    for row in sorted(rows, key=lambda r: order[r.status]):
        value = "" if row.value is None else f"{row.value:.1f} {row.unit}".replace("degC", "°C")
        cells.append(
            f"<tr><td width='24%' style='color:{_TONE[row.status]}'><b>{_WORD[row.status]}</b></td>"
            f"<td width='38%'>{html.escape(row.name)}</td>"
            f"<td width='16%' align='right'>{html.escape(value)}</td>"
            f"<td width='22%'>{html.escape(row.limit).replace('degC', '°C')}</td></tr>"
        )
    return "<table cellpadding='3' width='98%'>" + "".join(cells) + "</table>"


def _needles(state: CaseState) -> str:
    assert state.plan is not None
    cells = [
        "<tr><th></th><th>applicator</th><th>entry</th><th>tip</th><th>depth</th><th>tilt</th></tr>"
    ]
    for n, p in enumerate(state.plan.placements, start=1):
        entry = ", ".join(f"{v:.0f}" for v in p.needle.entry_mm)
        tip = ", ".join(f"{v:.0f}" for v in p.needle.tip_mm)
        cells.append(
            f"<tr><td><b>{n}</b></td><td>{html.escape(p.applicator.name)}</td><td>{entry}</td>"
            f"<td>{tip}</td><td>{p.needle.depth_mm:.0f} mm</td>"
            f"<td>{p.needle.craniocaudal_tilt_deg:.0f}°</td></tr>"
        )
    return "<table cellpadding='4'>" + "".join(cells) + "</table>"


def _schedule(state: CaseState) -> str:
    assert state.plan is not None
    words = [
        f"{p.kind.replace('_', ' ')} {p.duration_s / 60:g} min"
        + (f" at {p.power_w:g} W" if p.power_w else "")
        for p in state.plan.schedule.phases
    ]
    return ", ".join(words)


def _kind(kind: str) -> str:
    return {
        "cryo": "Cryoablation", "mwa": "Microwave ablation", "rfa": "Radiofrequency ablation",
        "ire": "Electroporation",
    }.get(kind, kind)  # fmt: skip
