"""Fluoroscopy: simulated runs with known truth, and filters that take them frame by frame."""

from irplan.fluoroscopy.detector import DETECTORS, Detector, detector
from irplan.fluoroscopy.filter import (
    Chain,
    FilterFactory,
    FluoroFilter,
    Raw,
    Recursive,
    StreamFacts,
    filtered,
    make_filter,
)
from irplan.fluoroscopy.scene import Layer, Scene
from irplan.fluoroscopy.scenes import REPORT_SEEDS, SCENES, TUNING_SEEDS, scene
from irplan.fluoroscopy.simulate import Exposure, simulate, simulate_frames

__all__ = [
    "DETECTORS",
    "REPORT_SEEDS",
    "SCENES",
    "TUNING_SEEDS",
    "Chain",
    "Detector",
    "Exposure",
    "FilterFactory",
    "FluoroFilter",
    "Layer",
    "Raw",
    "Recursive",
    "Scene",
    "StreamFacts",
    "detector",
    "filtered",
    "make_filter",
    "scene",
    "simulate",
    "simulate_frames",
]
