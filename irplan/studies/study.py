"""A study: a task, its cases, its factors and design; and the runs these make."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from irplan import __version__
from irplan.errors import InputError
from irplan.studies.design import Design, DesignPoints
from irplan.studies.factor import Factor, Value

Parameters = Mapping[str, Value]
Outputs = dict[str, float | int | str | bool | None]


@dataclass(frozen=True)
class Case:
    """What a task is computed on: ``name`` in the table, ``source`` as the task understands it."""

    name: str
    source: str


class Task(Protocol):
    """What is computed.  A task is pickled to the workers; what it keeps must allow that."""

    @property
    def name(self) -> str:
        """In a few words."""

    def content(self, case: Case) -> str:
        """A digest of everything that a result depends on besides factors and irplan's version."""

    def check(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> None:
        """Raise `IrplanError` where this cannot be computed; cheap."""

    def compute(self, case: Case, factors: tuple[Factor, ...], parameters: Parameters) -> Outputs:
        """The columns of the table; the same for the same arguments."""


@dataclass(frozen=True)
class StudyRun:
    """One computation: ``number`` from 0 in the table, ``key`` of its result."""

    number: int
    key: str
    case: Case
    parameters: Parameters


@dataclass(frozen=True, eq=False)
class Study:
    """Cases times the points of a design.

    Parameters
    ----------
    name : in words.
    task : what is computed.
    cases : at least one, names different.
    factors : what varies, names different; none computes each case once.
    design : how the factors' space is filled.
    limit_s : a run that takes longer is stopped and recorded as failed; None has no limit.

    Raises
    ------
    InputError : no case, a name twice, or more runs than a design may have.
    """

    name: str
    task: Task
    cases: tuple[Case, ...]
    factors: tuple[Factor, ...]
    design: Design
    limit_s: float | None = None
    points: DesignPoints = field(init=False, repr=False)
    _contents: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cases", tuple(self.cases))
        object.__setattr__(self, "factors", tuple(self.factors))
        if self.limit_s is not None and not 0.0 < self.limit_s < math.inf:
            raise InputError(
                "limit_s", got=str(self.limit_s), expected="seconds above 0, or None",
                remedy="For example limit_s = 60.",
            )  # fmt: skip
        if not self.cases:
            raise InputError(
                "case", got="no case", expected="at least one", remedy="Add a [[case]]."
            )
        for what, names in (
            ("case", [c.name for c in self.cases]),
            ("factor", [f.name for f in self.factors]),
        ):
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise InputError(
                    what, got=f"'{twice[0]}' twice", expected="a name of its own each",
                    remedy="Rename one.",
                )  # fmt: skip
        reserved = {"run", "case", "status", "message"} & {f.name for f in self.factors}
        if reserved:
            raise InputError(
                "factor", got=f"the name '{min(reserved)}'", expected="another name",
                remedy="The table has a column of that name already.",
            )  # fmt: skip
        object.__setattr__(self, "points", self.design.points(self.factors))
        object.__setattr__(self, "_contents", tuple(self.task.content(c) for c in self.cases))

    def __len__(self) -> int:
        return len(self.cases) * self.points.count

    def run(self, number: int) -> StudyRun:
        """Run ``number`` (0..len - 1): all points of the first case, then of the next."""
        at, point = divmod(number, self.points.count)
        values = self.points.point(point)
        parameters = dict(zip((f.name for f in self.factors), values, strict=True))
        case = self.cases[at]
        return StudyRun(number, self._key(at, parameters), case, parameters)

    def runs(self) -> Iterator[StudyRun]:
        """All runs, made one at a time."""
        return (self.run(n) for n in range(len(self)))

    def check(self) -> None:
        """Try the ends of every factor on every case without computing.

        Raises what the task raises, the factor and its value named.
        """
        from irplan.errors import IrplanError

        middle = {f.name: f.value(0.5) for f in self.factors}
        for case in self.cases:
            for name, value in [("", None)] + [
                (f.name, v) for f in self.factors for v in f.extremes()
            ]:
                parameters = dict(middle)
                if value is not None:
                    parameters[name] = value
                try:
                    self.task.check(case, self.factors, parameters)
                except IrplanError as error:
                    at = f"case '{case.name}'" + (f", {name} = {value}" if name else "")
                    raise InputError(
                        f"{at}: {error.field}",
                        got=error.got,
                        expected=error.expected,
                        remedy=error.remedy,
                    ) from error

    def identity(self) -> str:
        """A digest of all but the number of points: folders with the same one fit together."""
        return _digest(
            {
                "task": self.task.name,
                "contents": self._contents,
                "cases": [c.name for c in self.cases],
                "factors": [_of(f) for f in self.factors],
                "design": [self.design.kind, self.design.seed],
                "irplan": __version__,
            }
        )

    def _key(self, case: int, parameters: Parameters) -> str:
        acts = {f.name: [f.keys, f.how] for f in self.factors}
        return _digest([self._contents[case], acts, dict(parameters), __version__])


def _of(factor: Factor) -> dict[str, Any]:
    return {k: getattr(factor, k) for k in ("name", "keys", "low", "high", "choices", "how")} | {
        "scale": factor.scale,
        "levels": factor.levels,
    }


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
