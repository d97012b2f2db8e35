"""Every bad input of the phantom is named, with what was expected."""

from __future__ import annotations

import math
from typing import Any

import pytest

from irplan.errors import GeometryError, InputError
from irplan.phantom import TumourSpec, abdominal_ct, tissue

FAST = (6.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("seed", {"seed": -1}),
        ("seed", {"seed": 1.5}),
        ("seed", {"seed": True}),
        ("phase", {"phase": "venous"}),
        ("spacing_mm", {"spacing_mm": 2.0}),
        ("spacing_mm", {"spacing_mm": (1.0, 1.0)}),
        ("spacing_mm[0]", {"spacing_mm": (0.0, 1.0, 1.0)}),
        ("spacing_mm[1]", {"spacing_mm": (1.0, -1.0, 1.0)}),
        ("spacing_mm[2]", {"spacing_mm": (1.0, 1.0, 40.0)}),
        ("spacing_mm[2]", {"spacing_mm": (1.0, 1.0, math.nan)}),
        ("spacing_mm", {"spacing_mm": (0.4, 0.4, 0.4)}),
        ("noise_hu", {"noise_hu": -1.0}),
        ("noise_hu", {"noise_hu": "loud"}),
        ("liver_ml", {"liver_ml": 100.0}),
        ("liver_ml", {"liver_ml": 2200.0, "body_width_mm": 260.0, "fat_mm": 24.0}),
        ("fat_mm", {"body_width_mm": 260.0, "fat_mm": 34.0}),
        ("body_width_mm", {"body_width_mm": 900.0}),
        ("fat_mm", {"fat_mm": math.inf}),
        ("tumours", {"tumours": (20.0,)}),
        ("tumours", {"tumours": (TumourSpec(3.0),) * 11}),
        ("tumours[0].diameter_mm", {"tumours": (TumourSpec(110.0),)}),
        ("tumours[0].centre_mm", {"tumours": (TumourSpec(10.0, (90.0, 30.0, -80.0)),)}),
        ("tumours[0].centre_mm", {"tumours": (TumourSpec(10.0, (900.0, 0.0, 0.0)),)}),
    ],
)
def test_bad_settings_are_named(field: str, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError) as error:
        abdominal_ct(**{"spacing_mm": FAST, **settings})
    assert error.value.field == field
    assert error.value.remedy


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("tumour.diameter_mm", {"diameter_mm": -20.0}),
        ("tumour.diameter_mm", {"diameter_mm": 0.0}),
        ("tumour.diameter_mm", {"diameter_mm": math.nan}),
        ("tumour.diameter_mm", {"diameter_mm": "big"}),
        ("tumour.contrast_hu", {"diameter_mm": 20.0, "contrast_hu": 4000.0}),
        ("tumour.irregularity", {"diameter_mm": 20.0, "irregularity": -0.1}),
    ],
)
def test_bad_tumours_are_named(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(InputError) as error:
        TumourSpec(**values)
    assert error.value.field == field


def test_bad_centre_and_overlap() -> None:
    with pytest.raises(GeometryError, match="centre_mm"):
        TumourSpec(10.0, (1.0, 2.0))  # type: ignore[arg-type]
    place = abdominal_ct(2, spacing_mm=FAST).facts.tumours[0].centre_mm
    with pytest.raises(InputError, match="overlaps"):
        abdominal_ct(2, spacing_mm=FAST, tumours=(TumourSpec(10.0, place), TumourSpec(12.0, place)))


def test_unknown_tissue_is_named() -> None:
    with pytest.raises(InputError, match="liver"):
        tissue("cheese")
    with pytest.raises(InputError, match="liver"):
        abdominal_ct(1, spacing_mm=FAST).facts.hu("cheese")
