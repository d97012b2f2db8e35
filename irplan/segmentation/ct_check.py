"""Is this an abdominal CT in Hounsfield units that the segmentation can work on?

The envelope in which the liver's accuracy is stated (`benchmarks/segmentation_perturb.py` measures
it), one row a property: measured value, limit, verdict, and what a breach means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from irplan.errors import InputError
from irplan.image.volume import Volume
from irplan.segmentation.ct_measure import (
    METAL_HU,
    CoarseCt,
    Posture,
    border_share,
    coarse_ct,
    measure_aorta,
    measure_noise,
    measure_posture,
    measure_slices,
    mode_hu,
    trunk_of,
)

if TYPE_CHECKING:
    from irplan.segmentation.liver_result import LiverSegmentation

Status = Literal["ok", "warning", "error", "not_checked"]

#: Voxels above this cannot show ribs and vessels.
COARSEST_MM = 6.0
#: Spacing above which thin structures are lost in part.
COARSE_MM = 4.0
#: Least field of view along each axis, mm: an abdomen's cross-section, half a liver's height.
LEAST_FIELD_MM = (60.0, 180.0, 180.0)
#: Air outside (or in) the patient is below this, soft tissue within, bone above.
AIR_HU, SOFT_HU, BONE_HU = -700.0, (-150.0, 200.0), 250.0
#: Air of a calibrated scan: its most frequent value lies within, HU [S: -1000 +- 5 by quality
#: assurance; 40 leaves room for reconstruction tricks; cone-beam CT misses it by more].
AIR_MODE_HU = (-1040.0, -940.0)
#: Fat's most frequent value, HU [S: adipose tissue -120 to -70 at 80 to 140 kVp].
FAT_MODE_HU = (-135.0, -65.0)
#: Noise SD in soft tissue up to which the liver's accuracy is stated, HU (perturbation suite:
#: three times the noise of 17 HU), and beyond which nothing can be expected [S].
NOISE_HU, HOPELESS_NOISE_HU = 50.0, 120.0
#: Root mean square frequency of the noise; sharper kernels are outside what was tried, cycles/mm
#: (measured: soft-tissue kernels 0.18-0.28); or this share of white noise's, where pixels are
#: too large for that.
SHARP_PER_MM, WHITE_SHARE = 0.33, 0.95
#: Metal that is told, ml; a clip of 1.6 x 8 mm is 0.016 ml.
METAL_ML = 0.01
#: A step between slices this many times its neighbours' looks like a missing slice.
STEP_RATIO = 2.2
#: Tissue at the field's border, share of its length.
BORDER_SHARE = 0.02
#: Liver on the first or last slice, cm^2.
CUT_CM2 = 1.0
#: The aorta's CT number (S: 100-120 ml contrast medium, 120 kVp) separates the phases, HU.
UNENHANCED_AORTA_HU, ARTERIAL_AORTA_HU = 80.0, 210.0
#: In the delayed phase blood has faded (aorta) and liver comes near it (aorta over liver), HU.
DELAYED_AORTA_HU, DELAYED_OVER_LIVER_HU = 130.0, 30.0


@dataclass(frozen=True)
class CheckRow:
    """One property of a scan: the same fields as the rows of a plan's verdict.

    ``value`` is None when nothing could be measured; then ``status`` is ``"not_checked"``.
    ``note`` says what the value means for the result, ``remedy`` what to do about an error.
    """

    name: str
    value: float | None
    unit: str
    limit: str
    status: Status
    note: str = ""
    source: str = ""
    remedy: str = ""


def check_ct(volume: Volume) -> tuple[str, ...]:
    """Judge a CT's intensities, field of view and resolution before it is segmented.

    Returns the notes of `ct_rows` that are warnings; raises `InputError` for the first that is an
    error: a quantity other than HU, intensities that are not Hounsfield units (no air, no soft
    tissue in -150..200, 8-bit range, MR, a missing rescale intercept), voxels above 6 mm, or a
    field of view too small for an abdomen.
    """
    rows = ct_rows(volume)
    for row in rows:
        if row.status == "error":
            raise InputError(row.name, got=row.note, expected=row.limit, remedy=row.remedy)
    return tuple(row.note for row in rows if row.status == "warning")


def ct_rows(volume: Volume, liver: LiverSegmentation | None = None) -> tuple[CheckRow, ...]:
    """The input envelope of ``volume`` as rows, never an exception for what the image holds.

    With the ``liver`` found in it, phase and coverage (liver cut off at an end, measured) are
    judged as well; without, they are "not checked".  An error row ends the list: what follows
    would be measured on something that is no CT.  Cost: about 0.2 s for 512 x 512 x 130.
    """
    rows: list[CheckRow] = []
    if volume.quantity != "HU":
        return (
            CheckRow("volume.quantity", None, "", "'HU'", "error", repr(volume.quantity),
                     remedy="Give the CT, not a derived map."),
        )  # fmt: skip
    rows += [_spacing_row(volume), _field_row(volume)]
    if any(row.status == "error" for row in rows):
        return tuple(rows)
    coarse = coarse_ct(volume)
    rows.append(_intensity_row(coarse))
    if rows[-1].status == "error":
        return tuple(rows)
    rows += [_air_row(coarse), _fat_row(coarse), _bone_row(coarse), _metal_row(volume)]
    rows += _slice_rows(volume)
    rows += _noise_rows(volume)
    trunk = trunk_of(coarse)
    rows.append(_border_row(border_share(trunk)))
    rows += _posture_rows(measure_posture(coarse, trunk))
    rows += _phase_rows(liver)
    rows += _coverage_rows(volume, liver)
    return tuple(rows)


def _spacing_row(volume: Volume) -> CheckRow:
    coarse = max(volume.grid.spacing_mm)
    name, unit = "volume spacing", "mm"
    if coarse > COARSEST_MM:
        return CheckRow(
            name, coarse, unit, f"at most {COARSEST_MM:.0f} mm", "error",
            f"voxels of {coarse:.1f} mm", remedy="Give the thin-slice series.",
        )  # fmt: skip
    note = (
        f"Voxels of {coarse:.1f} mm: ribs, gas specks and vessels thinner than that may be missed."
    )
    wide = coarse > COARSE_MM
    return CheckRow(
        name, coarse, unit, f"<= {COARSE_MM:g} mm", "warning" if wide else "ok",
        note if wide else "",
    )  # fmt: skip


def _field_row(volume: Volume) -> CheckRow:
    grid = volume.grid
    extent = np.abs(grid.direction) @ (np.asarray(grid.shape) * np.asarray(grid.spacing_mm))
    x, y, z = (float(v) for v in extent)
    small = z < LEAST_FIELD_MM[0] or y < LEAST_FIELD_MM[1] or x < LEAST_FIELD_MM[2]
    limit = (
        f"at least {LEAST_FIELD_MM[2]:.0f} x {LEAST_FIELD_MM[1]:.0f} x {LEAST_FIELD_MM[0]:.0f} mm"
    )
    return CheckRow(
        "volume field of view", min(x, y), "mm", limit, "error" if small else "ok",
        f"{x:.0f} x {y:.0f} x {z:.0f} mm (left-right, front-back, foot-head)" if small else "",
        remedy="Give a series that shows the whole cross-section of the abdomen.",
    )  # fmt: skip


def _intensity_row(coarse: CoarseCt) -> CheckRow:
    sample = coarse.hu.reshape(-1)
    low, high = float(sample.min()), float(sample.max())
    air = float(np.mean(sample < AIR_HU))
    soft = float(np.mean((sample > SOFT_HU[0]) & (sample < SOFT_HU[1])))
    name, limit = "volume.array", "Hounsfield units: air near -1000, soft tissue in -150 to 200"
    if high - low < 1.0:
        return CheckRow(
            name, 0.0, "%", "a CT in HU", "error", f"a constant image of {low:.0f}",
            remedy="Check how the image was read.",
        )  # fmt: skip
    if low > AIR_HU or air < 0.001 or soft < 0.02:
        return CheckRow(
            name, 100 * air, "%", limit, "error",
            f"intensities from {low:.0f} to {high:.0f}, {100 * air:.1f} % below {AIR_HU:.0f} and "
            f"{100 * soft:.0f} % in {SOFT_HU[0]:.0f}..{SOFT_HU[1]:.0f}",
            remedy=_what_it_is(sample, low, high),
        )  # fmt: skip
    return CheckRow(name, 100 * air, "%", limit, "ok", "share of air")


def _what_it_is(sample: np.ndarray, low: float, high: float) -> str:
    """The likeliest reason for intensities that are no HU."""
    if low >= 0.0 and high <= 255.0:
        return "This is an 8-bit, windowed picture; give the CT series in HU."
    dark, bright = mode_hu(sample, -100.0, 400.0), mode_hu(sample, 800.0, 1250.0)
    if low >= -100.0 and dark is not None and abs(dark) < 60.0 and bright is not None:
        offset = 1024 if bright > 1010.0 else 1000
        return (
            f"These look like stored values without the rescale intercept (-{offset} or "
            "near it); read the series with its rescale slope and intercept."
        )
    return (
        "This looks like MR, a windowed picture or a CT without its rescale intercept; give the "
        "CT series in HU."
    )


def _air_row(coarse: CoarseCt) -> CheckRow:
    mode = mode_hu(coarse.hu, -1150.0, -700.0)
    return _calibration("air", mode, AIR_MODE_HU)


def _fat_row(coarse: CoarseCt) -> CheckRow:
    mode = mode_hu(coarse.hu, -250.0, -20.0)
    return _calibration("fat", mode, FAT_MODE_HU)


def _calibration(what: str, mode: float | None, limits: tuple[float, float]) -> CheckRow:
    limit = f"{limits[0]:g} to {limits[1]:g} HU"
    name = f"CT number of {what}"
    if mode is None:
        return CheckRow(name, None, "HU", limit, "not_checked", f"too little {what} in the scan")
    good = limits[0] <= mode <= limits[1]
    note = (
        f"The commonest value of {what} is {mode:.0f} HU, not {limit}: cone-beam CT, another "
        "offset or no calibrated CT; thresholds in HU may not hold."
    )
    return CheckRow(name, mode, "HU", limit, "ok" if good else "warning", "" if good else note)


def _bone_row(coarse: CoarseCt) -> CheckRow:
    share = float(np.mean(coarse.hu > BONE_HU))
    none = share < 1e-4
    note = "No bone was seen in the scan: spine and ribs cannot guide or be avoided."
    return CheckRow(
        "bone", 100 * share, "%", "> 0.01 %", "warning" if none else "ok", note if none else ""
    )


def _metal_row(volume: Volume) -> CheckRow:
    ml = float(np.count_nonzero(volume.array > METAL_HU)) * volume.grid.voxel_volume_mm3 / 1000.0
    seen = ml > METAL_ML
    note = (
        f"Metal or very dense contrast in the scan ({ml:.2f} ml above {METAL_HU:.0f} HU): streaks "
        "may spoil the result."
    )
    return CheckRow(
        "metal", ml, "ml", f"<= {METAL_ML:g} ml above {METAL_HU:.0f} HU",
        "warning" if seen else "ok", note if seen else "",
    )  # fmt: skip


def _slice_rows(volume: Volume) -> list[CheckRow]:
    steps = measure_slices(volume)
    limits = (f"<= {STEP_RATIO:g} times the neighbours' change", "0")
    names = ("greatest step between slices", "repeated slices")
    if steps is None:
        return [CheckRow(n, None, "", limits[k], "not_checked", "fewer than eight slices")
                for k, n in enumerate(names)]  # fmt: skip
    jump = steps.largest_ratio > STEP_RATIO
    k = steps.at_slice
    return [
        CheckRow(
            names[0], steps.largest_ratio, "x", limits[0], "warning" if jump else "ok",
            f"Slices {k} and {k + 1} (from the feet) differ {steps.largest_ratio:.1f} times as "
            "much as their neighbours: a slice is missing, spacing is uneven or the patient moved."
            if jump else "",
        ),
        CheckRow(
            names[1], float(steps.repeated), "", limits[1],
            "warning" if steps.repeated else "ok",
            f"{steps.repeated} slices are equal to their neighbour: repeated or interpolated "
            "slices; the slice spacing may be wrong." if steps.repeated else "",
        ),
    ]  # fmt: skip


def _noise_rows(volume: Volume) -> list[CheckRow]:
    found = measure_noise(volume)
    names = ("noise in soft tissue", "frequency of the noise")
    limits = (f"SD <= {NOISE_HU:g} HU", f"<= {SHARP_PER_MM:g} cycles/mm")
    source = "Christianson et al., AJR 2015;205:W93"
    if found is None:
        return [
            CheckRow(n, None, "", limits[k], "not_checked", "too little soft tissue", source)
            for k, n in enumerate(names)
        ]
    sd = found.sd_hu
    bad = "error" if sd > HOPELESS_NOISE_HU else "warning" if sd > NOISE_HU else "ok"
    note = (
        f"The noise is {sd:.0f} HU, above the {NOISE_HU:g} HU in which accuracy was tried: use a "
        "softer kernel or thicker slices."
    )
    status: Status = bad  # type: ignore[assignment]
    rows = [
        CheckRow(
            names[0], sd, "HU", limits[0], status, "" if bad == "ok" else note, source,
            "Give a series with a softer kernel or thicker slices.",
        )
    ]  # fmt: skip
    if max(volume.grid.spacing_mm[1:]) > 1.2 or found.frequency_per_mm == 0.0:
        rows.append(
            CheckRow(names[1], None, "1/mm", limits[1], "not_checked",
                     "pixels too coarse (above 1.2 mm) or no noise to tell the kernel", source)
        )  # fmt: skip
        return rows
    most = min(SHARP_PER_MM, WHITE_SHARE * found.white_per_mm)
    sharp = found.frequency_per_mm > most
    rows.append(
        CheckRow(
            names[1], found.frequency_per_mm, "1/mm", limits[1], "warning" if sharp else "ok",
            "A sharp kernel (bone or lung): prefer the series with a soft-tissue kernel."
            if sharp else "", source,
        )
    )  # fmt: skip
    return rows


def _border_row(share: float) -> CheckRow:
    cut = share > BORDER_SHARE
    note = (
        f"The body reaches the border of the field of view ({100 * share:.0f} % of it): what lies "
        "beyond is unknown, and so are skin and entry points there."
    )
    return CheckRow(
        "body at the field's border", 100 * share, "%", f"<= {100 * BORDER_SHARE:g} %",
        "warning" if cut else "ok", note if cut else "",
    )  # fmt: skip


def _posture_rows(posture: Posture) -> list[CheckRow]:
    rows = []
    if posture.spine_back is None:
        rows.append(CheckRow("spine behind the middle", None, "", "> 0", "not_checked", "no spine"))
    else:
        wrong = posture.spine_back < 0.0
        note = "The spine lies in front of the trunk's middle: front and back may be exchanged."
        rows.append(
            CheckRow("spine behind the middle", posture.spine_back, "half depths", "> 0",
                     "warning" if wrong else "ok", note if wrong else "")
        )  # fmt: skip
    if posture.table_back is None:
        rows.append(
            CheckRow("table behind the patient", None, "", "> 0", "not_checked", "no table")
        )
    else:
        prone = posture.table_back < 0.0
        note = "The table is in front: a prone patient; organs, gas and entry points lie otherwise."
        rows.append(
            CheckRow("table behind the patient", posture.table_back, "half depths", "> 0",
                     "warning" if prone else "ok", note if prone else "")
        )  # fmt: skip
    return rows


def _phase_rows(liver: LiverSegmentation | None) -> list[CheckRow]:
    name, limit = "aorta (contrast phase)", "portal or delayed phase"
    if liver is None:
        return [CheckRow(name, None, "HU", limit, "not_checked", "no liver was given")]
    marks, image = liver.stages.landmarks, liver.stages.image
    rows = np.flatnonzero(liver.stages.refined.any(axis=(1, 2)))
    heights = slice(int(rows[0]), int(rows[-1]) + 1)
    aorta = measure_aorta(image.hu, image.spacing_mm, marks.spine_x, marks.spine_front_y, heights)
    if aorta is None:
        return [CheckRow(name, None, "HU", limit, "not_checked", "no aorta was found")]
    phase = contrast_phase(aorta, liver.mean_hu)
    note = f"{phase}: aorta {aorta:.0f} HU, liver {liver.mean_hu:.0f} HU"
    if phase == "unenhanced":
        note += "; edges to muscle, bowel and vena cava are uncertain, vessels do not show"
    elif phase == "arterial":
        note += "; liver and veins are hardly enhanced yet"
    good = phase in ("portal", "delayed")
    return [CheckRow(name, aorta, "HU", limit, "ok" if good else "warning", note)]


def contrast_phase(
    aorta_hu: float, liver_hu: float
) -> Literal["unenhanced", "arterial", "portal", "delayed"]:
    """The likeliest contrast phase from the CT numbers of aorta and liver.

    Aorta below 80 HU: none; above 210: arterial; below 130 or not 30 HU above the liver: delayed;
    else portal.  Portal and delayed overlap where the dose or the heart differs; both are fine.
    """
    if aorta_hu < UNENHANCED_AORTA_HU:
        return "unenhanced"
    if aorta_hu > ARTERIAL_AORTA_HU:
        return "arterial"
    faded = aorta_hu < DELAYED_AORTA_HU or aorta_hu - liver_hu < DELAYED_OVER_LIVER_HU
    return "delayed" if faded else "portal"


def _coverage_rows(volume: Volume, liver: LiverSegmentation | None) -> list[CheckRow]:
    rows = []
    for end, words in ((-1, "top"), (0, "bottom")):
        name, limit = f"liver on the {words} slice", f"<= {CUT_CM2:g} cm^2"
        if liver is None:
            rows.append(CheckRow(name, None, "cm^2", limit, "not_checked", "no liver was given"))
            continue
        stages = liver.stages
        covered = np.flatnonzero(stages.body.any(axis=(1, 2)))
        area = float(stages.refined[covered[end]].sum()) * stages.image.spacing_mm**2 / 100.0
        cut = area > CUT_CM2
        note = f"The liver is cut off at the {words} of the scan ({area:.0f} cm^2 there)."
        rows.append(
            CheckRow(name, area, "cm^2", limit, "warning" if cut else "ok", note if cut else "")
        )
    return rows
