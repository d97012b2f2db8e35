"""What a radiofrequency run has to show: its table of the generator beside the heat's result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.damage import DamageModel, damage_record
from irplan.ablation.field.control import RfaControl
from irplan.ablation.heat.march import HeatMarch
from irplan.ablation.result import ErrorEstimate, HeatResult
from irplan.image import Volume

#: Columns of a row of the generator's table, after the time.
GENERATOR = ("power_w", "impedance_ohm", "voltage_v", "current_a")


def heat_result(
    march: HeatMarch,
    end_c: NDArray[np.float32],
    rows: Sequence[tuple[float, ...]],
    control: RfaControl,
    damage: Sequence[DamageModel],
    time_error_mm: float,
    options: dict[str, float | str],
    warnings: Sequence[str],
) -> HeatResult:
    """The result of a march whose generator noted ``rows`` (time, then `GENERATOR`).

    A row holds from the one before it to its own time; an impedance that was not yet known is
    the first known one.
    """
    grid = march.problem.grid
    trace = march.trace()
    table = np.array(rows)
    known = table[np.isfinite(table[:, 2]), 2]  # a pause may come first
    table[~np.isfinite(table[:, 2]), 2] = known[0] if known.size else 0.0
    row = np.clip(np.searchsorted(table[:, 0], trace.time_s - 1e-6, side="left"), 0, len(table) - 1)
    extra = {name: table[row, n + 1] for n, name in enumerate(GENERATOR)}
    return HeatResult(
        end_c=Volume(end_c, grid, "degC"),
        maximum_c=Volume(march.maximum_c, grid, "degC"),
        damage=march.damage_volumes(),
        damage_level={m.name: m.level for m in damage},
        trace=replace(trace, extra={**trace.extra, **extra}),
        energy=march.energy(),
        boundary_rise_c=march.boundary_rise_c,
        backend="cpu",
        backend_reason="the radiofrequency solver runs on the CPU",
        precision="float32",
        steps=march.steps,
        error=ErrorEstimate(
            time_mm=time_error_mm + 3.0 * control.change,
            space_mm=0.15 * max(grid.spacing_mm),
            basis="tolerance of the heat march, 3 mm times control.change for the potential "
            "held between solutions; refinement of one electrode's zone",
        ),
        options={
            "time_error_mm": time_error_mm,
            "control": control.mode,
            "arrangement": control.arrangement,
            **options,
            "tissue_energy_j": march.source_j,
            **damage_record(damage),
        },
        warnings=(*march.problem.notes, *march.warnings(), *warnings),
    )
