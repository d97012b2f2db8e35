"""Evidence: the solvers held against closed forms, independent solutions and published zones."""

from irplan.ablation.evidence.cases import CASES, gather
from irplan.ablation.evidence.row import EvidenceCase, EvidenceRow

__all__ = ["CASES", "EvidenceCase", "EvidenceRow", "gather"]
