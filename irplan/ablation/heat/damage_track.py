"""The damage models' state on the grid while a heating simulation runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.damage import (
    TABLE_FROM_C,
    TABLE_PER_K,
    Arrhenius,
    DamageModel,
    ThreeState,
    rate_table,
)
from irplan.ablation.heat.layout import HeatLayout
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import Volume

#: Damage is followed in voxels that have been warmer than this; others keep the dose of a voxel
#: at body temperature, degC.
DAMAGE_FLOOR_C = 40.0


class DamageTrack:
    """Doses and cell states of ``models``, followed where tissue has been above 40 degC.

    ``perfusion`` "damage" makes `alive` the living fraction by the first model that has one
    (exp(-Omega), or A); "temperature" leaves it alone.
    """

    def __init__(self, layout: HeatLayout, models: Sequence[DamageModel], perfusion: str) -> None:
        self.layout = layout
        self.models = tuple(models)
        names = [m.name for m in self.models]
        if len(set(names)) < len(names):
            raise InputError(
                "damage", got=f"{names}", expected="each name once", remedy="Rename a model."
            )
        self._living = self._living_model(perfusion)
        nz, ny, nx = layout.shape
        size = layout.kind.size
        counts = [2 if m.kind == "cells" else 1 for m in self.models]
        self._first = [int(n) for n in np.cumsum([0, *counts])]
        self.extents = np.zeros((nz, ny, 2), np.int64)
        self.extents[:, :, 0] = nx
        self.states = np.zeros((self._first[-1], size), np.float32)
        self.before = np.zeros(size if self.models else 1, np.float32)
        self.alive = np.ones(size if self.stops_perfusion else 1, np.float32)
        self.rest = np.zeros(self._first[-1])
        for n, model in enumerate(self.models):
            if isinstance(model, ThreeState):
                self.rest[self._first[n] :][:2] = model.alive_at_start, model.dead_at_start
        self._tables = [rate_table(m) for m in self.models]

    def _living_model(self, rule: str) -> int | None:
        if rule == "temperature":
            return None
        if rule == "damage":
            for n, model in enumerate(self.models):
                if isinstance(model, Arrhenius | ThreeState):
                    return n
        raise InputError(
            "perfusion",
            got=repr(rule),
            expected="'temperature', or 'damage' with an Arrhenius or three-state model",
            remedy="Use 'temperature', or add such a model.",
        )

    def begin(self, v: NDArray[np.float32], window: NDArray[np.int64]) -> None:
        """Take in what is warm from the start: tissue held at a temperature."""
        from irplan.compute.cpu import damage

        lay = self.layout
        shape, floor = np.array(lay.shape), np.float32(DAMAGE_FLOOR_C - lay.body_c)
        if self.models:
            rest = self.rest.astype(np.float32)
            damage.grow_extents(
                v, floor, shape, window, self.extents, self.before, self.states, rest
            )
            damage.remember(v, lay.kind, lay.tissues, lay.levels, shape, self.extents, self.before)

    @property
    def stops_perfusion(self) -> bool:
        """Perfusion follows `alive` and not the temperature."""
        return self._living is not None

    def follow(
        self,
        v: NDArray[np.float32],
        dt_s: float,
        window: NDArray[np.int64],
        sticky: NDArray[np.uint8],
    ) -> None:
        """Take in one super-step that ended in the padded state ``v``.

        ``sticky`` marks the rows whose perfusion may have stopped.
        """
        from irplan.compute.cpu import damage

        if not self.models:
            return
        lay = self.layout
        shape, body, ext = np.array(lay.shape), lay.body_c, self.extents
        first, per_k = np.float32(TABLE_FROM_C - body), np.float32(TABLE_PER_K)
        damage.grow_extents(
            v, np.float32(DAMAGE_FLOOR_C - body), shape, window, ext, self.before, self.states,
            self.rest.astype(np.float32),
        )  # fmt: skip
        common = (v, self.before, lay.kind, lay.tissues, lay.levels, np.float32(dt_s))
        for n, model in enumerate(self.models):
            table, at = self._tables[n], self._first[n]
            if isinstance(model, ThreeState):
                kb = np.float32(model.backward_per_s)
                damage.add_cells(
                    *common, kb, table, first, per_k, shape, ext, self.states[at],
                    self.states[at + 1],
                )  # fmt: skip
                zero = np.float32(0.0)
                a, d = (np.float32(x) for x in self.rest[at : at + 2])
                self.rest[at : at + 2] = damage.cell_step(
                    a, d, zero, zero, np.float32(dt_s), kb, table, first, per_k
                )
            else:
                most = np.float32(model.most)
                damage.add_dose(
                    *common, table, first, per_k, most, shape, ext, self.states[at]
                )  # fmt: skip
                self.rest[at] += dt_s * float(model.rate(np.array(body)))
        damage.remember(v, lay.kind, lay.tissues, lay.levels, shape, ext, self.before)
        if self._living is not None:
            cells = isinstance(self.models[self._living], ThreeState)
            state = self.states[self._first[self._living]]
            damage.stop_perfusion(state, shape, ext, int(cells), self.alive, sticky)

    def volumes(self, grid: Grid) -> dict[str, Volume]:
        """A smooth field a model: Arrhenius fraction dead, CEM43 min, three-state D."""
        out = {}
        column = np.arange(self.layout.shape[2])
        within = (column >= self.extents[:, :, :1]) & (column < self.extents[:, :, 1:])
        for n, model in enumerate(self.models):
            at = self._first[n] + (1 if isinstance(model, ThreeState) else 0)
            inside = self.layout.interior(self.states[at])
            state = np.where(within, inside, np.float32(self.rest[at])).astype(np.float32)
            field = state if isinstance(model, ThreeState) else model.field(state)
            out[model.name] = Volume(field.astype(np.float32), grid, model.unit)
        return out

    def dead_cm3(self) -> list[float]:
        """Volume dead by each model, cm3."""
        from irplan.compute.cpu import damage

        out = []
        for n, model in enumerate(self.models):
            cells = isinstance(model, ThreeState)
            level = model.level if isinstance(model, ThreeState) else model.dose_level
            state = self.states[self._first[n] + (1 if cells else 0)]
            shape = np.array(self.layout.shape)
            count = damage.count_at_least(state, np.float32(level), shape, self.extents)
            out.append(count * self.layout.voxel_mm3 * 1e-3)
        return out
