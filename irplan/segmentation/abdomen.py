"""The abdomen as a label map: the liver and everything a needle must know of, from one CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image.labels import Label, LabelMap
from irplan.image.structures import structure
from irplan.image.volume import Volume
from irplan.segmentation.air import LUNG_EDGE_HU, segment_gas
from irplan.segmentation.bone import bone_region, segment_bone
from irplan.segmentation.clicks import Click
from irplan.segmentation.gallbladder import segment_gallbladder
from irplan.segmentation.great_vessels import segment_great_vessels
from irplan.segmentation.liver import segment_liver
from irplan.segmentation.liver_result import LiverSegmentation
from irplan.segmentation.mask_check import check_mask
from irplan.segmentation.morphology import Mask, short_distance_mm
from irplan.segmentation.obstacles import segment_obstacle_organs
from irplan.segmentation.vessels import VesselMode, segment_liver_vessels
from irplan.segmentation.working import WorkingImage

#: HU that parts skin from air on the scan's own grid, within a rim of the working body mask.
SKIN_HU = -350.0
#: Half width of that rim, mm (a working voxel and a half).
SKIN_RIM_MM = 3.0
#: Blood this much brighter than liver means the arterial phase: veins are not filled yet, HU.
ARTERIAL_HU = 110.0
#: Below this a liver is too near to bile for the gallbladder to be seen, HU.
FATTY_HU = 35.0


@dataclass(frozen=True, eq=False)
class AbdomenSegmentation:
    """``labels`` on the volume's grid, ``warnings`` in words, the ``liver`` with its stages.

    Structures in ``labels`` were looked for; what could not be assessed is missing from it and
    named in ``warnings``.
    """

    labels: LabelMap
    warnings: tuple[str, ...]
    liver: LiverSegmentation


def segment_abdomen(
    volume: Volume,
    *,
    target_mask: NDArray[np.bool_] | None = None,
    clicks: Sequence[Click] = (),
    vessel_mode: VesselMode = "fast",
    progress: Progress = no_progress,
) -> AbdomenSegmentation:
    """Liver, vessels and obstacles of an abdominal CT, in one label map.

    A voxel carries one label; a later one of this list covers an earlier one: body (its surface
    is the skin), bowel, stomach, liver, vessel (veins inside the liver and great vessels near it;
    instead ``artery`` where the phase shows arteries only, ``vessel_in_part`` where the liver's
    veins were not seen, or not all), gallbladder, gas, lung, bone, kidneys,
    spleen, heart (each only where it could be assessed), tumour.  ``tumour`` is ``target_mask`` as
    given, also where it leaves the liver; vessels inside it count as tumour.
    ``clicks`` correct the liver (see `segment_liver`); ``vessel_mode`` as `segment_liver_vessels`.

    Raises `InputError` / `SegmentationError` as `segment_liver`, `GridMismatchError` for a target
    mask of another shape, `InputError` for one that is empty or outside the body.
    """
    _check_target(volume, target_mask)
    liver = segment_liver(volume, clicks=clicks, progress=portion(progress, 0.0, 0.6))
    stages, image = liver.stages, liver.stages.image
    warnings = list(liver.warnings)
    progress(0.6, "abdomen: body, lungs, gas")
    native = _Native(volume, image, stages.body)
    crop = native.crop
    body = native.body(stages.body)
    if target_mask is not None and not np.any(target_mask[native.part] & body):
        raise InputError(
            "target mask",
            got="a mask wholly outside the body",
            expected="a target inside the patient",
            remedy="Check that the mask belongs to this CT and is not flipped.",
        )
    lung = native.lung(stages.lung, body)
    gas = segment_gas(crop.array, body, lung, crop.grid.voxel_volume_mm3)
    progress(0.72, "abdomen: bone")
    where = bone_region(image, stages.body, stages.landmarks, liver.mean_hu)
    bone = segment_bone(
        crop.array,
        image.give(where.region, crop.grid) & body,
        image.give(where.start, crop.grid),
        image.give(where.marrow, crop.grid) & body,
        crop.grid.voxel_volume_mm3,
    )
    progress(0.8, "abdomen: heart, kidneys, spleen, stomach, bowel")
    organs = segment_obstacle_organs(liver)
    progress(0.88, "abdomen: gallbladder and vessels")
    painted: list[tuple[Label, Mask]] = [
        (structure("body"), body),
        *((structure(name), image.give(mask, crop.grid)) for name, mask in organs.hollow),
        (structure("liver"), liver.mask[native.part]),
    ]
    warnings += organs.notes
    vessels = _vessels(volume, liver, where.organs, native, vessel_mode, warnings)
    if vessels is not None:
        painted.append(vessels)
    gallbladder = _gallbladder(liver, native, warnings)
    if gallbladder is not None:
        painted.append((structure("gallbladder"), gallbladder))
    painted.append((structure("gas"), gas))
    if stages.lung.any():
        painted.append((structure("lung"), lung))
    else:
        warnings.append(
            "No lung in the scan: the pleural recess was not checked; a path above the costal "
            "margin may cross it."
        )
    if bone.any():
        painted.append((structure("bone"), bone))
    else:
        warnings.append("No bone was found: ribs were not checked.")
    # Enhanced cortex and chambers may pass for bone or vessel: there the organ's shape decides.
    painted += [(structure(name), image.give(mask, crop.grid)) for name, mask in organs.solid]
    array = np.zeros(volume.grid.shape, dtype=np.uint8)
    inner = array[native.part]
    for label, mask in painted:
        inner[mask & body] = label.value
    names = [label for label, _ in painted]
    if target_mask is not None:
        array[target_mask] = structure("tumour").value
        names.append(structure("tumour"))
    progress(1.0, "abdomen: done")
    return AbdomenSegmentation(LabelMap(array, volume.grid, tuple(names)), tuple(warnings), liver)


def _check_target(volume: Volume, target_mask: NDArray[np.bool_] | None) -> None:
    if target_mask is None:
        return
    check_mask("target mask", target_mask, volume.grid)
    if not target_mask.any():
        raise InputError(
            "target mask",
            got="no voxel set",
            expected="a target of at least one voxel",
            remedy="Check the label value or draw the target.",
        )


class _Native:
    """Working-grid masks sharpened on the scan's own voxels, inside the body's box."""

    def __init__(self, volume: Volume, image: WorkingImage, body: Mask) -> None:
        index = np.argwhere(body)
        ends = np.stack([index.min(axis=0), index.max(axis=0)])
        corners = np.array(np.meshgrid(*ends.T)).reshape(3, -1).T
        start, shape = volume.grid.box_around(
            image.grid.index_to_lps(corners), 2.0 * image.spacing_mm + SKIN_RIM_MM
        )
        self.image = image
        self.crop = volume.crop(start, shape)
        self.part = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))

    def body(self, coarse: Mask) -> Mask:
        """Inside of the skin: the voxel threshold in a rim of 3 mm, the coarse mask elsewhere."""
        depth = self._depth(coarse, self.crop.grid)
        out: Mask = (depth < -SKIN_RIM_MM) | ((depth < SKIN_RIM_MM) & (self.crop.array > SKIN_HU))
        return out

    def lung(self, coarse: Mask, body: Mask) -> Mask:
        """Lung with the voxels within 3 mm that are as airy (thin recesses)."""
        out = np.zeros(self.crop.grid.shape, dtype=bool)
        part = self.image.part_around(coarse, self.crop.grid, 2.0 * SKIN_RIM_MM)
        if part is None:
            return out
        inner = self.crop.crop([s.start for s in part], [s.stop - s.start for s in part])
        depth = self._depth(coarse, inner.grid)
        airy = inner.array < LUNG_EDGE_HU
        out[part] = ((depth < 0.0) | ((depth < SKIN_RIM_MM) & airy)) & body[part]
        return out

    def _depth(self, coarse: Mask, grid: Grid) -> NDArray[np.float32]:
        """Signed distance to the surface of a working mask on ``grid``, mm, negative inside.

        Exact near the surface, where it is looked at; cut at +-10 mm.
        """
        voxel = self.image.spacing_mm
        outside = short_distance_mm(coarse, 10.0 + 0.5 * voxel, voxel)
        outside -= short_distance_mm(~coarse, 10.0 + 0.5 * voxel, voxel)
        outside -= np.copysign(np.float32(0.5 * voxel), outside)
        return self.image.field(outside, grid)


def _vessels(
    volume: Volume,
    liver: LiverSegmentation,
    organs: Mask,
    native: _Native,
    mode: VesselMode,
    warnings: list[str],
) -> tuple[Label, Mask] | None:
    """Vessels and the name they may carry: ``vessel`` only where veins could be seen too.

    ``artery`` in the arterial phase, ``vessel_in_part`` where the liver's veins could not be seen
    or not all: with these two the group stays "not checked" (`irplan.planning.rules`).
    """
    stages = liver.stages
    inner = segment_liver_vessels(volume, liver.mask, mode=mode)
    outer = segment_great_vessels(
        stages.image, stages.voi.smooth, stages.refined, liver.mean_hu, stages.landmarks, organs
    )
    warnings += [finding.note for finding in (inner, outer) if finding.note]
    found = np.zeros(native.crop.grid.shape, dtype=bool)
    if inner.mask is not None:
        found |= inner.mask[native.part]
    if outer.mask is not None:
        found |= stages.image.give(outer.mask, native.crop.grid)
    arterial = outer.blood_hu - liver.mean_hu > ARTERIAL_HU
    if inner.mask is not None and inner.complete and not arterial:
        return structure("vessel"), found
    if outer.mask is None and inner.mask is None:
        return None
    if not arterial:
        return structure("vessel_in_part"), found
    warnings.append(
        f"Only arteries were found (blood {outer.blood_hu:.0f} HU, liver {liver.mean_hu:.0f} HU): "
        "portal and hepatic veins are not enhanced in this phase and were not checked."
    )
    return structure("artery"), found


def _gallbladder(liver: LiverSegmentation, native: _Native, warnings: list[str]) -> Mask | None:
    if liver.mean_hu < FATTY_HU:
        warnings.append(
            f"The gallbladder could not be assessed: at {liver.mean_hu:.0f} HU the liver is as "
            "dark as bile."
        )
        return None
    stages = liver.stages
    found = segment_gallbladder(
        stages.image, stages.voi.smooth, stages.refined, liver.mean_hu, stages.landmarks
    )
    if not found.any():
        warnings.append(
            "No gallbladder was found (absent, contracted, or filled with stones or sludge)."
        )
    return stages.image.give(found, native.crop.grid)
