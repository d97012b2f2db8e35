"""The review page's HTML: everything that is not ours is escaped, in one place."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.planning.review_states import FOLLOWS
from irplan.procedure.review import Draft

_MOST_FAILED = 200
_VERBS = {"reviewed": "Mark as reviewed", "accepted": "Accept", "rejected": "Reject"}

STYLE = """
:root { color-scheme: light; --ink: #1b2430; --soft: #5a6675; --line: #d5dbe3; --paper: #fff;
  --ground: #f3f5f8; --blue: #14568c; --amber: #8a5a00; --red: #9c1f1f; --green: #1d6b3a; }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, "Liberation Sans", "DejaVu Sans", sans-serif;
  color: var(--ink); background: var(--ground); }
header { background: #16324a; color: #fff; padding: 14px 28px; }
header h1 { margin: 0; font-size: 20px; font-weight: 600; }
header a { color: #fff; text-decoration: none; }
header p { margin: 2px 0 0; font-size: 13px; color: #d5e2ee; }
main { max-width: 1120px; margin: 22px auto; padding: 0 28px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 6px;
  padding: 16px 20px; margin-bottom: 18px; }
h2 { margin: 0 0 10px; font-size: 16px; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px; }
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
th, td.short { white-space: nowrap; } td.rule { min-width: 8em; }
form { margin-top: 14px; }
h3 { margin: 0; font-size: 14px; color: var(--soft); font-weight: 600; }
a { color: var(--blue); }
.tag { display: inline-block; padding: 1px 9px; border-radius: 10px; font-size: 13px;
  border: 1px solid currentColor; white-space: nowrap; }
.draft, .waiting { color: var(--amber); } .reviewed { color: var(--blue); }
.accepted, .sent { color: var(--green); } .rejected, .refused, .failed { color: var(--red); }
dl { display: grid; grid-template-columns: 190px 1fr; gap: 5px 14px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--ground); padding: 10px 12px;
  border-radius: 4px; margin: 8px 0 0; }
img { max-width: 100%; border: 1px solid var(--line); margin-top: 8px; }
form { display: grid; grid-template-columns: 190px 1fr; gap: 9px 14px; align-items: center;
  margin-bottom: 6px; }
input, select { font: inherit; padding: 6px 9px; border: 1px solid #9aa6b5; border-radius: 4px;
  width: 100%; max-width: 520px; background: #fff; }
form.one { display: inline; margin: 0; }
form.one button { padding: 2px 10px; font-size: 13px; white-space: nowrap; }
.buttons { grid-column: 2; display: flex; gap: 10px; flex-wrap: wrap; }
button { font: inherit; padding: 7px 16px; border-radius: 4px; border: 1px solid var(--blue);
  background: var(--blue); color: #fff; cursor: pointer; }
button.reviewed, button.accepted { color: #fff; }
button.rejected { background: #fff; color: var(--red); border-color: var(--red); }
.problem { border-left: 4px solid var(--red); padding: 8px 12px; background: #fbeeee; }
.empty { color: var(--soft); }
footer { max-width: 1120px; margin: 0 auto 30px; padding: 0 28px; color: var(--soft);
  font-size: 13px; }
"""


def esc(value: object) -> str:
    """Text that is shown as text, whatever is in it."""
    clean = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(value))
    return html.escape(clean, quote=True)


def page(title: str, body: str) -> bytes:
    """A whole page around ``body`` (HTML that is safe already)."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{esc(title)} - irplan gateway</title>"
        '<link rel="stylesheet" href="/style.css"></head><body>'
        '<header><h1><a href="/">irplan gateway: review</a></h1>'
        f"<p>{esc(RESEARCH_USE_ONLY)}</p></header><main>{body}</main>"
        f"<footer>irplan {esc(__version__)}. Drafts stay here until a named person accepts them."
        "</footer></body></html>"
    ).encode()


def tag(state: str) -> str:
    """A state as a coloured word."""
    return f'<span class="tag {esc(state)}">{esc(state)}</span>'


def list_page(
    drafts: Sequence[tuple[Draft, Mapping[str, Any]]],
    jobs: Sequence[Mapping[str, Any]],
    patients: Mapping[str, str],
    failed_patients: Mapping[str, str],
    unmatched: int,
    counts: tuple[int, int],
    *,
    token: str,
) -> bytes:
    """Drafts, work, failures, what no rule fits.

    ``patients`` by draft, ``failed_patients`` by series; ``counts``: drafts in all, and undecided.
    """
    rows = [
        f'<tr><td class="short"><a href="/draft/{esc(d.draft_id)}">{esc(d.draft_id)}</a></td>'
        f"<td>{esc(patients.get(d.draft_id, ''))}</td>"
        f'<td class="rule">{esc(facts["rule"])}</td>'
        f"<td>{tag(d.review.state)}"
        + (" replaced by a newer draft" if facts["replaced"] else "")
        + (f" {tag(facts['sending'])}" if facts["sending"] else "")
        + f"</td><td>{len(d.open_objections) or 'none'}</td>"
        f'<td class="short">{esc(_time(d.made_at))}</td></tr>'
        for d, facts in drafts
    ]
    head = ("Result", "Patient", "Rule", "State", "Open objections", "Made (UTC)")
    found = _table(head, rows, "No results yet.")
    if len(rows) < counts[0]:
        found += (
            f"<p>The first {len(rows)} of {counts[0]} results are shown, undecided ones first: "
            f"{counts[1]} of all wait for a decision.</p>"
        )
    body = _section("Results", found)
    queued = [j for j in jobs if j["state"] in ("queued", "running")]
    body += _section(
        "At work",
        _table(
            ("Job", "Plug-in", "State", "Attempt"),
            [
                f"<tr><td>{j['id']}</td><td>{esc(j['plugin'])}</td><td>{esc(j['state'])}</td>"
                f"<td>{j['attempts']}</td></tr>"
                for j in queued
            ],
            "Nothing waits.",
        ),
    )
    body += _section(
        "Failed: these have no result, which is not the same as nothing found",
        _table(
            ("Job", "Plug-in", "Patient", "Why", "Ended (UTC)", ""),
            [
                f"<tr><td>{j['id']}</td><td>{esc(j['plugin'])}</td>"
                f"<td>{esc(failed_patients.get(j['series'], ''))}</td><td>{esc(j['error'])}</td>"
                f'<td class="short">{esc(_time(j["ended"]))}</td><td>'
                + _button(f"/job/{j['id']}/again", token, "Run again")
                + "</td></tr>"
                for j in failed_jobs(jobs)
            ],
            "None.",
        ),
    )
    if unmatched:
        body += _section(
            "Not processed", f"<p>{unmatched} series fit no rule: nothing was run on them.</p>"
        )
    return page("Results", body)


def failed_jobs(jobs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The failed jobs that are listed, the newest first."""
    return [j for j in jobs if j["state"] == "failed"][-_MOST_FAILED:][::-1]


def draft_page(
    draft: Draft,
    facts: Mapping[str, Any],
    patient: Mapping[str, str],
    files: Mapping[str, str],
    texts: Mapping[str, str],
    *,
    token: str,
    reviewers: Sequence[str],
    problem: str = "",
) -> bytes:
    """One draft: what it is, what it found, what stands against it, and the decision."""
    parts = [f'<section><p class="problem">{esc(problem)}</p></section>'] if problem else []
    shown = {
        **patient,
        "Result": draft.draft_id,
        "State": "",
        "Made by": draft.made_by,
        "Made": _time(draft.made_at) + " UTC",
        "Seconds": f"{facts['seconds']:.1f}" if facts["seconds"] is not None else "unknown",
        "Rule": facts["rule"],
        "Revision": f"{draft.revision}"
        + (f", replaces {draft.replaces}" if draft.replaces else ""),
    }
    facts_html = "".join(
        f"<dt>{esc(k)}</dt><dd>{tag(draft.review.state) if k == 'State' else esc(v)}</dd>"
        for k, v in shown.items()
    )
    if facts["sending"]:
        why = f" {esc(facts['send_error'])}" if facts["send_error"] else ""
        again = ""
        if facts["sending"] == "refused":
            again = _button(f"/draft/{draft.draft_id}/send", token, "Send again")
        facts_html += f"<dt>PACS</dt><dd>{tag(facts['sending'])}{why} {again}</dd>"
    parts.append(_section(f"{draft.kind}: {draft.draft_id}", f"<dl>{facts_html}</dl>"))
    parts.append(_section("What the software says", _content(draft, files, texts)))
    parts.append(_section("Checks that failed", _objections(draft, token, reviewers)))
    if facts["replaced"]:
        decision = "<p>A newer draft of the same images replaces this one.</p>"
    else:
        decision = _decision(draft, token, reviewers)
    parts.append(_section("Decision", decision))
    history = [
        f"<tr><td>{esc(_time(c.when))}</td><td>{esc(c.who)}</td><td>{esc(c.what)}</td>"
        f"<td>{esc(c.why)}</td></tr>"
        for c in draft.history
    ]
    parts.append(
        _section("History", _table(("When (UTC)", "Who", "What", "Why"), history, "Nothing yet."))
    )
    return page(draft.draft_id, "".join(parts))


def _content(draft: Draft, files: Mapping[str, str], texts: Mapping[str, str]) -> str:
    out = [f"<h3>{esc(n)}</h3><pre>{esc(t)}</pre>" for n, t in texts.items()]
    for name, kind in files.items():
        if kind == "image":
            out.append(f'<img src="/draft/{esc(draft.draft_id)}/{esc(name)}" alt="{esc(name)}">')
    names = ", ".join(esc(n) + (" (leaves)" if n in draft.files else "") for n in files)
    out.append(f"<p>Files: {names}</p>")
    return "".join(out)


def _objections(draft: Draft, token: str, reviewers: Sequence[str]) -> str:
    rows = []
    for check, found in draft.objections.items():
        answered = next((o for o in draft.overrules if o.check == check), None)
        said = (
            f"overruled by {esc(answered.who)}: {esc(answered.decision)} ({esc(answered.why)})"
            if answered
            else '<span class="tag failed">open</span>'
        )
        rows.append(f"<tr><td>{esc(check)}</td><td>{esc(found)}</td><td>{said}</td></tr>")
    out = _table(("Check", "Found", "Answer"), rows, "None failed.")
    if draft.open_objections and draft.review.state in ("draft", "reviewed"):
        options = "".join(f"<option>{esc(c)}</option>" for c in draft.open_objections)
        out += _form(
            draft, "overrule", token,
            f'<label for="check">Overrule</label><select id="check" name="check">{options}</select>'
            '<label for="decision">Your decision</label>'
            '<input id="decision" name="decision" maxlength="400" required>'
            + _who("o", reviewers)
            + '<div class="buttons"><button>Overrule this check</button></div>',
        )  # fmt: skip
    return out


def _decision(draft: Draft, token: str, reviewers: Sequence[str]) -> str:
    steps = FOLLOWS[draft.review.state]
    if not steps:
        return "<p>Rejected: it stays here as evidence and leaves for nowhere.</p>"
    buttons = "".join(
        f'<button class="{s}" name="state" value="{s}">{_VERBS[s]}</button>' for s in steps
    )
    return _form(
        draft, "review", token, _who("r", reviewers) + f'<div class="buttons">{buttons}</div>'
    )


def _who(prefix: str, reviewers: Sequence[str]) -> str:
    if reviewers:
        options = "".join(f"<option>{esc(r)}</option>" for r in reviewers)
        field = f'<select id="{prefix}who" name="who">{options}</select>'
    else:
        field = f'<input id="{prefix}who" name="who" maxlength="120" required>'
    return (
        f'<label for="{prefix}who">Your name</label>{field}'
        f'<label for="{prefix}why">Why</label>'
        f'<input id="{prefix}why" name="why" maxlength="1000" required>'
    )


def _form(draft: Draft, action: str, token: str, inner: str) -> str:
    return (
        f'<form method="post" action="/draft/{esc(draft.draft_id)}/{action}">'
        f'<input type="hidden" name="token" value="{esc(token)}">'
        f'<input type="hidden" name="content" value="{esc(draft.content_sha256)}">{inner}</form>'
    )


def _button(action: str, token: str, words: str) -> str:
    """A form of one button."""
    return (
        f'<form class="one" method="post" action="{esc(action)}"><button>{esc(words)}</button>'
        f'<input type="hidden" name="token" value="{esc(token)}"></form>'
    )


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{esc(title)}</h2>{inner}</section>"


def _table(head: Sequence[str], rows: Sequence[str], empty: str) -> str:
    if not rows:
        return f'<p class="empty">{esc(empty)}</p>'
    cells = "".join(f"<th>{esc(h)}</th>" for h in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _time(text: str) -> str:
    return text[:19].replace("T", " ")
