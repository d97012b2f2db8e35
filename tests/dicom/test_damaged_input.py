"""Damaged and hostile DICOM: a named error or a result, never another exception, never a hang."""

from __future__ import annotations

import contextlib
import random
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irplan_gateway.incoming import Limits, take_object
from irplan_gateway.store import Store
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from benchmarks.damaged import at_door
from irplan.dicom.deid import deidentify
from irplan.dicom.deid_options import DeidOptions
from irplan.dicom.pacs_send import send_files
from irplan.dicom.pixels import read_pixels
from irplan.dicom.reading import read_dataset
from irplan.dicom.rtstruct_read import read_rtstruct
from irplan.errors import DicomError, IrplanError
from tests.dicom.test_deid import KEY, ct, saved
from tests.dicom.test_pacs import Liar
from tests.dicom.test_rtstruct import circle, grid, structures

OPTIONS = DeidOptions(key=KEY)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """An image with a sequence in it, and a structure set."""
    folder = tmp_path_factory.mktemp("sound")
    image = saved(ct(ImageType=["ORIGINAL", "PRIMARY"]), folder / "a.dcm").read_bytes()
    return image, structures(folder / "r.dcm", {"x": [circle(5.0, 30.0)[:9]]}).read_bytes()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_damage_is_a_named_error(
    sound: tuple[bytes, bytes], store: Store, tmp_path: Path
) -> None:
    """Bytes changed, cut out, doubled or cut off anywhere after the prefix, 200 times by seed."""
    rng = random.Random(20261130)
    path = tmp_path / "x.dcm"
    for number in range(200):
        raw = bytearray(sound[number % 2])
        for _ in range(rng.randint(1, 6)):
            at, size = rng.randrange(132, len(raw)), rng.randint(1, 30)
            what = rng.choice(("set", "cut", "twice", "end"))
            if what == "set":
                raw[at] = rng.randrange(256)
            elif what == "cut" and len(raw) > 300:
                del raw[at : at + size]
            elif what == "twice":
                raw[at:at] = raw[at : at + size]
            elif len(raw) > 300 and at > 200:
                del raw[at:]
        path.write_bytes(bytes(raw))
        for work in (
            lambda p: deidentify(p, OPTIONS),
            lambda p: read_rtstruct(p, grid()),
            lambda p: send_files(Liar(), [p], lambda n, b: None),
        ):
            with contextlib.suppress(IrplanError):
                work(path)
        assert take_object(store, path, Limits(1 << 30, 0)) != "full"


@settings(max_examples=40)
@given(st.binary(max_size=400))
def test_noise_after_the_prefix(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + noise)
    with pytest.raises(IrplanError):
        deidentify(path, OPTIONS)


def test_a_deflated_bomb_is_refused_in_little_memory(tmp_path: Path) -> None:
    data = ct()
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = saved(data, tmp_path / "a.dcm")
    assert read_dataset(path).PatientID == "NL-00812"  # a sound deflated file is read
    raw = path.read_bytes()
    start = 144 + int.from_bytes(raw[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    with path.open("wb") as file:
        file.write(raw[:start])
        for _ in range(300):
            file.write(packer.compress(b"\0" * (1 << 20)))
        file.write(packer.flush())
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(DicomError, match="without bound"):
        read_dataset(path)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_sequences_in_sequences_without_end(tmp_path: Path) -> None:
    """A nest of undefined-length sequences deeper than any stack."""
    path = saved(ct(), tmp_path / "a.dcm")
    opening = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b"\x08\x00\x60\x00CS")] + opening * 20_000)
    with pytest.raises(IrplanError):
        deidentify(path, OPTIONS)


@pytest.mark.parametrize(("name", "cases"), [("segmentation", 160), ("series", 50), ("xa", 50)])
def test_damage_at_the_doors_of_images(name: str, cases: int) -> None:
    """A short run of `benchmarks.damaged`; sequences that are parsed late are damaged too."""
    found = at_door(name, cases, 1)
    assert found["faults"] == []
    assert found["refused"] + found["taken"] == cases
    assert found["taken"] > 0


def test_a_header_that_claims_too_many_pixels_is_refused(tmp_path: Path) -> None:
    data = ct(Rows=65535, Columns=65535, NumberOfFrames=9)
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([b"\1\0\0\0" + b"\0" * 76])
    data["PixelData"].is_undefined_length = True
    with pytest.raises(DicomError, match="claims 9 x 65535 x 65535"):
        read_pixels(saved(data, tmp_path / "a.dcm"))
