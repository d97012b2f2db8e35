"""The whole chain from Python: a synthetic patient is segmented, planned and judged."""

from __future__ import annotations

from matplotlib.figure import Figure

from irplan.phantom import Phantom, TumourSpec, abdominal_ct
from irplan.planning import PlannedCase, PlanOptions, plan_case
from irplan.segmentation import segment_abdomen
from irplan.viz import margin_map


def setup(seed: int = 3, diameter_mm: float = 18.0) -> Phantom:
    return abdominal_ct(seed, tumours=(TumourSpec(diameter_mm),))


def run(patient: Phantom, margin_mm: float = 5.0) -> PlannedCase:
    target = patient.labels.mask("tumour")
    abdomen = segment_abdomen(patient.volume, target_mask=target)
    options = PlanOptions(margin_mm=margin_mm)
    return plan_case(patient.volume, abdomen.labels, target, options=options)


def draw(case: PlannedCase) -> Figure:
    """The margin on the target's surface."""
    return margin_map(case)


if __name__ == "__main__":
    case = run(setup())
    print(f"{len(case.plan.placements)} x {case.plan.placements[0].applicator.name}")
    print(f"minimal margin {case.evaluation.minimal_margin_mm:.1f} mm")
    for row in case.evaluation.rows:
        value = "-" if row.value is None else f"{row.value:.1f} {row.unit}"
        print(f"{row.status:<12} {row.name}: {value} ({row.limit})")
    draw(case).savefig("plan_synthetic_patient.png")
