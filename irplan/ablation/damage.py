"""When heated tissue is dead: damage models as settings, with the source of their constants."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.given import Limits, check_text, take_numbers
from irplan.errors import InputError
from irplan.image.volume import Quantity

GAS_CONSTANT_J_PER_MOLK = 8.314462618
#: Rate tables reach from here to here, degC, with this many entries a kelvin.
TABLE_FROM_C, TABLE_TO_C, TABLE_PER_K = 20.0, 180.0, 32.0
#: A dose in CEM43 is not followed beyond this, min (240 is death).
MOST_CEM43_MIN = 1e6
#: An Arrhenius integral is not followed beyond this (4 is 98 % dead).
MOST_OMEGA = 1e3


#: Published (A, Ea): half of one with half of another is no model.
_PUBLISHED = (
    (7.39e39, 2.577e5),
    (5.49e41, 2.768e5),
    (3.25e43, 2.81e5),
    (4.11e24, 1.7017e5),
)
_DEFAULT_SOURCE = "liver; dead at 1 - exp(-Omega) > 0.98 [V, ablation specification]"


def _take(model: DamageModel, limits: Limits) -> None:
    take_numbers(
        model, "damage", limits, "Take a published set as it is: the constants belong together."
    )
    for field in ("source", "name"):
        check_text(f"damage.{field}", getattr(model, field))


@dataclass(frozen=True)
class Arrhenius:
    """First-order death: Omega = int A exp(-Ea / (R T)) dt, fraction dead 1 - exp(-Omega).

    Henriques & Moritz, Am. J. Pathol. 23 (1947) 695.  A and Ea are one fit: half of a published
    pair with another constant is refused, and a pair of one's own needs its source.

    Parameters
    ----------
    frequency_per_s : A, 1/s (1 to 1e150).
    energy_j_per_mol : Ea, J/mol (1e4 to 1e6).
    dead_fraction : tissue counts as dead at and above this fraction (0.05 to 0.9999).
    source : of A and Ea.
    name : key of the result's fields and zones.

    Known limit: with common sets the rate at body temperature is not zero (set of the default:
    3e-4 /s, Omega 0.17 after 10 min); it is counted.
    """

    frequency_per_s: float = 7.39e39
    energy_j_per_mol: float = 2.577e5
    dead_fraction: float = 0.98
    source: str = _DEFAULT_SOURCE
    name: str = "arrhenius"
    kind: ClassVar[Literal["dose", "cells"]] = "dose"
    unit: ClassVar[Quantity] = "probability"

    def __post_init__(self) -> None:
        _take(
            self,
            {
                "frequency_per_s": (1.0, 1e150, "1/s"),
                "energy_j_per_mol": (1e4, 1e6, "J/mol"),
                "dead_fraction": (0.05, 0.9999, ""),
            },
        )
        pair = (self.frequency_per_s, self.energy_j_per_mol)
        known = [k for k in _PUBLISHED if pair[0] == k[0] or pair[1] == k[1]]
        if known and pair not in known:
            raise InputError(
                "damage.energy_j_per_mol",
                got=f"{pair[1]:g} J/mol with A = {pair[0]:g} /s",
                expected=f"{known[0][1]:g} J/mol with A = {known[0][0]:g} /s, which are one fit",
                remedy="Take both constants, and their source, from one publication.",
            )
        if not known and self.source == _DEFAULT_SOURCE:
            raise InputError(
                "damage.source",
                got=f"the source of another set for A = {pair[0]:g} /s, Ea = {pair[1]:g} J/mol",
                expected="where this pair comes from",
                remedy="Name the publication in source.",
            )

    @property
    def words(self) -> str:
        """The constants, for records."""
        return (
            f"A {self.frequency_per_s:.6g} /s, Ea {self.energy_j_per_mol:.6g} J/mol, dead from "
            f"{self.dead_fraction:g}"
        )

    def rate(self, temperature_c: NDArray[np.float64]) -> NDArray[np.float64]:
        """dOmega/dt, 1/s."""
        kelvin = np.asarray(temperature_c, dtype=np.float64) + 273.15
        exponent = math.log(self.frequency_per_s) - self.energy_j_per_mol / (
            GAS_CONSTANT_J_PER_MOLK * kelvin
        )
        out: NDArray[np.float64] = np.exp(np.minimum(exponent, 60.0))
        return out

    @property
    def level(self) -> float:
        """Value of the field (fraction dead) from which tissue is dead."""
        return self.dead_fraction

    @property
    def most(self) -> float:
        """Largest dose that is followed."""
        return MOST_OMEGA

    @property
    def dose_level(self) -> float:
        """Dose (Omega) of `level`."""
        return -math.log1p(-self.dead_fraction)

    def field(self, dose: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fraction dead from Omega."""
        return -np.expm1(-dose)


@dataclass(frozen=True)
class Cem43:
    """Cumulative equivalent minutes at 43 degC: int R^(43 - T) dt.

    Sapareto & Dewey, Int. J. Radiat. Oncol. Biol. Phys. 10 (1984) 787.

    Parameters
    ----------
    dead_minutes : dose from which tissue is dead, min (1 to 1e5); 240 is usual.
    r_above, r_below : R above and below 43 degC (0.05 to 0.95).
    """

    dead_minutes: float = 240.0
    r_above: float = 0.5
    r_below: float = 0.25
    source: str = "Sapareto & Dewey 1984; dead at 240 min [V, ablation specification]"
    name: str = "cem43"
    kind: ClassVar[Literal["dose", "cells"]] = "dose"
    unit: ClassVar[Quantity] = "min"

    def __post_init__(self) -> None:
        _take(
            self,
            {
                "dead_minutes": (1.0, 1e5, "min"),
                "r_above": (0.05, 0.95, ""),
                "r_below": (0.05, 0.95, ""),
            },
        )

    @property
    def words(self) -> str:
        """The constants, for records."""
        return f"R {self.r_above:g} / {self.r_below:g}, dead from {self.dead_minutes:g} min"

    def rate(self, temperature_c: NDArray[np.float64]) -> NDArray[np.float64]:
        """Equivalent minutes per second."""
        t = np.asarray(temperature_c, dtype=np.float64)
        r = np.where(t >= 43.0, self.r_above, self.r_below)
        out: NDArray[np.float64] = np.exp((43.0 - t) * np.log(r)) / 60.0
        return out

    @property
    def level(self) -> float:
        """Value of the field (min) from which tissue is dead."""
        return self.dead_minutes

    @property
    def most(self) -> float:
        """Largest dose that is followed."""
        return MOST_CEM43_MIN

    @property
    def dose_level(self) -> float:
        """Dose of `level`."""
        return self.dead_minutes

    def field(self, dose: NDArray[np.float32]) -> NDArray[np.float32]:
        """The dose itself, min."""
        return dose


@dataclass(frozen=True)
class ThreeState:
    """Alive A <-> vulnerable V -> dead D.

    O'Neill et al., Ann. Biomed. Eng. 39 (2011) 570, eq. 1-4:
    dA/dt = -k_f A + k_b V, dD/dt = k_f V, V = 1 - A - D, k_f = k (1 - A) exp(T / T_k).

    Parameters
    ----------
    forward_per_s : k, 1/s.
    scale_c : T_k, degC.
    backward_per_s : k_b, 1/s.
    alive_at_start, dead_at_start : A and D before any heat.
    dead_fraction : tissue counts as dead from this D on.
    """

    forward_per_s: float = 3.33e-3
    scale_c: float = 40.5
    backward_per_s: float = 7.77e-3
    alive_at_start: float = 0.99
    dead_at_start: float = 0.01
    dead_fraction: float = 0.8
    source: str = "O'Neill 2011, HepG2 and MRC-5 cells [V constants, ablation specification]"
    name: str = "three_state"
    kind: ClassVar[Literal["dose", "cells"]] = "cells"
    unit: ClassVar[Quantity] = "probability"

    def __post_init__(self) -> None:
        _take(
            self,
            {
                "forward_per_s": (1e-6, 1.0, "1/s"),
                "scale_c": (5.0, 200.0, "degC"),
                "backward_per_s": (0.0, 0.1, "1/s"),
                "alive_at_start": (0.5, 1.0, ""),
                "dead_at_start": (0.0, 0.5, ""),
                "dead_fraction": (0.05, 0.9999, ""),
            },
        )
        if self.alive_at_start + self.dead_at_start > 1.0 + 1e-9:
            raise InputError(
                "damage.alive_at_start",
                got=f"{self.alive_at_start} alive and {self.dead_at_start} dead",
                expected="a sum of at most 1",
                remedy="0.99 and 0.01 are usual.",
            )

    @property
    def words(self) -> str:
        """The constants, for records."""
        return (
            f"k {self.forward_per_s:g} /s, T_k {self.scale_c:g} degC, k_b {self.backward_per_s:g} "
            f"/s, A0 {self.alive_at_start:g}, D0 {self.dead_at_start:g}, dead from "
            f"{self.dead_fraction:g}"
        )

    def rate(self, temperature_c: NDArray[np.float64]) -> NDArray[np.float64]:
        """k_f / (1 - A), 1/s."""
        out: NDArray[np.float64] = self.forward_per_s * np.exp(
            np.asarray(temperature_c, dtype=np.float64) / self.scale_c
        )
        return out

    @property
    def level(self) -> float:
        """Value of the field (D) from which tissue is dead."""
        return self.dead_fraction


DamageModel = Arrhenius | Cem43 | ThreeState

_JACQUES = (
    "pig liver, half coagulated (whitening): dS 553.5 J/(mol K), dH 2.768e5 J/mol, Jacques, "
    "Newman & He 1991 [V, omlc.org/news/may06/livercoag]; A = (k_B T / h) exp(dS / R) at 50 degC"
)
_HCC = (
    "hepatocellular carcinoma cells, 45 to 60 degC: A 3.25e43 /s, Ea 281 kJ/mol, R 0.72, "
    "'Cytotoxicity of hepatocellular carcinoma cells to hyperthermic and ablative temperature "
    "exposures' [V, abstract]; A, Ea and the dose: see there"
)
_HEPG2 = (
    "HepG2 cells, 40 to 70 degC: Ea 170.17 kJ/mol, A 4.11e24 /s, 'Investigation on "
    "supraphysiological thermal injury in two well-differentiated human hepatoma cell lines' [V, "
    "abstract]"
)
#: Published sets by name; a set's constants belong together.  Dead fractions other than the
#: first one's are conventions: 0.632 is Omega = 1.
DAMAGE_SETS: dict[str, DamageModel] = {
    "liver": Arrhenius(
        source="liver (human): A 7.39e39 /s, Ea 2.577e5 J/mol [V, ablation specification and the "
        "bioheat materials table of COMSOL 5.5]; dead at 1 - exp(-Omega) > 0.98 [V]"
    ),
    "pig liver, whitening": Arrhenius(5.49e41, 2.768e5, 0.632, _JACQUES),
    "liver cancer cells": Arrhenius(3.25e43, 2.81e5, 0.632, _HCC),
    "hepg2 cells": Arrhenius(4.11e24, 1.7017e5, 0.632, _HEPG2),
    "cem43": Cem43(),
    "cem43, liver cancer cells": Cem43(r_above=0.72, source=_HCC),
    "three-state": ThreeState(),
}


def damage_record(models: Iterable[DamageModel]) -> dict[str, float | str]:
    """Constants and source of each model, for a result's options."""
    return {f"damage {m.name}": f"{m.words}; {m.source}" for m in models}


def rate_table(model: DamageModel) -> NDArray[np.float32]:
    """``model.rate`` from TABLE_FROM_C to TABLE_TO_C for the kernels."""
    count = int((TABLE_TO_C - TABLE_FROM_C) * TABLE_PER_K) + 1
    rate = model.rate(TABLE_FROM_C + np.arange(count) / TABLE_PER_K)
    table: NDArray[np.float32] = np.minimum(rate, 1e30).astype(np.float32)
    return table
