"""The facts a language model may see: structured, without a name, number or date of a person."""

from __future__ import annotations

from typing import Any

from irplan.procedure.report_fields import ProcedureReport, ReportField
from irplan.reports.procedure_language import Language
from irplan.reports.procedure_page import shown_value

#: Section -> fields a model may see.  Free text is never among them: it may name a person.
ALLOWED = {
    "lesion": ("organ", "side", "segment", "size_mm"),
    "technique": ("energy", "route", "applicators", "least_spacing_mm", "registration_error_mm"),
    "phase": ("phase", "cycle", "minutes", "power_w", "temperature_c", "energy_kj", "pulses"),
    "readings": ("least_temperature_c", "most_temperature_c", "most_power_w"),
    "adjunct": ("what", "volume_ml"),
    "contrast": ("volume_ml",),
    "result": (
        "zone_mm",
        "zone_volume_ml",
        "minimal_margin_mm",
        "covered_percent",
        "margin_covered_percent",
        "technical_success",
    ),
    "complications": ("complications",),
    "dose": ("kap_gy_cm2", "air_kerma_mgy", "fluoroscopy_s", "dlp_mgy_cm", "runs", "cbct"),
}
#: Organs and segments are typed: only these pass.
_ORGANS = ("liver", "kidney", "lung", "bone", "adrenal", "soft tissue")


def model_facts(report: ProcedureReport, language: Language) -> list[dict[str, Any]]:
    """Recorded facts as (section, item, name, value in words), items numbered, not named.

    Of sections with several items (phases, say) there is none: a text that gave one item's number
    to another could not be told from a true one.
    """
    out = []
    for key, names in ALLOWED.items():
        if len(report.of(key)) > 1:
            continue
        for number, section in enumerate(report.of(key), start=1):
            for name in names:
                field = section.field(name)
                if field.state in ("recorded", "none") and _passes(field):
                    out.append(
                        {
                            "section": language.word("sections", key),
                            "item": number,
                            "name": language.word("fields", name),
                            "value": shown_value(field, language),
                        }
                    )
    return out


def _passes(field: ReportField) -> bool:
    from irplan.procedure.report_checks import couinaud

    if field.key == "organ":
        return field.value in _ORGANS
    if field.key == "segment":
        return couinaud(str(field.value)) is not None
    return True
