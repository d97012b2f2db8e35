"""A factor: what a study varies, between which values, and where it acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from irplan.errors import InputError
from irplan.files.toml_change import HOWS, How

Scale = Literal["linear", "log"]
Value = float | int | str | bool
#: Largest number of a factor: ranges and ratios of ends stay finite.
_MOST = 1e150


@dataclass(frozen=True)
class Factor:
    """One varied quantity.

    Parameters
    ----------
    name : column of the table; letters, digits, ``_``; put the unit in it (``distance_mm``).
    keys : places the value goes to, as the task understands them; () gives the name itself.
    low, high : ends of the range; both None where ``choices`` are given.
    choices : the values themselves (numbers, text or truth values).
    how : whether the value is ``set``, ``add``-ed to or ``multiply``-ed with what is there.
    scale : ``log`` spreads evenly in the logarithm (low > 0).
    levels : number of values of a full factorial between low and high, ends included.

    Raises
    ------
    InputError : the field that cannot be.
    """

    name: str
    keys: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] = ()
    how: How = "set"
    scale: Scale = "linear"
    levels: int = 3

    def __post_init__(self) -> None:
        name: Any = self.name
        if not isinstance(name, str):
            raise InputError(
                "factor: name", got=repr(self.name)[:40], expected="text", remedy="distance_mm"
            )
        if not self.name.replace("_", "").isalnum() or not self.name.isascii():
            raise self._wrong("name", repr(self.name), "letters, digits and _", "distance_mm")
        given: Any = self.keys  # one text is one key, not its letters
        keys = (given,) if isinstance(given, str) else tuple(given)
        if not all(isinstance(k, str) for k in keys):
            raise self._wrong("keys", repr(keys)[:80], "texts", 'keys = ("tissue.x",)')
        object.__setattr__(self, "keys", keys or (self.name,))
        object.__setattr__(self, "choices", tuple(self.choices))
        if self.how not in HOWS:
            raise self._wrong("how", repr(self.how), "one of " + ", ".join(HOWS), '"set"')
        if self.scale not in ("linear", "log"):
            raise self._wrong("scale", repr(self.scale), "linear or log", '"linear"')
        if self.choices:
            self._check_choices()
        else:
            self._check_range()

    @property
    def numeric(self) -> bool:
        """Whether every value is a number, so that a response can be drawn over it."""
        return not any(isinstance(v, str | bool) for v in self.choices)

    def value(self, share: float) -> Value:
        """The value at ``share`` (0..1) of the range, or the choice that this share falls to."""
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        assert self.low is not None
        assert self.high is not None
        if self.scale == "log":
            found = self.low * (self.high / self.low) ** share
        else:
            found = self.low + (self.high - self.low) * share
        if share >= 1.0:
            return float(self.high)
        return float(min(max(found, self.low), self.high))  # rounding stays within the range

    def level_values(self) -> tuple[Value, ...]:
        """Values of a full factorial."""
        if self.choices:
            return self.choices
        return tuple(self.value(n / (self.levels - 1)) for n in range(self.levels))

    def extremes(self) -> tuple[Value, ...]:
        """The values to try before anything is computed: the ends, or every choice."""
        return self.choices or (self.value(0.0), self.value(1.0))

    def _check_choices(self) -> None:
        if self.low is not None or self.high is not None:
            raise self._wrong(
                "choices", "choices and a range", "one of them", "choices = [1, 2, 3]"
            )
        given: tuple[Any, ...] = self.choices
        for v in given:
            if not isinstance(v, str | bool | int | float):
                got = f"a {type(v).__name__}"
                raise self._wrong(
                    "choices", got, "numbers, texts or truth values", "choices = (1, 2)"
                )
        if len({(type(v), v) for v in self.choices}) < len(self.choices):
            raise self._wrong("choices", "a value twice", "different values", "choices = [1, 2, 3]")
        for v in self.choices:
            if not isinstance(v, str) and not -_MOST <= v <= _MOST:
                raise self._wrong(
                    "choices",
                    f"{v:g}" if isinstance(v, float) else "a huge number",
                    "finite numbers or text",
                    "choices = [1, 2]",
                )

    def _check_range(self) -> None:
        low, high = self.low, self.high
        if low is None or high is None:
            raise self._wrong("low, high", "no range", "low and high, or choices", "low = 1")
        ends: tuple[Any, Any] = (low, high)
        for end in ends:
            if isinstance(end, bool) or not isinstance(end, int | float):
                raise self._wrong("low, high", repr(end)[:40], "numbers", "low = 1")
        if not -_MOST <= low < high <= _MOST:
            raise self._wrong("low, high", f"{low}, {high}"[:80], "low < high, finite", "low = 1")
        if self.scale == "log" and low < 1.0 / _MOST:
            raise self._wrong("low", f"{low:g} on a log scale", "above 0", 'scale = "linear"')
        levels: Any = self.levels
        whole = isinstance(levels, int) and not isinstance(levels, bool)
        if not whole or not 2 <= self.levels <= 10_000:
            raise self._wrong("levels", str(self.levels), "2 to 10000", "levels = 3")

    def _wrong(self, field: str, got: str, expected: str, example: str) -> InputError:
        return InputError(
            f"factor '{self.name}': {field}",
            got=got,
            expected=expected,
            remedy=f"For example {example}.",
        )
