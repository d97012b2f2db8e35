"""A voxel network on a CT: resampled, windowed, turned, tiled, stitched and brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.geometry.orientation import UPRIGHT, reorder_axes
from irplan.image.labels import LabelMap
from irplan.image.resample import resample_volume
from irplan.image.structures import structure
from irplan.image.volume import Volume

F32 = NDArray[np.float32]
OutputKind = Literal["logits", "probabilities", "sigmoid", "labels"]
#: One patch (a, b, c) in, along the model's axes -> (classes, a, b, c), or (a, b, c) labels.
Predict = Callable[[F32], NDArray[Any]]

#: Where an array axis may run, and the axis of (head, back, left) it lies on, reversed or not.
DIRECTIONS = {
    "head": (0, False),
    "feet": (0, True),
    "back": (1, False),
    "front": (1, True),
    "left": (2, False),
    "right": (2, True),
}
#: Weight of a patch's border against its middle, standard deviations at the border's middle
#: (nnU-Net: sigma of an eighth of the patch).
_EDGE_SIGMAS = 4.0


@dataclass(frozen=True)
class NetworkSpec:
    """What a network wants and gives.

    Parameters
    ----------
    axes : where each of its three spatial axes runs: one of head/feet, front/back, left/right.
    spacing_mm : its voxel size along these axes, each above 0.
    window_hu : HU outside are clipped to these.
    subtract, divide : then (HU - subtract) / divide.
    labels : (class or label value, structure of irplan); other classes are not kept.
    output : ``"logits"`` or ``"probabilities"``: the largest of all classes wins (0 = none of
        them); ``"sigmoid"``: each class of its own, above ``threshold`` (logits: 0); ``"labels"``.
    patch : voxels of a tile, None = the whole image; ``overlap`` of tiles, 0..0.9.
    multiple : the whole image is padded to a multiple of this.
    """

    axes: tuple[str, str, str]
    spacing_mm: tuple[float, float, float]
    window_hu: tuple[float, float]
    labels: tuple[tuple[int, str], ...]
    subtract: float = 0.0
    divide: float = 1.0
    output: OutputKind = "logits"
    threshold: float = 0.0
    patch: tuple[int, int, int] | None = None
    overlap: float = 0.5
    multiple: int = 1

    def __post_init__(self) -> None:
        lines = {DIRECTIONS[a][0] for a in self.axes if a in DIRECTIONS}
        if len(self.axes) != 3 or len(lines) != 3:
            raise InputError(
                "axes",
                got=str(list(self.axes)),
                expected="one of head/feet, one of front/back, one of left/right, in some order",
                remedy='For example axes = ["head", "back", "left"].',
            )
        _require(len(self.spacing_mm) == 3 and min(self.spacing_mm) > 0, "spacing_mm",
                 self.spacing_mm, "three spacings above 0, in the order of axes")  # fmt: skip
        _require(self.window_hu[0] < self.window_hu[1], "window_hu", self.window_hu, "low < high")
        _require(self.divide != 0.0, "divide", self.divide, "a number that is not 0")
        _require(0.0 <= self.overlap <= 0.9, "overlap", self.overlap, "0 to 0.9")
        _require(1 <= self.multiple <= 512, "multiple", self.multiple, "1 to 512")
        _require(self.patch is None or (len(self.patch) == 3 and min(self.patch) >= 1), "patch",
                 self.patch, "three voxel counts")  # fmt: skip
        values = [v for v, _ in self.labels]
        _require(bool(values) and len(set(values)) == len(values) and min(values) >= 0, "labels",
                 values, "at least one, each class once")  # fmt: skip
        for _, name in self.labels:
            structure(name)


def _require(good: bool, field: str, got: object, expected: str) -> None:
    if not good:
        raise InputError(
            field, got=str(got), expected=expected, remedy="Mend that key of the manifest."
        )


def run_network(
    volume: Volume, spec: NetworkSpec, predict: Predict, *, progress: Progress = no_progress
) -> LabelMap:
    """The structures that ``predict`` finds, on the volume's own grid.

    The CT is resampled (anti-aliased) to the network's spacing about the axes of the scan that
    are nearest to the patient's, turned to the network's axes, windowed, cut into overlapping
    tiles and predicted; scores are blended with Gaussian weights, brought back by linear
    interpolation and only then decided, so that the surface keeps its place between voxels.
    Raises `InputError` when the network's answer has another shape than it should.
    """
    turned, affine = reorder_axes(volume.array, volume.grid.affine, UPRIGHT)
    upright = Volume(turned, _grid(turned, affine, volume.grid), volume.quantity)
    lines = [DIRECTIONS[a] for a in spec.axes]
    spacing = np.empty(3)
    for (line, _), step in zip(lines, spec.spacing_mm, strict=True):
        spacing[line] = step
    progress(0.0, "model: resampling")
    coarse = resample_volume(
        upright, upright.grid.resized(spacing.tolist()), outside=float(spec.window_hu[0])
    )
    order = [line for line, _ in lines]
    flips = tuple(slice(None, None, -1 if back else 1) for _, back in lines)
    seen = np.clip(coarse.array.transpose(order)[flips], *spec.window_hu)
    image = np.ascontiguousarray((seen - spec.subtract) / spec.divide, dtype=np.float32)
    scores = _predicted(image, spec, predict, progress)
    back = np.argsort(order)
    scores = scores[(slice(None), *flips)].transpose(0, *(1 + back))
    progress(0.85, "model: back to the scan's grid")
    return _decided(scores, coarse.grid, volume, spec)


def _grid(array: NDArray[Any], affine: NDArray[np.float64], like: Grid) -> Grid:
    shape = (array.shape[0], array.shape[1], array.shape[2])
    return Grid(shape, affine, like.frame_of_reference_uid)


def _predicted(image: F32, spec: NetworkSpec, predict: Predict, progress: Progress) -> F32:
    """Scores (kept labels [+ all others], a, b, c) of the whole image."""
    fill = np.float32((spec.window_hu[0] - spec.subtract) / spec.divide)
    if spec.patch is None:
        size = [-(-n // spec.multiple) * spec.multiple for n in image.shape]
    else:
        size = list(spec.patch)
    shape = tuple(max(n, s) for n, s in zip(image.shape, size, strict=True))
    padded = np.full(shape, fill, dtype=np.float32)
    whole = tuple(slice(0, n) for n in image.shape)
    padded[whole] = image
    tiles = list(_tiles(shape, size, spec.overlap))
    weight = _weight(size) if len(tiles) > 1 else np.ones(size, dtype=np.float32)
    count = len(spec.labels) + (spec.output in ("logits", "probabilities"))
    sums = np.zeros((count, *shape), dtype=np.float32)
    total = np.zeros(shape, dtype=np.float32)
    for n, tile in enumerate(tiles):
        progress(0.05 + 0.8 * n / len(tiles), f"model: tile {n + 1} of {len(tiles)}")
        sums[(slice(None), *tile)] += weight * _scores(
            predict(np.ascontiguousarray(padded[tile])), size, spec
        )
        total[tile] += weight
    sums /= total
    out: F32 = sums[(slice(None), *whole)]
    return out


def _tiles(
    shape: tuple[int, ...], size: list[int], overlap: float
) -> Iterator[tuple[slice, slice, slice]]:
    starts = []
    for n, s in zip(shape, size, strict=True):
        step = max(1, round(s * (1.0 - overlap)))
        count = 1 + -(-(n - s) // step)
        starts.append(sorted({round(k * (n - s) / max(1, count - 1)) for k in range(count)}))
    for a, b, c in product(*starts):
        yield slice(a, a + size[0]), slice(b, b + size[1]), slice(c, c + size[2])


def _weight(size: list[int]) -> F32:
    axes = [(np.arange(n) - (n - 1) / 2) / max(1.0, n / 2) * _EDGE_SIGMAS for n in size]
    a, b, c = (np.exp(-0.5 * x**2) for x in axes)
    weight = a[:, None, None] * b[None, :, None] * c[None, None, :]
    out: F32 = np.maximum(weight / weight.max(), 1e-3).astype(np.float32)
    return out


def _scores(answer: NDArray[Any], size: list[int], spec: NetworkSpec) -> F32:
    """One score a kept label, and the best of all other classes last where classes compete."""
    values = [v for v, _ in spec.labels]
    if spec.output == "labels":
        if answer.shape != tuple(size):
            raise _wrong_answer(answer, f"labels of shape {tuple(size)}")
        return np.stack([answer == v for v in values]).astype(np.float32)
    if answer.ndim != 4 or answer.shape[1:] != tuple(size) or answer.shape[0] <= max(values):
        raise _wrong_answer(answer, f"at least {max(values) + 1} classes of shape {tuple(size)}")
    answer = answer.astype(np.float32, copy=False)
    if not np.all(np.isfinite(answer)):
        raise _wrong_answer(answer, "finite scores")
    if spec.output == "sigmoid":
        out: F32 = answer[values]
        return out
    if spec.output == "logits":
        shifted = np.exp(answer - answer.max(axis=0))
        answer = shifted / shifted.sum(axis=0)
    others = [k for k in range(answer.shape[0]) if k not in values]
    rest = answer[others].max(axis=0) if others else np.zeros(size, dtype=np.float32)
    return np.concatenate([answer[values], rest[None]]).astype(np.float32)


def _decided(scores: F32, coarse: Grid, volume: Volume, spec: NetworkSpec) -> LabelMap:
    """The label map on the volume's grid, one class at a time to spare memory."""
    compete = spec.output in ("logits", "probabilities")
    floor = spec.threshold if spec.output == "sigmoid" else 0.5
    if compete:
        best = _on(scores[-1], coarse, volume.grid).copy()
    else:
        best = np.full(volume.grid.shape, floor, dtype=np.float32)
    array = np.zeros(volume.grid.shape, dtype=np.uint8)
    labels = {}
    for k, (_, name) in enumerate(spec.labels):
        label = structure(name)
        score = _on(scores[k], coarse, volume.grid)
        wins = score > best
        array[wins] = label.value
        best[wins] = score[wins]
        labels[label.name] = label
    return LabelMap(array, volume.grid, tuple(labels.values()))


def _on(score: F32, coarse: Grid, grid: Grid) -> F32:
    """``score`` on ``grid``, linear; the border's value holds beyond the last centres."""
    padded = np.pad(score, 1, mode="edge")
    affine = coarse.affine.copy()
    affine[:3, 3] = coarse.index_to_lps((-1, -1, -1))
    source = Volume(padded, _grid(padded, affine, coarse), "probability")
    out: F32 = resample_volume(source, grid, outside=0.0, smooth=False).array
    return out


def _wrong_answer(answer: NDArray[Any], expected: str) -> InputError:
    return InputError(
        "model output",
        got=f"{answer.dtype} of shape {answer.shape}",
        expected=expected,
        remedy="Check the manifest's [output], labels, layout and patch against the model.",
    )
