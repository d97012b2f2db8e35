"""On a real card: the comparisons of tests/cuda_host, and times.  Appends kernels/VALIDATION.md.

A target that is missed is recorded, not failed: only wrong numbers fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from irplan.ablation import (
    TISSUES,
    AblationProblem,
    Phase,
    Placement,
    Schedule,
)
from irplan.ablation.cuda_cryo import discretise_all, simulate_cryo_cuda
from irplan.ablation.cuda_march import CudaMarch, Steps
from irplan.ablation.steps import StepRule
from irplan.ablation.timeline import timeline
from irplan.compute.device import Device
from irplan.geometry import Grid, Needle
from tests.cuda_host.fluoro_case import FLUORO_LIMIT, FluoroCase, fluoro_differences
from tests.cuda_host.heat_case import HEAT_LIMITS, HeatCase, heat_differences
from tests.cuda_host.potential_case import POTENTIAL_LIMIT, PotentialCase, potential_differences
from tests.cuda_host.problems import (
    LIMITS,
    MONITORS,
    RULE,
    applicator,
    cpu_run,
    differences,
    mixed_problem,
    staggered_problem,
    uniform_problem,
)

pytestmark = pytest.mark.gpu
Rows = list[tuple[str, str, str]]


@pytest.mark.parametrize("make", [mixed_problem, staggered_problem, uniform_problem])
def test_the_card_does_what_the_cpu_does(
    card: Device, record: Rows, make: Callable[[], AblationProblem]
) -> None:
    problem = make()
    (run,) = simulate_cryo_cuda([problem], card, rule=RULE, monitors=MONITORS)
    found = differences(run, cpu_run(problem))
    for name, value in found.items():
        record.append((f"{make.__name__}: {name}", f"{value:.2g}", f"<= {LIMITS[name]:g}"))
    assert all(v <= LIMITS[k] for k, v in found.items()), found


def test_a_run_repeats_its_bits(card: Device) -> None:
    problem = mixed_problem()
    first, again = (simulate_cryo_cuda([problem], card, rule=RULE)[0] for _ in range(2))
    assert np.array_equal(first.end_of_freeze_c.array, again.end_of_freeze_c.array)
    assert first.energy == again.energy
    batch = simulate_cryo_cuda([problem, mixed_problem(shift_mm=1.0)], card, rule=RULE)
    assert np.array_equal(first.end_of_freeze_c.array, batch[0].end_of_freeze_c.array)


@pytest.mark.parametrize("use_alive", [False, True])
def test_heating_and_damage(card: Device, record: Rows, use_alive: bool) -> None:
    case = HeatCase()
    found = heat_differences(case.on_device(card, use_alive), case.on_cpu(use_alive))
    for name, value in found.items():
        record.append((f"heat.cu: {name}", f"{value:.2g}", f"<= {HEAT_LIMITS[name]:g}"))
    assert all(v <= HEAT_LIMITS[k] for k, v in found.items()), found


def test_fluoroscopy(card: Device, record: Rows) -> None:
    case = FluoroCase()
    found = fluoro_differences(case.on_device(card), case.on_cpu())
    for name, value in found.items():
        record.append((f"fluoro.cu: {name}", f"{value:.2g}", f"<= {FLUORO_LIMIT:g}"))
    assert all(v <= FLUORO_LIMIT for v in found.values()), found


def test_potential(card: Device, record: Rows) -> None:
    case = PotentialCase()
    found = potential_differences(case.on_device(card), case.on_cpu())
    for name, value in found.items():
        record.append((f"potential.cu: {name}", f"{value:.2g}", f"<= {POTENTIAL_LIMIT:g}"))
    assert all(v <= POTENTIAL_LIMIT for v in found.values()), found


# -- times -------------------------------------------------------------------------------


def box_problem(size: int, probes: int, schedule: Schedule, *, vessels: bool) -> AblationProblem:
    """``size``^3 mm at 1 mm, probes 15 mm apart; two vessels where asked for."""
    shape = (size,) * 3
    grid = Grid.from_spacing(shape, (1.0,) * 3, (-0.5 * (size - 1),) * 3)
    index = np.zeros(shape, np.uint8)
    if vessels:
        z, y, x = np.mgrid[:size, :size, :size] - 0.5 * size
        index[np.hypot(y - 14.0, z + 0.2 * x) < 3.0] = 1
        index[np.hypot(x + 22.0, y) < 4.0] = 1
    angle = 2.0 * np.pi * np.arange(probes) / probes
    radius = 15.0 / np.sqrt(3.0) if probes > 1 else 0.0
    placements = tuple(
        Placement(
            Needle((radius * np.cos(a), radius * np.sin(a), -15.0),
                   (radius * np.cos(a), radius * np.sin(a), 100.0)),
            applicator(ramp_s=60.0, length_mm=30.0),
        )
        for a in angle
    )  # fmt: skip
    tissues = (TISSUES["liver"].properties(), TISSUES["vessel"].properties())
    return AblationProblem(grid, index, tissues, placements, schedule)


def march_seconds(
    card: Device, problems: Sequence[AblationProblem], rule: StepRule, repeats: int = 5
) -> tuple[float, int, int]:
    """Shortest time of the march (tissue on the card, kernels compiled; graphs are made and results
    read back within it), voxels of a problem, and stages."""
    meshes = discretise_all(problems)
    cuts = [rule.cut(timeline(p.schedules), meshes[0].explicit_limit_s) for p in problems]
    timelines = [tuple(c.segment for c in own) for own in cuts]
    steps = [Steps(c.count, c.dt_s, c.stages, c.parts) for c in cuts[0]]
    best = np.inf
    for _ in range(repeats):
        march = CudaMarch(
            problems, meshes, np.zeros((0, 3)), card, timelines, steps, whole_grid=rule.whole_grid
        )
        card.synchronise()
        started = time.perf_counter()
        march.run(lambda at_s, words: None)
        card.synchronise()
        best = min(best, time.perf_counter() - started)
        del march
    voxels = int(np.prod(problems[0].grid.shape))
    return best, voxels, sum(s.count * s.stages_in_step for s in steps)


def test_single_probe(card: Device, record: Rows) -> None:
    problem = box_problem(128, 1, Schedule((Phase("freeze", 600.0),)), vessels=False)
    seconds, _, stages = march_seconds(card, [problem], StepRule(0.06))
    record.append((f"128^3, 1 probe, 600 s ({stages} stages)", f"{1e3 * seconds:.2f} ms", "10 ms"))


def test_three_probe_schedule(card: Device, record: Rows) -> None:
    problem = box_problem(128, 3, Schedule.freeze_thaw_freeze(), vessels=True)
    seconds, _, stages = march_seconds(card, [problem], StepRule(0.06))
    record.append(
        (
            f"128^3, 3 probes, 10-8-10 min, vessels ({stages} stages)",
            f"{1e3 * seconds:.2f} ms",
            "30 ms",
        )
    )


def copy_bytes_per_s(card: Device, size: int = 2**27) -> float:
    """Bandwidth of a copy between two arrays on the card, read and written."""
    one, other = card.zeros(size, np.float32), card.zeros(size, np.float32)
    best = np.inf
    for _ in range(10):
        card.synchronise()
        started = time.perf_counter()
        card.copy(one, other)
        card.synchronise()
        best = min(best, time.perf_counter() - started)
    return 8.0 * size / best


def test_bandwidth(card: Device, record: Rows) -> None:
    """12 bytes a voxel stage: both states read, one written; whole grid, uniform tissue."""
    problem = box_problem(256, 1, Schedule((Phase("freeze", 120.0),)), vessels=False)
    seconds, voxels, stages = march_seconds(card, [problem], StepRule(0.06, whole_grid=True))
    share = 12.0 * voxels * stages / seconds / copy_bytes_per_s(card)
    record.append(("256^3, share of the copy's bandwidth", f"{100 * share:.0f} %", "60 %"))


def test_batch(card: Device, record: Rows) -> None:
    """64 poses of one probe in 96^3: march alone, and with everything from problem to result."""
    first = box_problem(96, 1, Schedule((Phase("freeze", 600.0),)), vessels=True)
    problems = []
    for n in range(64):
        needle = Needle((0.15 * n, 0.0, -15.0), (0.15 * n, 20.0, 100.0))
        moved = (Placement(needle, first.placements[0].applicator),)
        problems.append(
            AblationProblem(first.grid, first.tissue_index, first.tissues, moved, first.schedule)
        )
    rule = StepRule(0.06)
    seconds, _, _ = march_seconds(card, problems, rule, repeats=3)
    record.append(("96^3, batch of 64, march", f"{64 / seconds:.0f} plans/s", "300 plans/s"))
    started = time.perf_counter()
    simulate_cryo_cuda(problems, card, rule=rule)
    whole = time.perf_counter() - started
    record.append(("96^3, batch of 64, problem to result", f"{64 / whole:.0f} plans/s", "-"))
