"""What a user asks of `irplan segment`, checked before anything is read or computed."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from irplan import dicom
from irplan.errors import InputError, OutputError
from irplan.files import nifti
from irplan.geometry import Point3
from irplan.image.structures import STRUCTURES
from irplan.segmentation.couinaud import CouinaudLandmarks
from irplan.segmentation.tumour import Edge, TumourMethod, check_tumour_settings
from irplan.segmentation.vessel_tree import VesselKind
from irplan.segmentation.vessels import VesselMode, check_vessel_mode

#: Word of the command line -> structures.
GROUPS: dict[str, tuple[str, ...]] = {
    "liver": ("liver",),
    "vessels": (
        "portal_vein", "hepatic_vein", "vessel", "vessel_in_part", "artery", "vena_cava",
    ),
    "tumour": ("tumour",),
    "obstacles": (
        "gallbladder", "bone", "lung", "gas", "stomach", "bowel", "kidney_left", "kidney_right",
        "spleen", "heart", "skin", "diaphragm", "pancreas", "bile_duct", "vessel",
        "vessel_in_part", "artery", "vena_cava",
    ),
    "all": tuple(x.name for x in STRUCTURES),
}  # fmt: skip
#: The word for TotalSegmentator instead of a manifest.
TOTAL_SEGMENTATOR = "totalsegmentator"


@dataclass(frozen=True)
class SegmentRequest:
    """A CT, what to find in it, how, and where to write it.

    ``structures`` are words of `GROUPS` or names of structures.  ``foreground`` / ``background``
    LPS mm; ``vessel_mode`` as `segment_liver_vessels`; ``tumours`` (centre LPS mm, diameter mm),
    with edge, margin and method as `segment_tumour`; ``vessels`` (kind, LPS mm) as
    `assign_vessels`; ``landmarks`` (name, LPS mm) as `CouinaudLandmarks`, for the label map
    ``segments``.  ``model`` is a manifest of an ONNX model or the word ``totalsegmentator``
    (``program``: its path); None is irplan's own method.

    Raises `InputError` (unknown structure, clicks without the liver or with a model, tumour or
    vessels not asked for, tumour settings, landmarks, file names) and `OutputError` (an output
    exists and ``overwrite`` is not given).
    """

    ct: Path
    out: Path
    structures: tuple[str, ...] = ("liver",)
    foreground: tuple[Point3, ...] = ()
    background: tuple[Point3, ...] = ()
    tumours: tuple[tuple[Point3, float], ...] = ()
    tumour_edge: Edge = "visible"
    tumour_margin_mm: float = 0.0
    tumour_method: TumourMethod = "auto"
    vessels: tuple[tuple[VesselKind, Point3], ...] = ()
    vessel_mode: VesselMode = "fast"
    landmarks: tuple[tuple[str, Point3], ...] = ()
    segments: Path | None = None
    model: str | None = None
    program: Path | None = None
    seg_dicom: Path | None = None
    label_map: bool = False
    rle: bool = False
    figure: Path | None = None
    series_uid: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for word in self.structures:
            _require_known(word)
        if not self.structures:
            raise InputError("--structures", got="nothing", expected=_words(), remedy="Name some.")
        self._check_clicks()
        self._check_tumours()
        self._check_outputs()

    def _check_clicks(self) -> None:
        if self.model is not None and (
            self.foreground or self.background or self.vessels or self.landmarks
        ):
            raise InputError(
                "--fg / --bg / vessels / landmarks",
                got="clicks together with --model",
                expected="clicks with irplan's own method",
                remedy="An outside model cannot be corrected by clicks; leave one of the two out.",
            )
        if self.vessels and not {k for k, _ in self.vessels} <= set(self.wanted):
            raise InputError(
                "--portal / --hepatic / --artery / --cava",
                got="points on vessels that are not in --structures",
                expected="'vessels' in --structures",
                remedy="Give --structures liver,vessels with them.",
            )
        if bool(self.landmarks) != (self.segments is not None):
            raise InputError(
                "--segments / --landmark",
                got="one without the other",
                expected="a file for the segments and the points that part them",
                remedy="Give --segments segments.nii.gz and every --landmark name=x,y,z.",
            )
        check_vessel_mode(self.vessel_mode)
        asked = set(GROUPS["vessels"]) & set(self.wanted)
        if self.vessel_mode != "fast" and (self.model is not None or not asked):
            raise InputError(
                "--vessel-mode",
                got=f"{self.vessel_mode} " + ("with --model" if asked else "without vessels"),
                expected="'vessels' in --structures, and irplan's own method",
                remedy="Add vessels to --structures, or leave --vessel-mode out.",
            )
        names = [name for name, _ in self.landmarks]
        if len(set(names)) < len(names):
            raise InputError(
                "--landmark",
                got=f"{', '.join(sorted({n for n in names if names.count(n) > 1}))} more than once",
                expected="each landmark once",
                remedy="Leave one of the points out.",
            )
        if self.landmarks:
            CouinaudLandmarks.from_points(dict(self.landmarks))

    def _check_tumours(self) -> None:
        check_tumour_settings(self.tumour_edge, self.tumour_margin_mm, self.tumour_method)
        asked = "tumour" in self.structures and self.model is None
        if (self.tumours and "tumour" not in self.wanted) or (asked and not self.tumours):
            raise InputError(
                "tumour",
                got="a tumour's point without 'tumour' in --structures"
                if self.tumours
                else "'tumour' in --structures without a point",
                expected="both, or neither",
                remedy="Give --structures liver,tumour --tumour-point x,y,z --tumour-diameter mm.",
            )
        if self.program is not None and self.model != TOTAL_SEGMENTATOR:
            raise InputError(
                "--program",
                got="a program without --model totalsegmentator",
                expected="the path of TotalSegmentator's program",
                remedy="Leave it out, or add --model totalsegmentator.",
            )

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the structures, each once, in the order of their values."""
        named = {n for w in self.structures for n in GROUPS.get(w, (w,))}
        return tuple(x.name for x in STRUCTURES if x.name in named)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Every file that is written, the label map first."""
        tables = (nifti.sidecar(self.out, ".json"), nifti.sidecar(self.out, ".ctbl"))
        rest = tuple(p for p in (self.seg_dicom, self.figure) if p is not None)
        parts: tuple[Path, ...] = ()
        if self.segments is not None:
            parts = (
                self.segments,
                nifti.sidecar(self.segments, ".json"),
                nifti.sidecar(self.segments, ".ctbl"),
            )
        return (self.out, *tables, *parts, *rest)

    def _check_outputs(self) -> None:
        for path, ends, option in (
            (self.out, (".nii", ".nii.gz"), "--out"),
            (self.segments, (".nii", ".nii.gz"), "--segments"),
            (self.seg_dicom, (".dcm",), "--seg-dicom"),
            (self.figure, (".png",), "--figure"),
        ):
            if path is not None and not path.name.lower().endswith(ends):
                raise InputError(
                    option,
                    got=f"'{path.name}'",
                    expected=f"a name that ends in {' or '.join(ends)}",
                    remedy=f"Give a name like 'labels{ends[-1]}'.",
                )
        if len(set(self.outputs)) < len(self.outputs):
            raise InputError(
                "outputs",
                got="one file name twice",
                expected="a file of its own for each output",
                remedy="Rename one of them.",
            )
        for path in self.outputs:
            if path.exists() and not self.overwrite:
                raise OutputError(
                    "output",
                    got=f"'{path.name}', which exists",
                    expected="a name that does not exist yet",
                    remedy="It may hold corrections by hand: choose another name, or give "
                    "--overwrite.",
                )

    def require_dicom(self) -> None:
        """Raise `InputError` where a SEG is asked for and the CT is no DICOM series."""
        if self.seg_dicom is None or self.ct.is_dir() or not self.ct.exists():
            return
        if not dicom.is_dicom(self.ct):
            raise InputError(
                "--seg-dicom",
                got=f"the CT '{self.ct.name}', which is not DICOM",
                expected="the DICOM series as CT",
                remedy="A DICOM segmentation refers to the slices it was made on: give the DICOM "
                "folder, or leave --seg-dicom out.",
            )


def _words() -> str:
    return ", ".join(GROUPS) + "; or " + ", ".join(x.name for x in STRUCTURES)


def _require_known(word: str) -> None:
    names = [*GROUPS, *(x.name for x in STRUCTURES)]
    if word in names:
        return
    near = get_close_matches(word.lower(), names, 1, 0.55)
    raise InputError(
        "--structures",
        got=repr(word),
        expected=_words(),
        remedy=f"Did you mean '{near[0]}'?" if near else "Use these words, separated by commas.",
    )
