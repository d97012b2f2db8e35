"""Widgets off-screen: pointer and keys become commands; nothing is left running."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irplan_planner.model.state import CaseState
from irplan_planner.widgets import opengl, theme
from irplan_planner.widgets.window import PlannerWindow
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(qtbot: Any, handmade_state: CaseState) -> Iterator[PlannerWindow]:
    before = set(threading.enumerate())
    made = PlannerWindow(background=False)
    made.setStyleSheet(theme.style_sheet(1.0))
    made.resize(1366, 768)
    made.show()
    made.view3d.start()
    qtbot.waitExposed(made)
    made.desk.begin(handmade_state)
    yield made
    made._end(keep=False)
    made.close()
    made.deleteLater()
    QTest.qWait(10)
    gc.collect()
    assert {t for t in threading.enumerate() if t.name.startswith("irplan")} <= before


def _drag(view: Any, start: Any, end: Any) -> None:
    p, q = view.screen_of(start).toPoint(), view.screen_of(end).toPoint()
    QTest.mousePress(view, LEFT, pos=p)
    QTest.mouseMove(view, (p + q) / 2)
    QTest.mouseMove(view, q)
    QTest.mouseRelease(view, LEFT, pos=q)


def _idle(window: PlannerWindow, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: window.desk.jobs.idle, timeout=400_000)


def test_research_use_only_is_always_seen(window: PlannerWindow) -> None:
    banner = window.findChild(QLabel, "banner")
    assert banner.isVisible()
    assert "RESEARCH USE ONLY" in banner.text()
    assert "research use only" in window.windowTitle()
    window.enlarge("view3d")
    assert banner.isVisible()


def test_nothing_is_cut_off_on_a_small_screen(window: PlannerWindow) -> None:
    assert (window.width(), window.height()) == (1366, 768)
    for name in ("load", "segment", "target", "plan", "simulate", "guide", "verify", "report"):
        window.steps.take(name)
        QTest.qWait(1)
        panel = window.steps.rect()
        page = window.steps.pages[name]
        assert page.minimumSizeHint().width() <= panel.width(), name
        main = page.main
        assert main.isVisible()
        assert window.steps.rect().contains(main.mapTo(window.steps, QPoint(main.width() - 1, 0)))


def test_scales_of_screens() -> None:
    assert theme.scale_for(1366, 768) == pytest.approx(0.87, abs=0.01)
    assert theme.scale_for(3840, 2160) == pytest.approx(2.45, abs=0.01)
    assert "font-size: 32px" in theme.style_sheet(theme.scale_for(3840, 2160))


def test_a_window_whose_monitor_is_gone_comes_to_one_that_is_there(
    window: PlannerWindow, qtbot: Any
) -> None:
    there = window.screen().availableGeometry()
    window.setGeometry(there.right() + 400, 0, 2 * there.width(), 2 * there.height())
    window.windowHandle().screenChanged.emit(window.screen())
    least = window.minimumSizeHint  # of widgets made for the smaller monitor, not for the large one
    qtbot.waitUntil(lambda: window.width() == max(there.width(), least().width()), timeout=5000)
    assert window.height() == max(there.height(), least().height())
    assert (window.pos() - there.topLeft()).manhattanLength() <= 8  # a frame's width
    assert window.scene.ui_scale == theme.scale_for(there.width(), there.height())


def test_a_click_moves_the_crosshair_of_all_views(window: PlannerWindow, qtbot: Any) -> None:
    view = window.views["axial"]
    point = np.array([-40.0, 10.0, 5.0])
    QTest.mouseClick(view, LEFT, pos=view.screen_of(point).toPoint())
    px = 1.0 / view.scale(window.scene.frame("axial"))
    assert window.scene.point_mm[:2] == pytest.approx(point[:2], abs=px)
    assert window.scene.frame("sagittal").origin_mm[0] == pytest.approx(-40.0, abs=1.0 + px)


def test_the_wheel_scrolls_one_slice(window: PlannerWindow) -> None:
    view, grid = window.views["axial"], window.desk.state.grid
    before = window.scene.frame("axial").index
    view.step(2)
    assert window.scene.frame("axial").index == before + 2
    QTest.keyClick(view, Qt.Key.Key_PageDown)
    assert window.scene.frame("axial").index == before + 1
    assert grid.shape[0] > before + 2


def test_dragging_a_tip_moves_it_and_can_be_undone(window: PlannerWindow, qtbot: Any) -> None:
    plan = window.desk.state.plan
    tip = np.asarray(plan.placements[0].needle.tip_mm)
    window.scene.go(tip)
    view = window.views["axial"]
    view.zoom_to(tip, 4.0)
    _drag(view, tip, tip + np.array([4.0, 3.0, 0.0]))
    _idle(window, qtbot)
    now = window.desk.state.plan
    # A pixel is a quarter of a millimetre; the press lies on a whole pixel.
    assert now.placements[0].needle.tip_mm == pytest.approx(np.add(tip, (4.0, 3.0, 0.0)), abs=0.3)
    assert now.placements[0].needle.entry_mm == plan.placements[0].needle.entry_mm
    assert now.history[-1].what == "needle 1 changed"
    found = window.desk.state.simulation
    assert found.exact
    assert found.evaluation is not None
    assert found.made_from == window.desk.state.simulated_from
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.desk.state.plan is plan
    QTest.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert window.desk.state.plan is now


def test_a_dropped_needle_is_computed_and_judged_before_it_is_simulated_anew(
    window: PlannerWindow, qtbot: Any
) -> None:
    """Each answer says what it is; a report waits for the last; undo in between leaves none."""
    desk, edit = window.desk, window.planner.edit
    edit.settle()
    _idle(window, qtbot)
    seen: list[tuple[str, bool, str]] = []

    def look(topic: str) -> None:
        found, placements = desk.simulation, desk.placements
        note = (found.grade, found.evaluation is not None, found.provenance(placements))
        if topic == "state" and (not seen or seen[-1] != note):
            seen.append(note)
            report = {v.name: v.status for v in window.planner.steps()}["report"]
            assert (report == "missing") == (note != ("full", True, ""))

    desk.listen(look)
    edit.drag(1, "tip", (2.0, 1.0, 0.0))
    edit.drop()
    _idle(window, qtbot)
    assert [s[:2] for s in seen] == [
        ("full", True), ("quick", False), ("quick", True), ("full", False), ("full", True)
    ]  # fmt: skip
    assert seen[0][2] == "of where the needle was"
    assert "two levels" in seen[1][2]
    assert seen[-1][2] == ""
    assert desk.simulation.made_from == desk.state.simulated_from
    edit.drag(1, "tip", (0.0, 3.0, 0.0))
    edit.drop()
    desk.undo()
    _idle(window, qtbot)
    assert desk.simulation.exact
    assert desk.simulation.placements == desk.state.plan.placements


def test_escape_calls_a_drag_off(window: PlannerWindow, qtbot: Any) -> None:
    plan = window.desk.state.plan
    tip = np.asarray(plan.placements[0].needle.tip_mm)
    window.scene.go(tip)
    view = window.views["coronal"]
    view.zoom_to(tip, 4.0)
    p = view.screen_of(tip).toPoint()
    QTest.mousePress(view, LEFT, pos=p)
    QTest.mouseMove(view, p + QPoint(12, 4))
    assert window.desk.live is not None
    QTest.keyClick(view, Qt.Key.Key_Escape)
    QTest.mouseRelease(view, LEFT, pos=p + QPoint(12, 4))
    assert window.desk.live is None
    assert window.desk.state.plan is plan
    window.desk.jobs.cancel_all()
    _idle(window, qtbot)


def test_stroke_makes_the_target(window: PlannerWindow, qtbot: Any) -> None:
    centre = np.array([-70.0, -15.0, 5.0])  # the handmade tumour: a ball of 20 mm, 4.19 ml
    window.steps.take("target")
    window.scene.take("stroke")
    window.scene.go(centre)
    view = window.views["axial"]
    view.zoom_to(centre, 5.0)
    _drag(view, np.subtract(centre, (10, 0, 0)), np.add(centre, (10, 0, 0)))
    _idle(window, qtbot)
    state = window.desk.state
    assert "stroke of 20 mm" in state.target.words
    assert state.target.volume_ml(state.grid) == pytest.approx(4.19, rel=0.12)
    assert {v.name: v.status for v in window.planner.steps()}["plan"] == "stale"


def test_brush_paints_where_the_pointer_went(window: PlannerWindow, qtbot: Any) -> None:
    window.steps.take("segment")
    window.scene.paint = "bowel"
    window.scene.take("brush")
    view = window.views["axial"]
    a = np.array([-40.0, 60.0, float(window.scene.point_mm[2])])
    _drag(view, a, np.add(a, (20, 0, 0)))
    index = np.rint(window.desk.state.grid.lps_to_index(np.add(a, (10, 0, 0)))).astype(int)
    assert window.desk.state.labels.mask("bowel")[tuple(index)]
    assert window.desk.undo_words == "paint bowel"


def test_windows_modes_overlay_and_needles_by_keyboard(window: PlannerWindow) -> None:
    look = window.scene.look
    QTest.keyClick(window, Qt.Key.Key_W)
    assert window.scene.look.window != look.window
    assert window.top.window_preset.currentText() == "Liver"
    QTest.keyClick(window, Qt.Key.Key_M)
    assert (window.scene.look.mode, window.scene.look.thickness_mm) == ("mip", 20.0)
    QTest.keyClick(window, Qt.Key.Key_O)
    assert window.scene.look.opacity == 0.0
    QTest.keyClick(window, Qt.Key.Key_N)
    assert window.scene.needle == 2
    assert window.scene.point_mm == pytest.approx(
        window.desk.state.plan.placements[1].needle.tip_mm
    )
    QTest.keyClick(window, Qt.Key.Key_F8)
    assert window.steps.step == "report"
    QTest.keyClick(window, Qt.Key.Key_1)
    assert [n for n, v in window.views.items() if v.isVisible()] == ["axial"]
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert all(v.isVisible() for v in window.views.values())


def test_report_is_drafted_reviewed_accepted_and_then_read_only(
    window: PlannerWindow, qtbot: Any
) -> None:
    window.steps.take("report")
    page = window.steps.pages["report"]
    QTest.mouseClick(page.main, LEFT)
    text = window.results.report.toPlainText()
    assert "DRAFT" in text
    assert "not a medical device" in text
    QTest.mouseClick(page._reviewed, LEFT)  # nobody named: refused in words
    assert window.desk.state.review == "draft"
    assert "history.who" in window.status.words.text()
    QTest.keyClicks(page._who, "A. Reader")
    QTest.keyClicks(page._why, "looked at")
    QTest.mouseClick(page._reviewed, LEFT)
    QTest.mouseClick(page._accepted, LEFT)
    assert window.desk.state.review == "accepted"
    assert "accepted by A. Reader" in window.windowTitle()
    window.steps.take("plan")
    assert not window.steps.pages["plan"].main.isEnabled()
    assert not window.top.undo.isEnabled()


def test_a_link_in_the_draft_takes_its_field_in_hand(
    window: PlannerWindow, qtbot: Any, tmp_path: Path
) -> None:
    window.planner.files.save(tmp_path / "case")
    _idle(window, qtbot)
    window.steps.take("report")
    window.steps.press_main()
    _idle(window, qtbot)
    window.steps.pages["report"]._who.setText("A. Reader")
    tab = window.results.report

    def put(link: str, text: str) -> None:
        assert f"href='{link}'" in window.desk.state.report.worded.page
        tab._link(QUrl(link))
        tab.value.setEditText(text)
        QTest.mouseClick(tab.put, LEFT)
        _idle(window, qtbot)

    put("type:lesion/lesion/", "L 1 #2, liver")
    put("type:lesion/segment/L%201%20%232", "VII")
    assert [m.text for m in window.desk.messages if m.tone == "error"] == []
    assert "VII" in tab.toPlainText()
    assert "typed A. Reader" in tab.toPlainText()


def test_a_wrong_file_dropped_on_the_window_is_named(
    window: PlannerWindow, qtbot: Any, tmp_path: Path
) -> None:
    file = tmp_path / "holiday.jpg"
    file.write_bytes(b"\xff\xd8\xff\xe0 no scan")
    for urls in ([file], [file, file]):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(f)) for f in urls])
        event = QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
        )
        window.dropEvent(event)
        _idle(window, qtbot)
    texts = [m.text for m in window.desk.messages]
    assert any("holiday.jpg" in t for t in texts)
    assert texts[-1] == "Drop one folder or file at a time."
    assert window.desk.state.title == "handmade"


def test_closing_in_mid_work_asks_inside_the_window_and_ends_the_work(
    window: PlannerWindow, qtbot: Any
) -> None:
    window.planner.segment.accept("liver")

    def forever(progress: Any) -> None:
        while True:
            progress(0.5, "on and on")
            threading.Event().wait(0.005)

    job = window.desk.work("Long", "work", forever, lambda r: None)
    qtbot.waitUntil(lambda: job.state == "running", timeout=5000)
    window.close()
    assert window.isVisible()
    (leave,) = [b for b in window.findChildren(QPushButton) if b.text() == "Leave without saving"]
    QTest.mouseClick(leave, LEFT)
    assert not window.isVisible()
    assert job.state == "cancelled"


def test_missing_opengl_says_what_to_install(
    window: PlannerWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opengl, "_PROBE", "raise SystemExit(3)")
    trouble = opengl.opengl_trouble()
    assert "apt-get install libgl1" in trouble
    window.view3d._make(trouble)
    assert "apt-get install libgl1" in window.view3d._words.text()
    monkeypatch.setattr(opengl, "_PROBE", "import os; os.abort()")
    assert "crashes" in opengl.opengl_trouble()


def test_a_fault_in_a_job_keeps_the_window(window: PlannerWindow, qtbot: Any) -> None:
    def gone(progress: Any) -> None:
        raise RuntimeError("CUDA_ERROR_DEVICE_LOST")

    window.desk.work("Simulating", "work", gone, lambda r: None)
    _idle(window, qtbot)
    assert "CUDA_ERROR_DEVICE_LOST" in window.status.words.toolTip()
    assert "case is unchanged" in window.status.words.toolTip()
    assert window.results.currentWidget() is window.results.messages


def test_c_arm_pictures_of_each_needle(window: PlannerWindow, qtbot: Any) -> None:
    window.steps.take("guide")
    window.steps.press_main()
    _idle(window, qtbot)
    found = window.planner.guide.previews()
    assert {p.needle for p in found} == {1, 2}
    for one in found:
        entry, tip = np.asarray(one.entry), np.asarray(one.tip)
        # Bull's-eye: the needle is a point; progress: it is seen at its length.
        if one.kind == "bull's-eye":
            assert np.linalg.norm(entry - tip) < 0.5
        else:
            assert np.linalg.norm(entry - tip) > 10.0
    rows, words = window.planner.guide.shown()
    assert len(rows) == 4
    assert "supine" in words
