"""A procedure report's page as PDF by typst, which brings everything it needs (extra "report")."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from irplan.errors import FileFormatError, InputError, MissingExtraError
from irplan.reports.procedure_language import Language
from irplan.reports.procedure_page import ProcedurePage
from irplan.reports.procedure_site import TEMPLATES, Site, no_state

#: Font of the PDF; it comes with matplotlib and has Latin, Greek, Cyrillic, Arabic, Armenian...
FONT = "DejaVu Sans"
_TEMPLATE = "procedure.typ"


def render_procedure_pdf(
    page: ProcedurePage,
    language: Language,
    *,
    site: Site | None = None,
    timeline: bytes | None = None,
) -> bytes:
    """PDF; the same page gives the same bytes.  About a second.

    A character without a glyph in the font is set as [U+...] and the page says so, so that no name
    turns into boxes; a site names another font in site.toml.  Raises `MissingExtraError` without
    the extra "report", `FileFormatError` where a site's template is wrong.
    """
    try:
        import typst
    except ImportError as error:
        raise MissingExtraError("the PDF", package="typst", extra="report") from error
    site = site or Site()
    folder = _matplotlib_fonts() if site.pdf_font_folder is None else site.pdf_font_folder
    family = site.pdf_font or FONT
    fonts = [family] if family == FONT else [family, FONT]
    covered = _coverage((folder, _matplotlib_fonts()), tuple(fonts))
    missing: set[str] = set()
    count = 0

    def visible(text: str) -> str:
        nonlocal count
        out = []
        for c in text:
            if c in covered or c in "\n\t":
                out.append(c)
            else:
                count += 1
                missing.add(c)
                out.append(f"[U+{ord(c):04X}]")
        return "".join(out)

    data = {
        "page": _each_text(asdict(page), visible),
        "fonts": fonts,
        "foot": visible(page.footer[0]),
        "site": {"name": visible(site.name), "footer": visible(site.footer)},
        "timeline": timeline is not None,
        "timeline_title": language("timeline"),
    }
    data["no_glyph"] = language("no_glyph", n=count) if count else ""
    own = None if site.folder is None else site.folder / _TEMPLATE
    source = own if own is not None and own.is_file() else TEMPLATES / _TEMPLATE
    if b"banner" not in source.read_bytes():
        raise no_state(_TEMPLATE)
    with tempfile.TemporaryDirectory(prefix="irplan-pdf-") as place:
        room = Path(place)
        (room / "page.json").write_text(json.dumps(data), encoding="utf-8")
        (room / _TEMPLATE).write_bytes(source.read_bytes())
        if timeline is not None:
            (room / "timeline.png").write_bytes(timeline)
        try:
            made: Any = typst.compile(
                str(room / _TEMPLATE),
                root=str(room),
                font_paths=[str(f) for f in {folder, _matplotlib_fonts()}],
                ignore_system_fonts=True,
                package_path=str(room),
                package_cache_path=str(room),
                timestamp=0,
            )
        except typst.TypstError as error:
            raise FileFormatError(
                f"template '{_TEMPLATE}'",
                got=str(error)[:200],
                expected="a typst document that uses page.json",
                remedy="Mend the site's template; irplan's own is in irplan/reports/templates.",
            ) from error
    return bytes(made)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {k: _each_text(v, change) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(v, change) for v in value]
    return value


def _matplotlib_fonts() -> Path:
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf"


@cache
def _coverage(folders: tuple[Path, ...], families: tuple[str, ...]) -> frozenset[str]:
    """Characters that some regular face of ``families`` in ``folders`` has a glyph for."""
    from matplotlib.ft2font import FT2Font

    out: set[int] = set()
    found = set()
    for folder in dict.fromkeys(folders):
        for file in sorted(folder.glob("*")):
            if file.suffix.lower() not in (".ttf", ".otf", ".ttc"):
                continue
            try:
                font = FT2Font(str(file))
            except (RuntimeError, OSError):
                continue  # no font that FreeType reads
            if font.family_name in families and font.style_name in ("Regular", "Book", "Normal"):
                found.add(font.family_name)
                out |= set(font.get_charmap())
    absent = [f for f in families if f not in found]
    if absent:
        raise InputError(
            "pdf_font",
            got=f"'{absent[0]}', which is not in the font folder",
            expected="the family name of a font file there",
            remedy="Mend pdf_font or pdf_font_folder in site.toml.",
        )
    return frozenset(chr(c) for c in out)
