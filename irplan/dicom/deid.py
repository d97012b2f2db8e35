"""A DICOM object without what identifies its patient (PS3.15 Annex E, basic profile).

No library at hand does this job whole (tested: dicom-anonymizer 2.1 has the table, but none of the
options and no check of what it wrote; deid 0.4 leaves the table to recipes), so the table is data
here and the result is searched for every original value before it may be kept.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from irplan import __version__
from irplan.dicom.deid_identity import Identity, identity_for, strings_of
from irplan.dicom.deid_options import DeidOptions
from irplan.dicom.deid_pixels import (
    clear_unused_bits,
    has_pixels,
    mask_pixels,
    text_in_pixels_likely,
)
from irplan.dicom.deid_table import DeidRow, deid_table
from irplan.dicom.deid_values import Pseudonyms, capped_age, cleaned, dummy, shifted
from irplan.dicom.reading import READ_ERRORS, quiet, read_dataset, text
from irplan.errors import DicomError

#: irplan's implementation class UID (PS3.5 B.2 form).
IMPLEMENTATION_UID = "2.25.293814107437240671246812519361234509931"
_TEXT = ("LO", "LT", "SH", "ST", "UC", "UT", "UR", "AE")
_DATES = ("DA", "DT", "TM")
#: UIDs that name a kind of thing, never a thing.
_KINDS = (
    "SOPClassUID", "ReferencedSOPClassUID", "MediaStorageSOPClassUID", "TransferSyntaxUID",
    "CodingSchemeUID", "ContextUID", "MappingResourceUID", "RelatedGeneralSOPClassUID",
    "OriginalSpecializedSOPClassUID", "ReferencedSOPClassUIDInFile", "PrivateInformationCreatorUID",
    "ContextGroupExtensionCreatorUID", "AvailableTransferSyntaxUID", "DataSetUID",
)  # fmt: skip
#: Coding schemes whose values and designators are published (PS3.16 chapter 8).
_PUBLIC_SCHEMES = frozenset(
    ("DCM", "SCT", "SRT", "SNM3", "99SDM", "UCUM", "LN", "RADLEX", "FMA", "NCIT", "UMLS", "I10",
     "I10P", "ICD10", "CPT4", "RXNORM", "UBERON", "NEU", "BI", "MDC", "ACR")
)  # fmt: skip
_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104."
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, eq=False)
class Deidentified:
    """``data`` ready to be written as ``file_bytes``; what was done, without any original value."""

    data: FileDataset
    file_bytes: bytes
    removed: Counter[str]
    replaced: Counter[str]
    cleaned: Counter[str]
    notes: tuple[str, ...]


def deidentify(path: Path, options: DeidOptions) -> Deidentified:
    """Read one DICOM file and return it de-identified; the file itself is not touched.

    Every element is judged, in sequences of any depth: the table's rows, private and unknown
    attributes, curves and overlays (removed), dates and UIDs the table does not name, and
    whatever text repeats an identifying value.  The bytes to be written are then searched for all
    original values.

    Raises
    ------
    DicomError : not readable; an encapsulated document or media directory; text in the pixels is
        likely and ``options.burned_in`` is ``"refuse"``; a value is still there after all.
    """
    try:
        return _deidentified(path, options)
    except (OSError, RuntimeError, *READ_ERRORS) as error:
        raise _refused(
            "DICOM file", f"damaged data ({type(error).__name__})", "a sound object"
        ) from error


def _deidentified(path: Path, options: DeidOptions) -> Deidentified:
    field = "DICOM file"
    if path.stat().st_size > options.max_file_bytes:
        raise _refused(field, f"{path.stat().st_size / 1e6:.0f} MB", "a smaller file")
    data = read_dataset(path)
    syntax = UID(text(data.file_meta, "TransferSyntaxUID") or ImplicitVRLittleEndian)
    for own, meta in (
        ("SOPClassUID", "MediaStorageSOPClassUID"),
        ("SOPInstanceUID", "MediaStorageSOPInstanceUID"),
    ):
        if not text(data, own) and text(data.file_meta, meta):
            setattr(data, own, text(data.file_meta, meta))
    kind = text(data, "SOPClassUID")
    if kind == _MEDIA_DIRECTORY or "DirectoryRecordSequence" in data:
        raise _refused(field, "a media directory (DICOMDIR)", "an image or report")
    if kind.startswith(_DOCUMENTS) or "EncapsulatedDocument" in data:
        raise _refused(field, "an encapsulated document", "an image or report")
    if not kind or not text(data, "SOPInstanceUID"):
        raise _refused(field, "an object without SOP class or instance UID", "a stored object")
    why = text_in_pixels_likely(data)
    if why and options.burned_in == "refuse":
        raise _refused(
            field,
            f"an image with text in its pixels likely ({why})",
            "pixels without text",
            "Look at it; then mask the text (--mask x0,y0,x1,y1) or allow it (--burned-in allow).",
        )
    work = _Work(options, identity_for(data))
    with quiet():
        work.collect(data)
    work.learn_patient(data)
    if any(0x6000 <= e.group <= 0x60FF and e.group % 2 == 0 for e in data.keys()):  # noqa: SIM118
        clear_unused_bits(data, field)
    if options.mask and has_pixels(data):
        mask_pixels(data, options.mask, field)
        syntax = UID(text(data.file_meta, "TransferSyntaxUID"))
    with quiet():
        work.clean(data)
    _mark(data, work, options, why)
    raw = _encoded(data, syntax, field)
    left = sorted(set(work.identity.found_in(raw)))
    if left:
        raise _refused(
            field,
            f"an original {' and '.join(left)} that stays in a part irplan may not change",
            "an object free of its identifying values",
            "It was not written. Convert the image (uncompressed pixels), or leave it out.",
        )
    return Deidentified(data, raw, work.removed, work.replaced, work.cleaned, tuple(work.notes))


class _Work:
    """The state of one object's de-identification."""

    def __init__(self, options: DeidOptions, identity: Identity) -> None:
        self.options, self.identity = options, identity
        self.names = Pseudonyms(options.key)
        self.kept_columns = options.kept_columns()
        self.table = deid_table()
        self.removed: Counter[str] = Counter()
        self.replaced: Counter[str] = Counter()
        self.cleaned: Counter[str] = Counter()
        self.notes: list[str] = []
        self.patient, self.days = "", 0

    def learn_patient(self, data: Dataset) -> None:
        """Pseudonym and date shift follow the patient's ID, or the study where there is none."""
        who = text(data, "PatientID") or text(data, "StudyInstanceUID")
        self.patient, self.days = self.names.patient(who), self.names.days_back(who)

    def collect(self, data: Dataset) -> None:
        """First pass: remember every identifying value, so that copies of it are found."""
        for tag in list(data.keys()):
            element = _element(data, tag)
            if element is None or tag.is_private:
                continue
            row = self.table.get(int(tag))
            if element.VR == "SQ":
                for item in element.value or ():
                    self.collect(item)
                continue
            if row is None and element.VR not in ("PN", "UI", "DA", "DT"):
                continue
            if row is not None and self._kept(row):
                continue
            if element.VR == "UI":
                if self._keeps_uid(element):
                    continue
                for uid in strings_of(element):
                    if self.names.uid(uid) != uid:
                        self.identity.uids.add(uid)
                continue
            self.identity.add(element)

    def clean(self, data: Dataset) -> None:
        """Second pass, in place and into every sequence."""
        for tag in list(data.keys()):
            element = _element(data, tag)
            if element is None or tag.is_private or not _known(tag):
                self._remove(data, tag, "private" if tag.is_private else "unreadable or unknown")
            elif 0x5000 <= tag.group <= 0x50FF or 0x6000 <= tag.group <= 0x60FF:
                self._remove(data, tag, "curve or overlay")
            elif tag.element == 0:
                del data[tag]  # group length: written anew where needed
            else:
                self._decide(data, element)

    def _decide(self, data: Dataset, element: DataElement) -> None:
        row = self.table.get(int(element.tag))
        if row is not None and self._kept(row):
            if element.VR == "AS":
                element.value = capped_age(str(element.value or ""))
            self._recurse(element)
        elif element.VR == "UI":
            self._remap(data, element, row)
        elif element.VR in _DATES:
            self._date(data, element, row)
        elif row is None:
            self._unlisted(data, element)
        elif element.VR == "SQ":
            self._sequence(data, element, row)
        elif element.keyword in ("PatientID", "PatientName"):
            element.value = self.patient
            self.replaced[element.keyword] += 1
        elif "S" in row.options and self.options.descriptors == "clean" and element.VR in _TEXT:
            self._clean_text(data, element, row)
        else:
            self._fill(data, element, row)

    def _kept(self, row: DeidRow) -> bool:
        return any(c in self.kept_columns for c in row.options) and "S" not in row.options

    def _keeps_uid(self, element: DataElement) -> bool:
        return self.options.keep_uids or element.keyword in _KINDS

    def _recurse(self, element: DataElement) -> None:
        if element.VR == "SQ":
            for item in element.value or ():
                self.clean(item)

    def _remap(self, data: Dataset, element: DataElement, row: DeidRow | None) -> None:
        if self._keeps_uid(element):
            return
        if row is not None and "U" not in row.action and "D" not in row.action:
            self._remove(data, element.tag, element.keyword)
            return
        new = [self.names.uid(u) for u in strings_of(element)]
        element.value = new[0] if len(new) == 1 else new
        self.replaced[element.keyword] += 1

    def _date(self, data: Dataset, element: DataElement, row: DeidRow | None) -> None:
        if self.options.dates == "shift" and (row is None or "T" in row.options):
            if element.VR != "TM":
                new = [shifted(v, self.days) for v in strings_of(element)]
                element.value = new[0] if len(new) == 1 else new
                self.replaced[element.keyword] += 1
        elif row is None or row.fullest == "D":
            element.value = dummy(element.VR) if strings_of(element) else ""
            self.replaced[element.keyword] += 1
        else:
            self._fill(data, element, row)

    def _unlisted(self, data: Dataset, element: DataElement) -> None:
        if element.VR == "SQ":
            self._recurse(element)
        elif element.VR == "PN":
            element.value = self.patient
            self.replaced[element.keyword] += 1
        elif element.keyword in ("CodingSchemeDesignator", "CodeValue") and _public_code(data):
            return  # a defined term; the meaning beside it is judged as text
        elif element.VR in _TEXT or element.keyword == "BodyPartExamined":
            if any(self.identity.said_in(s) for s in strings_of(element)):
                self._clean_text(data, element, None)
        elif element.VR == "CS":  # a word of a name may well be a defined term: whole values only
            if any(s in self.identity.values for s in strings_of(element)):
                self._clean_text(data, element, None)
        elif element.VR == "UN":
            self._remove(data, element.tag, "unreadable or unknown")

    def _clean_text(self, data: Dataset, element: DataElement, row: DeidRow | None) -> None:
        forbidden = frozenset(self.identity.words)
        kept = [cleaned(s, forbidden) for s in strings_of(element)]
        if element.VR == "CS":
            kept = [k for k in kept if k == k.upper() and len(k) <= 16]
        value = [k for k in kept if k and not self.identity.said_in(k)]
        self.cleaned[element.keyword] += 1
        if value:
            element.value = value[0] if len(value) == 1 else value
        elif row is None:
            element.value = "" if element.VR == "CS" else dummy(element.VR)
        else:
            self._fill(data, element, row)

    def _sequence(self, data: Dataset, element: DataElement, row: DeidRow) -> None:
        clean_it = "R" in row.options and self.options.structured == "clean"
        clean_it |= "S" in row.options and self.options.descriptors == "clean" and row.action != "X"
        if clean_it or row.fullest == "U" or (row.action != "X" and "U" in row.options):
            self._recurse(element)
        elif row.fullest == "D":
            first = copy.deepcopy(element.value[0]) if element.value else Dataset()
            _blank(first)
            element.value = Sequence([first])
            self.replaced[element.keyword] += 1
        elif row.fullest == "Z":
            element.value = Sequence([])
            self.replaced[element.keyword] += 1
        else:
            self._remove(data, element.tag, element.keyword)

    def _fill(self, data: Dataset, element: DataElement, row: DeidRow) -> None:
        if row.fullest == "X":
            self._remove(data, element.tag, element.keyword)
            return
        element.value = dummy(element.VR) if row.fullest == "D" else None
        self.replaced[element.keyword] += 1

    def _remove(self, data: Dataset, tag: BaseTag, name: str) -> None:
        del data[tag]
        self.removed[name or f"{int(tag):08X}"] += 1


def _public_code(data: Dataset) -> bool:
    return text(data, "CodingSchemeDesignator").upper() in _PUBLIC_SCHEMES


def _known(tag: BaseTag) -> bool:
    return dictionary_has_tag(tag) or 0x5000 <= tag.group <= 0x60FF


def _element(data: Dataset, tag: BaseTag) -> DataElement | None:
    """The parsed element, or None where it cannot be read (call it within `quiet`)."""
    try:
        element = data[tag]
        if element.VR == "SQ":
            len(element.value or ())
    except (RecursionError, *READ_ERRORS):
        return None
    if element.VR == "UN" and dictionary_has_tag(tag) and dictionary_VR(tag) != "UN":
        return None  # a known attribute that came as unreadable bytes
    return element


def _blank(item: Dataset) -> None:
    for element in item:
        if element.VR == "SQ":
            for child in element.value or ():
                _blank(child)
        elif element.VR != "UI" or element.keyword not in _KINDS:
            element.value = "2.25.0" if element.VR == "UI" else dummy(element.VR)


def _mark(data: FileDataset, work: _Work, options: DeidOptions, why: str) -> None:
    data.PatientIdentityRemoved = "YES"
    items = []
    for value, meaning in options.method_codes():
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        items.append(item)
    data.DeidentificationMethod = f"irplan {__version__}; residual risk remains"
    data.DeidentificationMethodCodeSequence = Sequence(items)
    data.LongitudinalTemporalInformationModified = (
        "MODIFIED" if options.dates == "shift" else "REMOVED"
    )
    for keyword in ("PatientName", "PatientID"):
        if keyword not in data:
            setattr(data, keyword, work.patient)
    if options.mask and has_pixels(data):
        data.BurnedInAnnotation = "NO"
    elif why:
        work.notes.append(f"Text in the pixels is likely ({why}) and was allowed.")
    elif has_pixels(data) and text(data, "BurnedInAnnotation").upper() != "NO":
        work.notes.append("The header does not say whether text is burned into the pixels.")


def _encoded(data: FileDataset, syntax: UID, field: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_deflated else syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "IRPLAN"
    data.file_meta, data.preamble = meta, b"\0" * 128
    out = BytesIO()
    try:
        with quiet():
            data.save_as(out, enforce_file_format=True)
    except (OverflowError, RuntimeError, LookupError, *READ_ERRORS) as error:
        raise _refused(
            field, f"elements that cannot be written ({type(error).__name__})", "a sound object"
        ) from error
    return out.getvalue()


def _refused(field: str, got: str, expected: str, remedy: str = "") -> DicomError:
    return DicomError(field, got=got, expected=expected, remedy=remedy or "It was left out.")
