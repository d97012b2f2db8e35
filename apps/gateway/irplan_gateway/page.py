"""The review page's server: loopback only, one key to enter, nothing from the network.

Against other pages in the same browser: the key lives in a cookie that other sites cannot send
(SameSite=Strict), every form carries a token, Host and Origin must be this server's, and the
content policy allows no script at all.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from irplan.dicom.reading import read_dataset, text
from irplan.errors import DicomError, IrplanError, OutputError
from irplan.procedure.review import judge, overrule
from irplan.procedure.times import now, utc_text
from irplan_gateway import page_html
from irplan_gateway.config import GatewayConfig
from irplan_gateway.store import Store

_COOKIE = "irplan_gateway"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_MOST_POSTED, _MOST_SHOWN, _MOST_LISTED = 64 << 10, 100 << 10, 200
_STEPS = ("reviewed", "accepted", "rejected")


class ReviewPage:
    """The server on 127.0.0.1; ``address`` holds the key and is for the person at the desk."""

    def __init__(self, config: GatewayConfig, store: Store) -> None:
        self.config, self.store = config, store
        self.key = _key(store.folder / "page.key")
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on (chosen by the system where the configuration says 0)."""
        return self.config.page_port if self._server is None else self._server.server_address[1]

    @property
    def address(self) -> str:
        """Where to go, with the key."""
        return f"http://127.0.0.1:{self.port}/?key={self.key}"

    def token(self) -> str:
        """What every form must carry: known only to pages that were shown with the key."""
        return hmac.new(self.key.encode(), b"form", sha256).hexdigest()

    def start(self) -> None:
        """Listen in a thread; `OutputError` where the port is taken."""
        handler = type("Handler", (_Handler,), {"page": self})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self.config.page_port), handler)
        except OSError as error:
            raise OutputError(
                "page.port",
                got=f"{self.config.page_port}, which cannot be used",
                expected="a free port",
                remedy="Change page.port, or stop the other program.",
            ) from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    page: ReviewPage
    server_version, sys_version = "irplan", ""
    timeout = 20
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not self._host_is_ours():
            return self._answer(421, b"Wrong host.")
        if url.path == "/style.css":
            return self._answer(200, page_html.STYLE.encode(), "text/css; charset=utf-8")
        given = parse_qs(url.query).get("key", [""])[0]
        if given and hmac.compare_digest(given.encode(), self.page.key.encode()):
            cookie = f"{_COOKIE}={self.page.key}; HttpOnly; SameSite=Strict; Path=/"
            return self._answer(303, b"", headers={"Location": "/", "Set-Cookie": cookie})
        if not self._may_enter():
            return self._answer(403, page_html.page("Closed", _CLOSED))
        parts = [unquote(p) for p in url.path.split("/") if p]
        if not parts:
            return self._answer(200, self._list())
        if parts[0] == "draft" and len(parts) == 2:
            return self._show(parts[1])
        if parts[0] == "draft" and len(parts) == 3:
            return self._file(parts[1], parts[2])
        return self._nothing()

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= _MOST_POSTED:
            self.close_connection = True
            return self._answer(413, b"Too long, or without its length.")
        body = self.rfile.read(length)
        origin = self.headers.get("Origin")
        ours = {f"http://{name}:{self.page.port}" for name in ("127.0.0.1", "localhost")}
        if not self._host_is_ours() or (origin is not None and origin not in ours):
            return self._answer(421, b"Wrong host or origin.")
        try:
            fields = {k: v[0] for k, v in parse_qs(body.decode("utf-8"), max_num_fields=20).items()}
        except ValueError:
            return self._answer(400, b"Not a form.")
        token = fields.get("token", "").encode()
        if not self._may_enter() or not hmac.compare_digest(token, self.page.token().encode()):
            return self._answer(403, page_html.page("Closed", _CLOSED))
        parts = [unquote(p) for p in urlsplit(self.path).path.split("/") if p]
        if len(parts) == 3 and parts[0] == "draft" and parts[2] in ("review", "overrule"):
            return self._decide(parts[1], parts[2], fields)
        if len(parts) == 3 and parts[0] == "draft" and parts[2] == "send":
            return self._again(self.page.store.send_again(parts[1]), f"/draft/{parts[1]}")
        if len(parts) == 3 and parts[0] == "job" and parts[2] == "again" and parts[1].isdecimal():
            return self._again(self.page.store.run_again(int(parts[1][:18])), "/")
        return self._nothing()

    def _again(self, done: bool, then: str) -> None:
        return self._answer(303, b"", headers={"Location": then}) if done else self._nothing()

    def _decide(self, draft_id: str, action: str, fields: Mapping[str, str]) -> None:
        store = self.page.store
        found = store.draft(draft_id)
        if found is None:
            return self._nothing()
        draft, facts = found
        who, why = fields.get("who", "").strip(), fields.get("why", "").strip()
        names = self.page.config.reviewers
        try:
            if fields.get("content") != draft.content_sha256 or facts["replaced"]:
                return self._show(draft_id, "This page was old: look again, then decide.", 409)
            if names and who not in names:
                return self._show(draft_id, "That name is not among the site's reviewers.", 400)
            if not who or not why:
                return self._show(draft_id, "Give your name and the reason.", 400)
            if action == "review":
                state: Any = fields.get("state", "")
                if state not in _STEPS:
                    return self._show(draft_id, "Choose a decision.", 400)
                new = judge(draft, state, who=who, why=why, when=utc_text(now()))
            else:
                check, decision = fields.get("check", ""), fields.get("decision", "").strip()
                if check not in draft.open_objections:
                    return self._show(draft_id, "Choose a check that is open.", 400)
                new = overrule(
                    draft, check, decision=decision, who=who, why=why, when=utc_text(now())
                )
        except IrplanError as error:
            return self._show(draft_id, f"{error.got}; {error.remedy}", 400)
        sends = new.review.state == "accepted" and bool(new.files)
        if not store.save_review(draft, new, to_send=sends):
            return self._show(draft_id, "Somebody else decided meanwhile: look again.", 409)
        return self._answer(303, b"", headers={"Location": f"/draft/{draft_id}"})

    def _list(self) -> bytes:
        store = self.page.store
        drafts, jobs, series = store.drafts(_MOST_LISTED), store.rows("job"), store.rows("series")
        failed = {j["series"] for j in page_html.failed_jobs(jobs)}
        return page_html.list_page(
            drafts,
            jobs,
            {d.draft_id: self._whose(f["incoming"]) for d, f in drafts},
            {s["uid"]: self._whose(s["folder"]) for s in series if s["uid"] in failed},
            sum(s["state"] == "unmatched" for s in series),
            store.draft_counts(),
            token=self.page.token(),
        )

    def _whose(self, incoming: str) -> str:
        """Name and number of the patient of a series' folder."""
        said = _patient(self.page.store.folder / "incoming" / incoming)
        return "  ".join(v for k, v in said if k != "Study")

    def _show(self, draft_id: str, problem: str = "", code: int = 200) -> None:
        store = self.page.store
        found = store.draft(draft_id)
        if found is None:
            return self._nothing()
        draft, facts = found
        files, texts = _contents(store.draft_folder(draft_id))
        body = page_html.draft_page(
            draft, facts, dict(_patient(store.folder / "incoming" / facts["incoming"])),
            files, texts, token=self.page.token(), reviewers=self.page.config.reviewers,
            problem=problem,
        )  # fmt: skip
        return self._answer(code, body)

    def _file(self, draft_id: str, name: str) -> None:
        """A picture of a draft, by a name that is in its folder's list; never a path."""
        if self.page.store.draft(draft_id) is None:
            return self._nothing()
        folder = self.page.store.draft_folder(draft_id)
        if _contents(folder)[0].get(name) != "image":
            return self._nothing()
        return self._answer(200, (folder / name).read_bytes(), "image/png")

    def _host_is_ours(self) -> bool:
        return self.headers.get("Host", "") in {
            f"127.0.0.1:{self.page.port}",
            f"localhost:{self.page.port}",
        }

    def _may_enter(self) -> bool:
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(
            cookie.value.encode(), self.page.key.encode()
        )

    def _nothing(self) -> None:
        return self._answer(404, page_html.page("Not found", _NOT_FOUND))

    def _answer(
        self,
        code: int,
        body: bytes,
        kind: str = "text/html; charset=utf-8",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # with none a browser says Origin: null
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Addresses may hold the key: nothing is logged."""


_CLOSED = (
    "<section><h2>Closed</h2><p>Open the address that <code>irplan gateway</code> printed; it "
    "holds the key.</p></section>"
)
_NOT_FOUND = "<section><h2>Not found</h2><p>There is no such page.</p></section>"


def _contents(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Files by kind (image, other), and the texts worth showing."""
    files: dict[str, str] = {}
    texts: dict[str, str] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        files[file.name] = "image" if file.suffix == ".png" else "other"
        if file.suffix in (".json", ".txt"):
            with file.open("rb") as opened:
                texts[file.name] = opened.read(_MOST_SHOWN).decode("utf-8", "replace")
    return files, texts


@lru_cache(maxsize=1000)
def _patient(folder: Path) -> tuple[tuple[str, str], ...]:
    """Who and when, as the images say it; read once a series."""
    tags = {"Patient": "PatientName", "Patient ID": "PatientID", "Study": "StudyDate"}
    for file in sorted(folder.glob("*.dcm"))[:1]:
        try:
            data = read_dataset(file, pixels=False, tags=(*tags.values(), "SpecificCharacterSet"))
        except DicomError:
            break
        return tuple((k, text(data, v) or "not stated") for k, v in tags.items())
    return (("Patient", "not readable"),)


def _key(path: Path) -> str:
    """The key of this store, made once, readable by its owner only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
