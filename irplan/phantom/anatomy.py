"""One patient: every organ of a seed, before it is sampled on a CT grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute import Progress, no_progress
from irplan.phantom.body import Body
from irplan.phantom.bowel import Bowel, build_bowel
from irplan.phantom.extras import ARM_LABELS, ARM_TISSUES, arms, clips, implants, prone_bowel
from irplan.phantom.lattice import F32, Lattice, chain
from irplan.phantom.liver import DIAPHRAGM_MM, Liver, build_liver
from irplan.phantom.organs import (
    Kidney,
    Stomach,
    build_kidney,
    build_pancreas,
    build_psoas,
    build_spleen,
    build_stomach,
)
from irplan.phantom.scene import Scene
from irplan.phantom.skeleton import Skeleton, build_skeleton
from irplan.phantom.trunk import Trunk, build_trunk
from irplan.phantom.variant import PLAIN, Variant
from irplan.phantom.vessels import (
    GreatVessels,
    LiverVessels,
    Tubes,
    cava_course,
    great_vessels,
    liver_vessels,
    pulmonary_vessels,
    tube,
)

#: Amplitude of the smooth deformation that makes every organ a little irregular, mm.
WARP_MM = 2.5


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Fields and vessels of one patient, LPS mm."""

    body: Body
    lattice: Lattice
    trunk: Trunk
    skeleton: Skeleton
    liver: Liver
    liver_vessels: LiverVessels
    great: GreatVessels
    right_kidney: Kidney
    left_kidney: Kidney
    spleen: F32
    stomach: Stomach
    pancreas: F32
    psoas: F32
    bowel: Bowel
    pulmonary: NDArray[np.float32]
    grain: F32
    arms: tuple[Tubes, ...] = ()
    clips: Tubes | None = None
    implants: Tubes | None = None

    def heat_sink_walls(self, calibre_mm: float) -> NDArray[np.float32]:
        """(N, 9) capsules of all vessels below the diaphragm of at least ``calibre_mm``."""
        g = self.great
        great = np.concatenate([g.portal, g.mesenteric, g.cava, g.arteries, g.aorta, g.veins])
        great = great[great[:, 6:8].max(axis=1) >= calibre_mm / 2]
        return np.concatenate([self.liver_vessels.walls(calibre_mm), great])


def stream(seed: int, *purpose: int) -> np.random.Generator:
    """An independent random stream of ``seed`` for one purpose."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *purpose])))


def draw_anatomy(
    seed: int,
    *,
    liver_ml: float | None = None,
    body_width_mm: float | None = None,
    fat_mm: float | None = None,
    variant: Variant = PLAIN,
    progress: Progress = no_progress,
) -> Anatomy:
    """Every organ of the patient that ``seed`` draws; a given setting replaces its draw.

    ``variant`` adds what it asks for from streams of its own.
    """
    body = Body.draw(stream(seed, 1), width_mm=body_width_mm, fat_mm=fat_mm)
    reach = 1.12 * body.half_width + 12.0
    deep = 1.12 * body.half_depth + 12.0
    lattice = Lattice.covering((-reach, -deep, body.bottom_mm), (reach, deep, body.top_mm))
    plain = body.reference(lattice)
    rng = stream(seed, 2)
    warped = (
        (plain[0] + WARP_MM * lattice.noise(rng, 42.0)).astype(np.float32),
        (plain[1] + WARP_MM * lattice.noise(rng, 42.0)).astype(np.float32),
        (plain[2] + WARP_MM * lattice.noise(rng, 42.0)).astype(np.float32),
    )
    trunk = build_trunk(body, lattice, plain, stream(seed, 16), contact=variant.contact)
    progress(0.2, "bones and liver")
    skeleton = build_skeleton(body, lattice, plain, trunk, stream(seed, 3))
    right = build_kidney(-1, warped, trunk.cavity, stream(seed, 4))
    left = build_kidney(1, warped, trunk.cavity, stream(seed, 5))
    cava = cava_course(body, stream(seed, 6))
    liver = build_liver(
        body,
        lattice,
        warped,
        trunk,
        carve=right.outer,
        cava=chain(plain, cava[0], cava[1]),
        volume_ml=liver_ml,
        rng=stream(seed, 7),
        variant=variant,
        own=stream(seed, 40),
    )
    progress(0.5, "vessels")
    great = great_vessels(body, cava, (right.hilum, left.hilum), stream(seed, 8))
    inner = liver_vessels(body, lattice, liver, stream(seed, 9))
    progress(0.7, "stomach, spleen, gut")
    stomach = build_stomach(
        body, lattice, warped, trunk, stream(seed, 10), liver=liver.field, variant=variant
    )
    spleen = build_spleen(
        warped,
        trunk,
        left,
        stream(seed, 11),
        volume=variant.spleen,
        gap_mm=0.7 * variant.ascites_mm,
    )
    pancreas = build_pancreas(warped, lattice, stream(seed, 12))
    psoas = build_psoas(body, plain)
    solid = [liver.field, liver.gallbladder, right.outer, left.outer, stomach.wall, spleen]
    spine = skeleton.discs
    occupied = np.minimum.reduce([*solid, pancreas, psoas, spine]).astype(np.float32)
    bowel = build_bowel(
        body, lattice, occupied, trunk.cavity, stream(seed, 13), rise_mm=variant.bowel_rise_mm
    )
    return Anatomy(
        body,
        lattice,
        trunk,
        skeleton,
        liver,
        inner,
        great,
        right,
        left,
        spleen,
        stomach,
        pancreas,
        psoas,
        bowel,
        pulmonary_vessels(body, lattice, trunk.lungs, stream(seed, 17)),
        lattice.noise(stream(seed, 14), 7.0),
        arms(body) if variant.arms_down else (),
        clips(body, stream(seed, 41)) if variant.metal == "clips" else None,
        implants(body) if variant.metal == "spine" else None,
    )


def fill_scene(anatomy: Anatomy, scene: Scene, variant: Variant = PLAIN) -> None:
    """All layers in painting order: from the skin inwards, bones and great vessels late."""
    a, t = anatomy, anatomy.trunk
    for tubes, tissue, label in zip(a.arms, ARM_TISSUES, ARM_LABELS, strict=False):
        scene.add_tubes(tubes, tissue, label)
    scene.add_field(t.skin, "skin", "skin")
    scene.add_field(t.fat, "fat", "fat")
    scene.add_field(t.muscle, "muscle", "muscle")
    scene.add_field(t.septa, "mediastinum", "muscle")
    scene.add_field(t.cavity, "visceral_fat", "fat")
    if variant.ascites_mm:
        scene.add_field(ascites_field(a, variant.ascites_mm), "ascites", "body")
    scene.add_tubes(a.great.mesenteric, "portal_vein", "vessel")
    scene.add_tubes(a.bowel.wall, "bowel_wall", "bowel")
    if variant.prone:  # gas rises to the back: the lumen is gas, and fluid lies below its level
        for tubes, tissue in prone_bowel(a.bowel):
            scene.add_tubes(tubes, tissue, "gas" if tissue == "gas" else "bowel")
    else:
        scene.add_tubes(a.bowel.fluid, "bowel_content", "bowel")
        scene.add_tubes(a.bowel.faeces, "faeces", "bowel")
        scene.add_tubes(a.bowel.gas, "gas", "gas")
    scene.add_field(a.psoas, "muscle", "muscle")
    scene.add_field(a.pancreas, "pancreas", "pancreas")
    scene.add_field(a.stomach.wall, "stomach_wall", "stomach")
    scene.add_field(a.stomach.lumen, "stomach_content", "stomach")
    scene.add_field(a.stomach.gas, "gas", "gas")
    scene.add_tubes(a.great.portal, "portal_vein", "portal_vein")
    scene.add_field(a.spleen, "spleen", "spleen")
    for kidney, name in ((a.right_kidney, "kidney_right"), (a.left_kidney, "kidney_left")):
        scene.add_field(kidney.outer, "kidney_cortex", name)
        scene.add_field(kidney.medulla, "kidney_medulla", name)
        scene.add_field(kidney.sinus, "kidney_sinus", name)
    scene.add_field(a.liver.field, "liver", "liver")
    for tree in a.liver_vessels.hepatic:
        scene.add_tubes(tree.tubes(), "hepatic_vein", "hepatic_vein")
    scene.add_tubes(a.liver_vessels.portal.tubes(), "portal_vein", "portal_vein")
    if a.clips is None:
        scene.add_field(a.liver.gallbladder, "gallbladder", "gallbladder")
    else:
        scene.add_tubes(a.clips, "metal", "body")
    thick = DIAPHRAGM_MM - 1.5 * variant.contact
    diaphragm = np.maximum(t.cavity - 0.5, t.below_dome - thick).astype(np.float32)
    scene.add_field(diaphragm, "muscle", "diaphragm")
    scene.add_field(t.thorax, "mediastinum", "fat")
    scene.add_field(t.lungs, "lung", "lung")
    scene.add_tubes(a.pulmonary, "lung_vessel", "lung")
    scene.add_field(t.heart, "heart", "heart")
    scene.add_field(t.right_heart, "vena_cava", "heart")
    scene.add_field(t.left_ventricle, "aorta", "heart")
    scene.add_tubes(a.great.veins, "vena_cava", "vessel")
    scene.add_tubes(a.great.cava, "vena_cava", "vena_cava")
    s = a.skeleton
    scene.add_field(s.discs, "disc", "body")
    scene.add_field(s.bodies, "vertebral_shell", "bone")
    scene.add_field(s.marrow, "marrow", "bone")
    for inset, name in ((0.0, "cortical_bone"), (1.3, "marrow")):
        arch = [tube(p, np.maximum(r - inset, 0.6), step_mm=12.0) for p, r in s.processes]
        scene.add_tubes(np.concatenate(arch), name, "bone")
    canal = tube(s.canal, np.full(len(s.canal), 8.0), step_mm=8.0)
    scene.add_tubes(canal, "canal", "body")
    scene.add_tubes(a.great.arteries, "aorta", "artery")
    scene.add_tubes(a.great.aorta, "aorta", "artery")
    soft = [tube(p, r, step_mm=6.0) for p, r in s.cartilage]
    scene.add_tubes(np.concatenate(soft), "cartilage", "body")
    lines = [*((r.line, r.radii) for r in s.ribs), *s.sternum]
    for inset, name in ((0.0, "cortical_bone"), (1.3, "marrow")):
        rim = [tube(p, np.maximum(r - inset, 0.6), step_mm=6.0) for p, r in lines]
        scene.add_tubes(np.concatenate(rim), name, "bone")
    if a.implants is not None:
        scene.add_tubes(a.implants, "metal", "body")


def ascites_field(a: Anatomy, film_mm: float) -> F32:
    """Fluid within ``film_mm`` of liver and spleen, and along the front and side of the cavity."""
    near = np.minimum(a.liver.field - 1.3 * film_mm, a.spleen - film_mm)
    y = np.broadcast_to(a.lattice.y[None, :, None], a.lattice.shape)
    gutter = np.maximum(-a.trunk.cavity - film_mm, y - a.body.shift_y - 45.0)
    out: F32 = np.maximum(np.minimum(near, gutter), a.trunk.cavity + 0.5).astype(np.float32)
    return out
