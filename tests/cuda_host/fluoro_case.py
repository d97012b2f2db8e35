"""One frame through the fluoroscopy kernels, launched on a device and by the CPU twins."""

from __future__ import annotations

from typing import Any

import numpy as np

from irplan.compute.cpu import fluoro_spatial, fluoro_temporal
from irplan.compute.device import Device
from irplan.fluoroscopy.lines import LineFinder, line_offsets
from irplan.fluoroscopy.settings import TemporalSettings
from irplan.fluoroscopy.temporal import Tables

F = np.float32
ROWS, COLUMNS, BLOCK, TAPS = 64, 96, 256, 17
SPARE, LIMITS = F(1.3), np.array([3.0, 0.7, 1.8, 1.0, 3.0, 0.8], F)
GATE, SUPPORT = (F(0.35), F(0.2), F(0.1)), (F(0.09), F(0.06))
AREA = (F(8.0), F(14.0), F(7.0))
#: Largest difference allowed, in units of the noise (order of sums and fused operations differ).
FLUORO_LIMIT = 2e-4


class FluoroCase:
    """Noise with a wire, an area and a dot that have just appeared; every gate opens somewhere."""

    def __init__(self) -> None:
        rng = np.random.default_rng(8)
        shape = (ROWS, COLUMNS)
        self.y = (500.0 + 40.0 * rng.normal(size=shape)).astype(F)
        self.y[:, 40:43] -= 60.0
        self.y[10:30, 60:90] += 50.0
        self.y[50:54, 10:14] -= 200.0
        self.m1 = (29.45 + 0.4 * rng.normal(size=shape)).astype(F)
        self.m2 = (29.45 + 0.2 * rng.normal(size=shape)).astype(F)
        self.count = rng.integers(4, 130, size=shape).astype(np.uint8)
        # fixed here: other constants bring near-ties between lines, which rounding decides
        self.tables = Tables(TemporalSettings(show=0.365, short_share=0.18, short_gain=0.5))
        self.finder = LineFinder((ROWS // 2, COLUMNS // 2))
        self.long = line_offsets(LineFinder.orientations, TAPS)

    def on_cpu(self) -> dict[str, np.ndarray]:
        """All results by name, from the numba kernels."""
        t, s, tables = fluoro_temporal, fluoro_spatial, self.tables
        half, quarter = (ROWS // 2, COLUMNS // 2), (ROWS // 4, COLUMNS // 4)
        full = (ROWS, COLUMNS)
        out = {k: np.empty(full, F) for k in ("d", "e", "x", "shown", "back")}
        out |= {k: np.empty(half, F) for k in ("half", "best", "which", "gate", "base", "band")}
        out |= {k: np.empty(half, F) for k in ("joined",)}
        out |= {k: np.empty(quarter, F) for k in ("quarter", "pool", "support", "area", "dot")}
        out |= {"small": np.empty(quarter, F)}
        out |= {"m1": self.m1.copy(), "m2": self.m2.copy(), "count": self.count.copy()}
        o = out
        mix = F(tables.mix)
        t.stabilise(self.y, F(4.0), F(1500.0), F(10.0), 0, ROWS, o["d"])
        t.innovation(o["d"], o["m1"], o["m2"], o["count"], mix, tables.scale, 0, quarter[0],
                     o["e"], o["half"], o["quarter"])  # fmt: skip
        padded = np.zeros((half[0] + 20, half[1] + 20), F)
        s.soften(o["half"], 10, 0, half[0], padded)
        t.lines(padded, self.finder._offsets, self.finder._far, SPARE, 0, half[0], o["best"],
                o["which"])  # fmt: skip
        none = np.zeros(quarter, F)
        t.line_gate(o["best"], none, *GATE, 0, half[0], o["gate"])
        t.pooled(o["gate"], 0, quarter[0], o["pool"])
        t.support_of(o["pool"], *SUPPORT, 0, quarter[0], o["support"])
        t.line_gate(o["best"], o["support"], *GATE, 0, half[0], o["gate"])
        t.areas(o["quarter"], o["half"], *AREA, LIMITS, 0, quarter[0], o["area"], o["dot"])
        coarse = o["area"] * o["quarter"]
        t.remember(o["e"], o["m1"], o["m2"], o["count"], mix, tables.gain1, tables.gain2,
                   tables.show, o["gate"], o["which"], self.long, TAPS // 2, coarse, o["area"],
                   o["dot"], F(0.8), F(0.4), F(tables.most), 0, ROWS, o["x"])  # fmt: skip
        s.halved(o["x"], 0, half[0], o["base"])
        s.halved(o["base"], 0, quarter[0], o["small"])
        s.band(o["base"], o["small"], 0, half[0], o["band"])
        s.joined(o["band"], F(0.8), o["small"], 0, half[0], o["joined"])
        s.finest(o["x"], o["joined"], o["base"], F(0.5), o["gate"], o["which"], self.long,
                 TAPS // 2, F(0.4), 0, ROWS, o["shown"])  # fmt: skip
        s.unstabilise(o["shown"], F(4.0), F(300.0), F(10.0), 0, ROWS, o["back"])
        return out

    def on_device(self, device: Device) -> dict[str, np.ndarray]:
        """The same by launches of ``kernels/fluoro.cu``."""
        sizes = {
            "full": ROWS * COLUMNS,
            "half": ROWS * COLUMNS // 4,
            "quarter": ROWS * COLUMNS // 16,
        }
        names = {
            "full": ("d", "e", "x", "shown", "back"),
            "half": ("half", "best", "which", "gate", "base", "band", "joined"),
            "quarter": ("quarter", "pool", "support", "area", "dot", "small", "none", "coarse"),
        }
        a: dict[str, Any] = {
            n: device.zeros(sizes[kind], np.float32) for kind, all_ in names.items() for n in all_
        }
        up = device.upload
        tables, mix = self.tables, F(self.tables.mix)
        for name in ("y", "m1", "m2", "count"):
            a[name] = up(getattr(self, name))
        for name in ("scale", "gain1", "gain2", "show"):
            a[name] = up(getattr(tables, name))
        a["limits"], a["long"] = up(LIMITS), up(self.long.astype(np.int32))
        a["offsets"] = up(self.finder._offsets.astype(np.int32))
        a["far"] = up(self.finder._far.astype(np.int32))
        padded = (ROWS // 2 + 20) * (COLUMNS // 2 + 20)
        a["padded"] = device.zeros(padded, np.float32)

        def go(kernel: str, size: int, *args: Any) -> None:
            values = [a[v] if isinstance(v, str) else v for v in args]
            values = [np.int32(v) if isinstance(v, int) else v for v in values]
            grid = (-(-size // BLOCK), 1, 1)
            device.launch("fluoro", f"fluoro_{kernel}", grid, (BLOCK, 1, 1), values, {})

        full, half, quarter = sizes["full"], sizes["half"], sizes["quarter"]
        h, q = (ROWS // 2, COLUMNS // 2), (ROWS // 4, COLUMNS // 4)
        go("stabilise", full, "y", F(4.0), F(1500.0), F(10.0), full, "d")
        go("innovation", quarter, "d", "m1", "m2", "count", mix, "scale", ROWS, COLUMNS, "e",
           "half", "quarter")  # fmt: skip
        go("soften", half, "half", 10, *h, "padded")
        go("lines", half, "padded", "offsets", "far", LineFinder.orientations, SPARE, *h, "best",
           "which")  # fmt: skip
        go("gate", half, "best", "none", *GATE, *h, "gate")
        go("pooled", quarter, "gate", *q, "pool")
        go("support", quarter, "pool", *SUPPORT, *q, "support")
        go("gate", half, "best", "support", *GATE, *h, "gate")
        go("areas", quarter, "quarter", "half", *AREA, "limits", *q, "area", "dot")
        product = device.download(a["area"]) * device.download(a["quarter"])
        device.write(a["coarse"], product)
        go("remember", full, "e", "m1", "m2", "count", mix, "gain1", "gain2", "show", "gate",
           "which", "long", TAPS, "coarse", "area", "dot", F(0.8), F(0.4), F(tables.most), ROWS,
           COLUMNS, "x")  # fmt: skip
        go("halved", half, "x", *h, "base")
        go("halved", quarter, "base", *q, "small")
        go("band", half, "base", "small", *h, "band")
        go("joined", half, "band", F(0.8), "small", *h, "joined")
        go("finest", full, "x", "joined", "base", F(0.5), "gate", "which", "long", TAPS, F(0.4),
           ROWS, COLUMNS, "shown")  # fmt: skip
        go("unstabilise", full, "shown", F(4.0), F(300.0), F(10.0), full, "back")
        shape = {full: (ROWS, COLUMNS), half: h, quarter: q}
        skip = {"y", "none", "coarse", "padded", "limits", "long", "offsets", "far", "scale",
                "gain1", "gain2", "show"}  # fmt: skip
        return {k: device.download(v).reshape(shape[v.size]) for k, v in a.items() if k not in skip}


def fluoro_differences(
    mine: dict[str, np.ndarray], twin: dict[str, np.ndarray]
) -> dict[str, float]:
    """Largest difference by name; ``which``: share of lines that differ
    beyond 0.2 % (two equally strong ones), ``count``: quarters."""
    found = {
        k: float(np.abs(mine[k].astype(float) - twin[k].astype(float)).max())
        for k in twin
        if k not in ("which", "back")
    }
    found["which"] = float(max(0.0, (mine["which"] != twin["which"]).mean() - 0.002))
    found["back"] = float((np.abs(mine["back"] - twin["back"]) / 40.0).max())
    found["count"] = float(max(0.0, found["count"] - 1.0))  # rounding of a quarter of a frame
    return found
