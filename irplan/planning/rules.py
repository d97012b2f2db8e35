"""The rules a needle path and a group of probes must keep, each with value, unit and source.

Labels of sources: [V] read in a source, [S] from memory, to be verified; both as in the planning
specification.  Every value can be overridden: ``PathRules().with_values(max_length_mm=120)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from irplan.errors import InputError
from irplan.image import LabelMap


@dataclass(frozen=True)
class Limit:
    """One limit: ``value`` in ``unit``, the rule in ``words``, where it comes from.

    Raises `InputError` when the value is outside ``allowed`` (lowest, highest).
    """

    value: float
    unit: str
    words: str
    source: str
    allowed: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.allowed
        if not low <= self.value <= high:
            raise InputError(
                f"rule '{self.words}'",
                got=f"{self.value:g} {self.unit}",
                expected=f"{low:g} to {high:g} {self.unit}",
                remedy="Check the value and its unit.",
            )


@dataclass(frozen=True)
class Obstacle:
    """A group of structures that a needle keeps away from.

    Parameters
    ----------
    name : the group in words, as it appears in rows and errors.
    structures : names in the label map.
    hard_mm : smallest distance from the needle's *axis* to the structure; a path that comes
        closer is not admissible.  It holds the needle's radius (0.75 mm) and a safety distance.
    soft_mm : distance below which a path costs more, >= ``hard_mm``, at most 30 mm.
    needed : True when a plan without a look at this group must carry a warning.
    source : where the two distances come from.
    """

    name: str
    structures: tuple[str, ...]
    hard_mm: float
    soft_mm: float
    needed: bool
    source: str

    def __post_init__(self) -> None:
        if not 0.0 <= self.hard_mm <= self.soft_mm <= 30.0:
            raise InputError(
                f"rule for {self.name}",
                got=f"hard {self.hard_mm:g} mm, soft {self.soft_mm:g} mm",
                expected="0 <= hard <= soft <= 30 mm",
                remedy="The soft distance cannot be smaller than the hard one.",
            )


#: Structures that are avoided where they were found, yet show only part of their group.
_IN_PART = ("artery", "vena_cava")


def looked_for(obstacle: Obstacle, labels: LabelMap, organ: str | None = None) -> bool:
    """Whether ``labels`` show all of a group, so that a path far from it is clear of it.

    True when any of its structures was looked for (other than ``organ``, the target's own), save
    for those that are only part of the vessels: arteries (in the arterial phase veins are not
    enhanced) and the cava.  ``vessel_in_part`` says that some may be missing, whatever else there
    is: clicks may have named what was found of the portal vein.
    """
    if "vessel_in_part" in obstacle.structures and labels.checked("vessel_in_part"):
        return False
    return any(labels.checked(n) for n in obstacle.structures if n != organ and n not in _IN_PART)


#: Radius of a 17 G probe, 0.75 mm [V], plus 1.25 mm of safety for wall and bending [S].
_SHAFT = "needle radius 0.75 mm [V] + safety 1.25 mm [S]"
_ORGAN = "planning specification: 5 mm hard, 10 mm soft [S]"

OBSTACLES: tuple[Obstacle, ...] = (
    Obstacle("bone", ("bone",), 2.0, 5.0, True, _SHAFT),
    Obstacle("lung", ("lung",), 5.0, 10.0, True, _ORGAN),
    Obstacle("gas or bowel", ("gas", "stomach", "bowel"), 5.0, 10.0, True, _ORGAN),
    Obstacle("gallbladder", ("gallbladder",), 5.0, 10.0, True, _ORGAN),
    Obstacle(
        "vessel",
        ("portal_vein", "hepatic_vein", "vessel", "vessel_in_part", "artery", "vena_cava"),
        2.0,
        5.0,
        True,
        _SHAFT,
    ),
    Obstacle("bile duct", ("bile_duct",), 5.0, 10.0, False, "planning specification: 5 mm [V]"),
    Obstacle("heart", ("heart",), 5.0, 10.0, False, _ORGAN),
    Obstacle(
        "kidney, spleen or pancreas",
        ("kidney_left", "kidney_right", "spleen", "pancreas"),
        2.0,
        10.0,
        False,
        _SHAFT,
    ),
)


#: Source of a value that the user chose.
SET_BY_USER = "set by the user"
_DEFAULTS: dict[str, Limit] = {
    "max_length": Limit(
        150.0,
        "mm",
        "needle length in the body at most",
        "planning specification [S]",
        (20.0, 300.0),
    ),
    "min_capsule_angle": Limit(
        20.0, "deg", "needle to organ capsule at least", "planning specification [S]", (0.0, 90.0)
    ),
    "min_organ_path": Limit(
        5.0,
        "mm",
        "healthy organ before the target at least",
        "planning specification [S]",
        (0.0, 50.0),
    ),
    "max_tilt": Limit(
        45.0, "deg", "tilt out of the axial plane at most", "gantry, 30 to 45 deg [S]", (0.0, 90.0)
    ),
    "max_below_horizontal": Limit(
        15.0,
        "deg",
        "entry from below the horizontal at most (table; patient supine)",
        "table and hub clearance [S]",
        (-90.0, 90.0),
    ),
    "min_vessel_diameter": Limit(
        3.0, "mm", "vessels count from a diameter of", "planning specification [S]", (0.5, 20.0)
    ),
    "min_probe_spacing": Limit(
        10.0,
        "mm",
        "distance between probes at least",
        "planning specification, cryo [S]",
        (2.0, 120.0),
    ),
    "max_probe_spacing": Limit(
        20.0,
        "mm",
        "distance to the nearest probe at most",
        "planning specification, cryo [S]",
        (5.0, 120.0),
    ),
    "max_edge_distance": Limit(
        10.0,
        "mm",
        "probe to the target's edge at most",
        "planning specification, cryo [S]",
        (0.0, 30.0),
    ),
    "min_entry_spacing": Limit(
        5.0,
        "mm",
        "distance between entry points at least",
        "planning specification [S]",
        (0.0, 50.0),
    ),
    "max_probes": Limit(
        10.0, "probes", "number of probes at most", "planning specification, cryo [S]", (1.0, 10.0)
    ),
    "subcapsular_depth": Limit(
        5.0,
        "mm",
        "target surface this close to the capsule is left out of the margin",
        "as QAM does, planning specification [V]",
        (0.0, 20.0),
    ),
    "high_risk_vessel": Limit(
        5.0,
        "mm",
        "target this close to a large vessel is high-risk",
        "planning specification [V]",
        (0.0, 30.0),
    ),
}


@dataclass(frozen=True)
class PathRules:
    """Hard and soft limits of paths and probe groups; the defaults are those of the specification.

    Raises `InputError` for a value out of range or limits that contradict each other.
    """

    max_length: Limit = _DEFAULTS["max_length"]
    min_capsule_angle: Limit = _DEFAULTS["min_capsule_angle"]
    min_organ_path: Limit = _DEFAULTS["min_organ_path"]
    max_tilt: Limit = _DEFAULTS["max_tilt"]
    max_below_horizontal: Limit = _DEFAULTS["max_below_horizontal"]
    min_vessel_diameter: Limit = _DEFAULTS["min_vessel_diameter"]
    min_probe_spacing: Limit = _DEFAULTS["min_probe_spacing"]
    max_probe_spacing: Limit = _DEFAULTS["max_probe_spacing"]
    max_edge_distance: Limit = _DEFAULTS["max_edge_distance"]
    min_entry_spacing: Limit = _DEFAULTS["min_entry_spacing"]
    max_probes: Limit = _DEFAULTS["max_probes"]
    subcapsular_depth: Limit = _DEFAULTS["subcapsular_depth"]
    high_risk_vessel: Limit = _DEFAULTS["high_risk_vessel"]
    obstacles: tuple[Obstacle, ...] = OBSTACLES

    def __post_init__(self) -> None:
        object.__setattr__(self, "obstacles", tuple(self.obstacles))
        if self.min_probe_spacing.value > self.max_probe_spacing.value:
            raise InputError(
                "rules.min_probe_spacing",
                got=f"{self.min_probe_spacing.value:g} mm with at most "
                f"{self.max_probe_spacing.value:g} mm",
                expected="a smallest spacing not above the largest",
                remedy="Change one of the two.",
            )
        names = [o.name for o in self.obstacles]
        if len(set(names)) < len(names) or len(names) > MAX_OBSTACLES:
            raise InputError(
                "rules.obstacles",
                got=f"{names}",
                expected=f"at most {MAX_OBSTACLES} groups, each name once",
                remedy="Merge or rename the groups.",
            )

    def with_values(self, **values: float) -> PathRules:
        """A copy with other numbers, e.g. ``with_values(max_length_mm=120, max_tilt_deg=30)``.

        A name is the field's, with or without its unit at the end; or that of an obstacle's
        distance, ``"gallbladder.hard_mm"`` or ``"gas_or_bowel.soft_mm"``.  `InputError` lists the
        names.
        """
        known = {f.name for f in fields(self) if f.name != "obstacles"}
        groups = {o.name.replace(" ", "_").replace(",", ""): o for o in self.obstacles}
        changes: dict[str, Limit] = {}
        distances: dict[str, dict[str, float]] = {}
        for name, value in values.items():
            group, _, end = name.replace(" ", "_").replace(",", "").rpartition(".")
            if group in groups and end in ("hard_mm", "soft_mm"):
                distances.setdefault(group, {})[end] = float(value)
                continue
            key = name if name in known else name.rsplit("_", 1)[0]
            if key not in known:
                raise InputError(
                    f"rule '{name}'",
                    got="a rule that does not exist",
                    expected="one of "
                    + ", ".join([*sorted(known), *(f"{g}.hard_mm (.soft_mm)" for g in groups)]),
                    remedy="Use one of these names.",
                )
            changes[key] = replace(getattr(self, key), value=float(value), source=SET_BY_USER)
        out: PathRules = replace(self, **changes)  # type: ignore[arg-type]
        for group, given in distances.items():
            old = groups[group]
            out = out.with_obstacle(
                old.name,
                hard_mm=given.get("hard_mm", old.hard_mm),
                soft_mm=given.get("soft_mm", old.soft_mm),
            )
        return out

    def for_organ(self, organ: str | None) -> PathRules:
        """The rules as they hold in ``organ``: healthy tissue before the target only in the liver.

        There it closes the track against bleeding and seeding [S]; a kidney's tumour lies at its
        surface.  A value that the user set holds everywhere.
        """
        limit = self.min_organ_path
        if organ in (None, "liver") or limit.source == SET_BY_USER:
            return self
        words = "a rule of the liver; none for another organ"
        return replace(self, min_organ_path=replace(limit, value=0.0, source=words))

    def with_obstacle(
        self, name: str, *, hard_mm: float, soft_mm: float, source: str = SET_BY_USER
    ) -> PathRules:
        """A copy in which the obstacle group ``name`` has other distances, mm."""
        if name not in {o.name for o in self.obstacles}:
            raise InputError(
                "obstacle",
                got=repr(name),
                expected="one of " + ", ".join(o.name for o in self.obstacles),
                remedy="Use one of these names.",
            )
        new = tuple(
            replace(o, hard_mm=hard_mm, soft_mm=soft_mm, source=source) if o.name == name else o
            for o in self.obstacles
        )
        return replace(self, obstacles=new)

    def recorded(self, options: Mapping[str, object]) -> PathRules:
        """These rules with the values that a plan's provenance holds (`as_options`).

        What differs was set when the plan was made, and says so as its source.  Options that are no
        rule of this version are passed over; raises `InputError` for values out of range.
        """
        changes: dict[str, Limit] = {}
        for f in fields(self):
            value = options.get(f"rule.{f.name}")
            if isinstance(value, int | float) and f.name != "obstacles":
                limit: Limit = getattr(self, f.name)
                if float(value) != limit.value:
                    changes[f.name] = replace(limit, value=float(value), source=SET_BY_USER)
        out: PathRules = replace(self, **changes)  # type: ignore[arg-type]
        for o in self.obstacles:
            hard = options.get(f"rule.{o.name}.hard_mm", o.hard_mm)
            soft = options.get(f"rule.{o.name}.soft_mm", o.soft_mm)
            if not isinstance(hard, int | float) or not isinstance(soft, int | float):
                continue
            if (hard, soft) != (o.hard_mm, o.soft_mm):
                out = out.with_obstacle(o.name, hard_mm=float(hard), soft_mm=float(soft))
        return out

    def as_options(self) -> Mapping[str, float]:
        """Name -> value of every rule, for a plan's provenance."""
        out = {
            f"rule.{f.name}": float(getattr(self, f.name).value)
            for f in fields(self)
            if f.name != "obstacles"
        }
        for o in self.obstacles:
            out[f"rule.{o.name}.hard_mm"] = o.hard_mm
            out[f"rule.{o.name}.soft_mm"] = o.soft_mm
        return out


#: One bit each in the obstacle raster (see `obstacles`).
MAX_OBSTACLES = 10
