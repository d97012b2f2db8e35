"""What of a simulated zone is drawn, whatever its kind: surfaces by level, and the lethal zone."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.ablation.result import AblationResult, CryoResult, FieldResult, HeatResult
from irplan.image import Volume
from irplan.planning.case import PlannedAblation
from irplan.planning.modality import lethal_field
from irplan.viz import style

#: Highest temperature reached in degC -> colour; the hotter the deeper.
_HOT = {50.0: "#ffe0a8", 60.0: "#ff9d3f", 100.0: "#e0341e"}
#: Largest field in V/cm -> colour.
_FIELD = {400.0: "#e6c8ff", 1000.0: "#a44be0"}
#: Name of the applicator in each kind, singular.
DEVICE_WORDS = {
    "cryo": "cryoprobe", "mwa": "microwave antenna", "rfa": "radiofrequency electrode",
    "ire": "electrode",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ZoneLayer:
    """The zone where ``field`` is at or below ``level``; ``name`` is short, ``words`` a legend."""

    field: Volume
    level: float
    colour: str
    name: str
    words: str


def zone_layers(result: AblationResult) -> tuple[ZoneLayer, ...]:
    """Isotherms (cold: end of the last freeze; heat: highest reached) or field strengths.

    The outermost first.
    """
    if isinstance(result, CryoResult):
        end = result.end_of_freeze_c
        levels = sorted(style.ISOTHERMS.items(), reverse=True)
        return tuple(
            ZoneLayer(end, t, c, f"{t:g} degC", f"{t:g} °C, end of last freeze") for t, c in levels
        )
    if isinstance(result, HeatResult):
        low = _turned(result.maximum_c)
        return tuple(
            ZoneLayer(low, -t, c, f"{t:g} degC", f"{t:g} °C, highest reached")
            for t, c in sorted(_HOT.items())
        )
    if isinstance(result, FieldResult):
        low = _turned(result.field_v_per_cm)
        return tuple(
            ZoneLayer(low, -v, c, f"{v:g} V/cm", f"{v:g} V/cm") for v, c in sorted(_FIELD.items())
        )
    raise TypeError(type(result).__name__)


def lethal_layer(case: PlannedAblation) -> ZoneLayer:
    """The zone that counts as dead by the plan's rule."""
    plan = case.plan
    field, level, words = lethal_field(case.result, plan.lethal, plan.placements)
    if isinstance(case.result, CryoResult):
        times = "once" if plan.lethal.cycles == 1 else f"in {plan.lethal.cycles} freezes"
        words = f"≤ {plan.lethal.threshold_c:g} °C {times}"
    return ZoneLayer(field, level, style.LETHAL, "lethal", f"Lethal zone ({words.split(';')[0]})")


def _turned(volume: Volume) -> Volume:
    """Minus the values, so that every zone lies at or below its level."""
    return Volume(-volume.array, volume.grid, volume.quantity)
