"""The record of a procedure: log, dose, review gate and the content of its draft report."""

from irplan.procedure.review import (
    Draft,
    Overrule,
    ReviewCounts,
    count_reviews,
    draft_from_data,
    draft_to_data,
    judge,
    overrule,
    require_releasable,
    revise,
    sha256_hex,
)

__all__ = [
    "Draft",
    "Overrule",
    "ReviewCounts",
    "count_reviews",
    "draft_from_data",
    "draft_to_data",
    "judge",
    "overrule",
    "require_releasable",
    "revise",
    "sha256_hex",
]
