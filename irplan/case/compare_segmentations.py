"""Two segmentations of one scan held against each other, structure by structure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irplan import __version__
from irplan.case.structures import Mask, Part, Structures, open_structures
from irplan.compute.progress import Progress, no_progress
from irplan.errors import GridMismatchError, InputError
from irplan.files.atomic import atomic_path
from irplan.geometry import Grid
from irplan.image.resample import resample_mask
from irplan.segmentation.morphology import box_of
from irplan.segmentation.quality import MaskQuality, compare_masks

COMPARISON_SCHEMA = "irplan-comparison"
COMPARISON_SCHEMA_VERSION = 1

#: Column of the CSV (and key of the JSON) -> unit in words.
MEASURES = {
    "dice": "1",
    "voe_percent": "%",
    "rvd_percent": "%",
    "bias_ml": "ml",
    "volume_ml": "ml",
    "reference_ml": "ml",
    "asd_mm": "mm",
    "rmsd_mm": "mm",
    "msd_mm": "mm",
    "hd95_mm": "mm",
    "sliver07_asd_mm": "mm",
    "sliver07_rmsd_mm": "mm",
    "sliver07_msd_mm": "mm",
    "sliver07_score": "points of 100",
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """``rows``: (structure, its `MaskQuality`); ``messages`` in words; ``resampled`` A onto B."""

    file: str
    reference: str
    rows: tuple[tuple[str, MaskQuality], ...]
    messages: tuple[str, ...]
    resampled: bool


def run_comparison(
    path: str | Path,
    reference: str | Path,
    *,
    labels: Sequence[str] = (),
    resample: bool = False,
    progress: Progress = no_progress,
) -> Comparison:
    """Compare the label map, mask or SEG ``path`` (A) with ``reference`` (B).

    Parameters
    ----------
    labels : what to compare: names, values, or several joined (``"liver+vessel"``), or what is
        called differently in A and B (``"liver=5"``); default all structures both have, matched
        by name, or by value where neither file has names.
    resample : allow another grid: A is resampled onto B's (trilinear occupancy of one half).

    Raises
    ------
    GridMismatchError : the grids differ and ``resample`` was not given.
    InputError : no such label, nothing in common, names in one file only, or a structure that
        both sides lack.
    """
    progress(0.0, "compare: reading")
    a, b = open_structures(path), open_structures(reference)
    grid, placing = _common_grid(a, b, resample=resample)
    pairs, messages = _pairs(a, b, labels)
    rows = []
    for n, (title, own, wanted) in enumerate(pairs):
        progress(0.1 + 0.9 * n / len(pairs), f"compare: {title}")
        mask = placing(own)
        target = b.mask(wanted, grid)
        if not (mask.any() or target.any()):
            if labels:
                raise InputError(
                    f"structure '{title}'",
                    got="no voxel in either file",
                    expected="a structure that at least one of them holds",
                    remedy="Check the label.",
                )
            messages.append(f"{title}: empty in both; nothing to compare.")
            continue
        part = box_of(mask | target, (2, 2, 2))
        others = _others(b, wanted, grid, part)
        crop = grid.crop([s.start for s in part], [s.stop - s.start for s in part])
        rows.append((title, compare_masks(mask[part], target[part], crop, others=others)))
    progress(1.0, "compare: done")
    return Comparison(a.file, b.file, tuple(rows), tuple(messages), grid is not a.grid and resample)


def _others(b: Structures, wanted: Sequence[int], grid: Grid, part: Part) -> dict[str, Mask]:
    """What the structure must not leak into; the rest of the body is no structure."""
    if not b.named:
        return {}
    return {
        name: b.mask((value,), grid, part)
        for name, value in zip(b.names, b.values, strict=True)
        if value not in wanted and name != "body"
    }


class _Placing:
    """Masks of A on the common grid."""

    def __init__(self, a: Structures, grid: Grid, resampled: bool) -> None:
        self._a, self._grid, self._resampled = a, grid, resampled

    def __call__(self, values: Sequence[int]) -> Mask:
        if not self._resampled:
            return self._a.mask(values, self._grid)
        return resample_mask(self._a.mask(values, self._a.grid), self._a.grid, self._grid)


def _common_grid(a: Structures, b: Structures, *, resample: bool) -> tuple[Grid, _Placing]:
    """The grid to compare on; a sparse file takes the other's, two sparse ones what holds both."""
    try:
        if not a.sparse and not b.sparse:
            b.grid.require_same(a.grid, field=f"'{a.file}'")
        grid = a.grid if b.sparse and not a.sparse else b.grid
        if a.sparse and b.sparse:
            grid = _union(a.grid, b.grid)
        for each in (a, b):
            if each.sparse:
                each.mask(each.values[:1], grid)
        return grid, _Placing(a, grid, False)
    except GridMismatchError as error:
        if resample:
            return b.grid, _Placing(a, b.grid, True)
        raise GridMismatchError(
            error.field,
            got=error.got,
            expected=error.expected.replace("the image's grid", f"the grid of '{b.file}',"),
            remedy="Compare segmentations of one scan on one grid, or give --resample to put A "
            "onto B's grid (which blurs the surface by up to half a voxel).",
        ) from error


def _union(a: Grid, b: Grid) -> Grid:
    """The grid of ``a``'s voxels that holds both (SEG files leave empty slices out)."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in b.shape])).reshape(3, -1).T
    index = np.rint(a.lps_to_index(b.index_to_lps(corners)))
    low = np.minimum(0, index.min(axis=0)).astype(int)
    high = np.maximum(np.array(a.shape) - 1, index.max(axis=0)).astype(int)
    affine = a.affine.copy()
    affine[:3, 3] = a.index_to_lps(low)
    shape = high - low + 1
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine, a.frame_of_reference_uid)


def _pairs(
    a: Structures, b: Structures, labels: Sequence[str]
) -> tuple[list[tuple[str, tuple[int, ...], tuple[int, ...]]], list[str]]:
    """(title, values in A, values in B) of what is to be compared, and what was left out."""
    if labels:
        sides = [(w, w.partition("=")[0], w.partition("=")[2] or w) for w in labels]
        return [(w, a.find(in_a), b.find(in_b)) for w, in_a, in_b in sides], []
    if len(a.values) == len(b.values) == 1 and not (a.named and b.named):
        title = b.names[0] if b.named else a.names[0] if a.named else "mask"
        return [(title, a.values, b.values)], []
    if a.named != b.named:  # equal numbers would mean different things
        bare, other = (b, a) if a.named else (a, b)
        raise InputError(
            "structures",
            got=f"'{bare.file}', {len(bare.values)} values without names, and names in "
            f"'{other.file}'",
            expected="names in both, or --label",
            remedy="Say what belongs together, A=B: for example --label liver=5.",
        )
    by_name = a.named
    keys_a: Sequence[str | int] = a.names if by_name else a.values
    keys_b: Sequence[str | int] = b.names if by_name else b.values
    shared = [k for k in keys_b if k in keys_a]
    if not shared:
        raise InputError(
            "structures",
            got=f"{', '.join(a.names) or 'none'} in A, {', '.join(b.names) or 'none'} in B",
            expected="at least one structure in both",
            remedy="Name what to compare with --label.",
        )
    titles = dict(zip(keys_b, b.names, strict=True)) if b.named else {}
    named_a = dict(zip(keys_a, a.names, strict=True))
    pairs: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
        (
            titles.get(k, named_a[k]),
            (a.values[list(keys_a).index(k)],),
            (b.values[list(keys_b).index(k)],),
        )
        for k in shared
    ]
    messages = []
    for which, mine, theirs, names in (
        ("A", keys_a, keys_b, a.names),
        ("B", keys_b, keys_a, b.names),
    ):
        only = [n for n, k in zip(names, mine, strict=True) if k not in theirs]
        if only:
            messages.append(f"Only in {which}, not compared: {', '.join(only)}.")
    return pairs, messages


def row_values(quality: MaskQuality) -> dict[str, float | None]:
    """The measures of one structure by the names of `MEASURES`."""
    fine, usual = quality.surface, quality.sliver07
    return {
        "dice": quality.dice,
        "voe_percent": quality.voe_percent,
        "rvd_percent": quality.rvd_percent,
        "bias_ml": quality.bias_ml,
        "volume_ml": quality.volume_ml,
        "reference_ml": quality.reference_ml,
        "asd_mm": fine.average_mm if fine else None,
        "rmsd_mm": fine.rms_mm if fine else None,
        "msd_mm": fine.largest_mm if fine else None,
        "hd95_mm": fine.hd95_mm if fine else None,
        "sliver07_asd_mm": usual.average_mm if usual else None,
        "sliver07_rmsd_mm": usual.rms_mm if usual else None,
        "sliver07_msd_mm": usual.largest_mm if usual else None,
        "sliver07_score": quality.sliver07_score,
    }


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "schema": COMPARISON_SCHEMA,
        "schema_version": COMPARISON_SCHEMA_VERSION,
        "irplan_version": __version__,
        "file": comparison.file,
        "reference": comparison.reference,
        "resampled": comparison.resampled,
        "units": dict(MEASURES),
        "structures": [
            {"structure": name, **row_values(quality), "leaks_ml": dict(quality.leaks_ml)}
            for name, quality in comparison.rows
        ],
        "messages": list(comparison.messages),
    }


def write_comparison_csv(comparison: Comparison, path: str | Path) -> None:
    """One line a structure; empty where a measure is not defined.  Raises `OutputError`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("structure", *MEASURES, "leaks_ml"))
    for name, quality in comparison.rows:
        values = row_values(quality)
        cells = ["" if (v := values[k]) is None else f"{v:.6g}" for k in MEASURES]
        leaks = "; ".join(f"{n} {v:.3g}" for n, v in quality.leaks_ml)
        writer.writerow((name, *cells, leaks))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
