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
        rfa=_control(root.table("rfa")) if root.has("rfa") else None,
        ire=_protocol(pulses, len(root.tables("applicator"))) if root.has("ire") else None,
        threshold_v_per_cm=pulses.number(
            "threshold_v_per_cm", THRESHOLD_V_PER_CM, low=100.0, high=3000.0
        ),
    )


#: Keys of [rfa] that one mode or arrangement alone reads.
_OF_MODE = {
    "impedance": ("rise_ohm", "off_s", "start_w", "ramp_w_per_min", "step_back", "held_s"),
    "temperature": ("target_c", "band_c"),
}


def _control(table: TomlTable) -> RfaControl:
    """Keys that the chosen mode does not read are refused with the mode that does."""
    control = table.build(RfaControl)
    for mode, keys in _OF_MODE.items():
        for key in keys:
            if table.has(key) and control.mode != mode:
                raise table.wrong(
                    key,
                    f"{key} with mode = '{control.mode}'",
                    f"{key} with mode = '{mode}' only",
                    f"Remove {key}, or set mode = '{mode}'.",
                )
    if table.has("switch_s") and control.arrangement != "switched":
        raise table.wrong(
            "switch_s",
            f"switch_s with arrangement = '{control.arrangement}'",
            "switch_s with arrangement = 'switched' only",
            "Remove switch_s, or set arrangement = 'switched'.",
        )
    return control


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


def _protocol(table: TomlTable, applicators: int) -> PulseProtocol:
    """Pairs count applicators from 1 in the file; ``voltage_v`` is one number or one a pair."""
    table.only(
        "pairs", "voltage_v", "v_per_cm", "pulses", "pulse_us", "rate_hz", "threshold_v_per_cm"
    )
    pairs: tuple[tuple[int, int], ...] | Literal["all"] = "all"
    if table.data.get("pairs", "all") != "all":
        pairs = _pairs(table, applicators)
    if table.has("voltage_v") and table.has("v_per_cm"):
        raise table.wrong(
            "v_per_cm",
            "both v_per_cm and voltage_v",
            "one of them: the voltage, or the voltage over the distance of a pair",
            "Remove v_per_cm or voltage_v.",
        )
    volts = table.data.get("voltage_v")
    if isinstance(volts, list):
        volts = table.numbers(
            "voltage_v", max(1, len(volts)), words="one number, or one for each pair, in V"
        )
        count = applicators * (applicators - 1) // 2 if pairs == "all" else len(pairs)
        if len(volts) != count:
            raise table.wrong(
                "voltage_v",
                f"{len(volts)} voltages",
                f"one number, or one for each of {count} pairs",
                "Give one voltage for all, or as many as there are pairs.",
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


def _pairs(table: TomlTable, applicators: int) -> tuple[tuple[int, int], ...]:
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
    for a, b in given:
        if a == b or max(a, b) > applicators:
            raise table.wrong(
                "pairs",
                f"the pair [{a}, {b}]",
                f"two different numbers from 1 to {applicators}, the applicators in the file",
                "Applicators count from 1 in the order of [[applicator]].",
            )
    return tuple((a - 1, b - 1) for a, b in given)
