"""Organs round the liver that a needle must not meet, from the liver's stages alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irplan.segmentation.heart import segment_heart
from irplan.segmentation.kidneys import segment_kidneys
from irplan.segmentation.liver_result import LiverSegmentation
from irplan.segmentation.morphology import Mask
from irplan.segmentation.spleen import segment_spleen
from irplan.segmentation.stomach import segment_hollow


@dataclass(frozen=True, eq=False)
class ObstacleOrgans:
    """Masks by structure name on the working grid, of what was checked; ``notes`` in words.

    A structure that is in neither ``hollow`` nor ``solid`` was not checked, and a note says why.
    """

    hollow: tuple[tuple[str, Mask], ...]
    solid: tuple[tuple[str, Mask], ...]
    notes: tuple[str, ...]


def segment_obstacle_organs(liver: LiverSegmentation) -> ObstacleOrgans:
    """Heart, kidneys, spleen, stomach and gas-bearing bowel; about 2 s.

    Intensities are judged against the median of the liver that was found.
    """
    stages = liver.stages
    image, smooth, marks, own = stages.image, stages.voi.smooth, stages.landmarks, stages.refined
    hu = float(np.median(smooth[own]))
    sd = 1.4826 * float(np.median(np.abs(smooth[own] - hu)))
    right, left = segment_kidneys(image, smooth, own, hu, marks)
    spleen = segment_spleen(image, smooth, own, hu, sd, marks, left.mask)
    heart = segment_heart(image, smooth, own, stages.lung, marks)
    masks: list[tuple[str, Mask]] = []
    notes = []
    solid = own.copy()
    for name, finding in (
        ("kidney_right", right),
        ("kidney_left", left),
        ("spleen", spleen),
        ("heart", heart),
    ):
        if finding.mask is None:
            notes.append(finding.note)
        else:
            masks.append((name, finding.mask))
            solid |= finding.mask
    hollow = segment_hollow(image, smooth, stages.body, stages.lung, own, solid, hu, marks)
    notes.append(hollow.note)
    gut = (("bowel", hollow.bowel), ("stomach", hollow.stomach))
    return ObstacleOrgans(gut, tuple(masks), tuple(notes))
