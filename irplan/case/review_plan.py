"""A plan file judged by a person: the file is written anew with its state and history."""

from __future__ import annotations

from pathlib import Path

from irplan.files.held import held
from irplan.files.plan_file import read_plan, write_plan
from irplan.planning.plan import AblationPlan
from irplan.planning.review import set_review
from irplan.planning.review_states import ReviewState
from irplan.procedure.events import Source
from irplan.procedure.log import ProcedureLog
from irplan.procedure.review import sha256_hex
from irplan.procedure.times import now, utc_text


def review_plan(
    file: Path, state: ReviewState, *, who: str, why: str, log: Path | None = None
) -> AblationPlan:
    """The plan in ``file`` taken to ``state`` (see `set_review`), written back in one step.

    With ``log`` the judgement is an event there as well.  Raises `InputError` for a step that is
    not allowed or nobody, no reason; `FileFormatError` for a plan that was changed by hand.
    """
    with held(file):
        plan = set_review(read_plan(file), state, who=who, why=why, when=utc_text(now()))
        write_plan(plan, file)
        if log is not None:
            data = {
                "document": f"plan {file.name}",
                "state": state,
                "who": who,
                "why": why,
                "sha256": sha256_hex(file.read_bytes()),
            }
            with ProcedureLog.open(log) as open_log:
                open_log.append("review", data, source=Source("typed", who=who))
    return plan
