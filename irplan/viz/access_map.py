"""The access map drawn: the skin unwrapped, and on the body."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from irplan.planning.access_map import BLOCKED, CLEAR, NOT_CHECKED, AccessMap
from irplan.viz import style
from irplan.viz.meshes import Mesh

_CMAP = "viridis"
_BLOCKED = "#cfd6dc"
_SKIN = "#efe3da"
#: Colours of what limits an entry (Okabe and Ito), the rest is grey.
_LIMITS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#f0e442")
#: Light of the bodies drawn.
_LIGHT = np.array([0.25, -0.8, 0.55])


def access_figure(found: AccessMap, skin: Mesh | None = None) -> Figure:
    """Share of the target that needles from each entry reach (%), and what limits each entry.

    Above: the skin unwrapped round the body's long axis (angle 0 at the front, + to the patient's
    left; height in LPS mm).  Squares: clear; crosses: no known rule is broken, but not all could
    be checked; pale: blocked.  Numbers: the ranked candidates.  Below: what limits each entry, and
    the body seen from where the best entry lies and from the front.
    """
    norm = Normalize(0.0, 100.0)
    with style.styled():
        figure = style.new_figure(13.0, 9.6)
        parts: Any = figure.subfigures(2, 1, height_ratios=(1.0, 1.05))
        top: Any = parts[0].subplots(1, 2)
        _share(top[0], found, norm)
        _limiting(top[1], found)
        bottom: Any = parts[1].subplots(1, 2)
        views = (("from the front", np.array([0.0, -1.0, 0.0])), _best_view(found))
        for axes, (title, way) in zip(bottom, views, strict=True):
            _body(axes, found, skin, norm, title, way)
        from matplotlib.cm import ScalarMappable

        bar = figure.colorbar(ScalarMappable(norm, _CMAP), ax=bottom, shrink=0.8, pad=0.01)
        bar.set_label("share of the target that needles reach (%)")
    return figure


def unwrapped(points_mm: NDArray[np.float64], middle: NDArray[np.float64]) -> tuple[Any, Any]:
    """Angle round the body's long axis (degrees, 0 front, +90 left) and height z (mm)."""
    rel = points_mm - middle
    return np.degrees(np.arctan2(rel[:, 0], -rel[:, 1])), points_mm[:, 2]


def _middle(found: AccessMap) -> NDArray[np.float64]:
    points = found.entries_mm[found.on_skin] if found.on_skin.any() else found.entries_mm
    out: NDArray[np.float64] = (points.min(axis=0) + points.max(axis=0)) / 2.0
    return out


def _share(axes: Axes, found: AccessMap, norm: Normalize) -> None:
    angle, height = unwrapped(found.entries_mm, _middle(found))
    share = 100.0 * found.share()
    blocked = found.status == BLOCKED
    axes.scatter(angle[blocked], height[blocked], s=5, c=_BLOCKED, marker="s", linewidths=0,
                 rasterized=True)  # fmt: skip
    for status, marker, size in ((NOT_CHECKED, "x", 9), (CLEAR, "s", 11)):
        rows = np.flatnonzero(found.status == status)
        rows = rows[np.argsort(share[rows], kind="stable")]
        axes.scatter(angle[rows], height[rows], s=size, c=share[rows], cmap=_CMAP, norm=norm,
                     marker=marker, linewidths=0.8 if marker == "x" else 0.0, rasterized=True,
                     gid=f"status-{status}")  # fmt: skip
    _numbers(axes, found)
    counts = [int((found.status == s).sum()) for s in (CLEAR, NOT_CHECKED, BLOCKED)]
    handles = [
        Line2D([], [], ls="", marker="s", color="#21918c", label=f"clear ({counts[0]})"),
        Line2D([], [], ls="", marker="x", color="#21918c",
               label=f"not all checked, not clear ({counts[1]})"),
        Line2D([], [], ls="", marker="s", color=_BLOCKED, label=f"blocked ({counts[2]})"),
    ]  # fmt: skip
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    _frame(axes)
    axes.set_title("Entry points on the skin, unwrapped: share of the target reached (%)")


def _limiting(axes: Axes, found: AccessMap) -> None:
    angle, height = unwrapped(found.entries_mm, _middle(found))
    first_rule = len(found.limits) - len(found.rule_names)
    names = [
        "path with no structure near",
        *(f"path near {n}" if k < first_rule else n for k, n in enumerate(found.limits)),
    ]
    number = found.limiting + 1
    count = np.bincount(number, minlength=len(names))
    most = [int(i) for i in np.argsort(-count, kind="stable") if count[i]][: len(_LIMITS)]
    rest = ~np.isin(number, most)
    axes.scatter(angle[rest], height[rest], s=5, c="#9aa5af", marker="s", linewidths=0,
                 rasterized=True)  # fmt: skip
    handles = []
    for colour, i in zip(_LIMITS, most, strict=False):
        rows = number == i
        axes.scatter(angle[rows], height[rows], s=6, c=colour, marker="s", linewidths=0,
                     rasterized=True)  # fmt: skip
        words = names[i] if len(names[i]) < 46 else names[i][:43] + "..."
        handles.append(Line2D([], [], ls="", marker="s", color=colour, label=words))
    if rest.any():
        handles.append(Line2D([], [], ls="", marker="s", color="#9aa5af", label="other"))
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2,
                fontsize=8)  # fmt: skip
    _frame(axes)
    axes.set_title("What limits: nearest structure of a path, rule that blocks most")


def _numbers(axes: Axes, found: AccessMap) -> None:
    paths = (*found.candidates, *found.unchecked_candidates)[:9]
    if not paths:
        return
    angle, height = unwrapped(np.array([c.needle.entry_mm for c in paths]), _middle(found))
    for n, (x, y) in enumerate(zip(angle, height, strict=True), start=1):
        axes.text(x, y, str(n), ha="center", va="center", fontsize=8, weight="bold",
                  bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": style.INK, "lw": 0.8},
                  gid="candidate")  # fmt: skip


def _frame(axes: Axes) -> None:
    axes.set_xlim(-180, 180)
    axes.set_xticks([-180, -90, 0, 90, 180], ["P", "R", "A", "L", "P"])
    axes.set_xlabel("angle round the body (R, A, L, P: the patient's sides; 90° apart)")
    axes.set_ylabel("height z (LPS mm, head up)")
    axes.spines[["top", "right"]].set_visible(False)


def _best_view(found: AccessMap) -> tuple[str, NDArray[np.float64]]:
    paths = (*found.candidates, *found.unchecked_candidates)
    if not paths:
        return "from the right", np.array([-1.0, 0.0, 0.0])
    way = -np.asarray(paths[0].needle.direction)
    way = np.array([way[0], way[1], 0.35])
    if np.hypot(way[0], way[1]) < 1e-6:
        way[1] = -1.0
    out: NDArray[np.float64] = way / np.linalg.norm(way)
    return "from the side of candidate 1", out


def _body(
    axes: Axes,
    found: AccessMap,
    skin: Mesh | None,
    norm: Normalize,
    title: str,
    near: NDArray[np.float64],
) -> None:
    """The skin's triangles, those behind first; orthographic, ``near`` points to the viewer."""
    right = np.cross([0.0, 0.0, 1.0], near)
    right /= np.linalg.norm(right)
    up = np.cross(near, right)
    axes.set_title(f"On the body, {title}")
    axes.set_aspect("equal")
    axes.set_axis_off()
    if skin is None or not len(skin.faces):
        return
    corner = skin.vertices[skin.faces]
    middle = corner.mean(axis=1)
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-12)[:, None]
    front = np.asarray(normal @ near > 0.0)
    corner, middle, normal = corner[front], middle[front], normal[front]
    gap, at = (np.asarray(a) for a in cKDTree(found.entries_mm).query(middle))
    status = np.where(gap <= 2.0 * found.entry_spacing_mm, found.status[at], BLOCKED + 1)
    colour = np.tile(np.array([[0.94, 0.89, 0.855, 1.0]]), (len(middle), 1))
    colour[status == BLOCKED] = (0.78, 0.81, 0.84, 1.0)
    open_ = status < BLOCKED
    colour[open_] = colormaps[_CMAP](norm(100.0 * found.share()[at[open_]]))
    light = 0.55 + 0.45 * np.clip(normal @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    colour[:, :3] *= light[:, None]
    order = np.argsort(np.asarray(middle @ near))
    flat = np.stack([corner @ right, corner @ up], axis=-1)[order]
    axes.add_collection(
        PolyCollection(
            list(flat),
            facecolors=colour[order],
            edgecolors=colour[order],
            linewidths=0.6,
            rasterized=True,
        )
    )
    axes.autoscale_view()
    unsure = middle[status == NOT_CHECKED][::7]
    if len(unsure):
        axes.plot(unsure @ right, unsure @ up, "x", color="white", ms=2.5, mew=0.7,
                  gid="not-checked")  # fmt: skip
        axes.text(0.0, -0.02, "× not all checked: not clear", transform=axes.transAxes, fontsize=9)
    paths = (*found.candidates, *found.unchecked_candidates)[:9]
    for n, c in reversed(list(enumerate(paths, start=1))):
        entry, tip = np.array(c.needle.entry_mm), np.array(c.needle.tip_mm)
        outer = entry + 40.0 * (entry - tip) / np.linalg.norm(entry - tip)
        if (entry - tip) @ near < 0.0:
            continue
        line = np.array([outer, entry])
        axes.plot(line @ right, line @ up, color=style.INK, lw=1.2)
        axes.text(float(outer @ right), float(outer @ up), str(n), ha="center", va="center",
                  fontsize=8, weight="bold",
                  bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": style.INK, "lw": 0.8},
                  gid="candidate")  # fmt: skip
    letters = {"R": (-1, 0, 0), "L": (1, 0, 0), "A": (0, -1, 0), "P": (0, 1, 0), "H": (0, 0, 1),
               "F": (0, 0, -1)}  # fmt: skip
    for place, way in (((0.0, 0.5), -right), ((1.0, 0.5), right), ((0.5, 1.0), up),
                       ((0.5, 0.0), -up)):  # fmt: skip
        letter = max(letters, key=lambda k: float(np.dot(letters[k], way)))
        axes.text(*place, letter, transform=axes.transAxes, ha="center", va="center",
                  weight="bold", gid="orientation")  # fmt: skip
