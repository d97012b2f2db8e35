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

from irplan.errors import FileFormatError, InputError
from irplan.files.toml_table import load_toml

TEMPLATES = Path(__file__).parent / "templates"


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
    fonts = root.text("pdf_font_folder", "")
    return Site(
        path,
        root.text("name", ""),
        root.text("footer", ""),
        root.text("pdf_font", ""),
        path / fonts if fonts else None,
        tuple(hidden),
    )


def render_template(site: Site, name: str, *, html: bool, **content: object) -> str:
    """A template of the site's, else irplan's, filled.  Site templates run in a sandbox.

    Raises `FileFormatError` with the line where a site's template is wrong.
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
        return environment.get_template(name).render(site=site, **content)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise FileFormatError(
            f"template '{name}'" + (f", line {line}" if line else ""),
            got=str(error.message or type(error).__name__)[:200],
            expected="a Jinja template that uses what irplan gives",
            remedy="Mend the site's template; irplan's own is in irplan/reports/templates.",
        ) from error
