"""Heating against exact solutions: conduction from a point, damage of a ramp; heat balances."""

from __future__ import annotations

import numpy as np

from irplan.ablation.applicator import Applicator
from irplan.ablation.bench import bench_problem
from irplan.ablation.catalogue import applicator
from irplan.ablation.damage import Arrhenius, Cem43
from irplan.ablation.evidence import closed_forms
from irplan.ablation.evidence.blocks import block, placed
from irplan.ablation.evidence.row import EvidenceRow
from irplan.ablation.heat.march import HeatMarch
from irplan.ablation.result import AblationResult
from irplan.ablation.schedule import Schedule
from irplan.ablation.solve import simulate
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import tissue

_BODY_C = 37.0
#: No perfusion and one conductivity: 0.5 W/(m K), 3.6 MJ/(m3 K).
_PLAIN = TissueProperties(
    "plain", 0.5, 1.25, 2.0, 1000.0, 3600.0, 3087.0, 1860.0, k_per_k=0.0
)  # fmt: skip


def _antenna() -> Applicator:
    return Applicator("evidence antenna", "mwa", 1.5, 10.0, 0.0, 20.0, 0.0, 300.0, "evidence [X]")


def _march(n: int, h: float, damage: tuple[Arrhenius | Cem43, ...] = ()) -> HeatMarch:
    problem = block(
        (n, n, n), h, (_PLAIN,), (placed((0.0, 0.0, 0.0), (0, 0, 1), _antenna()),),
        Schedule.constant_power(10.0, 2.0),
    )  # fmt: skip
    return HeatMarch(problem, damage, time_error_mm=0.01)


def point_source(quick: bool) -> tuple[EvidenceRow, ...]:
    """1.2 W in a narrow Gaussian for 120 s: the rise 6 and 10 mm away.

    A point would boil its voxel.  A Gaussian of width s is a point source that began s^2 / 2a
    earlier, less what that one gave until now.
    """
    power_w, time_s = 1.2, 120.0
    r = np.array([6.0, 10.0])
    width_mm, a = 1.5, 0.5 / 3.6
    earlier = width_mm**2 / (2.0 * a)
    exact = closed_forms.point_source_rise_c(power_w, 0.5, a, r, time_s + earlier)
    exact = exact - closed_forms.point_source_rise_c(power_w, 0.5, a, r, earlier)
    name, where = "conduction from a point, 1.2 W, 120 s", "closed form, Q erfc / (4 pi k r)"
    rows: list[EvidenceRow] = []
    balance = 0.0
    for h in (2.0, 1.0) if quick else (2.0, 1.0, 0.5):
        n = round(48 / h) + 1  # the middle of a voxel is the origin
        march = _march(n, h)
        x = h * (np.arange(n) - n // 2)
        d = np.sqrt(x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None, :] ** 2)
        ball = np.exp(-0.5 * (d / width_mm) ** 2).astype(np.float32)
        source = (ball * (power_w / (float(ball.sum()) * (h * 1e-3) ** 3))).astype(np.float32)
        march.advance(source, time_s)
        rise = march.temperature_at(n // 2 + np.stack([r / h, 0 * r, 0 * r], axis=1)) - _BODY_C
        balance = max(balance, march.energy().residual_fraction)
        rows += [
            EvidenceRow(
                name, f"rise at {d_mm:g} mm, h = {h:g} mm", where, "K", float(e), float(got),
                "within" if h <= 1.0 else "shown", 0.02 * float(e) if h <= 1.0 else None,
            )
            for d_mm, e, got in zip(r, exact, rise, strict=True)
        ]  # fmt: skip
    return (
        *rows,
        EvidenceRow(name, "energy balance, largest residual", "conservation", "% of largest term",
                    0.0, 100.0 * balance, "at_most", 0.1),
    )  # fmt: skip


def damage_of_a_ramp(quick: bool) -> tuple[EvidenceRow, ...]:
    """Tissue heated evenly at 0.1 K/s for 180 s, to 55 degC: doses in closed form."""
    del quick
    rate, time_s, n = 0.1, 180.0, 33  # 33 mm to the faces: three diffusion lengths
    a = Arrhenius()
    march = _march(n, 2.0, (Cem43(), a))
    source = np.full((n, n, n), rate * 3.6e6, np.float32)
    for _ in range(90):
        march.advance(source, time_s / 90.0, changed=False)
    doses = march.damage_volumes()
    middle = (n // 2,) * 3
    cem = closed_forms.cem43_of_ramp_min(_BODY_C, rate, time_s)
    omega = closed_forms.arrhenius_of_ramp(
        a.frequency_per_s, a.energy_j_per_mol, _BODY_C, rate, time_s
    )
    dead = float(doses["arrhenius"].array[middle])
    name = "damage of a ramp, 37 to 55 degC in 180 s"
    end = float(march.temperature_c[middle])
    return (
        EvidenceRow(name, "temperature at the end", "0.1 K/s", "degC", _BODY_C + rate * time_s,
                    end, "within", 0.02),
        EvidenceRow(name, "CEM43", "closed form", "min", cem,
                    float(doses["cem43"].array[middle]), "within", 0.02 * cem),
        EvidenceRow(name, "Arrhenius integral", "closed form, exponential integral", "", omega,
                    float(-np.log1p(-dead)), "within", 0.02 * omega),
    )  # fmt: skip


def heat_balances(quick: bool) -> tuple[EvidenceRow, ...]:
    """One minute of an applicator of each heating kind in liver: all heat is accounted for."""
    rows = []
    h = 2.0 if quick else 1.0
    for name, power_w in (("mwa-15g-cooled-2450", 50.0), ("rfa-17g-cooled-3cm", 100.0)):
        chosen = applicator(name)
        problem = bench_problem(
            chosen, tissue("liver", kind=chosen.kind), Schedule.constant_power(power_w, 1.0),
            spacing_mm=h,
        )  # fmt: skip
        rows.append(_balance(f"{name}, {power_w:g} W, 1 min, h = {h:g} mm", simulate(problem)))
    chosen = applicator("ire-19g-20mm")
    problem = bench_problem(
        chosen, tissue("liver", kind="ire"), Schedule.constant_power(1.0, 1.0),
        offsets_mm=((-7.5, 0.0), (7.5, 0.0)), spacing_mm=h,
    )  # fmt: skip
    rows.append(_balance(f"two {chosen.name}, 90 pulses, h = {h:g} mm", simulate(problem)))
    return tuple(rows)


def _balance(what: str, result: AblationResult) -> EvidenceRow:
    return EvidenceRow(
        "heat balance of each modality", what, "conservation", "% of largest term", 0.0,
        100.0 * result.energy.residual_fraction, "at_most", 0.1,
    )  # fmt: skip
