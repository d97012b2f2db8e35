"""Heating on the CPU's kernels and on a device's, side by side: stages, coolant, source, damage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from irplan.ablation import TISSUES, AblationProblem, Applicator, Placement, Schedule
from irplan.ablation.cuda_layout import BLOCK, DeviceGrid, cells_of, tissue_limit
from irplan.ablation.damage import (
    TABLE_FROM_C,
    TABLE_PER_K,
    Arrhenius,
    Cem43,
    ThreeState,
    rate_table,
)
from irplan.ablation.heat.coolant import CoolantTables, coolant
from irplan.ablation.heat.layout import lay_out
from irplan.ablation.super_step import energy_shares, stage_weights
from irplan.compute.cpu import damage as cpu_damage
from irplan.compute.cpu import heat as cpu_heat
from irplan.compute.cpu import heat_state as cpu_state
from irplan.compute.device import Device
from irplan.geometry import Grid, Needle

SHAPE = (20, 22, 28)
BOX = (6, 14, 7, 15, 8, 18)
STEPS, DT_S = 4, 4.0
LOGIT = (6.583 - 0.0598 * 37.0, 0.0598)
MODELS = (Arrhenius(), Cem43(), ThreeState())


class HeatCase:
    """Liver, tumour, a vessel with a film, saline at 42 degC; a source and a cooled shaft."""

    def __init__(self) -> None:
        grid = Grid.from_spacing(SHAPE, (1.25, 1.0, 1.0), (-13.5, -10.5, -11.9))
        z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
        index = np.zeros(SHAPE, np.uint8)
        index[(x - 12) ** 2 + (y - 11) ** 2 + (z - 9) ** 2 < 25] = 1
        index[np.hypot(x - 20, z - 10) < 2.0] = 2
        index[:, :2, :] = 3
        tissues = (
            TISSUES["liver"].properties(metabolic_w_per_m3=5000.0),
            TISSUES["tumour"].properties(k_per_k=0.004),
            TISSUES["vessel"].properties(wall_transfer_w_per_m2k=500.0),
            TISSUES["soft tissue"].properties(fixed_temperature_c=42.0),
        )
        antenna = Applicator("test", "mwa", 1.5, 10.0, 0.0, 20.0, 0.0, 200.0, "test [X]")
        placement = Placement(Needle((-3.0, 0.0, 0.0), (20.0, 40.0, 60.0)), antenna)
        schedule = Schedule.constant_power(50.0, 1.0)
        self.problem = AblationProblem(grid, index, tissues, (placement,), schedule)
        self.layout = lay_out(self.problem)
        cooled = coolant(
            placement, grid, from_tip_mm=0.0, to_tip_mm=10.0, temperature_c=20.0,
            transfer_w_per_m2k=3000.0,
        )  # fmt: skip
        assert cooled is not None
        self.coolants = CoolantTables.from_coolants([cooled], self.layout)
        self.line = cooled.line
        zz, yy, xx = np.mgrid[BOX[0] : BOX[1], BOX[2] : BOX[3], BOX[4] : BOX[5]]
        far2 = (xx - 12.5) ** 2 + (yy - 10.5) ** 2 + (zz - 9.5) ** 2
        self.source = (5e8 * np.exp(-far2 / 8.0)).astype(np.float32)
        limit = self.layout.explicit_limit_s
        self.stages = max(1, math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * DT_S / limit) - 1.0) - 1e-9))
        body = self.layout.body_c
        self.tables = [rate_table(m) for m in MODELS]
        self.first, self.per_k = np.float32(TABLE_FROM_C - body), np.float32(TABLE_PER_K)
        self.rest = np.array([0.0, 0.0, MODELS[2].alive_at_start, MODELS[2].dead_at_start])

    def on_cpu(self, use_alive: bool) -> dict[str, np.ndarray]:
        """STEPS super-steps with the production kernels over the whole grid."""
        lay, cool = self.layout, self.coolants
        size, shape = lay.kind.size, np.array(lay.shape)
        nz, ny, nx = lay.shape
        va = np.zeros(size, np.float32)
        lay.interior(va)[...] = lay.held[lay.interior(lay.kind)]
        v = [va, va.copy()]
        hot = [np.ones((nz + 2, ny + 2), np.uint8) for _ in range(2)]
        window = np.array([0, nz, 0, ny, 0, nx])
        states = np.tile(self.rest.astype(np.float32)[:, None], (1, size))
        before, alive = v[0].copy(), np.ones(size, np.float32)
        highest = v[0].copy()
        extents = np.tile(np.array([0, nx]), (nz, ny, 1))
        sums, row_power = np.zeros((nz, 5)), np.zeros(self.source.shape[:2])
        heat, work = np.zeros(5 + cool.rise.size), [np.zeros(cool.voxel.size, np.float32)] * 3
        work = [w.copy() for w in work]
        box, source = np.array(BOX), np.empty_like(self.source)
        response = np.array(LOGIT, np.float32)
        for _ in range(STEPS):
            cpu_state.source_rate(
                self.source, v[0], lay.kind, lay.tissues, lay.levels, box, shape, response, source,
                row_power,
            )  # fmt: skip
            cpu_heat.super_step(
                *v, *hot, hot[0].copy(), lay.kind, shape, window, lay.runs, lay.rows, lay.tissues,
                lay.pair_g, lay.pair_b, lay.levels, DT_S, self.stages, True, self.source,
                response, source, row_power, box, alive, use_alive, cool.rise,
                cool.log_part, cool.film_part, cool.per_volume, cool.sink_ptr, cool.sample_ptr,
                cool.local, cool.weight, cool.voxel_ptr, cool.voxel, *work, lay.voxel_mm3,
                sums, heat,
            )  # fmt: skip
            if self.stages % 2 == 1:
                v.reverse()
            cpu_state.record(v[0], highest, shape, window)
            common = (v[0], before, lay.kind, lay.tissues, lay.levels, np.float32(DT_S))
            for n in range(2):
                cpu_damage.add_dose(
                    *common, self.tables[n], self.first, self.per_k, np.float32(MODELS[n].most),
                    shape, extents, states[n],
                )  # fmt: skip
            cpu_damage.add_cells(
                *common, np.float32(MODELS[2].backward_per_s), self.tables[2], self.first,
                self.per_k, shape, extents, states[2], states[3],
            )  # fmt: skip
            cpu_damage.remember(v[0], lay.kind, lay.tissues, lay.levels, shape, extents, before)
            cpu_damage.stop_perfusion(
                states[0], shape, extents, 0, alive, np.zeros((nz + 2, ny + 2), np.uint8)
            )
        celsius = np.empty(lay.shape, np.float32)
        cpu_state.read_out(
            v[0], lay.kind, lay.tissues, lay.levels, np.float32(lay.body_c), shape, window, celsius
        )
        stored = cpu_state.stored_heat(v[0], lay.kind, lay.tissues, shape, window)
        return {
            "celsius": celsius,
            "highest": lay.interior(highest).copy(),
            **{f"state {n}": lay.interior(states[n]).copy() for n in range(4)},
            "heat": np.array([*heat[:4], heat[4], heat[5:].sum(), stored * lay.voxel_mm3 * 1e-3]),
        }

    def on_device(
        self, device: Device, use_alive: bool, *, followed: bool = True
    ) -> dict[str, np.ndarray]:
        """The same with kernels/heat.cu; ``followed`` False: damage begins above 40 degC."""
        lay, grid = self.layout, DeviceGrid(self.layout.shape)
        cell, tile_kind = (device.upload(a) for a in cells_of(lay.kind, grid))
        tables = device.upload(
            np.concatenate([a.reshape(-1) for a in (lay.tissues, lay.pair_g, lay.pair_b)])
        )
        defines = {"TISSUES": tissue_limit(len(lay.tissues))}
        shape = (*(np.int32(n) for n in lay.shape), np.int32(grid.pitch))
        levels = [np.float32(v) for v in lay.levels[:3]]
        padded = np.zeros(lay.kind.size, np.float32)
        lay.interior(padded)[...] = lay.held[lay.interior(lay.kind)]
        first_v = grid.padded(padded)
        v = [device.upload(first_v) for _ in range(2)]
        highest = device.upload(first_v)
        before = device.upload(first_v if followed else np.full(grid.size, -2e30, np.float32))
        alive = device.upload(np.ones(grid.size, np.float32))
        states = device.upload(np.repeat(self.rest.astype(np.float32), grid.size))
        rest = device.upload(self.rest.astype(np.float32))
        nz, ny, nx = lay.shape
        window = device.upload(np.array([0, nz, 0, ny, 0, nx], np.int32))
        box = device.upload(np.array(BOX, np.int32))
        given = device.upload(self.source.reshape(-1))
        sums = device.zeros(grid.tiles * 5, np.float64)
        power = device.zeros(grid.tiles, np.float64)
        sink = self._sinks(device, grid)
        rates = device.upload(np.concatenate(self.tables))
        kinds = device.upload(np.array([0, 0, 1], np.int32))
        params = device.upload(
            np.array([MODELS[0].most, MODELS[1].most, MODELS[2].backward_per_s], np.float32)
        )
        firsts = device.upload(np.array([0, 1, 2], np.int32))

        def launch(kernel: str, blocks: int, args: tuple[Any, ...], block: Any = BLOCK) -> None:
            device.launch("heat", kernel, (blocks, 1, 1), block, args, defines)

        s, part = self.stages, 2.0 / (self.stages**2 + self.stages)
        shares = energy_shares(stage_weights(DT_S, s))
        sinks_j = 0.0
        volume = lay.voxel_mm3 * 1e-3
        for _ in range(STEPS):
            for j in range(1, s + 1):
                alpha, beta = np.float32((2 * j - 1) / j), np.float32((1 - j) / j)
                gamma = np.float32((2 * j - 1) / j * part * DT_S)
                fold = np.float64(shares[j - 1] * volume)
                old, new = (v[0], v[1]) if j % 2 == 1 else (v[1], v[0])
                launch(
                    "heat_stage", grid.tiles,
                    (old, new, cell, tile_kind, tables, np.int32(len(lay.tissues)), *levels,
                     *shape, window, alpha, beta, gamma, given, box, np.float32(LOGIT[0]),
                     np.float32(LOGIT[1]), alive, np.int32(use_alive),
                     fold, sums),
                )  # fmt: skip
                launch(
                    "heat_gather", sink["samples"],
                    (old, cell, tables, levels[0], levels[1], sink["sample_ptr"], sink["entry"],
                     sink["weight"], sink["sample_sink"], sink["coolant"], sink["log"],
                     sink["film"], sink["per_volume"], sink["heat"]),
                )  # fmt: skip
                launch(
                    "heat_scatter", -(-sink["voxels"] // 128),
                    (new, cell, tables, gamma, fold, np.int32(sink["voxels"]), sink["voxel"],
                     sink["voxel_ptr"], sink["voxel_sample"], sink["voxel_weight"], sink["heat"],
                     sink["lost"]),
                    (128, 1, 1),
                )  # fmt: skip
                sinks_j += float(device.download(sink["heat"]).sum()) * float(fold)
            if s % 2 == 1:
                v.reverse()
            launch(
                "heat_damage", grid.tiles,
                (v[0], highest, before, cell, tables, levels[0], *shape, window,
                 np.float32(40.0 - lay.body_c), np.float32(DT_S), np.int32(math.ceil(DT_S / 2.5)),
                 np.int32(3), kinds, params, firsts, rates, np.int32(self.tables[0].size),
                 self.first, self.per_k, rest, states, alive, np.int32(0)),
            )  # fmt: skip
        out = device.zeros(int(np.prod(lay.shape)), np.float32)
        launch(
            "heat_read_out", grid.tiles,
            (v[0], cell, tables, levels[0], *shape, np.float32(lay.body_c), out, power),
        )  # fmt: skip
        flow = device.download(sums).reshape(-1, 5).sum(axis=0)
        flow[2] -= float(device.download(sink["lost"]).sum())
        stored = float(device.download(power).sum()) * volume
        all_states = device.download(states).reshape(4, -1)
        return {
            "celsius": device.download(out).reshape(lay.shape),
            "highest": grid.interior(device.download(highest)),
            **{f"state {n}": grid.interior(all_states[n]) for n in range(4)},
            "heat": np.array([*flow, sinks_j, stored]),
        }

    def _sinks(self, device: Device, grid: DeviceGrid) -> dict[str, Any]:
        line, cool = self.line, self.coolants
        flat = grid.flat(line.voxels)[line.local]
        order = np.argsort(flat, kind="stable")
        voxel, first = np.unique(flat[order], return_index=True)
        samples = line.sample_ptr.size - 1
        sample = np.repeat(np.arange(samples), np.diff(line.sample_ptr))
        up = device.upload
        return {
            "samples": samples,
            "voxels": voxel.size,
            "sample_ptr": up(line.sample_ptr.astype(np.int32)),
            "entry": up(flat),
            "weight": up(line.weight),
            "sample_sink": up(np.zeros(samples, np.int32)),
            "coolant": up(cool.rise.astype(np.float32)),
            "log": up(cool.log_part.astype(np.float32)),
            "film": up(cool.film_part.astype(np.float32)),
            "per_volume": up(cool.per_volume.astype(np.float32)),
            "heat": device.zeros(samples, np.float64),
            "lost": device.zeros(voxel.size, np.float64),
            "voxel": up(voxel.astype(np.int32)),
            "voxel_ptr": up(np.append(first, order.size).astype(np.int32)),
            "voxel_sample": up(sample[order].astype(np.int32)),
            "voxel_weight": up(line.weight[order]),
        }


def heat_differences(mine: dict[str, np.ndarray], twin: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest differences by what is compared; doses relative to what counts as dead."""
    scales = {"state 0": 1.0, "state 1": 240.0, "heat": float(np.abs(twin["heat"]).max())}
    out = {}
    for name, values in twin.items():
        # doses far beyond death have no meaning and only a relative accuracy
        bound = np.maximum(np.abs(values), scales.get(name, 1.0))
        relative = name in ("state 0", "state 1", "heat")
        error = np.abs(mine[name] - values) / (bound if relative else 1.0)
        out[name] = float(error.max())
    return out


#: What a device may differ by: float32 in another order.
HEAT_LIMITS = {
    "celsius": 0.02, "highest": 0.02, "state 0": 2e-3, "state 1": 2e-3, "state 2": 1e-4,
    "state 3": 1e-4, "heat": 1e-4,
}  # fmt: skip
