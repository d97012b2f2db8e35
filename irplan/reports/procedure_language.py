"""The words of a procedure report in one language, from a TOML file; a site may replace some."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from irplan.errors import FileFormatError, InputError

_FOLDER = Path(__file__).parent / "languages"
#: Tables that every language file has.
TABLES = ("words", "sections", "fields", "choices", "checks", "details", "timeline", "impression")


@dataclass(frozen=True)
class Language:
    """Words by table and key; ``decimal`` is the sign between whole and part."""

    name: str
    decimal: str
    tables: Mapping[str, Mapping[str, str]]

    def word(self, table: str, key: str) -> str:
        """The word; the key itself, in words, where the table has none (a site's own key)."""
        return self.tables[table].get(key, key.replace("_", " "))

    def __call__(self, key: str, **values: object) -> str:
        """A sentence of the table "words" with its places filled."""
        return self.tables["words"][key].format(**values)


def languages() -> tuple[str, ...]:
    """Names of the languages that are there."""
    return tuple(sorted(f.stem for f in _FOLDER.glob("*.toml")))


def load_language(name: str, site: Path | None = None) -> Language:
    """The language ``name``; words in ``site`` / NAME.toml replace those of the same key.

    Raises `InputError` for a language that is not there, `FileFormatError` for a site's file with a
    table or key that means nothing.
    """
    if name not in languages():
        raise InputError(
            "language",
            got=f"'{name[:20]}'",
            expected="one of " + ", ".join(languages()),
            remedy="Choose one, or add irplan/reports/languages/NAME.toml.",
        )
    data = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    own = {} if site is None else _site_words(site / f"{name}.toml", data)
    tables = {t: {**data[t], **own.get(t, {})} for t in TABLES}
    return Language(name, str(own.get("decimal", data["decimal"])), tables)


def _site_words(file: Path, known: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    if not file.is_file():
        return {}
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(file.name, f"no TOML ({type(error).__name__})") from error
    for table, words in data.items():
        if table == "decimal":
            continue
        if table not in TABLES or not isinstance(words, dict):
            raise _wrong(file.name, f"the table '{str(table)[:40]}'")
        for key, value in words.items():
            if key not in known[table] or not isinstance(value, str):
                raise _wrong(file.name, f"{table}.{str(key)[:40]}")
            _require_places(file.name, table, key, value, known[table][key])
    return data


def _require_places(name: str, table: str, key: str, value: str, ours: str) -> None:
    """A site's sentence may leave out places ``{...}`` of ours but not invent any."""
    from string import Formatter

    try:
        places = {p for _, p, _, _ in Formatter().parse(value) if p is not None}
        known = {p for _, p, _, _ in Formatter().parse(ours) if p is not None}
    except ValueError as error:
        raise _wrong(name, f"{table}.{key}, a sentence with a brace that is not closed") from error
    if not places <= known:
        raise _wrong(name, f"{table}.{key} with {{{sorted(places - known)[0][:40]}}}")


def _wrong(name: str, got: str) -> FileFormatError:
    return FileFormatError(
        f"site's words '{name}'",
        got=got,
        expected="tables and keys of irplan/reports/languages/en.toml",
        remedy="See docs/report.md.",
    )
