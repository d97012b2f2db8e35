"""``irplan``: the entry point, its help and its exit codes."""

from __future__ import annotations

import typer

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.cli.access_map import access_map
from irplan.cli.applicators import applicators
from irplan.cli.cbct_sim import cbct_sim
from irplan.cli.compare import compare
from irplan.cli.compare_plans import compare_plans
from irplan.cli.deid import deid
from irplan.cli.demo import demo
from irplan.cli.dose import dose
from irplan.cli.evaluate import evaluate
from irplan.cli.export import export
from irplan.cli.fluoro import fluoro
from irplan.cli.fluoro_bench import bench as fluoro_bench
from irplan.cli.fluoro_bench import phantom as fluoro_phantom
from irplan.cli.fluoro_simulate import simulate as fluoro_simulate
from irplan.cli.gateway import gateway
from irplan.cli.gui import gui
from irplan.cli.info import info
from irplan.cli.log import log
from irplan.cli.needles import needles
from irplan.cli.pacs import pacs
from irplan.cli.phantom import phantom
from irplan.cli.plan import plan
from irplan.cli.register import register
from irplan.cli.report import report
from irplan.cli.review import review
from irplan.cli.segment import segment
from irplan.cli.simulate import simulate
from irplan.cli.study import study
from irplan.cli.tissue import tissue
from irplan.cli.validate import validate
from irplan.cli.verify import verify
from irplan.cli.views import views

_HELP = """
From a CT to an ablation plan that can be trusted. Research use only.

Start here: `irplan demo` makes a synthetic abdomen, segments it, plans and simulates a
cryoablation, and writes a report into `irplan-demo/`.

Then your own case: `irplan plan CT --target-point x,y,z --target-diameter 20 -o OUT`.
Points are LPS millimetres (x to the patient's left, y to the back, z to the head), as
3D Slicer shows them with "LPS".

Exit codes: 0 done (a plan is made and judged: read its verdict, it may have failed);
1 a fault in irplan; 2 wrong input; 3 no admissible plan; 4 output cannot be written, or a PACS
fails; 5 a needed part is not installed; 6 `irplan validate` missed a demand, or a log is
damaged; 130 cancelled.
"""

app = typer.Typer(
    name="irplan",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"irplan {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    del version


app.command(epilog=RESEARCH_USE_ONLY)(demo)
app.command(epilog=RESEARCH_USE_ONLY)(plan)
app.command("access-map", epilog=RESEARCH_USE_ONLY)(access_map)
app.command(epilog=RESEARCH_USE_ONLY)(segment)
app.command(epilog=RESEARCH_USE_ONLY)(compare)
app.command(epilog=RESEARCH_USE_ONLY)(evaluate)
app.command("compare-plans", epilog=RESEARCH_USE_ONLY)(compare_plans)
app.command(epilog=RESEARCH_USE_ONLY)(views)
app.command(epilog=RESEARCH_USE_ONLY)(verify)
app.command(epilog=RESEARCH_USE_ONLY)(export)
app.command(epilog=RESEARCH_USE_ONLY)(simulate)
app.command(epilog=RESEARCH_USE_ONLY)(study)
app.command(epilog=RESEARCH_USE_ONLY)(applicators)
app.command(epilog=RESEARCH_USE_ONLY)(tissue)
app.add_typer(validate, epilog=RESEARCH_USE_ONLY)
app.command(epilog=RESEARCH_USE_ONLY)(gui)
app.command(epilog=RESEARCH_USE_ONLY)(dose)
app.add_typer(log, epilog=RESEARCH_USE_ONLY)
app.command(epilog=RESEARCH_USE_ONLY)(report)
app.command(epilog=RESEARCH_USE_ONLY)(review)
fluoro.command("bench", epilog=RESEARCH_USE_ONLY)(fluoro_bench)
fluoro.command("phantom", epilog=RESEARCH_USE_ONLY)(fluoro_phantom)
fluoro.command("simulate", epilog=RESEARCH_USE_ONLY)(fluoro_simulate)
app.add_typer(fluoro, epilog=RESEARCH_USE_ONLY)
app.command(epilog=RESEARCH_USE_ONLY)(phantom)
app.command(epilog=RESEARCH_USE_ONLY)(register)
app.command(epilog=RESEARCH_USE_ONLY)(needles)
app.command("cbct-sim", epilog=RESEARCH_USE_ONLY)(cbct_sim)
app.command(epilog=RESEARCH_USE_ONLY)(info)
app.command(epilog=RESEARCH_USE_ONLY)(deid)
app.add_typer(pacs, epilog=RESEARCH_USE_ONLY)
app.command(epilog=RESEARCH_USE_ONLY)(gateway)
