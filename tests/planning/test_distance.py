from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from irplan.planning.distance import bounding_box, capped_distance_mm


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_scipy_below_the_cap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spacing = rng.uniform(0.5, 2.5, 3)
    mask = rng.random(rng.integers(5, 25, 3)) < 0.01
    mask[tuple(n // 2 for n in mask.shape)] = True
    want = distance_transform_edt(~mask, sampling=spacing)
    got = capped_distance_mm(mask, spacing.tolist(), 6.0)
    near = want <= 6.0 - 1e-4
    np.testing.assert_allclose(got[near], want[near], rtol=1e-5, atol=1e-5)
    assert np.all(np.isinf(got[want > 6.0 + 1e-4]))


def test_empty_mask_is_far_everywhere() -> None:
    assert np.all(np.isinf(capped_distance_mm(np.zeros((3, 4, 5), bool), (1, 1, 1), 5.0)))
    assert bounding_box(np.zeros((3, 4, 5), bool)) is None


def test_argument_is_not_changed() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[2, 3, 4] = True
    before = mask.copy()
    capped_distance_mm(mask, (1, 1, 1), 3.0)
    assert np.array_equal(mask, before)
