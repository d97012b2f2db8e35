"""Registration of planning and control scans, with a quality report; surfaces."""

from irplan.registration.landmarks import fit_landmarks
from irplan.registration.quality import QualityReport, QualityRow
from irplan.registration.register import Registration, RegistrationOptions, register
from irplan.registration.transform import Displacement, PointMap, RigidTransform

__all__ = [
    "Displacement",
    "PointMap",
    "QualityReport",
    "QualityRow",
    "Registration",
    "RegistrationOptions",
    "RigidTransform",
    "fit_landmarks",
    "register",
]
