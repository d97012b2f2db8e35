"""A moving scene as layers of attenuation that move on their own, with the truth of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Layer(Protocol):
    """Something X-rays pass through."""

    @property
    def name(self) -> str:
        """Unique in its scene."""

    @property
    def is_device(self) -> bool:
        """True for what an operator places or injects (wire, catheter, contrast, test disc)."""

    def path(self, shape: tuple[int, int], time_s: float) -> Image:
        """(row, column) line integral of attenuation (mu times length) at a time."""


@dataclass(frozen=True)
class Scene:
    """Layers seen at ``rate_hz`` on pixels of ``pixel_mm`` (at the detector).

    The transmission of a frame is exp(-sum of paths): layers multiply.
    """

    name: str
    shape: tuple[int, int]
    rate_hz: float
    pixel_mm: float
    layers: tuple[Layer, ...]
    frames: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.shape) < 16 or self.rate_hz <= 0.0 or self.pixel_mm <= 0.0 or self.frames < 1:
            raise InputError(
                "scene",
                got=f"shape {self.shape}, {self.rate_hz} Hz, {self.pixel_mm} mm, {self.frames}",
                expected="at least 16 x 16 pixels, and positive rate, pixel and frames",
                remedy="Correct the scene.",
            )
        if len(set(self.names)) != len(self.layers):
            raise InputError(
                "scene.layers", got="two of one name", expected="names that differ", remedy="Rename"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(layer.name for layer in self.layers)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the layers that are devices."""
        return tuple(layer.name for layer in self.layers if layer.is_device)

    def layer(self, name: str) -> Layer:
        """The layer of that name; `InputError` lists them."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise InputError(
            "layer", got=repr(name), expected=", ".join(self.names), remedy="Use one of these."
        )

    def without(self, *names: str) -> Scene:
        """The same scene without these layers (for paired truth)."""
        for name in names:
            self.layer(name)
        return replace(self, layers=tuple(x for x in self.layers if x.name not in names))

    def with_layers(self, *layers: Layer) -> Scene:
        """The same scene with more layers."""
        return replace(self, layers=(*self.layers, *layers))

    def time_s(self, frame: int) -> float:
        """When frame ``frame`` is taken."""
        return frame / self.rate_hz

    def path(self, name: str, frame: int) -> Image:
        """(row, column) line integral of one layer in a frame."""
        return self.layer(name).path(self.shape, self.time_s(frame))

    def mask(self, name: str, frame: int, *, share: float = 0.5) -> Mask:
        """Where that layer's line integral is at least ``share`` of its largest in the frame."""
        path = self.path(name, frame)
        top = float(path.max())
        out: Mask = path >= share * top if top > 0.0 else np.zeros(self.shape, np.bool_)
        return out

    def transmission(
        self, time_s: float, *, without: Collection[str] = (), shape: tuple[int, int] | None = None
    ) -> Image:
        """(row, column) share of X-rays that pass, at a time."""
        total = np.zeros(self.shape if shape is None else shape, np.float32)
        for layer in self.layers:
            if layer.name not in without:
                total += layer.path(total.shape, time_s)
        out: Image = np.exp(-total)
        return out
