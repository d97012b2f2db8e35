"""``irplan cbct-sim``: a cone-beam CT of a known patient."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import parse_point


def cbct_sim(
    ct: Path = typer.Argument(
        ..., metavar="CT", show_default=False, help="CT in HU: DICOM folder or NIfTI."
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Folder for cbct, field and facts."),
    isocentre: str | None = typer.Option(
        None, metavar="X,Y,Z", help="Middle of the field, LPS mm; default: the CT's middle."
    ),
    plan: Path | None = typer.Option(None, help="Plan whose needles are put in as metal."),
    breath: str | None = typer.Option(
        None, metavar="X,Y,Z", help="Breathing during the scan, mm peak to peak."
    ),
    voxel: float = typer.Option(1.0, metavar="MM", help="Voxel size, 0.2 to 5 mm."),
    views: int = typer.Option(248, help="Projections, 20 to 2000."),
    kv: int = typer.Option(100, help="Tube voltage: 90, 100 or 120 kV."),
    photons: float = typer.Option(2e5, help="Photons a pixel and view; 0: no noise."),
    seed: int = typer.Option(0, help="Same seed, same noise."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Simulate a C-arm cone-beam CT: scatter, noise, truncation, metal, breathing, FDK.

    Example:

    `irplan cbct-sim ct.nii.gz --plan case1 --isocentre=-60,10,-120 -o cbct1`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.imaging_case import run_cbct

        middle = None if isocentre is None else parse_point(isocentre, option="--isocentre")
        motion = None if breath is None else parse_point(breath, option="--breath")
        with console.progress("cbct-sim") as progress:
            facts = run_cbct(
                ct, out, isocentre_mm=middle, plan=plan, breath_mm=motion, voxel_mm=voxel,
                views=views, kv=kv, photons=photons, seed=seed, progress=progress,
            )  # fmt: skip
        console.say(f"Simulated cone-beam CT (research use only): {out}")
        console.say(f"  {len(facts['needles'])} needles, {views} views, {kv} kV")
        console.result(facts)
