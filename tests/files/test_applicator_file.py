"""A user's applicators: read strictly, and written so that they read back the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from irplan.ablation import APPLICATORS
from irplan.errors import FileFormatError
from irplan.files import read_applicators, write_applicators
from irplan.files.applicator_file import applicators_to_toml


def test_the_whole_catalogue_survives_the_round_trip(tmp_path: Path):
    mine = {f"my-{n}": replace(a, name=f"my-{n}") for n, a in APPLICATORS.items()}
    write_applicators(mine.values(), tmp_path / "mine.toml")
    assert read_applicators(tmp_path / "mine.toml") == mine


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("my-cryo-17g-rod", "cryo-17g-rod", "applicator[1].name", "exists already"),
        ('kind = "cryo"', 'kind = "cryyo"', "applicator[1].kind", "cryo"),
        ("active_length_mm = 45.0", "active_length_mm = 450.0", "applicator[1]", "5 to 100"),
        ("active_length_mm", "active_length", "applicator[1].active_length", "active_length_mm"),
        ("ramp_s = 60.0\n", "", "applicator[1].ramp_s", "missing"),
        ("max_probes", "max_power_w", "applicator[1].device.max_power_w", "means nothing"),
        ("schema_version = 1", "schema_version = 2", "schema", "schema_version"),
        ('schema = "irplan-applicators"', 'schema = "irplan-problem"', "schema", "applicators"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old, new, place, words):
    text = applicators_to_toml([replace(APPLICATORS["cryo-17g-rod"], name="my-cryo-17g-rod")])
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(FileFormatError) as refused:
        read_applicators(path)
    assert refused.value.field.startswith(f"'mine.toml' {place}")
    error = refused.value
    assert words in f"{error.got} {error.expected} {error.remedy}"


def test_a_file_without_applicators_is_refused(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(applicators_to_toml([]))
    with pytest.raises(FileFormatError, match="at least one"):
        read_applicators(path)
