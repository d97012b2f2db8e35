"""Arrays on a grid: volumes with a physical quantity, label maps with coded structures."""

from irplan.image.labels import Code, Label, LabelMap
from irplan.image.structures import STRUCTURES, structure
from irplan.image.volume import Volume

__all__ = ["STRUCTURES", "Code", "Label", "LabelMap", "Volume", "structure"]
