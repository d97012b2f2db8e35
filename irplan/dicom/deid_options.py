"""What a de-identification is asked to do."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from irplan.errors import InputError

#: Columns and rows (x0, y0, x1, y1) of a rectangle of pixels, ends excluded.
PixelBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class DeidOptions:
    """The basic profile with the options of PS3.15 Annex E.

    Parameters
    ----------
    dates : ``"remove"`` them, or ``"shift"`` all of a patient's by the same number of days
        (30 to 1859 back); the time of day then stays.
    descriptors : ``"remove"`` free-text descriptions, or ``"clean"`` them: only words of a list of
        technical and anatomical terms and short numbers stay.
    structured : ``"remove"`` the content of structured reports, or ``"clean"`` it: codes, numbers
        and coordinates stay, texts are cleaned, names go.
    keep_patient_characteristics : sex, age (90 years and more as 090Y), size, weight and the like.
    keep_device, keep_institution, keep_uids : retain those columns.
    burned_in : images whose pixels are likely to hold text are ``"refuse"``d, ``"mask"``ed with
        ``mask``, or ``"allow"``ed as they are.
    mask : rectangles set to 0 in every image (with ``burned_in="mask"``).
    key : secret behind new UIDs, pseudonyms and date shifts; the same key gives the same ones.
    max_file_bytes : larger files are refused.
    """

    dates: Literal["remove", "shift"] = "remove"
    descriptors: Literal["remove", "clean"] = "clean"
    structured: Literal["remove", "clean"] = "clean"
    keep_patient_characteristics: bool = False
    keep_device: bool = False
    keep_institution: bool = False
    keep_uids: bool = False
    burned_in: Literal["refuse", "mask", "allow"] = "refuse"
    mask: tuple[PixelBox, ...] = ()
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    max_file_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        if len(self.key) < 16:
            raise InputError(
                "key",
                got=f"{len(self.key)} bytes",
                expected="at least 16 secret bytes",
                remedy="Give a longer key file, or none (a new key is drawn).",
            )
        for box in self.mask:
            if len(box) != 4 or min(box) < 0 or box[0] >= box[2] or box[1] >= box[3]:
                raise InputError(
                    "mask",
                    got=str(box),
                    expected="x0,y0,x1,y1 in pixels with x0 < x1 and y0 < y1",
                    remedy="Give the left, top, right and bottom edge of the text.",
                )
        if bool(self.mask) != (self.burned_in == "mask"):
            raise InputError(
                "burned_in",
                got=f"'{self.burned_in}' with {len(self.mask)} rectangles",
                expected="'mask' together with at least one rectangle",
                remedy="Give --mask x0,y0,x1,y1, or leave both out.",
            )

    def kept_columns(self) -> str:
        """Letters of the table's option columns whose attributes are retained."""
        chosen = ("P", self.keep_patient_characteristics), ("D", self.keep_device)
        return "".join(
            c for c, on in (*chosen, ("I", self.keep_institution), ("U", self.keep_uids)) if on
        )

    def method_codes(self) -> tuple[tuple[str, str], ...]:
        """Code value and meaning of every option used (DICOM PS3.16 CID 7050)."""
        rows = (
            (True, "113100", "Basic Application Confidentiality Profile"),
            (self.burned_in == "mask", "113101", "Clean Pixel Data Option"),
            (self.structured == "clean", "113104", "Clean Structured Content Option"),
            (self.descriptors == "clean", "113105", "Clean Descriptors Option"),
            (
                self.dates == "shift",
                "113107",
                "Retain Longitudinal Temporal Information Modified Dates Option",
            ),
            (
                self.keep_patient_characteristics,
                "113108",
                "Retain Patient Characteristics Option",
            ),
            (self.keep_device, "113109", "Retain Device Identity Option"),
            (self.keep_uids, "113110", "Retain UIDs Option"),
            (self.keep_institution, "113112", "Retain Institution Identity Option"),
        )
        return tuple((code, meaning) for on, code, meaning in rows if on)
