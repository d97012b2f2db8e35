"""Parsing of command-line values into numbers, with errors that name the option."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from irplan.errors import InputError

if TYPE_CHECKING:
    from irplan.ablation.schedule import Schedule
    from irplan.geometry import Point3


def numbers(text: str, *, option: str, separator: str, count: int, example: str) -> list[float]:
    """Exactly ``count`` finite numbers from ``text``; `InputError` naming the option."""
    parts = text.split(separator)
    try:
        values = [float(p) for p in parts]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(v) for v in values):
        raise InputError(
            option,
            got=repr(text),
            expected=f"{count} numbers separated by '{separator}'",
            remedy=f"For example {option} {example}",
        )
    return values


def parse_point(text: str, *, option: str = "--target-point") -> Point3:
    """``"x,y,z"`` -> LPS mm."""
    x, y, z = numbers(text, option=option, separator=",", count=3, example="-62,18,-140")
    return (x, y, z)


def parse_probes(text: str) -> int | None:
    """``"auto"`` -> None, ``"3"`` -> 3 (1 to 10)."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10:
        raise InputError(
            "--probes",
            got=repr(text),
            expected="'auto' or a whole number from 1 to 10",
            remedy="For example --probes 3",
        )
    return int(text)


def parse_timing(schedule: str | None, power: str | None, modality: str) -> Schedule | None:
    """What is done over time, from ``"10-8-10"`` (cryo) or ``"60,10"`` (W, min); None: chosen.

    `InputError` where one is given that does not belong to the modality.
    """
    from irplan.ablation.schedule import Schedule

    if modality == "cryo":
        wrong = "--power" if power is not None else ""
    else:
        wrong = "--schedule" if schedule is not None else "--power" if modality == "ire" else ""
        wrong = wrong if schedule is not None or power is not None else ""
    if wrong:
        raise InputError(
            wrong,
            got=f"{wrong} with --modality {modality}",
            expected="--schedule for cryo, --power for mwa and rfa, neither for ire",
            remedy="Leave it out.",
        )
    if power is not None:
        watt, minutes = numbers(power, option="--power", separator=",", count=2, example="60,10")
        return Schedule.constant_power(watt, minutes)
    if modality == "cryo":
        return parse_schedule("10-8-10" if schedule is None else schedule)
    return None


def parse_schedule(text: str) -> Schedule:
    """``"10-8-10"`` -> freeze, passive thaw, freeze in minutes."""
    from irplan.ablation.schedule import Schedule

    freeze, thaw, refreeze = numbers(
        text, option="--schedule", separator="-", count=3, example="10-8-10"
    )
    if not all(0.1 <= minutes <= 120.0 for minutes in (freeze, thaw, refreeze)):
        raise InputError(
            "--schedule",
            got=repr(text),
            expected="three lengths of 0.1 to 120 minutes",
            remedy="For example --schedule 10-8-10",
        )
    return Schedule.freeze_thaw_freeze(freeze, thaw, refreeze)


def parse_rules(texts: Iterable[str]) -> dict[str, float]:
    """``["max_tilt=30", "gallbladder.hard_mm=3"]`` -> values by name, each name once."""
    out: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.strip()
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise InputError(
                "--rule",
                got=repr(text),
                expected="NAME=VALUE with a number",
                remedy="For example --rule max_length=120 or --rule gallbladder.hard_mm=3",
            )
        if name in out:
            raise InputError(
                "--rule",
                got=f"'{name}' twice",
                expected="each rule once",
                remedy="Leave one of them out.",
            )
        out[name] = number
    return out


def modules_here(specs: Iterable[str]) -> None:
    """Let ``module:function`` be found in the present folder, after everything installed.

    Only when the user names one: no file that happens to lie here is ever imported otherwise.
    """
    here = str(Path.cwd())
    if here not in sys.path and any(":" in s and s.split(":")[0].isidentifier() for s in specs):
        sys.path.append(here)
