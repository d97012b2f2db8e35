"""What a site changes without code: templates, words, name and footer, in one folder.

Changed copies of irplan's templates: ``procedure.html.j2``, ``procedure.txt.j2``,
``procedure.typ``; words that replace irplan's: ``en.toml`` ...; ``site.toml``: name, footer, PDF
font, hidden sections.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from irplan.errors import FileFormatError, InputError
from irplan.files.toml_table import load_toml
from irplan.reports.procedure_language import load_language
from irplan.reports.procedure_page import ProcedurePage

TEMPLATES = Path(__file__).parent / "templates"
#: What a site's own template can raise while it is read and filled.
_TEMPLATE_FAULTS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Site:
    """A site's settings; ``folder`` None: irplan's own templates and words."""

    folder: Path | None = None
    name: str = ""
    footer: str = ""
    pdf_font: str = ""
    pdf_font_folder: Path | None = None
    hidden: tuple[str, ...] = ()


def load_site(folder: str | Path | None) -> Site:
    """The site in ``folder``; raises `InputError` or `FileFormatError` naming what is wrong."""
    if folder is None:
        return Site()
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise InputError(
            "--site",
            got=f"'{path.name}', which is no folder",
            expected="a folder with site.toml, templates or words",
            remedy="See docs/report.md.",
        )
    if not (path / "site.toml").is_file():
        return Site(path)
    root = load_toml(path / "site.toml", what="site's settings")
    root.only("name", "footer", "pdf_font", "pdf_font_folder", "hidden")
    hidden = root.data.get("hidden", [])
    if not isinstance(hidden, list) or not all(isinstance(h, str) for h in hidden):
        raise root.wrong("hidden", "no list of texts", "keys of sections", "hidden = ['lab']")
    known = load_language("en").tables["sections"]
    unknown = [h for h in hidden if h not in known]
    if unknown:
        listed = ", ".join(known)
        raise root.wrong("hidden", f"'{unknown[0][:40]}'", listed, "Name sections by their keys.")
    fonts = root.text("pdf_font_folder", "")
    return Site(
        path,
        root.text("name", ""),
        root.text("footer", ""),
        root.text("pdf_font", ""),
        path / fonts if fonts else None,
        tuple(hidden),
    )


def render_template(
    site: Site, name: str, p: ProcedurePage, *, html: bool, **content: object
) -> str:
    """A template of the site's, else irplan's, filled.  Site templates run in a sandbox.

    Raises `FileFormatError` with the line where a site's template is wrong, or where its page does
    not say in which state of review it is (``p.banner``).
    """
    folders = [TEMPLATES] if site.folder is None else [site.folder, TEMPLATES]
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folders),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        text = environment.get_template(name).render(site=site, p=p, **content)
    except _TEMPLATE_FAULTS as error:
        line = getattr(error, "lineno", None)
        raise _wrong(
            f"template '{name}'" + (f", line {line}" if line else ""),
            str(getattr(error, "message", None) or error or type(error).__name__)[:200],
            "a Jinja template that uses what irplan gives",
        ) from error
    if (escape(p.banner) if html else p.banner) not in text:
        raise no_state(name)
    return text


def no_state(name: str) -> FileFormatError:
    """The error of a template that would make a draft look like an accepted report."""
    return _wrong(
        f"template '{name}'",
        "a page that does not say whether the report is a draft",
        "the state of the review, p.banner, somewhere on it",
    )


def _wrong(field: str, got: str, expected: str) -> FileFormatError:
    return FileFormatError(
        field,
        got=got,
        expected=expected,
        remedy="Mend the site's template; irplan's own is in irplan/reports/templates.",
    )
