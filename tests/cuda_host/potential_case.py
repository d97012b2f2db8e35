"""A V-cycle and the steps of conjugate gradients on a device and on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from irplan.compute.cpu import multigrid
from irplan.compute.device import Device
from irplan.compute.levels import Levels


class PotentialCase:
    """Unlike widths along each axis and random conductances on every level."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        widths = [
            np.array([4.0, 2.0, *[1.0] * 13, 2.0, 3.0]),
            np.array([3.0, *[1.0] * 18, 2.5]),
            np.array([2.0, *[1.0] * 33, 2.0, 4.0]),
        ]
        self.levels = lv = Levels.from_widths(widths)
        self.g = np.zeros((8, lv.size), np.float32)
        self.b = np.zeros(lv.size, np.float32)
        for level in range(lv.shape.shape[0]):
            nz, ny, nx, _ = (int(n) for n in lv.shape[level])
            block = [self.block(a, level) for a in self.g]
            for axis, name in ((2, 0), (1, 1), (0, 2)):
                face = rng.uniform(0.2, 2.0, (nz, ny, nx)).astype(np.float32)
                cut: list[Any] = [slice(None)] * 3
                cut[axis] = 0  # no conductance through the outer faces
                face[tuple(cut)] = 0.0
                block[name][1:-1, 1:-1, 1:-1] = face
            block[3][1:-1, 1:-1, 1:-1] = rng.uniform(0.0, 0.1, (nz, ny, nx))
            inner = (slice(1, -1),) * 3
            total = block[3][inner] + block[0][inner] + block[0][1:-1, 1:-1, 2:]
            total = total + block[1][inner] + block[1][1:-1, 2:, 1:-1]
            total = total + block[2][inner] + block[2][2:, 1:-1, 1:-1]
            block[4][inner] = 1.0 / total
            if level + 1 < lv.shape.shape[0]:
                for axis, name in ((2, 5), (1, 6), (0, 7)):
                    n = (nz, ny, nx)[axis]
                    side = self.table(lv.side, level, axis, n)
                    share = rng.uniform(0.0, 0.33, (nz, ny, nx))
                    along = [1, 1, 1]
                    along[axis] = n
                    block[name][inner] = share * (side != 0).reshape(along)
        lv.finest(self.b)[...] = rng.normal(size=lv.shape[0, :3])

    def block(self, flat: np.ndarray, level: int) -> np.ndarray:
        """Padded (slice, row, column) view of a level in a flat buffer."""
        nz, ny, nx, offset = (int(n) for n in self.levels.shape[level])
        size = (nz + 2) * (ny + 2) * (nx + 2)
        return flat[offset : offset + size].reshape(nz + 2, ny + 2, nx + 2)

    def table(self, flat: np.ndarray, level: int, axis: int, count: int) -> np.ndarray:
        at = int(self.levels.table_at[level, axis])
        return flat[at : at + count]

    def on_cpu(self) -> dict[str, np.ndarray]:
        lv = self.levels
        x, y, d = (np.zeros(lv.size, np.float32) for _ in range(3))
        b = self.b.copy()
        tables = (lv.shape, lv.table_at, lv.parent, lv.side, lv.span_at, lv.child)
        multigrid.v_cycle(x, y, d, b, self.g, *tables)
        nz, ny, nx = (int(n) for n in lv.shape[0, :3])
        planes, plane = nz + 2, (ny + 2) * (nx + 2)
        n = planes * plane
        none_i, none_f = np.zeros(0, np.int64), np.zeros(0, np.float32)
        q, no_modes = np.zeros(lv.size, np.float32), np.zeros((0, 0))
        energy = multigrid._matrix(
            y, q, np.zeros(0), np.zeros(0), self.g, lv.shape, np.zeros(nz), none_i, none_i, none_f,
            np.zeros(1, np.int64), np.zeros(0), no_modes, none_f,
        )  # fmt: skip
        rho = multigrid._dot(self.b, y, planes, plane)
        v, r, p = y.copy(), self.b.copy(), y.copy()
        multigrid._advance(v, r, y, q, np.float32(0.7), n)
        multigrid._turn(p, self.b, np.float32(0.3), n)
        out = {"cycle": y, "matrix": q, "advanced": v, "residual": r, "direction": p}
        fine = {k: lv.finest(a).copy() for k, a in out.items()}
        return {**fine, "energy": np.array([energy]), "rho": np.array([rho])}

    def on_device(self, device: Device) -> dict[str, np.ndarray]:
        lv = self.levels
        shape = [[np.int32(n) for n in row] for row in lv.shape]
        size = np.int32(lv.size)
        g = device.upload(self.g.reshape(-1))
        x, y, d, q = (device.zeros(lv.size, np.float32) for _ in range(4))
        b = device.upload(self.b)

        def blocks(level: int) -> tuple[int, int, int]:
            nz, ny, nx, _ = (int(n) for n in lv.shape[level])
            return (-(-nx // 32), -(-ny // 8), nz)

        def launch(kernel: str, level: int, args: tuple[Any, ...]) -> None:
            device.launch("potential", kernel, blocks(level), (32, 8, 1), args, {})

        def tables(flat: np.ndarray, level: int) -> list[Any]:
            return [
                device.upload(self.table(flat, level, a, int(lv.shape[level, a])).astype(np.int32))
                for a in range(3)
            ]

        def children(level: int) -> list[Any]:
            out = []
            for a in range(3):
                at, n = int(lv.span_at[level, a]), int(lv.shape[level + 1, a])
                out.append(device.upload(lv.child[at : at + n].astype(np.int32).reshape(-1)))
            return out

        first, memory = np.float32(multigrid._FIRST), np.float32(multigrid._MEMORY)
        second, zero = np.float32(multigrid._SECOND), np.float32(0.0)
        last = len(shape) - 1
        for level in range(last):
            launch("potential_first", level, (x, d, b, g, size, *shape[level], first))
            launch("potential_smooth", level, (x, d, y, b, g, size, *shape[level], memory, second))
            launch("potential_residual", level, (y, d, b, g, size, *shape[level]))
            launch(
                "potential_restrict",
                level + 1,
                (d, b, g, size, *shape[level], *shape[level + 1], *tables(lv.side, level),
                 *children(level)),
            )  # fmt: skip
        sweeps = np.int32(multigrid._COARSEST_SWEEPS)
        launch("potential_coarsest", last, (y, b, g, size, *shape[last], sweeps))
        for level in reversed(range(last)):
            launch(
                "potential_prolong",
                level,
                (y, y, g, size, *shape[level], *shape[level + 1][1:], *tables(lv.parent, level),
                 *tables(lv.side, level)),
            )  # fmt: skip
            launch("potential_smooth", level, (y, d, x, b, g, size, *shape[level], zero, first))
            launch("potential_smooth", level, (x, d, y, b, g, size, *shape[level], memory, second))
        sums = device.zeros(int(np.prod(blocks(0))), np.float64)
        launch("potential_apply", 0, (y, q, g, size, *shape[0], sums))
        energy = device.download(sums).sum()
        right = device.upload(self.b)
        launch("potential_dot", 0, (right, y, *shape[0], sums))
        rho = device.download(sums).sum()
        v, p = device.upload(device.download(y)), device.upload(device.download(y))
        r = device.upload(self.b)
        launch("potential_advance", 0, (v, r, y, q, np.float32(0.7), *shape[0]))
        launch("potential_turn", 0, (p, right, np.float32(0.3), *shape[0]))
        out = {"cycle": y, "matrix": q, "advanced": v, "residual": r, "direction": p}
        fine = {k: lv.finest(device.download(a)).copy() for k, a in out.items()}
        return {**fine, "energy": np.array([energy]), "rho": np.array([rho])}


def potential_differences(
    mine: dict[str, np.ndarray], twin: dict[str, np.ndarray]
) -> dict[str, float]:
    """Largest difference over the largest value, by what is compared."""
    return {k: float(np.abs(mine[k] - v).max() / np.abs(v).max()) for k, v in twin.items()}


#: float32 in another order.
POTENTIAL_LIMIT = 3e-5
