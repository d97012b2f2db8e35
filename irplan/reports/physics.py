"""The report's part on the simulation: model, constants with sources, energy, boundary."""

from __future__ import annotations

import numpy as np

from irplan.ablation.tissue_table import TISSUE_OF_STRUCTURE, TISSUES
from irplan.planning.case import PlannedAblation
from irplan.reports.content import Fact, Table
from irplan.reports.quality import (
    balance_fact,
    edge_fact,
    grid_fact,
    processor_facts,
    setting_facts,
)

#: (property, column head, factor to the unit of the head)
_SHOWN: tuple[tuple[str, str, float], ...] = (
    ("k_unfrozen_w_per_mk", "k unfrozen (W/(m K))", 1.0),
    ("k_frozen_w_per_mk", "k frozen (W/(m K))", 1.0),
    ("density_kg_per_m3", "Density (kg/m³)", 1.0),
    ("c_unfrozen_j_per_kgk", "c unfrozen (kJ/(kg K))", 1e-3),
    ("c_frozen_j_per_kgk", "c frozen (kJ/(kg K))", 1e-3),
    ("latent_j_per_kg", "Latent heat (kJ/kg)", 1e-3),
    ("solidus_c", "Solidus (°C)", 1.0),
    ("liquidus_c", "Liquidus (°C)", 1.0),
    ("perfusion_per_s", "Perfusion (10⁻³/s)", 1e3),
    ("fixed_temperature_c", "Held at (°C)", 1.0),
)


#: Of heat and electroporation; cold has `_SHOWN`.
_WARM: tuple[tuple[str, str, float], ...] = (
    ("k_unfrozen_w_per_mk", "k (W/(m K))", 1.0),
    ("density_kg_per_m3", "Density (kg/m³)", 1.0),
    ("c_unfrozen_j_per_kgk", "c (kJ/(kg K))", 1e-3),
    ("perfusion_per_s", "Perfusion (10⁻³/s)", 1e3),
    ("sigma_s_per_m", "Conductivity (S/m)", 1.0),
    ("sigma_microwave_s_per_m", "at 2.45 GHz (S/m)", 1.0),
    ("fixed_temperature_c", "Held at (°C)", 1.0),
)
_HEAT = "damage by Arrhenius; water boils at 100 °C; perfusion stops in dead tissue"
_MODELS = {
    "cryo": (
        "Pennes bioheat with latent heat (enthalpy form), finite volumes, explicit in time",
        "freezing between liquidus and solidus; perfusion stops where tissue freezes",
    ),
    "mwa": ("Pennes bioheat with the solved pattern of a coaxial antenna", _HEAT),
    "rfa": ("Pennes bioheat with the quasi-static potential, generator under control", _HEAT),
    "ire": (
        "Quasi-static potential with conductivity that rises in the field, every pair of "
        "electrodes; heating of tissue alongside",
        "dead where the largest field exceeds the threshold",
    ),
}


def simulation_facts(case: PlannedAblation) -> tuple[Fact, ...]:
    """Model, grid, backend, precision, balance of energy, and how the edge behaved."""
    result = case.result
    return (
        Fact("Model", *_MODELS[case.plan.placements[0].applicator.kind]),
        grid_fact(result),
        *processor_facts(result),
        balance_fact(result),
        edge_fact(result),
        *setting_facts(result, "Setting: "),
    )


def tissue_table(case: PlannedAblation) -> Table:
    """Constants of every tissue that lies in the simulated box: value, range, number of source."""
    sources: dict[str, int] = {}
    rows = []
    shown = _SHOWN if case.plan.placements[0].applicator.kind == "cryo" else _WARM
    for name in _tissues_in_box(case):
        quantities = TISSUES[name].quantities
        cells = [name]
        for key, _, scale in shown:
            q = quantities.get(key)
            if q is None:
                cells.append("–")
                continue
            number_of = sources.setdefault(f"{q.source} [{q.status}]", len(sources) + 1)
            low, high = (_short(v * scale) for v in (q.low, q.high))
            span = f" ({low} to {high})" if low != high else ""
            cells.append(f"{_short(q.value * scale)}{span} [{number_of}]")
        rows.append(tuple(cells))
    listed = "; ".join(f"[{n}] {source}" for source, n in sources.items())
    return Table(
        "Tissue constants in the simulated box",
        ("Tissue", *(words for _, words, _ in shown)),
        tuple(rows),
        "Value (plausible range) [source]. A tissue held at a temperature is a heat source, such "
        f"as a large vessel. Sources: {listed}. Labels: [V] read in the source, [M] measured, "
        "[S] from general knowledge and to be verified, [X] estimate.",
    )


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _tissues_in_box(case: PlannedAblation) -> list[str]:
    grid, labels = case.result.grid, case.labels
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    part = labels.crop(*labels.grid.box_around(grid.index_to_lps(corners), 0.0))
    present = np.flatnonzero(np.bincount(part.array.reshape(-1), minlength=256))
    names = [TISSUE_OF_STRUCTURE[x.name] for x in part.labels if x.value in present]
    if 0 in present:
        names.append("gas")
    return [name for name in TISSUES if name in names]
