"""The fluoroscopy bench: figures against what they are by theory, and the window's controls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irplan_planner.model.fluoro_bench import Choice, FluoroBench, Region, figures_of
from irplan_planner.widgets.fluoro_window import FluoroWindow
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from irplan.errors import InputError
from irplan.image import FluoroSequence, Photometry

LEFT = Qt.MouseButton.LeftButton


def _disc_run(frames: int, contrast: float, sd: float) -> FluoroSequence:
    """A disc of 8 px on 1000 in white noise, 128 x 128."""
    rng = np.random.default_rng(4)
    inside, _ = Region(64.0, 64.0, 8.0).masks((128, 128))
    clean = 1000.0 + contrast * inside
    noisy = np.rint(clean + sd * rng.standard_normal((frames, 128, 128))).astype(np.uint16)
    return FluoroSequence(
        noisy,
        np.arange(frames) / 15.0,
        photometry=Photometry("linear"),
        pixel_spacing_mm=(0.2, 0.2),
    )


def test_figures_of_white_noise_are_those_of_theory() -> None:
    region = Region(64.0, 64.0, 8.0)
    run = _disc_run(40, 0.0, 20.0)
    found = figures_of(run.frames.astype(np.float32), region, 0.2)
    assert found.noise_sd == pytest.approx(20.0, rel=0.01)
    # White noise: power = variance x pixel area at every frequency, less what the fit takes off
    # (6 of 1024 terms, all at the lowest frequencies).
    assert found.nps[3:] == pytest.approx(20.0**2 * 0.2**2, rel=0.1)
    seen = [
        figures_of(_disc_run(20, -15.0, sd).frames.astype(np.float32), region, 0.2)
        for sd in (10.0, 40.0)
    ]
    assert seen[0].cnr == pytest.approx(1.5, rel=0.03)
    # d' of a linear observer falls with the noise's SD; the disc's contrast is measured (3 %).
    assert seen[0].d_prime / seen[1].d_prime == pytest.approx(4.0, rel=0.1)


@pytest.fixture
def bench() -> Iterator[FluoroBench]:
    made = FluoroBench()
    yield made
    made.close()


def test_without_stages_the_run_comes_out_as_it_went_in(bench: FluoroBench) -> None:
    run = _disc_run(4, -100.0, 12.0)
    bench.choice = Choice(off=frozenset({"motion", "temporal", "spatial", "enhance"}))
    bench._take((run, "disc", ()))
    bench.jobs.wait(300)
    assert bench.ready == 4
    assert np.abs(bench.filtered.astype(int) - run.frames).max() <= 1
    bench.set_choice(Choice())
    bench.jobs.wait(300)
    bench.set_region(Region(64.0, 64.0, 8.0), 3)
    bench.jobs.wait(300)
    source, filtered = bench.figures
    assert filtered.noise_sd < 0.8 * source.noise_sd
    assert filtered.cnr > source.cnr


def test_bad_input_is_named(bench: FluoroBench, tmp_path: Path) -> None:
    file = tmp_path / "holiday.jpg"
    file.write_bytes(b"\xff\xd8 no run")
    bench.open(file)
    bench.jobs.wait(300)
    assert bench.messages[-1].tone == "error"
    assert bench.run is None
    with pytest.raises(InputError, match="ring within the frame"):
        Region(5.0, 5.0, 8.0).masks((128, 128))
    with pytest.raises(InputError, match="show"):
        Choice(show=0.01).settings()


def test_the_window_plays_filters_and_measures(qtbot: Any) -> None:
    window = FluoroWindow()
    window.resize(1366, 768)
    window.show()
    qtbot.waitExposed(window)
    assert window.chosen() == Choice.of_preset("general")
    window.bench._take((_disc_run(6, -200.0, 20.0), "disc", ()))
    qtbot.waitUntil(lambda: window.bench.jobs.idle, timeout=200_000)
    (_, cell), _ = window.view._cells()
    left, top, s = window.view._picture(cell)
    at = QPoint(round(left + 64.5 * s), round(top + 64.5 * s))
    QTest.mousePress(window.view, LEFT, pos=at)
    QTest.mouseMove(window.view, at + QPoint(round(8 * s), 0))
    QTest.mouseRelease(window.view, LEFT, pos=at + QPoint(round(8 * s), 0))
    assert window.bench.region.radius == pytest.approx(8.0, abs=0.5)
    qtbot.waitUntil(lambda: window.bench.figures is not None, timeout=100_000)
    # 200 / 20; the press lies on a whole pixel, so the disc drawn holds a little ground.
    shown_cnr = float(window.table.item(0, 1).text().split()[0])
    assert shown_cnr == pytest.approx(10.0, rel=0.06)
    before = window.bench.filtered
    window.show_knob.setValue(1000)
    window.stages["spatial"].setChecked(False)
    qtbot.waitUntil(
        lambda: window.bench.filtered is not before and window.bench.jobs.idle, timeout=200_000
    )
    assert window.bench.choice.off == frozenset({"spatial"})
    shown = window.view.shown
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.view.shown > shown + 3, timeout=100_000)
    QTest.keyClick(window, Qt.Key.Key_Space)
    assert not window.play.isChecked()
    window.close()
    window.deleteLater()
    QTest.qWait(10)
    left = [t.name for t in threading.enumerate() if t.name.startswith("irplan")]
    assert [n for n in left if not n.startswith("irplan-rows")] == []  # a crew the filters keep
