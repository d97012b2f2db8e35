"""``irplan plan``: CT and target in, simulated, judged and reported plan out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli.console import JSON, QUIET, Console, command
from irplan.cli.values import parse_point, parse_probes, parse_rules, parse_timing
from irplan.errors import InputError

if TYPE_CHECKING:
    from irplan.planning.case import PlannedAblation


def plan(
    ct: Path = typer.Argument(
        ..., help="CT: a DICOM folder or a NIfTI file.", metavar="CT", show_default=False
    ),
    out: Path = typer.Option(
        ..., "-o", "--out", help="Folder for the results; made new, or replaced if irplan made it."
    ),
    target_mask: Path | None = typer.Option(
        None,
        help="Tumour mask on the CT's grid: NIfTI file or DICOM folder (not zero = tumour), DICOM "
        "SEG or RTSTRUCT.",
    ),
    target_point: str | None = typer.Option(
        None, metavar="X,Y,Z", help="Middle of the tumour, LPS mm (with --target-diameter)."
    ),
    target_diameter: float | None = typer.Option(
        None, metavar="MM", help="Diameter of the tumour, mm (with --target-point)."
    ),
    labels: Path | None = typer.Option(
        None,
        help="Structures to plan with, on the CT's grid, instead of segmenting it: what irplan "
        "segment wrote and you corrected.",
    ),
    vessel_mode: str = typer.Option(
        "fast",
        metavar="fast|fine",
        help="fine also finds veins of 2 to 3 mm in the liver, as heat sinks and obstacles; 1 to 3 "
        "s more.",
    ),
    margin: float = typer.Option(5.0, metavar="MM", help="Margin to reach all round, mm."),
    probes: str = typer.Option(
        "auto", metavar="auto|N", help="Number of applicators; auto = as few as reach the margin."
    ),
    applicator: str = typer.Option(
        "auto", help="Applicator of the catalogue; auto = the least harm that covers the target."
    ),
    modality: str = typer.Option("cryo", metavar="cryo|mwa|rfa|ire", help="How to ablate."),
    optimise: str = typer.Option(
        "fewest",
        metavar="coverage|robust|fewest",
        help="fewest needles; coverage with the least harm; or most likely to cover when needles "
        "miss (see --uncertainty).",
    ),
    uncertainty: str = typer.Option(
        "cbct",
        metavar="PRESET|FILE",
        help="Errors for --optimise robust: robot, ct-laser, freehand, ar, cbct, or a TOML file.",
    ),
    fixed: Path | None = typer.Option(
        None, metavar="FILE", help="Needles that are in already and stay: plan.json, CSV, markups."
    ),
    alternatives: int = typer.Option(1, metavar="N", help="Plans to show, 1 to 6."),
    component: int | None = typer.Option(
        None, metavar="N", help="Plan one separate part of the mask alone; 1 is the largest."
    ),
    rule: list[str] = typer.Option(
        [],
        metavar="NAME=VALUE",
        help="Another limit of paths or spacing, e.g. max_tilt=30 or gallbladder.hard_mm=3; "
        "repeat. A wrong name lists all.",
    ),
    lethal_temperature: float = typer.Option(
        -20.0, metavar="DEGC", help="Isotherm that counts as lethal; -40 is the cautious choice."
    ),
    schedule: str | None = typer.Option(
        None, metavar="MIN-MIN-MIN", help="Minutes of freeze-thaw-freeze (cryo; 10-8-10)."
    ),
    power: str | None = typer.Option(
        None, metavar="W,MIN", help="Power and minutes (mwa, rfa); left out they are chosen."
    ),
    cbct: bool = typer.Option(
        False, "--cbct", help="The scan is a cone-beam CT: any grey scale, truncated, metal."
    ),
    field: Path | None = typer.Option(
        None, metavar="MASK", help="--cbct: what was reconstructed; default: found in the scan."
    ),
    prior_ct: Path | None = typer.Option(
        None, metavar="SCAN", help="--cbct: a CT to register, for what the scan does not show."
    ),
    prior_labels: Path | None = typer.Option(
        None, metavar="LABELS", help="--cbct: structures on that CT; default: it is segmented."
    ),
    prior_target: Path | None = typer.Option(
        None, metavar="MASK", help="--cbct: the tumour on that CT instead of on the scan."
    ),
    carry_error: float = typer.Option(
        2.5, metavar="MM", help="--cbct: added to obstacles' distances with --prior-ct."
    ),
    series: str | None = typer.Option(
        None, metavar="UID", help="SeriesInstanceUID when the folder holds several series."
    ),
    seed: int = typer.Option(0, help="Same seed, same plan, byte for byte."),
    outside_liver: bool = typer.Option(
        False, "--outside-liver", help="Plan although the target is not in the segmented liver."
    ),
    picture_3d: bool = typer.Option(True, "--3d/--no-3d", help="Make the 3D picture."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Plan an ablation of a liver tumour and write plan, zones and a draft report.

    The liver, vessels, bone, lung, gas and gallbladder are segmented, needle paths are searched
    under hard rules, the zone is simulated, and the margins are judged.

    Examples:

    `irplan plan scan/ --target-mask tumour.nii.gz -o out`

    `irplan plan ct.nii.gz --target-point -62,18,-140 --target-diameter 22 --margin 8 -o out`

    `irplan plan scan/ --labels labels.nii.gz --target-mask tumour.nii.gz -o out`

    `irplan plan scan/ --target-mask tumour.nii.gz --modality mwa --alternatives 4 -o out`

    `irplan plan scan/ --target-mask tumour.nii.gz --fixed needles.json -o replanned`

    `irplan plan cbct/ --cbct --prior-ct ct/ --prior-target tumour.nii.gz -o out`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.ablation.lethal import LethalRule
        from irplan.case.cbct_input import CbctInput
        from irplan.case.fixed_needles import read_fixed_needles
        from irplan.case.run import PlanRequest, run_plan
        from irplan.files.uncertainty_file import read_uncertainty
        from irplan.planning.case import PlanOptions
        from irplan.planning.modality import modality as way_of
        from irplan.planning.rules import PathRules

        with_cbct = {"--field": field, "--prior-ct": prior_ct, "--prior-labels": prior_labels,
                     "--prior-target": prior_target}  # fmt: skip
        odd = [name for name, value in with_cbct.items() if value is not None]
        if odd and not cbct:
            raise InputError(
                odd[0],
                got="without --cbct",
                expected="--cbct: it says more of a cone-beam CT",
                remedy="Add --cbct, or leave it out.",
            )
        beam = CbctInput(field, prior_ct, prior_labels, prior_target, carry_error) if cbct else None
        # The modality's spacing first: what the user sets must not contradict that of cold.
        rules = way_of(modality).rules(PathRules()).with_values(**parse_rules(rule))
        if beam is not None:
            rules = beam.rules(rules)

        phases = parse_timing(schedule, power, modality)
        cycles = phases.freeze_count if phases is not None and modality == "cryo" else 2
        default = None if applicator == "auto" else applicator
        needles = () if fixed is None else read_fixed_needles(fixed, default=default)
        request = PlanRequest(
            ct=ct,
            out=out,
            target_mask=target_mask,
            target_point_mm=None if target_point is None else parse_point(target_point),
            target_diameter_mm=target_diameter,
            series_uid=series,
            component=component,
            outside_liver=outside_liver,
            picture_3d=picture_3d,
            labels=labels,
            vessel_mode=vessel_mode,  # type: ignore[arg-type]
            cbct=beam,
            options=PlanOptions(
                rules=rules,
                margin_mm=margin,
                probes=parse_probes(probes),
                applicator=applicator,
                seed=seed,
                lethal=LethalRule(lethal_temperature, cycles),
                schedule=phases,
                modality=modality,  # type: ignore[arg-type]
                objective=optimise,  # type: ignore[arg-type]
                uncertainty=read_uncertainty(uncertainty),
                fixed=needles,
                alternatives=alternatives,
            ),
        )
        with console.progress("plan") as progress:
            outcome = run_plan(request, progress=progress)
        show_plan(console, outcome.case, out, outcome.messages)


def _shown(value: float, unit: str) -> str:
    """One decimal, but never rounded up to all of it."""
    return "> 99.9" if unit == "%" and 99.9 < value < 100.0 else f"{value:.1f}"


def show_plan(
    console: Console, case: PlannedAblation, out: Path, messages: tuple[str, ...]
) -> None:
    """Print the verdict on a plan for a person, or as JSON."""
    evaluation, plan = case.evaluation, case.plan
    marks = {"ok": "ok", "warning": "WARNING", "error": "ERROR", "not_checked": "not checked"}
    kind = plan.placements[0].applicator.name
    if evaluation.status == "error":
        failed = ", ".join(row.name for row in evaluation.rows if row.status == "error")
        typer.echo(f"irplan: this plan FAILED its checks: {failed}", err=True)
    console.say(
        f"{len(plan.placements)} x {kind}: minimal margin {evaluation.minimal_margin_mm:.1f} mm "
        f"(goal {plan.margin_goal_mm:.1f}), target covered {100 * evaluation.target_coverage:.1f} %"
    )
    for row in evaluation.rows:
        value = "-" if row.value is None else f"{_shown(row.value, row.unit)} {row.unit}"
        console.say(f"  {marks[row.status]:<11}  {row.name}: {value}  ({row.limit})")
    for message in messages:
        console.say(f"  note         {message}")
    if len(case.alternatives) > 1:
        console.say("Plans, the recommended one first:")
    for number, one in enumerate(case.alternatives, start=1):
        if len(case.alternatives) == 1:
            break
        e, tool = one.evaluation, one.plan.placements[0].applicator.name
        console.say(
            f"  {number}  {' + '.join(one.names)}: {len(one.plan.placements)} x {tool}, margin "
            f"{e.minimal_margin_mm:.1f} mm, {_shown(100 * e.margin_coverage, '%')} % covered with "
            f"the margin, {one.healthy_ml:.1f} ml of healthy tissue, path cost {one.risk:.2f}"
        )
    console.say(f"DRAFT: {out / 'report.html'}   (research use only)")
    console.result(
        {
            "out": str(out),
            "probes": len(plan.placements),
            "applicator": kind,
            "minimal_margin_mm": round(evaluation.minimal_margin_mm, 3),
            "minimal_margin_at_lps_mm": [round(v, 3) for v in evaluation.minimal_margin_at_mm],
            "target_coverage": round(evaluation.target_coverage, 5),
            "margin_coverage": round(evaluation.margin_coverage, 5),
            "status": evaluation.status,
            "rows": [
                {
                    "name": row.name,
                    "value": row.value,
                    "unit": row.unit,
                    "limit": row.limit,
                    "status": row.status,
                    "note": row.note,
                }
                for row in evaluation.rows
            ],
            "messages": list(messages),
            "simulations": case.simulations,
            "alternatives": [
                {
                    "best_at": list(one.names),
                    "probes": len(one.plan.placements),
                    "applicator": one.plan.placements[0].applicator.name,
                    "minimal_margin_mm": round(one.evaluation.minimal_margin_mm, 3),
                    "target_coverage": round(one.evaluation.target_coverage, 5),
                    "margin_coverage": round(one.evaluation.margin_coverage, 5),
                    "healthy_ml": round(one.healthy_ml, 2),
                    "path_cost": round(one.risk, 3),
                }
                for one in case.alternatives
            ],
        }
    )
