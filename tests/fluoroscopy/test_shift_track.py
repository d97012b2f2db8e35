"""Steadied shifts: less noise on an even course, nothing lost on any other."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.fluoroscopy.shift_track import ShiftTrack


def errors(course: np.ndarray, sd: float = 0.15) -> tuple[float, float]:
    """RMS error of the steadied and of the measured shifts."""
    measured = course + np.random.default_rng(1).normal(0.0, sd, course.shape)
    track = ShiftTrack()
    shown = np.array([track.step((float(r), float(c))) for r, c in measured])
    rms = [float(np.sqrt(np.mean((x - course)[6:] ** 2))) for x in (shown, measured)]
    return rms[0], rms[1]


N = np.arange(400.0)[:, None]


@pytest.mark.parametrize("speed", [0.0, 0.03])
def test_even_course_has_the_noise_of_an_alpha_beta_filter(speed: float) -> None:
    steadied, measured = errors(N * [speed, -speed])
    a, b = 0.4, 0.1
    expected = np.sqrt((2 * a * a + 2 * b - 3 * a * b) / (a * (4 - 2 * a - b)))  # Kalata 1984
    assert steadied / measured == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(
    "course",
    [
        3.0 * np.sin(2 * np.pi * N / 15.0) * [1.0, 0.5],
        1.0 * np.sin(2 * np.pi * N / 15.0) * [1.0, 0.5],
        1.0 * np.sin(2 * np.pi * N / 40.0) * [1.0, 0.5],
        (N > 200.0) * [0.5, 0.0],
    ],
)
def test_other_courses_are_followed(course: np.ndarray) -> None:
    steadied, measured = errors(course)
    assert steadied < 1.12 * measured


def test_a_jump_is_shown_at_once_and_state_goes_on() -> None:
    track, other = ShiftTrack(), ShiftTrack()
    for n in range(20):
        track.step((0.02 * n, 0.0))
    other.restore(track.state())
    assert other.predicted() == track.predicted()
    assert track.step((4.0, -1.0)) == (4.0, -1.0)
    assert other.step((0.4, 0.0)) != (0.4, 0.0)
