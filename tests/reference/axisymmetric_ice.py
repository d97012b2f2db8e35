"""Slow, readable oracle: freezing round one straight probe in cylinder coordinates.

It ships with the evidence (`irplan validate ablation`) and shares nothing with the solver.
"""

from irplan.ablation.evidence.axisymmetric import Tissue, crossing_mm, solve, volume_cm3

__all__ = ["Tissue", "crossing_mm", "solve", "volume_cm3"]
