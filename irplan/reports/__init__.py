"""Report content and figures set as a page a person reads."""

from irplan.reports.content import ReportContent
from irplan.reports.draw import draw_figures
from irplan.reports.figures import FigureNote, figure_notes
from irplan.reports.html import render_html, render_simulation_html
from irplan.reports.plan import plan_report
from irplan.reports.simulation import SimulationContent, simulation_notes, simulation_report

__all__ = [
    "FigureNote",
    "ReportContent",
    "SimulationContent",
    "draw_figures",
    "figure_notes",
    "plan_report",
    "render_html",
    "render_simulation_html",
    "simulation_notes",
    "simulation_report",
]
