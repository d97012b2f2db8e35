"""The 3-D view: VTK inside Qt, made only where OpenGL answers; needles can be dragged in it."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QStackedLayout, QWidget

from irplan_planner.model.handles import GRAB_PX, Part
from irplan_planner.model.surfaces import (
    MARGIN_COLOURS,
    SurfaceMesh,
    access_skin,
    anatomy,
    level_surfaces,
    target_surface,
)
from irplan_planner.widgets import theme
from irplan_planner.widgets.opengl import opengl_trouble
from irplan_planner.widgets.scene import SharedScene

#: Changes are gathered this long, and this long while a needle moves in another view, ms.
SOON_MS, LIVE_MS = 15, 220


class View3D(QWidget):
    """Skin, organs, target with its margins, ice and needles; a line of words until it is ready."""

    def __init__(self, scene: SharedScene, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("view-3d")
        self.setMinimumSize(140, 120)
        self.scene = scene
        self.plotter: Any = None
        self.painted = 0
        self.shown = {"skin": True, "liver": True, "vessels": True, "bone": True,
                      "gallbladder": True, "access": False, "ice": True}  # fmt: skip
        self._words = QLabel("3-D view: checking OpenGL ...")
        self._words.setWordWrap(True)
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._words)
        self._anatomy: tuple[object, tuple[SurfaceMesh, ...]] | None = None
        self._asked: object = None
        self._drawn: dict[str, object] = {}
        self._target_drawn: object = None
        self._drag: tuple[int, Part, NDArray[np.float64], float] | None = None
        self._framed: object = None
        self._closed = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        scene.planner.desk.listen(self._changed)
        scene.changed.connect(self._needle_colours)

    # ---------------------------------------------------------------- start and end

    def start(self) -> None:
        """Ask whether OpenGL answers (in the background), and make the view if it does."""
        if QGuiApplication.platformName() in ("offscreen", "minimal"):
            self._words.setText("3-D view: not on this display (Qt draws off-screen).")
            return
        if not os.environ.get("DISPLAY") and QGuiApplication.platformName() == "xcb":
            self._words.setText("3-D view: no display.")
            return
        jobs = self.scene.planner.desk
        jobs.work("Checking OpenGL", "setup", lambda p: opengl_trouble(), self._make,
                  quiet=True)  # fmt: skip

    def _make(self, trouble: str) -> None:
        if self._closed:
            return
        if trouble:
            self._words.setText(f"No 3-D view. {trouble}")
            self.scene.planner.desk.say(f"No 3-D view. {trouble}", "warning")
            return
        from pyvistaqt import QtInteractor

        self.plotter = QtInteractor(self, auto_update=False, off_screen=False, multi_samples=0)
        self.plotter.set_background(theme.BACK)
        self.plotter.renderer.SetUseDepthPeeling(False)
        self.plotter.enable_trackball_style()
        self.plotter.interactor.installEventFilter(self)
        self._stack.addWidget(self.plotter.interactor)
        self._stack.setCurrentWidget(self.plotter.interactor)
        self._title()
        self.refresh()

    def rescale(self) -> None:
        """Words of the size that the monitor wants (`SharedScene.ui_scale`)."""
        if self.plotter is not None:
            self._title()
            self._legend()
            self.draw()

    def _title(self) -> None:
        self.plotter.add_text(
            "3-D", position="upper_left", font_size=round(8 * self.scene.ui_scale),
            color="white", name="title", render=False,
        )  # fmt: skip

    def close_view(self) -> None:
        """Let VTK go."""
        self._closed = True
        if self.plotter is not None:
            self.plotter.interactor.removeEventFilter(self)
            self.plotter.close()
            self.plotter = None

    # ---------------------------------------------------------------- content

    def _changed(self, topic: str) -> None:
        """Changes are drawn together; while a needle is in hand the slices come first."""
        if topic in ("state", "extras") and not self._soon.isActive():
            self._soon.start(SOON_MS)
        elif topic == "live":
            self._soon.start(SOON_MS if self._drag is not None else LIVE_MS)

    def refresh(self) -> None:
        """Draw what has changed since the last time."""
        if self.plotter is None:
            return
        state = self.scene.planner.state
        if state.volume is None:
            return
        if state.labels is None and self._anatomy is not None:
            self._anatomy = None
            for key in ("skin", "liver", "vessels", "bone", "gallbladder"):
                self._remove(key)
        if state.labels is not None and (
            self._anatomy is None or self._anatomy[0] is not state.labels
        ):
            self._ask_anatomy(state)
        self._target()
        self._ice()
        self._needles()
        self._access()
        self._legend()
        self.draw()

    def _ask_anatomy(self, state: Any) -> None:
        labels = state.labels
        if self._asked is labels:
            return
        self._asked = labels

        def done(found: Any) -> None:
            if self.plotter is None or self.scene.planner.state.labels is not labels:
                self._asked = None
                return
            self._anatomy = (labels, found)
            for key in ("skin", "liver", "vessels", "bone", "gallbladder"):
                self._remove(key)
            for mesh in found:
                self._add(mesh)
            self.set_shown()
            if self._framed is not state.volume:
                self._framed = state.volume
                self.look_from_front()
            self.draw()

        self.scene.planner.desk.work(
            "Surfaces", "read", lambda p: anatomy(state, p), done, latest=True, quiet=True
        )

    def _target(self) -> None:
        state, found = self.scene.planner.state, self.scene.planner.desk.simulation
        key = (state.target, found)
        if key == self._target_drawn:
            return
        self._target_drawn = key
        goal = 5.0 if state.plan is None else state.plan.margin_goal_mm
        mesh = target_surface(state, found, goal)
        if mesh is None:
            self._remove("target")
        else:
            self._add(mesh)

    def _ice(self) -> None:
        found = self.scene.planner.desk.simulation
        if self._drawn.get("ice-of") is found:
            return
        self._drawn["ice-of"] = found
        for key in ("ice-outer", "ice-lethal"):
            self._remove(key)
        if found is None or self.scene.planner.state.plan is None or not self.shown["ice"]:
            return
        levels = self.scene.zone(found)
        picked = (levels[0], levels[-1]) if len(levels) > 1 else levels
        for key, mesh in zip(("ice-outer", "ice-lethal"), level_surfaces(picked), strict=False):
            opacity = 0.16 if key == "ice-outer" else 0.3
            self._add(SurfaceMesh(key, mesh.points, mesh.faces, mesh.colour, opacity), smooth=False)

    def _needles(self) -> None:
        import pyvista as pv

        planner = self.scene.planner
        groups = [(planner.desk.placements, theme.NEEDLE), (planner.state.achieved, theme.ACHIEVED)]
        key = (groups[0][0], groups[1][0], self.scene.needle)
        if self._drawn.get("needles-of") == key:
            return
        self._drawn["needles-of"] = key
        for name in [n for n in self.plotter.actors if n.startswith("needle-")]:
            self.plotter.remove_actor(name, render=False)
        for group, (placements, colour) in enumerate(groups):
            for n, p in enumerate(placements, start=1):
                tip, entry = np.asarray(p.needle.tip_mm), np.asarray(p.needle.entry_mm)
                back = entry - 35.0 * p.needle.direction
                radius = 1.5 if n == self.scene.needle and group == 0 else 1.1
                name = f"needle-{group}-{n}"
                shaft = pv.Tube(pointa=back, pointb=tip, radius=radius, n_sides=10)
                self.plotter.add_mesh(shaft, color=colour, name=name, render=False, ambient=0.3)
                a, b = p.active_segment
                active = pv.Tube(pointa=a, pointb=b, radius=1.4 * radius, n_sides=10)
                self.plotter.add_mesh(
                    active, color=theme.NEEDLE_ACTIVE, name=f"{name}-active", render=False
                )
                if group == 0:
                    for part, place in (("tip", tip), ("entry", entry)):
                        ball = pv.Sphere(radius=3.0, center=place, theta_resolution=14,
                                         phi_resolution=14)  # fmt: skip
                        self.plotter.add_mesh(
                            ball, color=colour, name=f"{name}-{part}", render=False, ambient=0.4
                        )

    def _access(self) -> None:
        extra = self.scene.planner.desk.extras.access
        key = (extra, self.shown["access"], self._anatomy)
        if self._drawn.get("access-of") == key:
            return
        self._drawn["access-of"] = key
        self._remove("access")
        state = self.scene.planner.state
        if self.shown["access"] and extra is None:
            self.scene.planner.desk.attempt(self.scene.planner.plans.access)
        if extra is None or not self.shown["access"] or extra[0] != state.simulated_from[:3]:
            return
        skin = next((m for m in (self._anatomy or (0, ()))[1] if m.key == "skin"), None)
        if skin is not None:
            self._add(access_skin(skin, extra[1]))

    def _legend(self) -> None:
        found = self.scene.planner.desk.simulation
        words = ""
        if found is not None:
            named = zip(("red", "amber", "green"), MARGIN_COLOURS, strict=True)
            first, *others = (f"{c} {w}" for c, (_, w) in named)
            words = f"Target: {first},\n{', '.join(others)}"
        if self.shown["access"]:
            words += "\nSkin: green clear, amber not checked, dark blocked"
        self.plotter.add_text(
            words or " ", position="lower_left", font_size=round(9 * self.scene.ui_scale),
            color="#d8e2ec", name="legend",
            render=False,
        )  # fmt: skip

    def _add(self, mesh: SurfaceMesh, *, smooth: bool = True) -> None:
        import pyvista as pv

        cells = np.column_stack([np.full(len(mesh.faces), 3), mesh.faces]).ravel()
        surface = pv.PolyData(mesh.points, cells)
        if smooth:
            surface = surface.smooth_taubin(n_iter=15, pass_band=0.1)
        kind: dict[str, Any] = {"color": mesh.colour}
        if mesh.rgb is not None:
            surface["rgb"] = mesh.rgb
            kind = {"scalars": "rgb", "rgb": True}
        surface = surface.compute_normals(cell_normals=False, split_vertices=False)
        actor = self.plotter.add_mesh(
            surface, name=mesh.key, opacity=mesh.opacity, smooth_shading=True, render=False,
            culling="back" if mesh.opacity < 1.0 else None, ambient=0.2, specular=0.2,
            show_scalar_bar=False, reset_camera=False, **kind,
        )  # fmt: skip
        if mesh.opacity < 1.0:
            actor.ForceTranslucentOn()

    def _remove(self, key: str) -> None:
        if key in self.plotter.actors:
            self.plotter.remove_actor(key, render=False)

    def set_shown(self, **parts: bool) -> None:
        """Show or hide parts by key."""
        self.shown.update(parts)
        if self.plotter is None:
            return
        for key, on in self.shown.items():
            if key in self.plotter.actors:
                self.plotter.actors[key].SetVisibility(on)
        if "ice" in parts:
            self._drawn.pop("ice-of", None)
            self._ice()
        if "access" in parts:
            self._access()
            self._legend()
        self.draw()

    def _needle_colours(self) -> None:
        if self.plotter is not None and self.scene.planner.desk.live is None:
            before = self._drawn.get("needles-of")
            self._needles()
            if self._drawn.get("needles-of") != before:
                self.draw()

    # ---------------------------------------------------------------- camera

    def look_from_front(self) -> None:
        """From the patient's front right, a little from above; all of the skin in sight."""
        state = self.scene.planner.state
        middle = state.grid.centre_lps_mm
        eye = np.array([-0.55, -0.8, 0.3])
        size = max(np.asarray(state.grid.shape) * state.grid.spacing_mm)
        self._look(middle, eye, 1.55 * float(size))

    def look_along(self, number: int) -> None:
        """From where needle ``number`` comes from, a little aside."""
        placements = self.scene.planner.desk.placements
        if self.plotter is None or not 1 <= number <= len(placements):
            return
        needle = placements[number - 1].needle
        eye = -needle.direction + np.array([-0.2, -0.25, 0.35])
        self._look(np.asarray(needle.tip_mm), eye, 420.0)
        self.draw()

    def _look(self, middle: NDArray[np.float64], eye: NDArray[np.float64], far: float) -> None:
        eye = eye / np.linalg.norm(eye)
        camera = self.plotter.camera
        camera.focal_point = tuple(middle)
        camera.position = tuple(middle + far * eye)
        camera.up = (0.0, 0.0, 1.0)
        self.plotter.renderer.ResetCameraClippingRange()

    def draw(self) -> None:
        """Draw now."""
        if self.plotter is not None and self.isVisible():
            self.plotter.renderer.ResetCameraClippingRange()
            self.plotter.render()
            self.painted += 1

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self.draw()

    # ---------------------------------------------------------------- needles under the pointer

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            return self._grab(event)
        if kind == QEvent.Type.MouseMove and self._drag is not None:
            self._move(event)
            return True
        if kind == QEvent.Type.MouseButtonRelease and self._drag is not None:
            self._drag = None
            edit = self.scene.planner.edit
            self.scene.planner.desk.attempt(edit.drop)
            return True
        return False

    def _grab(self, event: Any) -> bool:
        planner = self.scene.planner
        if planner.desk.read_only or self.scene.tool != "look":
            return False
        here = self._pixel(event)
        best: tuple[float, int, Part, NDArray[np.float64]] | None = None
        for n, p in enumerate(planner.desk.placements, start=1):
            parts: tuple[tuple[Part, Any], ...] = (
                ("tip", p.needle.tip_mm), ("entry", p.needle.entry_mm)
            )  # fmt: skip
            for part, place in parts:
                at = self._display(np.asarray(place))
                gap = float(np.hypot(*(at[:2] - here)))
                if gap < GRAB_PX * self.scene.ui_scale * self.devicePixelRatioF() and (
                    best is None or gap < best[0]
                ):
                    best = (gap, n, part, at)
        if best is None:
            return False
        self.scene.needle = best[1]
        self._drag = (best[1], best[2], self._world(here, best[3][2]), float(best[3][2]))
        self.scene.changed.emit()
        return True

    def _move(self, event: Any) -> None:
        assert self._drag is not None
        number, part, start, depth = self._drag
        by = self._world(self._pixel(event), depth) - start
        edit = self.scene.planner.edit
        self.scene.planner.desk.attempt(lambda: edit.drag(number, part, by))

    def _pixel(self, event: Any) -> NDArray[np.float64]:
        ratio = self.devicePixelRatioF()
        height = self.plotter.interactor.height()
        at = event.position()
        out: NDArray[np.float64] = np.array([at.x(), height - 1 - at.y()]) * ratio
        return out

    def _display(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        renderer = self.plotter.renderer
        renderer.SetWorldPoint(*point, 1.0)
        renderer.WorldToDisplay()
        return np.array(renderer.GetDisplayPoint())

    def _world(self, pixel: NDArray[np.float64], depth: float) -> NDArray[np.float64]:
        renderer = self.plotter.renderer
        renderer.SetDisplayPoint(float(pixel[0]), float(pixel[1]), depth)
        renderer.DisplayToWorld()
        x, y, z, w = renderer.GetWorldPoint()
        out: NDArray[np.float64] = np.array([x, y, z]) / w
        return out
