"""A day in numbers: what ran in which version, how it ended, what people made of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.procedure.review import Draft, count_reviews
from irplan_gateway.store import Store


def summary(store: Store, day: str) -> dict[str, Any]:
    """The summary of ``day`` (YYYY-MM-DD, UTC): no patient data.

    Per plug-in: jobs, failures by reason, versions, median and longest seconds; of its drafts made
    that day: states, revisions (edits), overrules by check, median hours to a decision.
    """
    series = store.rows("series")
    return {
        "day": day,
        "gateway": f"irplan {__version__}",
        "notice": RESEARCH_USE_ONLY,
        "plugins": _plugins(store.rows("job"), store.drafts(), day),
        "series_in_store": _states(s["state"] for s in series),
        "sending": _states(o["state"] for o in store.rows("outbox") if o["made"][:10] == day),
        "events": _states(e["kind"] for e in store.rows("event") if e["day"] == day),
    }


def trend(store: Store, first: str, last: str) -> list[dict[str, Any]]:
    """A row for each plug-in and day from ``first`` to ``last`` (YYYY-MM-DD) on which it ran.

    What drifts shows from row to row: versions, failures, objections, edits, overrules, rejections,
    seconds.
    """
    jobs, drafts = store.rows("job"), store.drafts()
    rows = []
    for day in sorted({j["made"][:10] for j in jobs if first <= j["made"][:10] <= last}):
        for name, facts in _plugins(jobs, drafts, day).items():
            rows.append(
                {
                    "day": day,
                    "plugin": name,
                    "versions": sorted(facts["versions"]),
                    "jobs": sum(facts["jobs"].values()),
                    "failed": sum(facts["failures"].values()),
                    "objections": sum(facts["objections"].values()),
                    "edits": facts["edits"],
                    "overrules": sum(facts["overrules"].values()),
                    "accepted": facts["drafts"]["accepted"],
                    "rejected": facts["drafts"]["rejected"],
                    "median_s": facts["median_s"],
                }
            )
    return rows


def trend_text(rows: list[dict[str, Any]]) -> str:
    """The trend as a table."""
    heads = [
        "day", "plugin", "versions", "jobs", "failed", "objections", "edits", "overrules",
        "accepted", "rejected", "median_s",
    ]  # fmt: skip
    cells = [heads, *([_cell(row[h]) for h in heads] for row in rows)]
    wide = [max(len(line[n]) for line in cells) for n in range(len(heads))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, wide, strict=True)) for line in cells]
    return "\n".join([RESEARCH_USE_ONLY, "", *(x.rstrip() for x in lines)]) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return "-" if value is None else str(value)


def _plugins(
    all_jobs: list[dict[str, Any]], all_drafts: list[tuple[Draft, dict[str, Any]]], day: str
) -> dict[str, Any]:
    jobs = [j for j in all_jobs if j["made"][:10] == day]
    drafts = [(d, facts) for d, facts in all_drafts if d.made_at[:10] == day]
    plugins: dict[str, Any] = {}
    for name in sorted({j["plugin"] for j in jobs}):
        mine = [j for j in jobs if j["plugin"] == name]
        seconds = [j["seconds"] for j in mine if j["seconds"] is not None]
        reviews = count_reviews([d for d, facts in drafts if facts["plugin"] == name])
        plugins[name] = {
            "jobs": dict(sorted(Counter(j["state"] for j in mine).items())),
            "versions": dict(sorted(Counter(j["version"] for j in mine if j["version"]).items())),
            "failures": dict(sorted(Counter(j["error"] for j in mine if j["error"]).items())),
            "median_s": round(median(seconds), 3) if seconds else None,
            "longest_s": round(max(seconds), 3) if seconds else None,
            "drafts": dict(reviews.states),
            "edits": reviews.revisions,
            "overrules": dict(reviews.overrules),
            "median_hours_to_decision": reviews.median_hours_to_decision,
            "objections": _objections([d for d, facts in drafts if facts["plugin"] == name]),
        }
    return plugins


def summary_text(data: Mapping[str, Any]) -> str:
    """The summary for a person to read."""
    lines = [f"Gateway, {data['day']} (UTC), {data['gateway']}", data["notice"], ""]
    for name, facts in data["plugins"].items():
        lines.append(f"{name}: " + (_counted(facts["jobs"]) or "no jobs"))
        lines.append(f"  versions    {_counted(facts['versions']) or 'none'}")
        lines.append(f"  failures    {_counted(facts['failures']) or 'none'}")
        typical, longest = facts["median_s"], facts["longest_s"]
        shown = "none" if typical is None else f"median {typical:g}, longest {longest:g}"
        lines.append(f"  seconds     {shown}")
        lines.append(f"  drafts      {_counted(facts['drafts'])}; edits {facts['edits']}")
        lines.append(f"  objections  {_counted(facts['objections']) or 'none'}")
        lines.append(f"  overrules   {_counted(facts['overrules']) or 'none'}")
    if not data["plugins"]:
        lines.append("No jobs.")
    lines += ["", f"series: {_counted(data['series_in_store']) or 'none'}"]
    lines += [f"sending: {_counted(data['sending']) or 'nothing'}"]
    lines += [f"events: {_counted(data['events']) or 'none'}"]
    return "\n".join(lines) + "\n"


def _states(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _objections(drafts: list[Draft]) -> dict[str, int]:
    out: defaultdict[str, int] = defaultdict(int)
    for draft in drafts:
        for check in draft.objections:
            out[check] += 1
    return dict(sorted(out.items()))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{k} {n}" for k, n in counts.items())
