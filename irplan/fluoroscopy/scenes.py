"""Named scenes.  A seed changes anatomy, course of the devices and motion; size is free."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.anatomy import Texture, clouds, dome, ribs, skull, spine
from irplan.fluoroscopy.devices import Bolus, Tube
from irplan.fluoroscopy.motion import Motion
from irplan.fluoroscopy.scene import Layer, Scene

#: Seeds on which the filter's constants were chosen, and those on which figures are reported.
TUNING_SEEDS = tuple(range(10))
REPORT_SEEDS = tuple(range(100, 110))

_FIELD_MM = 204.8  # of 1024 pixels of 0.2 mm; a smaller frame is a part of it, not a coarser one


def scene(
    name: str,
    *,
    shape: tuple[int, int] = (1024, 1024),
    frames: int = 30,
    rate_hz: float = 15.0,
    pixel_mm: float = 0.2,
    seed: int = 0,
) -> Scene:
    """The named scene: "flat", "abdomen", "cardiac", "neuro", "peripheral", "neuro-dsa".

    Every scene but "flat" has a device named "guidewire", "needle" or "catheter" first, and may
    have more (`Scene.devices`).  `InputError` lists the names.
    """
    if name not in _MAKERS:
        raise InputError(
            "scene", got=repr(name), expected=", ".join(SCENES), remedy="Use one of these."
        )
    layers = _MAKERS[name](shape, 1.0 / pixel_mm, np.random.default_rng([seed, 77]), seed)
    return Scene(name, shape, rate_hz, pixel_mm, layers, frames, seed)


def _course(
    shape: tuple[int, int], rng: np.random.Generator, bend: float, reach: float = 0.85
) -> NDArray[np.float64]:
    """A smooth curve from the lower edge upwards, (n, 2) pixels."""
    rows, columns = shape
    knots = 6
    y = np.linspace(rows + 8.0, rows * (1.0 - reach), knots)
    x = columns * 0.5 + columns * bend * np.cumsum(rng.uniform(-1.0, 1.0, knots)) / 2.0
    x = np.clip(x, 0.12 * columns, 0.88 * columns)
    from scipy.interpolate import CubicSpline

    t = np.linspace(0.0, 1.0, 160)
    at = np.linspace(0.0, 1.0, knots)
    return np.column_stack([CubicSpline(at, y)(t), CubicSpline(at, x)(t)])


def _tissue(shape: tuple[int, int], seed: int, breath: Motion, amount: float = 0.12) -> Layer:
    big = (shape[0] + 128, shape[1] + 128)
    base = clouds(big, 1000 + seed, 3.0, 2.0)
    return Texture("tissue", (1.2 + amount * base).astype(np.float32), breath)


def _flat(
    shape: tuple[int, int], scale: float, rng: np.random.Generator, seed: int
) -> tuple[Layer, ...]:
    del scale, rng, seed
    return (Texture("flat", np.ones(shape, np.float32)),)


def _abdomen(
    shape: tuple[int, int], scale: float, rng: np.random.Generator, seed: int
) -> tuple[Layer, ...]:
    breath = Motion(breath_px=(8.0 * scale, 0.8 * scale), breath_s=rng.uniform(3.6, 5.0))
    big = (shape[0] + 128, shape[1] + 64)
    wire = Tube(
        "guidewire",
        _course(shape, rng, 0.30),
        0.45 * scale,
        0.42 / scale,
        motion=Motion(breath_px=(4.0 * scale, 0.8 * scale), breath_s=breath.breath_s),
    )
    entry = np.array([shape[0] * rng.uniform(0.3, 0.7), 0.03 * shape[1]])
    angle = rng.uniform(-0.5, 0.5)
    along = np.array([math.sin(angle), math.cos(angle)])
    needle = Tube(
        "needle",
        np.array([entry, entry + 0.75 * shape[1] * along]),
        0.55 * scale,
        0.5 / scale,
        advance_px_s=10.0 * scale,
        advance_from_px=0.25 * shape[1],
    )
    return (
        wire,
        needle,
        _tissue(shape, seed, breath),
        Texture("spine", spine(shape, seed + 3, scale)),
        Texture("liver", dome(big, seed + 5, scale), breath),
    )


def _cardiac(
    shape: tuple[int, int], scale: float, rng: np.random.Generator, seed: int
) -> tuple[Layer, ...]:
    beat = Motion(
        beat_px=(5.0 * scale, 2.5 * scale),
        beat_s=rng.uniform(0.75, 0.95),
        phase_s=rng.uniform(0, 1),
    )
    strong = Motion(
        beat_px=(6.0 * scale, 4.0 * scale), beat_s=beat.beat_s, phase_s=beat.phase_s, bend=0.5
    )
    big = (shape[0] + 128, shape[1] + 128)
    wire = Tube("guidewire", _course(shape, rng, 0.35), 0.18 * scale, 1.4 / scale, motion=strong)
    tip = Tube(
        "catheter",
        _course(shape, rng, 0.12, 0.5),
        1.0 * scale,
        0.22 / scale,
        0.65 * scale,
        motion=beat,
    )
    heart = clouds(big, 2000 + seed, 3.4, 10.0)
    return (
        wire,
        tip,
        _tissue(shape, seed, Motion(breath_px=(1.0 * scale, 0.0))),
        Texture("spine", 0.7 * spine(shape, seed + 3, scale)),
        Texture("ribs", ribs(big, seed + 4, scale), Motion(breath_px=(2.0 * scale, 0.0))),
        Texture("heart", (0.5 + 0.16 * heart).astype(np.float32), beat),
    )


def _neuro(
    shape: tuple[int, int], scale: float, rng: np.random.Generator, seed: int
) -> tuple[Layer, ...]:
    still = Motion(drift_px_s=(0.0, 0.02 * scale))
    course = _course(shape, rng, 0.40)
    micro = Tube(
        "guidewire",
        course,
        0.18 * scale,
        1.2 / scale,
        advance_px_s=8.0 * scale,
        advance_from_px=0.45 * shape[0],
    )
    centre = np.array([0.3 * shape[0], 0.7 * shape[1]])
    t = np.linspace(0.0, 14.0 * 2 * np.pi, 700)
    size = 3.0 * scale * (1.0 - 0.5 * (t / t[-1]))
    loops = centre + np.column_stack([size * np.sin(t), size * np.cos(1.07 * t) * 0.8])
    coil = Tube("coil", loops, 0.12 * scale, 0.9 / scale)
    return (
        micro,
        Tube("catheter", course[:90], 0.5 * scale, 0.18 / scale, 0.3 * scale),
        coil,
        _tissue(shape, seed, still, 0.08),
        Texture("skull", skull(shape, 3000 + seed, scale), still),
    )


def _peripheral(
    shape: tuple[int, int], scale: float, rng: np.random.Generator, seed: int
) -> tuple[Layer, ...]:
    x = (np.arange(shape[1], dtype=np.float32) - 0.5 * shape[1]) / scale
    bone = np.zeros(shape, np.float32)
    for radius, centre in ((12.0, -16.0), (7.0, 18.0)):
        outer = np.maximum(0.0, radius**2 - (x - centre) ** 2)
        marrow = np.maximum(0.0, (0.55 * radius) ** 2 - (x - centre) ** 2)
        bone += np.sqrt(outer) - 0.8 * np.sqrt(marrow)
    still = Motion(drift_px_s=(0.05 * scale, 0.0))
    course = _course(shape, rng, 0.15, 1.0)
    return (
        Tube(
            "guidewire",
            course,
            0.45 * scale,
            0.4 / scale,
            advance_px_s=15.0 * scale,
            advance_from_px=0.4 * shape[0],
        ),
        _tissue(shape, seed, still, 0.08),
        Texture("bones", (0.05 * bone).astype(np.float32), still),
    )


def _vessels(
    shape: tuple[int, int], rng: np.random.Generator, scale: float
) -> tuple[NDArray[np.float64], ...]:
    """A vessel tree by repeated forking (radii by Murray's law), branches (n, 4)."""
    branches: list[NDArray[np.float64]] = []

    def grow(at: NDArray[np.float64], angle: float, radius: float, far: float, left: int) -> None:
        length = radius * rng.uniform(16.0, 26.0)
        steps = max(6, int(length / 6.0))
        points = np.empty((steps, 4))
        for n in range(steps):
            points[n] = (*at, radius * (1.0 - 0.12 * n / steps), far)
            at = at + length / steps * np.array([-math.cos(angle), math.sin(angle)])
            far += length / steps
            angle += rng.normal(0.0, 0.09)
        branches.append(points)
        if left == 0 or radius < 0.25 * scale:
            return
        share = rng.uniform(0.35, 0.65)
        for part, side in ((share, 1.0), (1.0 - share, -1.0)):
            turn = side * rng.uniform(0.3, 0.8)
            grow(at, angle + turn, 0.88 * radius * part ** (1 / 3), far, left - 1)

    start = np.array([shape[0] * 0.98, shape[1] * rng.uniform(0.4, 0.6)])
    grow(start, 0.0, 2.0 * scale * min(1.0, shape[0] / 1024 + 0.3), 0.0, 6)
    return tuple(branches)


def _neuro_dsa(
    shape: tuple[int, int], scale: float, rng: np.random.Generator, seed: int
) -> tuple[Layer, ...]:
    drift = Motion(drift_px_s=(rng.uniform(0.1, 0.3) * scale, rng.uniform(-0.3, 0.3) * scale))
    return (
        Bolus("contrast", _vessels(shape, rng, scale), 0.055 / scale * 5.0, motion=drift),
        _tissue(shape, seed, drift, 0.08),
        Texture("skull", skull((shape[0] + 64, shape[1] + 64), 3000 + seed, scale), drift),
    )


_Maker = Callable[[tuple[int, int], float, np.random.Generator, int], tuple[Layer, ...]]
_MAKERS: dict[str, _Maker] = {
    "flat": _flat,
    "abdomen": _abdomen,
    "cardiac": _cardiac,
    "neuro": _neuro,
    "peripheral": _peripheral,
    "neuro-dsa": _neuro_dsa,
}
#: Names of the scenes.
SCENES = tuple(_MAKERS)
