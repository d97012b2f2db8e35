"""The plan file: exact round trip, same bytes, every spoilt file refused with its place."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irplan.ablation import APPLICATORS
from irplan.ablation.applicator import Applicator
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Phase, Schedule
from irplan.errors import FileFormatError, InputError, OutputError
from irplan.files import plan_to_json, read_plan, write_plan
from irplan.files.plan_file import _plan_from_data
from irplan.geometry import Needle
from irplan.planning.plan import AblationPlan, Provenance, Target
from irplan.planning.review import set_review
from irplan.planning.review_states import Change, Review

PROBE = Applicator("cryo-17g-rod", "cryo", 1.47, 30.0, 2.0, -140.0, 30.0, 175.0, "[S] test")


def a_plan(**changes: object) -> AblationPlan:
    plan = AblationPlan(
        target=Target((10.0, -20.5, 300.25), 5.1, 21.3, "mask"),
        placements=(Placement(Needle((10, -20, 300), (60, -120, 310)), PROBE),),
        schedule=Schedule.freeze_thaw_freeze(),
        margin_goal_mm=5.0,
        lethal=LethalRule(),
        provenance=Provenance(
            "0.1.0", 7, {"image": "ab" * 32}, {"margin_mm": 5.0, "probes": "auto", "quick": False}
        ),
        frame_of_reference_uid="1.2.3",
    )
    return replace(plan, **changes)


coordinates = st.floats(-2000, 2000).map(lambda v: round(v, 6) + 0.0)
points = st.tuples(coordinates, coordinates, coordinates)
numbers = st.floats(-1e6, 1e6).map(lambda v: round(v, 6) + 0.0)
thresholds = st.floats(-100, 0).map(lambda v: round(v, 6) + 0.0)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
filled = words.map(lambda w: f"x{w}")


@st.composite
def plans(draw) -> AblationPlan:
    def placement() -> Placement:
        tip = draw(points)
        offset = draw(st.tuples(*[st.floats(-90, 90).map(lambda v: round(v, 6))] * 3))
        if math.hypot(*offset) < 1.5:
            offset = (2.0, 0.0, 0.0)
        entry = tuple(round(t + o, 6) + 0.0 for t, o in zip(tip, offset, strict=True))
        probe = Applicator(
            draw(words),
            draw(st.sampled_from(["cryo", "rfa", "mwa", "ire"])),
            draw(st.floats(0.5, 5).map(lambda v: round(v, 6))),
            30.0,
            draw(st.floats(0, 20).map(lambda v: round(v, 6))),
            -140.0,
            0.0,
            300.0,
            draw(words),
        )
        return Placement(Needle(tip, entry), probe, draw(st.sampled_from(["planned", "achieved"])))

    phases = draw(
        st.lists(
            st.builds(
                Phase,
                st.sampled_from(["freeze", "passive_thaw", "active_thaw"]),
                st.floats(1, 7200).map(lambda v: round(v, 6)),
                st.none(),
                st.floats(0, 100).map(lambda v: round(v, 6)),
            ),
            max_size=3,
        )
    )
    state = draw(st.sampled_from(["draft", "reviewed", "accepted", "rejected"]))
    options = st.dictionaries(words, st.one_of(numbers, st.integers(), st.booleans(), words))
    return AblationPlan(
        Target(draw(points), abs(draw(numbers)), abs(draw(numbers)), draw(words)),
        tuple(placement() for _ in range(draw(st.integers(1, 3)))),
        Schedule((*phases, Phase("freeze", 600.0))),
        draw(st.floats(0, 30).map(lambda v: round(v, 6))),
        LethalRule(
            draw(st.floats(-100, 0).map(lambda v: round(v, 6) + 0.0)), draw(st.integers(1, 4))
        ),
        Provenance(
            draw(words),
            draw(st.integers(0, 2**63)),
            draw(st.dictionaries(words, words, max_size=3)),
            draw(options),
        ),
        draw(st.none() | words),
        Review(state, "" if state == "draft" else "Dr. Å", draw(words), draw(words)),
        tuple(draw(st.lists(st.builds(Change, *[filled] * 4), max_size=2))),
    )


@settings(max_examples=60, deadline=None)
@given(plan=plans())
def test_round_trip_is_exact(tmp_path_factory, plan):
    file = tmp_path_factory.getbasetemp() / "plan.json"
    write_plan(plan, file)
    back = read_plan(file)
    assert back == plan
    assert plan_to_json(back) == file.read_text(encoding="utf-8")


def test_floats_are_rounded_and_stable(tmp_path):
    noisy = a_plan(margin_goal_mm=0.1 + 0.2, target=Target((1 / 3, -0.0, 1e-9), 5.0, 2.0, "mask"))
    text = plan_to_json(noisy)
    data = json.loads(text)
    assert data["margin_goal_mm"] == 0.3
    assert '"margin_goal_mm": 0.3,' in text
    assert data["target"]["centroid_mm"] == [0.333333, 0.0, 0.0]
    assert "-0.0" not in text
    assert text.endswith("}\n")
    assert text.isascii()


def test_order_of_mappings_does_not_matter(tmp_path):
    a = a_plan(provenance=Provenance("0.1.0", 0, {"a": "1", "b": "2"}, {"x": 1, "y": 2.0}))
    b = a_plan(provenance=Provenance("0.1.0", 0, {"b": "2", "a": "1"}, {"y": 2.0, "x": 1}))
    assert plan_to_json(a) == plan_to_json(b)


def test_says_research_use_only_and_its_schema():
    data = json.loads(plan_to_json(a_plan()))
    assert list(data)[:2] == ["schema", "schema_version"]
    assert data["schema"] == "irplan-plan"
    assert "not a medical device" in data["notice"]


def test_what_json_cannot_hold_is_refused_before_writing(tmp_path):
    bad = a_plan(target=Target((0.0, 0.0, 0.0), float("nan"), 1.0, "mask"))
    with pytest.raises(InputError, match=r"plan.target.volume_ml"):
        write_plan(bad, tmp_path / "plan.json")
    odd = a_plan(provenance=Provenance("0.1.0", 0, {}, {"x": object()}))
    with pytest.raises(InputError, match="type object"):
        write_plan(odd, tmp_path / "plan.json")
    assert list(tmp_path.iterdir()) == []


def test_unwritable(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "plan.json", tmp_path):
        with pytest.raises(OutputError):
            write_plan(a_plan(), place)


def test_every_catalogue_applicator_survives():
    for name, applicator in APPLICATORS.items():
        needle = Needle((10, -20, 300), (30, -60, 310))
        power = applicator.kind != "cryo"
        phase = Phase("power", 300.0, 40.0, 2.5) if power else Phase("freeze", 600.0)
        plan = a_plan(placements=(Placement(needle, applicator),), schedule=Schedule((phase,)))
        back = _plan_from_data(json.loads(plan_to_json(plan)), name=name)
        assert plan_to_json(back) == plan_to_json(plan)  # equal to 1e-6, as documented
        assert type(back.placements[0].applicator.device) is type(applicator.device)
        assert back.placements[0].applicator.zones == applicator.zones


def version_1(state: str = "draft") -> dict:
    """A file as irplan 0.1 wrote it."""
    data = json.loads(plan_to_json(a_plan()))
    data["schema_version"] = 1
    del data["history"], data["lethal"]["hold_s"]
    data["review"] = {"state": state, "by": "" if state == "draft" else "A", "reason": ""}
    for phase in data["schedule"]["phases"]:
        del phase["power_w"], phase["withdraw_mm"]
    for placement in data["placements"]:
        del placement["applicator"]["device"], placement["applicator"]["zones"]
    return data


@pytest.mark.parametrize("state", ["draft", "accepted"])
def test_version_1_is_read_and_written_as_the_newest(tmp_path, state):
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(version_1(state)))
    plan = read_plan(file)
    assert plan.placements == a_plan().placements
    assert plan.schedule == a_plan().schedule
    assert plan.review.state == state
    assert json.loads(plan_to_json(plan))["schema_version"] == 2
    spoilt = version_1() | {"history": []}  # unknown to version 1
    file.write_text(json.dumps(spoilt))
    with pytest.raises(FileFormatError, match="history"):
        read_plan(file)


def test_reviewed_plan_changed_by_hand_is_refused(tmp_path):
    file = tmp_path / "plan.json"
    plan = set_review(a_plan(), "reviewed", who="Dr. A", why="looked at", when="2026-11-24T10:00Z")
    write_plan(plan, file)
    assert read_plan(file) == plan
    data = json.loads(file.read_text())
    data["placements"][0]["needle"]["tip_mm"][0] += 1.0
    file.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match="changed after it was reviewed by Dr"):
        read_plan(file)


class TestRefused:
    def spoil(self, tmp_path, change):
        file = tmp_path / "plan.json"
        data = json.loads(plan_to_json(a_plan()))
        change(data)
        file.write_text(json.dumps(data))
        with pytest.raises(FileFormatError) as caught:
            read_plan(file)
        return caught.value

    def test_newer_schema(self, tmp_path):
        error = self.spoil(tmp_path, lambda d: d.update(schema_version=3))
        assert "newer irplan" in error.remedy

    @pytest.mark.parametrize("version", ["1", 0, 1.0, True, None])
    def test_unknown_version(self, tmp_path, version):
        error = self.spoil(tmp_path, lambda d: d.update(schema_version=version))
        assert "schema_version" in error.field
        assert "newer" not in error.remedy

    def test_unknown_schema(self, tmp_path):
        error = self.spoil(tmp_path, lambda d: d.update(schema="other"))
        assert "not a plan of irplan" in error.remedy
        error = self.spoil(tmp_path, lambda d: d.pop("schema"))
        assert error.got == "nothing"

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            (
                lambda d: d["placements"][0]["needle"].update(tip_mm=[1, 2]),
                "$.placements[0].needle.tip_mm",
            ),
            (lambda d: d["target"].update(volume_ml="5"), "$.target.volume_ml"),
            (lambda d: d.update(extra=1), "$"),
            (lambda d: d["target"].pop("source"), "$.target"),
            (lambda d: d["schedule"]["phases"][0].update(kind="boil"), "$.schedule.phases[0].kind"),
            (lambda d: d.update(placements=[]), "$.placements"),
            (lambda d: d["review"].update(state="signed"), "$.review.state"),
            (lambda d: d["provenance"].update(seed=1.5), "$.provenance.seed"),
        ],
    )
    def test_against_the_schema_with_its_place(self, tmp_path, change, place):
        error = self.spoil(tmp_path, change)
        assert error.field == f"plan file 'plan.json' at {place}"

    def test_impossible_values(self, tmp_path):
        error = self.spoil(
            tmp_path, lambda d: d["placements"][0]["needle"].update(tip_mm=[60, -120, 310])
        )
        assert "needle" in error.field
        error = self.spoil(tmp_path, lambda d: d["review"].update(state="accepted"))
        assert "review.by" in error.field

    def test_truncated_anywhere(self, tmp_path):
        file = tmp_path / "plan.json"
        text = plan_to_json(a_plan())
        for length in range(0, len(text) - 2, 61):
            file.write_text(text[:length])
            with pytest.raises(FileFormatError):
                read_plan(file)
        file.write_text(text[:200])
        with pytest.raises(FileFormatError, match="truncated"):
            read_plan(file)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"hello", "not JSON"),
            (b"[1, 2]", "JSON list"),
            (b"\xff\xfe\x00", "not UTF-8"),
            (b'{"schema": NaN}', "number NaN"),
            (b'{"schema": 1, "schema": 2}', "occurs twice"),
            (b"[" * 100_000, "nested too deeply"),
        ],
    )
    def test_not_json(self, tmp_path, content, words):
        file = tmp_path / "plan.json"
        file.write_bytes(content)
        with pytest.raises(FileFormatError, match=words):
            read_plan(file)

    def test_absent(self, tmp_path):
        with pytest.raises(FileFormatError, match="cannot be read"):
            read_plan(tmp_path / "plan.json")
