"""Seeded synthetic abdominal CT with known truth."""

from irplan.phantom.generate import abdominal_ct
from irplan.phantom.result import (
    Phantom,
    PhantomFacts,
    PhantomSettings,
    TumourFacts,
    TumourSpec,
)
from irplan.phantom.tissues import PHASES, TISSUES, Phase, TissueHU, tissue

__all__ = [
    "PHASES",
    "TISSUES",
    "Phantom",
    "PhantomFacts",
    "PhantomSettings",
    "Phase",
    "TissueHU",
    "TumourFacts",
    "TumourSpec",
    "abdominal_ct",
    "tissue",
]
