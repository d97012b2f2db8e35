"""The structures irplan knows: voxel value, name, SNOMED CT code, display colour.

Values are stable between versions: files written today keep their meaning.
"""

from __future__ import annotations

from irplan.errors import InputError
from irplan.image.labels import Code, Label


def _s(value: int, name: str, code: str, meaning: str, colour: tuple[int, int, int]) -> Label:
    return Label(value, name, Code(code, "SCT", meaning), colour)


STRUCTURES: tuple[Label, ...] = (
    _s(1, "body", "38266002", "Entire body", (177, 122, 101)),
    _s(2, "liver", "10200004", "Liver", (221, 130, 101)),
    _s(3, "tumour", "108369006", "Neoplasm", (144, 238, 144)),
    _s(4, "portal_vein", "32764006", "Portal vein", (0, 151, 206)),
    _s(5, "hepatic_vein", "8993003", "Hepatic vein", (64, 90, 200)),
    _s(6, "vessel", "59820001", "Blood vessel", (90, 120, 230)),
    _s(7, "artery", "51114001", "Artery", (216, 40, 60)),
    _s(8, "vena_cava", "64131007", "Inferior vena cava", (0, 110, 170)),
    _s(9, "gallbladder", "28231008", "Gallbladder", (139, 200, 60)),
    _s(10, "bone", "272673000", "Bone", (241, 234, 206)),
    _s(11, "lung", "39607008", "Lung", (197, 165, 145)),
    _s(12, "gas", "74947009", "Gas", (120, 200, 220)),
    _s(13, "stomach", "69695003", "Stomach", (216, 132, 105)),
    _s(14, "bowel", "113276009", "Intestine", (205, 167, 142)),
    _s(15, "kidney_left", "18639004", "Left kidney", (185, 102, 83)),
    _s(16, "kidney_right", "9846003", "Right kidney", (185, 102, 103)),
    _s(17, "spleen", "78961009", "Spleen", (157, 108, 162)),
    _s(18, "heart", "80891009", "Heart", (206, 110, 84)),
    _s(19, "fat", "55603005", "Adipose tissue", (230, 220, 70)),
    _s(20, "muscle", "127954009", "Skeletal muscle", (192, 104, 88)),
    _s(21, "skin", "39937001", "Skin", (240, 200, 170)),
    _s(22, "diaphragm", "5798000", "Diaphragm", (170, 90, 80)),
    _s(23, "pancreas", "15776009", "Pancreas", (249, 180, 111)),
    _s(24, "bile_duct", "28273000", "Bile duct", (0, 145, 30)),
    # Vessels of which some may be missing: to be avoided, yet never "checked and clear".
    _s(25, "vessel_in_part", "113257007", "Structure of cardiovascular system", (130, 120, 230)),
)


#: Couinaud's segments, in a label map of their own (they part the liver): DICOM CID 7170.
COUINAUD: tuple[Label, ...] = tuple(
    _s(100 + n, f"couinaud_{n}", code, f"Couinaud hepatic segment {roman}", colour)
    for n, (roman, code, colour) in enumerate(
        (
            ("I", "71133005", (240, 200, 60)),
            ("II", "277956007", (60, 130, 200)),
            ("III", "277957003", (120, 190, 230)),
            ("IV", "277958008", (110, 180, 90)),
            ("V", "277959000", (230, 140, 90)),
            ("VI", "277960005", (190, 110, 170)),
            ("VII", "277961009", (140, 80, 130)),
            ("VIII", "277962002", (200, 80, 60)),
        ),
        start=1,
    )
)


def structure(name: str) -> Label:
    """The `Label` named ``name``; `InputError` lists the known names."""
    for label in STRUCTURES:
        if label.name == name:
            return label
    raise InputError(
        "structure",
        got=repr(name),
        expected="one of " + ", ".join(x.name for x in STRUCTURES),
        remedy="Use one of these names.",
    )
