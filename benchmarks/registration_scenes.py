"""Planning CT and control CBCT of the same synthetic patient, apart by a known motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy import ndimage

from irplan.geometry import Grid
from irplan.image import Volume
from irplan.phantom import Phantom, TumourSpec, abdominal_ct
from irplan.phantom.cbct import breathing, simulate_cbct
from irplan.phantom.cbct_system import CbctPhysics, CbctSystem
from irplan.phantom.metal import MetalPart
from irplan.registration import RigidTransform

#: Coarser than a real system, so that a scan takes seconds; voxels of 1.6 mm.
FAST = CbctSystem(detector_shape=(120, 160), pixel_mm=2.464, views=124)
VOXEL_MM = 1.6
NOISE_HU = 15.0
#: What fills a gap between an organ that slid away and the wall, HU.
FAT_HU = -100.0
#: Breathing that goes on during the scan, mm, about its mean position.
RESIDUAL_MM = (0.0, 0.5, -2.0)


@dataclass(frozen=True)
class Motion:
    """Rigid motion of the whole patient and breathing of the organs between the two scans."""

    rotation_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    breath_mm: tuple[float, float, float]
    squeeze: float
    bend_mm: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, *, scale: float = 1.0) -> Motion:
        return cls(
            tuple(scale * rng.uniform(-6.0, 6.0, 3)),
            tuple(scale * rng.uniform(-25.0, 25.0, 3)),
            (
                scale * float(rng.uniform(-2.0, 2.0)),
                scale * float(rng.uniform(-5.0, 1.0)),
                scale * float(rng.uniform(-14.0, 6.0)),
            ),
            scale * float(rng.uniform(-0.04, 0.04)),
            scale * float(rng.uniform(-2.0, 2.0)),
        )

    def rigid(self, centre: NDArray[np.float64]) -> RigidTransform:
        r = np.eye(3)
        for axis, angle in enumerate(np.radians(self.rotation_deg)):
            c, s = np.cos(angle), np.sin(angle)
            i, j = (axis + 1) % 3, (axis + 2) % 3
            turn = np.eye(3)
            turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
            r = turn @ r
        return RigidTransform.from_rotation(r, centre - r @ centre + np.array(self.shift_mm))


@dataclass(frozen=True, eq=False)
class Scene:
    """``truth(x)``: control position of planning points."""

    phantom: Phantom
    control: Volume
    motion: Motion
    rigid: RigidTransform
    cavity: NDArray[np.bool_]
    liver_centre: NDArray[np.float64]
    targets: NDArray[np.float64]
    seed: int

    @property
    def liver(self) -> NDArray[np.bool_]:
        return self.phantom.organ

    def truth(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.rigid.apply(points + breath_at(self, points))


def breath_at(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Breathing displacement of the belly's organs at planning points: shift, squeeze and a bend.

    The wall (bone, muscle, skin) stands still and the organs slide along it.
    """
    off = points - scene.liver_centre
    move = np.array(scene.motion.breath_mm) + scene.motion.squeeze * (off * [0.5, 1.0, 1.0])
    bend = scene.motion.bend_mm * ((off[:, :1] / 80.0) ** 2 - 0.3)
    return move + bend * np.array([0.0, 0.3, 1.0])


def residual(system: CbctSystem) -> NDArray[np.float64]:
    shift = breathing(system, RESIDUAL_MM)
    return shift - shift.mean(axis=0)


def cavity_of(phantom: Phantom) -> NDArray[np.bool_]:
    """Lungs, belly organs, and what lies between them."""
    labels = phantom.labels
    array = np.asarray(labels.array)
    still = labels.mask("bone") | labels.mask("muscle") | labels.mask("skin") | (array == 0)
    names = ("liver", "spleen", "kidney_right", "kidney_left", "stomach", "lung", "tumour")
    known = {x.name for x in labels.labels}
    organs = np.logical_or.reduce([labels.mask(n) for n in names if n in known]) | phantom.organ
    step = np.array(phantom.volume.grid.spacing_mm)
    near = ndimage.distance_transform_edt(~organs, step) < 12.0
    return (near & ~still) | organs


def make_scene(
    seed: int,
    *,
    motion: Motion | None = None,
    metal: tuple[MetalPart, ...] = (),
    physics: CbctPhysics = CbctPhysics(),  # noqa: B008
    system: CbctSystem = FAST,
    control_phantom: Phantom | None = None,
    centre_off_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Scene:
    """The scene of ``seed``: phantom, motion, CBCT with free residual breathing of 2 mm."""
    rng = np.random.default_rng([seed, 17])
    phases = ("portal", "arterial", "unenhanced", "delayed")
    diameter = float(rng.uniform(12.0, 30.0))
    phantom = abdominal_ct(
        5000 + seed, phase=phases[seed % 4], spacing_mm=(2.0, 1.2, 1.2), noise_hu=NOISE_HU,
        tumours=(TumourSpec(diameter),),
    )  # fmt: skip
    drawn = Motion.draw(rng)
    motion = drawn if motion is None else motion
    tumour = np.array(phantom.facts.tumours[0].centre_mm)
    ball = rng.standard_normal((200, 3))
    ball *= (0.5 * diameter * rng.random(200) ** (1 / 3) / np.linalg.norm(ball, axis=1))[:, None]
    liver_centre = phantom.volume.grid.index_to_lps(np.argwhere(phantom.organ).mean(axis=0))
    rigid = motion.rigid(phantom.volume.grid.centre_lps_mm)
    scene = Scene(
        phantom,
        phantom.volume,
        motion,
        rigid,
        cavity_of(phantom),
        liver_centre,
        tumour + ball,
        seed,
    )
    source = phantom if control_phantom is None else control_phantom
    quiet = abdominal_ct(
        source.settings.seed, phase=phases[(seed + 1) % 4], spacing_mm=(2.0, 1.2, 1.2),
        noise_hu=0.0, tumours=source.settings.tumours,
    )  # fmt: skip
    moved = _warp(quiet.volume, scene)
    centre = scene.truth(liver_centre[None])[0] + np.array(centre_off_mm) + [25.0, 5.0, 0.0]
    scan = simulate_cbct(
        moved,
        isocentre_mm=tuple(centre),
        system=system,
        physics=physics,
        metal=metal,
        shift_mm=residual(system),
        voxel_mm=VOXEL_MM,
        seed=seed,
    )
    return Scene(
        phantom, scan.volume, motion, rigid, scene.cavity, liver_centre, scene.targets, seed
    )


def _warp(volume: Volume, scene: Scene) -> Volume:
    """``volume`` in the control position, on a grid that holds it all."""
    grid = volume.grid
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    there = scene.rigid.apply(grid.index_to_lps(corners))
    low, high = there.min(axis=0), there.max(axis=0)
    spacing = np.array(grid.spacing_mm)
    shape = np.ceil((high - low)[::-1] / spacing).astype(int) + 1
    new = Grid.from_spacing(shape.tolist(), grid.spacing_mm, low.tolist())
    out = np.empty(new.shape, dtype=np.float32)
    motion = scene.motion
    _move(
        volume.array.astype(np.float32), scene.cavity, grid.inverse[:3],
        scene.rigid.inverse.matrix[:3] @ new.affine, np.asarray(scene.liver_centre),
        np.array(motion.breath_mm), float(motion.squeeze), float(motion.bend_mm), FAT_HU, out,
    )  # fmt: skip
    return Volume(out, new, "HU")


@njit(cache=True, parallel=True)
def _move(hu, cavity, to_index, back, centre, breath, squeeze, bend, gap_hu, out):  # type: ignore[no-untyped-def]
    """``out``: ``hu`` (planning voxels) seen at each control voxel; the breathing is inverted by
    iteration.

    ``to_index`` (3, 4) LPS mm to planning index, ``back`` (3, 4) control index to planning LPS mm
    where nothing breathes.
    """
    n0, n1, n2 = hu.shape
    for k in prange(out.shape[0]):
        x, i, j = np.empty(3), np.empty(3), np.empty(3)
        for row in range(out.shape[1]):
            for column in range(out.shape[2]):
                y = back[:, 0] * k + back[:, 1] * row + back[:, 2] * column + back[:, 3]
                x[:] = y
                for _ in range(6):
                    wave = bend * (((x[0] - centre[0]) / 80.0) ** 2 - 0.3)
                    x[0] = y[0] - breath[0] - squeeze * 0.5 * (x[0] - centre[0])
                    x[1] = y[1] - breath[1] - squeeze * (x[1] - centre[1]) - 0.3 * wave
                    x[2] = y[2] - breath[2] - squeeze * (x[2] - centre[2]) - wave
                for m in range(3):
                    i[m] = to_index[m, 0] * y[0] + to_index[m, 1] * y[1] + to_index[m, 2] * y[2]
                    j[m] = to_index[m, 0] * x[0] + to_index[m, 1] * x[1] + to_index[m, 2] * x[2]
                    i[m] += to_index[m, 3]
                    j[m] += to_index[m, 3]
                slides = _in(cavity, i)
                if slides and not _in(cavity, j):
                    out[k, row, column] = gap_hu
                    continue
                if not slides:
                    j[:] = i
                if not (0.0 <= j[0] <= n0 - 1 and 0.0 <= j[1] <= n1 - 1 and 0.0 <= j[2] <= n2 - 1):
                    out[k, row, column] = -1000.0
                    continue
                a, b, c = min(int(j[0]), n0 - 2), min(int(j[1]), n1 - 2), min(int(j[2]), n2 - 2)
                total = 0.0
                for da in range(2):
                    for db in range(2):
                        for dc in range(2):
                            w = 1.0 - abs(j[0] - a - da)
                            w *= (1.0 - abs(j[1] - b - db)) * (1.0 - abs(j[2] - c - dc))
                            total += w * hu[a + da, b + db, c + dc]
                out[k, row, column] = total


@njit(cache=True, inline="always")
def _in(mask, index):  # type: ignore[no-untyped-def]
    """The mask at the voxel nearest to ``index``; False outside."""
    a, b, c = round(index[0]), round(index[1]), round(index[2])
    n0, n1, n2 = mask.shape
    return 0 <= a < n0 and 0 <= b < n1 and 0 <= c < n2 and mask[int(a), int(b), int(c)]
