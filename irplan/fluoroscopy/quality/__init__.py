"""Image quality as physicists measure it: noise, sharpness, lag, observers, devices, structure."""

from irplan.fluoroscopy.quality.contrast import ContrastToNoise, contrast_to_noise
from irplan.fluoroscopy.quality.device import (
    DeviceQuality,
    device_mask,
    device_quality,
    device_residual,
)
from irplan.fluoroscopy.quality.dqe import dqe
from irplan.fluoroscopy.quality.lag import Lag, frame_correlation, step_lag
from irplan.fluoroscopy.quality.mtf import Transfer, disc_ttf, edge_mtf, wire_mtf
from irplan.fluoroscopy.quality.nps import NoisePower, lag_corrected, noise_power
from irplan.fluoroscopy.quality.npwe import Viewing, npwe
from irplan.fluoroscopy.quality.observer import Detectability, Ratio, detectability_ratio, hotelling
from irplan.fluoroscopy.quality.similarity import psnr_db, ssim
from irplan.fluoroscopy.quality.structure import StructureChange, structure_change

__all__ = [
    "ContrastToNoise",
    "Detectability",
    "DeviceQuality",
    "Lag",
    "NoisePower",
    "Ratio",
    "StructureChange",
    "Transfer",
    "Viewing",
    "contrast_to_noise",
    "detectability_ratio",
    "device_mask",
    "device_quality",
    "device_residual",
    "disc_ttf",
    "dqe",
    "edge_mtf",
    "frame_correlation",
    "hotelling",
    "lag_corrected",
    "noise_power",
    "npwe",
    "psnr_db",
    "ssim",
    "step_lag",
    "structure_change",
    "wire_mtf",
]
