"""Who is asked: a DICOM node (DIMSE) or a DICOMweb server, as one address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from irplan.errors import InputError

_AE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}\Z")
_FORMS = "dicom://THEIR_AE@host:port?calling=OUR_AE, or http(s)://host:port/dicom-web"


@dataclass(frozen=True)
class DicomNode:
    """A DIMSE peer: ``ae_title`` at ``host``:``port``; we call ourselves ``calling_ae_title``."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str = "IRPLAN"
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("ae_title", "calling_ae_title"):
            value = getattr(self, name)
            if not _AE.match(value) or not value.strip():
                raise InputError(
                    f"peer.{name}",
                    got=repr(value)[:40],
                    expected="an AE title: 1 to 16 printable characters, no backslash",
                    remedy="Ask the PACS administrator which title is configured.",
                )
        if not self.host or not 0 < self.port < 65536 or not 0 < self.timeout_s <= 3600:
            raise InputError(
                "peer",
                got=f"host '{self.host}', port {self.port}, timeout {self.timeout_s:g} s",
                expected="a host, a port from 1 to 65535, a timeout up to 3600 s",
                remedy=f"Write it as {_FORMS}.",
            )


@dataclass(frozen=True)
class WebNode:
    """A DICOMweb server by the address above ``/studies``.

    ``authorization`` is sent as that header (``"Bearer ..."``); it is never shown.
    """

    url: str
    authorization: str = ""
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _unknown(self.url)
        if parts.username or parts.password:
            raise InputError(
                "peer",
                got="an address with a password in it",
                expected="credentials apart from the address",
                remedy="Set IRPLAN_PACS_AUTHORIZATION to the header's value, e.g. 'Bearer ...'.",
            )

    def __repr__(self) -> str:
        return f"WebNode(url={self.url!r}, timeout_s={self.timeout_s:g})"


Peer = DicomNode | WebNode


def parse_peer(address: str, *, authorization: str = "", timeout_s: float = 30.0) -> Peer:
    """The peer of ``dicom://THEIR_AE@host:port?calling=OUR_AE`` or an ``http(s)://`` address.

    Raises `InputError` for anything else.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https"):
            return WebNode(address.rstrip("/"), authorization, timeout_s)
        if parts.scheme == "dicom" and parts.hostname and parts.username and parts.port:
            calling = parse_qs(parts.query).get("calling", ["IRPLAN"])[0]
            title = unquote(parts.username)
            return DicomNode(parts.hostname, parts.port, title, calling, timeout_s)
    except ValueError as error:
        raise _unknown(address) from error
    raise _unknown(address)


def _unknown(address: str) -> InputError:
    return InputError(
        "peer",
        got=repr(address.rpartition("@")[2])[:80],
        expected=_FORMS,
        remedy="Write the address in one of these forms.",
    )
