"""The liver, by the five steps of Wu 2016 and what they lack: location priors and a sharp edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndi

from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.image.volume import Volume
from irplan.segmentation.air import segment_lung
from irplan.segmentation.body import segment_body
from irplan.segmentation.clicks import Click, check_clicks
from irplan.segmentation.ct_check import check_ct
from irplan.segmentation.landmarks import find_landmarks
from irplan.segmentation.liver_band import edge_model, refine_native
from irplan.segmentation.liver_click import clicked
from irplan.segmentation.liver_cut import (
    SUPERVOXEL_MM,
    cut_supervoxels,
    forbidden_tissue,
    intensity_evidence,
    location_prior,
    seeds_in_core,
    seeds_on_largest_slice,
    wall_depth_mm,
)
from irplan.segmentation.liver_finish import (
    fill_enclosed,
    keep_lesions,
    one_organ,
    refine_band,
)
from irplan.segmentation.liver_models import find_muscle, liver_model, tissue_evidence
from irplan.segmentation.liver_plausible import check_side, check_upright, check_volume
from irplan.segmentation.liver_recut import REACH_MM
from irplan.segmentation.liver_result import (
    LiverSegmentation,
    LiverStages,
    Method,
    doubts,
)
from irplan.segmentation.liver_voi import VOI_MARGIN_MM, find_voi
from irplan.segmentation.lumen import Lumen, find_lumen
from irplan.segmentation.morphology import dilate
from irplan.segmentation.supervoxels import make_supervoxels
from irplan.segmentation.working import working_image


def segment_liver(
    volume: Volume,
    *,
    method: Method = "priors",
    clicks: Sequence[Click] = (),
    progress: Progress = no_progress,
) -> LiverSegmentation:
    """Find the liver in an abdominal CT; correct it by clicks, if there are any.

    Parameters
    ----------
    volume : CT in HU, any orientation, voxels up to 6 mm.
    method : ``"priors"`` adds location priors and the voxel-level band to ``"wu2016"``, the
        paper's five steps as they are: (1) abdomen by maximum-intensity projection and threshold,
        (2) volume of interest by an adaptive histogram threshold and morphology, (3) SLIC
        supervoxels, (4) seeds on the largest liver slice, (5) graph cut [1]_.
    clicks : points that are liver and points that are not, taken one after the other as by
        `LiverSession`, which is the door for a user who looks at each answer.
    progress : told of each stage.

    Returns
    -------
    The liver with its lesions and intrahepatic vessels, without vena cava and gallbladder.

    Raises
    ------
    InputError : not CT-like intensities, too small or too coarse an image, unknown method, a click
        outside the image or two that contradict each other.
    SegmentationError : no trunk, or no liver, in the scan; front and back, head and feet, or left
        and right swapped.

    Known failures: isodense stomach, duodenum or pancreas against the liver; large lesions at
    the capsule; unenhanced muscle; a liver that is much darker in one lobe.

    .. [1] Wu, Zhou, Wu, Zhang, Comput Math Methods Med 2016, 9093721.  Distances, energy and
       models after its abstract and the project's notes; its own parameters are not published
       there and differ.
    """
    if method not in ("priors", "wu2016"):
        raise InputError(
            "method",
            got=repr(method),
            expected="'priors' or 'wu2016'",
            remedy="Use 'priors' unless the plain published method is wanted for comparison.",
        )
    asked = check_clicks(clicks, volume.grid)
    warnings = check_ct(volume)
    progress(0.0, "liver: resampling")
    image = working_image(volume)
    progress(0.15, "liver: body and lungs")
    body = segment_body(image)
    lung = segment_lung(image, body)
    progress(0.3, "liver: spine, ribs, diaphragm")
    marks = find_landmarks(image, body, lung)
    check_upright(image, body, marks)
    progress(0.4, "liver: volume of interest")
    voi = find_voi(image, body, lung, marks)
    doubt = check_side(image, lung, marks, voi)
    progress(0.55, "liver: supervoxels")
    step = max(2, round(image.voxels(SUPERVOXEL_MM)))
    parts = make_supervoxels(voi.smooth, voi.voi, step=step, weight=voi.sd_hu)
    progress(0.75, "liver: graph cut")
    forbidden = forbidden_tissue(voi.smooth, lung, marks.bone, body)
    lumen = Lumen.none(body)
    if method == "wu2016":
        seeds = seeds_on_largest_slice(image, voi)
        evidence = intensity_evidence(voi.smooth, seeds)
    else:
        muscle = find_muscle(image, voi.smooth, body, marks)
        wall = wall_depth_mm(image, marks)
        lumen = find_lumen(image, voi.smooth, body, lung, marks, voi.core, voi.mean_hu, voi.sd_hu)
        gut = lumen.beyond_wall_mm(image.spacing_mm)
        prior = location_prior(image, marks, voi.core, wall, gut, voi.smooth)
        seeds = seeds_in_core(image, voi, prior, muscle, wall)
        model = liver_model(image, voi.smooth, seeds.inside, voi.mean_hu)
        near = dilate(voi.voi, REACH_MM - VOI_MARGIN_MM, image.grid.spacing_mm)
        evidence = prior + tissue_evidence(
            image, voi.smooth, model, seeds.outside, muscle, wall, near
        )
    cut = cut_supervoxels(parts, evidence, seeds, voi.sd_hu, forbidden)
    organ = one_organ(cut.mask, image)
    refined = organ
    if method == "priors":
        progress(0.8, "liver: surface")
        organ = keep_lesions(
            organ,
            voi.smooth,
            voi.mean_hu,
            body & ~forbidden & (gut > 0.0),
            marks.cavity & (prior > -1.0),
            image,
        )
        sharp = ndi.gaussian_filter(image.hu, image.voxels(1.0))
        refined = refine_band(organ, sharp, evidence, voi.sd_hu, forbidden | (gut < 0.0), image)
        refined = fill_enclosed(one_organ(refined, image))
    check_volume(refined, body, image)
    progress(0.95, "liver: back to the scan's grid")
    if method == "priors":
        edge = edge_model(refined, image, body, lung, lumen, voi.mean_hu, voi.sd_hu)
        box, inner = refine_native(volume, image, edge)
        mask = np.zeros(volume.grid.shape, dtype=bool)
        mask[box] = inner
    else:
        mask = image.give(refined, volume.grid)
    stages = LiverStages(image, body, lung, lumen, marks, voi, parts, seeds, cut, organ, refined)
    volume_ml = float(np.count_nonzero(mask)) * volume.grid.voxel_volume_mm3 / 1000.0
    result = LiverSegmentation(
        mask,
        volume_ml,
        voi.mean_hu,
        voi.sd_hu,
        method,
        stages,
        warnings + ((doubt,) if doubt else ()) + doubts(stages, volume_ml),
    )
    for click in asked:
        result = clicked(volume, result, click)
    progress(1.0, "liver: done")
    return result
