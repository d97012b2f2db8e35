"""The review page: in a real browser, and against everything that is not one."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from irplan_gateway.config import load_config
from irplan_gateway.incoming import Limits, take_object
from irplan_gateway.service import Gateway

from tests.gateway.chromium import Chromium
from tests.gateway.site import plugin, site, study
from tests.gateway.test_gateway import wait_for

HOSTILE = "<script>alert(1)</script>^\"'><img src=x onerror=alert(2)>"

NAMES = [HOSTILE, "山田^太郎", "Иванов^Иван", "عمر^علي", "Ōno^Kei"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("page")
    rule = 'expect = { kernel = "H10s" }'
    config = site(folder, plugin("objects"), plugin("crash"), run=["objects", "crash"], rule=rule)
    running = Gateway(load_config(config))
    running.start()
    for number in range(5):
        name = (
            HOSTILE
            if number == 0
            else ["山田^太郎", "Иванов^Иван", "عمر^علي", "Ōno^Kei"][number - 1]
        )
        tags = {
            "SpecificCharacterSet": "ISO_IR 192",
            "PatientName": name,
            "ProtocolName": HOSTILE[:60],
        }
        for file in study(folder / f"s{number}", number, **tags).iterdir():
            take_object(running.store, file, Limits(1 << 30, 0))
    wait_for(lambda: len(running.store.drafts()) == 5)
    wait_for(lambda: sum(j["state"] == "failed" for j in running.store.rows("job")) == 5)
    yield running
    running.stop()


def ask(
    gateway: Gateway, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.page.port, timeout=20)
    if method == "POST":
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    out = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    connection.close()
    return out


def cookie(gateway: Gateway) -> dict[str, str]:
    return {"Cookie": f"irplan_gateway={gateway.page.key}"}


def form(gateway: Gateway, draft_id: str, **fields: str) -> str:
    found = gateway.store.draft(draft_id)
    assert found is not None
    given = {"token": gateway.page.token(), "content": found[0].content_sha256}
    return urlencode({**given, "who": "Dr A", "why": "seen", **fields})


def test_review_in_a_browser(gateway: Gateway, tmp_path: Path) -> None:
    """From the printed address to an accepted result, by clicking; hostile text stays text."""
    draft_id = gateway.store.drafts()[-1][0].draft_id  # the hostile patient's
    browser = Chromium(tmp_path / "profile")
    try:
        browser.open(gateway.page.address)
        browser.wait("document.title.startsWith('Results')")
        assert "key=" not in browser.run("location.href")
        listed = browser.run("document.body.innerText")
        assert HOSTILE in listed
        assert listed.count("山田^太郎") == 2  # a result, and a failed job: whose, is said of both
        assert "exit code 3" in listed
        keep = os.environ.get("IRPLAN_TEST_PICTURES")
        if keep:
            browser.picture(Path(keep) / "list.png")
        browser.run(f"document.querySelector('a[href=\"/draft/{draft_id}\"]').click()")
        browser.wait(
            f"location.pathname === '/draft/{draft_id}' && document.readyState === 'complete'"
        )
        shown = browser.run("document.body.innerText")
        assert "liver <b>volume</b>" in shown
        assert "<script>alert(1)</script>" in shown
        assert "input: kernel H10s" in shown  # the rule expects another kernel
        if keep:
            browser.picture(Path(keep) / "draft.png")
        for left in (1, 0):  # both objections are overruled, one after the other
            browser.wait("document.querySelector('#decision') !== null")
            browser.run(
                "document.querySelector('#decision').value='it is fine';"
                "document.querySelector('#owho').value='Dr <i>B</i>';"
                "document.querySelector('#owhy').value='seen on the images';"
                "document.querySelector('form[action$=overrule] button').click()"
            )
            browser.wait(
                f"document.querySelectorAll('.tag.failed').length === {left}"
                " && document.querySelector('footer') !== null"
            )
        for state in ("reviewed", "accepted"):
            browser.wait(f"document.querySelector('button[value={state}]') !== null")
            browser.run(
                "document.querySelector('#rwho').value='Dr <i>B</i>';"
                "document.querySelector('#rwhy').value='agrees with the images';"
                f"document.querySelector('button[value={state}]').click()"
            )
            browser.wait(f"document.querySelector('dd .tag.{state}') !== null")
        if keep:
            browser.picture(Path(keep) / "accepted.png")
        draft = gateway.store.draft(draft_id)[0]  # type: ignore[index]
        assert (draft.review.state, draft.review.by) == ("accepted", "Dr <i>B</i>")
        assert len(draft.overrules) == 2
        assert browser.dialogs == []  # no script ran
        assert browser.run("document.scripts.length") == 0
        own = f"127.0.0.1:{gateway.page.port}"
        assert {urlsplit(u).netloc for u in browser.requests} - {""} == {own}
        assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    finally:
        browser.close()


def test_nothing_is_shown_or_done_without_the_key(gateway: Gateway) -> None:
    draft_id = gateway.store.drafts()[0][0].draft_id
    for path in ("/", f"/draft/{draft_id}", "/?key=wrong", "/?key=%E2%82%AC"):
        code, _, body = ask(gateway, "GET", path)
        assert code == 403
        assert draft_id not in body
    body = form(gateway, draft_id, state="rejected")
    assert ask(gateway, "POST", f"/draft/{draft_id}/review", body)[0] == 403
    wrong = {"Cookie": 'irplan_gateway=x; other="\\'}
    assert ask(gateway, "GET", "/", **wrong)[0] == 403
    code, headers, _ = ask(gateway, "GET", f"/?key={gateway.page.key}")
    assert code == 303
    assert "HttpOnly; SameSite=Strict" in headers["set-cookie"]


def test_forged_requests_change_nothing(gateway: Gateway) -> None:
    draft_id = gateway.store.drafts()[0][0].draft_id
    path = f"/draft/{draft_id}/review"
    good = form(gateway, draft_id, state="rejected")
    known = cookie(gateway)
    port = gateway.page.port
    for code, body, headers in (
        (403, good.replace("token=", "token=0"), known),
        (421, good, {**known, "Origin": "http://evil.example"}),
        (421, good, {**known, "Host": f"evil.example:{port}"}),
        (409, form(gateway, draft_id, state="rejected", content="0" * 64), known),
        (400, form(gateway, draft_id, state="accepted; DROP TABLE draft"), known),
        (400, form(gateway, draft_id, state="accepted"), known),  # it was not reviewed
        (400, form(gateway, draft_id, state="rejected", who=" "), known),
        (413, "x" * 70_000, known),
    ):
        got, _, _ = ask(gateway, "POST", path, body, **headers)
        assert got == code, body[:60]
    for other in ("/draft/none/review", f"/draft/{draft_id}/else", "/draft/../review"):
        assert ask(gateway, "POST", other, good, **known)[0] == 404
    assert gateway.store.draft(draft_id)[0].review.state == "draft"  # type: ignore[index]
    assert ask(gateway, "GET", "/", **known, Host="evil.example")[0] == 421


def test_no_path_leaves_the_drafts_folder(gateway: Gateway) -> None:
    draft_id = gateway.store.drafts()[0][0].draft_id
    for path in (
        f"/draft/{draft_id}/..%2f..%2fgateway.sqlite",
        f"/draft/{draft_id}/%2e%2e/%2e%2e/page.key",
        f"/draft/{draft_id}/result.dcm",
        "/draft/..%2f..%2fetc",
        "/draft/%00",
        "//etc/passwd",
        "/style.css/../../x",
    ):
        assert ask(gateway, "GET", path, **cookie(gateway))[0] == 404


def test_every_answer_forbids_scripts_and_caching(gateway: Gateway) -> None:
    for path in ("/", "/nothing", "/style.css"):
        _, headers, body = ask(gateway, "GET", path, **cookie(gateway))
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "<script" not in body


def test_a_second_decision_on_an_old_page_is_refused(gateway: Gateway) -> None:
    draft_id = gateway.store.drafts()[1][0].draft_id
    known = cookie(gateway)
    first = form(gateway, draft_id, state="reviewed")
    assert ask(gateway, "POST", f"/draft/{draft_id}/review", first, **known)[0] == 303
    code, _, body = ask(
        gateway,
        "POST",
        f"/draft/{draft_id}/review",
        form(gateway, draft_id, state="accepted"),
        **known,
    )
    assert code == 400  # objections are open
    assert "without an answer" in body


def test_garbage_on_the_port_hurts_nobody(gateway: Gateway) -> None:
    for raw in (
        b"\0" * 2000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"a" * 70_000,
        b"POST / HTTP/1.1\r\n",
    ):
        with socket.create_connection(("127.0.0.1", gateway.page.port), timeout=20) as s:
            s.sendall(raw)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
    assert ask(gateway, "GET", "/", **cookie(gateway))[0] == 200
