"""What only some scans show: arms beside the trunk, metal, bowel gas of a prone patient."""

# ruff: noqa: RUF005 - points are arrays: + moves them
from __future__ import annotations

import numpy as np

from irplan.phantom.body import Body
from irplan.phantom.bowel import Bowel
from irplan.phantom.vessels import Tubes, tube

#: Radii of an arm's layers (upper arm of an adult, mid-humerus circumference 30 cm [S]), mm.
ARM_RADII_MM = (48.0, 46.5, 38.0, 11.0, 7.0)
ARM_TISSUES = ("skin", "fat", "muscle", "cortical_bone", "marrow")
ARM_LABELS = ("skin", "fat", "muscle", "bone", "bone")
#: Gap between trunk and arm, mm.
ARM_GAP_MM = 6.0


def arm_reach_mm(body: Body) -> float:
    """Half the width of the field of view that arms need, mm."""
    return 1.03 * body.half_width + ARM_GAP_MM + 2.0 * ARM_RADII_MM[0] + 8.0


def arms(body: Body) -> tuple[Tubes, ...]:
    """Both arms from the scan's top to its bottom, one set of capsules a layer (`ARM_TISSUES`)."""
    x = 1.03 * body.half_width + ARM_GAP_MM + ARM_RADII_MM[0]
    z = np.linspace(body.top_mm + 60.0, body.bottom_mm - 60.0, 6)
    out = []
    for radius in ARM_RADII_MM:
        both = []
        for side in (-1.0, 1.0):
            line = np.column_stack([np.full(6, side * x), np.full(6, 12.0), z])
            both.append(tube(line, np.full(6, radius), step_mm=40.0))
        out.append(np.concatenate(both))
    return tuple(out)


def clips(body: Body, rng: np.random.Generator) -> Tubes:
    """Four clips of 1.6 x 8 mm in the bed of the gallbladder [S: medium-large clip 8-9 mm]."""
    places = body.to_lps([[-31, -12, -104], [-33, -17, -106], [-36, -26, -111], [-40, -36, -117]])
    out = []
    for place in places + rng.normal(0.0, 1.5, places.shape):
        way = rng.standard_normal(3)
        way *= 4.0 / np.linalg.norm(way)
        out.append(tube([place - way, place + way], [0.8, 0.8], step_mm=20.0))
    return np.concatenate(out)


def implants(body: Body) -> Tubes:
    """Pedicle screws (6.5 x 45 mm) at three lumbar levels and a rod of 5.5 mm on either side."""
    out = []
    heads: dict[float, list[np.ndarray]] = {-1.0: [], 1.0: []}
    for z in (-150.0, -181.0, -212.0):
        c = body.spine_line(z)[0]
        for side in (-1.0, 1.0):
            head, tip = c + [side * 19.0, 33.0, 2.0], c + [side * 8.0, -10.0, 0.0]
            out.append(tube(body.to_lps([head, tip]), [3.25, 2.6], step_mm=60.0))
            heads[side].append(head)
    for rod in heads.values():
        out.append(tube(body.to_lps(rod), np.full(3, 2.75), step_mm=20.0))
    return np.concatenate(out)


def prone_bowel(bowel: Bowel) -> list[tuple[Tubes, str]]:
    """Layers of the lumen when the patient lies on the belly, in painting order.

    Every lumen that holds gas is painted as gas, then its contents where y is below the level
    that leaves as much gas at the back as the supine patient has in front.
    """
    out: list[tuple[Tubes, str]] = [(bowel.fluid, "bowel_content"), (bowel.gas.copy(), "gas")]
    middle = 0.5 * (bowel.gas[:, 1] + bowel.gas[:, 4])
    mirrored = 2.0 * middle - bowel.gas[:, 8]
    out[1][0][:, 8] = 1e6
    content = bowel.gas.copy()
    content[:, 8] = mirrored
    return [*out, (content, "faeces")]
