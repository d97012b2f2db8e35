"""``irplan tissue``: every constant of the tissue table with unit, range, source and status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from irplan.cli.columns import columns
from irplan.cli.console import JSON, command

if TYPE_CHECKING:
    from irplan.ablation.quantity import Quantity

_STATUS = (
    "Status: V read in the source, M measured by irplan, S from general knowledge (to be "
    "verified), X estimate."
)
_USED = {
    "k_": "heat conduction",
    "density": "heat capacity",
    "c_": "heat capacity",
    "latent": "freezing",
    "solidus": "freezing",
    "liquidus": "freezing",
    "perfusion": "heat carried by blood",
    "metabolic": "heat source",
    "fixed": "tissue held at a temperature (vessels, saline)",
    "wall": "film between held tissue and neighbours",
    "k_per_k": "heat conduction above 37 degC",
    "water": "boiling (rfa, mwa)",
    "sigma_": "electric potential (ire; its rise per kelvin also rfa)",
    "sigma_microwave": "absorbed microwave power (mwa)",
    "sigma_pulsed": "electroporated tissue (ire)",
    "field": "electroporation (ire)",
    "permittivity": "absorbed microwave power (mwa)",
}


def tissue(
    name: str | None = typer.Argument(None, help="One tissue; all of them without it."),
    as_json: bool = JSON,
) -> None:
    """List tissues, or every constant of one with value, unit, range, source, status and use.

    Example: `irplan tissue liver`
    """
    with command(quiet=False, as_json=as_json) as console:
        from irplan.ablation.tissue_table import (
            BLOOD_DENSITY,
            BLOOD_HEAT_CAPACITY,
            TISSUE_OF_STRUCTURE,
            TISSUE_TABLE_VERSION,
            TISSUES,
            tissue,
        )

        if name is not None:
            tissue(name)  # raises for an unknown one
        chosen = TISSUES if name is None else {name: TISSUES[name]}
        structures = {t: [s for s, of in TISSUE_OF_STRUCTURE.items() if of == t] for t in TISSUES}
        console.result(
            {
                "version": TISSUE_TABLE_VERSION,
                "blood": {
                    "density": _data(BLOOD_DENSITY),
                    "heat_capacity": _data(BLOOD_HEAT_CAPACITY),
                },
                "tissues": {
                    n: {
                        "structures": structures[n],
                        "constants": {k: _data(q) for k, q in r.quantities.items()},
                        "sigma_radiofrequency_s_per_m": _data(r.sigma_radiofrequency),
                    }
                    for n, r in chosen.items()
                },
            }
        )
        console.say(f"Tissue table {TISSUE_TABLE_VERSION} (research use only)")
        if name is None:
            heads = ("tissue", "k W/(m K)", "perfusion 1/s", "held at degC", "structures")
            rows = []
            for n, record in TISSUES.items():
                q = record.quantities
                fixed = q.get("fixed_temperature_c")
                rows.append(
                    (
                        n,
                        f"{q['k_unfrozen_w_per_mk'].value:g}",
                        f"{q['perfusion_per_s'].value:g}",
                        "" if fixed is None else f"{fixed.value:g}",
                        ", ".join(structures[n]),
                    )
                )
            console.say(columns(heads, rows))
            console.say("All constants of one: irplan tissue liver")
            return
        names = ("constant", "value", "unit", "from", "to", "status", "used for", "source")
        shown = [(k, _use(k), q) for k, q in TISSUES[name].quantities.items()]
        radio = TISSUES[name].sigma_radiofrequency
        shown.append(("sigma near 500 kHz", "electric potential (rfa)", radio))
        constants = [
            (k, f"{q.value:g}", q.unit, f"{q.low:g}", f"{q.high:g}", q.status, use, q.source)
            for k, use, q in shown
        ]
        console.say(f"{name}: {', '.join(structures[name]) or 'no structure'}")
        console.say(columns(names, constants))
        console.say(_STATUS)


def _use(constant: str) -> str:
    """What a constant is for: the longest prefix that is known."""
    fitting = [p for p in _USED if constant.startswith(p)]
    return _USED[max(fitting, key=len)] if fitting else ""


def _data(q: Quantity) -> dict[str, Any]:
    return {
        "value": q.value,
        "unit": q.unit,
        "low": q.low,
        "high": q.high,
        "status": q.status,
        "source": q.source,
    }
