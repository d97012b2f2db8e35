"""TOML read strictly: every key is known, every value has its type, every error says where."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from irplan.errors import FileFormatError, IrplanError

Made = TypeVar("Made")
#: Marks a key that must be there.
REQUIRED: Any = object()


@dataclass(frozen=True)
class TomlTable:
    """One table of a TOML file: ``data`` found under the key ``path`` of the file ``file``."""

    file: str
    path: str
    data: dict[str, Any]

    def where(self, name: str = "") -> str:
        """File and key path, as errors name them."""
        at = ".".join(part for part in (self.path, name) if part)
        return f"'{self.file}' {at}".rstrip()

    def has(self, name: str) -> bool:
        """Whether the key is there."""
        return name in self.data

    def wrong(self, name: str, got: str, expected: str, remedy: str) -> FileFormatError:
        """The error to raise for the value of ``name``."""
        return FileFormatError(self.where(name), got=got, expected=expected, remedy=remedy)

    def only(self, *names: str) -> None:
        """Raise `FileFormatError` for the first key that is not among ``names``."""
        for key in self.data:
            if key in names:
                continue
            near = get_close_matches(key.lower(), names, 1, 0.55)
            remedy = f"Did you mean '{near[0]}'?" if near else "Remove it, or use one of these."
            raise self.wrong(key, "a key that means nothing here", _listed(names), remedy)

    def number(
        self, name: str, default: Any = REQUIRED, *, low: float = -math.inf, high: float = math.inf
    ) -> Any:
        """A finite float within ``low``..``high``; ``default`` where the key is absent."""
        value = self._get(name, default, "a number")
        if value is default and not self.has(name):
            return default
        expected = "a finite number"
        if low > -math.inf or high < math.inf:
            expected = f"a number from {low:g} to {high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, _shown(value), expected, "Write it without quotes.")
        if not (math.isfinite(value) and low <= value <= high):
            raise self.wrong(name, f"{value}", expected, "Check the unit; the key's name has it.")
        return float(value)

    def whole(self, name: str, default: Any = REQUIRED, *, low: int, high: int) -> Any:
        """A whole number within ``low``..``high``."""
        value = self.number(name, default, low=low, high=high)
        if value is default and not self.has(name):
            return default
        if value != int(value):
            raise self.wrong(name, f"{value}", "a whole number", "Leave the fraction out.")
        return int(value)

    def text(self, name: str, default: Any = REQUIRED, *, choices: Sequence[str] = ()) -> Any:
        """A string, one of ``choices`` where these are given."""
        expected = _listed(choices) if choices else "text in quotes"
        value = self._get(name, default, expected)
        if value is default and not self.has(name):
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, _shown(value), expected, "Write text in quotes.")
        if choices and value not in choices:
            near = get_close_matches(value.lower(), choices, 1, 0.5)
            remedy = f"Did you mean '{near[0]}'?" if near else "Use one of these."
            raise self.wrong(name, repr(value), expected, remedy)
        return value

    def flag(self, name: str, default: Any = REQUIRED) -> Any:
        """true or false."""
        value = self._get(name, default, "true or false")
        if value is not default and not isinstance(value, bool):
            raise self.wrong(name, _shown(value), "true or false", "Write it without quotes.")
        return value

    def numbers(self, name: str, count: int, default: Any = REQUIRED, *, words: str) -> Any:
        """Exactly ``count`` finite numbers; ``words`` says what they are."""
        value = self._get(name, default, words)
        if value is default and not self.has(name):
            return default
        if (
            not isinstance(value, list)
            or len(value) != count
            or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value)
            or not all(math.isfinite(v) for v in value)
        ):
            raise self.wrong(name, _shown(value), words, f"For example {name} = {[0] * count}")
        return tuple(float(v) for v in value)

    def point(self, name: str, default: Any = REQUIRED) -> Any:
        """A point: LPS mm."""
        return self.numbers(name, 3, default, words="[x, y, z] in LPS mm")

    def table(self, name: str, *, required: bool = False) -> TomlTable:
        """The table ``name`` (an empty one where it is absent and not required)."""
        value = self._get(name, REQUIRED if required else {}, f"a table [{name}]")
        if not isinstance(value, dict):
            raise self.wrong(name, _shown(value), f"a table [{name}]", "Write it as a table.")
        return TomlTable(self.file, ".".join(p for p in (self.path, name) if p), value)

    def tables(self, name: str) -> tuple[TomlTable, ...]:
        """The tables [[name]] in order, none where the key is absent."""
        value = self.data.get(name, [])
        full = ".".join(p for p in (self.path, name) if p)
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.wrong(
                name, _shown(value), f"tables [[{full}]]", "Use double square brackets."
            )
        return tuple(TomlTable(self.file, f"{full}[{n + 1}]", v) for n, v in enumerate(value))

    @contextmanager
    def located(self, name: str = "") -> Iterator[None]:
        """What a constructor refuses inside is said with its place in the file."""
        try:
            yield
        except FileFormatError:
            raise
        except IrplanError as error:
            key = error.field.rsplit(".", 1)[-1]
            place = f"{self.where(name)} ({error.field})"
            raise FileFormatError(
                self.where(key) if not name and self.has(key) else place,
                got=error.got,
                expected=error.expected,
                remedy=error.remedy,
            ) from error

    def build(self, kind: type[Made], **given: Any) -> Made:
        """A frozen dataclass of scalar settings from the keys of this table.

        ``given`` sets fields that are not read from the file.
        """
        hints = get_type_hints(kind)
        mine = [f for f in fields(kind) if f.init and f.name not in given]  # type: ignore[arg-type]
        self.only(*(f.name for f in mine))
        values: dict[str, Any] = dict(given)
        for field in mine:
            if not self.has(field.name):
                if field.default is MISSING and field.default_factory is MISSING:
                    self._get(field.name, REQUIRED, "a value")
                continue
            values[field.name] = self._typed(field.name, hints[field.name])
        with self.located():
            return kind(**values)

    def _typed(self, name: str, hint: Any) -> Any:
        if get_origin(hint) in (Union, UnionType):
            hint = next(h for h in get_args(hint) if h is not NoneType)
        if hint is bool:
            return self.flag(name)
        if hint is int:
            return self.whole(name, low=-(2**31), high=2**31)
        if hint is float:
            return self.number(name)
        if get_origin(hint) is Literal:
            return self.text(name, choices=get_args(hint))
        if hint is str:
            return self.text(name)
        value = self.data[name]
        if not isinstance(value, list):
            raise self.wrong(name, _shown(value), "a list [...]", "Use square brackets.")
        try:
            return _frozen(value)
        except TypeError as error:
            raise self.wrong(
                name, _shown(value), "numbers, or lists of numbers", "Use square brackets."
            ) from error

    def _get(self, name: str, default: Any, expected: str) -> Any:
        if name in self.data:
            return self.data[name]
        if default is REQUIRED:
            raise self.wrong(name, "nothing: the key is missing", expected, f"Add '{name} = ...'.")
        return default


def load_toml(path: str | Path, *, what: str) -> TomlTable:
    """The root table of a TOML file; `FileFormatError` says what is wrong with it otherwise."""
    return parse_toml(read_toml_text(path, what=what), name=Path(path).name, what=what)


def read_toml_text(path: str | Path, *, what: str) -> str:
    """The text of a file that should be TOML; `FileFormatError` where it cannot be read."""
    file = Path(path)

    def fail(got: str, remedy: str) -> FileFormatError:
        return FileFormatError(
            f"{what} '{file.name or path}'", got=got, expected="a TOML file", remedy=remedy
        )

    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise fail(f"a file that cannot be read ({reason})", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise fail("bytes that are not UTF-8 text", "Give a TOML text file.") from error


def parse_toml(text: str, *, name: str, what: str) -> TomlTable:
    """`load_toml` for text that is already in memory; ``name`` stands in for the file's."""
    try:
        return TomlTable(name, "", tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        raise FileFormatError(
            f"{what} '{name}'",
            got=f"text that is not TOML ({reason})",
            expected="a TOML file",
            remedy="Mend that place; text needs quotes, lists square brackets.",
        ) from error


def require_schema(root: TomlTable, schema: str, version: int) -> None:
    """Raise `FileFormatError` unless the file says it is ``schema`` of at most ``version``."""
    got, number = root.data.get("schema"), root.data.get("schema_version")
    whole = isinstance(number, int) and not isinstance(number, bool)
    if got != schema or not whole or not 1 <= int(number or 0) <= version:
        raise FileFormatError(
            root.where("schema"),
            got=f"schema {_shown(got)}, schema_version {_shown(number)}",
            expected=f'schema = "{schema}" and schema_version = {version}',
            remedy="Write these two lines at the top of the file."
            if got != schema or not whole
            else "Use an irplan that knows this version.",
        )


def toml_value(value: Any) -> str:
    """A scalar or (nested) list as TOML text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    out = str(value).replace("\\", "\\\\").replace('"', '\\"')
    for raw, written in (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        out = out.replace(raw, written)
    return f'"{out}"'


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(v) for v in value)
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    raise TypeError


def _listed(names: Sequence[str]) -> str:
    return "one of " + ", ".join(names)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a table"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
