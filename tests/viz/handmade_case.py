"""A small planned case made by hand: analytic anatomy, temperature and margin, all known.

The liver (with the tumour) lies on the patient's right, the stomach with its gas on the left,
the spine at the back; a box of bone marks the patient's right, front and head.  The temperature
is linear in the distance from `ZONE_CENTRE`, so the isotherms are spheres of known radius.
"""

from __future__ import annotations

import numpy as np

from irplan.ablation.applicator import Applicator
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.result import CryoResult, EnergyBalance, Trace
from irplan.ablation.schedule import Schedule
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, Volume, structure
from irplan.planning.case import PlannedCase, PlanOptions
from irplan.planning.evaluation import MarginSurface, PlanEvaluation, Row
from irplan.planning.paths import PathCandidate, PathSearch, PathTerm
from irplan.planning.plan import AblationPlan, Provenance, Target

TUMOUR_CENTRE = np.array([-70.0, -15.0, 5.0])
TUMOUR_RADIUS_MM = 10.0
#: From the tumour's centre to the zone's: to the front, right and feet, so the margin is
#: smallest at the back, left and head.
OFFSET_MM = np.array([-1.2, -2.4, -1.4])
ZONE_CENTRE = TUMOUR_CENTRE + OFFSET_MM
#: Temperature = -100 + 5 r degC (r mm from the zone's centre), at most 37.
CELSIUS_PER_MM = 5.0
CENTRE_CELSIUS = -100.0
#: The first freeze stays this much warmer.
FIRST_FREEZE_WARMER_C = 2.0
LETHAL_RADIUS_MM = (-20.0 - FIRST_FREEZE_WARMER_C - CENTRE_CELSIUS) / CELSIUS_PER_MM
MINIMAL_MARGIN_MM = LETHAL_RADIUS_MM - TUMOUR_RADIUS_MM - float(np.linalg.norm(OFFSET_MM))
MARKER_CENTRE = np.array([-120.0, -70.0, 50.0])
EXTENT_LPS = np.array([[-160.0, -115.0, -70.0], [160.0, 115.0, 70.0]])


def isotherm_radius_mm(celsius: float) -> float:
    """Radius of the sphere at this temperature at the end of the last freeze."""
    return (celsius - CENTRE_CELSIUS) / CELSIUS_PER_MM


def standard_grid() -> Grid:
    """3 mm slices, 1.6 mm pixels, axis-aligned."""
    size = EXTENT_LPS[1] - EXTENT_LPS[0]
    return Grid.from_spacing(
        (int(size[2] / 3.0), int(size[1] / 1.6), int(size[0] / 1.6)), (3.0, 1.6, 1.6), EXTENT_LPS[0]
    )


def coronal_grid() -> Grid:
    """The same field as coronal slices turned by 10 degrees about the head-feet axis."""
    a = np.radians(10.0)
    column, back = np.array([np.cos(a), np.sin(a), 0.0]), np.array([-np.sin(a), np.cos(a), 0.0])
    row = np.array([0.0, 0.0, -1.0])
    spacing, shape = np.array([2.4, 1.8, 1.7]), np.array([110, 82, 200])
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([back, row, column]) * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _ball(p: np.ndarray, centre: object, radii: object) -> np.ndarray:
    return (((p - np.asarray(centre)) / np.asarray(radii)) ** 2).sum(-1) <= 1.0


def _tube(p: np.ndarray, a: object, b: object, radius: float) -> np.ndarray:
    return Needle(tip_mm=tuple(b), entry_mm=tuple(a)).distance_to(p) <= radius  # type: ignore[arg-type]


def anatomy(grid: Grid) -> tuple[Volume, LabelMap, np.ndarray]:
    """HU with noise of a fixed seed, labels and the tumour's mask on any grid."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    p = grid.index_to_lps(index)
    x, y, z = np.moveaxis(p, -1, 0)
    rim = np.sqrt((x / 150.0) ** 2 + (y / 105.0) ** 2)
    body = rim <= 1.0
    ribs = (rim > 0.86) & (rim < 0.93) & (np.mod(z + 0.35 * np.abs(y), 26.0) < 9.0) & (y < 85)
    masks = {
        "body": body,
        "muscle": (rim <= 0.95) & (rim > 0.84),
        "liver": _ball(p, (-62, -8, 0), (66, 74, 56)) & (rim < 0.85),
        "stomach": _ball(p, (65, -30, 10), (40, 32, 45)) & (rim < 0.84),
        "gas": _ball(p, (65, -45, 10), (25, 12, 30)),
        "kidney_right": _ball(p, (-60, 62, -40), (24, 20, 42)) & (rim < 0.84),
        "kidney_left": _ball(p, (62, 62, -35), (24, 20, 42)) & (rim < 0.84),
        "gallbladder": _ball(p, (-35, -50, -35), (11, 12, 22)),
        "portal_vein": _tube(p, (0, 20, -30), (-45, 5, 0), 6.0)
        | _tube(p, (-45, 5, 0), (-85, 15, 25), 4.0),
        "hepatic_vein": _tube(p, (-15, 30, 50), (-75, -40, 35), 3.5),
        "vena_cava": _tube(p, (-18, 35, -69), (-18, 35, 69), 10.0),
        "bone": ribs | _ball(p, (0, 70, 0), (20, 18, 400)) | _ball(p, MARKER_CENTRE, (8, 8, 8)),
    }
    hu = np.full(grid.shape, -1000.0, np.float32)
    values = {
        "body": -100, "muscle": 55, "liver": 110, "stomach": 30, "gas": -950, "kidney_right": 160,
        "kidney_left": 160, "gallbladder": 8, "portal_vein": 175, "hepatic_vein": 165,
        "vena_cava": 150, "bone": 420,
    }  # fmt: skip
    for name, value in values.items():
        hu[masks[name]] = value
    tumour = _ball(p, TUMOUR_CENTRE, (TUMOUR_RADIUS_MM,) * 3)
    hu[tumour] = 62.0
    hu += np.random.default_rng(7).normal(0.0, 14.0, grid.shape).astype(np.float32) * body
    labels = LabelMap.from_masks(
        grid, [(structure(n), m) for n, m in masks.items()] + [(structure("tumour"), tumour)]
    )
    return Volume(np.round(hu).astype(np.int16), grid), labels, tumour


def _sphere_points(count: int) -> np.ndarray:
    k = np.arange(count) + 0.5
    z = 1.0 - 2.0 * k / count
    turn = np.pi * (1.0 + 5.0**0.5) * k
    r = np.sqrt(1.0 - z**2)
    return np.stack([r * np.cos(turn), r * np.sin(turn), z], axis=-1)


def _result() -> CryoResult:
    grid = Grid.from_spacing((70, 70, 70), (1.0, 1.0, 1.0), ZONE_CENTRE - 34.5)
    index = np.stack(np.meshgrid(*[np.arange(70.0)] * 3, indexing="ij"), axis=-1)
    r = np.linalg.norm(grid.index_to_lps(index) - ZONE_CENTRE, axis=-1)
    end = np.minimum(37.0, CENTRE_CELSIUS + CELSIUS_PER_MM * r).astype(np.float32)
    first = np.minimum(37.0, end + np.float32(FIRST_FREEZE_WARMER_C))
    time = np.arange(0.0, 1681.0, 15.0)
    freeze1 = 1.0 - np.exp(-np.minimum(time, 600.0) / 150.0)
    thaw = np.exp(-np.clip(time - 600.0, 0.0, 480.0) / 240.0)
    freeze2 = 1.0 - np.exp(-np.clip(time - 1080.0, 0.0, None) / 130.0)
    drive = np.maximum(freeze1 * thaw, freeze2)
    temperature = 37.0 - np.stack([170.0 * drive, 95.0 * drive, 60.0 * drive, 20.0 * drive], -1)
    trace = Trace(
        time,
        temperature,
        ("probe 1", "target centre", "target edge, farthest", "portal vein"),
        33.0 * drive**2,
    )
    return CryoResult(
        end_of_freeze_c=Volume(end, grid, "degC"),
        cycle_minimum_c=(Volume(first, grid, "degC"), Volume(end, grid, "degC")),
        trace=trace,
        energy=EnergyBalance(-52000.0, -61000.0, 7200.0, 300.0, 900.0, 600.0),
        boundary_rise_c=-0.02,
        backend="cpu",
        backend_reason="asked for",
        precision="float32",
        steps=5600,
        options={"time_step_s": 0.3, "model": "enthalpy bioheat"},
        warnings=("The grid's outer face cooled by 0.02 °C.",),
    )


def _evaluation() -> PlanEvaluation:
    normals = _sphere_points(2000)
    points = TUMOUR_CENTRE + TUMOUR_RADIUS_MM * normals
    margin = LETHAL_RADIUS_MM - np.linalg.norm(points - ZONE_CENTRE, axis=1)
    counted = normals[:, 0] > -0.9
    worst = TUMOUR_CENTRE - TUMOUR_RADIUS_MM * OFFSET_MM / np.linalg.norm(OFFSET_MM)
    edges = np.arange(-10.0, 20.5, 1.0)
    count, _ = np.histogram(margin, edges)
    rows = (
        Row("Minimal ablative margin", MINIMAL_MARGIN_MM, "mm", ">= 5 mm", "error",
            "smallest <behind> the target & to the left", "Eur Radiol 2019 [V]"),
        Row("Target coverage", 100.0, "%", "100 %", "ok"),
        Row("Distance to gallbladder", 7.5, "mm", ">= 10 mm (soft), >= 5 mm (hard)", "warning",
            "ice comes near", "specification [S]"),
        Row("Distance to bile duct", None, "mm", ">= 5 mm", "not_checked",
            "bile ducts were not segmented", "specification [V]"),
    )  # fmt: skip
    return PlanEvaluation(
        minimal_margin_mm=MINIMAL_MARGIN_MM,
        minimal_margin_at_mm=(float(worst[0]), float(worst[1]), float(worst[2])),
        minimal_margin_all_mm=MINIMAL_MARGIN_MM - 0.4,
        target_coverage=1.0,
        margin_coverage=0.914,
        shell_coverage={3.0: 0.98, 5.0: 0.87, 6.0: 0.71, 10.0: 0.33},
        zone_volume_ml={"0 degC": 33.5, "-20 degC": 17.2, "-40 degC": 7.2, "lethal": 15.9},
        organ_distance_mm={"gallbladder": 7.5, "portal_vein": -1.2, "stomach": 48.0},
        margin=MarginSurface(
            points, normals, np.full(2000, 4 * np.pi * TUMOUR_RADIUS_MM**2 / 2000), margin, counted
        ),
        histogram_edges_mm=edges,
        histogram_fraction=count / count.sum(),
        rows=rows,
    )


def make_case(grid: Grid | None = None) -> PlannedCase:
    """The planned case on ``grid`` (default `standard_grid`)."""
    grid = standard_grid() if grid is None else grid
    volume, labels, tumour = anatomy(grid)
    rod = Applicator("cryo-17g-rod", "cryo", 1.47, 30.0, 3.0, -140.0, 60.0, 175.0, "spec [S]")
    needles = (
        Needle(tip_mm=(-68.0, -8.0, 8.0), entry_mm=(-96.0, -79.0, -9.0)),
        Needle(tip_mm=(-76.0, -6.0, 2.0), entry_mm=(-118.0, -63.0, 3.0)),
    )
    placements = tuple(Placement(n, rod) for n in needles)
    terms = (
        PathTerm("length", 78.0, "mm", 1.0, 0.31),
        PathTerm("capsule_angle", 62.0, "deg", 0.5, 0.12),
        PathTerm("healthy_liver_before_tumour", 18.0, "mm", 0.5, 0.0),
        PathTerm("clearance_bone", 6.2, "mm", 2.0, 0.55, "rib above"),
        PathTerm("craniocaudal_tilt", -12.0, "deg", 0.5, 0.08),
    )
    paths = tuple(
        PathCandidate(n, 1.06 + 0.2 * k, terms, {"bone": 6.2, "gallbladder": 24.0}, "bone",
                      (-90.0, -70.0, -4.0))
        for k, n in enumerate(needles)
    )  # fmt: skip
    plan = AblationPlan(
        target=Target((-70.0, -15.0, 5.0), 4.19, 20.0, "mask"),
        placements=placements,
        schedule=Schedule.freeze_thaw_freeze(),
        margin_goal_mm=5.0,
        lethal=LethalRule(),
        provenance=Provenance(
            "0.1.0", 0, {"image": "a" * 64, "target": "b" * 64}, {"margin_mm": 5.0}, "cpu"
        ),
    )
    search = PathSearch(
        paths, 4200, 310, (("bone closer than 3 mm", 2100), ("gas on the path", 400)), ""
    )
    return PlannedCase(
        volume=volume,
        labels=labels,
        target_mask=tumour,
        options=PlanOptions(),
        plan=plan,
        paths=paths,
        search=search,
        result=_result(),
        evaluation=_evaluation(),
        messages=("The bile ducts are not seen on this CT and were not checked.",),
    )
