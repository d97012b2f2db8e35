"""A synthetic patient as files: CT, exact labels and known facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.compute.progress import Progress, no_progress, portion
from irplan.files.json_text import dump_json
from irplan.files.nifti import write_labels, write_mask, write_volume
from irplan.files.output import OutputFolder
from irplan.phantom import PhantomSettings, TumourSpec, abdominal_ct
from irplan.phantom.tissues import Phase
from irplan.phantom.variant import PLAIN, Variant


def write_phantom(
    out: Path,
    *,
    seed: int = 0,
    phase: Phase = "portal",
    diameters_mm: Sequence[float] = (20.0,),
    noise_hu: float = 15.0,
    spacing_mm: tuple[float, float, float] | None = None,
    variant: Variant = PLAIN,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write ``ct.nii.gz``, ``labels.nii.gz`` with its label table, ``facts.json``, and the tumours
    as ``tumour.nii.gz`` where there are any.

    Parameters are those of `irplan.phantom.abdominal_ct`; ``spacing_mm`` (slice, row, column),
    None = its default.  Returns what ``facts.json`` holds.  Raises `InputError` for a setting
    out of range, `OutputError` where ``out`` cannot be written; ``out`` is whole or absent.
    """
    with OutputFolder(out) as folder:
        made = abdominal_ct(
            seed,
            phase=phase,
            spacing_mm=PhantomSettings.spacing_mm if spacing_mm is None else spacing_mm,
            tumours=[TumourSpec(d) for d in diameters_mm],
            noise_hu=noise_hu,
            variant=variant,
            progress=portion(progress, 0.0, 0.7),
        )
        facts = {
            "notice": RESEARCH_USE_ONLY,
            "irplan_version": __version__,
            "facts": asdict(made.facts),
            "settings": asdict(made.settings),
        }
        progress(0.7, "writing: ct.nii.gz")
        write_volume(made.volume, folder / "ct.nii.gz")
        progress(0.9, "writing: labels.nii.gz")
        write_labels(made.labels, folder / "labels.nii.gz")
        if made.labels.checked("tumour"):
            write_mask(made.labels.mask("tumour"), made.labels.grid, folder / "tumour.nii.gz")
        (folder / "facts.json").write_text(dump_json(facts, field="facts"), encoding="utf-8")
        progress(1.0, "writing: done")
    return facts
