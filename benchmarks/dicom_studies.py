"""CT studies made for the benchmarks of DICOM parts: valid, of any size, a patient each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def ct_study(folder: Path, number: int, *, slices: int, size: int) -> Path:
    """``slices`` axial images of ``size`` x ``size`` with noise in an ellipse, as DICOM files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2.0) / size
    body = (x / 0.42) ** 2 + (y / 0.3) ** 2 < 1.0
    for index in range(slices):
        hu = np.full((size, size), -1000.0)
        hu[body] = rng.normal(60.0, 20.0, int(body.sum()))
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientName, ds.PatientID = f"Bench^{number}", f"BENCH-{number:05d}"
        ds.PatientBirthDate, ds.PatientSex, ds.PatientPosition = "", "O", "HFS"
        ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = "20261130"
        ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = "090000"
        ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = str(number), "", ""
        ds.Modality, ds.Manufacturer, ds.SeriesDescription = "CT", "irplan", "Abdomen portal"
        ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = 1, index + 1, 1
        ds.ImageType, ds.PositionReferenceIndicator = ["ORIGINAL", "PRIMARY", "AXIAL"], ""
        ds.ImagePositionPatient = [round(v, 3) for v in (-0.35 * size, -0.35 * size, 1.6 * index)]
        ds.BodyPartExamined = "ABDOMEN"
        ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.7, 0.7]
        ds.SliceThickness, ds.KVP = 1.6, 120
        ds.Rows = ds.Columns = size
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
        ds.PixelData = np.clip(hu + 1024.0, 0, 4095).astype("<u2").tobytes()
        ds.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)
    return folder
