"""irplan itself, through its public door; build is the import and the first, compiling call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from common import Problem, main


def build(p: Problem) -> tuple[Callable[[], Any], dict[str, Any]]:
    import irplan
    from irplan.ablation import (
        TISSUES,
        AblationProblem,
        Applicator,
        Phase,
        Placement,
        Schedule,
        simulate,
    )
    from irplan.geometry import Grid, Needle

    grid = Grid.from_spacing((p.n,) * 3, (p.h_mm,) * 3, (-(p.n - 1) * p.h_mm / 2,) * 3)
    body = 37.0
    applicator = Applicator(
        "peer problem", "cryo", 2 * p.probe_radius_mm, p.active_length_mm, 0.0,
        body + p.tau_probe, p.ramp_s, 200.0, "benchmark [X]",
    )  # fmt: skip
    half = 0.5 * p.active_length_mm
    needle = Needle((0.0, 0.0, -half), (0.0, 0.0, 120.0 - half))
    problem = AblationProblem(
        grid,
        np.zeros(grid.shape, np.uint8),
        (TISSUES["liver"].properties(),),
        (Placement(needle, applicator),),
        Schedule((Phase("freeze", p.duration_s),)),
        body_temperature_c=body,
    )
    options: dict[str, Any] = {"time_error_mm": p.time_error_mm, "threads": p.threads}
    first = simulate(problem, **options)
    facts = {
        "version": irplan.__version__,
        "steps": first.steps,
        "scheme": f"RKL1, {first.options['stages']:.0f} stages, {first.precision}",
    }
    return lambda: simulate(problem, **options).end_of_freeze_c.array - np.float32(body), facts


if __name__ == "__main__":
    main(build)
