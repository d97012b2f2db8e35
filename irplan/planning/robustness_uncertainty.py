"""How wrong needles, registration and tissue constants may be: presets with their sources."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from irplan.errors import InputError

#: Mean length of an isotropic Gaussian vector over its standard deviation per axis.
_MEAN_3D, _MEAN_2D = math.sqrt(8.0 / math.pi), math.sqrt(math.pi / 2.0)
#: Tissue: perfusion by a factor of 1.5 either way [S]; conductivity: the range of the tissue table
#: (frozen soft tissue, 1.6 to 2.3 W/(m K), Go-Smart [V]) taken for 95 %.
PERFUSION_FACTOR, CONDUCTIVITY_FACTOR = 1.5, 1.09
_LIMITS = {
    "lateral_mm": (0.0, 20.0),
    "depth_mm": (0.0, 20.0),
    "angle_deg": (0.0, 20.0),
    "registration_mm": (0.0, 20.0),
    "perfusion_factor": (1.0, 4.0),
    "conductivity_factor": (1.0, 1.5),
}


@dataclass(frozen=True)
class Uncertainty:
    """Standard deviations of what may go otherwise than planned; all errors are Gaussian.

    Parameters
    ----------
    name, source : what it describes and where the numbers come from.
    lateral_mm : of a needle's tip, per axis across the needle, mm (0 to 20).
    depth_mm : of its tip along the needle, mm (0 to 20).
    angle_deg : of its direction, turned about the tip, per axis, degrees (0 to 20).
    registration_mm : of the target against the needles, per axis, common to all, mm (0 to 20).
    perfusion_factor : one standard deviation multiplies or divides perfusion by this (1 to 4).
    conductivity_factor : the same for thermal conductivity (1 to 1.5).

    Raises
    ------
    InputError : a value out of range.
    """

    name: str
    lateral_mm: float = 0.0
    depth_mm: float = 0.0
    angle_deg: float = 0.0
    registration_mm: float = 0.0
    perfusion_factor: float = PERFUSION_FACTOR
    conductivity_factor: float = CONDUCTIVITY_FACTOR
    source: str = ""

    def __post_init__(self) -> None:
        for field, (low, high) in _LIMITS.items():
            value = getattr(self, field)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not (math.isfinite(value) and low <= value <= high):
                raise InputError(
                    f"uncertainty.{field}",
                    got=f"{value!r}",
                    expected=f"a number from {low:g} to {high:g}",
                    remedy="Give a standard deviation in the unit of its name, or a factor.",
                )

    @classmethod
    def from_means(
        cls,
        name: str,
        source: str,
        *,
        euclidean_mm: float,
        lateral_mm: float | None = None,
        angle_deg: float = 0.0,
    ) -> Uncertainty:
        """From published mean errors of the tip (Euclidean, lateral) and of the angle.

        Without a lateral mean the error is taken as isotropic.  Means of Gaussian vectors: 1.596
        standard deviations in space, 1.253 in a plane; with both given, the depth's follows from
        E|e|^2 = 2 lateral^2 + depth^2, its Euclidean mean taken as for an isotropic one.
        """
        rms2 = 3.0 * (euclidean_mm / _MEAN_3D) ** 2
        across = euclidean_mm / _MEAN_3D if lateral_mm is None else lateral_mm / _MEAN_2D
        depth = math.sqrt(max(0.0, rms2 - 2.0 * across**2))
        return cls(name, across, depth, angle_deg / _MEAN_2D, source=source)

    def without(self, source: str) -> Uncertainty:
        """A copy in which one source (a field's name) is certain."""
        return replace(self, **{source: 1.0 if source.endswith("factor") else 0.0})  # type: ignore[arg-type]

    def without_tissue(self) -> Uncertainty:
        """A copy in which the tissue's perfusion and thermal conductivity are certain."""
        return self.without("perfusion_factor").without("conductivity_factor")

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the sources that are not certain."""
        return tuple(
            f for f in _LIMITS if getattr(self, f) > (1.0 if f.endswith("factor") else 0.0)
        )

    @property
    def words(self) -> str:
        """All numbers in one line."""
        return (
            f"{self.name}: standard deviation {self.lateral_mm:.2f} mm per axis across, "
            f"{self.depth_mm:.2f} mm in depth, {self.angle_deg:.2f} deg per axis; registration "
            f"{self.registration_mm:.2f} mm per axis; perfusion x/: {self.perfusion_factor:g}, "
            f"conductivity x/: {self.conductivity_factor:g}"
        )


_SPEC = "planning specification"
#: Errors of the first placement; a needle that is corrected under imaging ends up nearer.
PRESETS: Mapping[str, Uncertainty] = {
    u.name: u
    for u in (
        Uncertainty.from_means(
            "robot", f"{_SPEC}: lateral 0.7-0.9, Euclidean 1.6-2.0 mm (PMC9474375) [V]",
            euclidean_mm=1.8, lateral_mm=0.8,
        ),
        Uncertainty.from_means(
            "ct-laser", f"{_SPEC}: 4.0 mm, 1.3 deg (PMC4499536) [V]",
            euclidean_mm=4.0, angle_deg=1.3,
        ),
        Uncertainty.from_means(
            "freehand", f"{_SPEC}: 6.3 mm, 3.4 deg (PMC4499536) [V]",
            euclidean_mm=6.3, angle_deg=3.4,
        ),
        Uncertainty.from_means("ar", f"{_SPEC}: 3.4 mm [V]", euclidean_mm=3.4),
        Uncertainty.from_means("cbct", f"{_SPEC}: double-angulated 2.2 mm [V]", euclidean_mm=2.2),
    )
}  # fmt: skip


def preset(name: str) -> Uncertainty:
    """The uncertainty of that name; `InputError` lists the names."""
    if name not in PRESETS:
        raise InputError(
            "uncertainty",
            got=repr(name),
            expected="one of " + ", ".join(PRESETS),
            remedy="Use one of these, or a TOML file with your own numbers.",
        )
    return PRESETS[name]


def uncertainty_from_mapping(data: Mapping[str, Any], *, name: str) -> Uncertainty:
    """From a table of a user's file: fields of `Uncertainty`, with ``preset`` to start from.

    Raises `InputError` for a name that is none and for values out of range.
    """
    given = dict(data)
    base = given.pop("preset", None)
    known = {f.name for f in fields(Uncertainty)}
    unknown = sorted(set(given) - known)
    if unknown or not (base is None or isinstance(base, str)):
        raise InputError(
            f"uncertainty file, {unknown[0] if unknown else 'preset'}",
            got="a setting that does not exist" if unknown else repr(base),
            expected="preset, " + ", ".join(sorted(known)),
            remedy="Standard deviations are in mm and degrees, tissue factors have no unit.",
        )
    given.setdefault("name", name)
    given.setdefault("source", "set by the user")
    if base is None:
        return Uncertainty(**given)
    return replace(preset(base), **given)
