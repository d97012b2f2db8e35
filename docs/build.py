"""Build the documentation: ``python docs/build.py [--refresh] [-o DIR]``; needs the extra ``dev``.

The site is made offline with warnings as errors.  Pages under ``docs/generated`` come from the
code: the API's reference and "where do I change ...?" at every build; the gallery (what every
example prints and draws; pictures in ``docs/pictures/gallery``) and the validation evidence
(`irplan validate ablation`) with ``--refresh [gallery|evidence]``, which takes minutes and says so
on the page with date and version.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
GENERATED = DOCS / "generated"
PACKAGES = (
    "geometry", "image", "phantom", "segmentation", "registration", "ablation", "planning",
    "guidance", "fluoroscopy", "procedure", "dicom", "files", "viz", "reports", "studies",
)  # fmt: skip


def api_page(name: str) -> str:
    """Public names of a package with signature and docstring."""
    package = importlib.import_module(f"irplan.{name}")
    parts = [f"# irplan.{name}\n", (inspect.getdoc(package) or "").strip(), ""]
    for public in sorted(getattr(package, "__all__", ()), key=str.lower):
        thing = getattr(package, public)
        if inspect.ismodule(thing):
            continue
        callable_ = inspect.isclass(thing) or inspect.isroutine(thing)
        parts += [f"## {public}", ""]
        if callable_:
            parts += ["```text", f"{public}{_signature(thing)}", "```", ""]
            documentation = inspect.getdoc(thing) or ""
            parts += ["```text", documentation.replace("```", "'''"), "```", ""]
            parts += _methods(thing) if inspect.isclass(thing) else []
        else:
            parts += [f"A constant of type `{type(thing).__name__}`.", ""]
    return "\n".join(parts) + "\n"


def _methods(kind: type) -> list[str]:
    rows = []
    for name, member in vars(kind).items():
        raw = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        raw = raw.fget if isinstance(raw, property) else raw
        if name.startswith("_") or not inspect.isfunction(raw) or not raw.__doc__:
            continue
        first = inspect.cleandoc(raw.__doc__).split("\n\n")[0].replace("\n", " ").replace("|", "/")
        rows.append(f"| `{name}` | {first.replace('``', '`')} |")
    return ["| member | |", "|---|---|", *rows, ""] if rows else []


def _signature(thing: object) -> str:
    """A short one on a line, a long one with a line a parameter."""
    try:
        found = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "(...)"
    bare = found.replace(
        parameters=[p.replace(annotation=_bare(p.annotation)) for p in found.parameters.values()],
        return_annotation=found.empty if inspect.isclass(thing) else _bare(found.return_annotation),
    )
    text = str(bare)
    if len(text) <= 80 or not bare.parameters:
        return text
    parts, kind = [], None
    for p in bare.parameters.values():
        if p.kind == p.KEYWORD_ONLY and kind not in (p.KEYWORD_ONLY, p.VAR_POSITIONAL):
            parts.append("*")
        parts.append(str(p))
        kind = p.kind
    end = "" if bare.return_annotation is bare.empty else f" -> {bare.return_annotation!r}"
    return "(\n    " + ",\n    ".join(parts) + f",\n){end}"


class _Bare(str):
    """An annotation as it is written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def where_page() -> str:
    """The map of the code in CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    start = text.index("## Where do I change")
    end = text.index("\n## ", start + 5)
    return "# " + text[start + 3 : end].strip() + "\n"


def gallery_page() -> str:
    """Every example with what it printed and drew; the pictures go to docs/pictures/gallery."""
    pictures = DOCS / "pictures" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    parts = [
        "# Gallery\n",
        f"Printed and drawn by `python examples/NAME.py`, {_today()}; synthetic patients only.",
        "",
    ]
    for script in sorted((ROOT / "examples").glob("*.py")):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
            done = subprocess.run(
                [sys.executable, str(script)], capture_output=True, text=True, check=True,
                cwd=folder, env=environment,
            )  # fmt: skip
            shutil.copy(Path(folder) / f"{script.stem}.png", pictures)
        seconds = time.perf_counter() - started
        text = script.read_text(encoding="utf-8")
        about = text.split('"""')[1].split("\n\n")[0]
        parts += [
            f"## {script.name}", "", about, "",
            f"![{about}](../pictures/gallery/{script.stem}.png)", "",
            "```text", done.stdout.rstrip(), "```", "",
            f"({seconds:.0f} s)", "", "```python", text.rstrip(), "```", "",
        ]  # fmt: skip
    return "\n".join(parts)


def evidence_page() -> str:
    """What `irplan validate ablation` finds, a table a case."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "evidence.json"
        command = [sys.executable, "-m", "irplan.cli", "validate", "ablation", "-q"]
        subprocess.run(
            [*command, "--json", str(target)], stdout=subprocess.DEVNULL, check=False, cwd=ROOT
        )
        data = json.loads(target.read_text(encoding="utf-8"))
    return evidence_tables(data, _today())


def evidence_tables(data: dict[str, Any], when: str) -> str:
    """The page of `irplan validate ablation --json`."""
    rows = data["rows"]
    count = {v: sum(r["verdict"] == v for r in rows) for v in ("met", "MISSED", "shown")}
    parts = [
        "# Validation evidence: ablation\n",
        f"Printed by `irplan validate ablation --json`, {when}: {count['met']} demands met, "
        f"{count['MISSED']} missed; {count['shown']} rows without a demand are shown.\n",
    ]
    for case in dict.fromkeys(r["case"] for r in rows):
        parts += [f"## {case}\n", "| | quantity | measured | expected | tolerance | reference |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        for r in (r for r in rows if r["case"] == case):
            unit = f" {r['unit']}" if r["unit"] else ""
            sign = {"within": "±", "at_most": "≤", "at_least": "≥"}.get(r["rule"], "")
            cells = [
                r["verdict"], r["quantity"],
                "not found" if r["measured"] is None else f"{r['measured']:.4g}{unit}",
                "" if r["expected"] is None else f"{r['expected']:.4g}",
                "none" if r["limit"] is None else f"{sign} {r['limit']:.4g}",
                r["reference"] + (f" ({r['note']})" if r["note"] else ""),
            ]  # fmt: skip
            parts.append("| " + " | ".join(_cell(c) for c in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _cell(text: str) -> str:
    """Text as it is in a cell of a table: nothing of it is markup."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|$^~" else c for c in " ".join(text.split()))


def _today() -> str:
    version = importlib.import_module("irplan").__version__
    return f"{time.strftime('%Y-%m-%d')}, irplan {version}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    pages = {"gallery": gallery_page, "evidence": evidence_page}
    parser.add_argument(
        "--refresh", nargs="*", choices=tuple(pages), default=None,
        help="run the examples and the evidence again, or one of them",
    )  # fmt: skip
    parser.add_argument("-o", "--out", type=Path, default=DOCS / "_build")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    (GENERATED / "api").mkdir(parents=True, exist_ok=True)
    names = [p for p in PACKAGES if (ROOT / "irplan" / p / "__init__.py").exists()]
    for name in names:
        _write(GENERATED / "api" / f"{name}.md", api_page(name))
    toc = "\n".join(names)
    index = "# API reference\n\nPublic names of each package; units are in the names.\n\n"
    _write(GENERATED / "api" / "index.md", index + f"```{{toctree}}\n:maxdepth: 1\n\n{toc}\n```\n")
    _write(GENERATED / "where.md", where_page())
    if asked.refresh is not None:
        for name in asked.refresh or pages:
            _write(GENERATED / f"{name}.md", pages[name]())
    command = ["-b", "html", "-W", "--keep-going", "-q", str(DOCS), str(asked.out)]
    raise SystemExit(subprocess.run([sys.executable, "-m", "sphinx", *command]).returncode)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
