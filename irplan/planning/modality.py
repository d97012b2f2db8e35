"""What planning must know of a modality: its tools, its simulation, its zone as a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import (
    AblationProblem,
    AblationResult,
    Applicator,
    CryoResult,
    FieldResult,
    HeatResult,
    LethalRule,
    MwaDevice,
    Phase,
    Placement,
    Schedule,
    applicator,
    simulate,
)
from irplan.ablation.catalogue import AUTOMATIC_CRYOPROBES
from irplan.ablation.device import Kind
from irplan.ablation.zone_measure import zone_fields
from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.image import Volume
from irplan.planning.rules import Limit, PathRules

#: Heat: a rise of 18 K (55 degC) for some minutes kills [S]; one of 13 K is spared organs' limit.
LETHAL_RISE_K, HARMFUL_RISE_K = 18.0, 13.0
#: Tissue this near a shaft's axis is its channel, mm: the shaft and a voxel of 1 mm [S].
CHANNEL_MM = 2.5
#: Slope of the logarithm of Arrhenius' dose at 55 degC, Ea/(R T^2) with 6.28e5 J/mol, 1/K.
LOG_DOSE_PER_K = 0.7
_BODY_C = 37.0
#: Allowed error in time of simulations that only guide a search, mm.
SEARCH_TIME_ERROR_MM = 0.2
_SPEC = "planning specification"


def lethal_field(
    result: AblationResult, rule: LethalRule, placements: Sequence[Placement]
) -> tuple[Volume, float, str]:
    """A smooth field, a level and words: the lethal zone is where the field is at or below it.

    Cold: the temperature of ``rule``; heat: minus the logarithm of Arrhenius' dose over the lethal
    one; electroporation: minus the field.  Tissue that only a cooled shaft or the metal itself
    keeps alive, within `CHANNEL_MM` of an axis and dead all round, counts as zone.
    """
    if isinstance(result, CryoResult):
        words = f"{rule.threshold_c:g} degC or colder in {rule.cycles} freeze(s)"
        return result.lethal_temperature(rule), rule.threshold_c, words
    channel = f"; the needle's channel ({CHANNEL_MM:g} mm) counts as the tissue round it"
    if isinstance(result, FieldResult):
        fall = Volume(-result.field_v_per_cm.array, result.grid, "V/cm")
        level = result.threshold_v_per_cm
        words = f"electroporated: {level:g} V/cm or more{channel}"
        return without_channels(fall, placements), -level, words
    dead = next(z for z in zone_fields(result) if z.name == "arrhenius")
    field = Volume(-dead.signed(), result.grid, "1")
    return without_channels(field, placements), 0.0, dead.words + channel


def without_channels(field: Volume, placements: Sequence[Placement]) -> Volume:
    """The field with thin bright lines along the needles opened away (grey opening)."""
    from scipy.ndimage import grey_opening

    grid = field.grid
    axes = np.array([(p.needle.tip_mm, p.needle.entry_mm) for p in placements])
    index = grid.lps_to_index(axes)
    near = np.zeros(grid.shape, bool)
    at = np.moveaxis(np.indices(grid.shape, dtype=np.float32), 0, -1) * np.float32(1.0)
    h = np.asarray(grid.spacing_mm)
    for tip, entry in index * h:
        way = entry - tip
        part = np.clip(((at * h - tip) @ way) / float(way @ way), 0.0, 1.0)
        near |= np.linalg.norm(at * h - tip - part[..., None] * way, axis=-1) <= CHANNEL_MM
    size = 2 * int(np.ceil(CHANNEL_MM / min(h))) + 1
    opened = grey_opening(field.array, size=(size,) * 3)
    return Volume(np.where(near, opened, field.array), grid, field.quantity)


@dataclass(frozen=True)
class Tool:
    """An applicator with what is done with it over time."""

    applicator: Applicator
    schedule: Schedule

    @property
    def words(self) -> str:
        """Name and, where there is power, power and minutes."""
        power = [p for p in self.schedule.phases if p.kind == "power"]
        if not power or self.applicator.kind == "ire":
            return self.applicator.name
        minutes = sum(p.duration_s for p in power) / 60.0
        return f"{self.applicator.name} ({power[0].power_w:g} W, {minutes:g} min)"


@dataclass(frozen=True)
class Modality:
    """One way of ablating.

    ``fewest`` and ``most`` applicators; ``parallel``: all of them in one direction with their tips
    at equal depth; ``search_mm`` and ``final_mm`` are voxels of simulations that guide and that
    decide; ``rounds`` simulations improve one layout.
    """

    kind: Kind
    tools: tuple[Tool, ...]
    lethal: LethalRule
    fewest: int = 1
    most: int = 8
    parallel: bool = False
    search_mm: float = 2.0
    final_mm: float = 1.0
    rounds: int = 4

    def simulate(
        self,
        problem: AblationProblem,
        *,
        search: bool,
        progress: Progress = no_progress,
    ) -> AblationResult:
        """The simulation that guides (one thread, coarse in time) or decides."""
        if search:
            # One thread: too small a grid to gain from more, and barriers suffer on a busy machine.
            return simulate(
                problem, time_error_mm=SEARCH_TIME_ERROR_MM, threads=1, progress=progress
            )
        return simulate(problem, progress=progress)

    def zone(self, result: AblationResult, placements: Sequence[Placement]) -> tuple[Volume, float]:
        """A smooth field and a level: the lethal zone is where the field is at or below it."""
        return lethal_field(result, self.lethal, placements)[:2]

    def effect(self, result: AblationResult, placements: Sequence[Placement]) -> Volume:
        """What applicators add up, >= 0: fall or rise of temperature (K), or field (V/cm).

        It equals `lethal_effect` at the lethal zone's edge.
        """
        if isinstance(result, CryoResult):
            cold = result.body_temperature_c - result.lethal_temperature(self.lethal).array
            return Volume(np.maximum(cold, 0.0), result.grid, "degC")
        if isinstance(result, FieldResult):
            fall = lethal_field(result, self.lethal, placements)[0]
            return Volume(-fall.array, result.grid, "V/cm")
        assert isinstance(result, HeatResult)
        rise = np.maximum(result.maximum_c.array - _BODY_C, 0.0)
        inside = -self.zone(result, placements)[0].array
        by_dose = np.maximum(LETHAL_RISE_K + inside / LOG_DOSE_PER_K, 0.0)
        dead = np.maximum(rise, LETHAL_RISE_K)
        return Volume(
            np.where(inside >= 0.0, dead, np.minimum(rise, by_dose)).astype(np.float32),
            result.grid,
            "degC",
        )

    def harm(self, result: AblationResult, placements: Sequence[Placement]) -> Volume:
        """What organs are to be spared from, in the terms of `effect`: the ice, not its kill."""
        if isinstance(result, CryoResult):
            cold = result.body_temperature_c - result.minimum_c.array
            return Volume(np.maximum(cold, 0.0), result.grid, "degC")
        return self.effect(result, placements)

    @property
    def lethal_effect(self) -> float:
        """The effect at the lethal zone's edge."""
        if self.kind == "cryo":
            return _BODY_C - self.lethal.threshold_c
        return 500.0 if self.kind == "ire" else LETHAL_RISE_K

    @property
    def harmful_effect(self) -> float:
        """The effect that organs are spared from."""
        if self.kind == "cryo":
            return _BODY_C
        return 500.0 if self.kind == "ire" else HARMFUL_RISE_K

    def rules(self, rules: PathRules) -> PathRules:
        """``rules`` with this modality's spacing where they are still the defaults (of cryo)."""
        return spaced(self.kind, rules)


def spaced(kind: Kind, rules: PathRules) -> PathRules:
    """``rules`` with the spacing of ``kind`` where they are still the defaults (of cryo)."""
    changes: dict[str, Limit] = {}
    usual = PathRules()
    for name, value, words in _SPACING[kind]:
        if getattr(rules, name) == getattr(usual, name):
            old: Limit = getattr(rules, name)
            source = f"{_SPEC}, {kind} {words}"
            changes[name] = replace(old, value=value, source=source)
    edge = rules.max_edge_distance
    if kind != "cryo" and edge == usual.max_edge_distance:
        changes["max_edge_distance"] = replace(edge, source=f"{edge.source}, taken for {kind} too")
    return replace(rules, **changes)  # type: ignore[arg-type]


#: Rules that differ from those of cryo: name, value, label of the source.
_SPACING: dict[Kind, tuple[tuple[str, float, str], ...]] = {
    "cryo": (),
    "mwa": (("min_probe_spacing", 5.0, "[S]"), ("max_probe_spacing", 40.0, "[S]"),
            ("max_probes", 3.0, "[S]")),
    "rfa": (("min_probe_spacing", 5.0, "[S]"), ("max_probe_spacing", 40.0, "[S]"),
            ("max_probes", 3.0, "device")),
    "ire": (("min_probe_spacing", 15.0, "[S]"), ("max_probe_spacing", 20.0, "[S]"),
            ("max_probes", 6.0, "[S]")),
}  # fmt: skip
#: Power (W) and minutes that automatic planning of microwaves chooses among [S: low, usual, long].
MWA_SETTINGS = ((40.0, 5.0), (60.0, 5.0), (60.0, 10.0))
#: Power (W) and minutes of radiofrequency: 12 min under impedance control [V, ablation spec].
RFA_SETTINGS = ((200.0, 12.0),)
_AUTOMATIC: dict[Kind, tuple[str, ...]] = {
    "cryo": AUTOMATIC_CRYOPROBES,
    "mwa": ("mwa-17g-cooled-2450", "mwa-14g-cooled-2450"),
    "rfa": ("rfa-17g-cooled-2cm", "rfa-17g-cooled-3cm"),
    "ire": ("ire-19g-15mm", "ire-19g-20mm", "ire-19g-30mm"),
}


def automatic(kind: Kind) -> tuple[str, ...]:
    """Catalogue names that automatic planning chooses among."""
    return _AUTOMATIC[kind]


def modality(
    kind: str,
    *,
    applicators: Sequence[str] = (),
    schedule: Schedule | None = None,
    lethal: LethalRule | None = None,
) -> Modality:
    """The modality ``kind`` with its tools.

    Parameters
    ----------
    kind : "cryo", "mwa", "rfa" or "ire".
    applicators : catalogue names; empty: what automatic planning chooses among.
    schedule : what is done over time; None: freeze-thaw-freeze for cryo, the settings above for
        heat; not for ire, whose pulses are not scheduled.
    lethal : for cryo.

    Raises
    ------
    InputError : an unknown kind, an applicator of another kind, a schedule that does not fit.
    """
    if kind not in get_args(Kind):
        raise InputError(
            "modality",
            got=repr(kind),
            expected="one of " + ", ".join(get_args(Kind)),
            remedy="Use one of these.",
        )
    known: Kind = kind  # type: ignore[assignment]
    chosen = [applicator(name) for name in (applicators or _AUTOMATIC[known])]
    for a in chosen:
        if a.kind != kind:
            raise InputError(
                "options.applicator",
                got=f"'{a.name}', a {a.kind} applicator, with modality {kind}",
                expected=f"a {kind} applicator",
                remedy="Use " + ", ".join(_AUTOMATIC[known]) + " or 'auto', or another modality.",
            )
    rule = LethalRule() if lethal is None else lethal
    tools = tuple(t for a in chosen for t in _tools(a, schedule))
    tools = _within_power(tools)
    if known == "cryo":
        return Modality("cryo", tools, rule)
    if known == "ire":
        return Modality("ire", tools, rule, fewest=2, most=6, parallel=True)
    if known == "rfa":
        # A solution takes seconds even at 3 mm: few of them, and the last word at 2 mm.
        return Modality("rfa", tools, rule, most=3, search_mm=3.0, final_mm=2.0, rounds=2)
    return Modality("mwa", tools, rule, most=3, rounds=3)


def _tools(a: Applicator, schedule: Schedule | None) -> list[Tool]:
    if a.kind == "ire":
        if schedule is not None:
            raise InputError(
                "options.schedule",
                got="a schedule for electroporation",
                expected="none: 90 pulses a pair",
                remedy="Leave the schedule out.",
            )
        return [Tool(a, Schedule((Phase("power", 90.0, 1.0),)))]
    if schedule is not None:
        wanted = "freeze" if a.kind == "cryo" else "power"
        if not any(p.kind == wanted for p in schedule.phases):
            raise InputError(
                "options.schedule",
                got="no phase of kind '" + wanted + "'",
                expected=f"a schedule for {a.kind}",
                remedy="Give minutes of freeze-thaw-freeze for cryo, power and minutes for heat.",
            )
        return [Tool(a, schedule)]
    if a.kind == "cryo":
        return [Tool(a, Schedule.freeze_thaw_freeze())]
    settings = MWA_SETTINGS if a.kind == "mwa" else RFA_SETTINGS
    most = a.device.max_power_w if isinstance(a.device, MwaDevice) else 200.0
    return [Tool(a, Schedule.constant_power(w, m)) for w, m in settings if w <= most]


def _within_power(tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    """Those whose device takes the power; `InputError` names the highest where none does."""
    limits = [getattr(t.applicator.device, "max_power_w", np.inf) for t in tools]
    wanted = [max((p.power_w or 0.0 for p in t.schedule.phases), default=0.0) for t in tools]
    good = tuple(t for t, w, m in zip(tools, wanted, limits, strict=True) if w <= m)
    if tools and not good:
        most = int(np.argmax(limits))
        raise InputError(
            "options.schedule",
            got=f"{max(wanted):g} W",
            expected=f"at most {limits[most]:g} W, the limit of {tools[most].applicator.name}",
            remedy="Lower the power (--power W,MIN), or choose another applicator.",
        )
    return good


@dataclass(frozen=True, eq=False)
class UniformEffect:
    """Effect round one applicator in uniform tissue, about its active zone's middle.

    ``table`` (axial, radial) at 1 mm steps; the axial axis begins at ``axial_start_mm`` and is
    positive towards the tip.
    """

    tool: Tool
    table: NDArray[np.float64]
    axial_start_mm: float
    reach_mm: float = field(default=40.0)

    def at(
        self,
        points_mm: NDArray[np.float64],
        centre_mm: NDArray[np.float64],
        direction: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(n,) effect at LPS points of an applicator with its active middle at a centre."""
        from scipy.ndimage import map_coordinates

        way = points_mm - centre_mm
        axial = way @ direction
        radial = np.sqrt(np.maximum(np.einsum("ij,ij->i", way, way) - axial**2, 0.0))
        index = np.stack([axial - self.axial_start_mm, radial])
        out: NDArray[np.float64] = map_coordinates(
            self.table, index, order=1, mode="constant", cval=0.0
        )
        return out
