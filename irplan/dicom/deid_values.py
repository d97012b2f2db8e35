"""New values for old: pseudonyms, UIDs, shifted dates, dummies, cleaned text."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date, timedelta
from typing import Any

from pydicom._uid_dict import UID_dictionary

_DUMMY: dict[str, Any] = {
    "AE": "REMOVED", "AS": "000Y", "CS": "REMOVED", "DA": "20000101", "DS": "0",
    "DT": "20000101000000", "FD": 0.0, "FL": 0.0, "IS": "0", "LO": "REMOVED", "LT": "REMOVED",
    "PN": "REMOVED", "SH": "REMOVED", "SL": 0, "SS": 0, "ST": "REMOVED", "TM": "000000",
    "UC": "REMOVED", "UL": 0, "UR": "removed:", "US": 0, "UT": "REMOVED", "OB": b"\0\0",
    "OW": b"\0\0", "UN": b"\0\0", "SV": 0, "UV": 0,
}  # fmt: skip

_WORDS = """
    abdomen abdominal ablated ablation acquisition adrenal after anatomy angio angiography
    annotation aorta aortic arm arterial artery average ax axial axials axis back before
    biliary biopsy bladder bolus bone brain breast bronchus calibration carotid catheter
    cbct cervical chest cine cm colon cone contrast control cor coronal coronary corrected
    correction cranial cryo ct cta dasa ddrs deg delayed derived diffusion dose drain dsa
    dti dual dynamic ecg embolization energy enhanced entry equilibrium exam exit exposure
    extremity femoral femur field filter fistula flair flow fluoro fluoroscopy follow
    followup fov frame frontal gated guidance guided gy head heart helical hepatic hip hr hz
    image imaging injection intervention interventional ivc kernel kidney knee kv kvp late
    lateral left legs lesion lesions level liver loc localizer lower lumbar lung lungs ma
    mammography mandible map mas mask mean mediastinum mgy min mm monitor monitoring mpr mr
    mra mri ms native neck needle nephrographic noncontrast none normal oblique orbit
    original pancreas parenchymal patient pelvic pelvis perfusion pet phantom phase plain
    plane planning portal portalvenous post posterior pre primary prostate protocol
    pulmonary quality radiography radiotherapy recon reconstruction reference renal report
    resolution rf rfa right roi room rotation run sag sagittal scan scanogram scout sec
    secondary segmentation sequence series shoulder single sinus skull slab slice slices
    soft spin spine spiral spleen standard stent stomach study subtraction supine surview
    svc tace thick thin thoracic thorax time tissue topogram torso tra tubes tumor tumour
    ultrasound unenhanced upper us vein vena venography venous vessel view volume weighted
    whole with without wo xa xray years
"""
#: Words that a cleaned description may keep: technique, anatomy, phase.  None is a name in use.
ALLOWED_WORDS = frozenset(_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?[a-z]{0,3}\b|\d+", re.IGNORECASE)
_SHORT_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,3})?(?:mm|cm|kv|ma|mas|s|ms|hz|d|x)?\Z", re.I)


class Pseudonyms:
    """Keyed one-way replacements: the same key and value give the same replacement."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.new(self._key, f"{kind}\0{value}".encode(), hashlib.sha256).digest()

    def uid(self, uid: str) -> str:
        """A UID below 2.25 (PS3.5 B.2) that stands for ``uid``; registered ones stay."""
        if not uid or uid in UID_dictionary:
            return uid
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    def patient(self, patient_id: str) -> str:
        """A patient identifier such as ``irplan-3F6A90C214``."""
        return f"irplan-{self._digest('patient', patient_id)[:5].hex().upper()}"

    def days_back(self, patient_id: str) -> int:
        """How many days all dates of this patient move back: 30 to 1859."""
        return 30 + int.from_bytes(self._digest("days", patient_id)[:4], "big") % 1830


def dummy(vr: str) -> Any:
    """A value of ``vr`` that says nothing."""
    return _DUMMY.get(vr, b"\0\0")


def shifted(value: str, days: int) -> str:
    """A DA or DT value (or a range of two) ``days`` earlier; empty where it is no date."""
    if "-" in value[1:] and len(value) <= 17:
        return "-".join(shifted(v, days) for v in value.split("-"))
    head = value.strip()[:8].replace(".", "")
    if len(value.strip()) == 10 and value.count(".") == 2:  # the old form yyyy.mm.dd
        head, value = value.strip().replace(".", ""), value.strip().replace(".", "")
    try:
        then = date(int(head[:4]), int(head[4:6]), int(head[6:8])) - timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    return f"{then.year:04d}{then.month:02d}{then.day:02d}{value.strip()[8:]}"


def cleaned(text: str, forbidden: frozenset[str]) -> str:
    """The allowed words and short numbers of ``text`` in their order, without ``forbidden``."""
    kept = []
    for word in _WORD.findall(text):
        low = word.lower()
        if low not in forbidden and (low in ALLOWED_WORDS or _SHORT_NUMBER.match(word)):
            kept.append(word)
    return " ".join(kept)


def says_nothing(text: str) -> bool:
    """Whether every word of ``text`` is an allowed one or a short number."""
    words = _WORD.findall(text)
    return all(w.lower() in ALLOWED_WORDS or _SHORT_NUMBER.match(w) for w in words)


def capped_age(value: str) -> str:
    """An AS value; 90 years and more become 090Y."""
    if len(value) == 4 and value[:3].isdigit() and value[3] == "Y" and int(value[:3]) >= 90:
        return "090Y"
    return value if re.fullmatch(r"\d{3}[DWMY]", value) else ""
