"""The tables of a problem file that belong to one modality: [damage], [rfa], [ire]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from irplan.ablation.damage import Arrhenius, Cem43, DamageModel, ThreeState
from irplan.ablation.device import Kind
from irplan.ablation.field.control import RfaControl
from irplan.ablation.field.ire import THRESHOLD_V_PER_CM, PulseProtocol
from irplan.files.toml_table import TomlTable

_DAMAGE: dict[str, type[DamageModel]] = {
    "arrhenius": Arrhenius,
    "cem43": Cem43,
    "three_state": ThreeState,
}


@dataclass(frozen=True)
class ModelSettings:
    """Settings of heat and field; None leaves the solver's default."""

    damage: tuple[DamageModel, ...] | None = None
    rfa: RfaControl | None = None
    ire: PulseProtocol | None = None
    threshold_v_per_cm: float = THRESHOLD_V_PER_CM


def read_models(root: TomlTable, kind: Kind) -> ModelSettings:
    """The settings for ``kind``; a table of another modality is an error."""
    for name, kinds in (("damage", ("rfa", "mwa", "ire")), ("rfa", ("rfa",)), ("ire", ("ire",))):
        if root.has(name) and kind not in kinds:
            raise root.wrong(
                name,
                f"[{name}] with applicators of kind '{kind}'",
                f"no such table; it belongs to {' and '.join(kinds)}",
                "Remove it.",
            )
    pulses = root.table("ire")
    return ModelSettings(
        damage=_damage(root.table("damage")) if root.has("damage") else None,
        rfa=root.table("rfa").build(RfaControl) if root.has("rfa") else None,
        ire=_protocol(pulses) if root.has("ire") else None,
        threshold_v_per_cm=pulses.number(
            "threshold_v_per_cm", THRESHOLD_V_PER_CM, low=100.0, high=3000.0
        ),
    )


def _damage(table: TomlTable) -> tuple[DamageModel, ...]:
    """``models`` by name, each with the constants of its own sub-table where there is one."""
    table.only("models", *_DAMAGE)
    names = table.data.get("models", list(_DAMAGE))
    if not isinstance(names, list) or not names or not all(n in _DAMAGE for n in names):
        raise table.wrong(
            "models",
            repr(names),
            "a list of some of " + ", ".join(repr(n) for n in _DAMAGE),
            'For example models = ["arrhenius", "cem43"]',
        )
    for name in _DAMAGE:
        if table.has(name) and name not in names:
            raise table.wrong(
                name, "constants of a model that is not asked for", "its name in models", "Add it."
            )
    return tuple(table.table(n).build(_DAMAGE[n], name=n) for n in dict.fromkeys(names))


def _protocol(table: TomlTable) -> PulseProtocol:
    """Pairs count applicators from 1 in the file; ``voltage_v`` is one number or one a pair."""
    table.only(
        "pairs", "voltage_v", "v_per_cm", "pulses", "pulse_us", "rate_hz", "threshold_v_per_cm"
    )
    pairs: tuple[tuple[int, int], ...] | Literal["all"] = "all"
    if table.data.get("pairs", "all") != "all":
        pairs = _pairs(table)
    volts = table.data.get("voltage_v")
    if isinstance(volts, list):
        volts = table.numbers(
            "voltage_v", max(1, len(volts)), words="one number, or one for each pair, in V"
        )
    else:
        volts = table.number("voltage_v", None)
    with table.located():
        return PulseProtocol(
            pairs=pairs,
            voltage_v=volts,
            v_per_cm=table.number("v_per_cm", 1500.0),
            pulses=table.whole("pulses", 90, low=1, high=10000),
            pulse_us=table.number("pulse_us", 100.0),
            rate_hz=table.number("rate_hz", 1.0),
        )


def _pairs(table: TomlTable) -> tuple[tuple[int, int], ...]:
    given = table.data["pairs"]
    good = isinstance(given, list) and all(
        isinstance(p, list) and len(p) == 2 and all(type(n) is int and n >= 1 for n in p)
        for p in given
    )
    if not good or not given:
        raise table.wrong(
            "pairs",
            repr(given),
            '"all", or pairs of applicator numbers from 1',
            "For example pairs = [[1, 2], [1, 3]]",
        )
    return tuple((a - 1, b - 1) for a, b in given)
