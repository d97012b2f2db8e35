"""Steam in the heating march: it leaves boiling tissue and condenses where tissue is cooler."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.heat.layout import HeatLayout
from irplan.ablation.heat.source import Box
from irplan.ablation.problem import check_range


class Steam:
    """Water that left boiling voxels, and its heat on its way out.

    Boiling tissue holds no vapour to speak of (steam takes 1600 times the water's volume), so all
    latent heat leaves with the steam and is given back where it condenses, in the nearest tissue
    below 99 degC; the water itself is counted as lost to the voxel until it has cooled.  That steam
    moves outwards, condenses and warms what is round the boiling zone is what Yang et al., IEEE
    Trans. Biomed. Eng. 54 (2007) 150 saw in microwave ablation and what expanded bioheat
    models leave out or spread over a zone; the shortest way is this program's own choice.
    No tissue gets hotter than 101 degC: what a dry voxel still takes up leaves in the same way.
    Heat is conserved exactly.

    ``rewet_s``: liquid comes back to tissue that no longer boils with this time constant, 0.1 to
    1e6 s.  It is not known: 20 kPa between collapsed vapour and its surroundings, a permeability
    of 1e-14 m2 and 3e-4 Pa s (Darcy) give some 10 s for 3 mm, a tenth of that permeability 100 s
    [X].  Zones of impedance-controlled electrodes hang on it (docs/simulate.md).
    """

    def __init__(self, layout: HeatLayout, rewet_s: float) -> None:
        check_range("steam_rewet_s", rewet_s, 0.1, 1e6, "s", "None leaves steam where it arose.")
        self._layout, self._rewet_s = layout, rewet_s
        size = layout.kind.size
        self.lost = np.zeros(size, np.float32)
        self._excess = np.zeros(size, np.float32)
        self._layer = np.zeros(size, np.int16)
        self.box: Box | None = None
        """Index box of every voxel that has ever boiled; None: none has."""

    def include(self, box: Box | None) -> None:
        """Take in voxels that boil now."""
        if box is None or self.box is None:
            self.box = self.box if box is None else box
            return
        a, b = self.box, box
        self.box = (
            min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]),
            max(a[3], b[3]), min(a[4], b[4]), max(a[5], b[5]),
        )  # fmt: skip

    def carry(self, v: NDArray[np.float32], dt_s: float) -> None:
        """Move the latent heat that the padded state ``v`` took up in the last ``dt_s``."""
        from irplan.compute.cpu import steam

        if self.box is None:
            return
        lay, box = self._layout, np.array(self.box)
        queue = np.empty(int(np.prod(box[1::2] - box[::2])), np.int64)
        shape = np.array(lay.shape)
        rewet = np.float32(math.exp(-dt_s / self._rewet_s))
        count = steam.boil_off(
            v, self.lost, lay.kind, lay.tissues, lay.levels, shape, box, rewet, self._excess, queue
        )
        if count:
            steam.condense(
                v, lay.kind, lay.tissues, lay.levels, shape, self._excess, self._layer, queue, count
            )
