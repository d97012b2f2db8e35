"""One click on a segmented liver: working grid first, then the scan's own voxels, both locally."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from irplan.image.volume import Volume
from irplan.segmentation.clicks import Click, check_clicks
from irplan.segmentation.liver_band import REACH_MM, Held, edge_model, refine_native
from irplan.segmentation.liver_recut import balls_of, recut
from irplan.segmentation.liver_result import LiverSegmentation, doubts
from irplan.segmentation.lumen import Lumen
from irplan.segmentation.morphology import box_of, dilate

#: Round voxels that a click changed on the working grid the edge is cut anew, mm.
RENEW_MM = REACH_MM + 2.0


def clicked(volume: Volume, result: LiverSegmentation, click: Click) -> LiverSegmentation:
    """``result`` corrected by one more click.

    Nothing farther than 35 mm from the click changes, and there only what the click changes on
    the working grid with 5 mm around it; a click inside never takes liver away, one outside never
    adds any; the clicked voxel takes the click's label.  ``volume`` is the one that ``result`` came
    from.  Raises `InputError` for a click outside of the image or one that contradicts an earlier
    one.
    """
    clicks = check_clicks((*result.clicks, click), volume.grid)
    if len(clicks) == len(result.clicks):  # said before
        return result
    stages = result.stages
    image = stages.image
    cut = stages.cut
    renewed = recut(
        stages.refined,
        clicks,
        image,
        stages.voi.smooth,
        cut.evidence,
        stages.supervoxels,
        cut.forbidden,
        result.sd_hu,
    )
    where = renewed.mask != stages.refined
    at = np.rint(image.grid.lps_to_index(click.point_mm)).astype(int)
    where[tuple(np.clip(at, 0, np.asarray(where.shape) - 1))] = True
    changing = dilate(where, RENEW_MM, image.grid.spacing_mm) & renewed.changing
    model = edge_model(
        renewed.mask,
        image,
        stages.body,
        stages.lung,
        # Who clicks liver inside a wall of the gut that was taken for one is believed.
        Lumen.none(stages.body) if click.inside else stages.lumen,
        result.mean_hu,
        result.sd_hu,
        box_of(changing),
    )
    box, inner = refine_native(volume, image, model, Held(result.mask, changing, balls_of(clicks)))
    mask = result.mask.copy()
    mask[box] = mask[box] | inner if click.inside else mask[box] & inner
    stages = replace(stages, refined=renewed.mask)
    volume_ml = float(np.count_nonzero(mask)) * volume.grid.voxel_volume_mm3 / 1000.0
    before = set(doubts(result.stages, result.volume_ml))
    kept = tuple(w for w in result.warnings if w not in before)
    return replace(
        result,
        mask=mask,
        volume_ml=volume_ml,
        stages=stages,
        warnings=kept + doubts(stages, volume_ml),
        clicks=clicks,
    )
