"""How wrong needles and tissue may be: a preset's name, or a user's TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from irplan.errors import FileFormatError
from irplan.planning.robustness_uncertainty import (
    PRESETS,
    Uncertainty,
    preset,
    uncertainty_from_mapping,
)


def read_uncertainty(given: str) -> Uncertainty:
    """The preset of that name, or what a TOML file with the fields of `Uncertainty` says.

    Raises `InputError` for a name that is none and values out of range, `FileFormatError` for a
    file that cannot be read.
    """
    file = Path(given)
    if given in PRESETS or not (file.suffix or file.exists()):
        return preset(given)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(
            f"uncertainty file '{file.name}'",
            got=str(error)[:160],
            expected="a TOML file, or one of " + ", ".join(PRESETS),
            remedy="Check the path and the place named.",
        ) from error
    return uncertainty_from_mapping(data, name=file.stem)
