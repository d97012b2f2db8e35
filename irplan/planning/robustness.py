"""Probability that a plan covers its target under placement, registration and tissue errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem, AblationResult, Placement, simulate_many
from irplan.ablation.problem import check_range
from irplan.ablation.tissue_map import TissueMap
from irplan.ablation.tissue_table import TISSUE_OF_STRUCTURE
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError, IrplanError
from irplan.image import LabelMap
from irplan.planning.margins import TargetGeometry
from irplan.planning.modality import modality
from irplan.planning.plan import AblationPlan
from irplan.planning.robustness_disturbed import disturbed
from irplan.planning.robustness_effect import LEAST_EFFECT, AddedEffect
from irplan.planning.robustness_fast import LEAST, MOST, FastModel, Rays
from irplan.planning.robustness_result import (
    CoverageProbability,
    FastError,
    Mode,
    Share,
    SourceShare,
)
from irplan.planning.robustness_sampling import MovedNeedles, Normals, moved_needles, too_close
from irplan.planning.robustness_uncertainty import Uncertainty
from irplan.planning.rules import PathRules

#: Samples that make Wilson's 95 % interval +-2 % whatever the probability.
SAMPLES_FOR_2_PERCENT = 2401
#: Samples of full physics by default, and samples behind the shares of the sources.
FULL_SAMPLES, SHARE_SAMPLES = 200, 800
#: Samples that are simulated in full to take off the fast mode's error, for several needles.  A
#: simulation by heat or of electrodes takes seconds, not tenths of one.
PAIRS = {"cryo": 60, "mwa": 24, "rfa": 12, "ire": 16}
#: Stream of the noise that stands for the fast mode's scatter.
_NOISE = 9
#: Allowed error in time of the zone's radius in samples that are simulated in full, mm.
_TIME_ERROR_MM = {"cryo": 0.06, "mwa": 0.2, "rfa": 0.2, "ire": 0.2}
#: Tissue round the active zones in simulations of disturbed needles, mm.
_ROOM_MM = 75.0
#: By heat margins are followed from this deep inside the target: it is hottest within, and beside a
#: cooled shaft the field means little, mm.
_DEEPEST_MM = 4.0
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def coverage_probability(
    plan: AblationPlan,
    labels: LabelMap,
    target: TargetGeometry,
    uncertainty: Uncertainty,
    *,
    result: AblationResult | None = None,
    margin_mm: float | None = None,
    rules: PathRules | None = None,
    samples: int | None = None,
    seed: int = 0,
    mode: Mode = "fast",
    check_pairs: int | None = None,
    progress: Progress = no_progress,
) -> CoverageProbability:
    """P(target + margin lies in the lethal zone) with its interval, by Monte Carlo.

    A sample is covered when its smallest ablative margin, by the subcapsular rule of ``rules``,
    reaches ``margin_mm``; margins are followed along the normals of the target's surface.

    Parameters
    ----------
    plan, labels, target : the plan, the structures it was made on, the target's geometry.
    uncertainty : standard deviations of all errors (`preset`).
        By electroporation the tissue's perfusion and thermal conductivity change nothing and are
        left as they are; its electric conductivity is not varied.  Electrodes get the voltage that
        belongs to their distance as placed.
    result : the plan's simulation on the fine grid; simulated now when not given.
    margin_mm : margin to be covered, 0 to 30 mm; None: the plan's goal.
    samples : 20 to 1 000 000; None: 2401 (fast; +-2 % at worst) or 200 (full).
    seed : >= 0; the same seed gives every plan the same errors (common random numbers).
    mode : "fast" carries each applicator's effect with its needle (`FastModel`); "full" simulates
        every sample on 2 mm voxels (radiofrequency 3 mm), corrected by the plan's own result.
    check_pairs : in the fast mode, samples that are also simulated in full, spread over the
        margins found (0, or 4 and more).  A line through them corrects the fast margins, what
        scatters about it is added as noise, and both are stated; the probability is then corrected
        by what the pairs say beyond the line, and its interval holds that correction's error.
        None: `PAIRS` for several needles, 0 for one.

    Raises
    ------
    InputError : a lethal rule with a hold time, applicators of several kinds, options out of
        range, or what the simulation raises for the plan itself.

    Cost on 2 cores, cryo: fast about 5 s with the shares of the sources; full some 20 samples/s.
    """
    rules = PathRules() if rules is None else rules
    goal = plan.margin_goal_mm if margin_mm is None else margin_mm
    kind = plan.placements[0].applicator.kind
    count, check_pairs = check_sampling(plan, samples, seed, mode, check_pairs, margin_mm=goal)
    way = modality(kind, lethal=plan.lethal)
    effect = AddedEffect(way)
    if kind == "ire":
        uncertainty = uncertainty.without_tissue()
    tissues = TissueMap.from_labels(labels, plan.placements, margin_mm=_ROOM_MM)
    if result is None:
        problem = AblationProblem.from_labels(
            labels, plan.placements, plan.schedule, spacing_mm=way.final_mm
        )
        result = way.simulate(problem, search=False, progress=portion(progress, 0.0, 0.2))
    deepest = _DEEPEST_MM if kind in ("mwa", "rfa") else math.inf
    rays = Rays.of(target, rules.subcapsular_depth.value, goal, deepest_mm=deepest)
    normals = Normals.drawn(len(plan.placements), count, seed)
    moved = moved_needles(plan.placements, normals, uncertainty)
    sources: tuple[SourceShare, ...] = ()
    checked = None
    model_error = 0.0
    refused = 0
    if mode == "full":
        every = np.arange(count)
        margins = _full(
            plan, effect, tissues, rays, result, moved, every, portion(progress, 0.2, 1.0)
        )
        refused = int(np.isnan(margins).sum())
        margins = np.where(np.isnan(margins), rays.offsets_mm[0], margins)
    else:
        model = FastModel.of(
            plan, tissues, rays, result, uncertainty, effect=effect,
            tissue_name=TISSUE_OF_STRUCTURE.get(target.organ_name or "tumour", "tumour"),
            progress=portion(progress, 0.2, 0.5),
        )  # fmt: skip
        margins = model.margins_mm(moved)
        touching = too_close(plan.placements, moved)
        free = np.flatnonzero(~touching)
        refused = count - len(free)
        check_pairs = min(check_pairs, len(free))
        line = _Line(0.0, 1.0, 0.0)
        if check_pairs:
            # Evenly over the margins the fast mode found: selecting by it does not bias a line.
            order = free[np.argsort(margins[free], kind="stable")]
            which = order[np.linspace(0, len(free) - 1, check_pairs).round().astype(np.int64)]
            full = _full(
                plan, effect, tissues, rays, result, moved, which, portion(progress, 0.5, 1.0)
            )
            line, checked = _compared(margins[which], full, goal)
        noise = np.random.default_rng([seed, _NOISE]).standard_normal(count)
        plain = margins
        margins = line.at(margins) + line.scatter_mm * noise
        margins[touching] = rays.offsets_mm[0]
        if checked is not None:
            covered, model_error = _by_pairs(line, plain, free, which, full, goal)
            target_only, _ = _by_pairs(line, plain, free, which, full, 0.0)
    if checked is None:
        covered = Share(int(np.count_nonzero(margins >= goal)), count)
        target_only = Share(int(np.count_nonzero(margins >= 0.0)), count)
    if mode == "fast":
        sources = _sources(model, normals, uncertainty, goal, line, seed, covered.value)
    progress(1.0, "probability of coverage")
    return CoverageProbability(
        margin_mm=goal,
        covered=covered,
        target_only=target_only,
        margin_quantiles_mm={q: float(np.quantile(margins, q)) for q in _QUANTILES},
        sources=sources,
        seed=seed,
        mode=mode,
        uncertainty=uncertainty.words,
        refused=refused,
        fast_error=checked,
        model_error=model_error,
    )


def check_sampling(
    plan: AblationPlan,
    samples: int | None,
    seed: int,
    mode: Mode,
    check_pairs: int | None,
    *,
    margin_mm: float,
) -> tuple[int, int]:
    """Samples and pairs that `coverage_probability` takes for these options; raises what it does.

    Costs nothing: for callers that simulate the plan first.
    """
    if mode not in ("fast", "full"):
        raise InputError(
            "mode", got=repr(mode), expected="'fast' or 'full'", remedy="Use one of them."
        )
    usual = SAMPLES_FOR_2_PERCENT if mode == "fast" else FULL_SAMPLES
    count = usual if samples is None else samples
    check_range("margin_mm", margin_mm, 0.0, 30.0, "mm", "Liver: 5 to 10 mm is usual.")
    check_range("samples", count, 20, 1_000_000, "", "2401 give an interval of +-2 %.")
    check_range("seed", seed, 0, 2**63 - 1, "", "Give a whole number.")
    if check_pairs is None:
        several = len(plan.placements) > 1 and mode == "fast"
        check_pairs = min(count, PAIRS[plan.placements[0].applicator.kind]) if several else 0
    check_range("check_pairs", check_pairs, 0, count, "", "At most as many as samples.")
    kinds = list(dict.fromkeys(p.applicator.kind for p in plan.placements))
    if 0 < check_pairs < 4:
        raise InputError(
            "check_pairs",
            got=f"{check_pairs}",
            expected="0, or 4 and more",
            remedy="A line through fewer says nothing; leave it out to have the usual number.",
        )
    if len(kinds) > 1 or (kinds[0] == "cryo" and plan.lethal.hold_s > 0.0):
        raise InputError(
            "plan",
            got="a rule with a hold time" if len(kinds) == 1 else "kinds " + ", ".join(kinds),
            expected="applicators of one kind; by cold, a zone that an isotherm bounds",
            remedy="The probability of coverage is not computed for it: leave it out.",
        )
    return count, check_pairs


def _full(
    plan: AblationPlan,
    effect: AddedEffect,
    tissues: TissueMap,
    rays: Rays,
    result: AblationResult,
    moved: MovedNeedles,
    which: NDArray[np.int64],
    progress: Progress,
) -> NDArray[np.float64]:
    """Smallest margins of some samples by simulation; NaN for those that cannot be simulated."""
    points, shape = rays.points_mm.reshape(-1, 3), rays.points_mm.shape[:2]
    way = effect.way
    out = np.full(len(which), np.nan)
    done: list[int] = []

    def problems() -> Iterator[AblationProblem]:
        yield tissues.problem(plan.placements, plan.schedule, spacing_mm=way.search_mm)
        for place, n in enumerate(which.tolist()):
            try:
                problem = tissues.problem(
                    moved.placements(plan.placements, n), plan.schedule, spacing_mm=way.search_mm
                )
            except IrplanError:
                continue  # needles that touch, or an active zone in gas or bone
            done.append(place)
            yield disturbed(
                problem, float(moved.log_perfusion[n]), float(moved.log_conductivity[n])
            )

    def along_rays(run: AblationResult, places: Sequence[Placement]) -> NDArray[np.float64]:
        return effect.at(run, places, points).reshape(shape)

    # Cold: the coarse field is corrected place by place.  Else the margin by what the voxels do to
    # the plan's own: beside a cooled shaft, or on an electrode, the fields' ratio means nothing.
    correction: NDArray[np.float64] | float | None = None
    by_place = way.kind == "cryo"
    fine = along_rays(result, plan.placements)
    runs = simulate_many(
        problems(),
        time_error_mm=_TIME_ERROR_MM[way.kind],
        progress=progress,
        total=len(which) + 1,
    )
    for k, run in enumerate(runs):
        if correction is None:
            plain = along_rays(run, plan.placements)
            if by_place:
                correction = np.clip(fine / np.maximum(plain, LEAST_EFFECT), LEAST, MOST)
            else:
                own = rays.smallest(plain, effect.lethal)
                correction = rays.smallest(fine, effect.lethal) - own
            continue
        place = done[k - 1]
        places = moved.placements(plan.placements, int(which[place]))
        found = along_rays(run, places)
        if by_place:
            out[place] = rays.smallest(found * correction, effect.lethal)
        else:
            out[place] = rays.smallest(found, effect.lethal) + correction
    return out


@dataclass(frozen=True)
class _Line:
    """Full physics as a line of the fast margin, with what scatters about it."""

    at_0_mm: float
    slope: float
    scatter_mm: float

    def at(self, fast_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected margin of full physics, mm."""
        return self.at_0_mm + self.slope * fast_mm


def _compared(
    fast: NDArray[np.float64], full: NDArray[np.float64], goal: float
) -> tuple[_Line, FastError | None]:
    """Least-squares line of full against fast margins, and how the two agree."""
    there = np.isfinite(full)
    fast, full = fast[there], full[there]
    if len(fast) < 4 or np.ptp(fast) < 0.2:
        return _Line(0.0, 1.0, 0.0), None
    slope, at_0 = (float(v) for v in np.polyfit(fast, full, 1))
    line = _Line(at_0, slope, 0.0)
    rest = full - line.at(fast)
    scatter = float(np.sqrt(np.sum(rest**2) / (len(rest) - 2)))
    disagree = int(np.count_nonzero((line.at(fast) >= goal) != (full >= goal)))
    return _Line(at_0, slope, scatter), FastError(
        len(fast), disagree, float(np.mean(fast - full)), scatter
    )


def _by_pairs(
    line: _Line,
    fast: NDArray[np.float64],
    free: NDArray[np.int64],
    which: NDArray[np.int64],
    full: NDArray[np.float64],
    goal: float,
) -> tuple[Share, float]:
    """Share that reaches ``goal``, and the standard error of its correction by the pairs.

    The difference estimator of survey sampling (Saerndal, Swensson and Wretman 1992, eq. 6.3.4):
    what the line expects of all ``free`` samples, plus what full physics says beyond it on the
    pairs, which lie evenly over their ranks; the other samples are not covered.  Half a pair is
    added to the error, so that pairs that all agree are not taken for certainty.
    """
    from scipy.special import ndtr

    expected = ndtr((line.at(fast) - goal) / max(line.scatter_mm, 1e-3))
    rest = (full >= goal).astype(np.float64) - expected[which]  # NaN (refused): not covered
    share = len(free) / len(fast)
    value = share * float(np.clip(expected[free].mean() + rest.mean(), 0.0, 1.0))
    error = share * float(np.hypot(rest.std(ddof=1) / np.sqrt(len(rest)), 0.5 / len(rest)))
    return Share(round(value * len(fast)), len(fast)), error


def _sources(
    model: FastModel,
    normals: Normals,
    uncertainty: Uncertainty,
    goal: float,
    line: _Line,
    seed: int,
    probability: float,
) -> tuple[SourceShare, ...]:
    """Total effect of each source on the margin, and the probability without it.

    What the model gains without a source, on the same random numbers, is added to ``probability``.
    """
    count = min(SHARE_SAMPLES, len(normals.perfusion))
    some = normals.first(count)
    other = Normals.drawn(len(model.placements), count, seed + 1)
    moved = moved_needles(model.placements, some, uncertainty)
    base = model.margins_mm(moved)
    noise = np.random.default_rng([seed, _NOISE]).standard_normal(count)

    def likely(fast: NDArray[np.float64], needles: MovedNeedles) -> float:
        reached = line.at(fast) + line.scatter_mm * noise >= goal
        return float(np.mean(reached & ~too_close(model.placements, needles)))

    effects, without = [], []
    for source in uncertainty.active:
        swapped = moved_needles(model.placements, some.swapped(other, source), uncertainty)
        effects.append(float(np.mean((base - model.margins_mm(swapped)) ** 2)))
        sure = moved_needles(model.placements, some, uncertainty.without(source))
        without.append(likely(model.margins_mm(sure), sure))
    gain = probability - likely(base, moved)
    without = [min(1.0, max(0.0, w + gain)) for w in without]
    total = max(sum(effects), 1e-12)
    return tuple(
        SourceShare(name, e / total, w)
        for name, e, w in zip(uncertainty.active, effects, without, strict=True)
    )
