"""What identified: the original values to look for in everything that is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from irplan.dicom.deid_values import says_nothing
from irplan.dicom.reading import READ_ERRORS, quiet

#: Shorter values occur by chance in any file and are checked by attribute only.
SHORTEST = 4
_TEXT = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "CS")
_NAME = re.compile(r"[^\W\d_]{3,}")
_UID_BYTES = re.compile(rb"\d+(?:\.\d+){2,}")
_UID = re.compile(r"\d+(?:\.\d+){3,}")


@dataclass
class Identity:
    """The identifying ``values``, the original ``uids`` and the ``words`` of names of one file.

    ``dates`` are kept apart: eight digits.  ``add`` takes an element that is about to be changed.
    """

    encodings: tuple[str, ...] = ("utf-8", "latin-1")
    values: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    def add(self, element: DataElement) -> None:
        """Remember what ``element`` says, where that can be searched for."""
        for value in strings_of(element):
            if element.VR in ("DA", "DT"):
                if len(value) >= 8 and value[:8].isdigit():
                    self.dates.add(value[:8])
            elif element.VR == "UI":
                self.uids.add(value)
            elif element.VR in _TEXT:
                if element.VR == "PN":
                    self.words.update(w.lower() for w in _NAME.findall(value))
                if len(value) >= SHORTEST and not says_nothing(value):
                    self.values.add(value)
                    self.values.update(
                        p.strip()
                        for p in value.split("=" if element.VR == "PN" else "\n")
                        if len(p.strip()) >= SHORTEST and not says_nothing(p)
                    )

    def said_in(self, text: str) -> bool:
        """Whether ``text`` holds one of the values, or a word of a name."""
        low = text.lower()
        if any(w.lower() in self.words for w in _NAME.findall(text)):
            return True
        if any(uid in self.uids for uid in _UID.findall(text)):
            return True
        return any(len(v) <= len(low) and _whole(v.lower(), low) for v in self.values)

    def found_in(self, data: bytes) -> Iterator[str]:
        """Kinds of identifying value (never the value) that stand in ``data``."""
        if any(found.decode() in self.uids for found in _UID_BYTES.findall(data)):
            yield "UID"
        for kind, values in (("text", self.values), ("date", self.dates)):
            if any(_stands_in(raw, data) for v in values for raw in self._encoded(v)):
                yield kind

    def _encoded(self, value: str) -> set[bytes]:
        out = set()
        for encoding in self.encodings:
            try:
                out.add(value.encode(encoding))
            except (UnicodeEncodeError, LookupError):
                continue
        return out


def identity_for(data: Dataset) -> Identity:
    """An empty `Identity` that knows the character sets of ``data``."""
    with quiet():
        try:
            own = convert_encodings(data.get("SpecificCharacterSet") or "ISO_IR 6")
        except READ_ERRORS:
            own = []
    return Identity(tuple(dict.fromkeys(("utf-8", "latin-1", *own))))


def strings_of(element: DataElement) -> list[str]:
    """The values of an element as stripped text; bytes, sequences and nothing give none."""
    value = element.value
    many = value if isinstance(value, (list, tuple, MultiValue)) else [value]
    return [
        s
        for v in many
        if v is not None and not isinstance(v, (bytes, bytearray, Dataset))
        for s in [str(v).strip(" \0")]
        if s
    ]


def _whole(value: str, text: str) -> bool:
    at = text.find(value)
    while at >= 0:
        end = at + len(value)
        if not (at and text[at - 1].isalnum()) and not (end < len(text) and text[end].isalnum()):
            return True
        at = text.find(value, at + 1)
    return False


def _stands_in(value: bytes, data: bytes) -> bool:
    """``value`` as a whole word: a UID that only begins like it, or a longer number, is another."""
    edge = b"0123456789." if value[:1].isdigit() else b""
    at = data.find(value)
    while at >= 0:
        before, after = data[max(0, at - 1) : at], data[at + len(value) : at + len(value) + 1]
        if not edge or (
            before not in [bytes([c]) for c in edge] and after not in [bytes([c]) for c in edge]
        ):
            return True
        at = data.find(value, at + 1)
    return False
