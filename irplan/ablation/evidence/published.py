"""Zones that others measured: every residual is a row, whether it is small or not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from irplan.ablation.calibrate import ZoneResidual
from irplan.ablation.evidence.row import EvidenceRow
from irplan.ablation.library.published import (
    LITTRUP_SOURCE,
    FittedZones,
    heat_zones,
    hinshaw_lung,
    littrup_gel,
    makers_zones,
)

#: Demanded agreement of the arrays in agar, share of the published diameter.
_GEL_SHARE = 0.15


def probes_in_agar(quick: bool) -> tuple[EvidenceRow, ...]:
    """One to four probes 2 cm apart; the contact resistance is fitted to one, three follow."""
    test = littrup_gel(spacing_mm=2.0 if quick else 1.0)
    name = "1 to 4 probes in agar, 15 min"
    rows = []
    for row in test.rows:
        fitted = "fitted to this row" if row.probes == 1 else "predicted"
        rows += [
            EvidenceRow(
                name, f"{row.probes} probes: diameter of the -30 degC isotherm", LITTRUP_SOURCE,
                "mm", row.published_mm, row.around_mm, "within", _GEL_SHARE * row.published_mm,
                note=fitted,
            ),
            EvidenceRow(
                name, f"{row.probes} probes: its share of the ice's area", LITTRUP_SOURCE, "%",
                row.published_area_percent, row.circle_percent, "shown",
                note="of the circles round the array's middle",
            ),
            EvidenceRow(
                name, f"{row.probes} probes: diameter of the circle of equal area", LITTRUP_SOURCE,
                "mm", row.published_mm, row.equal_area_mm, "shown",
                note="the other reading of the table's diameter",
            ),
            EvidenceRow(
                name, f"{row.probes} probes: share of the ice's area, counted", LITTRUP_SOURCE, "%",
                row.published_area_percent, row.area_percent, "shown",
                note="the other reading",
            ),
        ]  # fmt: skip
    thin = test.thin_probe
    rows.append(
        EvidenceRow(
            name, "1.7 mm probe: " + _words(thin), thin.zone.source, "mm", thin.zone.short_mm,
            thin.zone.short_mm + thin.short_error_mm, "shown", note="predicted, same constant",
        )
    )  # fmt: skip
    return (
        *rows,
        EvidenceRow(
            name,
            f"fitted {test.calibration.constant.replace('_', ' ')}",
            "fit",
            test.calibration.unit,
            None,
            test.calibration.value,
            "shown",
        ),
    )


def probe_in_lung(quick: bool) -> tuple[EvidenceRow, ...]:
    """Double freeze in pig lung, as aerated lung and as lung full of fluid."""
    del quick
    rows: list[EvidenceRow] = []
    for tissue, found in hinshaw_lung().items():
        rows += _fitted(f"2.4 mm probe in lung, taken as {tissue}", found)
    return tuple(rows)


def makers_ice(quick: bool) -> tuple[EvidenceRow, ...]:
    """Zones listed for 17G probes, at the catalogue's constants and after a fit."""
    del quick
    rows: list[EvidenceRow] = []
    for name, found in makers_zones().items():
        rows += _fitted(f"listed ice of {name}", found)
    return tuple(rows)


def microwave_table(quick: bool) -> tuple[EvidenceRow, ...]:
    """He 2010: pig liver ex vivo and dog liver in vivo."""
    del quick
    name = "mwa-15g-cooled-2450"
    return _residuals(f"zones published for {name}", heat_zones(name, spacing_mm=1.0))


def radiofrequency_table(quick: bool) -> tuple[EvidenceRow, ...]:
    """Cooled tips of 2 and 3 cm."""
    del quick
    rows: list[EvidenceRow] = []
    for name in ("rfa-17g-cooled-2cm", "rfa-17g-cooled-3cm"):
        rows += _residuals(f"zones published for {name}", heat_zones(name, spacing_mm=1.0))
    return tuple(rows)


def _fitted(case: str, found: FittedZones) -> tuple[EvidenceRow, ...]:
    fit = found.calibration
    return (
        *_residuals(case, found.residuals, "catalogue's constants"),
        *_residuals(case, fit.residuals, "after the fit"),
        EvidenceRow(
            case,
            f"fitted {fit.constant.replace('_', ' ')}",
            "fit",
            fit.unit,
            fit.before,
            fit.value,
            "shown",
            note="expected: the catalogue's; the limit of its range"
            if fit.at_limit
            else "expected: the catalogue's",
        ),
    )


def _words(residual: ZoneResidual) -> str:
    """What was done, and which isotherm the size is of."""
    zone = residual.zone
    return zone.setting + ("" if zone.level_c is None else f" at {zone.level_c:g} degC")


def _residuals(
    case: str, residuals: Sequence[ZoneResidual], note: str = "catalogue's constants"
) -> tuple[EvidenceRow, ...]:
    rows = []
    for r in residuals:
        zone = r.zone
        what = _words(r)
        sizes = [("across", zone.short_mm, r.short_error_mm)]
        if zone.long_mm is not None and r.long_error_mm is not None:
            sizes.append(("along", zone.long_mm, r.long_error_mm))
        rows += [
            EvidenceRow(case, f"{way}: {what}", zone.source, "mm", published, published + error,
                        "shown", note=note)
            for way, published, error in sizes
        ]  # fmt: skip
    errors = [r.residual for r in rows if r.residual is not None]
    rms = math.sqrt(sum(e * e for e in errors) / max(1, len(errors)))
    return (
        *rows,
        EvidenceRow(case, f"rms of these {len(errors)} residuals", "", "mm", None, rms, "shown",
                    note=note),
    )  # fmt: skip
