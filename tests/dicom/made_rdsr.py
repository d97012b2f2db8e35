"""Radiation dose reports (RDSR, TID 10001) of no vendor, written with pydicom alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayRadiationDoseSRStorage, generate_uid


def code(value: str, meaning: str = "") -> Dataset:
    out = Dataset()
    out.CodeValue, out.CodingSchemeDesignator, out.CodeMeaning = value, "DCM", meaning or value
    return out


def item(kind: str, concept: str, **values: Any) -> Dataset:
    out = Dataset()
    out.RelationshipType, out.ValueType = "CONTAINS", kind
    out.ConceptNameCodeSequence = [code(concept)]
    for name, value in values.items():
        setattr(out, name, value)
    return out


def num(concept: str, value: Any, unit: str | None) -> Dataset:
    measured = Dataset()
    measured.NumericValue = value
    if unit is not None:
        measured.MeasurementUnitsCodeSequence = [code(unit)]
    return item("NUM", concept, MeasuredValueSequence=[measured])


def coded(concept: str, value: str) -> Dataset:
    return item("CODE", concept, ConceptCodeSequence=[code(value)])


def container(concept: str, *children: Dataset) -> Dataset:
    return item("CONTAINER", concept, ContentSequence=list(children))


def save(path: Path, *children: Dataset, **changes: Any) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = XRayRadiationDoseSRStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.Modality = XRayRadiationDoseSRStorage, "SR"
    data.PatientName, data.Manufacturer = "山田^太郎", "Unheard of"
    data.ValueType = "CONTAINER"
    data.ConceptNameCodeSequence = [code("113701")]
    data.ContentSequence = [coded("121058", "113704"), *children]
    for name, value in changes.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def totals(plane: str, dap: float, unit: str = "Gy.m2") -> Dataset:
    return container("113702", coded("113764", plane), num("113722", dap, unit))
