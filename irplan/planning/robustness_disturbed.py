"""A problem in tissue that is perfused and conducts otherwise than the tables say."""

from __future__ import annotations

import math
from dataclasses import replace

from irplan.ablation import AblationProblem, TissueProperties


def disturbed(
    problem: AblationProblem, log_perfusion: float, log_conductivity: float
) -> AblationProblem:
    """``problem`` with the tissues' perfusion and thermal conductivity times these factors."""
    p, k = math.exp(log_perfusion), math.exp(log_conductivity)

    def changed(t: TissueProperties) -> TissueProperties:
        if t.fixed_temperature_c is not None:
            return t
        return replace(
            t,
            perfusion_per_s=min(0.2, p * t.perfusion_per_s),
            k_unfrozen_w_per_mk=min(5.0, k * t.k_unfrozen_w_per_mk),
            k_mushy_w_per_mk=min(5.0, k * t.k_mushy_w_per_mk),
            k_frozen_w_per_mk=min(5.0, k * t.k_frozen_w_per_mk),
        )

    return replace(problem, tissues=tuple(changed(t) for t in problem.tissues), notes=())
