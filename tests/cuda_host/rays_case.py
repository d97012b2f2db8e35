"""Every path of some entries on a device and on the CPU: a small body of random obstacles."""

from __future__ import annotations

import numpy as np

from irplan.compute.device import Device
from irplan.geometry import Grid
from irplan.image import LabelMap, structure
from irplan.planning import PathRules
from irplan.planning.entry_paths import EntryPaths, paths_of_entries
from irplan.planning.obstacles import build_raster

#: A cost or a miss may differ by this (a card contracts a multiplication and an addition).
COST_LIMIT = 1e-9
#: Share of the paths that may be judged otherwise for the same reason (on the host: none).
PATH_LIMIT = 1e-4


class RaysCase:
    """A turned grid, nine structures, an unknown slab; all entries to 90 tips."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        n = 56
        p = np.moveaxis(np.indices((n,) * 3), 0, -1) - (n - 1) / 2
        r = np.linalg.norm(p, axis=-1)
        affine = Grid.from_spacing((n,) * 3, (1.2, 1.2, 1.2)).affine.copy()
        turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
        affine[:3, :3] = turn @ affine[:3, :3]
        array = np.where(r < 25.0, structure("body").value, 0).astype(np.uint8)
        array[r < 14.0] = structure("liver").value
        names = ("bone", "lung", "gas", "gallbladder", "hepatic_vein", "heart", "spleen")
        for name in names:
            for _ in range(3):
                way = rng.normal(size=3)
                middle = way / np.linalg.norm(way) * rng.uniform(14.0, 23.0)
                ball = np.linalg.norm(p - middle, axis=-1) < rng.uniform(1.0, 2.4)
                array[ball & (r < 25.0)] = structure(name).value
        labels = LabelMap(
            array, Grid((n,) * 3, affine), tuple(structure(s) for s in ("body", "liver", *names))
        )
        target = r < 4.0
        dark = (np.abs(p[..., 0] - 9.0) < 2.0) & (p[..., 1] < -4.0)
        rules = PathRules().with_values(
            max_length=32, min_capsule_angle=60, min_organ_path=11.9, min_vessel_diameter=0.5
        )
        self.raster = build_raster(labels, target, rules, spacing_mm=1.2, unknown=dark)
        middle = labels.grid.centre_lps_mm
        # A millimetre or so out of the skin: the first millimetres may lie in air.
        out = self.raster.entries_mm[::3] - middle
        # and the last entries are half again too far away, some out of the image
        self.entries = middle + np.concatenate([1.04 * out, 1.9 * out[::20]])
        tips = labels.grid.index_to_lps(np.argwhere(target)[::9][:30])
        self.tips = np.concatenate([tips, tips, tips])  # equal costs: the first tip counts

    def run(self, device: Device | None = None) -> EntryPaths:
        return paths_of_entries(self.raster, self.entries, self.tips, device=device)


def rays_differences(found: EntryPaths, twin: EntryPaths) -> dict[str, float]:
    """Largest differences: paths judged otherwise (share), costs, misses."""
    paths = max(1, int(twin.tested.sum()))
    out = {
        name: float(np.abs(getattr(found, name) - getattr(twin, name)).sum()) / paths
        for name in ("tested", "clear", "unsure", "broken")
    }
    for name in ("cost", "miss", "soft"):
        a, b = getattr(found, name), getattr(twin, name)
        same = np.isfinite(a) == np.isfinite(b)
        both = np.isfinite(a) & np.isfinite(b)
        out[name] = float(np.abs(a[both] - b[both]).max()) if same.all() else np.inf
    for name in ("best_tip", "miss_tip", "soft_group"):
        out[name] = float(np.mean(getattr(found, name) != getattr(twin, name)))
    return out
