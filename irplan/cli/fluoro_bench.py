"""``irplan fluoro bench``: what a filter is worth, in dose."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.columns import columns
from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import modules_here, numbers


def bench(
    filters: list[str] = typer.Option(
        [],
        "--filter",
        metavar="NAME",
        help="What to measure, again for more: a preset, recursive:GAIN, a peer (cv2-nlm, nvca, "
        "bm3d, tv, wavelet) or your own as module:function.  Default: general.",
    ),
    peers: bool = typer.Option(True, help="All peers as well."),
    scenes: list[str] = typer.Option(
        [],
        "--scene",
        metavar="NAME",
        help="abdomen, cardiac, neuro, peripheral, neuro-dsa (subtraction); default all.",
    ),
    dicom: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="A recorded run instead: noise, lag and structure before and "
        "after (there is no truth, so no d').",
    ),
    dose: str = typer.Option(
        "1,.4,.25,.14", metavar="SHARES", help="Dose ladder as shares of the full dose."
    ),
    full_dose: float = typer.Option(40.0, metavar="NGY", help="Full dose at the detector, nGy."),
    level: str = typer.Option(
        "standard", help="quick (a minute or two), standard (tens of minutes) or full (hours)."
    ),
    out: Path | None = typer.Option(None, "-o", "--out", help="Folder for page, JSON, figures."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Dose factor a task, worst case over size x speed, devices, structure, speed.

    Every filter sees the same frames, with the same noise, as raw and a plain recursive filter.
    Figures are of seeds that irplan's constants were not chosen on.

    Examples:

    `irplan fluoro bench -o bench`

    `irplan fluoro bench --filter mymodule:make_filter --no-peers --level quick -o mine`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.fluoro_bench_case import run_fluoro_bench, run_recorded_bench
        from irplan.files.fluoro_bench_file import bench_to_data, recorded_to_data
        from irplan.fluoroscopy.bench.peers import PEERS
        from irplan.fluoroscopy.bench.request import DEVICE_SCENES, DSA_SCENE, BenchRequest
        from irplan.reports import fluoro_bench as tables

        named = tuple(filters) or ("general",)
        modules_here(named)
        if dicom is not None:
            with console.progress("fluoro bench") as progress:
                every = (*named, *(PEERS if peers else ()))
                seen = run_recorded_bench(dicom, every, out, progress=progress)
            for note in seen.notes:
                console.say(f"  note         {note}")
            table = tables.recorded_table(seen)
            console.say(f"\n{columns(table.columns, table.rows)}\n{table.note}")
            console.result(recorded_to_data(seen))
            return
        request = BenchRequest(
            (*named, *(PEERS if peers else ())),
            tuple(scenes) or (*DEVICE_SCENES, DSA_SCENE),
            tuple(
                numbers(
                    dose,
                    option="--dose",
                    separator=",",
                    count=dose.count(",") + 1,
                    example="1,.4,.25,.14",
                )
            ),
            full_dose,
            level,  # type: ignore[arg-type]
        )
        with console.progress("fluoro bench") as progress:
            result = run_fluoro_bench(request, out, progress=progress)
        for table in (
            tables.filters_table(result),
            *(tables.demands_table(result, n) for n in named),
            *(t for n in named for t in tables.peers_table(result, n)),
            tables.devices_table(result),
            tables.worst_table(result),
            *tables.dsa_tables(result),
        ):
            console.say(f"\n{table.title}\n{columns(table.columns, table.rows)}")
        if out is not None:
            console.say(f"\nWritten: {out}   (research use only)")
        console.result(bench_to_data(result))


def phantom(
    image: Path = typer.Argument(
        ..., metavar="IMAGE.dcm", show_default=False, help="Image of a Leeds TOR 18FG phantom."
    ),
    python: Path = typer.Option(
        ..., "--pylinac", metavar="PYTHON", help="Interpreter of an environment with pylinac."
    ),
    model: str = typer.Option("leeds", help="leeds or leeds-blue."),
    centre: str | None = typer.Option(
        None, metavar="X,Y", help="Centre, px, where it is not found."
    ),
    radius: float | None = typer.Option(None, metavar="PX", help="Radius, where it is not found."),
    angle: float | None = typer.Option(None, metavar="DEG", help="Angle, where it is not found."),
    inverted: bool = typer.Option(False, "--inverted", help="Turn the grey values round first."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Low contrast and resolution of a Leeds TOR 18FG image, by pylinac.

    Example: `irplan fluoro phantom leeds.dcm --pylinac qa/bin/python`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from dataclasses import asdict

        from irplan.case.leeds_phantom import analyse_leeds
        from irplan.errors import InputError

        if model not in ("leeds", "leeds-blue"):
            raise InputError(
                "--model", got=repr(model), expected="leeds or leeds-blue", remedy="Use one."
            )
        at = None
        if centre is not None:
            x, y = numbers(centre, option="--centre", separator=",", count=2, example="511,512")
            at = (x, y)
        result = analyse_leeds(
            image, python, model=model, centre_px=at, radius_px=radius, angle_deg=angle,
            inverted=inverted,
        )  # fmt: skip
        rows = [
            (str(n), f"{100 * d.contrast:.2f}", f"{d.cnr:.2f}", "seen" if d.visible else "not seen")
            for n, d in enumerate(result.discs, start=1)
        ]
        console.say(columns(("disc", "Michelson contrast, %", "CNR", result.program), rows))
        half = result.half_mtf_per_mm
        words = "not reached in the image" if half is None else f"{half:.2f} lp/mm"
        console.say(f"  relative MTF of a half: {words}")
        console.result({**asdict(result), "seen": result.seen})
