"""The kinds of event a procedure log holds, each with its fields, units and ranges.

Terms follow Ahmed et al., Radiology 2014;273:241 (image-guided tumour ablation: standardization of
terminology and reporting criteria) and the CIRSE standards of practice; a clinician must check the
list.  Ranges only refuse what cannot be (a slip of the decimal point), they are no clinical limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["text", "number", "integer", "boolean", "numbers", "texts", "integers"]

#: Version of the table below; a log states the version of each event.
EVENT_VERSION = 1
#: Longest text of one field, characters.
MAX_TEXT = 4000


@dataclass(frozen=True)
class Field:
    """One field of an event: ``low``/``high`` bound each number, ``length`` the count of a list."""

    name: str
    type: FieldType
    words: str
    required: bool = False
    low: float | None = None
    high: float | None = None
    length: int | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class EventKind:
    """A kind of event; ``internal`` ones are written by the log itself only."""

    name: str
    words: str
    fields: tuple[Field, ...]
    internal: bool = False


SIDES = ("left", "right", "midline", "none")
ENERGIES = ("cryo", "rfa", "mwa", "ire")
PHASES = ("freeze", "passive_thaw", "active_thaw", "heat", "pulses")
GRADINGS = ("CTCAE 5.0", "SIR 2017", "CIRSE 2017", "Clavien-Dindo")
STAFF = ("operator", "assistant", "anaesthetist", "nurse", "technologist", "physicist")
CLINICAL = (
    "indication",
    "mdt",
    "prior_therapy",
    "comorbidity",
    "anticoagulation",
    "allergy",
    "asa",
    "consent",
)


def _text(name: str, words: str, *choices: str, required: bool = False) -> Field:
    return Field(name, "text", words, required, choices=choices)


def _number(name: str, words: str, low: float, high: float, *, required: bool = False) -> Field:
    return Field(name, "number", words, required, low, high)


def _whole(name: str, words: str, low: int, high: int, *, required: bool = False) -> Field:
    return Field(name, "integer", words, required, low, high)


def _point(name: str, words: str) -> Field:
    return Field(name, "numbers", words + ", LPS mm", low=-5000.0, high=5000.0, length=3)


_LESION = _text("lesion", "the lesion's name, as planned")
_SIDE = _text("side", "side of the patient", *SIDES)
_NEEDLES = Field("needles", "integers", "numbers of the needles", low=1, high=99)
_DOSE = (
    _number("kap_gy_cm2", "kerma-area product, Gy cm2", 0.0, 1e5),
    _number("air_kerma_mgy", "air kerma at the reference point, mGy", 0.0, 1e6),
    _number("fluoroscopy_s", "fluoroscopy time, s", 0.0, 1e5),
    _number("dlp_mgy_cm", "dose-length product, mGy cm", 0.0, 1e6),
    _number("ctdi_vol_mgy", "CTDIvol, mGy", 0.0, 1e5),
)

KINDS: dict[str, EventKind] = {
    kind.name: kind
    for kind in (
        EventKind(
            "case",
            "patient and study to which this log is bound",
            (
                _text("patient_id", "patient identifier", required=True),
                _text("patient_name", "patient's name"),
                _text("birth_date", "date of birth, YYYY-MM-DD"),
                _text("sex", "as in DICOM", "M", "F", "O", "U"),
                _text("accession", "accession number"),
                Field("study_uids", "texts", "Study Instance UIDs"),
                _text("site", "hospital or unit"),
            ),
        ),
        EventKind(
            "clinical",
            "what was known and agreed before",
            (
                _text("item", "which", *CLINICAL, required=True),
                _text("text", "in words", required=True),
            ),
        ),
        EventKind(
            "lab",
            "a laboratory value",
            (
                _text("name", "e.g. INR", required=True),
                _number("value", "number", -1e6, 1e6, required=True),
                _text("unit", "unit, 1 for none", required=True),
            ),
        ),
        EventKind(
            "staff",
            "who took part",
            (
                _text("role", "role", *STAFF, required=True),
                _text("name", "name", required=True),
            ),
        ),
        EventKind(
            "checklist",
            "safety checklist",
            (
                _text("step", "step", "sign_in", "time_out", "sign_out", required=True),
                Field("complete", "boolean", "all items done", required=True),
                _SIDE,
                _text("text", "remarks"),
            ),
        ),
        EventKind(
            "lesion",
            "one target",
            (
                _text("lesion", "name of the lesion", required=True),
                _text("organ", "organ", required=True),
                _SIDE,
                _text("segment", "segment, e.g. Couinaud VII or 4a"),
                Field("size_mm", "numbers", "diameters, largest first, mm", low=0.1, high=500.0),
                _text("histology", "histology, or how it is known"),
                Field("near", "texts", "vessels, ducts, capsule, organs beside it"),
                _text("visible", "on what it can be seen"),
            ),
        ),
        EventKind(
            "plan",
            "a plan is used",
            (
                _LESION,
                _text("sha256", "SHA-256 of the plan file", required=True),
                _text("state", "its review state", required=True),
                _text("energy", "energy", *ENERGIES),
                _whole("needles", "number of applicators", 1, 99),
                _number("margin_goal_mm", "margin goal, mm", 0.0, 30.0),
                _SIDE,
            ),
        ),
        EventKind(
            "technique",
            "how it was done",
            (
                _text("energy", "energy", *ENERGIES, required=True),
                _text("route", "access", "percutaneous", "laparoscopic", "open", "endoscopic"),
                Field("guidance", "texts", "imaging for guidance"),
                Field("monitoring", "texts", "imaging and probes for monitoring"),
                _text("position", "patient position"),
            ),
        ),
        EventKind(
            "anaesthesia",
            "anaesthesia",
            (
                _text("method", "method", "general", "sedation", "regional", "local",
                      required=True),
                _text("text", "remarks"),
            ),
        ),
        EventKind(
            "imaging",
            "images were acquired",
            (
                _text("modality", "modality", "CT", "CBCT", "US", "MR", "PET", "FLUOROSCOPY",
                      "RUN", required=True),
                _text("purpose", "purpose", "planning", "guidance", "monitoring", "verification"),
                _text("protocol", "protocol"),
                _text("uid", "event or series UID"),
                _whole("frames", "number of frames", 0, 1_000_000),
                *_DOSE,
            ),
        ),
        EventKind(
            "dose_total",
            "totals that the X-ray system states",
            (
                *_DOSE,
                _whole("runs", "number of acquisition runs", 0, 100_000),
                _whole("cbct", "number of cone-beam CTs", 0, 1000),
                _text("system", "maker and model"),
            ),
        ),
        EventKind(
            "dose_alert",
            "a dose level was passed",
            (_text("text", "which, and by what", required=True),),
        ),
        EventKind(
            "registration",
            "two images or spaces were aligned",
            (
                _text("moving", "what was moved", required=True),
                _text("fixed", "onto what", required=True),
                _text("method", "method"),
                _number("error_mm", "error as measured, mm", 0.0, 500.0),
                _text("error_kind", "what error, e.g. target registration error"),
            ),
        ),
        EventKind(
            "device",
            "a device goes in or out",
            (
                _text("action", "in or out", "in", "out", required=True),
                _text("device", "what it is", required=True),
                _whole("number", "number of the needle", 1, 99),
                _text("maker", "manufacturer"),
                _text("model", "model"),
                _text("lot", "lot or serial number"),
                _number("gauge", "gauge", 1.0, 40.0),
                _number("active_mm", "active length, mm", 0.1, 200.0),
            ),
        ),
        EventKind(
            "needle",
            "where a needle is meant to be, or is",
            (
                _whole("number", "number of the needle", 1, 99, required=True),
                _text("status", "status", "planned", "placed", "moved", "removed", required=True),
                _LESION,
                _text("applicator", "applicator"),
                _point("entry_mm", "entry"),
                _point("tip_mm", "tip"),
                _text("frame_uid", "frame of reference of the positions"),
                _number("confidence", "of a recognition, 0 to 1", 0.0, 1.0),
            ),
        ),
        EventKind(
            "phase",
            "an ablation phase starts or stops",
            (
                _text("action", "action", "start", "stop", required=True),
                _text("phase", "phase", *PHASES, required=True),
                _LESION,
                _NEEDLES,
                _whole("cycle", "number of the cycle", 1, 99),
                _number("power_w", "power, W", 0.0, 1000.0),
                _number("temperature_c", "temperature, degC", -273.15, 500.0),
                _number("energy_kj", "energy given, kJ", 0.0, 1e4),
                _whole("pulses", "number of pulses", 0, 100_000),
            ),
        ),
        EventKind(
            "reading",
            "values of the generator or a probe",
            (
                _whole("needle", "number of the needle", 1, 99),
                _number("power_w", "power, W", 0.0, 1000.0),
                _number("temperature_c", "temperature, degC", -273.15, 500.0),
                _number("impedance_ohm", "impedance, ohm", 0.0, 1e5),
                _number("flow_percent", "gas flow, %", 0.0, 100.0),
            ),
        ),
        EventKind(
            "adjunct",
            "protection of what lies near",
            (
                _text("what", "measure", "hydrodissection", "pneumodissection", "balloon",
                      "skin_warming", "urethral_warming", "track_ablation", "other",
                      required=True),
                _text("agent", "agent"),
                _number("volume_ml", "volume, ml", 0.0, 10_000.0),
                _text("text", "remarks"),
            ),
        ),
        EventKind(
            "contrast",
            "contrast medium",
            (
                _text("agent", "agent", required=True),
                _number("volume_ml", "volume, ml", 0.0, 1000.0, required=True),
                _text("route", "route"),
            ),
        ),
        EventKind(
            "drug",
            "a drug was given",
            (
                _text("name", "name", required=True),
                _number("dose", "dose", 0.0, 1e6),
                _text("unit", "unit of the dose"),
                _text("route", "route"),
                _text("purpose", "purpose", "antibiotic", "analgesia", "sedation", "anaesthesia",
                      "other"),
            ),
        ),
        EventKind(
            "verification",
            "the result as measured afterwards",
            (
                _LESION,
                _text("method", "how it was measured"),
                Field("zone_mm", "numbers", "zone's diameters, mm", low=0.0, high=500.0, length=3),
                _number("zone_volume_ml", "zone's volume, ml", 0.0, 10_000.0),
                _number("minimal_margin_mm", "minimal ablative margin, mm", -200.0, 200.0),
                _number("covered_percent", "target inside the zone, %", 0.0, 100.0),
                _number("margin_covered_percent", "target + margin inside, %", 0.0, 100.0),
                _text("technical_success", "tumour treated by protocol and covered", "yes", "no",
                      "not_assessed"),
                _SIDE,
            ),
        ),
        EventKind(
            "complication",
            "an adverse event, or that none was seen",
            (
                Field("observed", "boolean", "false: looked for and none seen", required=True),
                _text("text", "what"),
                _text("grading", "grading system", *GRADINGS),
                _text("grade", "grade in that system"),
                _text("onset", "when", "during", "within_24_h", "within_30_days", "later"),
            ),
        ),
        EventKind(
            "disposition", "where the patient goes", (_text("text", "in words", required=True),)
        ),
        EventKind("follow_up", "what is to follow", (_text("text", "in words", required=True),)),
        EventKind("note", "free text", (_text("text", "in words", required=True),)),
        EventKind(
            "stream",
            "a message of an OpenIGTLink stream",
            (
                _text("device", "name of the device", required=True),
                _text("type", "type of the message", required=True),
                Field("matrix", "numbers", "transform, row by row, LPS mm", length=16,
                      low=-1e6, high=1e6),
                _text("text", "text or status"),
            ),
        ),
        EventKind(
            "review",
            "a document was judged",
            (
                _text("document", "kind and id of the draft", required=True),
                _text("state", "new state", "reviewed", "accepted", "rejected", required=True),
                _text("who", "who", required=True),
                _text("why", "why", required=True),
                _text("sha256", "SHA-256 of its content", required=True),
                Field("overruled", "texts", "checks that were overruled"),
            ),
        ),
        EventKind(
            "log_opened",
            "the first event",
            (
                _text("log_id", "random name of the log", required=True),
                _text("irplan", "version", required=True),
            ),
            internal=True,
        ),
        EventKind(
            "log_recovered",
            "what an interrupted writer had left was put right",
            (
                _whole("adopted", "whole events kept that were never confirmed", 0, 10**9,
                       required=True),
                _whole("torn_bytes", "bytes set aside", 0, 10**12, required=True),
                _text("torn_sha256", "SHA-256 of those bytes"),
                _text("text", "what was found", required=True),
            ),
            internal=True,
        ),
        EventKind(
            "clock_jump",
            "the wall clock moved against the steady clock",
            (_number("seconds", "forwards, s", -1e10, 1e10, required=True),),
            internal=True,
        ),
    )
}  # fmt: skip
