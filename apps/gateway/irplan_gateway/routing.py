"""Which processing a series gets: the site's rules, on headers under the site's names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass

from irplan.errors import InputError

_COMPARISON = re.compile(r"(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\Z")


@dataclass(frozen=True)
class Condition:
    """``name`` (the first filled of ``keywords``) fits ``pattern``.

    ``pattern`` is a comparison with a number (``"<=3"``) or words with ``*`` and ``?`` (case does
    not matter; ``|`` parts alternatives).
    """

    name: str
    keywords: tuple[str, ...]
    pattern: str

    def __post_init__(self) -> None:
        if not self.pattern.strip() or (
            self.pattern.strip()[0] in "<>" and not _COMPARISON.match(self.pattern.strip())
        ):
            raise InputError(
                f"condition '{self.name}'",
                got=repr(self.pattern),
                expected="words with * and ?, or a comparison such as <=3",
                remedy="Correct the pattern.",
            )

    def value(self, header: Mapping[str, str]) -> str:
        """What the header says under this name; empty where it says nothing."""
        return next((header[k] for k in self.keywords if header.get(k)), "")

    def holds(self, header: Mapping[str, str]) -> bool:
        """Whether the header fits; what is not there fits nothing but ``*``."""
        value = self.value(header)
        compared = _COMPARISON.match(self.pattern.strip())
        if compared:
            try:
                number = float(value)
            except ValueError:
                return False
            limit = float(compared[2])
            return {
                "<": number < limit,
                "<=": number <= limit,
                ">": number > limit,
                ">=": number >= limit,
            }[compared[1]]
        low = value.lower()
        return any(fnmatch.fnmatchcase(low, p.strip().lower()) for p in self.pattern.split("|"))


@dataclass(frozen=True)
class Rule:
    """Series with ``where`` true get ``run``; ``expect`` not met is an objection on every draft."""

    name: str
    where: tuple[Condition, ...]
    expect: tuple[Condition, ...]
    run: tuple[str, ...]
    min_images: int = 1

    def fits(self, header: Mapping[str, str], images: int) -> bool:
        """Whether the rule is for this series."""
        return images >= self.min_images and all(c.holds(header) for c in self.where)

    def objections(self, header: Mapping[str, str]) -> dict[str, str]:
        """Input outside of what the rule expects: check -> what was found."""
        return {
            f"input: {c.name} {c.pattern}": c.value(header) or "not stated"
            for c in self.expect
            if not c.holds(header)
        }


def keywords_of(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """Every header keyword that a rule looks at."""
    return tuple(dict.fromkeys(k for r in rules for c in (*r.where, *r.expect) for k in c.keywords))
