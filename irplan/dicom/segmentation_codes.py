"""How a structure is coded in a DICOM segmentation: category, type, side, colour."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from irplan.image.labels import Code, Label
from irplan.image.structures import STRUCTURES

#: Categories of DICOM CID 7150.
_ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
_TISSUE = Code("85756007", "SCT", "Tissue")
_SUBSTANCE = Code("91720002", "SCT", "Body Substance")
_CATEGORY = {"tumour": _ABNORMAL, "fat": _TISSUE, "muscle": _TISSUE, "gas": _SUBSTANCE}

#: A paired organ is coded as the organ and, apart, its side (CID 244).
_KIDNEY = Code("64033007", "SCT", "Kidney")
_LEFT = Code("7771000", "SCT", "Left")
_RIGHT = Code("24028007", "SCT", "Right")
_SIDED = {"kidney_left": (_KIDNEY, _LEFT), "kidney_right": (_KIDNEY, _RIGHT)}


def code_item(code: Code) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def coded(label: Label) -> tuple[Code, Code, Code | None]:
    """(category, type, side) of a label."""
    kind, side = _SIDED.get(label.name, (label.code, None))
    return _CATEGORY.get(label.name, _ANATOMY), kind, side


def read_code(data: Dataset, keyword: str) -> Code | None:
    """The first item of a code sequence, or None."""
    items = data.get(keyword)
    if not items:
        return None
    item = items[0]
    value = item.get("CodeValue") or item.get("LongCodeValue") or ""
    return Code(
        str(value), str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeMeaning", ""))
    )


def known_label(kind: Code | None, side: Code | None) -> Label | None:
    """The structure of `STRUCTURES` that is coded so, or None."""
    if kind is None:
        return None
    for label in STRUCTURES:
        _, wanted, wanted_side = coded(label)
        same_side = (side.value if side else "") == (wanted_side.value if wanted_side else "")
        if (kind.value, kind.scheme) == (wanted.value, wanted.scheme) and same_side:
            return label
        if kind.value == label.code.value and side is None and wanted_side is not None:
            return label  # the side within the organ's own code, as other writers do
    return None


def cielab(colour: tuple[int, int, int]) -> list[int]:
    """RecommendedDisplayCIELabValue of an sRGB colour (PS3.3 C.10.7.1.1; white D50)."""
    rgb = np.asarray(colour, dtype=np.float64) / 255.0
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    # sRGB to XYZ adapted to D50 (Bradford), as the ICC's profile connection space has it.
    matrix = np.array(
        [
            [0.4360747, 0.3850649, 0.1430804],
            [0.2225045, 0.7168786, 0.0606169],
            [0.0139322, 0.0971045, 0.7141733],
        ]
    )
    xyz = matrix @ linear / np.array([0.96422, 1.0, 0.82521])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    lightness, a, b = 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])
    scaled = (lightness / 100 * 65535, (a + 128) / 255 * 65535, (b + 128) / 255 * 65535)
    return [round(min(65535.0, max(0.0, float(v)))) for v in scaled]


def sequence(*items: Dataset) -> Sequence:
    """A DICOM sequence of these items."""
    return Sequence(items)
