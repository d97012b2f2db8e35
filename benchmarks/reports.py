"""Random cases through the whole report: ``python -m benchmarks.reports`` (300 cases).

Each case is a log with anything present, missing, corrected or hostile.  An independent reader then
works from report.json and the log's lines alone: the schema holds, every value is found or computed
again at its sources, no filled field lacks a source, no two sides stand unnoticed.
"""

from __future__ import annotations

import json
import math
import random
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema

from benchmarks.measure import arguments, report, row
from irplan.files.report_file import report_to_json
from irplan.procedure.events import NewEvent, Source
from irplan.procedure.log import ProcedureLog
from irplan.procedure.report import draft_report
from irplan.procedure.report_document import Impression, ReportDocument, event_lines
from irplan.reports.impression import rule_impression
from irplan.reports.procedure_language import load_language

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }} {% raw %}",
    '#eval("1") $x$ *b* _i_ `c` [l] @ref <lab> \\ ~',
    "患者 花子",
    "مريض ‏أحمد",
    "Žofie Ångström-Ñuñez",
    "a‮gnp.exe",
    "=cmd|' /C calc'!A0",
    "Ω̈ Ю ﬁ 👩‍⚕️",
    "&lt;b&gt; &amp;",
    'it\'s "quoted"; DROP TABLE',
)
START = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
SCHEMA = (
    Path(__file__).parents[1] / "irplan" / "files" / "schemas" / "procedure-report-1.schema.json"
)


def random_events(rng: random.Random) -> list[NewEvent]:
    """Events of one procedure; some kinds are left out, some sides contradict each other."""
    out: list[NewEvent] = []
    minutes = 0.0

    def add(kind: str, chance: float = 0.85, **data: Any) -> None:
        nonlocal minutes
        minutes += rng.uniform(0.0, 3.0)
        kept = {k: v for k, v in data.items() if v is not None}
        if kept and rng.random() < chance:
            how = rng.choice(("typed", "device", "recognition"))
            at = START + timedelta(minutes=minutes)
            out.append(NewEvent(kind, kept, Source(how, who=name()), at))  # type: ignore[arg-type]

    def name() -> str:
        return rng.choice(HOSTILE) if rng.random() < 0.3 else f"Name {rng.randrange(99)}"

    def maybe(value: Any, chance: float = 0.7) -> Any:
        return value if rng.random() < chance else None

    def number(low: float, high: float) -> float:
        return round(rng.uniform(low, high), rng.choice((0, 1, 2, 5)))

    def point() -> list[float]:
        return [number(-150, 150) for _ in range(3)]

    side = rng.choice(("left", "right"))

    def a_side() -> str | None:
        other = "left" if side == "right" else "right"
        return maybe(other if rng.random() < 0.06 else side)

    add("case", patient_id=f"P{rng.randrange(9999)}", patient_name=maybe(name()),
        sex=maybe(rng.choice("MFOU")), birth_date=maybe("1970-01-02"), accession=maybe("A1"),
        study_uids=maybe([f"1.2.{rng.randrange(999)}"]))  # fmt: skip
    for item in ("indication", "mdt", "asa", "consent", "allergy"):
        add("clinical", 0.6, item=item, text=name())
    for _ in range(rng.randrange(3)):
        add("lab", name=rng.choice(("INR", "Hb")), value=number(0, 9), unit="1")
    add("staff", role="operator", name=name())
    add("anaesthesia", method=rng.choice(("general", "local")))
    add("checklist", step="time_out", complete=rng.random() < 0.9, side=a_side())
    lesions = [f"T{n + 1}" for n in range(rng.choice((1, 1, 1, 2)))]
    organ = rng.choice(("liver", "kidney", "lung"))
    for lesion in lesions:
        add("lesion", 0.9, lesion=lesion, organ=organ, side=a_side(),
            segment=maybe(rng.choice(("VII", "2", "4a", "IX", "5"))),
            size_mm=maybe([number(5, 60) for _ in range(rng.randrange(1, 4))]),
            near=maybe([name(), "vein"]))  # fmt: skip
    energy = rng.choice(("cryo", "rfa", "mwa", "ire"))
    add("technique", energy=energy, route=maybe("percutaneous"), guidance=maybe(["CT", "US"]))
    needles = range(1, rng.randrange(1, 6))
    for status in ("planned", "placed", "moved"):
        for n in needles:
            add("needle", 0.9 if status != "moved" else 0.15, number=n, status=status,
                lesion=maybe(rng.choice(lesions)), entry_mm=maybe(point(), 0.9),
                tip_mm=maybe(point(), 0.9),
                frame_uid=maybe(rng.choice(("1.2", "1.3")), 0.2))  # fmt: skip
    phase = {"cryo": "freeze", "ire": "pulses"}.get(energy, "heat")
    for cycle in range(1, rng.randrange(1, 4)):
        add("phase", action="start", phase=phase, cycle=cycle, needles=list(needles) or None)
        add("reading", needle=1, temperature_c=number(-150, 100), power_w=maybe(number(1, 99)))
        add("phase", action="stop", phase=phase, cycle=cycle, needles=list(needles) or None,
            power_w=maybe(number(1, 100)), energy_kj=maybe(number(1, 100)))  # fmt: skip
    add("adjunct", 0.4, what="hydrodissection", volume_ml=number(1, 500), agent=maybe(name()))
    for _ in range(rng.randrange(3)):
        add("contrast", agent="iohexol", volume_ml=number(1, 100))
    add("drug", 0.5, name=name(), dose=maybe(number(1, 9)), unit="g", purpose="antibiotic")
    for _ in range(rng.randrange(5)):
        add("imaging", modality=rng.choice(("CT", "CBCT", "RUN", "FLUOROSCOPY")),
            kap_gy_cm2=maybe(number(0, 9)), dlp_mgy_cm=maybe(number(1, 500)))  # fmt: skip
    add("dose_total", 0.4, kap_gy_cm2=number(0, 50), air_kerma_mgy=maybe(number(1, 900)),
        fluoroscopy_s=maybe(number(1, 900)), runs=maybe(rng.randrange(9)))  # fmt: skip
    for lesion in lesions:
        add("verification", lesion=maybe(lesion), zone_mm=maybe([number(10, 60) for _ in range(3)]),
            minimal_margin_mm=maybe(number(-3, 9)), covered_percent=maybe(number(90, 100)),
            technical_success=maybe(rng.choice(("yes", "no", "not_assessed"))),
            side=a_side())  # fmt: skip
    add("complication", 0.7, observed=False)
    add("complication", 0.2, observed=True, text=name(), grading="CIRSE 2017", grade="2")
    add("follow_up", 0.6, text=name())
    add("note", 0.4, text=name())
    return out


def make_case(folder: Path, seed: int) -> None:
    """A log in ``folder`` with random events and corrections."""
    rng = random.Random(seed)
    with ProcedureLog.create(folder) as log:
        done = list(log.append_many(random_events(rng)))
        for event in rng.sample(done, min(len(done), rng.randrange(4))):
            new: dict[str, Any] = {"corrects": event.seq, "why": "slip"}
            if rng.random() < 0.3:
                new |= {"action": "withdraw"}
            else:
                data = dict(event.data)
                for key, value in data.items():
                    if isinstance(value, float):
                        data[key] = value / 2 if value > 0 else value
                new |= {"action": "replace", "kind": event.kind, "data": data}
            log.append("correction", new, source=Source("typed", who="c"))


def report_of(folder: Path, language: str = "en") -> str:
    """The text of report.json for the log in ``folder``."""
    with ProcedureLog.open(folder, readonly=True) as log:
        events = list(log.events())
    report = draft_report(events, log_state="intact")
    words = load_language(language)
    said = Impression(rule_impression(report, words))
    return report_to_json(ReportDocument(report, language, said, event_lines(report, events)))


def faults(text: str, log_lines: list[dict[str, Any]]) -> list[str]:
    """What is wrong with a report, by an independent reading of its JSON and of the log's lines."""
    data = json.loads(text)
    out = [
        e.message
        for e in jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(data)
    ]
    lines = {e["event"]["seq"]: e for e in log_lines}
    sides: dict[str, set[str]] = {}
    for section in data["sections"]:
        for field in section["fields"]:
            where = f"{section['key']}[{section['item']}].{field['key']}"
            if (field["state"] == "missing") != (not field["sources"]):
                out.append(f"{where}: state and sources disagree")
            if field["state"] != "recorded" or not field["sources"]:
                continue
            found = [_found(s, lines, out, where) for s in field["sources"]]
            if None not in found and not _follows(field, [f for f in found if f], field["value"]):
                out.append(f"{where}: {field['value']!r} does not follow by {field['rule']}")
            if field["key"] == "side":
                sides.setdefault(section["item"], set()).add(str(field["value"]))
    judged = {c["name"]: c["status"] for c in data["checks"]}
    stated = _sides(lines)
    contradiction = any(len(s) > 1 for s in stated.values())
    if contradiction != (judged["laterality"] == "error"):
        out.append(f"sides {stated} were judged '{judged['laterality']}'")
    said = " ".join(data["impression"]["sentences"])
    for number in re.findall(r"(?<![\w.,])\u2212?\d+(?:\.\d+)?(?![\w])", said):
        if number.replace("\u2212", "-") not in _all_numbers(data):
            out.append(f"the impression's {number} is no field's")
    return out


def _found(source: dict[str, Any], lines: dict[int, Any], out: list[str], where: str) -> Any:
    line = lines.get(source["seq"])
    if line is None or line["sha256"] != source["sha256"]:
        out.append(f"{where}: its event is not in the log")
        return None
    event = line["event"]
    if source["path"] == "at":
        return event["at"], event
    held = event["data"]["data"] if event["kind"] == "correction" else event["data"]
    if source["path"] not in held:
        out.append(f"{where}: its event does not state {source['path']}")
        return None
    return held[source["path"]], event


def _follows(field: dict[str, Any], found: list[Any], value: Any) -> bool:
    values, events, rule = [f[0] for f in found], [f[1] for f in found], field["rule"]
    if rule == "same":
        return bool(value == values[-1])
    if rule == "listed":
        flat = [str(x) for v in values for x in (v if isinstance(v, list) else [v])]
        return set(value) == set(flat) and len(value) == len(set(flat))
    if rule == "count":
        return bool(value == len(values))
    if rule == "time":
        return bool(value == events[-1]["at"])
    if rule in ("sum", "whole_sum"):
        return math.isclose(value, sum(values), rel_tol=1e-12, abs_tol=1e-12)
    if rule in ("least", "most"):
        return bool(value == (min if rule == "least" else max)(values))
    if rule == "distance":
        return math.isclose(value, _length(values[0], values[1]), abs_tol=1e-9)
    if rule == "least_distance":
        pairs = [_length(a, b) for n, a in enumerate(values) for b in values[:n]]
        return math.isclose(value, min(pairs), abs_tol=1e-9)
    if rule == "angle":
        u = [b - a for a, b in zip(values[0], values[1], strict=True)]
        v = [b - a for a, b in zip(values[2], values[3], strict=True)]
        cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
        dot = sum(a * b for a, b in zip(u, v, strict=True))
        return math.isclose(value, math.degrees(math.atan2(math.hypot(*cross), dot)), abs_tol=1e-4)
    if rule == "minutes":
        times = [datetime.fromisoformat(e["at"]) for e in events]
        spans = [(b - a).total_seconds() / 60 for a, b in zip(times[::2], times[1::2], strict=True)]
        return math.isclose(value, sum(spans), abs_tol=1e-9)
    if rule == "difference":
        return math.isclose(value, values[1] - values[0], abs_tol=1e-12)
    return False


def _length(a: list[float], b: list[float]) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5


def _sides(lines: dict[int, Any]) -> dict[str, set[str]]:
    """Sides a lesion by the log alone: the last correction counts, withdrawn events do not."""
    now: dict[int, tuple[str, dict[str, Any]] | None] = {}
    for seq, line in sorted(lines.items()):
        e = line["event"]
        if e["kind"] != "correction":
            now[seq] = (e["kind"], e["data"])
        elif e["data"]["action"] == "withdraw":
            now[e["data"]["corrects"]] = None
        elif now.get(e["data"]["corrects"]) is not None:
            now[e["data"]["corrects"]] = (e["data"]["kind"], e["data"]["data"])
    held = [v for v in now.values() if v is not None]
    lesions = {d["lesion"] for k, d in held if k == "lesion"}
    of_lesions = {d["side"] for k, d in held if k == "lesion" and "side" in d}
    out: dict[str, set[str]] = {}
    for kind, data in held:
        if kind in ("lesion", "plan", "verification", "checklist") and "side" in data:
            name = data.get("lesion")
            if name is None and len(lesions) <= 1:
                name = next(iter(lesions), "")
            if name is not None and (name in lesions or not lesions):
                out.setdefault(name, set()).add(data["side"])
            elif of_lesions and data["side"] not in of_lesions:  # of no lesion that is there
                out[f"{kind} {data['side']}"] = {data["side"], *of_lesions}
    return out


def _all_numbers(data: dict[str, Any]) -> set[str]:
    out: set[str] = set()
    for section in data["sections"]:
        for field in section["fields"]:
            values = field["value"] if isinstance(field["value"], list) else [field["value"]]
            for v in values:
                if isinstance(v, (int, float)) and not isinstance(v, bool):
                    forms = (
                        f"{v:.6g}",
                        f"{v:.1f}",
                        f"{v:.2g}",
                        f"{v:.12f}".rstrip("0").rstrip("."),
                    )
                    out |= set(forms)
                elif isinstance(v, str):
                    out |= set(re.findall(r"\d+(?:\.\d+)?", v))
    return out


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The log's lines as plain JSON."""
    return [json.loads(x) for x in (folder / "events.jsonl").read_text().splitlines()]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1000)
    given = parser.parse_args()
    wrong: list[str] = []
    fields = missing = contradictions = sides = 0
    with tempfile.TemporaryDirectory() as place:
        for seed in range(given.seed, given.seed + given.cases):
            folder = Path(place) / str(seed)
            make_case(folder, seed)
            text = report_of(folder, "en" if seed % 2 else "nl")
            found = faults(text, read_lines(folder))
            if seed % 2 == 0:  # decimal commas: the numbers of the impression are read in English
                found = [f for f in found if "impression" not in f]
            wrong += [f"case {seed}: {f}" for f in found]
            data = json.loads(text)
            states = [f["state"] for s in data["sections"] for f in s["fields"]]
            fields += states.count("recorded")
            missing += states.count("missing")
            errors = [c["name"] for c in data["checks"] if c["status"] == "error"]
            contradictions += len(errors)
            sides += "laterality" in errors
    print("\n".join(wrong[:20]))
    rows = [
        row(f"{given.cases} random cases: faults by the independent reader", len(wrong), "", "0",
            not wrong),
        row("filled fields, all traced to their sources and computed again", fields),
        row("fields shown as missing", missing),
        row("contradictions noticed", contradictions),
        row("of these, contradictions of side", sides),
    ]  # fmt: skip
    report("Draft reports", rows, json_file=given.json)


if __name__ == "__main__":
    main()
