"""Figures (matplotlib) and the 3D picture (PyVista in a process of its own).

Every function takes results and returns an object; nothing here opens a file of the user's.
"""

from irplan.viz.margin_map import margin_globe, margin_map
from irplan.viz.needles_eye import needles_eye
from irplan.viz.orientation import orientation_letters, position_words
from irplan.viz.path_terms import path_terms
from irplan.viz.scene import RenderError, RenderJob, render_scene
from irplan.viz.segmentation_stages import segmentation_stages
from irplan.viz.simulation_animation import temperature_gif
from irplan.viz.simulation_curves import extra_curves, temperature_curves, zone_profile
from irplan.viz.simulation_planes import simulation_planes
from irplan.viz.style import png_bytes
from irplan.viz.temperature import temperature_over_time
from irplan.viz.three_planes import three_planes

__all__ = [
    "RenderError",
    "RenderJob",
    "extra_curves",
    "margin_globe",
    "margin_map",
    "needles_eye",
    "orientation_letters",
    "path_terms",
    "png_bytes",
    "position_words",
    "render_scene",
    "segmentation_stages",
    "simulation_planes",
    "temperature_curves",
    "temperature_gif",
    "temperature_over_time",
    "three_planes",
    "zone_profile",
]
