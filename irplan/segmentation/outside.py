"""Models made elsewhere: what they are, what input they were made for, what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.image.labels import LabelMap
from irplan.image.volume import Volume
from irplan.segmentation.ct_check import CheckRow, Status

Range = tuple[float, float]


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a result: ``sha256`` of its file ("" where it has none of its own)."""

    name: str
    version: str
    sha256: str = ""
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True)
class ScanFacts:
    """What only the scan's headers tell: reconstruction kernel and contrast phase, or ""."""

    kernel: str = ""
    phase: str = ""


@dataclass(frozen=True)
class ModelEnvelope:
    """The input a model was made for.  None or empty: its makers do not say.

    ``slice_mm`` and ``pixel_mm`` are ranges of the spacing across and within slices, ``field_mm``
    the least field of view (left-right, front-back, head-feet), ``phases`` and ``kernels`` words
    of which one must occur.  With ``refuse`` a breach is an error, else a warning.
    """

    slice_mm: Range | None = None
    pixel_mm: Range | None = None
    field_mm: tuple[float, float, float] | None = None
    phases: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    refuse: bool = False


@dataclass(frozen=True, eq=False)
class OutsideSegmentation:
    """``labels`` on the volume's grid with irplan's names; how they came about.

    ``rows`` judge the input against the model's envelope; ``options`` are the settings the
    model ran with; ``unmapped`` names what the model also found and irplan has no name for.
    """

    labels: LabelMap
    identity: ModelIdentity
    rows: tuple[CheckRow, ...]
    warnings: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    unmapped: tuple[str, ...]
    seconds: float


class OutsideModel(Protocol):
    """A model that labels a CT.  It downloads nothing and leaves nothing behind."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model this is."""
        ...

    def segment(
        self,
        volume: Volume,
        *,
        facts: ScanFacts | None = None,
        progress: Progress = no_progress,
    ) -> OutsideSegmentation:
        """Label ``volume``; ``progress`` may cancel it at any time."""
        ...


def envelope_rows(
    volume: Volume, envelope: ModelEnvelope, facts: ScanFacts | None = None
) -> tuple[CheckRow, ...]:
    """``volume`` against what the model was made for, a row a property; never silent.

    What the envelope does not name has no row; what the scan does not tell (NIfTI has no kernel
    or phase) is ``not_checked``.
    """
    known = facts or ScanFacts()
    # The axis nearest to head-feet is across the slices, whatever order the array has.
    across = int(abs(volume.grid.direction[2]).argmax())
    spacing = volume.grid.spacing_mm
    within = max(s for axis, s in enumerate(spacing) if axis != across)
    rows = []
    for name, value, limits in (
        ("model: slice spacing", spacing[across], envelope.slice_mm),
        ("model: pixel spacing", within, envelope.pixel_mm),
    ):
        if limits is not None:
            limit = f"{limits[0]:g} to {limits[1]:g} mm"
            fits = limits[0] - 1e-3 <= value <= limits[1] + 1e-3
            rows.append(_row(name, value, "mm", limit, fits, envelope))
    if envelope.field_mm is not None:
        extent = abs(volume.grid.direction) @ [
            n * s for n, s in zip(volume.grid.shape, spacing, strict=True)
        ]
        for word, length, least in zip(
            ("left-right", "front-back", "head-feet"), extent, envelope.field_mm, strict=True
        ):
            name = f"model: field of view {word}"
            fits = float(length) >= least - 1e-3
            rows.append(_row(name, float(length), "mm", f">= {least:g} mm", fits, envelope))
    for name, found, wanted in (
        ("model: phase", known.phase, envelope.phases),
        ("model: kernel", known.kernel, envelope.kernels),
    ):
        if wanted:
            rows.append(_word_row(name, found, wanted, envelope))
    return tuple(rows)


def refuse_errors(rows: tuple[CheckRow, ...], identity: ModelIdentity) -> tuple[str, ...]:
    """The warnings among ``rows`` in words; `InputError` for the first error."""
    for row in rows:
        if row.status == "error":
            raise InputError(
                f"{row.name} for '{identity.name}'",
                got=row.note,
                expected=row.limit,
                remedy=row.remedy,
            )
    return tuple(f"{row.name}: {row.note}" for row in rows if row.status == "warning")


def _row(
    name: str, value: float, unit: str, limit: str, fits: bool, envelope: ModelEnvelope
) -> CheckRow:
    breach: Status = "error" if envelope.refuse else "warning"
    return CheckRow(
        name,
        value,
        unit,
        limit,
        "ok" if fits else breach,
        "" if fits else f"{value:.2f} {unit}; the model was made for {limit}",
        "the model's manifest",
        "" if fits else "Give a series within the model's envelope, or use another model.",
    )


def _word_row(name: str, found: str, wanted: tuple[str, ...], envelope: ModelEnvelope) -> CheckRow:
    limit = " or ".join(wanted)
    if not found:
        return CheckRow(
            name, None, "", limit, "not_checked", "the scan does not say", "the model's manifest"
        )
    fits = any(word.lower() in found.lower() for word in wanted)
    return CheckRow(
        name,
        None,
        "",
        limit,
        "ok" if fits else ("error" if envelope.refuse else "warning"),
        f"'{found}'" + ("" if fits else f"; the model was made for {limit}"),
        "the model's manifest",
        "" if fits else "Give a series within the model's envelope, or use another model.",
    )
