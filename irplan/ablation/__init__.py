"""Tissues, applicators and the bioheat simulation of an ablation."""

from irplan.ablation.applicator import Applicator
from irplan.ablation.batch import simulate_many
from irplan.ablation.catalogue import APPLICATORS, applicator
from irplan.ablation.cryo import simulate_cryo
from irplan.ablation.damage import Arrhenius, Cem43, ThreeState
from irplan.ablation.device import CryoDevice, IreDevice, MwaDevice, RfaDevice
from irplan.ablation.edit import EditSession
from irplan.ablation.history import History
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.quantity import Quantity
from irplan.ablation.result import (
    AblationResult,
    CryoResult,
    EnergyBalance,
    ErrorEstimate,
    FieldResult,
    HeatResult,
    Trace,
)
from irplan.ablation.schedule import Phase, Schedule
from irplan.ablation.solve import simulate
from irplan.ablation.state import CryoState
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_map import TissueMap
from irplan.ablation.tissue_table import TISSUES, tissue
from irplan.ablation.zones import PublishedZone

__all__ = [
    "APPLICATORS",
    "TISSUES",
    "AblationProblem",
    "AblationResult",
    "Applicator",
    "Arrhenius",
    "Cem43",
    "CryoDevice",
    "CryoResult",
    "CryoState",
    "EditSession",
    "EnergyBalance",
    "ErrorEstimate",
    "FieldResult",
    "HeatResult",
    "History",
    "IreDevice",
    "LethalRule",
    "MwaDevice",
    "Phase",
    "Placement",
    "PublishedZone",
    "Quantity",
    "RfaDevice",
    "Schedule",
    "ThreeState",
    "TissueMap",
    "TissueProperties",
    "Trace",
    "applicator",
    "simulate",
    "simulate_cryo",
    "simulate_many",
    "tissue",
]
