"""Can this be a liver?  Refusals where a mask would be wrong without anyone noticing."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi

from irplan.errors import SegmentationError
from irplan.segmentation.air import LUNG_HU
from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.liver_voi import LiverVoi
from irplan.segmentation.morphology import Mask, opened
from irplan.segmentation.working import WorkingImage

#: Below this a whole liver is not believed; part of one must be cut off by the scan's end, ml.
LEAST_ML = 150.0
#: Area at the scan's end from which a small piece counts as the rest of a liver, cm^2.
LEAST_END_CM2 = 30.0
#: Lung at the lower end of the scan from which head and feet are taken for swapped, ml.
LUNG_BELOW_ML = 60.0
#: Height of the ends of the scan that are looked at, mm.
END_MM = 40.0
#: The bone near the midline lies this far behind the trunk's middle or more; this far in front of
#: it is a scan with front and back swapped, mm.
SPINE_AHEAD_MM = 10.0
#: Tissue of the liver's intensity left of the spine over that on the right: doubted, refused.  A
#: large spleen beside a small liver may reach the first.
DOUBTED_LEFT, REFUSED_LEFT = 1.3, 2.2


def check_upright(image: WorkingImage, body: Mask, marks: Landmarks) -> None:
    """Refuse a scan whose front and back, or head and feet, are swapped.

    The spine must lie behind the trunk's middle (bone decides, so a prone patient with a right
    header passes), and lung must not lie at the lower end with none at the upper.  Raises
    `SegmentationError`.
    """
    slices = np.flatnonzero(body.any(axis=(1, 2)))
    ahead_mm = _spine_ahead_mm(image, body, marks)
    if ahead_mm > SPINE_AHEAD_MM:
        raise SegmentationError(
            "orientation",
            got=f"a spine {ahead_mm:.0f} mm in front of the trunk's middle",
            expected="the spine at the back (LPS: y grows to the back)",
            remedy="The image's front and back are swapped; mend its orientation (the patient's "
            "position in the DICOM header, or the affine).",
        )
    n = max(1, round(image.voxels(END_MM)))
    low, high = (
        _lung_ml(image, body, part)
        for part in (
            slice(slices[0], slices[0] + n),
            slice(slices[-1] + 1 - n, slices[-1] + 1),
        )
    )
    if low > LUNG_BELOW_ML and low > 3.0 * high:
        raise SegmentationError(
            "orientation",
            got=f"{low:.0f} ml of lung at the lower end of the scan, {high:.0f} ml at the upper",
            expected="lung above the abdomen (LPS: z grows to the head)",
            remedy="The image's head and feet are swapped, or it shows the chest only; mend its "
            "orientation, or give the series of the abdomen.",
        )


def _spine_ahead_mm(image: WorkingImage, body: Mask, marks: Landmarks) -> float:
    """How far in front of the trunk's middle the bone near the midline has its middle, mm."""
    rows, columns = np.arange(body.shape[1]), np.arange(body.shape[2])
    ahead, weight = [], []
    for k in np.flatnonzero(marks.bone.any(axis=(1, 2))):
        where = body[k]
        if not where.any():
            continue
        x, y = (np.flatnonzero(where.any(axis=a)) for a in (0, 1))
        near = np.abs(columns - 0.5 * (x[0] + x[-1])) < image.voxels(50.0)
        count = marks.bone[k][:, near].sum(axis=1)
        if count.sum():
            ahead.append(0.5 * (y[0] + y[-1]) - float(count @ rows) / float(count.sum()))
            weight.append(float(count.sum()))
    if len(ahead) < 2:
        return 0.0
    # Contrast in the heart counts as bone: both halves of the scan must say the same.
    half = len(ahead) // 2
    return image.spacing_mm * min(
        float(np.average(ahead[part], weights=weight[part]))
        for part in (slice(0, half), slice(half, None))
    )


def _lung_ml(image: WorkingImage, body: Mask, part: slice) -> float:
    smooth = ndi.gaussian_filter(image.hu[part], image.voxels(2.0))
    airy = (smooth > LUNG_HU[0]) & (smooth < LUNG_HU[1]) & body[part]
    return float(opened(airy, 8.0, image.grid.spacing_mm).sum()) * image.voxel_ml


def check_side(image: WorkingImage, lung: Mask, marks: Landmarks, voi: LiverVoi) -> str:
    """Is the liver on the right?  Words of doubt where more of its kind of tissue is on the left.

    Raises `SegmentationError` where 2.2 times as much lies on the left: a mirrored picture.
    """
    low, high = voi.window_hu
    alike = marks.cavity & ~lung & (voi.smooth > low) & (voi.smooth < high)
    alike = opened(alike, 8.0, image.grid.spacing_mm)
    side = marks.right_of_spine(lung.shape) * image.spacing_mm
    right, left = (float((alike & where).sum()) for where in (side > 20.0, side < -20.0))
    words = (
        f"{left * image.voxel_ml:.0f} ml of tissue like the liver left of the spine, "
        f"{right * image.voxel_ml:.0f} ml right of it"
    )
    if left > REFUSED_LEFT * right:
        raise SegmentationError(
            "orientation",
            got=words,
            expected="the liver on the right (LPS: x grows to the left)",
            remedy="The image is mirrored (mend its orientation), or the patient has situs "
            "inversus: give the liver's mask yourself.",
        )
    if left > DOUBTED_LEFT * right:
        return f"Check that the image is not mirrored: {words}."
    return ""


def check_volume(refined: Mask, body: Mask, image: WorkingImage) -> None:
    """Refuse a piece too small for a liver unless the scan's end cuts it off.

    Raises `SegmentationError`.
    """
    ml = float(refined.sum()) * image.voxel_ml
    slices = np.flatnonzero(body.any(axis=(1, 2)))
    ends = [float(refined[k].sum()) * image.spacing_mm**2 / 100.0 for k in slices[[0, -1]]]
    if ml >= LEAST_ML or (ml > 0.0 and max(ends) >= LEAST_END_CM2):
        return
    raise SegmentationError(
        "liver",
        got=f"{ml:.0f} ml of tissue that could be liver, {max(ends):.0f} cm^2 of it at an end of "
        "the scan",
        expected=f"a liver of at least {LEAST_ML:.0f} ml, or a part that the scan cuts off",
        remedy="Check that the series covers the upper abdomen; where the liver is in the scan, "
        "give its mask yourself.",
    )
