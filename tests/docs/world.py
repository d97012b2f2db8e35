"""What the pages' commands find in their folder: scans, masks, a plan, runs, needles, settings.

All of it comes from one phantom and its plan, moved so that the tumour lies where the pages say
(LPS -62, 18, -140).  `Inputs.provide` makes what a page names, nothing else.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, Volume, structure
from irplan.planning.case import PlannedCase

ROOT = Path(__file__).resolve().parents[2]
TUMOUR_MM = (-62.0, 18.0, -140.0)


def moved(grid: Grid, by_mm: NDArray[np.float64], uid: str | None) -> Grid:
    """``grid`` elsewhere, in the frame of reference ``uid``."""
    affine = grid.affine.copy()
    affine[:3, 3] += by_mm
    return Grid(grid.shape, affine, uid)


def write_series(volume: Volume, folder: Path) -> None:
    """An axial CT series, one file a slice, by pydicom alone."""
    folder.mkdir(parents=True)
    grid, series, study = volume.grid, generate_uid(), generate_uid()
    spacing = grid.spacing_mm
    for k in range(grid.shape[0]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
        ds.PatientName, ds.PatientID, ds.PatientPosition = "DOC^PHANTOM", "DOC1", "HFS"
        ds.PatientSex, ds.PatientBirthDate = "O", "19700101"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20261130", "101500", "A1", "1"
        ds.SeriesDate, ds.SeriesTime, ds.ContentDate = "20261130", "101500", "20261130"
        ds.Manufacturer, ds.ReferringPhysicianName = "phantom", ""
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.FrameOfReferenceUID = grid.frame_of_reference_uid
        ds.SeriesNumber, ds.InstanceNumber, ds.ConvolutionKernel = 1, k + 1, "B30f"
        ds.SliceThickness, ds.PixelSpacing = spacing[0], [spacing[1], spacing[2]]
        ds.Rows, ds.Columns = grid.shape[1:]
        ds.ImagePositionPatient = [round(float(v), 4) for v in grid.index_to_lps((k, 0, 0))]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, 0, "HU"
        ds.PixelData = np.ascontiguousarray(volume.array[k].astype("<i2")).tobytes()
        ds.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Makers of named inputs; each is made once, in ``store``, and copied to a page's folder."""

    store: Path
    volume: Volume
    labels: LabelMap
    case: PlannedCase
    made: set[str] = field(default_factory=set)

    def provide(self, names: list[str], folder: Path) -> None:
        """Copies of the inputs ``names`` in ``folder``."""
        for name in names:
            made = self.store / name
            if name not in self.made:
                made.parent.mkdir(parents=True, exist_ok=True)
                MAKERS[name](self, made)
                self.made.add(name)
            to = folder / name
            to.parent.mkdir(parents=True, exist_ok=True)
            if made.is_dir():
                shutil.copytree(made, to)
            else:
                shutil.copy(made, to)
                if made.with_suffix("").with_suffix(".json").exists() and ".nii" in name:
                    table = made.with_suffix("").with_suffix(".json")
                    shutil.copy(table, to.with_name(table.name))

    def needles(self) -> list[Needle]:
        """The plan's needles, 1.5 mm aside: as placed."""
        return [
            Needle(
                (n.tip_mm[0] + 1.5, *n.tip_mm[1:]), (n.entry_mm[0] + 1.5, *n.entry_mm[1:])
            )
            for n in (p.needle for p in self.case.plan.placements)
        ]  # fmt: skip


def _target(inputs: Inputs) -> NDArray[np.bool_]:
    return inputs.labels.mask("tumour")


def _mask(mask: Callable[[Inputs], NDArray[np.bool_]]) -> Callable[[Inputs, Path], None]:
    def make(inputs: Inputs, to: Path) -> None:
        from irplan.files import write_mask

        write_mask(mask(inputs), inputs.volume.grid, to)

    return make


def _zone(inputs: Inputs) -> NDArray[np.bool_]:
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(~_target(inputs), inputs.volume.grid.spacing_mm)
    return np.asarray(away <= 6.0)


def _nifti(inputs: Inputs, to: Path) -> None:
    from irplan.files import write_volume

    write_volume(inputs.volume, to)


def _labels(inputs: Inputs, to: Path) -> None:
    from irplan.files import write_labels

    write_labels(inputs.labels, to)


def _series(inputs: Inputs, to: Path) -> None:
    write_series(inputs.volume, to)


def _case(inputs: Inputs, to: Path) -> None:
    """What commands read of a folder of irplan plan: plan, labels, target (no report)."""
    from irplan.files import write_labels, write_mask, write_plan

    to.mkdir(parents=True)
    write_plan(inputs.case.plan, to / "plan.json")
    write_labels(inputs.case.labels, to / "labels.nii.gz")
    write_mask(_target(inputs), inputs.volume.grid, to / "target.nii.gz")


def _case_with_log(inputs: Inputs, to: Path) -> None:
    """A plan with the log beside it that docs/procedure.md makes."""
    from irplan.procedure.events import Source
    from irplan.procedure.log import ProcedureLog

    _case(inputs, to)
    with ProcedureLog.create(to / "log") as log:
        who = Source("typed", who="Dr. A")
        log.append("case", {"patient_id": "P1", "study_uids": ["1.2.3"]}, source=who)
        log.append(
            "lesion", {"lesion": "T1", "organ": "liver", "side": "right", "segment": "VII"},
            source=who,
        )  # fmt: skip
        for n, placement in enumerate(inputs.case.plan.placements, start=1):
            tip, entry = placement.needle.tip_mm, placement.needle.entry_mm
            data = {"number": n, "status": "placed", "tip_mm": list(tip), "entry_mm": list(entry)}
            log.append("needle", data, source=who)


def _needles(inputs: Inputs, to: Path) -> None:
    listed = [
        {"entry_mm": list(n.entry_mm), "tip_mm": list(n.tip_mm), "applicator": p.applicator.name}
        for n, p in zip(inputs.needles(), inputs.case.plan.placements, strict=True)
    ]
    to.write_text(json.dumps({"needles": listed[:1]}), encoding="utf-8")


def _placed(inputs: Inputs, to: Path) -> None:
    from irplan.files import write_needle_table

    plan = inputs.case.plan
    placed = tuple(
        replace(p, needle=n) for p, n in zip(plan.placements, inputs.needles(), strict=True)
    )
    write_needle_table(replace(plan, placements=placed), to)


def _control(inputs: Inputs, to: Path) -> None:
    from irplan.phantom.metal import MetalNeedle
    from irplan.phantom.needle_scan import scan_with_metal

    parts = [MetalNeedle(n, 1.5, 1.6, 40.0) for n in inputs.needles()]
    write_series(scan_with_metal(inputs.volume, parts, noise_hu=0.0, streaks=False), to)


def _moved_scan(inputs: Inputs, to: Path) -> None:
    """The patient 4, -3, 5 mm farther on, in another frame of reference."""
    grid = moved(inputs.volume.grid, np.array([4.0, -3.0, 5.0]), generate_uid())
    write_series(Volume(inputs.volume.array, grid, "HU"), to)


def _on_moved(make: Callable[[Inputs, Path], None]) -> Callable[[Inputs, Path], None]:
    """The same on the grid of `_moved_scan`."""

    def moved_on(inputs: Inputs, to: Path) -> None:
        uid = inputs.volume.grid.frame_of_reference_uid
        grid = moved(inputs.volume.grid, np.array([4.0, -3.0, 5.0]), uid)
        labels = LabelMap(inputs.labels.array, grid, inputs.labels.labels)
        make(replace(inputs, volume=Volume(inputs.volume.array, grid, "HU"), labels=labels), to)

    return moved_on


def _registered(inputs: Inputs, to: Path) -> None:
    """What ``irplan register ct/ cbct/`` writes."""
    from typer.testing import CliRunner

    from irplan.cli.app import app

    with tempfile.TemporaryDirectory() as text:
        inputs.provide(["ct", "cbct"], Path(text))
        scans = [f"{text}/ct", f"{text}/cbct"]
        done = CliRunner().invoke(app, ["register", *scans, "-o", str(to)])
    assert done.exit_code == 0, done.output


def _marks(inputs: Inputs, to: Path) -> None:
    away = np.array([[0, 0, 0], [20, -10, 0], [-15, 5, 20], [5, 15, -20]])
    points, shift = np.array(TUMOUR_MM) + away, np.array([4.0, -3.0, 5.0])
    pairs = {"plan": points.tolist(), "control": (points + shift).tolist()}
    to.write_text(json.dumps(pairs), encoding="utf-8")


def _run(inputs: Inputs, to: Path) -> None:
    from irplan.case.save_dicom import save_dicom
    from irplan.dicom.xa_write import simulated_dataset
    from irplan.fluoroscopy import DETECTORS, Exposure, scene, simulate

    del inputs
    made = scene("abdomen", shape=(128, 128), frames=16, seed=106)
    noisy, _ = simulate(made, Exposure(10.0), DETECTORS["flat-panel-0.2"], seed=3)
    data = simulated_dataset(noisy, description="phantom")
    data.PatientPosition = "HFS"
    data.PositionerPrimaryAngle, data.PositionerSecondaryAngle = 20.0, -5.0
    data.DistanceSourceToPatient, data.DistanceSourceToDetector = 810.0, 1195.0
    data.ImagerPixelSpacing = [2.0, 2.0]
    save_dicom(data, to)


def _dose(inputs: Inputs, to: Path) -> None:
    """Two events of one plane, their sum as the total; the pages' patient and study."""
    del inputs
    from tests.dicom.made_rdsr import coded, container, item, num, save

    events = [
        container(
            "113706", coded("113764", "113622"), coded("113721", kind), num("122130", dap, "Gy.m2"),
            num("113738", kerma, "Gy"), num("113733", 77.0, "kV"),
            item("DATETIME", "111526", DateTime=f"2026113010{minute}00"),
        )
        for kind, dap, kerma, minute in (("P5-06000", 2e-4, 0.010, 15), ("113611", 1e-4, 0.004, 22))
    ]  # fmt: skip
    whole = container(
        "113702", coded("113764", "113622"), num("113722", 3e-4, "Gy.m2"),
        num("113725", 0.014, "Gy"), num("113730", 74.0, "s"),
    )  # fmt: skip
    save(to, whole, *events, PatientID="P1", StudyInstanceUID=generate_uid(),
         SeriesInstanceUID=generate_uid(), SOPInstanceUID=generate_uid(),
         StudyDate="20261130", StudyTime="101500", ContentDate="20261130", ContentTime="103000",
         SpecificCharacterSet="ISO_IR 192")  # fmt: skip


def _segments(inputs: Inputs, to: Path) -> None:
    from irplan.files import write_labels

    liver = inputs.labels.mask("liver") | _target(inputs)
    write_labels(LabelMap.from_masks(inputs.volume.grid, [(structure("liver"), liver)]), to)


def _system(inputs: Inputs, to: Path) -> None:
    """The system file printed in docs/guidance.md."""
    del inputs
    text = (ROOT / "docs" / "guidance.md").read_text(encoding="utf-8")
    to.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")


def _camera(inputs: Inputs, to: Path) -> None:
    """600 mm in front of the tumour, looking to the back: x left, y feet, z back."""
    del inputs
    x, y, z = TUMOUR_MM
    pose = [1, 0, 0, -x, 0, 0, -1, z, 0, 1, 0, 600 - y, 0, 0, 0, 1]
    to.write_text(
        'schema = "irplan-camera"\nschema_version = 1\nsize = [640, 480]\nfocal_px = [800, 800]\n'
        f"centre_px = [320, 240]\ncamera_from_plan = {pose}\n"
    )


def _photo(inputs: Inputs, to: Path) -> None:
    from PIL import Image

    del inputs
    Image.fromarray(np.full((480, 640, 3), 90, np.uint8)).save(to)


def _zip(inputs: Inputs, to: Path) -> None:
    write_series(inputs.volume, to.with_suffix(""))
    shutil.make_archive(str(to.with_suffix("")), "zip", to.with_suffix(""))


def _examples(inputs: Inputs, to: Path) -> None:
    """The project's examples; the study with 2 base points instead of 32 (stated in docs)."""
    del inputs
    shutil.copytree(ROOT / "examples", to, ignore=shutil.ignore_patterns("__pycache__"))
    file = to / "perfusion_and_vessel.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("runs = 32", "runs = 2"))
    problem = to / "perfusion_and_vessel.problem.toml"
    text = problem.read_text(encoding="utf-8")
    problem.write_text(text.replace("spacing_mm = 1.5", "spacing_mm = 3.0"))


def _module(inputs: Inputs, to: Path) -> None:
    """A filter of one's own: every frame as it came."""
    del inputs
    to.write_text(
        "class Same:\n"
        "    def step(self, frame, *others):\n        return frame\n"
        "    def state(self):\n        return {}\n"
        "    def restore(self, state):\n        pass\n"
        "def make_filter(facts, *others):\n    return Same()\n"
    )


MAKERS: dict[str, Callable[[Inputs, Path], None]] = {
    "scan": _series, "ct": _series, "ct.nii.gz": _nifti, "tumour.nii.gz": _mask(_target),
    "labels.nii.gz": _labels, "reference.nii.gz": _labels, "truth.nii.gz": _labels,
    "control_zone.nii.gz": _mask(_zone), "case1": _case, "case2": _case, "irplan-demo": _case,
    "out": _case, "OUT": _case, "OUT-A": _case, "OUT-B": _case, "logged/case1": _case_with_log,
    "needles.json": _needles, "placed.csv": _placed, "control": _control, "cbct": _moved_scan,
    "liver.nii.gz": _mask(lambda i: i.labels.mask("liver") | _target(i)), "marks.json": _marks,
    "run.dcm": _run, "dsa.dcm": _run, "report.dcm": _dose, "dose.dcm": _dose,
    "tumour_cbct.nii.gz": _on_moved(_mask(_target)), "zone_cbct.nii.gz": _on_moved(_mask(_zone)),
    "drawn_cbct.nii.gz": _on_moved(_labels), "registered": _registered,
    "segments.nii.gz": _segments, "room4.toml": _system, "cam.toml": _camera, "frame.png": _photo,
    "study.zip": _zip, "examples": _examples, "mymodule.py": _module,
}  # fmt: skip
