"""What both reports say of a simulation's numbers: balance of energy, edge of the box, settings."""

from __future__ import annotations

from irplan.ablation.result import AblationResult, EnergyBalance
from irplan.reports.content import Fact, Table
from irplan.reports.words import number, plain

#: Energy residual that is accepted, share of the largest term (see `EnergyBalance`).
RESIDUAL_LIMIT = 0.001


def grid_fact(result: AblationResult) -> Fact:
    """Voxels of the solver and its steps in time."""
    voxels = " × ".join(str(n) for n in result.grid.shape)
    sizes = " × ".join(number(s, 2) for s in result.grid.spacing_mm)
    return Fact(
        "Grid",
        f"{voxels} voxels of {sizes} mm",
        f"slices × rows × columns; {result.steps} time steps",
    )


def balance_fact(result: AblationResult) -> Fact:
    """How well the heat balance closes."""
    residual = result.energy.residual_fraction
    return Fact(
        "Energy balance",
        f"residual {100.0 * residual:.4f} % of the largest term",
        f"accepted: {100.0 * RESIDUAL_LIMIT:g} %; "
        + ("within" if residual <= RESIDUAL_LIMIT else "EXCEEDED"),
    )


def edge_fact(result: AblationResult) -> Fact:
    """How much the temperature changed at the edge of the simulated box."""
    return Fact(
        "Outer boundary",
        f"temperature changed by at most {number(result.boundary_rise_c, 3)} °C next to it",
        "0 means that the simulated box was large enough",
    )


def processor_facts(result: AblationResult) -> tuple[Fact, ...]:
    """Backend, why it was chosen, precision."""
    return (
        Fact("Backend", result.backend, result.backend_reason),
        Fact("Precision", result.precision),
    )


def setting_facts(result: AblationResult, before: str = "") -> tuple[Fact, ...]:
    """Every option of the solver, its name after ``before``."""
    return tuple(
        Fact(before + plain(name), f"{value:.6g}" if isinstance(value, float) else str(value))
        for name, value in sorted(result.options.items())
    )


def energy_table(energy: EnergyBalance) -> Table:
    """Where the heat went, kJ."""
    rows = (
        ("Stored in the tissue", energy.stored_j),
        ("From the applicators", energy.probes_j),
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
