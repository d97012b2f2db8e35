"""De-identification: nothing of the original stays in the bytes, and what must stay, stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, UID_dictionary, generate_uid

from irplan.dicom.deid import deidentify
from irplan.dicom.deid_options import DeidOptions
from irplan.dicom.deid_table import deid_table
from irplan.dicom.deid_values import cleaned, says_nothing, shifted
from irplan.dicom.reading import is_dicom, quiet
from irplan.errors import DicomError, InputError

KEY = b"sixteen bytes!!!"
SEARCHED = ("PN", "LO", "SH", "ST", "LT", "UT", "UC", "AE", "DA", "DT", "UI", "CS")
KINDS = {"SOPClassUID", "ReferencedSOPClassUID", "ContextUID", "CodingSchemeUID"}


def bundled() -> list[Path]:
    root = Path(pydicom.data.__file__).parent
    return [p for p in sorted(root.rglob("*")) if p.is_file() and is_dicom(p)]


def values_that_identify(data: Dataset) -> Iterator[tuple[str, str]]:
    """Every value of a listed attribute, read by a walk of the test's own."""
    for element in data:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from values_that_identify(item)
        elif element.VR in SEARCHED and (
            int(element.tag) in deid_table() or element.VR in ("PN", "UI")
        ):
            if element.keyword in KINDS or element.tag.is_private:
                continue
            many = element.value if isinstance(element.value, pydicom.multival.MultiValue) else [
                element.value
            ]  # fmt: skip
            for value in many:
                text = str(value or "").strip(" \0")
                if len(text) >= 4 and text not in UID_dictionary and not says_nothing(text):
                    yield element.keyword, text


def stands_in(value: str, raw: bytes) -> bool:
    """Digits within a longer number, and a UID that another one begins with, do not count."""
    before, after = (rb"(?<![0-9.])", rb"(?![0-9.])") if value[0].isdigit() else (b"", b"")
    forms = [value.encode(e) for e in ("utf-8", "latin-1") if _can(value, e)]
    return any(re.search(before + re.escape(form) + after, raw) for form in forms)


def _can(value: str, encoding: str) -> bool:
    try:
        value.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def left_in(path: Path, raw: bytes) -> list[tuple[str, str]]:
    with quiet():
        original = pydicom.dcmread(path, force=True)
        return sorted({(k, v) for k, v in values_that_identify(original) if stands_in(v, raw)})


@pytest.mark.parametrize("dates", ["remove", "shift"])
def test_no_identifying_value_is_left_in_pydicoms_files(dates: str) -> None:
    done, found_before, refused = 0, 0, []
    for path in bundled():
        try:
            made = deidentify(path, DeidOptions(key=KEY, burned_in="allow", dates=dates))
        except DicomError as error:
            refused.append(error.got)
            continue
        done += 1
        found_before += bool(left_in(path, path.read_bytes()))
        assert left_in(path, made.file_bytes) == [], path.name
        assert not [e for e in made.data.iterall() if e.tag.is_private]
    assert done >= 170
    assert found_before >= 120  # the search does find what is there
    assert set(refused) <= {
        "a media directory (DICOMDIR)",
        "an object without SOP class or instance UID",
    }


def test_no_identifying_value_is_left_in_the_real_files(
    shared_data: Callable[[str], Path],
) -> None:
    slices = sorted((shared_data("ircadb01_p1") / "PATIENT_DICOM").rglob("*"))
    files = [p for p in slices if p.is_file()][::60]
    files += sorted(shared_data("rdsr").glob("*.dcm"))[1:3]
    files += sorted(shared_data("xa").glob("*.dcm"))
    assert len(files) >= 6
    for path in files:
        made = deidentify(path, DeidOptions(key=KEY, burned_in="allow"))
        assert left_in(path, made.file_bytes) == [], path.name


def ct(**changes: object) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.SourceApplicationEntityTitle = "WARDNORTH"
    data = FileDataset(
        "", {}, file_meta=meta, preamble=b"Jansen^Piet secret in the preamble".ljust(128)
    )
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.4.5", "1.2.3.4.6"
    data.FrameOfReferenceUID = "1.2.3.4.7"
    data.PatientName, data.PatientID, data.PatientBirthDate = "Jansen^Piet", "NL-00812", "19310204"
    data.PatientAge, data.PatientSex, data.PatientWeight = "093Y", "M", "81.5"
    data.Modality, data.StudyDate, data.SeriesDate = "CT", "20240229", "20240301"
    data.AcquisitionDateTime = "20240229101500.25"
    data.StudyDescription = "CT abdomen portal venous 3mm for Jansen, dr. Bakker"
    data.Manufacturer, data.InstitutionName = "ACME", "St Elsewhere"
    data.ImageComments = "call Piet"
    data.Rows = data.Columns = 8
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation, data.SamplesPerPixel = 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = np.arange(64, dtype="<u2").tobytes()
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    return data


def saved(data: FileDataset, path: Path) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path


def test_values_shift_and_uids_map_consistently(tmp_path: Path) -> None:
    data = ct()
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, "1.2.3.4.6"
    data.ReferencedImageSequence = Sequence([item])
    options = DeidOptions(key=KEY, dates="shift", keep_patient_characteristics=True)
    made = deidentify(saved(data, tmp_path / "a.dcm"), options)
    out = made.data
    assert out.SeriesInstanceUID == out.ReferencedImageSequence[0].ReferencedSOPInstanceUID
    assert out.SeriesInstanceUID.startswith("2.25.")
    assert out.file_meta.MediaStorageSOPInstanceUID == out.SOPInstanceUID
    # one day between the study and the series stays one day; 2024 has a 29th of February
    gap = np.datetime64(f"{out.SeriesDate[:4]}-{out.SeriesDate[4:6]}-{out.SeriesDate[6:]}")
    first = np.datetime64(f"{out.StudyDate[:4]}-{out.StudyDate[4:6]}-{out.StudyDate[6:]}")
    assert gap - first == np.timedelta64(1, "D")
    assert 30 <= (np.datetime64("2024-02-29") - first).astype(int) <= 1859
    assert out.AcquisitionDateTime == f"{out.StudyDate}101500.25"
    assert out.PatientAge == "090Y"
    assert (out.PatientSex, float(out.PatientWeight)) == ("M", 81.5)
    assert out.StudyDescription == "CT abdomen portal venous 3mm"
    assert out.Manufacturer == "ACME"
    assert "ImageComments" not in out
    assert "InstitutionName" not in out or out.InstitutionName in ("", "REMOVED")
    assert not out.PatientBirthDate
    assert out.preamble == b"\0" * 128
    assert out.pixel_array.tolist() == np.arange(64).reshape(8, 8).tolist()
    codes = [c.CodeValue for c in out.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113104", "113105", "113107", "113108"]
    again = deidentify(tmp_path / "a.dcm", options)
    assert again.file_bytes == made.file_bytes
    other = deidentify(tmp_path / "a.dcm", DeidOptions(key=b"another key, 16+"))
    assert other.data.StudyInstanceUID != out.StudyInstanceUID


def test_copies_of_a_value_in_unlisted_attributes_go_too(tmp_path: Path) -> None:
    data = ct(ManufacturerModelName="Scanner of Jansen", ConvolutionKernel="B30f")
    data.add_new(0x00091001, "LO", "Jansen^Piet")  # private
    data.add_new(0x00090010, "LO", "MAKER")
    data.add_new(0x60003000, "OW", b"\x01\x02" * 8)  # overlay
    data.add_new(0x00189997, "LO", "NL-00812")  # no such attribute in the dictionary
    out = deidentify(saved(data, tmp_path / "a.dcm"), DeidOptions(key=KEY)).data
    assert "Jansen" not in str(out.get("ManufacturerModelName"))
    assert out.ConvolutionKernel == "B30f"
    assert not [e for e in out if e.tag.is_private or e.tag.group == 0x6000]
    assert 0x00189997 not in out


def test_a_value_hidden_in_compressed_pixels_stops_the_file(tmp_path: Path) -> None:
    """A JPEG comment may carry the name: no attribute rule reaches it, the search does."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    data = ct(BitsAllocated=8, BitsStored=8, HighBit=7)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    jpeg = b"\xff\xd8\xff\xfe\x00\x0dJansen^Piet\xff\xd9"
    data.PixelData = encapsulate([jpeg + b"\0" * (len(jpeg) % 2)])
    data["PixelData"].is_undefined_length = True
    with pytest.raises(DicomError, match="an original text that stays"):
        deidentify(saved(data, tmp_path / "a.dcm"), DeidOptions(key=KEY))


def test_overlay_bits_above_the_stored_ones_are_cut(tmp_path: Path) -> None:
    data = ct()
    data.PixelData = (np.arange(64, dtype="<u2") | 0x8000).tobytes()
    data.add_new(0x60000100, "US", 16)
    data.add_new(0x60000102, "US", 15)
    out = deidentify(saved(data, tmp_path / "a.dcm"), DeidOptions(key=KEY)).data
    assert np.frombuffer(out.PixelData, "<u2").tolist() == list(range(64))


@pytest.mark.parametrize(
    "changes",
    [
        {"BurnedInAnnotation": "YES"},
        {"RecognizableVisualFeatures": "YES"},
        {"Modality": "US"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
    ],
)
def test_text_in_pixels_is_refused_or_masked(tmp_path: Path, changes: dict[str, object]) -> None:
    path = saved(ct(**changes), tmp_path / "a.dcm")
    with pytest.raises(DicomError, match="text in its pixels likely"):
        deidentify(path, DeidOptions(key=KEY))
    out = deidentify(path, DeidOptions(key=KEY, burned_in="mask", mask=((1, 2, 4, 3),))).data
    expected = np.arange(64).reshape(8, 8)
    expected[2, 1:4] = 0
    assert out.pixel_array.tolist() == expected.tolist()
    assert out.BurnedInAnnotation == "NO"


def test_structured_report_keeps_numbers_and_codes_only(tmp_path: Path) -> None:
    def item(kind: str, **values: object) -> Dataset:
        one = Dataset()
        one.RelationshipType, one.ValueType = "CONTAINS", kind
        for key, value in values.items():
            setattr(one, key, value)
        return one

    measured = Dataset()
    measured.NumericValue = "12.5"
    data = ct(Modality="SR")
    data.ContentSequence = Sequence([
        item("TEXT", TextValue="Lesion seen by dr. Bakker, patient Piet Jansen"),
        item("PNAME", PersonName="Bakker^Anna"),
        item("DATETIME", DateTime="20240229101500"),
        item("UIDREF", UID="1.2.3.4.6"),
        item("NUM", MeasuredValueSequence=Sequence([measured])),
    ])  # fmt: skip
    path = saved(data, tmp_path / "a.dcm")
    out = deidentify(path, DeidOptions(key=KEY)).data
    words, name, when, uid, number = out.ContentSequence
    assert words.TextValue == "Lesion patient"
    assert "Bakker" not in str(name.PersonName)
    assert when.DateTime == "20000101000000"
    assert out.SeriesInstanceUID == uid.UID
    assert number.MeasuredValueSequence[0].NumericValue == 12.5
    out = deidentify(path, DeidOptions(key=KEY, structured="remove")).data
    assert [i.get("TextValue") for i in out.ContentSequence] == ["REMOVED"]


def test_non_latin_and_hostile_names(tmp_path: Path) -> None:
    names = [
        "山田^太郎",
        "Иванов^Иван",
        "<script>alert(1)</script>",
        "..\\..\\etc^passwd",
        "Ōno^O'Neil",
    ]
    for number, name in enumerate(names):
        data = ct(SpecificCharacterSet="ISO_IR 192", PatientName=name, PatientID=f"../../{number}")
        data.StationName = name[:16]
        path = saved(data, tmp_path / f"{number}.dcm")
        made = deidentify(path, DeidOptions(key=KEY))
        assert re.fullmatch(r"irplan-[0-9A-F]{10}", str(made.data.PatientID))
        assert name.encode() not in made.file_bytes
        assert left_in(path, made.file_bytes) == []


def test_values_by_hand() -> None:
    assert shifted("20240301", 1) == "20240229"
    assert shifted("20230301", 1) == "20230228"
    assert shifted("20240101-20240131", 31) == "20231201-20231231"
    assert shifted("2024.03.01", 1) == "20240229"
    assert shifted("nonsense", 3) == ""
    assert shifted("00010105", 30) == ""
    assert cleaned("CT ABDOMEN w/ contrast Mrs. Smith 1234567 5.0mm", frozenset()) == (
        "CT ABDOMEN contrast 5.0mm"
    )
    assert cleaned("left arm", frozenset({"arm"})) == "left"


def test_the_table_says_what_the_standard_says() -> None:
    """Rows read in PS3.15 Table E.1-1, one of each kind."""
    table = deid_table()
    expected = {
        "PatientName": "Z", "PatientID": "Z", "AccessionNumber": "Z", "PatientAge": "X",
        "SOPInstanceUID": "U", "ContentSequence": "D", "InstitutionName": "X/Z/D",
        "AcquisitionDate": "X/Z", "ContentDate": "Z/D", "SourceImageSequence": "X/Z/U*",
        "DetectorID": "X/D", "ClinicalTrialSubjectID": "D", "PatientAddress": "X",
    }  # fmt: skip
    got = {k: table[int(tag_for_keyword(k) or 0)].action for k in expected}
    assert {k: v for k, v in got.items() if k != "PatientID"} == {
        k: v for k, v in expected.items() if k != "PatientID"
    }
    assert got["PatientID"] in ("Z", "Z/D")
    assert len(table) >= 640


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="at least 16 secret bytes"):
        DeidOptions(key=b"short")
    with pytest.raises(InputError, match="x0 < x1"):
        DeidOptions(key=KEY, burned_in="mask", mask=((3, 0, 1, 4),))
    with pytest.raises(InputError, match="together with"):
        DeidOptions(key=KEY, burned_in="mask")
    assert "sixteen" not in repr(DeidOptions(key=KEY))
