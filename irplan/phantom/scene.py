"""The ordered list of layers that the painter composites."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irplan.image import structure
from irplan.phantom.lattice import F32

FIELD, TUBES = 0, 1


@dataclass(eq=False)
class Scene:
    """Layers in painting order; filled by `add_field` and `add_tubes`, read by the painter."""

    tissue_hu: dict[str, float]
    texture_hu: dict[str, float]
    fields: list[F32] = field(default_factory=list)
    tubes: list[NDArray[np.float32]] = field(default_factory=list)
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    hu: list[float] = field(default_factory=list)
    texture: list[float] = field(default_factory=list)

    def add_field(self, values: F32, tissue: str, label: str) -> None:
        """Paint where the lattice field is negative."""
        self.rows.append((FIELD, len(self.fields), 0, structure(label).value))
        self.fields.append(values)
        self._value(tissue)

    def add_tubes(self, capsules: NDArray[np.float32], tissue: str, label: str) -> None:
        """Paint (N, 9) tapered capsules."""
        first = sum(len(t) for t in self.tubes)
        self.rows.append((TUBES, first, first + len(capsules), structure(label).value))
        self.tubes.append(capsules)
        self._value(tissue)

    def _value(self, tissue: str) -> None:
        self.hu.append(self.tissue_hu[tissue])
        self.texture.append(self.texture_hu[tissue])
