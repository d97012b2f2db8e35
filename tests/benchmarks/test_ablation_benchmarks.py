"""The ablation benchmarks parse, run in miniature, and measure what they say."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation, ablation_curves, ablation_peers, peer_environment
from benchmarks.ablation_problems import (
    crossing_mm,
    mid_plane_radius_mm,
    placed,
    problem,
    surface_shift_mm,
    zone_volume_cm3,
)
from benchmarks.measure import Timing
from benchmarks.peers import common
from irplan.ablation import HeatResult, Phase, Schedule, simulate
from irplan.ablation.line_source import line_source

#: 100 s of freezing in a box of 48 mm, voxels of 2 mm.
TINY = replace(ablation_peers.peer_problem(True, 1), n=24, duration_s=100.0, time_error_mm=0.01)
SHORT = Schedule((Phase("freeze", 30.0),))


@pytest.mark.parametrize("module", [ablation, ablation_peers, ablation_curves])
def test_help(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", "--help"])
    with pytest.raises(SystemExit) as stopped:
        module.main()  # type: ignore[attr-defined]
    assert stopped.value.code == 0


def test_numpy_peer_and_irplan_freeze_the_same_ice(tmp_path: Path) -> None:
    peers = {p.script: p for p in ablation_peers.PEERS}
    ours = ablation_peers.solve(peers["with_irplan"], TINY, None, tmp_path)
    theirs = ablation_peers.solve(peers["plain_numpy"], TINY, None, tmp_path)
    assert not ours.not_run
    assert not theirs.not_run
    for one, other in zip(ours.radii_mm, theirs.radii_mm, strict=True):
        assert one == pytest.approx(other, abs=0.03)  # two programs, one scheme in space
    rows = ablation_peers.rows_of([ours, theirs], (ours.radii_mm[0], 0.0, 0.0))
    ratio = next(r for r in rows if "time over irplan's" in r["name"])
    assert "at equal error" in ratio["name"]
    assert ratio["measured"] == pytest.approx(theirs.solve_s / ours.solve_s)


def test_absent_peer_is_reported_as_not_run(tmp_path: Path) -> None:
    peer = next(p for p in ablation_peers.PEERS if p.script == "with_fipy")
    missing = ablation_peers.solve(peer, TINY, None, tmp_path)
    bare = ablation_peers.solve(
        replace(peer, module="no_such_module"), TINY, Path(sys.executable), tmp_path
    )
    rows = ablation_peers.rows_of([missing, bare], (13.5, 9.0, 6.0))
    assert [r["measured"] for r in rows[-2:]] == ["not run", "not run"]
    assert "--make-env" in rows[-2]["name"]
    assert "no_such_module" in rows[-1]["name"]


def test_every_peer_is_pinned() -> None:
    text = peer_environment.REQUIREMENTS.read_text().lower()
    for name in ("devito", "py-pde", "fipy", "scikit-fem"):
        assert re.search(rf"^{name}==\d", text, re.MULTILINE)


def test_peers_share_irplans_line_source() -> None:
    p = replace(TINY, h_mm=1.0, n=64)
    ours = line_source(placed((0.0, 0.0, 0.0)), problem(64, (placed((0.0, 0.0, 0.0)),)).grid)
    theirs = common.probe(p)
    # the effective radius by another quadrature of the same integral
    assert theirs.strength == pytest.approx(ours.strength, rel=2e-3)
    assert theirs.weight.shape[1] == ours.voxels.shape[0]
    assert np.asarray(theirs.weight.sum(axis=1)).ravel() == pytest.approx(1.0)


def test_lattice_symbols_tend_to_the_continuum() -> None:
    k = np.array([[0.02, 0.01, 0.03]])
    exact = float((k**2).sum())
    for symbol in (common.seven_point, common.trilinear_lumped):
        assert float(symbol(k)[0]) == pytest.approx(exact, rel=1e-3)
    corner = np.array([[np.pi, 0.0, 0.0]])
    assert float(common.trilinear_lumped(corner)[0]) == pytest.approx(4.0)


def test_enthalpy_and_theta_are_inverse() -> None:
    tau = np.linspace(-170.0, 3.0, 400)
    theta = common.theta_of_tau(TINY, tau)
    assert common.tau_of_theta(TINY, theta) == pytest.approx(tau, abs=1e-9)
    assert common.theta_of_u(TINY, common.u_of_theta(TINY, theta)) == pytest.approx(theta, abs=1e-9)


def test_radius_of_a_cone_of_temperature() -> None:
    n, h = 40, 1.0
    axis = (np.arange(n) - 0.5 * (n - 1)) * h
    r = np.hypot(axis[:, None], axis[None, :])
    c = np.broadcast_to(3.0 * (r - 10.0), (n, n, n))
    assert mid_plane_radius_mm(c, h, 0.0) == pytest.approx(10.0, abs=0.02)  # bilinear
    assert crossing_mm(np.array([0.0, 1.0]), np.array([-1.0, 3.0]), 0.0) == pytest.approx(0.25)


def test_ring_neighbours_are_12_mm_apart() -> None:
    for count in (2, 3, 8):
        middle = [np.mean(p.active_segment, axis=0) for p in ablation_curves.ring(count)]
        gaps = [float(np.linalg.norm(a - b)) for a, b in pairwise(middle)]
        assert gaps == pytest.approx([12.0] * (count - 1))


def test_exponent_of_a_power_law() -> None:
    x = (1.0, 2.0, 4.0, 8.0)
    curve = ablation_curves.Curve("n", "", x, tuple(Timing((0.1 * v**1.5,)) for v in x))
    assert curve.exponent == pytest.approx(1.5)
    assert curve.rows()[-1]["measured"] == pytest.approx(1.5)


def test_case_row_with_its_error_in_time() -> None:
    case = ablation.Case("tiny", lambda: problem(44, (placed((0.0, 0.0, 0.0)),), SHORT), 60.0, 0.3)
    rows = ablation.case_rows(case, 1, True)
    assert [r["met"] for r in rows] == [True, True, True]
    assert len(rows[0]["walls_s"]) > 1


def test_case_that_cannot_run_says_why() -> None:
    case = ablation.Case("outside", lambda: problem(20, (placed((50.0, 0.0, 0.0)),), SHORT), 1.0)
    (only,) = ablation.case_rows(case, 1, True)
    assert only["measured"] == "not run"
    assert only["name"].startswith("outside: ")


def test_time_of_another_physics_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ablation.RESULT_OF, "cryo", HeatResult)
    case = ablation.Case("tiny", lambda: problem(44, (placed((0.0, 0.0, 0.0)),), SHORT), 60.0)
    (only,) = ablation.case_rows(case, 1, False)
    assert only["measured"] == "not run"
    assert "CryoResult" in only["name"]


def test_zone_volume_and_shift_of_an_ice_ball() -> None:
    run = simulate(problem(44, (placed((0.0, 0.0, 0.0)),), SHORT))
    assert zone_volume_cm3(run) == pytest.approx(run.trace.frozen_volume_cm3[-1], rel=0.15)
    assert surface_shift_mm(run, run) == 0.0


def test_memory_child_reports_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    ablation_curves.print_memory(48, 20.0)
    facts = json.loads(capsys.readouterr().out)
    assert facts["added_bytes"] == facts["peak_bytes"] - facts["rest_bytes"]
    assert facts["peak_bytes"] > 20e6
