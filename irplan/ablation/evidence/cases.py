"""All cases of the evidence table, and the run that fills it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from irplan.ablation.evidence import freezing, heating, potential, probe, published
from irplan.ablation.evidence.row import EvidenceCase, EvidenceRow
from irplan.compute.progress import Progress, no_progress

#: In the order of the table.
CASES: tuple[EvidenceCase, ...] = (
    EvidenceCase("planar two-phase Neumann", freezing.planar_neumann),
    EvidenceCase("line sink", freezing.line_sink),
    EvidenceCase("ice held by blood", freezing.ice_held_by_blood),
    EvidenceCase("steady Pennes, plane", freezing.steady_pennes_plane),
    EvidenceCase("steady Pennes, sphere", freezing.steady_pennes_sphere),
    EvidenceCase("one probe against two dimensions", probe.one_probe),
    EvidenceCase("one probe at many angles", probe.rotated_and_shifted),
    EvidenceCase("conduction from a point", heating.point_source),
    EvidenceCase("damage of a ramp", heating.damage_of_a_ramp),
    EvidenceCase("heat balance of each modality", heating.heat_balances),
    EvidenceCase("Laplace, two spheres", potential.two_spheres),
    EvidenceCase("Laplace, needle before a half space", potential.half_space, in_quick=False),
    EvidenceCase("1 to 4 probes in agar", published.probes_in_agar),
    EvidenceCase("probe in lung", published.probe_in_lung, in_quick=False),
    EvidenceCase("makers' ice", published.makers_ice, in_quick=False),
    EvidenceCase("microwave table", published.microwave_table, in_quick=False),
    EvidenceCase("radiofrequency table", published.radiofrequency_table, in_quick=False),
)


def gather(
    *,
    quick: bool = False,
    cases: Sequence[EvidenceCase] = CASES,
    progress: Progress = no_progress,
) -> tuple[EvidenceRow, ...]:
    """Run the cases and give their rows, each with the seconds its case took.

    ``quick`` runs fewer and coarser ones (about 20 s on two cores, else two to three minutes).
    Raises what a solver raises: evidence that cannot be had is not a row.
    """
    chosen = [c for c in cases if c.in_quick or not quick]
    rows: list[EvidenceRow] = []
    for n, case in enumerate(chosen):
        progress(n / len(chosen), case.name)
        started = time.perf_counter()
        made = case.run(quick)
        seconds = time.perf_counter() - started
        rows += [replace(row, seconds=seconds) for row in made]
    progress(1.0, "done")
    return tuple(rows)
