"""report.json (strict schema) and review.json (the record of its review)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from irplan.errors import FileFormatError, IrplanError
from irplan.files.json_text import load_json
from irplan.procedure.report_document import (
    REPORT_SCHEMA,
    ReportDocument,
    document_from_data,
    document_to_data,
)
from irplan.procedure.review import Draft, draft_from_data, draft_to_data, require_releasable

REPORT_FILE, REVIEW_FILE = "report.json", "review.json"
#: Folder of the reports that a report replaced, inside its own.
EARLIER = "earlier"
_SCHEMA = Path(__file__).parent / "schemas" / "procedure-report-1.schema.json"


def report_to_json(document: ReportDocument) -> str:
    """The text of report.json; the same document gives the same text.  It fits the schema."""
    data = document_to_data(document)
    _require_schema(data, REPORT_FILE)
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_report(path: str | Path) -> ReportDocument:
    """The document in ``path``; raises `FileFormatError` with the place that does not fit."""
    file = Path(path)
    data = load_json(file, what="report")
    _require_schema(data, file.name)
    try:
        return document_from_data(data)
    except IrplanError as error:
        raise FileFormatError(
            f"report '{file.name}', {error.field}",
            got=error.got,
            expected=error.expected,
            remedy=error.remedy,
        ) from error


def review_to_json(draft: Draft) -> str:
    """The text of review.json."""
    return json.dumps(draft_to_data(draft), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_review(path: str | Path) -> Draft:
    """The record in ``path``; raises `FileFormatError` for a forged or damaged one."""
    file = Path(path)
    return draft_from_data(load_json(file, what="review record"), name=f"review '{file.name}'")


def releasable_bytes(folder: str | Path, name: str) -> bytes:
    """The bytes of the file ``name`` of a report's folder, if they are what was accepted.

    For every sender; raises `ReviewError` otherwise.
    """
    place = Path(folder)
    draft = read_review(place / REVIEW_FILE)
    file = place / Path(name).name
    try:
        data = file.read_bytes()
    except OSError as error:
        raise FileFormatError(
            f"file '{file.name}'",
            got="nothing that can be read",
            expected="a file of the report's folder",
            remedy="Check the name.",
        ) from error
    require_releasable(draft, name, data)
    return data


def _require_schema(data: dict[str, Any], name: str) -> None:
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(data))
    if error is not None:
        raise FileFormatError(
            f"report '{name}' at {error.json_path}",
            got=error.message if len(error.message) <= 160 else error.message[:157] + "...",
            expected=f"what the schema {REPORT_SCHEMA} allows",
            remedy="Make the report again.",
        )


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
