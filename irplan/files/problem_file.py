"""Simulation problems as TOML: what is to be simulated, read strictly into domain objects.

docs/simulate.md is the reference of every key.  Points are LPS mm, lists of lengths run x, y, z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from irplan.ablation.applicator import Applicator
from irplan.ablation.device import Kind
from irplan.ablation.field.ire import PulseProtocol
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.problem import SPACING_LIMITS_MM, AblationProblem
from irplan.ablation.schedule import Phase, Schedule
from irplan.errors import InputError
from irplan.files.applicator_file import named_applicator, read_applicators
from irplan.files.problem_models import ModelSettings, read_models
from irplan.files.problem_schedule import read_schedule
from irplan.files.problem_tissue import read_problem_tissue
from irplan.files.toml_change import Change, changed
from irplan.files.toml_table import TomlTable, parse_toml, read_toml_text, require_schema
from irplan.geometry import Needle, Point3

#: The ``schema`` and ``schema_version`` of a problem file.
PROBLEM_SCHEMA = "irplan-problem"
PROBLEM_SCHEMA_VERSION = 1
#: Kinds that `example_problem` has a file for.
EXAMPLES: tuple[Kind, ...] = ("cryo", "rfa", "mwa", "ire")

_EXAMPLES = Path(__file__).parent / "examples"
_ROOT_KEYS = (
    "schema", "schema_version", "problem", "tissue", "applicator", "schedule", "lethal",
    "damage", "rfa", "ire", "solver", "monitor",
)  # fmt: skip


@dataclass(frozen=True)
class SolverSettings:
    """How to solve: allowed error in time, backend, cap on threads, frames of the animation."""

    time_error_mm: float = 0.06
    backend: str = "auto"
    threads: int | None = None
    frames: int = 30


@dataclass(frozen=True, eq=False)
class ProblemFile:
    """What a problem file asks for.

    ``lethal`` is the rule for cold; ``monitors`` are named LPS points; ``text`` is the file
    itself, to be kept with the results.
    """

    name: str
    kind: Kind
    text: str
    problem: AblationProblem
    lethal: LethalRule
    monitors: Mapping[str, Point3]
    solver: SolverSettings
    models: ModelSettings


def read_problem(path: str | Path) -> ProblemFile:
    """The problem in a TOML file; relative paths in it start at its folder.

    Raises `FileFormatError` with file, key path, got, expected and remedy for anything that is
    unknown, missing, of a wrong type or physically impossible.
    """
    file = Path(path)
    text = read_toml_text(file, what="problem file")
    return problem_from_text(text, name=file.name, folder=file.resolve().parent)


def example_problem(kind: str) -> str:
    """The text of a commented example file for ``kind``; `InputError` lists the kinds."""
    if kind not in EXAMPLES:
        raise InputError(
            "--example",
            got=repr(kind),
            expected="one of " + ", ".join(EXAMPLES),
            remedy="For example --example cryo",
        )
    return (_EXAMPLES / f"{kind}.toml").read_text(encoding="utf-8")


def problem_from_text(
    text: str, *, name: str, folder: Path, changes: tuple[Change, ...] = ()
) -> ProblemFile:
    """`read_problem` for text in memory; ``name`` stands for the file's in errors.

    ``changes`` are made to the document before it is read, so that they are checked like the rest.
    """
    root = parse_toml(text, name=name, what="problem file")
    if changes:
        root = replace(root, data=changed(root.data, changes))
    require_schema(root, PROBLEM_SCHEMA, PROBLEM_SCHEMA_VERSION)
    root.only(*_ROOT_KEYS)
    head = root.table("problem")
    head.only("name", "body_temperature_c", "applicators")
    own: dict[str, Applicator] = {}
    if head.has("applicators"):
        own = read_applicators(folder / Path(head.text("applicators")).expanduser())
    tables = root.tables("applicator")
    if not tables:
        raise root.wrong(
            "applicator", "none", "at least one [[applicator]]", "Add name, tip_mm and entry_mm."
        )
    placements = tuple(_placement(t, own) for t in tables)
    kind = _one_kind(tables, placements)
    models = read_models(root, kind)
    settings = root.table("solver")
    solver, spacing = _solver(settings)
    problem = read_problem_tissue(
        root.table("tissue", required=True),
        placements,
        _pulsing(root, models) if kind == "ire" else _schedules(root, tables),
        spacing_mm=spacing,
        body_temperature_c=head.number("body_temperature_c", 37.0, low=30.0, high=42.0),
        folder=folder,
    )
    return ProblemFile(
        name=head.text("name", Path(name).stem),
        kind=kind,
        text=text,
        problem=problem,
        lethal=_lethal(root, kind, problem),
        monitors=_monitors(root, problem),
        solver=solver,
        models=models,
    )


def _placement(table: TomlTable, own: Mapping[str, Applicator]) -> Placement:
    table.only("name", "tip_mm", "entry_mm", "schedule")
    applicator = named_applicator(table, own)
    with table.located():
        return Placement(Needle(table.point("tip_mm"), table.point("entry_mm")), applicator)


def _one_kind(tables: tuple[TomlTable, ...], placements: tuple[Placement, ...]) -> Kind:
    kind = placements[0].applicator.kind
    for table, placement in zip(tables, placements, strict=True):
        if placement.applicator.kind != kind:
            raise table.wrong(
                "name",
                f"'{placement.applicator.name}' of kind {placement.applicator.kind} beside {kind}",
                "applicators of one kind",
                "Simulate each kind in a file of its own.",
            )
    return kind


def _schedules(root: TomlTable, tables: tuple[TomlTable, ...]) -> Schedule | tuple[Schedule, ...]:
    """The common schedule, or one for each applicator where any has its own."""
    common = read_schedule(root.table("schedule")) if root.has("schedule") else None
    own = [read_schedule(t.table("schedule")) if t.has("schedule") else common for t in tables]
    for table, schedule in zip(tables, own, strict=True):
        if schedule is None:
            raise (root if common is None and len(tables) == 1 else table).wrong(
                "schedule",
                "nothing: no [schedule] for this applicator",
                "a table [schedule] for all, or one of the applicator's own",
                'For example [schedule] and phases = [{kind = "freeze", minutes = 10}]',
            )
    schedules = tuple(s for s in own if s is not None)
    return schedules[0] if all(s == schedules[0] for s in schedules) else schedules


def _pulsing(root: TomlTable, models: ModelSettings) -> Schedule:
    """What stands for a schedule where the pulse protocol times all: one train of pulses."""
    if root.has("schedule"):
        raise root.wrong(
            "schedule", "a schedule for electroporation", "no [schedule]: [ire] times the pulses",
            "Remove it; set pulses and rate_hz in [ire].",
        )  # fmt: skip
    protocol = models.ire or PulseProtocol()
    train_s = protocol.pulses / protocol.rate_hz
    return Schedule((Phase("power", min(7200.0, max(1.0, train_s)), 1.0),))


def _solver(table: TomlTable) -> tuple[SolverSettings, tuple[float, float, float]]:
    """Settings and voxel size x, y, z."""
    table.only("spacing_mm", "time_error_mm", "backend", "threads", "frames")
    low, high = SPACING_LIMITS_MM
    if isinstance(table.data.get("spacing_mm"), list):
        spacing = table.numbers("spacing_mm", 3, words="one voxel size, or [x, y, z], in mm")
        if not all(low <= s <= high for s in spacing):
            raise table.wrong(
                "spacing_mm", f"{list(spacing)}", f"{low:g} to {high:g} mm each", "1 is usual."
            )
    else:
        spacing = (table.number("spacing_mm", 1.0, low=low, high=high),) * 3
    settings = SolverSettings(
        time_error_mm=table.number("time_error_mm", 0.06, low=0.005, high=0.5),
        backend=table.text("backend", "auto", choices=("auto", "cpu", "cuda")),
        threads=table.whole("threads", None, low=1, high=1024),
        frames=table.whole("frames", 30, low=0, high=400),
    )
    return settings, spacing


def _lethal(root: TomlTable, kind: Kind, problem: AblationProblem) -> LethalRule:
    table = root.table("lethal")
    if root.has("lethal") and kind != "cryo":
        raise root.wrong(
            "lethal", f"a rule for ice with applicators of kind {kind}", "no [lethal]",
            "Remove it; [damage] is for heat.",
        )  # fmt: skip
    given = problem.schedule
    freezes = max(s.freeze_count for s in ((given,) if isinstance(given, Schedule) else given))
    if not table.has("cycles"):
        table = TomlTable(table.file, table.path, {**table.data, "cycles": max(1, freezes)})
    rule = table.build(LethalRule)
    if kind == "cryo" and rule.cycles > freezes:
        raise table.wrong(
            "cycles", f"{rule.cycles} with {freezes} freeze phases in the schedule",
            f"at most {freezes}", "Lower it, or add a freeze.",
        )  # fmt: skip
    return rule


def _monitors(root: TomlTable, problem: AblationProblem) -> dict[str, Point3]:
    found: dict[str, Point3] = {}
    for table in root.tables("monitor"):
        table.only("name", "point_mm")
        name, point = table.text("name"), table.point("point_mm")
        if name in found:
            raise table.wrong("name", f"'{name}' twice", "a name of its own", "Rename one.")
        if not bool(problem.grid.contains(point)):
            raise table.wrong(
                "point_mm", f"{list(point)}, outside the simulated box", "a point inside it",
                "Move the point, or enlarge tissue.margin_mm or box_mm.",
            )  # fmt: skip
        found[name] = point
    return found
