"""Outside ONNX models: tiny networks made here, run through every axis order and spacing."""

from __future__ import annotations

import sys
from itertools import permutations, product
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from irplan.errors import CancelledError, FileFormatError, InputError, MissingExtraError
from irplan.files.onnx_model import OnnxModel, read_manifest
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.image.structures import structure
from irplan.segmentation import dice
from irplan.segmentation.outside import ScanFacts
from irplan.segmentation.outside_network import NetworkSpec, run_network

GRID = Grid.from_spacing((24, 40, 44), (3.0, 1.5, 1.5), (-20.0, 30.0, -400.0))


def blob_volume(grid: Grid = GRID) -> tuple[Volume, np.ndarray]:
    """An ellipsoid of 120 HU off the middle in -50 HU, and its mask."""
    index = np.indices(grid.shape).transpose(1, 2, 3, 0)
    gap = (grid.index_to_lps(index) - grid.centre_lps_mm - (6.0, -4.0, 5.0)) / (18.0, 12.0, 20.0)
    mask = np.linalg.norm(gap, axis=-1) <= 1.0
    return Volume(np.where(mask, 120, -50).astype(np.int16), grid), mask


def two_class_model(path, shape=("N", "C", "D", "H", "W")) -> None:
    """Logits of (other, bright): -x and x, for the window's middle at 0."""
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Neg", ["image"], ["dark"]),
        helper.make_node("Concat", ["dark", "image"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(nodes, "tiny", [given], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


def manifest(folder, *, extra="", **changes) -> str:
    values = {
        "axes": '["head", "back", "left"]',
        "spacing_mm": "[3.0, 1.5, 1.5]",
        "window_hu": "[-50, 120]",
        "kind": '"logits"',
        "labels": '1 = "liver"',
        "patch": "",
        "envelope": "",
    } | changes
    text = f"""
schema = "irplan-onnx-model"
schema_version = 1
name = "tiny"
version = "0.1"
file = "tiny.onnx"
licence = "CC0"
citation = "this test"
{extra}
[input]
axes = {values["axes"]}
spacing_mm = {values["spacing_mm"]}
window_hu = {values["window_hu"]}
subtract = 35
divide = 10
[patch]
{values["patch"]}
[output]
kind = {values["kind"]}
[output.labels]
{values["labels"]}
[envelope]
{values["envelope"]}
"""
    (folder / "tiny.toml").write_text(text)
    return str(folder / "tiny.toml")


def test_a_bright_blob_is_found_where_it_is(tmp_path):
    two_class_model(tmp_path / "tiny.onnx")
    volume, mask = blob_volume()
    found = OnnxModel.from_file(manifest(tmp_path)).segment(volume)
    np.testing.assert_array_equal(found.labels.mask("liver"), mask)
    assert found.labels.labels == (structure("liver"),)
    assert (found.identity.name, found.identity.version, found.identity.licence) == (
        "tiny",
        "0.1",
        "CC0",
    )
    assert len(found.identity.sha256) == 64
    assert dict(found.options)["runtime"].startswith("onnxruntime ")


ALL_AXES = [
    tuple(pair[s] for pair, s in zip(order, signs, strict=True))
    for order in permutations((("head", "feet"), ("back", "front"), ("left", "right")))
    for signs in product((0, 1), repeat=3)
]


@pytest.mark.parametrize("axes", ALL_AXES, ids="-".join)
def test_the_model_sees_its_own_axes_and_the_answer_comes_back(axes):
    """A "network" that marks the voxels near one corner of ITS array: all 48 orders."""
    of_line = {"head": 0, "feet": 0, "back": 1, "front": 1, "left": 2, "right": 2}
    spacing = tuple((3.0, 1.5, 1.5)[of_line[a]] for a in axes)
    spec = NetworkSpec(axes, spacing, (-50, 120), ((1, "liver"),), output="labels")
    volume, mask = blob_volume()
    seen = []

    def predict(patch):
        seen.append(patch)
        out = np.zeros(patch.shape, np.uint8)
        out[:4, :5, :6] = 1
        return out

    found = run_network(volume, spec, predict).mask("liver")
    assert seen[0].shape == tuple(GRID.shape[of_line[a]] for a in axes)
    # Along each of its axes the model's first voxels lie at the end the axis runs away from.
    points = GRID.index_to_lps(np.argwhere(found)).mean(axis=0) - GRID.centre_lps_mm
    away = {"head": (2, -1), "feet": (2, 1), "back": (1, -1), "front": (1, 1), "left": (0, -1),
            "right": (0, 1)}  # fmt: skip
    for axis in axes:
        line, sign = away[axis]
        assert np.sign(points[line]) == sign
    assert int(found.sum()) == 4 * 5 * 6
    # What it sees is the image, not mirrored: the bright voxels are as many and where they were.
    assert int((seen[0] > 35).sum()) == int(mask.sum())


@pytest.mark.parametrize(
    ("spacing", "least"), [((3.0, 1.5, 1.5), 1.0), ((2.0, 2.0, 2.0), 0.95), ((5.0, 1.0, 3.0), 0.93)]
)
def test_anisotropic_spacing_and_tiles(tmp_path, spacing, least):
    two_class_model(tmp_path / "tiny.onnx")
    volume, mask = blob_volume()
    whole = OnnxModel.from_file(manifest(tmp_path, spacing_mm=list(spacing))).segment(volume)
    assert dice(whole.labels.mask("liver"), mask) >= least
    tiled = OnnxModel.from_file(
        manifest(tmp_path, spacing_mm=list(spacing), patch="size = [12, 16, 16]\noverlap = 0.5")
    ).segment(volume)
    # A network without context answers alike in every tile; blending must not move anything.
    np.testing.assert_array_equal(tiled.labels.mask("liver"), whole.labels.mask("liver"))


def test_an_oblique_scan_comes_back_on_its_own_grid(tmp_path):
    two_class_model(tmp_path / "tiny.onnx")
    turn = np.radians(15.0)
    affine = np.eye(4)
    rotation = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    )
    # Stored as coronal slices, rows to the feet.
    upright = np.array([[0, 0, 1.2], [2.5, 0, 0], [0, -1.2, 0]])
    affine[:3, :3] = rotation @ upright
    grid = Grid((30, 50, 48), affine)
    volume, mask = blob_volume(grid)
    found = OnnxModel.from_file(manifest(tmp_path, spacing_mm=[1.5, 2.0, 1.5])).segment(volume)
    assert found.labels.grid == grid
    assert dice(found.labels.mask("liver"), mask) >= 0.95


def test_sigmoid_and_probabilities(tmp_path):
    volume, mask = blob_volume()
    spec = NetworkSpec(
        ("head", "back", "left"), (3, 1.5, 1.5), (-50, 120), ((0, "liver"), (1, "tumour")),
        output="sigmoid", threshold=0.5,
    )  # fmt: skip

    def sigmoid(patch):
        return np.stack([(patch > 35) * 0.7, (patch > 35) * (np.arange(44) > 25) * 0.9])

    found = run_network(volume, spec, sigmoid)
    right = mask & (np.arange(44) > 25)
    np.testing.assert_array_equal(found.mask("tumour"), right)
    np.testing.assert_array_equal(found.mask("liver"), mask & ~right)
    three = NetworkSpec(
        ("head", "back", "left"), (3, 1.5, 1.5), (-50, 120), ((2, "liver"),), output="probabilities"
    )

    def other_class_wins_on_one_side(patch):
        bright = (patch > 35).astype(np.float32)
        other = bright * (np.arange(44) > 25)
        return np.stack([1 - bright, 0.6 * other, bright - 0.6 * other])

    found = run_network(volume, three, other_class_wins_on_one_side)
    np.testing.assert_array_equal(found.mask("liver"), mask & ~right)


def test_envelope(tmp_path):
    two_class_model(tmp_path / "tiny.onnx")
    volume, _ = blob_volume()
    envelope = 'slice_mm = [0.5, 2]\npixel_mm = [0.5, 2]\nphases = ["portal"]'
    model = OnnxModel.from_file(manifest(tmp_path, envelope=envelope))
    rows = {r.name: r for r in model.segment(volume).rows}
    assert rows["model: slice spacing"].status == "warning"
    assert rows["model: slice spacing"].value == pytest.approx(3.0)
    assert rows["model: pixel spacing"].status == "ok"
    assert rows["model: phase"].status == "not_checked"
    found = model.segment(volume, facts=ScanFacts(phase="portal venous"))
    assert {r.name: r.status for r in found.rows}["model: phase"] == "ok"
    assert found.warnings == ("model: slice spacing: 3.00 mm; the model was made for 0.5 to 2 mm",)
    strict = OnnxModel.from_file(manifest(tmp_path, envelope=envelope + "\nrefuse = true"))
    with pytest.raises(InputError, match="slice spacing"):
        strict.segment(volume)


def test_cancel_between_tiles(tmp_path):
    two_class_model(tmp_path / "tiny.onnx")
    model = OnnxModel.from_file(manifest(tmp_path, patch="size = [8, 8, 8]"))

    def cancel(fraction, message):
        if "tile 3 of" in message:
            raise CancelledError("segment")

    with pytest.raises(CancelledError):
        model.segment(blob_volume()[0], progress=cancel)


def test_absent_and_broken_models_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match="downloads none"):
        read_manifest(manifest(tmp_path))
    (tmp_path / "tiny.onnx").write_bytes(b"no protobuf")
    with pytest.raises(FileFormatError, match="cannot load"):
        OnnxModel.from_file(manifest(tmp_path))
    two_class_model(tmp_path / "tiny.onnx")
    with pytest.raises(FileFormatError, match="sha256"):
        read_manifest(manifest(tmp_path, extra='sha256 = "00"'))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="'ai'"):
        OnnxModel.from_file(manifest(tmp_path))


def test_wrong_manifests_name_the_key(tmp_path):
    two_class_model(tmp_path / "tiny.onnx")
    for changes, words in (
        ({"axes": '["head", "feet", "left"]'}, "axes"),
        ({"axes": '"head"'}, "axes"),
        ({"spacing_mm": "[3.0, 0.0, 1.5]"}, "spacing_mm"),
        ({"window_hu": "[100, -100]"}, "window_hu"),
        ({"kind": '"logit"'}, "Did you mean 'logits'"),
        ({"labels": '1 = "lever"'}, "lever"),
        ({"labels": 'liver = "liver"'}, "class number"),
        ({"patch": "sise = [8, 8, 8]"}, "Did you mean 'size'"),
        ({"extra": "weights = 3"}, "weights"),
    ):
        with pytest.raises(FileFormatError, match=words):
            read_manifest(manifest(tmp_path, **changes))


def test_a_model_of_another_shape_is_refused(tmp_path):
    two_class_model(tmp_path / "tiny.onnx", shape=(1, 1, 16, 16, 16))
    volume, _ = blob_volume()
    with pytest.raises(InputError, match="layout and patch size"):
        OnnxModel.from_file(manifest(tmp_path)).segment(volume)
    right = OnnxModel.from_file(manifest(tmp_path, patch="size = [16, 16, 16]"))
    assert right.segment(volume).labels.mask("liver").any()
    with pytest.raises(InputError, match="at least 6 classes"):
        OnnxModel.from_file(
            manifest(tmp_path, patch="size = [16, 16, 16]", labels='5 = "liver"')
        ).segment(volume)


def test_the_manifest_in_the_documentation_is_one(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "segment.md"
    text = page.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    (tmp_path / "model.toml").write_text(text, encoding="utf-8")
    two_class_model(tmp_path / "tiny.onnx")
    read = read_manifest(tmp_path / "model.toml")
    assert read.network.axes == ("feet", "back", "left")
    assert read.network.patch == (32, 64, 64)
    assert read.envelope.slice_mm == (0.5, 5.0)
    assert OnnxModel(read).segment(blob_volume()[0]).labels.checked("liver")
