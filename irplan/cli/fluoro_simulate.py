"""``irplan fluoro simulate``: a run with known truth, as DICOM XA."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import numbers


def simulate(
    scene: str = typer.Argument(
        ..., show_default=False, help="flat, abdomen, cardiac, neuro, peripheral or neuro-dsa."
    ),
    out: Path = typer.Option(
        ...,
        "-o",
        "--out",
        metavar="RUN.dcm",
        show_default=False,
        help="DICOM XA; its record is written beside it (.json).",
    ),
    dose: str = typer.Option(
        "10",
        metavar="NGY",
        help="Detector dose, nGy a frame; with commas a ladder: one file "
        "each (RUN_10nGy.dcm ...), the noise paired.",
    ),
    beam: str = typer.Option(
        "RQA5",
        help="RQA3, RQA5, RQA7, RQA9, 70kV-20cm, 70kV-0.3Cu-20cm, 80kV-0.9Cu-20cm or "
        "100kV-0.1Cu-30cm.",
    ),
    detector: str = typer.Option(
        "flat-panel-0.2", help="flat-panel-0.2, flat-panel-0.15 or ideal."
    ),
    size: int = typer.Option(1024, metavar="PX", help="Side of the frame."),
    frames: int = typer.Option(30, help="How many."),
    rate: float = typer.Option(15.0, metavar="HZ", help="Frames a second."),
    seed: int = typer.Option(0, help="Changes anatomy, devices, motion and noise."),
    pulse: float = typer.Option(8.0, metavar="MS", help="Length of a pulse (motion blur)."),
    aec: bool = typer.Option(True, help="Exposure control follows the scene."),
    truth: bool = typer.Option(
        False, "--truth", help="Also clean frames and every layer, RUN_truth.npz."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Simulate a run of moving layers and devices with known truth; no person is in it.

    Examples:

    `irplan fluoro simulate cardiac -o heart.dcm --dose 10 --seed 3`

    `irplan fluoro simulate abdomen -o run.dcm --dose 40,16,10,5.6 --beam 70kV-0.3Cu-20cm --truth`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.fluoro_simulate import SimulateRequest, simulate_to_dicom

        doses = numbers(
            dose, option="--dose", separator=",", count=dose.count(",") + 1, example="40,16,10,5.6"
        )
        request = SimulateRequest(
            scene, out, tuple(doses), beam, detector, (size, size), frames, rate, seed, pulse, aec,
            truth,
        )  # fmt: skip
        with console.progress("fluoro simulate") as progress:
            written = simulate_to_dicom(request, progress=progress)
        for path in written:
            console.say(f"Written: {path}   (research use only)")
        console.result({"written": [str(p) for p in written]})
