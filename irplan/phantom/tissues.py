"""CT numbers of the phantom's tissues in four contrast phases, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from irplan.errors import InputError

#: Contrast phase: before contrast, late arterial (about 35 s), portal venous (about 70 s),
#: delayed or equilibrium (about 180 s).
Phase = Literal["unenhanced", "arterial", "portal", "delayed"]
PHASES: tuple[Phase, ...] = ("unenhanced", "arterial", "portal", "delayed")


@dataclass(frozen=True)
class TissueHU:
    """Mean CT number of one tissue at 120 kVp, HU, in the four phases.

    ``spread_hu`` is the patient-to-patient standard deviation the generator draws from (cut at
    2 SD), ``texture_hu`` the standard deviation of the smooth texture inside one patient's organ.
    Tissues of one ``kind`` (default: the tissue itself) vary together.
    ``source`` starts with V (read in the source), S (from memory of the literature; verify) or
    M (measured on the phantom).
    """

    name: str
    unenhanced_hu: float
    arterial_hu: float
    portal_hu: float
    delayed_hu: float
    spread_hu: float
    texture_hu: float
    source: str
    shares: str = ""

    @property
    def kind(self) -> str:
        """Which tissues vary together."""
        return self.shares or self.name

    def spread(self, phase: Phase) -> float:
        """Patient-to-patient SD in ``phase``; without contrast blood varies by 3 HU only."""
        return 3.0 if phase == "unenhanced" and self.shares == "blood" else self.spread_hu

    def hu(self, phase: Phase) -> float:
        """Mean CT number in ``phase``, HU; `InputError` for an unknown phase."""
        if phase not in PHASES:
            raise InputError(
                "phase",
                got=repr(phase),
                expected="one of " + ", ".join(PHASES),
                remedy="Choose the contrast phase to simulate.",
            )
        return {
            "unenhanced": self.unenhanced_hu,
            "arterial": self.arterial_hu,
            "portal": self.portal_hu,
            "delayed": self.delayed_hu,
        }[phase]


_BLOOD = "S: unenhanced blood 35-50 HU; enhanced: 100-120 ml iodinated contrast, 120 kVp"

_PHASE = "S: multiphasic abdominal CT, textbook ranges (Prokop & Galanski)"

#: The table.  Plausible ranges of the S rows are the mean +- 2.5 ``spread_hu``.
TISSUES: tuple[TissueHU, ...] = (
    TissueHU("skin", 40, 45, 55, 60, 5, 6, "S: dermis near muscle, 20-60 HU"),
    TissueHU("fat", -105, -104, -103, -103, 4, 5, "S: adipose tissue -120 to -90 HU"),
    TissueHU("visceral_fat", -100, -98, -97, -97, 5, 8, "S: as fat, plus unresolved vessels"),
    TissueHU("muscle", 52, 58, 63, 66, 4, 9, "S: skeletal muscle 45-65 HU"),
    TissueHU(
        "cortical_bone", 700, 700, 700, 700, 80, 0, "S: thin cortex at CT resolution 500-1000 HU"
    ),
    TissueHU(
        "vertebral_shell", 430, 430, 430, 430, 50, 0, "S: thin cortex and endplates 300-600 HU"
    ),
    TissueHU(
        "marrow", 170, 175, 180, 180, 30, 25, "S: lumbar trabecular bone 100-250 HU, age 30-70"
    ),
    TissueHU(
        "cartilage", 95, 97, 100, 100, 10, 8, "S: costal cartilage 60-140 HU, more when calcified"
    ),
    TissueHU("disc", 80, 82, 85, 85, 6, 3, "S: intervertebral disc 60-120 HU"),
    TissueHU("canal", 25, 28, 30, 30, 4, 2, "S: thecal sac 10-40 HU"),
    TissueHU("lung", -850, -845, -840, -840, 20, 28, "S: inspiratory lung -900 to -800 HU"),
    TissueHU("lung_vessel", 40, 160, 130, 105, 10, 0, _BLOOD, "blood"),
    TissueHU("mediastinum", -60, -55, -50, -52, 8, 10, "S: mediastinal fat with small vessels"),
    TissueHU(
        "liver",
        58,
        72,
        110,
        92,
        6,
        2.5,
        "V: unenhanced 58.3 +- 8.9 HU in 64 normal livers (Int J Legal Med 2019, "
        "10.1007/s00414-019-02016-1); enhanced S: +10-20 arterial, +50 portal",
    ),
    TissueHU(
        "spleen",
        50,
        115,
        122,
        96,
        6,
        1.5,
        "V: unenhanced 3.8 +- 2.1 below liver on the older scale (Radiology 1980;137:727); "
        "enhanced S",
    ),
    TissueHU("heart", 45, 190, 135, 108, 10, 5, _BLOOD, "blood"),
    TissueHU("aorta", 42, 310, 155, 115, 12, 2, _BLOOD, "blood"),
    TissueHU("vena_cava", 40, 75, 140, 110, 10, 3, _BLOOD, "blood"),
    TissueHU("portal_vein", 41, 110, 165, 114, 10, 2, _BLOOD, "blood"),
    TissueHU("hepatic_vein", 40, 55, 158, 113, 10, 2, _BLOOD, "blood"),
    TissueHU("gallbladder", 8, 8, 9, 9, 3, 1, "S: bile 0-20 HU"),
    TissueHU("kidney_cortex", 33, 175, 180, 150, 10, 4, _PHASE),
    TissueHU("kidney_medulla", 31, 65, 165, 165, 10, 5, _PHASE),
    TissueHU("kidney_sinus", -70, -55, -50, 90, 8, 12, "S: sinus fat with vessels and pelvis"),
    TissueHU("pancreas", 42, 100, 95, 80, 6, 9, _PHASE),
    TissueHU("stomach_wall", 42, 80, 90, 88, 6, 6, _PHASE),
    TissueHU("stomach_content", 22, 22, 22, 22, 8, 10, "S: water and food 0-50 HU"),
    TissueHU("bowel_wall", 42, 85, 95, 88, 6, 8, _PHASE),
    TissueHU("bowel_content", 20, 20, 20, 20, 8, 12, "S: fluid and chyme 0-40 HU"),
    TissueHU("faeces", 35, 35, 35, 35, 15, 60, "S: inhomogeneous, gas bubbles"),
    TissueHU(
        "ascites", 8, 8, 8, 8, 4, 2, "V: transudate -10 to 10 HU (radiopaedia's ascites); S: to 25"
    ),
    TissueHU("gas", -990, -990, -990, -990, 3, 0, "S: bowel gas near -1000 HU"),
    TissueHU("metal", 6000, 6000, 6000, 6000, 0, 0, "S: titanium at 120 kVp, above the scale"),
    TissueHU("table", -120, -120, -120, -120, 0, 0, "S: foam between carbon plates"),
    TissueHU("table_shell", 60, 60, 60, 60, 0, 0, "S: carbon-fibre plate, partial volume"),
)


def tissue(name: str) -> TissueHU:
    """The row of that name; `InputError` lists the names that exist."""
    for row in TISSUES:
        if row.name == name:
            return row
    raise InputError(
        "tissue",
        got=repr(name),
        expected="one of " + ", ".join(x.name for x in TISSUES),
        remedy="Use one of these names.",
    )
