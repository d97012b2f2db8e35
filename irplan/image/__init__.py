"""Arrays on a grid: volumes with a physical quantity, label maps, runs of projection frames."""

from irplan.image.fluoro_sequence import FluoroSequence, Photometry, Technique
from irplan.image.labels import Code, Label, LabelMap
from irplan.image.structures import STRUCTURES, structure
from irplan.image.volume import Volume

__all__ = [
    "STRUCTURES",
    "Code",
    "FluoroSequence",
    "Label",
    "LabelMap",
    "Photometry",
    "Technique",
    "Volume",
    "structure",
]
