"""Seeded synthetic abdominal CT with known truth."""

from irplan.phantom.family import FamilyMember, family
from irplan.phantom.generate import abdominal_ct
from irplan.phantom.result import (
    Phantom,
    PhantomFacts,
    PhantomSettings,
    TumourFacts,
    TumourSpec,
)
from irplan.phantom.tissues import PHASES, TISSUES, Phase, TissueHU, tissue
from irplan.phantom.variant import RANGES, Variant

__all__ = [
    "PHASES",
    "RANGES",
    "TISSUES",
    "FamilyMember",
    "Phantom",
    "PhantomFacts",
    "PhantomSettings",
    "Phase",
    "TissueHU",
    "TumourFacts",
    "TumourSpec",
    "Variant",
    "abdominal_ct",
    "family",
    "tissue",
]
