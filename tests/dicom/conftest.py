"""A small synthetic CT series written with pydicom, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

Edit = Callable[[int, Dataset], None]


@dataclass
class SyntheticSeries:
    """What to write; ``write`` gives the HU (slice along the normal, row, column)."""

    count: int = 6
    rows: int = 8
    columns: int = 10
    step_mm: float = 2.5
    pixel_mm: tuple[float, float] = (0.8, 0.7)
    origin_mm: tuple[float, float, float] = (-30.0, 20.0, 100.0)
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0)
    positions: Sequence[Sequence[float]] | None = None
    slope: float = 1.0
    intercept: float = -1024.0
    signed: bool = False
    seed: int = 0
    series_uid: str = field(default_factory=generate_uid)
    study_uid: str = field(default_factory=generate_uid)
    frame_uid: str | None = field(default_factory=generate_uid)
    syntax: UID = ExplicitVRLittleEndian
    edit: Edit | None = None
    prefix: str = "IM"

    @property
    def normal(self) -> NDArray[np.float64]:
        o = np.array(self.orientation, dtype=float)
        return np.cross(o[:3], o[3:])

    def hu(self) -> NDArray[np.int32]:
        """Air with a body of noise in it; whole numbers."""
        rng = np.random.default_rng(self.seed)
        out = np.full((self.count, self.rows, self.columns), -1000, dtype=np.int32)
        inner = out[:, 2:-2, 2:-2]
        inner[...] = rng.integers(-100, 400, inner.shape)
        return out

    def dataset(self, index: int) -> FileDataset:
        stored = np.rint((self.hu()[index] - self.intercept) / self.slope)
        kind = np.int16 if self.signed else np.uint16
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = self.syntax
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.Modality = "CT"
        ds.PatientName = "SECRET^NAME"
        ds.PatientID = "SECRET-ID"
        ds.SeriesDescription = "Secret Dr Portal venous"
        ds.StudyInstanceUID = self.study_uid
        ds.SeriesInstanceUID = self.series_uid
        if self.frame_uid is not None:
            ds.FrameOfReferenceUID = self.frame_uid
        ds.InstanceNumber = 1  # wrong on purpose: positions count, not numbers
        ds.ConvolutionKernel = "B30f"
        ds.SliceThickness = 5.0
        ds.Rows, ds.Columns = self.rows, self.columns
        place = np.array(self.origin_mm) + index * self.step_mm * self.normal
        if self.positions is not None:
            place = np.array(self.positions[index], dtype=float)
        ds.ImagePositionPatient = [round(float(v), 6) for v in place]
        ds.ImageOrientationPatient = [round(float(v), 9) for v in self.orientation]
        ds.PixelSpacing = list(self.pixel_mm)
        ds.SamplesPerPixel = 1
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
        ds.PixelRepresentation = int(self.signed)
        ds.RescaleSlope, ds.RescaleIntercept = self.slope, self.intercept
        ds.RescaleType = "HU"
        ds.PixelData = stored.astype(kind).tobytes()
        return ds

    def write(self, folder: Path) -> NDArray[np.int32]:
        """Files in an order that is neither that of the positions nor of the numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        names = np.random.default_rng(7).permutation(self.count)
        for index in range(self.count):
            ds = self.dataset(index)
            if self.edit is not None:
                self.edit(index, ds)
            ds.save_as(folder / f"{self.prefix}{names[index]:04d}", enforce_file_format=True)
        return self.hu()

    def lps(self, index: Sequence[float]) -> NDArray[np.float64]:
        """Where (slice, row, column) is, from the DICOM standard C.7.6.2.1.1."""
        o = np.array(self.orientation, dtype=float)
        return (
            np.array(self.origin_mm)
            + index[0] * self.step_mm * self.normal
            + index[1] * self.pixel_mm[0] * o[3:]
            + index[2] * self.pixel_mm[1] * o[:3]
        )


@pytest.fixture
def series() -> type[SyntheticSeries]:
    return SyntheticSeries
