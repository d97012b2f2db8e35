"""Study files: TOML read strictly into a `Study`; docs/studies.md is the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irplan.errors import InputError
from irplan.files.toml_change import HOWS
from irplan.files.toml_table import TomlTable, load_toml, require_schema
from irplan.studies.design import KINDS, Design
from irplan.studies.factor import Factor, Value
from irplan.studies.plan_task import PlanTask
from irplan.studies.python_task import PythonTask
from irplan.studies.simulate_task import SimulateTask
from irplan.studies.study import Case, Study, Task

#: The ``schema`` and ``schema_version`` of a study file.
STUDY_SCHEMA = "irplan-study"
STUDY_SCHEMA_VERSION = 1


def read_study(path: str | Path) -> Study:
    """The study in a TOML file; relative paths in it start at its folder.

    Raises `FileFormatError` with file, key path, got, expected and remedy for anything that is
    unknown, missing or of a wrong type, and what the task raises for its cases.
    """
    root = load_toml(path, what="study file")
    folder = Path(path).resolve().parent
    require_schema(root, STUDY_SCHEMA, STUDY_SCHEMA_VERSION)
    root.only("schema", "schema_version", "study", "case", "factor", "design")
    head = root.table("study", required=True)
    head.only("name", "task", "target", "zone", "limit_s")
    task = _task(head, folder)
    cases = tuple(_case(t, task, folder) for t in root.tables("case"))
    if not cases:
        raise root.wrong(
            "case", "none", "at least one [[case]]", 'Add [[case]] and source = "problem.toml".'
        )
    factors = tuple(_factor(t) for t in root.tables("factor"))
    table = root.table("design")
    table.only("kind", "runs", "seed")
    with table.located():
        design = Design(
            table.text("kind", "full-factorial", choices=KINDS),
            table.whole("runs", None, low=1, high=10**7),
            table.whole("seed", 0, low=0, high=2**31 - 1),
        )
    if not factors and design.kind != "full-factorial":
        raise root.wrong(
            "factor", "none", f"at least one [[factor]] for a {design.kind} design",
            "Add a [[factor]] with name, low and high.",
        )  # fmt: skip
    with root.located():
        return Study(
            head.text("name", Path(path).stem),
            task,
            cases,
            factors,
            design,
            head.number("limit_s", None, low=0.1, high=1e6),
        )


def _task(head: TomlTable, folder: Path) -> Task:
    given = head.text("task")
    if given != "simulate":
        for key in ("target", "zone"):
            if head.has(key):
                raise head.wrong(key, f"{key} with task {given!r}", "no such key", "Remove it.")
    if given == "simulate":
        return SimulateTask(head.text("target", None), head.text("zone", None))
    if given == "evaluate":
        return PlanTask()
    module, colon, function = given.rpartition(":")
    if not colon or not module or not function.isidentifier():
        raise head.wrong(
            "task", repr(given), "simulate, evaluate, module:function or file.py:function",
            'For example task = "simulate".',
        )  # fmt: skip
    if module.endswith(".py"):
        module = str(folder / Path(module).expanduser())
    return PythonTask(module, function)


def _case(table: TomlTable, task: Task, folder: Path) -> Case:
    table.only("name", "source")
    source = table.text("source")
    if not isinstance(task, PythonTask):
        path = folder / Path(source).expanduser()
        if not path.exists():
            raise table.wrong(
                "source", f"no '{source}'", "a problem file, or a plan's folder",
                "Check the path; it starts at the study file's folder.",
            )  # fmt: skip
        return Case(table.text("name", path.stem), str(path))
    near = folder / source
    try:
        there = near.exists()
    except (OSError, ValueError):  # any text may be a source, also one that no path can be
        there = False
    return Case(table.text("name", source), str(near) if there else source)


def _factor(table: TomlTable) -> Factor:
    table.only("name", "key", "keys", "low", "high", "choices", "how", "scale", "levels")
    if table.has("key") and table.has("keys"):
        raise table.wrong("keys", "key and keys", "one of them", "Remove one.")
    keys: Any = table.data.get("keys", [])
    if table.has("key"):
        keys = [table.text("key")]
    if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
        raise table.wrong("keys", "no list of texts", 'keys = ["a.b", "c.d"]', "Use brackets.")
    choices: Any = table.data.get("choices", [])
    if not isinstance(choices, list) or (table.has("choices") and not choices):
        raise table.wrong("choices", "no values", "a list of values", "choices = [1, 2, 3]")
    values: list[Value] = []
    for v in choices:
        if not isinstance(v, str | bool | int | float):
            raise table.wrong("choices", repr(v)[:40], "numbers or texts", "choices = [1, 2]")
        values.append(v)
    try:
        return Factor(
            table.text("name"),
            tuple(keys),
            table.number("low", None),
            table.number("high", None),
            tuple(values),
            table.text("how", "set", choices=HOWS),
            table.text("scale", "linear", choices=("linear", "log")),
            table.whole("levels", 3, low=2, high=10_000),
        )
    except InputError as error:
        raise table.wrong(
            "", f"{error.field}: {error.got}", error.expected, error.remedy
        ) from error
