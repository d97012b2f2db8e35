"""Every error irplan raises on purpose.

An error names the *field* that is wrong, what came (*got*), what was *expected* and the
*remedy*.  The command line prints exactly these four and no traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class IrplanError(Exception):
    """Base of all errors that a user can cause and can mend.

    Parameters
    ----------
    field : name of the argument, file, tag or setting that is wrong.
    got : what came, in words, without patient data.
    expected : what would have been right.
    remedy : what to do now.
    """

    def __init__(self, field: str, *, got: str, expected: str, remedy: str) -> None:
        self.field = field
        self.got = got
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{field}: got {got}; expected {expected}. {remedy}")


class InputError(IrplanError):
    """An argument's value is outside what the function accepts."""


class GeometryError(IrplanError):
    """A grid, affine, needle or point is geometrically impossible."""


class GridMismatchError(GeometryError):
    """Two arrays that must share a grid do not."""


class FileFormatError(IrplanError):
    """A file cannot be read: wrong type, truncated, unknown schema, missing orientation."""


class DicomError(FileFormatError):
    """A DICOM series or object is not what irplan can use safely."""


class LogDamagedError(FileFormatError):
    """A procedure log is not what was written: changed, cut, out of order."""


class SegmentationError(IrplanError):
    """A structure could not be found in the image."""


class RegistrationError(IrplanError):
    """Two scans could not be brought together, or what came out must not be used."""


class PlanningError(IrplanError):
    """No plan can be made under the given rules."""


class NoAdmissiblePathError(PlanningError):
    """No needle path satisfies the hard rules.

    ``blocked_by`` counts, per rule, how many candidate paths it rejected;
    ``nearest_miss`` says in words how close the best rejected path came.
    """

    def __init__(
        self,
        field: str,
        *,
        got: str,
        expected: str,
        remedy: str,
        blocked_by: Sequence[tuple[str, int]] = (),
        nearest_miss: str = "",
    ) -> None:
        super().__init__(field, got=got, expected=expected, remedy=remedy)
        self.blocked_by = tuple(blocked_by)
        self.nearest_miss = nearest_miss


class ReviewError(IrplanError):
    """Something that no person has accepted was about to be used as if one had."""


class NoViewError(PlanningError):
    """No pose of the C-arm shows a needle as asked within limits and clear of obstacles."""


class PacsError(IrplanError):
    """A PACS cannot be reached, refuses, or answers with a failure.

    ``passing`` is True where trying again may help (connection lost, peer busy).
    """

    def __init__(
        self, field: str, *, got: str, expected: str, remedy: str, passing: bool = False
    ) -> None:
        super().__init__(field, got=got, expected=expected, remedy=remedy)
        self.passing = passing


class SolverError(IrplanError):
    """A physical problem is ill-posed or its solution left its valid range."""


class BackendError(IrplanError):
    """A requested compute backend is not available."""


class MissingExtraError(IrplanError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, *, package: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            feature,
            got=f"no package '{package}' in this environment",
            expected=f"irplan installed with its extra '{extra}'",
            remedy=f'Run: pip install "irplan[{extra}]"',
        )


class OutputError(IrplanError):
    """A result cannot be written where it was asked for."""


class CancelledError(IrplanError):
    """The user cancelled a long computation; nothing was written."""

    def __init__(self, task: str) -> None:
        super().__init__(
            task, got="a cancel request", expected="completion", remedy="Run it again to finish."
        )
