"""Classes of needle electrode for irreversible electroporation: geometry and limits."""

from __future__ import annotations

from irplan.ablation.applicator import Applicator
from irplan.ablation.device import IreDevice


def _needle(exposure_mm: float) -> Applicator:
    return Applicator(
        name=f"ire-19g-{exposure_mm:g}mm",
        kind="ire",
        shaft_diameter_mm=1.1,
        active_length_mm=exposure_mm,
        tip_offset_mm=0.0,
        working_temperature_c=37.0,
        ramp_s=0.0,
        max_insertion_mm=150.0,
        source="monopolar 19G needle (1.1 mm) with its sleeve drawn back by the exposure; "
        "3 kV, 50 A, up to 6 needles: ablation specification, to verify [S]",
        device=IreDevice(max_voltage_v=3000.0, max_current_a=50.0, max_probes=6),
    )


IRE_ELECTRODES = tuple(_needle(mm) for mm in (10.0, 15.0, 20.0, 25.0, 30.0, 40.0))
