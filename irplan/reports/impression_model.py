"""An impression worded by a language model: off unless asked, shown facts only, and checked.

The endpoint speaks the chat-completions form that many local servers share.  It gets the recorded
facts without name, number, date or free text; what it answers is used only where every word,
number, unit, side and negation is in the facts (`impression_check`), else the rules' text stays.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from irplan.errors import InputError
from irplan.procedure.report_document import Impression
from irplan.procedure.report_fields import ProcedureReport
from irplan.reports.impression_check import refusal
from irplan.reports.impression_facts import model_facts
from irplan.reports.procedure_language import Language

#: Environment variable with the key of the endpoint, where it needs one.
KEY_VARIABLE = "IRPLAN_IMPRESSION_KEY"
#: Most bytes of an answer that are read.
MAX_ANSWER = 64 * 1024

_TASK = (
    "You word the impression of an interventional radiology report in the language '{language}'. "
    "Write at most five short sentences. Use only the facts below, each value exactly as written "
    "with its unit and directly after its name. Do not calculate, convert, round, conclude, advise "
    "or add anything. Leave out what is not there. Answer with the sentences only."
)


@dataclass(frozen=True)
class ModelEndpoint:
    """Where a model listens: ``url`` up to and with "/v1", its ``model``, ``timeout_s`` in all.

    Raises `InputError` for another kind of address; without TLS only this machine is allowed.
    """

    url: str
    model: str
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.username
        if wrong or (parts.scheme == "http" and not _is_local(parts.hostname or "")):
            raise InputError(
                "--impression-url",
                got="an address that is not used",
                expected="http://127.0.0.1:PORT/v1, or https:// for another machine",
                remedy="Give the address of an OpenAI-compatible server.",
            )
        if not self.model.strip() or not 0.1 <= self.timeout_s <= 600.0:
            raise InputError(
                "--impression-model",
                got=f"'{self.model[:40]}', {self.timeout_s:g} s",
                expected="a model's name, and 0.1 to 600 s",
                remedy="Give the name that the server knows.",
            )


def model_impression(
    report: ProcedureReport, language: Language, endpoint: ModelEndpoint, *, fallback: Impression
) -> Impression:
    """The model's sentences if all of them hold against the facts; else ``fallback`` and why not.

    Never raises for what the server does: it may be down, slow, wrong or hostile.
    """
    if len(report.of("lesion")) > 1 or len(report.of("result")) > 1:
        return _refused(fallback, "more than one target: which is which cannot be checked")
    facts = model_facts(report, language)
    try:
        text = _ask(endpoint, facts, language)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _refused(fallback, _reason(error))
    why = refusal(text, facts, language)
    if why:
        return _refused(fallback, why)
    sentences = tuple(s.strip() for s in text.strip().splitlines() if s.strip())
    return Impression(sentences, "model", endpoint.model)


def _ask(endpoint: ModelEndpoint, facts: list[dict[str, Any]], language: Language) -> str:
    parts = urlsplit(endpoint.url)
    until = time.monotonic() + endpoint.timeout_s
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=endpoint.timeout_s)
    body = json.dumps(
        {
            "model": endpoint.model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": _TASK.format(language=language.name)},
                {"role": "user", "content": json.dumps(facts, ensure_ascii=False)},
            ],
        }
    ).encode()
    headers = {"Content-Type": "application/json"}
    if os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {os.environ[KEY_VARIABLE]}"
    try:
        connection.request("POST", parts.path.rstrip("/") + "/chat/completions", body, headers)
        answer = connection.getresponse()  # redirects are not followed
        data = b""
        while len(data) <= MAX_ANSWER:
            left = until - time.monotonic()
            if left <= 0.0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(left)
            more = answer.read1(8192)
            if not more:
                break
            data += more
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
    finally:
        connection.close()
    if len(data) > MAX_ANSWER:
        raise ValueError("an answer that is too long")
    try:
        text = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError("an answer in another form") from error
    if not isinstance(text, str):
        raise ValueError("an answer in another form")
    return text


def _reason(error: Exception) -> str:
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "no answer in time"
    if isinstance(error, ValueError) and error.args and not isinstance(error, UnicodeError):
        return str(error.args[0])[:60]
    return "the server could not be used"


def _refused(fallback: Impression, why: str) -> Impression:
    return Impression(fallback.sentences, "rules", "", why)


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
