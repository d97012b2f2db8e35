"""The family: drawn first, reproducible, varied."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.phantom import RANGES, family
from irplan.phantom.family import PHASE_SHARE, SHARE


def test_members_depend_on_seed_and_place_only() -> None:
    assert family(12, 3) == family(40, 3)[:12]
    assert family(12, 3) != family(12, 4)


def test_every_option_occurs_about_as_often_as_stated() -> None:
    count = 2000
    members = [m.settings for m in family(count, 1)]
    for phase, share in PHASE_SHARE.items():
        seen = np.mean([m.phase == phase for m in members])
        assert seen == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / count))
    prone = np.mean([m.variant.prone for m in members])
    assert prone == pytest.approx(SHARE["prone"], abs=0.03)
    sick = np.array([m.variant.cirrhosis > 0 for m in members])
    assert sick.mean() == pytest.approx(SHARE["cirrhosis"], abs=0.04)
    wet = np.array([m.variant.ascites_mm > 0 for m in members])
    assert not (wet & ~sick).any()  # ascites only with a sick liver
    assert wet.sum() == pytest.approx(SHARE["ascites"] * sick.sum(), rel=0.25)
    assert any(t.at_capsule for m in members for t in m.tumours)
    assert any(abs(t.contrast_hu) < 5 for m in members for t in m.tumours)
    for name, (low, high, _) in RANGES.items():
        values = [getattr(m.variant, name) for m in members]
        assert low <= min(values) <= max(values) <= high
        assert max(values) > min(values), name


def test_a_member_makes_the_phantom_it_describes() -> None:
    member = family(3, 9)[1]
    made = member.make(spacing_mm=(6.0, 4.0, 4.0))
    assert made.settings.seed == member.settings.seed
    assert made.settings.variant == member.settings.variant
    assert made.facts.phase == member.settings.phase
    assert str(member.settings.seed) in member.words


@pytest.mark.parametrize(("field", "given"), [("count", (0, 0)), ("seed", (2, -1))])
def test_bad_requests_are_named(field: str, given: tuple[int, int]) -> None:
    with pytest.raises(InputError) as error:
        family(*given)
    assert error.value.field == field
