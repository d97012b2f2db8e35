"""Commands for the room: C-arm views of each needle as angles and simulated pictures; files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress
from irplan.errors import InputError, IrplanError
from irplan.image import Volume
from irplan_planner.model.desk import Desk

if TYPE_CHECKING:
    from irplan.geometry import CArm
    from irplan.guidance import View

#: Preview: pixels along the detector, step and reach along the rays, mm.
PREVIEW_PX, STEP_MM, REACH_MM = 150, 2.5, 210.0
#: Attenuation of water at diagnostic energies, 1/mm [S: 0.02 at about 70 keV].
WATER_PER_MM = 0.02


@dataclass(frozen=True, eq=False)
class Preview:
    """What the C-arm would show: uint8 (row, column), bone dark; places in its pixels."""

    needle: int
    kind: str
    primary_deg: float
    secondary_deg: float
    picture: NDArray[np.uint8]
    entry: tuple[float, float]
    tip: tuple[float, float]
    target: tuple[float, float]

    @property
    def words(self) -> str:
        """Name and angles."""
        side = f"{'LAO' if self.primary_deg >= 0 else 'RAO'} {abs(self.primary_deg):.0f}°"
        tilt = f"{'CRA' if self.secondary_deg >= 0 else 'CAU'} {abs(self.secondary_deg):.0f}°"
        return f"Needle {self.needle}: {self.kind}\n{side}  {tilt}"


def drr(volume: Volume, c_arm: CArm, *, pixels: int = PREVIEW_PX) -> NDArray[np.float32]:
    """(row, column) line integrals of attenuation through the CT, for a preview.

    Trilinear samples every `STEP_MM` within `REACH_MM` of the isocentre; every n-th pixel of the
    detector, so that its longer side has about ``pixels``.  No scatter, no spectrum.
    """
    from scipy.ndimage import map_coordinates

    rows, columns = _pixels(c_arm, pixels)
    at = np.stack(np.meshgrid(columns, rows), axis=-1)
    rays = c_arm.rays(at)
    out = np.zeros(rays.shape[:2], np.float32)
    middle = c_arm.source_isocentre_mm
    inverse = volume.grid.inverse
    way = rays @ inverse[:3, :3].T
    start = inverse[:3, :3] @ c_arm.source_mm + inverse[:3, 3]
    for t in np.arange(middle - REACH_MM, middle + REACH_MM, STEP_MM):
        index = np.moveaxis(start + t * way, -1, 0)
        hu = map_coordinates(
            volume.array, index, order=1, mode="constant", cval=-1000.0, output=np.float32
        )
        out += np.maximum(0.0, hu + 1000.0)
    return out * np.float32(WATER_PER_MM * STEP_MM / 1000.0)


def _pixels(c_arm: CArm, pixels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    every = max(c_arm.detector_shape) / pixels
    rows = np.arange(every / 2 - 0.5, c_arm.detector_shape[0], every)
    columns = np.arange(every / 2 - 0.5, c_arm.detector_shape[1], every)
    return rows, columns


def preview(number: int, view: View, volume: Volume, target_mm: Any) -> Preview:
    """A view of needle ``number`` as it would look."""
    c_arm = view.c_arm
    thickness = drr(volume, c_arm)
    seen = thickness[thickness > 0.2]
    low, high = np.percentile(seen, (2.0, 99.5)) if seen.size else (0.0, 1.0)
    grey = 255.0 * (1.0 - np.clip((thickness - low) / max(1e-6, high - low), 0.0, 1.0))
    every = max(c_arm.detector_shape) / PREVIEW_PX

    def place(px: Any) -> tuple[float, float]:
        return (float(px[0]) + 0.5) / every - 0.5, (float(px[1]) + 0.5) / every - 0.5

    primary, secondary = c_arm.primary_deg, c_arm.secondary_deg
    kind = "bull's-eye" if view.kind == "bulls_eye" else "progress"
    return Preview(
        number, kind, primary, secondary, grey.astype(np.uint8), place(view.entry_px),
        place(view.tip_px), place(c_arm.project(np.asarray(target_mm))),
    )  # fmt: skip


class Guiding:
    """Commands; results lie beside the state, since they can be made again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def views(self) -> None:
        """Bull's-eye and progress view of every needle on a generic C-arm (a job)."""
        desk, state = self._desk, self._desk.state
        plan, volume = state.plan, state.volume
        if plan is None or volume is None:
            raise InputError("plan", got="none yet", expected="a plan", remedy="Run Plan first.")
        key = state.simulated_from

        def work(progress: Progress) -> Any:
            from irplan.guidance import GENERIC_SYSTEM, find_views

            out: list[Any] = []
            for n, p in enumerate(plan.placements, start=1):
                progress((n - 1) / len(plan.placements), f"needle {n}")
                centre = plan.target.centroid_mm
                try:
                    found = find_views(
                        p.needle, GENERIC_SYSTEM, isocentre_mm=centre, patient_position="HFS"
                    )
                except IrplanError as error:
                    out.append((n, error))
                    continue
                for view in (found.bulls_eye, found.progress[0]):
                    out.append((n, preview(n, view, volume, centre)))
            return tuple(out)

        def done(found: Any) -> None:
            if desk.state.simulated_from == key:
                desk.add_extra(guidance=(key, found))

        desk.work("C-arm views", "work", work, done)

    def previews(self) -> tuple[Preview, ...]:
        """The pictures, where they are of the plan as it is."""
        state, extra = self._desk.state, self._desk.extras.guidance
        if extra is None or state.plan is None or extra[0] != state.simulated_from:
            return ()
        return tuple(x for _, x in extra[1] if isinstance(x, Preview))

    def shown(self) -> tuple[list[tuple[str, ...]], str]:
        """Rows (needle, view, primary, secondary angle) and a line of words."""
        state, extra = self._desk.state, self._desk.extras.guidance
        if state.plan is None:
            return [], ""
        told = "Generic C-arm, target in its isocentre, head first, supine."
        if extra is None or extra[0] != state.simulated_from:
            return [], told
        rows: list[tuple[str, ...]] = []
        words = [told]
        for n, found in extra[1]:
            if isinstance(found, Preview):
                angles = (f"{found.primary_deg:+.1f}°", f"{found.secondary_deg:+.1f}°")
                rows.append((str(n), found.kind, *angles))
            else:
                rows.append((str(n), "none", "–", "–"))
                words.append(f"Needle {n}: {found.got}. {found.remedy}")
        return rows, "\n".join(words)

    def write_needles(self, folder: Path) -> None:
        """3D Slicer markups and a table of the plan's needles in a new folder."""
        from irplan.files import write_needle_table, write_needles_markups
        from irplan.files.output import OutputFolder

        plan = self._desk.state.plan
        if plan is None:
            raise InputError("plan", got="none yet", expected="a plan", remedy="Run Plan first.")
        with OutputFolder(folder) as out:
            write_needles_markups(plan, out)
            write_needle_table(plan, out / "needles.csv")
        self._desk.say(f"Needles written to {folder}.", "good")
