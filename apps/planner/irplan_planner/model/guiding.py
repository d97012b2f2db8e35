"""Commands for the room: C-arm views of each needle, needles as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irplan.compute.progress import Progress
from irplan.errors import InputError, IrplanError
from irplan_planner.model.desk import Desk


class Guiding:
    """Commands; results lie beside the state, since they can be made again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def views(self) -> None:
        """Bull's-eye and progress views of every needle on a generic C-arm (a job)."""
        desk, state = self._desk, self._desk.state
        plan, labels = state.plan, state.labels
        if plan is None or labels is None:
            raise InputError("plan", got="none yet", expected="a plan", remedy="Run Plan first.")
        key = state.simulated_from

        def work(progress: Progress) -> Any:
            from irplan.guidance import GENERIC_SYSTEM, find_views

            out: list[Any] = []
            for n, p in enumerate(plan.placements):
                progress(n / len(plan.placements), f"needle {n + 1}")
                try:
                    view = find_views(
                        p.needle, GENERIC_SYSTEM, isocentre_mm=plan.target.centroid_mm,
                        patient_position="HFS",
                    )  # fmt: skip
                    out.append(view)
                except IrplanError as error:
                    out.append(error)
            return tuple(out)

        def done(found: Any) -> None:
            if desk.state.simulated_from == key:
                desk.add_extra(guidance=(key, found))

        desk.work("C-arm views", "work", work, done)

    def shown(self) -> tuple[list[tuple[str, ...]], str]:
        """Rows (needle, view, primary, secondary angle) and a line of words."""
        state, extra = self._desk.state, self._desk.extras.guidance
        if state.plan is None:
            return [], ""
        if extra is None or extra[0] != state.simulated_from:
            return [], (
                "Angles for a generic C-arm, the target in its isocentre, head first and supine."
            )
        rows: list[tuple[str, ...]] = []
        words = []
        for n, found in enumerate(extra[1], start=1):
            if isinstance(found, IrplanError):
                rows.append((str(n), "none", "–", "–"))
                words.append(f"Needle {n}: {found.got}. {found.remedy}")
                continue
            for view in (found.bulls_eye, *found.progress):
                primary, secondary = view.gantry_deg
                name = view.kind.replace("_", " ").replace("bulls eye", "bull's-eye")
                rows.append((str(n), name, f"{primary:+.1f}°", f"{secondary:+.1f}°"))
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
