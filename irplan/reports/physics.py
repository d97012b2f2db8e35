"""The report's part on the simulation: model, constants with sources, energy, boundary."""

from __future__ import annotations

import numpy as np

from irplan.ablation.tissue_table import TISSUE_OF_STRUCTURE, TISSUES
from irplan.planning.case import PlannedCase
from irplan.reports.content import Fact, Table
from irplan.reports.words import number, plain

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
#: Energy residual that is accepted, share of the largest term (see `EnergyBalance`).
_RESIDUAL_LIMIT = 0.001


def simulation_facts(case: PlannedCase) -> tuple[Fact, ...]:
    """Model, grid, backend, precision, balance of energy, and how the edge behaved."""
    result = case.result
    spacing = result.grid.spacing_mm
    residual = result.energy.residual_fraction
    edge = result.boundary_rise_c
    facts = [
        Fact(
            "Model",
            "Pennes bioheat with latent heat (enthalpy form), finite volumes, explicit in time",
            "freezing between liquidus and solidus; perfusion stops where tissue freezes",
        ),
        Fact(
            "Grid",
            " × ".join(str(n) for n in result.grid.shape)
            + " voxels of "
            + " × ".join(number(s, 2) for s in spacing)
            + " mm",
            f"{result.steps} time steps",
        ),
        Fact("Backend", result.backend, result.backend_reason),
        Fact("Precision", result.precision),
        Fact(
            "Energy balance",
            f"residual {100.0 * residual:.4f} % of the largest term",
            f"accepted: {100.0 * _RESIDUAL_LIMIT:g} %; "
            + ("within" if residual <= _RESIDUAL_LIMIT else "EXCEEDED"),
        ),
        Fact(
            "Outer boundary",
            f"temperature changed by at most {number(edge, 3)} °C next to it",
            "0 means that the simulated box was large enough",
        ),
    ]
    facts += [
        Fact(f"Setting: {plain(name)}", f"{value:.6g}" if isinstance(value, float) else str(value))
        for name, value in sorted(result.options.items())
    ]
    return tuple(facts)


def energy_table(case: PlannedCase) -> Table:
    """Where the heat went, kJ."""
    energy = case.result.energy
    rows = (
        ("Stored in the tissue", energy.stored_j),
        ("From the probes", energy.probes_j),
        ("From perfusion", energy.perfusion_j),
        ("From metabolism", energy.metabolism_j),
        ("From vessels and other tissue of fixed temperature", energy.fixed_tissue_j),
        ("Through the outer boundary", energy.boundary_j),
    )
    return Table(
        "Energy over the whole schedule",
        ("Term", "Heat into the tissue (kJ)"),
        tuple((name, number(joule / 1000.0, 2)) for name, joule in rows),
    )


def tissue_table(case: PlannedCase) -> Table:
    """Constants of every tissue that lies in the simulated box: value, range, number of source."""
    sources: dict[str, int] = {}
    rows = []
    for name in _tissues_in_box(case):
        quantities = TISSUES[name].quantities
        cells = [name]
        for key, _, scale in _SHOWN:
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
        ("Tissue", *(words for _, words, _ in _SHOWN)),
        tuple(rows),
        "Value (plausible range) [source]. A tissue held at a temperature is a heat source, such "
        f"as a large vessel. Sources: {listed}. Labels: [V] read in the source, [M] measured, "
        "[S] from general knowledge and to be verified, [X] estimate.",
    )


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _tissues_in_box(case: PlannedCase) -> list[str]:
    grid, labels = case.result.grid, case.labels
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    part = labels.crop(*labels.grid.box_around(grid.index_to_lps(corners), 0.0))
    present = np.flatnonzero(np.bincount(part.array.reshape(-1), minlength=256))
    names = [TISSUE_OF_STRUCTURE[x.name] for x in part.labels if x.value in present]
    if 0 in present:
        names.append("gas")
    return [name for name in TISSUES if name in names]
