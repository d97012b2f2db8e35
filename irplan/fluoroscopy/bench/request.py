"""What a run of the benchmark is asked for: filters, scenes, doses, level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from irplan.errors import InputError
from irplan.fluoroscopy.bench.disc_runs import DiscCell
from irplan.fluoroscopy.scenes import SCENES

#: How much is simulated: "quick" a minute or two, "standard" tens of minutes, "full" hours.
Level = Literal["quick", "standard", "full"]
RAW, RECURSIVE = "raw", "recursive:0.5"
DEVICE_SCENES = ("abdomen", "cardiac", "neuro", "peripheral")
DSA_SCENE = "neuro-dsa"
#: Tasks whose dose factor is given: from small and clear to large and faint, still to fast.
FACTOR_CELLS = tuple(
    DiscCell(r, c, v) for v in (0.0, 1.0, 3.0) for r, c in ((2.0, 0.10), (3.0, 0.05), (8.0, 0.03))
)


@dataclass(frozen=True)
class BenchRequest:
    """What to measure.

    Parameters
    ----------
    filters : specs (`irplan.fluoroscopy.make_filter`) or names of peers; raw and recursive:0.5 are
        always added.
    scenes : of `DEVICE_SCENES`, and `DSA_SCENE` for subtraction; empty: none.
    doses : dose ladder as shares of ``full_dose_ngy``; the one nearest 0.25 is the working dose.
    full_dose_ngy : air kerma at the detector a frame.
    level : how much is simulated.
    """

    filters: tuple[str, ...] = ()
    scenes: tuple[str, ...] = (*DEVICE_SCENES, DSA_SCENE)
    doses: tuple[float, ...] = (1.0, 0.4, 0.25, 0.14)
    full_dose_ngy: float = 40.0
    level: Level = "standard"

    def __post_init__(self) -> None:
        if self.level not in ("quick", "standard", "full"):
            raise _bad("level", repr(self.level), "quick, standard or full")
        ok = all(math.isfinite(d) and 0.01 <= d <= 10.0 for d in self.doses)
        if not ok or len(set(self.doses)) < 2 or len(set(self.doses)) != len(self.doses):
            raise _bad(
                "--dose", ", ".join(f"{d:g}" for d in self.doses) or "none",
                "two or more different shares of the full dose, 0.01 to 10",
            )  # fmt: skip
        if not (math.isfinite(self.full_dose_ngy) and 1.0 <= self.full_dose_ngy <= 5000.0):
            raise _bad("full dose", f"{self.full_dose_ngy} nGy", "1 to 5000 nGy a frame")
        for name in self.scenes:
            if name not in (*DEVICE_SCENES, DSA_SCENE):
                wrong = "no device" if name in SCENES else "unknown"
                known = ", ".join((*DEVICE_SCENES, DSA_SCENE))
                raise _bad("--scene", f"'{name}' ({wrong})", known)

    @property
    def working_dose(self) -> float:
        """The share of the full dose nearest 0.25."""
        return min(self.doses, key=lambda d: abs(d - 0.25))


def _bad(field: str, got: str, expected: str) -> InputError:
    return InputError(field, got=got, expected=expected, remedy="See irplan fluoro bench --help.")
