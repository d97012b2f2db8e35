"""The access map on shapes of which every answer is known, and bad or hopeless input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from irplan.errors import BackendError, GridMismatchError, InputError, MissingExtraError
from irplan.image import LabelMap
from irplan.planning.access_map import BLOCKED, CLEAR, NOT_CHECKED, AccessMap, access_map
from irplan.planning.paths import NeedleError, PathWeights
from irplan.planning.rules import PathRules

from .conftest import Scene
from .slow_march import structures_met


def made(scene: Scene, unknown: object = None, **rules: float) -> AccessMap:
    return access_map(
        scene.labels,
        scene.target,
        rules=PathRules().with_values(**rules),
        unknown=unknown,  # type: ignore[arg-type]
        raster_mm=2.0,
        entry_spacing_mm=6.0,
        target_spacing_mm=5.0,
    )


def test_a_free_body_is_clear_from_the_front(scene: Callable[..., Scene]) -> None:
    found = made(scene())
    assert found.not_checked_needed == ()
    front = found.on_skin & (found.entries_mm[:, 1] < -58.0) & (
        np.hypot(found.entries_mm[:, 0], found.entries_mm[:, 2]) < 20.0
    )  # fmt: skip
    assert front.sum() > 20
    assert (found.status[front] == CLEAR).all()
    assert found.clear_share[front] == pytest.approx(1.0)
    # From behind is the table: more than 15 degrees below the horizontal.
    back = found.entries_mm[:, 1] > 58.0
    assert (found.status[back & found.on_skin] == BLOCKED).all()
    words = {found.limits[i] for i in found.limiting[back & found.on_skin]}
    assert all("below the horizontal" in w or "longer" in w or "tilt" in w for w in words)
    assert found.candidates[0].needle.depth_mm < 66.0
    gaps = [
        np.linalg.norm(np.subtract(a.needle.entry_mm, b.needle.entry_mm))
        for n, a in enumerate(found.candidates)
        for b in found.candidates[:n]
    ]
    assert min(gaps) > 9.0


def test_an_entry_counts_the_targets_it_reaches(scene: Callable[..., Scene]) -> None:
    """A slab of bone covers x > 2 mm in front: the share falls from all to none across its edge."""
    plain = scene()
    p = plain.points
    slab = (p[..., 1] > -54.0) & (p[..., 1] < -48.0) & (p[..., 0] > 2.0)
    found = made(plain.with_structure("bone", slab & (plain.labels.array > 0)))
    e = found.entries_mm
    row = (e[:, 1] < -58.0) & (np.abs(e[:, 2]) < 6.0)
    left, right = row & (e[:, 0] > 20.0) & (e[:, 0] < 50.0), row & (np.abs(e[:, 0] + 20.0) < 10.0)
    assert (found.clear_share[left] == 0.0).all()
    assert (found.clear_share[right] == 1.0).all()
    assert ((found.clear_share > 0.0) & (found.clear_share < 1.0)).any()
    assert {found.limits[i] for i in found.limiting[left]} == {"bone closer than 2 mm"}
    for c in found.candidates:
        assert "bone" not in structures_met(c.needle, plain.labels)


def test_the_unknown_is_never_clear(scene: Callable[..., Scene]) -> None:
    plain = scene()
    p = plain.points
    dark = (p[..., 1] < -50.0) & (np.abs(p[..., 0]) < 30.0)  # the front's middle was not seen
    found = made(plain, dark)
    assert found.unchecked > 0
    for entry in found.entries_mm:
        index = np.rint(plain.labels.grid.lps_to_index(entry)).astype(int)
        assert not dark[tuple(index)]
    tips = found.targets_mm
    for n in np.flatnonzero(found.status == CLEAR)[::5]:
        a, b = found.entries_mm[n], tips[found.best_target[n]]
        points = a + np.linspace(0.0, 1.0, 400)[:, None] * (b - a)
        index = np.rint(plain.labels.grid.lps_to_index(points)).astype(int)
        assert not dark[tuple(index.T)].any()
    edge = ~found.on_skin
    assert edge.any()
    assert set(found.status[edge]) <= {NOT_CHECKED, BLOCKED}
    assert (found.clear_share[edge] == 0.0).all()
    assert found.unchecked_candidates
    assert all("outside the field of view" in c.not_checked for c in found.unchecked_candidates)
    assert all("outside the field of view" not in c.not_checked for c in found.candidates)


def test_a_body_cut_off_by_the_image_has_no_skin() -> None:
    from .conftest import make_scene, upright_grid

    grid = upright_grid((2.0, 2.0, 2.0)).crop((20, 20, 20), (20, 30, 40))
    found = made(make_scene(grid, radius=6.0), min_organ_path=0.0)
    assert not found.on_skin.any()
    assert found.admissible == 0
    assert found.candidates == ()
    assert (found.status != CLEAR).all()
    assert any("cut off by the image" in m for m in found.messages)


def test_what_nobody_looked_for_is_not_clear(scene: Callable[..., Scene]) -> None:
    s = scene()
    keep = tuple(x for x in s.labels.labels if x.name != "gallbladder")
    found = made(Scene(LabelMap(s.labels.array, s.labels.grid, keep), s.target, s.points))
    assert found.not_checked_needed == ("gallbladder",)
    assert not (found.status == CLEAR).any()
    assert (found.status == NOT_CHECKED).any()
    assert all("gallbladder" in c.not_checked for c in found.candidates)
    assert any("gallbladder" in m for m in found.messages)


def test_length_shorter_than_the_way_to_the_skin(scene: Callable[..., Scene]) -> None:
    for longest in (20.0, 40.0):  # the skin is 60 mm from the middle, 52 mm from the target's edge
        found = made(scene(), max_length=longest)
        assert found.admissible == found.unchecked == 0
        assert found.candidates == ()
        assert (found.status == BLOCKED).all()
        miss = found.nearest_miss
        assert miss is not None
        short = {s.rule: s for s in miss.shortfalls}[f"longer than {longest:g} mm"]
        assert short.short_by == pytest.approx(52.0 - longest, abs=4.0)
        assert short.measured - short.limit == pytest.approx(short.short_by)
        assert f"{short.short_by:.1f} mm too long" in miss.words


def test_a_shell_of_bone_names_structure_place_and_amount(scene: Callable[..., Scene]) -> None:
    s = scene()
    r = np.linalg.norm(s.points, axis=-1)
    found = made(s.with_structure("bone", (r > 20.0) & (r < 28.0)))
    assert found.admissible == 0
    miss = found.nearest_miss
    assert miss is not None
    (short,) = [x for x in miss.shortfalls if x.structure == "bone"]
    assert short.measured == pytest.approx(0.0, abs=0.1)
    assert short.short_by == pytest.approx(2.0, abs=0.1)
    assert 19.0 < np.linalg.norm(short.at_mm) < 29.0  # where the shell is
    assert found.blocked_by[0][0].startswith(("bone closer than 2 mm", "longer", "from more"))


def test_a_target_in_a_forbidden_structure_says_so(scene: Callable[..., Scene]) -> None:
    s = scene()
    r = np.linalg.norm(s.points, axis=-1)
    found = made(s.with_structure("gallbladder", r < 14.0))
    assert found.admissible == 0
    assert found.nearest_miss is not None
    assert "the tip itself lies in or within 5 mm of gallbladder" in found.nearest_miss.words


def test_room_for_the_needle_s_error_is_a_term(scene: Callable[..., Scene]) -> None:
    s = scene(radius=4.0)
    ball = np.linalg.norm(s.points - [8.0, -40.0, 0.0], axis=-1) < 4.0
    with_ball = s.with_structure("vessel", ball)
    costs = []
    for error in (NeedleError(0.0, 0.0), NeedleError(8.0, 0.0)):
        found = access_map(
            with_ball.labels, s.target, weights=PathWeights(error=error), raster_mm=2.0,
            entry_spacing_mm=6.0, target_spacing_mm=20.0,
        )  # fmt: skip
        near = (found.entries_mm[:, 1] < -58.0) & (
            np.hypot(found.entries_mm[:, 0], found.entries_mm[:, 2]) < 14.0
        )
        costs.append(found.best_cost[near])
        names = [t.name for c in found.candidates for t in c.terms]
        assert any(n.startswith("room to vessel") for n in names)
    assert (costs[1] >= costs[0]).all()
    assert (costs[1] > costs[0] + 0.05).any()


@pytest.mark.parametrize(
    ("settings", "error", "word"),
    [
        ({"raster_mm": 0.1}, InputError, "raster_mm"),
        ({"entry_spacing_mm": 50.0}, InputError, "entry_spacing_mm"),
        ({"target_spacing_mm": 0.0}, InputError, "target_spacing_mm"),
        ({"unknown": np.zeros((2, 2, 2), bool)}, GridMismatchError, "unknown mask"),
        ({"backend": "cuda"}, (MissingExtraError, BackendError), "backend"),
        ({"backend": "gpu"}, InputError, "backend"),
    ],
)
def test_bad_settings(
    scene: Callable[..., Scene], settings: dict[str, object], error: type[Exception], word: str
) -> None:
    s = scene()
    with pytest.raises(error, match=word):
        access_map(s.labels, s.target, **settings)  # type: ignore[arg-type]


def test_bad_targets(scene: Callable[..., Scene]) -> None:
    s = scene()
    air = np.linalg.norm(s.points - [0, 66, 0], axis=-1) < 5
    with pytest.raises(InputError, match="outside the body"):
        made(Scene(s.labels, air, s.points))
    skin = np.linalg.norm(s.points - [0, -54, 0], axis=-1) < 7
    found = made(Scene(s.labels, skin, s.points))  # touches the skin: said, not refused
    assert any("touches the skin" in m for m in found.messages)
    nameless = tuple(x for x in s.labels.labels if x.name != "body")
    array = np.where(s.labels.array == 1, 0, s.labels.array).astype(np.uint8)
    with pytest.raises(InputError, match="body"):
        made(Scene(LabelMap(array, s.labels.grid, nameless), s.target, s.points))
    with pytest.raises(InputError, match="needle error"):
        NeedleError(tip_mm=-1.0)
    with pytest.raises(InputError, match="weights"):
        PathWeights(length=float("nan"))
