"""``site.toml``: everything a site decides, read strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword

from irplan.dicom.pacs_peer import Peer, parse_peer
from irplan.errors import FileFormatError
from irplan.files.toml_table import TomlTable, load_toml
from irplan_gateway.routing import Condition, Rule

#: Plug-ins that come with the gateway; ``outside`` runs the site's own command.
KINDS = ("segmentation", "dose", "noise", "outside")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")


@dataclass(frozen=True)
class Plugin:
    """A processing step: its ``command`` gets ``{input}`` (a folder) and ``{output}`` (another)."""

    name: str
    kind: str
    command: tuple[str, ...] = ()
    time_limit_s: float = 900.0
    memory_mb: int = 6000
    version: str = ""


@dataclass(frozen=True)
class GatewayConfig:
    """A site's decisions; sizes in MB, times in s."""

    store: Path
    ae_title: str
    host: str
    port: int | None
    allowed_ae: tuple[str, ...]
    max_object_mb: int
    min_free_mb: int
    watch: Path | None
    settle_s: float
    quiet_s: float
    workers: int
    page_port: int
    reviewers: tuple[str, ...]
    peer: Peer | None
    plugins: tuple[Plugin, ...]
    rules: tuple[Rule, ...]

    def plugin(self, name: str) -> Plugin | None:
        """The plug-in of that name, or None where the site has taken it out."""
        return next((p for p in self.plugins if p.name == name), None)


def load_config(path: str | Path, *, authorization: str = "") -> GatewayConfig:
    """Read ``site.toml``; `FileFormatError` says which key is wrong, and what it should be."""
    root = load_toml(path, what="gateway configuration")
    root.only("store", "node", "watch", "study", "work", "page", "pacs", "names", "plugin", "rule")
    base = Path(path).resolve().parent
    node, watch, page = root.table("node"), root.table("watch"), root.table("page")
    study, work, pacs = root.table("study"), root.table("work"), root.table("pacs")
    node.only("ae_title", "host", "port", "allowed_ae", "max_object_mb")
    watch.only("folder", "settle_s")
    page.only("port", "reviewers")
    study.only("quiet_s", "min_free_mb")
    work.only("workers")
    pacs.only("peer", "timeout_s")
    names = _names(root.table("names"))
    plugins = tuple(_plugin(t) for t in root.tables("plugin"))
    _once(root, "plugin", [p.name for p in plugins])
    rules = tuple(_rule(t, names, [p.name for p in plugins]) for t in root.tables("rule"))
    _once(root, "rule", [r.name for r in rules])
    if not rules:
        raise root.wrong("rule", "no rule", "at least one [[rule]]", "Say what is to be processed.")
    peer = None
    if pacs.has("peer"):
        with pacs.located("peer"):
            peer = parse_peer(
                pacs.text("peer"),
                authorization=authorization,
                timeout_s=pacs.number("timeout_s", 30.0, low=1, high=3600),
            )
    port = node.whole("port", low=1, high=65535) if node.has("port") else None
    folder = base / watch.text("folder") if watch.has("folder") else None
    if port is None and folder is None:
        raise root.wrong(
            "node", "neither a port nor a watch folder", "node.port or watch.folder",
            "Say how images arrive.",
        )  # fmt: skip
    host = node.text("host", "127.0.0.1")
    allowed = _words(node, "allowed_ae")
    if host not in ("127.0.0.1", "localhost", "::1") and not allowed:
        raise node.wrong(
            "allowed_ae", "nobody, on an open address", "the AE titles that may send",
            "List them, or leave host out: then only this machine may send.",
        )  # fmt: skip
    return GatewayConfig(
        store=base / root.text("store"),
        ae_title=node.text("ae_title", "IRPLAN"),
        host=host,
        port=port,
        allowed_ae=allowed,
        max_object_mb=node.whole("max_object_mb", 1024, low=1, high=100_000),
        min_free_mb=study.whole("min_free_mb", 1024, low=0, high=10**9),
        watch=folder,
        settle_s=watch.number("settle_s", 5.0, low=0.0, high=3600),
        quiet_s=study.number("quiet_s", 10.0, low=0.0, high=3600),
        workers=work.whole("workers", 1, low=1, high=64),
        page_port=page.whole("port", 8081, low=0, high=65535),
        reviewers=_words(page, "reviewers"),
        peer=peer,
        plugins=plugins,
        rules=rules,
    )


def _words(table: TomlTable, name: str) -> tuple[str, ...]:
    value: Any = table.data.get(name, [])
    if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
        raise table.wrong(name, "no list of words", '["one", "two"]', "Write it as a list.")
    return tuple(value)


def _names(table: TomlTable) -> dict[str, tuple[str, ...]]:
    """The site's own names for headers: each a list of DICOM keywords, the first that is filled."""
    out = {
        "modality": ("Modality",),
        "protocol": ("ProtocolName", "SeriesDescription"),
        "body_part": ("BodyPartExamined",),
        "slice_thickness_mm": ("SliceThickness",),
        "kernel": ("ConvolutionKernel",),
        "station": ("StationName",),
    }
    for name in table.data:
        keywords = _words(table, name)
        for keyword in keywords:
            if tag_for_keyword(keyword) is None:
                raise table.wrong(name, f"'{keyword}'", "DICOM keywords", "Check its spelling.")
        out[name] = keywords
    return out


def _plugin(table: TomlTable) -> Plugin:
    table.only("name", "kind", "command", "time_limit_s", "memory_mb", "version")
    name, kind = table.text("name"), table.text("kind", choices=KINDS)
    if not _NAME.match(name):
        raise table.wrong("name", repr(name), "letters, digits, - and _", "Choose another name.")
    command = _words(table, "command")
    if (kind == "outside") != bool(command):
        raise table.wrong(
            "command",
            "nothing" if not command else "a command",
            "a command for kind 'outside' only",
            "Give the program and its arguments; {input} and {output} are folders.",
        )
    return Plugin(
        name,
        kind,
        command,
        table.number("time_limit_s", 900.0, low=0.1, high=86400),
        table.whole("memory_mb", 6000, low=64, high=10**7),
        table.text("version", ""),
    )


def _rule(table: TomlTable, names: dict[str, tuple[str, ...]], plugins: list[str]) -> Rule:
    table.only("name", "where", "expect", "run", "min_images")
    run = _words(table, "run")
    for name in run:
        if name not in plugins:
            raise table.wrong("run", f"'{name}'", "names of [[plugin]]s", "Check its spelling.")
    return Rule(
        table.text("name"),
        _conditions(table.table("where"), names),
        _conditions(table.table("expect"), names),
        run,
        table.whole("min_images", 1, low=1, high=10**6),
    )


def _conditions(table: TomlTable, names: dict[str, tuple[str, ...]]) -> tuple[Condition, ...]:
    table.only(*names)
    out = []
    for name in table.data:
        with table.located(name):
            out.append(Condition(name, names[name], table.text(name)))
    return tuple(out)


def _once(root: TomlTable, name: str, found: list[str]) -> None:
    twice = sorted({f for f in found if found.count(f) > 1})
    if twice:
        raise FileFormatError(
            root.where(name), got=f"'{twice[0]}' twice", expected="each name once",
            remedy="Rename one.",
        )  # fmt: skip
