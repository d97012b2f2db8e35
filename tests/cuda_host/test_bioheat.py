"""kernels/bioheat.cu, compiled as C++ and run on the host by the very driver that runs a card.

Whole simulations are compared with the CPU's march: every kernel, the window, the schedule, the
probes and the energies are in them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from irplan.ablation import CryoResult, Phase, Schedule, simulate
from irplan.ablation.cuda_cryo import simulate_cryo_cuda
from irplan.ablation.cuda_memory import needed_bytes
from irplan.ablation.discretisation import discretise
from irplan.ablation.steps import StepRule
from irplan.ablation.super_step import energy_shares, stage_weights
from irplan.ablation.timeline import timeline
from irplan.compute import Backend, kernel_source
from irplan.errors import BackendError, CancelledError
from tests.cuda_host.host_device import HERE, HostDevice, compiler
from tests.cuda_host.problems import (
    LIMITS,
    MONITORS,
    RULE,
    cpu_run,
    differences,
    mixed_problem,
    staggered_problem,
    uniform_problem,
)

#: Few and long super-steps.
FAST = StepRule(0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cuda_host")


@pytest.fixture
def device(folder):
    made = HostDevice(folder)
    yield made
    made.check_guards()


def check(found: dict[str, float]) -> None:
    over = {k: v for k, v in found.items() if not v <= LIMITS[k]}
    assert not over, f"{over} over {LIMITS}"


def test_mixed_tissue_double_freeze(device):
    """Every kernel; steps of an odd number of stages, so that both states take turns."""
    problem = mixed_problem()
    cuts = RULE.cut(timeline(problem.schedules), discretise(problem).explicit_limit_s)
    assert any(cut.stages * cut.parts % 2 for cut in cuts)
    assert any(cut.parts > 1 for cut in cuts)
    march = cpu_run(problem)
    (run,) = simulate_cryo_cuda([problem], device, rule=RULE, monitors=MONITORS)
    assert run.stages == march.stages
    check(differences(run, march))
    assert run.end_of_freeze_c.array.min() < -100.0
    assert run.energy.fixed_tissue_j > 100.0
    # a super-step is launched piecemeal once for each length, state and parity, then replayed
    assert device.replays >= 0.5 * run.steps
    assert device.waits == 3


def test_own_schedules_thick_slices_contact_and_film(device):
    """Each probe's own phases, active thaw, a probe pulled back, 1.5 mm slices."""
    problem = staggered_problem()
    march = cpu_run(problem)
    (run,) = simulate_cryo_cuda([problem], device, rule=RULE, monitors=MONITORS)
    check(differences(run, march))
    assert len(run.cycle_minimum_c) == len(march.minima)


def test_window_grows_with_the_cold(device):
    """Tiles of one tissue take the short path; the window ends where the cold has gone."""
    problem = uniform_problem()
    march = cpu_run(problem)
    (run,) = simulate_cryo_cuda([problem], device, rule=RULE, monitors=MONITORS)
    check(differences(run, march))
    away = np.abs(run.end_of_freeze_c.array - 37.0)
    assert away[:, :, 0].max() == 0.0
    assert away.max() > 100.0


def test_a_problem_gives_the_same_bits_alone_or_in_a_batch(device):
    """Two poses on one map, another tissue map and another grid in one call."""
    short = Schedule((Phase("freeze", 20.0),))
    first, second = mixed_problem(short), mixed_problem(short, shift_mm=1.3)
    third = mixed_problem(short, wall_w_per_m2k=100.0)
    fourth = uniform_problem((26, 30, 34), minutes=0.3)
    batch = [first, second, third, fourth]
    runs = simulate_cryo_cuda(batch, device, rule=FAST)
    for problem, run in zip(batch, runs, strict=True):
        (alone,) = simulate_cryo_cuda([problem], device, rule=FAST)
        assert np.array_equal(alone.end_of_freeze_c.array, run.end_of_freeze_c.array)
        assert np.array_equal(alone.cycle_minimum_c[0].array, run.cycle_minimum_c[0].array)
        assert alone.energy == run.energy
        assert np.array_equal(alone.trace.temperature_c, run.trace.temperature_c)
    assert not np.array_equal(runs[0].end_of_freeze_c.array, runs[1].end_of_freeze_c.array)


def test_going_on_from_a_state(device):
    """Stop in the thaw, go on from there: the same as the CPU's way through the same states."""
    problem = mixed_problem()
    (first,) = simulate_cryo_cuda(
        [problem], device, rule=RULE, until_s=75.0, keep_states=True, history=True
    )
    assert [s.time_s for s in first.states] == pytest.approx([60.0, 75.0])
    assert [s.freezing for s in first.states] == [True, False]
    history = first.history
    assert history is not None
    assert len(history) == first.steps + 1
    last = first.states[-1].temperature_c.array
    assert np.abs(history.temperature_c(-1).array - last).max() <= 0.0051 + 0.01
    (run,) = simulate_cryo_cuda(
        [problem], device, rule=RULE, monitors=MONITORS, start=first.states[-1]
    )
    march = cpu_run(problem, start=first.states[-1])
    check(differences(run, march))
    assert run.trace.time_s[0] == 75.0
    assert len(run.cycle_minimum_c) == 2


def test_going_on_within_a_freeze(device):
    """The open cycle's minimum and the ramp go on."""
    problem = mixed_problem(Schedule((Phase("freeze", 30.0),)))
    (first,) = simulate_cryo_cuda([problem], device, rule=RULE, until_s=15.0, keep_states=True)
    (run,) = simulate_cryo_cuda([problem], device, rule=RULE, start=first.states[-1])
    assert len(run.cycle_minimum_c) == 1
    assert np.all(run.cycle_minimum_c[0].array <= first.cycle_minimum_c[0].array)
    march = cpu_run(problem, start=first.states[-1])
    assert march.end_of_freeze is not None
    assert np.abs(run.end_of_freeze_c.array - march.end_of_freeze).max() < 0.02
    assert run.energy.stored_j == pytest.approx(march.energy().stored_j, rel=1e-4)
    assert run.energy.residual_fraction < 1e-4


def test_order_of_blocks_and_threads_does_not_matter(folder, device):
    """No race: turned round, the emulation gives the same bits."""
    problem = mixed_problem(Schedule((Phase("freeze", 20.0),)))
    (one,) = simulate_cryo_cuda([problem], device, rule=RULE)
    (other,) = simulate_cryo_cuda([problem], HostDevice(folder, reverse=True), rule=RULE)
    assert np.array_equal(one.end_of_freeze_c.array, other.end_of_freeze_c.array)
    assert one.energy == other.energy


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("* (below(near[f], ts) - tf);", "* (below(near[f], tl) - tf);"),
        ("value[3] -= outside", "value[3] += outside"),
        ("tau_of(u_of(*ta0, q, tl, ts) + gamma", "tau_of(u_of(*ta0, q, tl, ts) - gamma"),
        ("low_all[base + i] = fminf(", "low_all[base + i] = fmaxf("),
        ("thread % 2 ? *face + move : *face - move", "*face"),
    ],
    ids=["flux", "energy", "source", "minimum", "window"],
)
def test_a_broken_kernel_is_noticed(tmp_path, right, wrong):
    """The comparison is a judge: each of these slips takes it over a limit."""
    assert kernel_source("bioheat").count(right) == 1
    problem = mixed_problem(Schedule((Phase("freeze", 20.0), Phase("passive_thaw", 10.0))))
    rule = FAST
    if "face" in right:
        problem, rule = uniform_problem(), RULE
    device = HostDevice(tmp_path, edit=lambda text: text.replace(right, wrong))
    (run,) = simulate_cryo_cuda([problem], device, rule=rule, monitors=MONITORS)
    with pytest.raises(AssertionError, match="over"):
        check(differences(run, cpu_run(problem, rule)))


def test_energy_shares_are_the_recursion_s():
    """They add up to the step and give the exact integral of a constant rate."""
    for stages, parts in ((1, 1), (2, 1), (7, 1), (16, 1), (1, 4), (7, 3)):
        shares = energy_shares(stage_weights(12.0, stages, parts))
        assert shares.size == stages * parts
        assert shares.sum() == pytest.approx(12.0, rel=1e-12)


def test_simulate_with_backend_cuda(device, monkeypatch):
    """The public entry takes the device, and says so."""
    monkeypatch.setattr("irplan.ablation.cryo.resolve_backend", lambda choice: Backend("cuda", "a"))
    monkeypatch.setattr("irplan.compute.device.open_device", lambda: device)
    problem = mixed_problem(Schedule((Phase("freeze", 20.0),)))
    result = simulate(problem, backend="cuda")
    twin = simulate(problem, backend="cpu")
    assert isinstance(result, CryoResult)
    assert isinstance(twin, CryoResult)
    assert (result.backend, result.backend_reason) == ("cuda", "a")
    assert result.options == twin.options
    assert result.error == twin.error
    apart = np.abs(result.end_of_freeze_c.array - twin.end_of_freeze_c.array)
    assert apart.max() < LIMITS["temperature_k"]


# -- memory ------------------------------------------------------------------------------


def test_memory_is_predicted(folder):
    """13 bytes a voxel and 4 to read out; refused before anything is allocated."""
    assert 17.0 < needed_bytes((512, 512, 512)) / 512**3 < 17.5
    device = HostDevice(folder, memory_bytes=48 * 2**20 + 100 * 2**10)
    with pytest.raises(BackendError) as caught:
        simulate_cryo_cuda([mixed_problem()], device, rule=RULE)
    message = str(caught.value)
    assert "48 MiB free on host emulation" in message
    assert "for a simulation of 24 x 26 x 30 voxels" in message
    assert device.launches == 0


def test_what_fits_is_offered(folder):
    """A box of 24 x 26 x 30 mm in an eighth of the memory: a spacing of about 2 mm."""
    from irplan.ablation.cuda_memory import too_large

    class Card(HostDevice):
        name = "card"

    problem = uniform_problem((200, 220, 256))
    needed = needed_bytes(problem.grid.shape)
    card = Card(folder, memory_bytes=needed // 8 + 48 * 2**20)
    message = str(too_large(card, [problem]))
    assert "A spacing of 2.00 mm would fit, or a box of 100 x 110 x 128 mm" in message
    assert f"{(needed + 48 * 2**20) / 2**20:.0f} MiB for a simulation" in message


def test_the_runtime_s_refusal_is_told(folder):
    """Another program took the memory after it was predicted to do."""
    problem = mixed_problem()
    for allocations in (1, 9, 30):
        device = HostDevice(folder, fails_after=allocations)
        with pytest.raises(BackendError, match="took memory meanwhile"):
            simulate_cryo_cuda([problem], device, rule=RULE)


def test_more_problems_than_fit_run_one_after_another(folder):
    problem = uniform_problem((26, 30, 34), minutes=0.3)
    one = needed_bytes(problem.grid.shape)
    device = HostDevice(folder, memory_bytes=48 * 2**20 + one + one // 2)
    runs = simulate_cryo_cuda([problem] * 3, device, rule=RULE)
    assert len({r.energy.stored_j for r in runs}) == 1


def test_cancelling_stops_it(device):
    def cancel(fraction: float, words: str) -> None:
        assert 0.0 < fraction < 1.0
        assert words.startswith("Simulating freeze 1 of 3: ")
        raise CancelledError("simulation")

    with pytest.raises(CancelledError):
        simulate_cryo_cuda([mixed_problem()], device, rule=RULE, progress=cancel)


# -- the emulation itself ----------------------------------------------------------------


def run_program(tmp_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    source, program = tmp_path / "own.cpp", tmp_path / "own"
    source.write_text('#include "cuda_host.h"\n' + body)
    command = [compiler(), "-std=c++17", f"-I{HERE}", "-o", str(program), str(source)]
    subprocess.run(command, check=True)
    return subprocess.run([str(program)], capture_output=True, text=True, check=False)


def test_a_barrier_that_not_all_reach_is_caught(tmp_path):
    """A thread that leaves before a barrier stops the run."""
    done = run_program(
        tmp_path,
        "static void bad() { if (threadIdx.x == 3) return; __syncthreads(); }\n"
        "int main() { cuda_host::launch(dim3(1), dim3(8), [] { bad(); }); return 0; }\n",
    )
    assert done.returncode != 0
    assert "barrier" in done.stderr


def test_barriers_shared_memory_and_atomics(tmp_path):
    """A reversal through shared memory and a count, over several blocks, in both orders."""
    done = run_program(
        tmp_path,
        "static int out[64], total;\n"
        "static void kernel() {\n"
        "  __shared__ int s[32];\n"
        "  s[threadIdx.x] = blockIdx.x * 32 + threadIdx.x;\n"
        "  __syncthreads();\n"
        "  out[blockIdx.x * 32 + threadIdx.x] = s[31 - threadIdx.x];\n"
        "  atomicAdd(&total, 1);\n"
        "}\n"
        "int main() {\n"
        "  for (int r = 0; r < 2; ++r) {\n"
        "    cuda_host_reverse = r;\n"
        "    cuda_host::launch(dim3(2), dim3(32), [] { kernel(); });\n"
        "    for (int n = 0; n < 64; ++n) if (out[n] != n / 32 * 32 + 31 - n % 32) return 1;\n"
        "  }\n"
        "  return total == 128 ? 0 : 2;\n"
        "}\n",
    )
    assert done.returncode == 0


def test_wrong_arguments_are_caught(device):
    """The emulation compares the types of what is passed with the kernel's own."""
    args = (np.zeros(4, np.float64),)
    with pytest.raises(AssertionError, match="arguments, wants"):
        device.launch("bioheat", "bioheat_record", (1, 1, 1), (32, 8, 1), args, {"TISSUES": 16})


def test_source_is_found_by_name():
    assert "bioheat_stage" in kernel_source("bioheat")
